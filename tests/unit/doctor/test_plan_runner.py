"""What is asked again, and when. Without a socket: the runner is given recordings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from proxy.timeline import monotonic
from proxy.tools.doctor.probe.beside import Measurement
from proxy.tools.doctor.probe.fetch import FetchedResponse
from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan, under_way
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.record import Arrival, ProbeRecording
from proxy.tools.doctor.result import Result
from tests.unit.doctor.recordings import event, recorded

URLS = ("http://front/", "http://middle/", "http://back/")


def late_by(*seconds: float) -> list[ProbeRecording]:
    """A chain whose hops are each late by so much, behind prompt heads."""
    return [
        replace(
            recorded(*((number * 0.2 + late, event(number)) for number in range(8))),
            url=url,
            product="none that is asked for",
        )
        for url, late in zip(URLS, seconds, strict=True)
    ]


class Given(PlanRunner):
    """Measures nothing."""

    def __init__(self, *chains: list[ProbeRecording]) -> None:
        super().__init__(lambda _: None, asyncio.Event())
        self.chains: Iterator[list[ProbeRecording]] = iter(chains)
        self.asked = 0

    async def at_each(self, asks: list[Ask], plan: ProbePlan) -> list[ProbeRecording]:
        self.asked += 1
        return next(self.chains)


async def judged(runner: Given) -> Result:
    return await runner.hops(ProbePlan(Ask(URLS[0]), URLS, product="nginx"))


async def test_a_free_chain_is_measured_once() -> None:
    runner = Given(late_by(0, 0, 0))
    assert (await judged(runner)).status == 0
    assert runner.asked == 1


def collected(one: ProbeRecording, at: float) -> ProbeRecording:
    """The same, all of it at once."""
    return replace(one, arrivals=(Arrival(at, 90, one.content),), ended=at)


async def test_a_long_hold_is_measured_once() -> None:
    *others, last = late_by(2.0, 2.0, 0)
    runner = Given([*(collected(each, 3.4) for each in others), last])
    assert (await judged(runner)).holder.recording.url == URLS[1]
    assert runner.asked == 1


async def test_what_only_comes_later_is_measured_again_however_long() -> None:
    """Two answers of one back end, each with a pace of its own, look like that."""
    runner = Given(late_by(2.0, 2.0, 0), late_by(0, 0, 0))
    assert (await judged(runner)).status == 0
    assert runner.asked == 2


async def test_a_little_that_comes_again_at_the_same_hop_is_held() -> None:
    runner = Given(late_by(0.3, 0.3, 0), late_by(0.4, 0.3, 0))
    assert (await judged(runner)).holder.recording.url == URLS[1]
    assert runner.asked == 2


async def test_all_at_once_and_a_little_late_is_asked_for_again() -> None:
    at_once = [
        collected(each, 0.3)
        if number == 0
        else replace(
            each, arrivals=tuple(replace(one, at=one.at / 10) for one in each.arrivals)
        )
        for number, each in enumerate(late_by(0, 0, 0))
    ]
    runner = Given(at_once, late_by(0, 0, 0))
    assert (await judged(runner)).status == 0
    assert runner.asked == 2


async def test_a_little_that_does_not_come_again_is_a_busy_machine() -> None:
    runner = Given(late_by(0.3, 0.3, 0), late_by(0, 0, 0))
    assert (await judged(runner)).status == 0
    assert runner.asked == 2


async def test_a_little_at_another_hop_each_time_is_asked_for_three_times() -> None:
    runner = Given(late_by(0.3, 0.3, 0), late_by(0.3, 0, 0), late_by(0, 0, 0))
    assert (await judged(runner)).status == 0
    assert runner.asked == 3


# -- what is said meanwhile -------------------------------------------------------


def measured(label: str = "") -> Measurement:
    return Measurement(Ask("http://a/", label=label))


async def test_the_progress_says_what_came_and_of_what_nothing() -> None:
    free = measured("without compression")
    free.response = FetchedResponse(free.ask, None, monotonic)
    free.response.arrivals = [Arrival(0.1, 1, b"x")] * 3
    both = [measured(), free, measured("with Accept: */*")]
    assert under_way(both, 3.25) == (
        "3.2 s, 3 reads without compression, nothing yet as a browser asks, with "
        "Accept: */*"
    )


def test_the_progress_of_many_is_a_number() -> None:
    many = [measured(str(number)) for number in range(14)]
    assert under_way(many, 2.0) == "2.0 s, 14 streams: 0 reads"
