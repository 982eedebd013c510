"""The log of one stream: its last bytes, where its events end, and their ids.

A client that lags, comes back or joins late is fed from it. Bounded: what is oldest
goes first, in whole events. Knows nothing of clients and of how events are written;
`EventIndex` finds them.

A position counts bytes from the first byte of the stream as its clients get it. A cut
is a position at which an event, or a line, ends; 0 is one, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.stream.event_index import Cut


class FallenOut(Exception):
    """What a client was to get next is no longer in the log."""

    def __init__(self, position: int, first: int) -> None:
        super().__init__(
            f"byte {position} of the stream is no longer kept; "
            f"the first that is kept is {first}"
        )
        self.position = position
        self.first = first


class StreamLog:
    """What every store keeps of one stream. See `MemoryLog` for what it means."""

    __slots__ = ("end", "first")

    def __init__(self) -> None:
        self.first = 0  # position of the first byte that is still there
        self.end = 0  # behind the last byte

    @property
    def bytes_used(self) -> int:
        """Of memory, that of cuts and ids included."""
        raise NotImplementedError

    def append(self, piece: bytes, cuts: Sequence[Cut]) -> None:
        """Add a piece; its cuts as `EventIndex` has found them. Never raises."""
        raise NotImplementedError

    def append_event(self, event: bytes, numbered: bool) -> bool:
        """Add a piece that is one event, of SHORTEST bytes or more.

        `numbered`: it has the next id of ours; otherwise it has none.
        True: the memory was counted, so what is oldest may be gone. Never raises.
        """
        raise NotImplementedError

    def read(self, position: int, most: int) -> bytes:
        """Up to `most` bytes from a position on; empty at the end only.

        Raises:
            FallenOut: the position is before `first`.
        """
        raise NotImplementedError

    def after_id(self, id: bytes) -> int | None:
        """The end of the last event with this id; None if that is not known."""
        raise NotImplementedError

    def has_had(self, id: bytes) -> bool:
        """Is this event here, or was it, before what is kept now?

        Of one that has an id of the upstream's only the first is known.
        """
        raise NotImplementedError

    def last_events(self, n: int) -> int | None:
        """The cut where the last `n` complete events begin, or the earliest there is.

        Comments are no events, but 0 means the last cut of all. None: there is no cut
        in what is kept, which begins in the middle of an event.
        """
        raise NotImplementedError

    def cut_at_or_after(self, position: int) -> int | None:
        """The first cut from a position on; None if none is known yet."""
        raise NotImplementedError

    def is_cut(self, position: int) -> bool:
        """Does an event begin here?"""
        raise NotImplementedError

    def roll_back(self) -> int:
        """Forget the event that is not complete; the new end."""
        raise NotImplementedError

    def trim(self, keep_from: int) -> None:
        """Give back what stands before a position, in whole events.

        May be called for each piece: does nothing as long as it is not worth it.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give all of it back. What is appended afterwards is only counted."""
        raise NotImplementedError
