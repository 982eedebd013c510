"""The one clock: whatever an item does, the others are looked at, and again."""

from __future__ import annotations

import pytest

from proxy.transport.deadlines import Deadlines
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
async def deadlines(clock: ManualClock) -> Deadlines:
    return Deadlines(clock)


@pytest.mark.parametrize("raises", ["once", "twice"])
async def test_an_item_that_raises_is_dropped_and_the_clock_goes_on(
    deadlines: Deadlines, raises: str, internal_errors: InternalErrorLog
) -> None:
    items = [Item(), Item(raises), Item()]
    for item in items:
        deadlines.add(item)
    deadlines.tick()
    deadlines.tick()
    assert [item.checked for item in items] == [2, 1, 2]
    assert items[1].crashes == [raises]
    assert deadlines.timer is not None
    assert len(internal_errors.told) == (raises == "twice")
    deadlines.stop()


async def test_the_clock_goes_on_though_the_last_item_raises(
    deadlines: Deadlines,
) -> None:
    deadlines.add(Item("once"))
    deadlines.tick()
    deadlines.add(item := Item())
    assert deadlines.timer is not None
    deadlines.tick()
    assert item.checked == 1
    deadlines.stop()


async def test_an_item_that_another_one_removed_is_not_checked(
    deadlines: Deadlines,
) -> None:
    class Remover(Item):
        def check(self, now: float) -> None:
            super().check(now)
            for other in items:
                if other is not self:
                    deadlines.discard(other)

    items = [Remover(), Remover()]
    for item in items:
        deadlines.add(item)
    deadlines.tick()
    assert sum(item.checked for item in items) == 1
    deadlines.stop()


async def test_who_is_told_of_the_lag_cannot_stop_the_clock(
    deadlines: Deadlines, internal_errors: InternalErrorLog
) -> None:
    def lagged(seconds: float) -> None:
        raise RuntimeError("no room for it")

    deadlines.lagged = lagged
    deadlines.add(item := Item())
    deadlines.rang()
    assert item.checked == 1
    assert deadlines.timer is not None
    assert len(internal_errors.told) == 1
    deadlines.stop()


async def test_a_clock_that_cannot_be_read_is_read_again(
    internal_errors: InternalErrorLog,
) -> None:
    broken = False

    def clock() -> float:
        if broken:
            raise RuntimeError("no time")
        return 1.0

    deadlines = Deadlines(clock)
    deadlines.add(item := Item())
    broken = True
    deadlines.rang()
    assert deadlines.timer is not None
    broken = False
    deadlines.rang()
    assert item.checked == 1
    deadlines.stop()
