"""A stream of this node in the server, with the names that it has there."""

from __future__ import annotations

from typing import Protocol

from proxy.kept.redis.leases import Leases
from proxy.kept.redis.names import Names
from proxy.kept.redis.write_behind import WriteBehind
from proxy.kept.redis.written_stream import WrittenStream
from proxy.kept.shared_store import OwnedBy, StreamEnd
from proxy.kept.stored_log import StoredLog


class NamedStreamStore(Protocol):
    """The store that it belongs to."""

    node: str
    names: Names
    writer: WriteBehind


class NamedStream(WrittenStream):
    """Its names go with it."""

    def __init__(
        self,
        store: NamedStreamStore,
        id: bytes,
        by: OwnedBy,
        log: StoredLog,
        epoch: int,
        leases: Leases | None,
    ) -> None:
        self.store = store
        super().__init__(id, by, log, epoch, store.node.encode(), store.writer.mark)
        if leases is not None:  # of the time before its head
            leases.by = by
            self.leases = leases

    def end(self, end: StreamEnd, keep_seconds: float) -> None:
        self.store.names.ended(self.id)
        super().end(end, keep_seconds)

    def release(self) -> None:
        self.store.names.ended(self.id)
        super().release()

    def drop(self) -> None:
        self.store.names.dropped(self.id)
        super().drop()

    def lose(self) -> None:
        self.store.names.forget(self.id)
        super().lose()
