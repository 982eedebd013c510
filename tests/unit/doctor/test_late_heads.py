"""A head that is held in some requests and not in others, of one URL."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.tools.doctor.comparison import OVER_HTTP1
from proxy.tools.doctor.probe.beside import Measurement, Watch
from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import event, recorded

CODED = (("Accept", "text/event-stream"), ("Accept-Encoding", "gzip"))
PLAIN = (("Accept", "text/event-stream"), ("Accept-Encoding", "identity"))
ALL = (("Accept", "*/*"), ("Accept-Encoding", "gzip"))
FIRST = 0.8  # seconds, when the back end sends its first event

Requests = tuple[tuple[str, str], ...]


def answer(head: float, request: Requests = CODED, label: str = "") -> ProbeRecording:
    """Its head came then, and its events when they were sent."""
    came = ((FIRST + number * 0.3, event(number)) for number in range(8))
    made = recorded(*came, head=head)
    return replace(made, request=request, label=label, version="HTTP/2")


def test_a_head_that_is_late_over_one_version_alone_is_held() -> None:
    late = [answer(FIRST), answer(FIRST, PLAIN, "plain"), answer(FIRST, ALL, "all")]
    result = judge_one([*late, answer(0.01, CODED, OVER_HTTP1)])
    assert (result.verdict.kind, result.verdict.sure) == (Kind.HEAD_LATE, True)
    assert result.verdict.line.endswith("0.79 s late; only over HTTP/2.")
    assert result.status == 1
    assert result.cures


def test_a_head_that_is_late_where_it_may_be_compressed_is_held() -> None:
    late = [answer(FIRST), answer(FIRST, ALL, "all")]
    result = judge_one([*late, answer(0.01, PLAIN, "plain")])
    assert result.verdict.kind is Kind.HEAD_LATE
    assert "only when the client accepts compression" in result.verdict.line


@pytest.mark.parametrize(
    "heads",
    [
        pytest.param((FIRST, FIRST, FIRST), id="a back end that is silent"),
        pytest.param((0.01, 0.01, 0.01), id="a head at once"),
        pytest.param((FIRST, 0.01, 0.01), id="late once"),
        pytest.param((0.01, FIRST, FIRST), id="late in the others"),
        pytest.param((0.5, 0.5, 0.01), id="not with the first event"),
        pytest.param((FIRST, FIRST, 0.6), id="by little"),
    ],
)
def test_a_head_that_is_late_otherwise_shows_nothing(
    heads: tuple[float, float, float],
) -> None:
    base, like, other = heads
    cases = [answer(base), answer(like, ALL, "all"), answer(other, PLAIN, "plain")]
    assert judge_one(cases).verdict.kind is Kind.STREAMS


class Canned(PlanRunner):
    """What comes over HTTP/2, and over HTTP/1.1; once more it is as `again`."""

    def __init__(self, again: float) -> None:
        super().__init__(lambda _: None, asyncio.Event())
        self.again = again

    async def as_browsers_ask(
        self, base: Measurement, plan: ProbePlan, *, repeats: bool
    ) -> list[ProbeRecording]:
        return [answer(FIRST), answer(0.01, CODED, OVER_HTTP1)]

    async def run(
        self, one: Measurement, seconds: float, watch: Watch
    ) -> ProbeRecording:
        return answer(self.again, CODED, one.ask.label)


@pytest.mark.parametrize(
    ("again", "kind"), [(FIRST, Kind.HEAD_LATE), (0.01, Kind.STREAMS)]
)
async def test_a_head_that_was_late_over_http2_is_looked_at_once_more(
    again: float, kind: Kind
) -> None:
    """Once it may have been a pause of the machine."""
    runner = Canned(again)
    result = await runner.one(ProbePlan(Ask("https://a.example/events")))
    assert [case.label for case in result.cases][1:] == [OVER_HTTP1, "once more"]
    assert result.verdict.kind is kind


def test_what_frees_a_head_over_http1_is_no_line_for_http2() -> None:
    """nginx holds it there with `proxy_buffering off` as well."""
    fields = (("Server", "nginx"),)
    late = [answer(FIRST), answer(FIRST, ALL, "all")]
    for version, printed in (("HTTP/2", False), ("HTTP/1.1", True)):
        cases = [*late, answer(0.01, PLAIN, "plain")]
        made = [replace(each, version=version, fields=fields) for each in cases]
        lines = [cure.lines for cure in judge_one(made).cures]
        assert ("proxy_buffering off;" in lines) is printed
