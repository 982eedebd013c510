"""Wires of a tap: what stands between a source and a relay while somebody looks.

Each passes on first and notes then, so that a tap delays nothing. A record that
raises is left alone from then on; the exchange does not notice. Nothing of this
exists on an exchange that nobody looks at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.internal_errors import report
from proxy.timeline import Clock
from proxy.transport.boundary import WatchedSink
from proxy.transport.connection import Connection, Feeder, Receiver

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


class Blind:
    """The record of a tap whose own has raised."""

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        pass

    def sent(self, side: Side, now: float) -> None:
        pass

    def over(self, now: float) -> None:
        pass


class TappedReceiver:
    """Stands before a relay, or one direction of a tunnel."""

    __slots__ = ("clock", "receiver", "record", "side")

    def __init__(
        self, receiver: Receiver, record: Record, side: Side, clock: Clock
    ) -> None:
        self.receiver = receiver
        self.record: Record = record
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
        self.note(arrived, sent, data, went_out=None if waited else arrived)

    def note(
        self, arrived: float, sent: float | None, data: bytes, went_out: float | None
    ) -> None:
        """Note a piece that was passed on, and that those before it `went_out`."""
        try:
            if went_out is not None:  # the source is read again since all is out
                self.record.sent(self.side, went_out)
            self.record.piece(self.side, arrived, sent, data)
        except Exception as error:
            self.record = Blind()
            report("the recording of a piece", error)

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
        before.note(arrived, sent, piece, went_out=None if waited else now)

    def send_end(self, trailers: Fields) -> None:
        self.sink.send_end(trailers)
