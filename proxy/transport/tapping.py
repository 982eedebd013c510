"""Wires of a tap: what stands between a source and a relay while somebody looks.

Each passes on first and notes then, so that a tap delays nothing. Nothing of
this exists on an exchange that nobody looks at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.timeline import Clock
from proxy.transport.connection import Connection, Feeder, Receiver
from proxy.transport.watching import WatchedSink

Side: TypeAlias = Literal["request", "response"]
# Pieces that may wait to be decoded for a slow client, and more: the source is
# not read meanwhile.
ARRIVALS = 64


class Record(Protocol):
    """Where the pieces of an exchange are noted."""

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        """A piece was passed on; `sent` is None while the peer is slow to read."""

    def sent(self, side: Side, now: float) -> None:
        """What waited for the peer has gone out."""

    def over(self, now: float) -> None:
        """No more will come."""


class TappedReceiver:
    """Stands before a relay, or one direction of a tunnel."""

    __slots__ = ("clock", "receiver", "record", "side")

    def __init__(
        self, receiver: Receiver, record: Record, side: Side, clock: Clock
    ) -> None:
        self.receiver = receiver
        self.record = record
        self.side = side
        self.clock = clock

    @property
    def blocked(self) -> bool:
        return self.receiver.blocked

    def piece(self, data: bytes) -> None:
        arrived, receiver = self.clock(), self.receiver
        waited = receiver.blocked
        receiver.piece(data)
        sent = None if receiver.blocked else self.clock()
        if not waited:  # the source is read again since all of it is out
            self.record.sent(self.side, arrived)
        self.record.piece(self.side, arrived, sent, data)

    def end(self, trailers: Fields) -> None:
        self.receiver.end(trailers)

    def broken(self, error: ProxyError) -> None:
        self.receiver.broken(error)


class ArrivalReceiver(TappedReceiver):
    """Stands before a relay that decodes: notes only when its pieces came."""

    __slots__ = ("arrivals",)

    def __init__(
        self, receiver: Receiver, record: Record, side: Side, clock: Clock
    ) -> None:
        super().__init__(receiver, record, side, clock)
        self.arrivals: deque[float] = deque(maxlen=ARRIVALS)

    def piece(self, data: bytes) -> None:
        self.arrivals.append(self.clock())
        self.receiver.piece(data)


class TappedSink:
    """Stands behind a relay that decodes.

    `waiting` holds the coded pieces that are not decoded in full: the first of
    them is the one whose bytes come out.
    """

    __slots__ = ("before", "sink", "waiting")

    def __init__(
        self,
        sink: Connection | WatchedSink | TappedSink,
        before: ArrivalReceiver,
        waiting: Callable[[], Sequence[object]],
    ) -> None:
        self.sink = sink
        self.before = before
        self.waiting = waiting

    @property
    def blocked(self) -> bool:
        return self.sink.blocked

    @property
    def feeder(self) -> Feeder | None:
        return self.sink.feeder

    @feeder.setter
    def feeder(self, feeder: Feeder | None) -> None:
        self.sink.feeder = feeder

    def send_piece(self, piece: bytes) -> None:
        before = self.before
        waited = self.sink.blocked
        self.sink.send_piece(piece)
        arrivals, now = before.arrivals, before.clock()
        waiting = min(len(self.waiting()), len(arrivals))
        arrived = arrivals[-waiting] if waiting else now
        sent = None if self.sink.blocked else now
        if not waited:
            before.record.sent("response", now)
        before.record.piece("response", arrived, sent, piece)

    def send_end(self, trailers: Fields) -> None:
        self.sink.send_end(trailers)
