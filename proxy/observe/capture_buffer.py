"""The pieces of exchanges that somebody looks at, in bounded memory.

A `CaptureBuffer` holds the last pieces of one exchange. A `CaptureBudget` bounds all of
them together: the oldest piece goes first, and how much went is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from proxy.internal_errors import report
from proxy.observe.burst_detector import BurstDetector, events_in
from proxy.observe.list_row import kind
from proxy.timeline import Ending, Timeline

PER_EXCHANGE = 256 * 1024  # bytes
IN_TOTAL = 32 * 1024 * 1024  # bytes
# What a piece costs beside its bytes: the objects that hold it.
OVERHEAD = 200
SLACK = 1024  # entries of the order that may stand for pieces which are gone


class Piece:
    """One piece, on its way through the proxy. Times are on the clock."""

    __slots__ = ("arrived", "data", "n", "sent", "side", "size")

    def __init__(
        self, n: int, side: str, arrived: float, sent: float | None, data: bytes
    ) -> None:
        self.n = n
        self.side = side
        self.arrived = arrived
        self.sent = sent
        self.data = data
        self.size = len(data)

    @property
    def weight(self) -> int:
        return self.size + OVERHEAD

    def forget(self) -> None:
        """Let go of the bytes, though somebody may wait for `sent`."""
        self.data = b""


class CaptureBuffer:
    """The last pieces of one exchange. `first` counts those that went."""

    __slots__ = (
        "budget",
        "bursts",
        "counts",
        "dropped_bytes",
        "ended",
        "first",
        "heads",
        "listeners",
        "pieces",
        "timeline",
        "unsent",
        "weight",
        "whole",
    )

    def __init__(self, timeline: Timeline, budget: CaptureBudget) -> None:
        self.timeline = timeline
        self.budget = budget
        self.pieces: deque[Piece] = deque()
        self.counts = {"request": 0, "response": 0, "heartbeat": 0}
        self.unsent: list[Piece] = []  # that wait for a slow peer
        self.bursts: BurstDetector | None = None  # of streams of events
        self.first = 0
        self.dropped_bytes = 0
        self.weight = 0
        self.ended = False
        self.whole = False  # from its first piece on, as long as none is dropped
        self.heads: object = None  # of an exchange that has ended
        self.listeners: list[Callable[[], None]] = []

    # -- what a capture tells

    def piece(self, side: str, arrived: float, sent: float | None, data: bytes) -> None:
        """Note one piece; what is oldest makes room for it."""
        n = self.counts[side] = self.counts[side] + 1
        piece = Piece(n, side, arrived, sent, data)
        if sent is None:
            self.unsent.append(piece)
        self.pieces.append(piece)
        self.weight += piece.weight
        self.budget.take(self, piece.weight)
        while self.weight > PER_EXCHANGE and len(self.pieces) > 1:
            self.drop()
        if side == "response":
            self.count_events(arrived, data)
        self.tell()

    def count_events(self, arrived: float, data: bytes) -> None:
        """For the verdict on bursts."""
        what = kind(self.timeline)
        if what in ("event-stream", "ndjson"):
            if self.bursts is None:
                self.bursts = BurstDetector()
            self.bursts.piece(arrived, events_in(data, what))

    def sent(self, side: str, now: float) -> None:
        """The peer has read on: what waited is out."""
        if side == "response" and self.bursts is not None:
            self.bursts.client_read(now)
        if self.unsent:
            for piece in self.unsent:
                if piece.side == side:
                    piece.sent = now
            self.unsent = [piece for piece in self.unsent if piece.sent is None]
            self.tell()

    def heartbeat(self, now: float, data: bytes) -> None:
        """Note what the proxy itself wrote to the client."""
        self.piece("heartbeat", now, now, data)

    def over(self, now: float) -> None:
        """No more will come. What waits is out by now, as the timeline has it."""
        if self.timeline.ending is Ending.COMPLETE:
            self.sent("request", now)
            self.sent("response", now)
        self.unsent.clear()
        self.ended = True
        self.tell()

    # -- room

    def drop(self) -> None:
        """Let go of the oldest piece."""
        piece = self.pieces.popleft()
        self.first += 1
        self.dropped_bytes += piece.size
        self.weight -= piece.weight
        self.budget.gave(piece.weight)
        piece.forget()

    def clear(self) -> None:
        """Let go of all."""
        self.budget.gave(self.weight, len(self.pieces))
        self.first += len(self.pieces)
        self.weight = 0
        for piece in self.pieces:
            piece.forget()
        self.pieces.clear()
        self.unsent.clear()

    # -- who looks

    def tell(self) -> None:
        for listener in tuple(self.listeners):
            try:
                listener()
            except Exception as error:
                self.listeners.remove(listener)
                report("a subscriber to a recording", error)

    @property
    def count(self) -> int:
        """How many pieces there were, those that went included."""
        return self.first + len(self.pieces)

    def since(self, count: int) -> Iterator[Piece]:
        """The pieces after the first `count`, as far as they are here."""
        return islice(self.pieces, max(count - self.first, 0), None)


class CaptureBudget:
    """Bounds what all recordings hold; of all pieces the oldest goes first."""

    def __init__(self, limit: int = IN_TOTAL) -> None:
        self.limit = limit
        self.weight = 0
        self.pieces = 0
        self.recordings: dict[Timeline, CaptureBuffer] = {}
        # A recording for each piece that was taken, in their order; some of the
        # pieces are gone meanwhile.
        self.order: deque[tuple[CaptureBuffer, int]] = deque()

    def record(self, timeline: Timeline) -> CaptureBuffer:
        """The recording of an exchange, begun if there is none."""
        known = self.recordings.get(timeline)
        if known is None:
            known = self.recordings[timeline] = CaptureBuffer(timeline, self)
        return known

    def take(self, recording: CaptureBuffer, weight: int) -> None:
        """Make room for the piece that was just added to `recording`."""
        self.weight += weight
        self.pieces += 1
        self.order.append((recording, recording.count))
        while self.weight > self.limit and len(self.order) > 1:
            oldest, count = self.order.popleft()
            if count > oldest.first and oldest.pieces:
                oldest.drop()
        if len(self.order) > 2 * self.pieces + SLACK:
            self.order = deque(
                (each, count)
                for each, count in self.order
                if count > each.first and each.pieces
            )

    def gave(self, weight: int, pieces: int = 1) -> None:
        """A recording has let go of pieces."""
        self.weight -= weight
        self.pieces -= pieces

    def forget(self, timeline: Timeline) -> None:
        """Let go of a recording."""
        recording = self.recordings.pop(timeline, None)
        if recording is not None:
            recording.clear()

    def clear(self) -> None:
        """Let go of all."""
        for timeline in tuple(self.recordings):
            self.forget(timeline)
        self.order.clear()
