"""The pieces of exchanges that are recorded, in bounded memory.

A `CaptureBuffer` holds the last pieces of one exchange. A `CaptureBudget` bounds all of
them together: the oldest piece goes first, and how much went is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from proxy.internal_errors import report
from proxy.observe.burst_detector import BurstDetector, events_in
from proxy.observe.list_row import kind
from proxy.timeline import Ending, Timeline

IN_TOTAL = 16 * 1024 * 1024  # bytes, as [inspector] record_bytes has it
PARTS = 8  # of all, that one exchange may have
# What a piece costs beside its bytes: the objects that hold it.
OVERHEAD = 230
# The same of a recording, and of a head and each of its fields.
RECORDING, HEADS, FIELD = 1000, 2000, 200
SLACK = 1024  # entries of the order that may stand for pieces which are gone


class Piece(NamedTuple):
    """One piece, on its way through the proxy. Times are on the clock.

    `own`: the proxy itself has written it. `sent`: None while its peer is slow.
    """

    side: str
    arrived: float
    sent: float | None
    size: int
    data: bytes
    own: bool = False


# As it is kept: a plain tuple takes a third of the time to make.
Kept: TypeAlias = tuple[str, float, float | None, int, bytes, bool]
GONE: Kept = ("", 0.0, None, 0, b"", False)


class CaptureBuffer:
    """The last pieces of one exchange. `first` counts those that went.

    `stays`: it is kept when nobody looks any more.
    """

    __slots__ = (
        "budget",
        "bursts_seen",
        "dropped_bytes",
        "ended",
        "fed",
        "first",
        "gone",
        "heads",
        "heads_weight",
        "listeners",
        "pieces",
        "spare",
        "stale",
        "stays",
        "timeline",
        "unsent",
        "weight",
        "whole",
    )

    def __init__(self, timeline: Timeline, budget: CaptureBudget) -> None:
        self.timeline = timeline
        self.budget = budget
        self.pieces: list[Kept] = []  # from `spare` on
        self.spare = 0
        self.first = 0
        self.gone: dict[str, int] | None = None  # of each side, how many went
        self.dropped_bytes = 0
        # That wait for a slow peer: how many were before each.
        self.unsent: list[int] | None = None
        self.bursts_seen: BurstDetector | None = None  # up to the piece `fed`
        self.fed = 0
        self.weight = 0  # of the pieces
        self.stale = 0  # entries of the order whose pieces went before their turn
        self.ended = False
        self.stays = False
        self.whole = False  # from its first piece on, as long as none is dropped
        self.heads: object = None  # of an exchange that has ended
        self.heads_weight = 0
        self.listeners: list[Callable[[], None]] | None = None

    # -- what a capture tells

    def piece(self, side: str, arrived: float, sent: float | None, data: bytes) -> None:
        """Note one piece; what is oldest makes room for it."""
        budget, size = self.budget, len(data)
        if sent is None or not budget.contents:
            self.add((side, arrived, sent, size, data, False))
            return
        self.pieces.append((side, arrived, sent, size, data, False))
        weight = size + OVERHEAD
        self.weight += weight
        budget.weight += weight
        budget.order.append(self)
        if budget.weight > budget.limit or self.weight > budget.each:
            budget.make_room(self)
        if self.listeners is not None:
            self.tell()

    def add(self, piece: Kept) -> None:
        """The same for a piece of whatever kind."""
        side, arrived, sent, size, data, own = piece
        budget = self.budget
        if not budget.contents:
            self.count_events(side, arrived, data)
            data = b""
        if sent is None:
            if self.unsent is None:
                self.unsent = []
            self.unsent.append(self.count)
        self.pieces.append((side, arrived, sent, size, data, own))
        weight = len(data) + OVERHEAD
        self.weight += weight
        budget.weight += weight
        budget.order.append(self)
        budget.make_room(self)
        self.tell()

    def own(self, now: float, data: bytes) -> None:
        """Note what the proxy itself wrote into the response."""
        self.add(("response", now, now, len(data), data, True))

    def sent(self, side: str, now: float) -> None:
        """The peer has read on: what waited is out."""
        bursts = self.bursts if side == "response" else None
        if bursts is not None:
            bursts.client_read(now)
        unsent = self.unsent
        if unsent is None:
            return
        left = []
        for n in unsent:
            at = n - self.first + self.spare
            if n < self.first:  # it had to make room
                continue
            whose, arrived, _, size, data, own = self.pieces[at]
            if whose == side:
                self.pieces[at] = (side, arrived, now, size, data, own)
            else:
                left.append(n)
        self.unsent = left or None
        self.tell()

    def heartbeat(self, now: float, data: bytes) -> None:
        """Note what the proxy itself wrote to the client."""
        self.piece("heartbeat", now, now, data)

    def over(self, now: float) -> None:
        """No more will come. What waits is out by now, as the timeline has it."""
        if self.timeline.ending is Ending.COMPLETE:
            self.sent("request", now)
            self.sent("response", now)
        self.unsent = None
        self.ended = True
        self.tell()

    def keep_heads(self, heads: object, weight: int) -> None:
        """It has ended, and these were its heads: they go behind its last piece."""
        if self.heads is None:
            self.heads, self.heads_weight = heads, weight
            self.budget.weight += weight
            self.budget.order.append(self)
            self.budget.make_room(self)

    # -- room

    def drop_next(self) -> None:
        """Let go of what is oldest: a piece, or at last the heads."""
        if self.length:
            self.drop()
        else:
            self.drop_heads()
            if self.ended and self.budget.recordings.get(self.timeline) is self:
                self.budget.forget(self.timeline)

    def drop(self) -> None:
        """Let go of the oldest piece."""
        spare = self.spare
        side, _, _, size, data, _ = self.pieces[spare]
        self.pieces[spare] = GONE
        self.spare = spare = spare + 1
        if spare >= 64 and 2 * spare >= len(self.pieces):
            del self.pieces[:spare]
            self.spare = 0
        self.first += 1
        if self.gone is None:
            self.gone = {}
        self.gone[side] = self.gone.get(side, 0) + 1
        self.dropped_bytes += size
        weight = OVERHEAD + len(data)
        self.weight -= weight
        self.budget.weight -= weight

    def drop_heads(self) -> None:
        self.budget.weight -= self.heads_weight
        self.heads, self.heads_weight = None, 0

    def take_all(self) -> list[Kept]:
        """Have no pieces any more, and do not count them as gone."""
        taken = self.pieces[self.spare :]
        self.pieces, self.spare, self.fed = [], 0, self.first
        self.stale += len(taken)
        self.budget.weight -= self.weight
        self.weight = 0
        return taken

    def clear(self) -> None:
        """Let go of all."""
        self.stale += self.length + (self.heads is not None)
        while self.length:
            self.drop()
        self.drop_heads()
        self.unsent = None

    # -- who looks

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it whenever there is something new."""
        self.listeners = [*(self.listeners or ()), listener]

    def hear_no_more(self, listener: Callable[[], None]) -> None:
        """Call it no longer."""
        left = [each for each in self.listeners or () if each != listener]
        self.listeners = left or None

    def tell(self) -> None:
        for listener in self.listeners or ():
            try:
                listener()
            except Exception as error:
                self.hear_no_more(listener)
                report("a subscriber to a recording", error)

    @property
    def length(self) -> int:
        """How many pieces are here."""
        return len(self.pieces) - self.spare

    @property
    def last_size(self) -> int:
        """Bytes of the last piece."""
        return self.pieces[-1][3]

    @property
    def count(self) -> int:
        """How many pieces there were, those that went included."""
        return self.first + self.length

    def since(self, count: int) -> Iterator[Piece]:
        """The pieces after the first `count`, as far as they are here."""
        begin = self.spare + max(count - self.first, 0)
        return map(Piece._make, islice(self.pieces, begin, None))

    def is_sent(self, n: int) -> float | None:
        """When the piece behind so many went out; None: it waits, or is gone."""
        return self.pieces[n - self.first + self.spare][2] if n >= self.first else None

    @property
    def bursts(self) -> BurstDetector | None:
        """What is known of its bursts, if it is a stream of events.

        Found out when it is asked for: most are never looked at.
        """
        if self.budget.contents:
            for piece in self.since(self.fed):
                self.count_events(piece.side, piece.arrived, piece.data)
            self.fed = self.count
        return self.bursts_seen

    def count_events(self, side: str, arrived: float, data: bytes) -> None:
        """For the verdict on bursts."""
        if side != "response":
            return
        what = kind(self.timeline)
        if what in ("event-stream", "ndjson"):
            if self.bursts_seen is None:
                self.bursts_seen = BurstDetector()
            self.bursts_seen.piece(arrived, events_in(data, what))


