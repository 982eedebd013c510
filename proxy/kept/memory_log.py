"""A log in the memory of this process, and the budget of all of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from proxy.internal_errors import report
from proxy.kept.log import FallenOut, StreamLog
from proxy.stream.event_index import NO_EVENT, SHORTEST, Cut

CUT_BYTES: Final = 8
# Of an entry of `ids`, beside the id itself: two objects, and a dictionary that is
# nearly empty because it has just grown.
ID_BYTES: Final = 200
LOG_BYTES: Final = (
    5 * 1024
)  # of a stream with an empty log: heads, accounts, all objects
# Charged in advance, so that the memory is not counted for each piece: a quarter of
# what is used, between these two.
LEAST_ROOM: Final = 4096
MOST_ROOM: Final = 128 * 1024
# Of memory for a byte of a plain event, at most. Cuts of others are counted.
DENSITY: Final = 1 + CUT_BYTES // SHORTEST
LEAST_TRIM: Final = 4096  # bytes; less is not worth a trim
PRESSED: Final = 16  # a part of the budget: as much is made free at once
MOST_DIGITS: Final = 18


class MemoryLog(StreamLog):
    """A log in one bytearray.

    `prefix`: of the ids that `EventIndex` has numbered. As long as every event has one
    of them, the number is that of the event, and no id needs to be kept. Others are.
    It is a secret, so no id of an upstream begins with it.
    """

    __slots__ = (
        "budget",
        "buffer",
        "charged",
        "closed",
        "comments",
        "count_at",
        "dropped",
        "events",
        "ids",
        "ids_bytes",
        "in_order",
        "max_bytes",
        "ours",
        "prefix",
    )

    def __init__(self, budget: Budget, max_bytes: int, prefix: bytes | None) -> None:
        super().__init__()
        self.budget = budget
        self.max_bytes = max_bytes
        self.prefix = b"" if prefix is None else prefix
        self.buffer = bytearray()
        self.events = array("Q")  # cuts behind an event, from `first` on
        self.comments = array("Q")  # the other cuts
        self.dropped = 0  # events before the first of these
        self.in_order = prefix is not None  # has every event an id of ours?
        self.ours = 0  # otherwise: as many as had
        # Other ids, each with the end of its last event; oldest first.
        self.ids: dict[bytes, int] = {}
        self.ids_bytes = 0
        self.charged = 0  # to the budget; at least what is used
        self.count_at = 0  # the end from which on the memory is to be counted
        self.closed = False

    @property
    def bytes_used(self) -> int:
        cuts = len(self.events) + len(self.comments)
        return len(self.buffer) + CUT_BYTES * cuts + self.ids_bytes

    def append(self, piece: bytes, cuts: Sequence[Cut]) -> None:
        end = self.end
        self.buffer += piece
        for offset, id in cuts:
            if (id is None and not self.in_order) or (
                id and self.in_order and id.startswith(self.prefix)
            ):
                self.events.append(end + offset)
            else:
                self.note(end + offset, id)
        self.end = end = end + len(piece)
        self.count_at -= CUT_BYTES * len(cuts)
        if end > self.count_at:
            self.settle()

    def append_event(self, event: bytes, numbered: bool) -> bool:
        buffer = self.buffer
        buffer += event
        self.end = end = self.end + len(event)
        if numbered is self.in_order:
            self.events.append(end)
        else:
            self.note(end, None)
        if end <= self.count_at:
            return False
        self.settle()
        return True

    def note(self, position: int, id: bytes | None) -> None:
        """A cut of another kind."""
        if id == NO_EVENT:
            self.comments.append(position)
            return
        if self.in_order:
            self.in_order = False
            self.ours = self.dropped + len(self.events)
        self.events.append(position)
        if id is not None:
            self.keep_id(id, position)

    def keep_id(self, id: bytes, position: int) -> None:
        """An id that is not known by its number."""
        id = id.strip(b" \t")  # a field of a request has none around its value
        if not id:
            return
        if self.ids.pop(id, None) is None:
            cost = ID_BYTES + len(id)
            self.ids_bytes += cost
            self.count_at -= cost
        self.ids[id] = position

    def begin_at(self, position: int, events: int, *, at_cut: bool) -> None:
        """Begin in the middle of a stream, while nothing is in it.

        `events`: how many end up to there; -1: that is not known. `at_cut`: one begins.
        If none does, the end of that which began before may not be seen, so that
        numbers are not counted.
        """
        self.first = self.end = position
        if events < 0 or not at_cut:
            self.in_order = False
            events = max(events, 0)
        if at_cut and position:
            if events:
                events -= 1
                self.events.append(position)
            else:
                self.comments.append(position)
        self.dropped = events
        self.settle()

    # -- reading

    def read(self, position: int, most: int) -> bytes:
        if position < self.first:
            raise FallenOut(position, self.first)
        start = position - self.first
        return bytes(self.buffer[start : start + most])

    def after_id(self, id: bytes) -> int | None:
        id = id.strip(b" \t")
        position = self.ids.get(id)
        if position is not None:
            return position
        number = number_of(id, self.prefix)
        if not self.dropped < number <= self.last_number:
            return None
        return self.events[number - 1 - self.dropped]

    @property
    def last_number(self) -> int:
        """The number of the last event that has an id of ours."""
        return self.dropped + len(self.events) if self.in_order else self.ours

    def has_had(self, id: bytes) -> bool:
        number = number_of(id.strip(b" \t"), self.prefix)
        if not number:
            return self.after_id(id) is not None
        last = number_of(next(reversed(self.ids), b""), self.prefix)
        return number <= max(last, self.last_number, self.dropped)

    def last_events(self, n: int) -> int | None:
        if 0 < n < len(self.events):
            return self.events[-(n + 1)]
        if n > 0:
            return self.cut_at_or_after(self.first)
        return self.last_cut()

    def last_cut(self) -> int | None:
        """The last cut of all."""
        last = -1 if self.first else 0
        if self.events:
            last = self.events[-1]
        if self.comments:
            last = max(last, self.comments[-1])
        return None if last < 0 else last

    def cut_at_or_after(self, position: int) -> int | None:
        if position <= 0 and self.first == 0:
            return 0
        event = next_in(self.events, position)
        comment = next_in(self.comments, position)
        if event is None or comment is None:
            return comment if event is None else event
        return min(event, comment)

    def is_cut(self, position: int) -> bool:
        return self.cut_at_or_after(position) == position

    # -- giving back

    def roll_back(self) -> int:
        last = self.last_cut()
        if last is None:
            last = self.first
        del self.buffer[last - self.first :]
        self.end = last
        return last

    def trim(self, keep_from: int) -> None:
        spare = keep_from - self.first
        if spare >= LEAST_TRIM and 2 * spare >= len(self.buffer):
            last = max(
                last_in(self.events, keep_from), last_in(self.comments, keep_from)
            )
            if last > self.first:
                self.drop(last)
                self.settle()

    def close(self) -> None:
        self.closed = True
        self.count_at = self.end  # what is appended is dropped in `settle`
        self.empty()
        self.budget.release(self)

    def empty(self) -> None:
        """Forget all; really give it back."""
        self.dropped += len(self.events)
        self.first = self.end
        self.buffer = bytearray()
        self.events = array("Q")
        self.comments = array("Q")
        self.ids = {}
        self.ids_bytes = 0

    def drop(self, position: int) -> None:
        """Forget what stands before a position; a cut at the position stays."""
        gone = position - self.first
        self.first = position
        if gone >= len(self.buffer):
            self.buffer = bytearray()
        else:
            # In place: to cut off the front itself makes the next growth a copy.
            start = self.buffer[gone]
            del self.buffer[1 : gone + 1]
            self.buffer[0] = start
        events = bisect_left(self.events, position)
        self.dropped += events
        del self.events[:events]
        del self.comments[: bisect_left(self.comments, position)]
        old = []
        for id, end in self.ids.items():
            if end >= position:
                break
            old.append(id)
        for id in old:
            del self.ids[id]
            self.ids_bytes -= ID_BYTES + len(id)

    def shrink(self, target: int) -> None:
        """Forget whole events until no more than `target` bytes are used.

        If that is not enough, bytes of the last one.
        """
        used = self.bytes_used
        while used > target and self.first < self.end:
            # In proportion, as if all events were alike.
            part = (used - target) * len(self.buffer) // used + 1
            position = self.cut_at_or_after(self.first + part)
            if position is None or position == self.end:  # all, for one long event
                position = min(self.end, self.first + part)
            self.drop(position)
            used = self.bytes_used

    def settle(self) -> None:
        """Count the memory, charge it, make room if it is too much. Never raises."""
        if self.closed:
            self.empty()
            return
        budget, used = self.budget, self.bytes_used
        if used > self.max_bytes:
            self.shrink(self.max_bytes - self.max_bytes // 8)
            used = self.bytes_used
        wanted = self.wanted(used)
        if not budget.charge(self, wanted):
            budget.press(wanted - self.charged)
            used = self.bytes_used
            budget.charge(self, self.wanted(used))
        limit = self.charged - LOG_BYTES
        if used > limit:
            self.shrink(limit - limit // 8)
            used = self.bytes_used
        self.count_later(used)

    def wanted(self, used: int) -> int:
        """What is to be charged: what is used, and what may come before the next time.

        Less where the bound is near.
        """
        most = max(self.max_bytes - used, 0)
        return LOG_BYTES + used + min(max(LEAST_ROOM, used // 4), MOST_ROOM, most)

    def count_later(self, used: int) -> None:
        """Count again before more can be used than is charged."""
        room = max(self.charged - LOG_BYTES - used, 0)
        self.count_at = self.end + room // DENSITY

    def halve(self) -> None:
        """Forget half of it, for others that need the memory."""
        self.shrink(self.bytes_used // 2)
        used = self.bytes_used
        self.budget.charge(self, min(self.wanted(used), self.charged))
        self.count_later(used)


class Budget:
    """How much memory all logs together may take."""

    __slots__ = ("evict", "logs", "max_bytes", "used")

    def __init__(self, max_bytes: int, evict: Callable[[], object]) -> None:
        self.max_bytes = max_bytes
        self.evict = evict  # closes the logs that are needed least, if there are any
        self.used = 0  # charged to all logs
        self.logs: dict[MemoryLog, None] = {}

    def open(self, max_bytes: int, prefix: bytes | None) -> MemoryLog | None:
        """A new log; None if there is no memory for one."""
        log = MemoryLog(self, max_bytes, prefix)
        return log if self.take_in(log) else None

    def take_in(self, log: MemoryLog) -> bool:
        """Have one more log, which is empty; False if there is no memory for it."""
        self.logs[log] = None
        log.settle()
        if not log.charged:
            log.close()
        return not log.closed

    def charge(self, log: MemoryLog, bytes: int) -> bool:
        """Charge so much to a log from now on; False if there is not as much."""
        if log.closed:
            return True
        more = bytes - log.charged
        if more > 0 and self.used + more > self.max_bytes:
            return False
        log.charged = bytes
        self.used += more
        return True

    def release(self, log: MemoryLog) -> None:
        """A log was closed."""
        self.used -= log.charged
        log.charged = 0
        self.logs.pop(log, None)

    def press(self, bytes: int) -> None:
        """Make room: what may be closed is; then the largest logs are halved.

        A good part at once, so that it is not needed for each piece.
        """
        target = self.max_bytes - max(bytes, self.max_bytes // PRESSED)
        try:
            while self.used > target:
                before = self.used
                self.evict()
                if self.used >= before:
                    break
        except Exception as error:
            report("making room for the logs of streams", error)
        for log in sorted(self.logs, key=charged_to, reverse=True):
            if self.used <= target:
                break
            log.halve()


def charged_to(log: MemoryLog) -> int:
    """What is charged to a log."""
    return log.charged


def number_of(id: bytes, prefix: bytes) -> int:
    """The number in an id of ours, from 1 on; 0: it is none."""
    number = id[len(prefix) :]
    if not prefix or not id.startswith(prefix):
        return 0
    if not number.isdigit() or len(number) > MOST_DIGITS or number.startswith(b"0"):
        return 0
    return int(number)


def next_in(cuts: array[int], position: int) -> int | None:
    """The first cut from a position on."""
    index = bisect_left(cuts, position)
    return cuts[index] if index < len(cuts) else None


def last_in(cuts: array[int], position: int) -> int:
    """The last cut up to a position; 0 if there is none."""
    index = bisect_right(cuts, position)
    return cuts[index - 1] if index else 0
