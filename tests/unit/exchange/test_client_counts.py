"""How many streams each client has: exact in one worker, and over all of them."""

from __future__ import annotations

import os
import random

import pytest

from proxy.exchange.client_counts import (
    QUIET_SECONDS,
    ROW_BYTES,
    ClientCounts,
    SharedRows,
)
from proxy.policy.counted_client import KEY_BYTES
from tests.conftest import ManualClock

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(range(KEY_BYTES, 2 * KEY_BYTES))


class Stream:
    """A kept stream that nobody reads."""

    expired = False

    def expire(self) -> None:
        self.expired = True


def test_one_worker_counts_exactly_and_keeps_nothing() -> None:
    counts = ClientCounts(b"")
    assert [counts.add(KEY), counts.add(KEY), counts.add(OTHER)] == [1, 2, 1]
    counts.remove(KEY)
    assert counts.total(KEY) == 1
    counts.remove(KEY)
    counts.remove(OTHER)
    assert not counts.own
    assert counts.total(KEY) == 0


def test_workers_count_together() -> None:
    rows = SharedRows(3)
    one, two, three = (ClientCounts(b"", rows, number) for number in range(3))
    assert [one.add(KEY), two.add(KEY), one.add(KEY)] == [1, 2, 3]
    assert three.total(KEY) == 3
    assert three.total(OTHER) == 0
    one.remove(KEY)
    assert three.total(KEY) == 2
    rows.clear(0)
    assert three.total(KEY) == 1
    rows.clear(2)  # which has counted nothing
    two.remove(KEY)
    assert not any(rows.memory)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forks")
def test_the_memory_is_that_of_forks() -> None:
    rows = SharedRows(2)
    read, write = os.pipe()
    if not os.fork():  # pragma: no cover - in another process
        ClientCounts(b"", rows, 1).add(KEY)
        os.write(write, b".")
        os._exit(0)
    os.read(read, 1)
    os.wait()
    for each in (read, write):
        os.close(each)
    assert ClientCounts(b"", rows, 0).add(KEY) == 2


def test_few_clients_are_taken_for_one_another() -> None:
    """Of 10,000 at once; each that is makes a client look as if it had one more."""
    rows = SharedRows(2)
    chance = random.Random(1)
    keys = [chance.randbytes(KEY_BYTES) for _ in range(10_000)]
    for number, key in enumerate(keys):
        rows.add(number % 2, key, 1)
    assert sum(rows.total(key) > 1 for key in keys) < 20
    for number, key in enumerate(keys):
        rows.add(number % 2, key, -1)
    assert bytes(rows.memory) == bytes(2 * ROW_BYTES)


def test_streams_that_nobody_reads_make_room_the_oldest_first() -> None:
    counts = ClientCounts(b"")
    streams = [Stream() for _ in range(4)]
    for each in streams[:3]:
        counts.left(KEY, each, 3)
    assert not any(each.expired for each in streams)
    counts.left(KEY, streams[3], 3)
    assert [each.expired for each in streams] == [True, False, False, False]
    counts.make_room(KEY, counts.add(KEY), 3)
    assert [each.expired for each in streams] == [True, True, False, False]
    counts.taken_up(KEY, streams[2])
    counts.make_room(KEY, 9, 3)
    assert [each.expired for each in streams] == [True, True, False, True]
    assert not counts.unread
    counts.taken_up(OTHER, streams[0])


def test_a_line_of_the_log_is_due_once_in_a_while(clock: ManualClock) -> None:
    counts = ClientCounts(b"")
    assert counts.refused("/a", clock) == 0
    assert counts.refused("/b", clock) == 0
    assert [counts.refused("/a", clock) for _ in range(3)] == [None] * 3
    clock.advance(QUIET_SECONDS)
    assert counts.refused("/a", clock) == 3
    assert counts.refused("/a", clock) is None
    assert counts.refusals["/a"].count == 6
