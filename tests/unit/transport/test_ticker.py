"""The one clock: whatever an item does, the others are looked at, and again."""

from __future__ import annotations

import pytest

from proxy.transport.ticker import Ticker
from tests.conftest import InternalErrorLog, ManualClock


class Item:
    """Notes what happens to it; raises when it is told to."""

    def __init__(self, raises: str = "") -> None:
        self.raises = raises
        self.checked = 0
        self.crashes: list[str] = []

    def check(self, now: float) -> None:
        self.checked += 1
        if self.raises:
            raise RuntimeError(self.raises)

    def crashed(self, place: str, error: Exception) -> None:
        self.crashes.append(str(error))
        if self.raises == "twice":
            raise RuntimeError("again")


@pytest.fixture
async def ticker(clock: ManualClock) -> Ticker:
    return Ticker(clock)


@pytest.mark.parametrize("raises", ["once", "twice"])
async def test_an_item_that_raises_is_dropped_and_the_clock_goes_on(
    ticker: Ticker, raises: str, internal_errors: InternalErrorLog
) -> None:
    items = [Item(), Item(raises), Item()]
    for item in items:
        ticker.add(item)
    ticker.tick()
    ticker.tick()
    assert [item.checked for item in items] == [2, 1, 2]
    assert items[1].crashes == [raises]
    assert ticker.timer is not None
    assert len(internal_errors.told) == (raises == "twice")
    ticker.stop()


async def test_the_clock_goes_on_though_the_last_item_raises(
    ticker: Ticker,
) -> None:
    ticker.add(Item("once"))
    ticker.tick()
    ticker.add(item := Item())
    assert ticker.timer is not None
    ticker.tick()
    assert item.checked == 1
    ticker.stop()


async def test_an_item_that_another_one_removed_is_not_checked(
    ticker: Ticker,
) -> None:
    class Remover(Item):
        def check(self, now: float) -> None:
            super().check(now)
            for other in items:
                if other is not self:
                    ticker.discard(other)

    items = [Remover(), Remover()]
    for item in items:
        ticker.add(item)
    ticker.tick()
    assert sum(item.checked for item in items) == 1
    ticker.stop()


async def test_who_is_told_of_the_lag_cannot_stop_the_clock(
    ticker: Ticker, internal_errors: InternalErrorLog
) -> None:
    def lagged(seconds: float) -> None:
        raise RuntimeError("no room for it")

    ticker.lagged = lagged
    ticker.add(item := Item())
    ticker.rang()
    assert item.checked == 1
    assert ticker.timer is not None
    assert len(internal_errors.told) == 1
    ticker.stop()


async def test_a_clock_that_cannot_be_read_is_read_again(
    internal_errors: InternalErrorLog,
) -> None:
    broken = False

    def clock() -> float:
        if broken:
            raise RuntimeError("no time")
        return 1.0

    ticker = Ticker(clock)
    ticker.add(item := Item())
    broken = True
    ticker.rang()
    assert ticker.timer is not None
    broken = False
    ticker.rang()
    assert item.checked == 1
    ticker.stop()
