"""The nodes that follow one stream of this node: each says so again and again."""

from __future__ import annotations

from proxy.internal_errors import report
from proxy.kept.shared_store import OwnedBy


class Leases:
    """Of one stream. `by` is told how many there are, and that it is to end."""

    def __init__(self, by: OwnedBy) -> None:
        self.by = by
        self.until: dict[bytes, float] = {}  # by node
        self.stopped = False

    def begin(self, node: bytes, until: float) -> bool:
        """A node follows it; True if that is news."""
        known = node in self.until
        self.until[node] = until
        if not known:
            self.changed()
        return not known

    def end(self, node: bytes) -> None:
        """A node does not follow it any more."""
        if self.until.pop(node, None) is not None:
            self.changed()

    def end_old(self, now: float) -> None:
        """Nodes that have not said for long that they follow it do not."""
        for node, until in tuple(self.until.items()):
            if until < now:
                self.end(node)

    def changed(self) -> None:
        """Tell how many there are."""
        try:
            self.by.readers_changed(len(self.until))
        except Exception as error:
            report("nodes that follow a stream", error)

    def stop(self) -> None:
        """A client of another node has asked for its end. Told once."""
        if self.stopped:
            return
        self.stopped = True
        try:
            self.by.stop_asked()
        except Exception as error:
            report("a client of another node that ends a stream", error)
