"""The slots that show what goes out, in both directions of one exchange.

Each passes on first and notes then, so that a capture delays nothing. A record that
raises is left alone from then on; the exchange does not notice. Nothing of this
exists on an exchange that is not recorded.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, TypeAlias

from proxy.internal_errors import report
from proxy.timeline import Clock
from proxy.transport.pipeline import CAPTURE, Pipeline, Slot

Side: TypeAlias = Literal["request", "response"]


class Record(Protocol):
    """Where the pieces of an exchange are noted."""

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        """A piece was passed on; `sent` is None while the peer is slow to read."""

    def sent(self, side: Side, now: float) -> None:
        """What waited for the peer has gone out."""

    def heartbeat(self, now: float, data: bytes) -> None:
        """A heartbeat of ours was written to the client."""

    def over(self, now: float) -> None:
        """No more will come."""


class NoRecord:
    """Takes the place of a record that has raised."""

    def piece(
        self, side: Side, arrived: float, sent: float | None, data: bytes
    ) -> None:
        pass

    def sent(self, side: Side, now: float) -> None:
        pass

    def heartbeat(self, now: float, data: bytes) -> None:
        pass

    def over(self, now: float) -> None:
        pass


class CaptureSlot(Slot):
    """Notes the pieces of one direction."""

    __slots__ = ("capture", "pipeline", "side")
    rank: ClassVar[int] = CAPTURE
    witness: ClassVar[bool] = True

    def __init__(self, capture: Capture, pipeline: Pipeline, side: Side) -> None:
        super().__init__()
        self.capture = capture
        self.pipeline = pipeline
        self.side: Side = side

    def send_piece(self, piece: bytes) -> None:
        pipeline, capture = self.pipeline, self.capture
        came = pipeline.arrival()
        arrived = capture.clock() if came is None else came
        self.next.send_piece(piece)
        try:
            pipeline.sent_at = now = capture.clock()
            sent = None if pipeline.sink.blocked else now
            capture.record.piece(self.side, arrived, sent, piece)
        except Exception as error:
            capture.failed(error)

    def passed(self, piece: bytes) -> None:
        """A piece has passed by; when it was sent is what the pipeline says."""
        try:
            pipeline = self.pipeline
            now, came = pipeline.sent_at, pipeline.arrival()
            arrived = now if came is None else came
            sent = None if pipeline.sink.blocked else now
            self.capture.record.piece(self.side, arrived, sent, piece)
        except Exception as error:
            self.capture.failed(error)

    def drained(self) -> None:
        capture = self.capture
        try:
            capture.record.sent(self.side, capture.clock())
        except Exception as error:
            capture.failed(error)


class Capture:
    """Both directions of one exchange, noted in one record."""

    __slots__ = ("clock", "record", "slots")

    def __init__(self, record: Record, clock: Clock) -> None:
        self.record: Record = record
        self.clock = clock
        self.slots: list[CaptureSlot] = []

    def attach(self, pipeline: Pipeline, side: Side) -> None:
        """Note what passes through a direction from now on."""
        self.put(CaptureSlot(self, pipeline, side))

    def put(self, slot: CaptureSlot) -> None:
        """Put a slot into its pipeline."""
        self.slots.append(slot)
        slot.pipeline.insert(slot)

    def remove(self) -> None:
        """Leave the exchange as it was without a capture."""
        for slot in self.slots:
            slot.pipeline.remove(slot)
        self.slots.clear()

    def failed(self, error: Exception) -> None:
        """The record has raised: it is told nothing more."""
        self.record = NoRecord()
        report("capturing a piece", error)

    def heartbeat(self, data: bytes) -> None:
        """A heartbeat of ours was written to the client."""
        try:
            self.record.heartbeat(self.clock(), data)
        except Exception as error:
            self.failed(error)

    def over(self) -> None:
        """The exchange has ended."""
        try:
            self.remove()
            self.record.over(self.clock())
        except Exception as error:
            self.failed(error)
