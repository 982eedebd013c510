"""The copy that a process makes of a stream's log, from what the store tells of it."""

from __future__ import annotations

from proxy.exchange.log_sink import LogSink
from proxy.kept.stored_log import StoredLog


class ReplicaGap(Exception):
    """The store does not have what comes next, or not where it says."""


class LogReplica:
    """Of one stream. `end`: the position of the byte that comes next.

    Nothing comes twice, and nothing behind a gap.
    """

    __slots__ = ("end", "sink")

    def __init__(self, sink: LogSink) -> None:
        self.sink = sink
        self.end = 0

    def new(self, position: int, data: bytes, events: int, *, at_cut: bool) -> bytes:
        """What is not here yet, of what stands at a position.

        Raises:
            ReplicaGap: a part before it is missing.
        """
        log = self.sink.log
        if log is None:
            return b""
        if not self.end and not log.end and position:
            self.begin_later(position, events, at_cut=at_cut)
        if position > self.end:
            raise ReplicaGap(
                f"{position - self.end} bytes of the stream behind byte {self.end} are "
                "not in the store"
            )
        found = data[self.end - position :]
        if found:
            self.end = position + len(data)
        return found

    def begin_later(self, position: int, events: int, *, at_cut: bool) -> None:
        """Its beginning is no longer in the store."""
        log, index = self.sink.log, self.sink.index
        assert isinstance(log, StoredLog)
        log.begin_at(position, events, at_cut=at_cut)
        self.end = self.sink.begins = position
        if index is not None:
            index.begin_later(between=at_cut)

    def roll_back(self, position: int) -> None:
        """What is behind that position is not of the stream any more.

        Raises:
            ReplicaGap: no event begins there.
        """
        log, index = self.sink.log, self.sink.index
        assert log is not None
        assert index is not None
        if log.roll_back() != position:
            raise ReplicaGap(
                f"byte {position} of the stream, at which it goes on, is not known"
            )
        index.begin_later(between=True)
        self.end = position
