"""Calls at exact times: never before they are due, on either loop."""

from __future__ import annotations

import asyncio

import pytest

from proxy.origin.loop_timer import LoopTimer
from proxy.timeline import monotonic
from tests.support.raw import GUARD


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("delay", [-1.0, 0.0, 0.0003, 0.0012, 0.0047])
async def test_a_call_is_never_early(delay: float, exact: bool) -> None:
    timer = LoopTimer()
    called: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    due = timer.time() + delay
    timer.call_at(due, lambda: called.set_result(monotonic()), exact=exact)
    assert not called.done()  # not in the same turn either
    async with asyncio.timeout(GUARD):
        assert await called >= due


@pytest.mark.parametrize("exact", [False, True])
async def test_a_call_that_is_cancelled_never_comes(exact: bool) -> None:
    timer = LoopTimer()
    called: list[str] = []
    done = asyncio.Event()
    due = timer.time() + 0.001
    timer.call_at(due, lambda: called.append("cancelled"), exact=exact).cancel()
    timer.call_at(due + 0.001, done.set, exact=exact)
    async with asyncio.timeout(GUARD):
        await done.wait()
    assert called == []
