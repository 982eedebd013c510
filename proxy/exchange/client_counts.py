"""How many streams each client has open, in this process or in all workers.

Theory: a number that all workers share needs a lock, or an answer of another worker
before a request may go on.
Practice: memory that they share, in which each worker has a row that it alone writes.
It counts a stream in four places of its row, which the client's key decides; the
client has as many as the smallest sum over all rows says. With 10,000 clients at the
same time one in 2,000 is counted as one more than it has, with 1,000 none in a million.
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import Protocol

from proxy.policy.counted_client import KEY_BYTES
from proxy.timeline import Clock

SLOTS = 1 << 18  # of a row
NUMBER_BYTES = 4
ROW_BYTES = SLOTS * NUMBER_BYTES
PLACES = Struct("=4I")
QUIET_SECONDS = 10.0  # between two lines of the log for one route

assert PLACES.size == KEY_BYTES


class SharedRows:
    """The memory of all workers; made before they are forked.

    The system gives it page by page when something is counted.
    """

    __slots__ = ("count", "memory", "used")

    def __init__(self, count: int) -> None:
        self.count = count
        self.memory = memoryview(mmap.mmap(-1, count * ROW_BYTES)).cast("I")
        self.used = memoryview(mmap.mmap(-1, count))  # 1: the row is not all zeros

    def clear(self, row: int) -> None:
        """Nothing is open in a worker any more: it has ended, however it did."""
        if self.used[row]:
            self.memory[row * SLOTS : (row + 1) * SLOTS] = memoryview(
                bytes(ROW_BYTES)
            ).cast("I")
            self.used[row] = 0

    def add(self, row: int, key: bytes, by: int) -> None:
        """So many more streams of a client in a worker."""
        self.used[row] = 1
        for place in PLACES.unpack(key):
            self.memory[row * SLOTS + place % SLOTS] += by

    def total(self, key: bytes) -> int:
        """How many a client has in all of them."""
        memory = self.memory
        return min(sum(memory[place % SLOTS :: SLOTS]) for place in PLACES.unpack(key))


class Unread(Protocol):
    """A kept stream that is read on without a client."""

    def expire(self) -> None:
        """Its room is needed: let go of what is kept."""


class Refusals:
    """Of one route: how many requests, and when the log last had a line of it."""

    __slots__ = ("count", "told_at", "untold")

    def __init__(self) -> None:
        self.count = 0
        self.untold = 0
        self.told_at: float | None = None

    def add(self, now: float) -> int | None:
        """One more. How many there were since the last line, if one is due."""
        self.count += 1
        if self.told_at is not None and now - self.told_at < QUIET_SECONDS:
            self.untold += 1
            return None
        self.told_at, untold, self.untold = now, self.untold, 0
        return untold


class ClientCounts:
    """Those of one worker, and with `rows` of all. A reload does not change it."""

    __slots__ = ("own", "refusals", "row", "rows", "secret", "unread")

    def __init__(
        self, secret: bytes, rows: SharedRows | None = None, row: int = 0
    ) -> None:
        self.secret = secret
        self.rows = rows
        self.row = row
        self.own: dict[bytes, int] = {}
        # By client, the kept streams that it has left, the longest ago first.
        self.unread: dict[bytes, dict[Unread, None]] = {}
        self.refusals: dict[str, Refusals] = {}

    def add(self, key: bytes) -> int:
        """A client has one more; how many these are."""
        self.own[key] = own = self.own.get(key, 0) + 1
        if self.rows is None:
            return own
        self.rows.add(self.row, key, 1)
        return self.rows.total(key)

    def remove(self, key: bytes) -> None:
        """A client has one less."""
        left = self.own[key] - 1
        if left:
            self.own[key] = left
        else:
            del self.own[key]
        if self.rows is not None:
            self.rows.add(self.row, key, -1)

    def total(self, key: bytes) -> int:
        """How many a client has."""
        if self.rows is None:
            return self.own.get(key, 0)
        return self.rows.total(key)

    def refused(self, prefix: str, clock: Clock) -> int | None:
        """A request was refused: see `Refusals.add`."""
        refusals = self.refusals.get(prefix)
        if refusals is None:
            refusals = self.refusals[prefix] = Refusals()
        return refusals.add(clock())

    # -- kept streams without a client

    def left(self, key: bytes, stream: Unread, most: int) -> None:
        """A client has left one of its streams, which is read on."""
        self.unread.setdefault(key, {})[stream] = None
        self.make_room(key, self.total(key), most)

    def taken_up(self, key: bytes, stream: Unread) -> None:
        """It is read on no more, or not without a client."""
        streams = self.unread.get(key)
        if streams is not None:
            streams.pop(stream, None)
            if not streams:
                del self.unread[key]

    def make_room(self, key: bytes, count: int, most: int) -> None:
        """With the open ones those are no more than `most`: the oldest go."""
        while (streams := self.unread.get(key)) and count + len(streams) > most:
            stream = next(iter(streams))
            self.taken_up(key, stream)
            stream.expire()
