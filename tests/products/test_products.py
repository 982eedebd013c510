"""Real products: each holds as its case says, and the printed cure ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from proxy.products.fastcgi import PHP_BUFFERS
from proxy.products.product import Cure
from proxy.products.product_table import CURES, cures_for
from proxy.products.product_table import PRODUCTS as TABLE
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.products import recognise
from proxy.tools.doctor.verdict import Kind
from tests.products.case import SHORT, Case
from tests.products.cases import CASES, FREE, PHP_OUTPUT
from tests.products.measuring import cures_of, direct, measured
from tests.products.running import PRODUCTS

pytestmark = pytest.mark.products


# Vite and webpack-dev-server are told by their pages, which is asked elsewhere. The
# others show themselves by no field, or only by that of the server in front.
NAMELESS = ("vite", "webpack-dev-server", "django", "flask", "mitmproxy", "nginx-uwsgi",
            "koa-compress", "hono", "fastify-compress", "rack", "next")  # fmt: skip
UNNAMED = ("haproxy-cut", "haproxy-request-cut", "haproxy-pings", "haproxy-websocket",
           "haproxy-frames", "haproxy-body", "haproxy-first", "http-proxy-head",
           "http-proxy-hello", "http-proxy-cut", "http-proxy-3-head")  # fmt: skip

# Which of these a clock of the kernel leaves is blurred by a busy machine; the cure is
# the same.
BREATH = 0.15  # seconds
CLOCKED = (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS)


def cases(table: tuple[Case, ...]) -> list[ParameterSet]:
    """The cases, those skipped whose product is not on the machine."""
    found = []
    for case in table:
        reason = PRODUCTS[case.product].missing
        marks = [pytest.mark.skip(reason=reason)] if reason else []
        found.append(pytest.param(case, id=case.name, marks=marks))
    return found


def cure_of(case: Case) -> Cure:
    """The cure that is printed for a case."""
    return cures_of(case)[case.cure]


def test_what_is_printed_as_measured_has_a_case_that_measures_it() -> None:
    assert {cure_of(case) for case in CASES} == {
        each for each in CURES if each.measured
    }


def test_what_is_said_to_stream_as_it_comes_has_a_case_that_shows_it() -> None:
    passing = {each.key for each in TABLE.values() if each.passes}
    assert passing <= {case.product for case in FREE}


@pytest.mark.parametrize("kind", CLOCKED)
def test_the_cure_of_what_a_clock_holds_is_the_same_in_each_form(kind: Kind) -> None:
    for case in CASES:
        if case.kind in CLOCKED:
            found = cures_for((case.cured_by,), kind, coded=case.coded)
            assert found[case.cure] == cure_of(case)


@pytest.mark.parametrize("case", cases(CASES))
async def test_a_product_holds_and_the_printed_cure_ends_it(
    case: Case, tmp_path: Path
) -> None:
    cure = cure_of(case)
    assert cure.product == case.cured_by
    assert cure.measured
    held, cured, alone = await asyncio.gather(
        measured(case, tmp_path / "held"),
        measured(case, tmp_path / "cured", cure),
        direct(case),
    )
    slack = max(shape_of(alone).holds)
    # A head is late by 1.5 s, and no event need be.
    verdict = diagnose(held, slack + BREATH * (case.kind is Kind.HEAD_LATE))
    alike = CLOCKED if case.kind in CLOCKED else (case.kind,)
    assert verdict.kind in alike, verdict
    assert bool(held.coding) is case.coded
    signs = {sign.product for sign in recognise(held, verdict)}
    if case.cured_by not in NAMELESS and not case.name.startswith(UNNAMED):
        assert case.cured_by in signs
    # What a clock holds is not longer than a busy machine's breath.
    breath = 0.0 if case.kind in CLOCKED else BREATH
    verdict = diagnose(cured, slack + breath)
    assert verdict.kind is Kind.STREAMS, verdict


def buffered(*freeing: str) -> Case:
    """nginx before PHP, as both come: with the lines that are given."""
    location, program = freeing
    place = f"{location}---{program}{PHP_OUTPUT}"
    return Case("both", "nginx-php", SHORT, Kind.AT_THE_END, recognised="nginx",
                place=place)  # fmt: skip


LOCATION, PROGRAM = "fastcgi_buffering off;", PHP_BUFFERS.lines


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        pytest.param((LOCATION, ""), Kind.AT_THE_END, id="nginx"),
        pytest.param(("", PROGRAM), Kind.AT_THE_END, id="PHP"),
        pytest.param((LOCATION, PROGRAM), Kind.STREAMS, id="both"),
    ],
)
@pytest.mark.skipif(bool(PRODUCTS["nginx-php"].missing), reason="no nginx with PHP")
async def test_where_nginx_and_php_both_buffer_both_lines_are_needed(
    lines: tuple[str, str], kind: Kind, tmp_path: Path
) -> None:
    recording = await measured(buffered(*lines), tmp_path)
    assert diagnose(recording).kind is kind, diagnose(recording)


@pytest.mark.parametrize("case", cases(FREE))
async def test_a_suspect_passes_every_event_on(case: Case, tmp_path: Path) -> None:
    recording = await measured(case, tmp_path)
    assert diagnose(recording).kind is Kind.STREAMS, diagnose(recording)
    assert bool(recording.coding) is case.coded
