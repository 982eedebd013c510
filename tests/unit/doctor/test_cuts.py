"""Streams that end too early: by a limit, by a fault, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import event, recorded, sent


def test_events_that_are_missing_at_a_clean_end_were_cut() -> None:
    verdict = diagnose(
        recorded(*((n * 0.2, sent(n + 1, 10, n * 0.2)) for n in range(5)), ended=30.8)
    )
    assert verdict.kind is Kind.CUT
    assert "5 of 10 events arrived" in verdict.evidence
    assert any("Next.js" in each for each in verdict.evidence)


def test_a_clean_end_at_a_known_time_out_is_told() -> None:
    arrivals = [(n * 0.2, event(n)) for n in range(8)]
    [said] = diagnose(recorded(*arrivals, ended=61.4)).evidence
    assert said.startswith("it ended after 60.0 s of silence: nginx")


@pytest.mark.parametrize(
    ("quiet", "ended", "line", "said"),
    [
        pytest.param(0.5, 15.0, "cut 15.0 s after the request", "Envoy", id="Envoy"),
        pytest.param(7.5, 15.0, "cut 15.0 s after the request", "Envoy",
                     id="Envoy in a silence"),
        pytest.param(1.5, 16.0, "cut 16.0 s after the request", "1 s later",
                     id="Envoy, which closes 1 s later"),
        pytest.param(3.5, 5.0, "cut 5.0 s after the request, after 3.5 s of silence",
                     "", id="a round limit, or an imprecise one on silence"),
        pytest.param(15.0, 19.5, "cut after 15.0 s of silence", "", id="15 s of it"),
        pytest.param(60.0, 63.2, "cut after 60.0 s of silence", "nginx", id="nginx"),
        pytest.param(0.5, 7.3, "aborted", "", id="aborted"),
    ],
)  # fmt: skip
def test_a_limit_on_the_whole_response_is_no_silence(
    quiet: float, ended: float, line: str, said: str
) -> None:
    arrivals = [(n * 0.5, event(n)) for n in range(int((ended - quiet) / 0.5))]
    arrivals.append((ended - quiet, event(99)))
    verdict = diagnose(recorded(*arrivals, ended=ended, ending="cut"))
    assert verdict.kind is Kind.CUT
    assert line in verdict.line
    assert said in " ".join(verdict.evidence)
    assert ("Envoy" in " ".join(verdict.evidence)) == (said in ("Envoy", "1 s later"))


@pytest.mark.parametrize(
    ("pace", "ended", "helps"),
    [
        pytest.param(1.0, 16.0, False, id="Envoy, which closes 1 s later"),
        pytest.param(4.0, 11.5, False, id="a silence that was survived before"),
        pytest.param(1.0, 9.3, True, id="a longer one"),
    ],
)
def test_a_ping_helps_where_no_silence_as_long_was_survived(
    pace: float, ended: float, helps: bool
) -> None:
    times = [number * pace for number in range(99) if number * pace < ended]
    times = times[:5] if helps else [each for each in times if each < 15]
    came = [(time, event(number)) for number, time in enumerate(times)]
    cut = recorded(*came, ended=ended, ending="cut", fields=(("Server", "envoy"),))
    found = judge_one([cut]).cures
    assert found[0].product == "envoy"
    assert any("ping" in each.lines for each in found) is helps


@pytest.mark.parametrize(
    ("stream", "ended", "kind"),
    [
        pytest.param("silent&silent=4", 20.0, Kind.CUT, id="long overdue"),
        pytest.param("silent&silent=40", 20.0, Kind.STREAMS, id="not due yet"),
        pytest.param("silent&silent=4", 8.0, Kind.STREAMS, id="only just due"),
        pytest.param("unknown", 20.0, Kind.STREAMS, id="of a stream nobody knows"),
    ],
)
def test_a_stream_that_stays_open_without_what_is_due_is_cut(
    stream: str, ended: float, kind: Kind
) -> None:
    """Some proxies leave their client waiting when they give their back end up."""
    came = [(n * 0.25, sent(n + 1, 6, n * 0.25)) for n in range(3)]
    left = replace(
        recorded(*came, ended=ended, ending="stopped"),
        url=f"http://127.0.0.1:8080/api/events?stream={stream}",
    )
    verdict = diagnose(left)
    assert verdict.kind is kind, verdict
    if kind is Kind.CUT:
        assert "nothing came after 3 events, though" in verdict.line
        assert verdict.sure


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE HTML PUBLIC>\n<p>", b"\n<html>502</html>"]
)
def test_an_error_page_behind_events_is_a_cut(page: bytes) -> None:
    """Apache's own, where the server behind it gives up."""
    arrivals = [*((n * 0.3, event(n)) for n in range(3)), (2.6, page)]
    verdict = diagnose(recorded(*arrivals))
    assert verdict.kind is Kind.CUT
    assert "cut after 2.0 s of silence, 3 events in" in verdict.line
    assert "the body ends with an HTML page: a hop's own, of an error" in (
        verdict.evidence
    )


def test_a_page_in_pieces_is_no_error_behind_events() -> None:
    html = (("Content-Type", "text/html"),)
    arrivals = [(0.1, b"<!doctype html>"), (1.2, b"<html>"), (2.6, b"<html>")]
    assert diagnose(recorded(*arrivals, fields=html)).kind is not Kind.CUT


@pytest.mark.parametrize("count", [3, 8])
def test_the_same_silence_before_each_clean_end_is_told(count: int) -> None:
    """Caddy ends a response as if it were complete (read_timeout)."""
    last = (count - 1) * 0.3

    def asked(silence: float) -> ProbeRecording:
        arrivals = ((n * 0.3, event(n)) for n in range(count))
        return recorded(*arrivals, ended=last + silence)

    said = "each of 3 requests ended after 3.0 s of silence"
    result = judge_one([asked(3.0), asked(3.02), asked(3.04)])
    assert not result.verdict.held
    assert said in " ".join(result.verdict.evidence)
    for others in ((3.4,), (0.9,), ()):  # of one alone nothing is told
        result = judge_one([asked(3.0), *map(asked, others)])
        assert "silence" not in " ".join(result.verdict.evidence)
