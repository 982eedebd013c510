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


async def judged(chain: Chain, product: str = "nginx") -> tuple[Result, list[str]]:
    """What the doctor says, and the URLs from the browser's side."""
    clock = asyncio.get_running_loop().time
    async with running(chain) as urls:
        plan = ProbePlan(Ask(urls[0]), hops=tuple(urls), product=product)
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


def test_a_compressor_that_keeps_its_head_has_the_cures_of_one() -> None:
    """It is asked again, for no compression: its own head would have said so."""
    [chain] = (each for each in CHAINS if each.back_end == "long")
    result, _ = run_simulated(judged(chain, product=""))
    assert "only when the client accepts compression" in result.verdict.line
    assert not result.holder.recording.answered
    assert "Accept-Encoding: identity" in [each.lines for each in result.cures]