class CaptureBudget:
    """Bounds what all recordings hold; of all pieces the oldest goes first.

    `contents`: are the bytes of pieces kept, or only their sizes?
    """

    def __init__(self, limit: int = IN_TOTAL) -> None:
        self.resize(limit)
        self.contents = True
        self.weight = 0
        self.recordings: dict[Timeline, CaptureBuffer] = {}
        # A recording for each piece and all heads that were taken, in their order;
        # some of them are gone meanwhile.
        self.order: deque[CaptureBuffer] = deque()

    def resize(self, limit: int) -> None:
        """Have another limit, for what comes from now on."""
        self.limit = limit
        self.each = limit // PARTS  # that one exchange may have

    def has_room(self) -> bool:
        """May one more exchange be recorded? What is open is not dropped for it."""
        return len(self.recordings) * RECORDING < self.limit // 2

    def record(self, timeline: Timeline) -> CaptureBuffer:
        """The recording of an exchange, begun if there is none."""
        known = self.recordings.get(timeline)
        if known is None:
            known = CaptureBuffer(timeline, self)
            self.adopt(known)
        return known

    def adopt(self, recording: CaptureBuffer) -> None:
        """A new recording, of whatever kind."""
        self.recordings[recording.timeline] = recording
        self.weight += RECORDING

    def make_room(self, recording: CaptureBuffer) -> None:
        """For what was just added to `recording`: drop what is too much."""
        while recording.weight > self.each and recording.length > 1:
            recording.drop()
            recording.stale += 1
        order = self.order
        while self.weight > self.limit and len(order) > 1:
            oldest = order.popleft()
            if oldest.stale:
                oldest.stale -= 1
            else:
                oldest.drop_next()
        if len(order) > 2 * self.weight // OVERHEAD + SLACK:
            self.order = deque(self.in_order())

    def shrink(self) -> None:
        """The limit may be a lower one now."""
        while self.weight > self.limit and self.order:
            oldest = self.order.popleft()
            if oldest.stale:
                oldest.stale -= 1
            else:
                oldest.drop_next()

    def in_order(self) -> Iterator[CaptureBuffer]:
        """The order without what is gone."""
        for each in self.order:
            if each.stale:
                each.stale -= 1
            else:
                yield each

    def forget(self, timeline: Timeline) -> None:
        """Let go of a recording."""
        recording = self.recordings.pop(timeline, None)
        if recording is not None:
            self.weight -= RECORDING
            recording.clear()
            recording.budget = FORGOTTEN  # of what a capture still brings, one piece

    def clear(self) -> None:
        """Let go of all."""
        for timeline, recording in tuple(self.recordings.items()):
            self.forget(timeline)
            recording.stale = 0
        self.order.clear()
        self.weight = 0


FORGOTTEN = CaptureBudget(0)
