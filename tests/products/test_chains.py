"""Chains of our own, of which the answer is known: `--via` finds each.

Over real sockets, in simulated time: a busy machine delays nothing.
"""

from __future__ import annotations

import asyncio

import pytest

from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.result import Result
from tests.products.chains import CHAINS, Chain, running
from tests.support.simulated_time import run_simulated

pytestmark = pytest.mark.products


async def judged(chain: Chain) -> tuple[Result, list[str]]:
    """What the doctor says, and the URLs from the browser's side."""
    clock = asyncio.get_running_loop().time
    async with running(chain) as urls:
        plan = ProbePlan(Ask(urls[0]), hops=tuple(urls), product="nginx")
        result = await PlanRunner(lambda _: None, asyncio.Event(), clock).hops(plan)
        return result, urls


@pytest.mark.parametrize("chain", [pytest.param(each, id=each.name) for each in CHAINS])
def test_the_hop_that_holds_is_found(chain: Chain) -> None:
    result, urls = run_simulated(judged(chain))
    assert result.verdict.kind in chain.kinds, result.verdict
    assert result.verdict.held is (chain.holder is not None), result.verdict
    if chain.holder is not None:
        place = len(urls) - 1 - urls.index(result.holder.recording.url)
        assert place == chain.holder, result.verdict
    found = {each.compared.by.name.lower() for each in result.cases if each.compared}
    assert chain.by in found
