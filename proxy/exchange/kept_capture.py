"""What a kept stream has is recorded once, however many clients it has.

As it is in the log: with the ids that its clients get. Which part of it a client has
had is known by the positions of its bytes.
"""

from __future__ import annotations

from typing import Protocol

from proxy.exchange.log_sink import LogSink
from proxy.kept.log import FallenOut, StreamLog
from proxy.timeline import Clock
from proxy.transport.capture import Capture, CaptureSlot, Record, Side
from proxy.transport.pipeline import Pipeline


class StreamRecord(Record, Protocol):
    """Where the pieces of a kept stream are noted."""

    def piece_at(
        self, position: int, arrived: float, sent: float | None, data: bytes
    ) -> None:
        """A piece came that stands there in the stream."""


class KeptCapture(Capture):
    """What goes from an upstream into a log, and nothing else."""

    __slots__ = ("sink", "stream")

    def __init__(self, record: StreamRecord, clock: Clock, sink: LogSink) -> None:
        super().__init__(record, clock)
        self.stream = record
        self.sink = sink

    def attach(self, pipeline: Pipeline, side: Side) -> None:
        if side == "response":
            self.put(KeptSlot(self, pipeline, side))


class KeptSlot(CaptureSlot):
    """Notes what of a piece is in the log."""

    __slots__ = ("end", "kept")

    def __init__(self, capture: KeptCapture, pipeline: Pipeline, side: Side) -> None:
        super().__init__(capture, pipeline, side)
        self.kept = capture
        log = capture.sink.log
        self.end = 0 if log is None else log.end  # of what was noted

    def send_piece(self, piece: bytes) -> None:
        pipeline = self.pipeline
        came = pipeline.arrival()
        arrived = self.kept.clock() if came is None else came
        self.next.send_piece(piece)
        try:
            pipeline.sent_at = now = self.kept.clock()
            self.note(piece, arrived, now)
        except Exception as error:
            self.kept.failed(error)

    def passed(self, piece: bytes) -> None:
        try:
            now, came = self.pipeline.sent_at, self.pipeline.arrival()
            self.note(piece, now if came is None else came, now)
        except Exception as error:
            self.kept.failed(error)

    def note(self, piece: bytes, arrived: float, now: float) -> None:
        """What of a piece, which was passed on by now, is in the log?"""
        kept = self.kept
        log, stream = kept.sink.log, kept.stream
        if log is None or log.end == self.end or kept.record is not stream:
            return  # it was for nobody, or tells of a failure
        begin, data = read_back(log, self.end, piece)
        self.end = log.end
        stream.piece_at(begin, arrived, now, data)


def read_back(log: StreamLog, before: int, piece: bytes) -> tuple[int, bytes]:
    """Where a piece stands in a log that ended `before`, and as what.

    The log may begin later, or have been rolled back: then it is the piece as it came.
    """
    end = log.end
    plain = end - len(piece)
    if before == plain:
        return plain, piece
    if before < log.first or before > end:
        return plain, piece
    try:
        return before, log.read(before, end - before)
    except FallenOut:
        return plain, piece
