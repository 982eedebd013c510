"""The ages of streams: spread, so that clients do not come back in step."""

from __future__ import annotations

import pytest

from proxy.exchange.stream_age import MOST_STEPS, YOUNGEST, StreamAges
from proxy.transport.ticker import RESOLUTION, Ticker
from tests.conftest import ManualClock
from tests.support.running import NEVER


class Stream:
    """Notes when it got old."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.old: list[float] = []
        self.crashes: list[Exception] = []

    def grown_old(self) -> None:
        self.old.append(self.clock())

    def crashed(self, place: str, error: Exception) -> None:
        self.crashes.append(error)


class Faulty(Stream):
    """Cannot be ended."""

    def grown_old(self) -> None:
        raise ZeroDivisionError


@pytest.fixture
def ticker(clock: ManualClock) -> Ticker:
    ticker = Ticker(clock)
    ticker.resolution = NEVER  # it ticks when the test says so
    return ticker


@pytest.mark.parametrize("seconds", [100.0, 1800.0, 86400.0])
async def test_streams_that_begin_together_end_evenly_over_the_second_half(
    clock: ManualClock, ticker: Ticker, seconds: float
) -> None:
    ages = StreamAges(seconds, ticker)
    began = clock()
    streams = [Stream(clock) for _ in range(10_000)]
    for each in streams:
        ages.add(each)
    while ages.count:
        clock.advance(max(RESOLUTION, seconds / MOST_STEPS))
        ticker.tick()
    ends = [each.old for each in streams]
    assert all(len(old) == 1 for old in ends)
    shares = [(old[0] - began) / seconds for old in ends]
    late = 2 * max(RESOLUTION, seconds / MOST_STEPS) / seconds
    assert YOUNGEST - late <= min(shares)
    assert max(shares) <= 1 + late
    fifths = [0] * 5
    for share in shares:
        at = int((share - YOUNGEST) / (1 - YOUNGEST) * 5)
        fifths[min(max(at, 0), 4)] += 1
    assert min(fifths) > 1_500  # of 2,000; five such in a row are ten deviations away
    assert not ticker.waiting


async def test_only_what_is_due_is_looked_at(
    clock: ManualClock, ticker: Ticker
) -> None:
    ages = StreamAges(1000.0, ticker)
    for _ in range(10_000):
        ages.add(Stream(clock))
    assert len(ages.due) <= MOST_STEPS
    assert sorted(ages.steps) == sorted(ages.due)
    clock.advance(400)
    ticker.tick()
    assert ages.count == 10_000


async def test_a_stream_that_ended_is_forgotten(
    clock: ManualClock, ticker: Ticker
) -> None:
    ages = StreamAges(1000.0, ticker)
    one, other = Stream(clock), Stream(clock)
    old_at = ages.add(one)
    ages.add(other)
    ages.discard(one, old_at)
    ages.discard(one, old_at)
    assert ages.count == 1
    clock.advance(1001)
    ticker.tick()
    assert one.old == []
    assert len(other.old) == 1
    ages.discard(other, old_at)
    assert not ages.due
    assert not ticker.waiting


async def test_one_that_cannot_be_ended_holds_up_no_other(
    clock: ManualClock, ticker: Ticker
) -> None:
    ages = StreamAges(1.0, ticker)
    streams = [Faulty(clock), Stream(clock), Faulty(clock), Stream(clock)]
    for each in streams:
        ages.add(each)
    clock.advance(2)
    ticker.tick()
    assert [len(each.crashes) for each in streams] == [1, 0, 1, 0]
    assert [len(each.old) for each in streams] == [0, 1, 0, 1]
