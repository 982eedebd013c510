"""The report: for a person, and for a machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.report.drawing import timeline
from proxy.tools.doctor.report.machine import render_json
from proxy.tools.doctor.report.text import report
from proxy.tools.doctor.result import judge_hops, judge_one
from tests.unit.doctor.recordings import EVENTS, event, recorded, trace, unmarked


def test_a_timeline_shows_arrivals_against_time() -> None:
    free = recorded(*((n * 1.0, event(n)) for n in range(4)))
    held = recorded((3.0, b"".join(map(event, range(12)))))
    axis, first, second, legend = timeline([("free", free), ("held", held)], 44)
    assert axis.split() == ["0", "s", "3.0", "s"]
    assert first.split() == ["free", "1··········1···········1···········1"]
    assert second.split()[-1].endswith("·#")
    assert "# ten or more" in legend


def test_a_report_has_verdict_timeline_evidence_and_cure() -> None:
    text = report(judge_one([trace("webpack-dev-server")], "webpack-dev-server"))
    verdict, *_ = text.splitlines()
    assert verdict.startswith("Held to the end: all 10 events arrived at once")
    assert "sent by the origin" in text
    assert "Content-Encoding: br" in text
    assert "compress: false," in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_likely_verdict_says_so_and_what_would_make_it_certain() -> None:
    text = report(judge_one([unmarked(trace("nginx-blocks"))]))
    assert "Likely, but not certain" in text
    assert "--through" in text


def test_what_two_hops_make_likely_does_not_ask_for_two_hops() -> None:
    """The hop behind it was measured; that one answer was slower is left."""
    back = recorded(*((n * 0.2, event(n)) for n in range(10)))
    late = recorded(*((n * 0.2 + 0.3, event(n)) for n in range(10)))
    result = judge_hops([
        replace(late, url="http://hop/"), replace(back, url="http://back/")
    ])  # fmt: skip
    text = " ".join(report(result).split())
    assert "Likely, but not certain: two answers of the back end may differ." in text
    assert "--via URL" not in text


@pytest.mark.parametrize(
    ("product", "said"),
    [
        pytest.param("nginx", "(measured: freed nginx 1.22, 2026-11-29)", id="tried"),
        pytest.param("traefik", "(not measured; from its documentation, buffering)",
                     id="looked up"),
        pytest.param("iis", "(not measured; from memory)", id="memory"),
    ],
)  # fmt: skip
def test_a_cure_says_how_far_it_can_be_relied_upon(product: str, said: str) -> None:
    text = report(judge_one([trace("nginx-at-the-end")], product), 110)
    assert said in " ".join(text.split())


UNKNOWN = ("Server", "somebody")


def test_a_hop_without_known_lines_is_named_where_the_stream_is_held() -> None:
    free = recorded(*((n * 1.0, event(n)) for n in range(6)), fields=(*EVENTS, UNKNOWN))
    held = recorded((6.0, b"".join(map(event, range(6)))), fields=(*EVENTS, UNKNOWN))
    said = "a hop calls itself somebody (Server); no measured cure for it is known here"
    assert said.lower() in " ".join(report(judge_one([held])).split()).lower()
    assert "somebody" not in evidence_of(report(judge_one([free])))


def evidence_of(text: str) -> str:
    """The lines of a report but for those that show the fields."""
    return "\n".join(line for line in text.splitlines() if "calls itself" in line)


@pytest.mark.parametrize(
    ("field", "hop"),
    [
        pytest.param("unbuffered; error=connection_refused", "Unbuffered", id="this"),
        pytest.param('"a b"; error=dns_error', "a b", id="another"),
        pytest.param("edge, unbuffered; error=x, last", "Unbuffered", id="of several"),
        pytest.param("unbuffered; received-status=502", "this hop", id="passed on"),
        pytest.param("", "this hop", id="none"),
    ],
)
@pytest.mark.parametrize(
    ("status", "what"), [(502, "answered itself"), (503, "answered itself"),
                         (504, "timed out")],
)  # fmt: skip
def test_who_has_answered_itself_is_named(
    field: str, hop: str, status: int, what: str
) -> None:
    """It may be behind the one that was asked, such as a dev server."""
    fields = (("Proxy-Status", field),) if field else ()
    refused = recorded(status=status, fields=fields)
    text = " ".join(report(judge_one([refused])).split())
    assert f"- {hop} {what}: " in text
    assert ("the log of Unbuffered, and its inspector" in text) is (hop[:1] == "U")


def test_no_colour_is_written_unless_asked_for() -> None:
    result = judge_one([trace("nginx-blocks")])
    assert "\x1b" not in report(result)
    assert "\x1b[31;1m" in report(result, colour=True)


def test_a_terminal_without_unicode_gets_none() -> None:
    report(judge_one([trace("nginx-blocks")]), plain=True).encode("ascii")


def test_the_bytes_of_a_stream_cannot_write_to_the_terminal() -> None:
    evil = recorded((0.5, b"data: \x1b[2J\x07 \xff\n\n" * 5),
                    fields=(("Content-Type", "text/event-stream"),))  # fmt: skip
    assert "\x1b" not in report(judge_one([evil]), events=True)
    refused = recorded((0.1, b"\x1b[2J no"), status=500)
    assert "\x1b" not in report(judge_one([refused]))


def test_the_words_of_a_model_are_shown_as_such() -> None:
    delta = b'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\n'
    chat = recorded(*((n * 0.2, delta) for n in range(5)))
    assert "“Hello”" in report(judge_one([chat]), events=True)


def test_a_report_of_nothing() -> None:
    text = report(
        judge_one([ProbeRecording("http://x/", fault="nothing listens at x:80")])
    )
    assert text == "Could not measure: nothing listens at x:80.\n"


def test_the_json_has_the_same_verdict_and_no_secret() -> None:
    recording = trace("nginx-blocks")
    secret = (("Authorization", "Bearer abc"), ("Cookie", "s=abc"))
    held = judge_one([ProbeRecording(**{
        **{name: getattr(recording, name) for name in ProbeRecording.__slots__},
        "request": (*recording.request, *secret)})])  # fmt: skip
    table = json.loads(render_json(held, events=True))
    assert table["state"] == "held"
    assert table["kind"] == "in blocks"
    assert table["block_bytes"] == 4096
    assert table["certain"] is True
    assert table["products"][0]["name"] == "nginx"
    assert table["cures"][0]["lines"] == "proxy_buffering off;"
    assert table["measurements"][0]["event_list"][0]["sent_seconds"] is not None
    assert "abc" not in json.dumps(table)


def test_who_streams_as_it_comes_may_cut_all_the_same() -> None:
    fields = (*EVENTS, ("Server", "h2o/2.2"))
    held = recorded((3.0, b"".join(map(event, range(8)))), fields=fields)
    came = [(number * 0.2, event(number)) for number in range(8)]
    cut = recorded(*came, fields=fields, ended=31.5, ending="cut")
    said = "h2o itself streams as it comes"
    assert said in " ".join(report(judge_one([held])).split())
    assert said not in " ".join(report(judge_one([cut])).split())
