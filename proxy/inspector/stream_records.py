"""Kept streams as they are recorded: once each, and what a client has had of them."""

from __future__ import annotations

from proxy.exchange.exchange import Exchange
from proxy.observe.capture_buffer import CaptureBudget, CaptureBuffer, Kept, Piece
from proxy.timeline import CallTimeline, Timeline
from proxy.transport.capture import Capture, NoRecord

MOST_STREAMS = 1500  # that are remembered


class StreamBuffer(CaptureBuffer):
    """The last pieces of a kept stream.

    `position`: where the first one that is here stands in it; `end`: where the next one
    should. Heartbeats are among them, and stand nowhere.
    """

    __slots__ = ("capture", "end", "position")

    def __init__(self, timeline: Timeline, budget: CaptureBudget) -> None:
        super().__init__(timeline, budget)
        self.position = self.end = 0
        self.whole = self.stays = True
        self.capture: Capture | None = None  # as long as it goes on

    def piece_at(
        self, position: int, arrived: float, sent: float | None, data: bytes
    ) -> None:
        """Note a piece; nothing that was recorded stands behind a gap."""
        if position != self.end:
            self.take_all()  # it is not of the stream any more, or far behind
            self.position = position
        self.end = position + len(data)
        self.piece("response", arrived, sent, data)

    def drop(self) -> None:
        side, _, _, size, _, _ = self.pieces[self.spare]
        super().drop()
        if side == "response":
            self.position += size

    def over(self, now: float) -> None:
        super().over(now)
        self.capture = None

    def let_go(self) -> None:
        """Note nothing more."""
        capture, self.capture = self.capture, None
        if capture is not None:
            capture.remove()
            capture.record = NoRecord()


class Part:
    """What a client has of a stream. `begins`: its first byte there.

    `own`: bytes of its response that are not of the stream. `filled`: in what its
    pieces are noted, once somebody has looked. `had`: the bytes that it had been sent
    by then; None: pieces are noted there as they pass.
    """

    __slots__ = ("began", "begins", "filled", "had", "own", "stream")

    def __init__(self, stream: StreamBuffer, begins: int, began: float) -> None:
        self.stream = stream
        self.begins = begins
        self.began = began
        self.own = 0
        self.filled: CaptureBuffer | None = None
        self.had: int | None = 0


class StreamRecords:
    """The kept streams that are recorded, and who has a part of one."""

    def __init__(self, budget: CaptureBudget) -> None:
        self.budget = budget
        self.streams: dict[CallTimeline, StreamBuffer] = {}
        self.parts: dict[Timeline, Part] = {}

    def begin(self, timeline: Timeline) -> StreamBuffer:
        """A stream begins; `timeline`: of the exchange with its upstream."""
        streams = self.streams
        if len(streams) >= MOST_STREAMS:
            self.forget(next(iter(streams)))
        stream = StreamBuffer(timeline, self.budget)
        self.budget.adopt(stream)
        streams[timeline.call] = stream
        return stream

    def join(self, timeline: Timeline, account: CallTimeline) -> None:
        """A client gets a stream from now on."""
        stream, visit = self.streams.get(account), timeline.visit
        if stream is not None and visit is not None:
            self.parts[timeline] = Part(stream, visit.begins, visit.began)

    def passes(self, exchange: Exchange) -> None:
        """What a client has is noted as it passes from now on, if it is captured."""
        timeline, capture = exchange.timeline, exchange.capture
        part, recording = self.parts.get(timeline), self.budget.recordings.get(timeline)
        if part is None or recording is None or capture is None:
            return
        if capture.record is recording:
            part.filled, part.had = recording, None

    def forget(self, account: CallTimeline) -> None:
        """Let go of a stream."""
        stream = self.streams.pop(account)
        stream.let_go()
        self.budget.forget(stream.timeline)

    def clear(self) -> None:
        """Let go of all."""
        for account in tuple(self.streams):
            self.forget(account)
        self.parts.clear()

    def wrote(self, timeline: Timeline, size: int) -> None:
        """So many bytes of a response are not of the stream."""
        part = self.parts.get(timeline)
        if part is not None:
            part.own += size

    def fill(self, recording: CaptureBuffer) -> None:
        """Note what a client has had of its stream up to now, unless that is done.

        What was there before it came was sent to it then.
        """
        timeline = recording.timeline
        part = self.parts.get(timeline)
        if part is None:
            return
        again = part.filled is recording
        if again and part.had in (None, timeline.bytes_sent):
            return
        part.filled, part.had = recording, timeline.bytes_sent
        stream, begins, began = part.stream, part.begins, part.began
        position, end = stream.position, begins + timeline.bytes_sent - part.own
        recording.whole = position <= begins and stream.end >= end
        last = recording.take_all()  # of the proxy itself
        if again:
            last = [piece for piece in last if Piece._make(piece).own]
            recording.bursts_seen = None
        for piece in tuple(stream.since(0)):
            if piece.side != "response":  # a heartbeat, to those who were there
                if piece.arrived >= began and position < end:
                    recording.add(copied(piece, slice(None), began))
                continue
            start, position = position, position + piece.size
            if start < end and position > begins:
                cut = slice(max(begins - start, 0), end - start)
                recording.add(copied(piece, cut, began))
        for each in last:
            recording.add(each)


def copied(piece: Piece, cut: slice, began: float) -> Kept:
    """A piece, or a part of one, as a client got it who began then."""
    data = piece.data[cut]
    size = len(range(piece.size)[cut])
    sent = None if piece.sent is None else max(piece.sent, began)
    return piece.side, max(piece.arrived, began), sent, size, data, False
