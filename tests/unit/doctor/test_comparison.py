"""Variants and hops beside each other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from proxy.products.product import Cure
from proxy.products.product_table import NAMES
from proxy.tools.doctor.record import Ending, ProbeRecording
from proxy.tools.doctor.report.text import report
from proxy.tools.doctor.result import judge_hops, judge_one, judge_through
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import (
    EVENTS,
    event,
    recorded,
    sent,
    trace,
    unmarked,
)

BROWSER = (("Accept", "text/event-stream"), ("Accept-Encoding", "gzip"))
IDENTITY = (("Accept", "text/event-stream"), ("Accept-Encoding", "identity"))


NGINX = (("Server", "nginx/1.22.1"),)


def held(**changes: object) -> ProbeRecording:
    """Six events at once after three seconds."""
    recording = recorded((3.0, b"".join(map(event, range(6)))))
    return replace(replace(recording, request=BROWSER), **changes)  # type: ignore[arg-type]


def free(**changes: object) -> ProbeRecording:
    """The same six events, one every half second."""
    recording = recorded(*((n * 0.5, event(n)) for n in range(6)))
    return replace(replace(recording, request=BROWSER), **changes)  # type: ignore[arg-type]


def test_a_hold_seen_once_is_likely_only() -> None:
    result = judge_one([held()])
    assert (result.status, result.verdict.sure) == (1, False)


def test_a_variant_without_the_hold_makes_it_certain_and_measures_it() -> None:
    plain = free(request=IDENTITY, label="without compression")
    verdict = judge_one([held(), plain]).verdict
    assert verdict.sure
    assert verdict.hold == 3.0
    assert verdict.line.endswith("only when the client accepts compression.")


def test_only_get_is_held() -> None:
    result = judge_one([held(), free(method="POST", label="as POST")])
    assert result.verdict.line.endswith("only for GET.")


def test_only_one_accept_is_held() -> None:
    other = free(request=(("Accept", "*/*"), BROWSER[1]), label="with Accept: */*")
    line = judge_one([held(), other]).verdict.line
    assert line.endswith("only with Accept: text/event-stream.")


def test_variants_that_are_held_too_are_named() -> None:
    result = judge_one([held(), held(request=IDENTITY, label="without compression")])
    assert not result.verdict.sure
    assert "held in the same request without compression too" in result.verdict.evidence


def test_the_hop_where_the_hold_begins_is_named_with_its_own_hold() -> None:
    urls = ["http://browser:1/", "http://nginx:2/", "http://back:3/"]
    chain = [held(url=urls[0]), held(url=urls[1]), free(url=urls[2])]
    result = judge_hops(chain)
    assert result.holder.recording.url == urls[1]
    assert result.verdict.line.startswith(f"The delay starts at {urls[1]}, 3.0 s by")
    assert [case.added for case in result.cases] == [
        0.0,
        pytest.approx(3.0, 0.01),
        None,
    ]
    assert result.verdict.sure


def test_a_back_end_that_holds_itself_is_named_as_such() -> None:
    chain = [held(url="http://proxy/"), held(url="http://back/")]
    verdict = judge_hops(chain).verdict
    assert verdict.line.startswith("The delay starts at http://back/ or behind it")
    assert not verdict.sure


def test_a_chain_that_streams() -> None:
    result = judge_hops([free(), free()])
    assert (result.status, result.verdict.kind) == (0, Kind.STREAMS)


def test_a_delay_that_has_no_shape_shows_beside_the_next_hop() -> None:
    late = replace(free(), arrivals=tuple(
        replace(each, at=each.at + 0.4) for each in free().arrivals))  # fmt: skip
    result = judge_hops([late, free()])
    assert result.status == 1
    assert result.verdict.hold is not None
    assert abs(result.verdict.hold - 0.4) < 1e-9


def test_a_hop_that_does_not_answer_is_not_called_free() -> None:
    result = judge_hops(
        [free(), ProbeRecording("http://gone/", fault="nothing listens")]
    )
    assert result.status == 2
    assert "http://gone/" in result.verdict.line


def direct() -> ProbeRecording:
    return recorded(*((n * 0.2, sent(n + 1, 8, n * 0.2)) for n in range(8)))


def test_the_origins_streams_name_what_the_held_ones_have_in_common() -> None:
    plain = replace(direct(), request=IDENTITY, label="plain")
    coded = replace(trace("webpack-dev-server"), label="steady")
    result = judge_through(direct(), [coded, plain])
    assert result.verdict.line.endswith("; only what a hop compresses.")
    assert result.verdict.sure


def test_a_late_head_alone_is_the_least_of_the_faults() -> None:
    result = judge_through(direct(), [trace("vite-head"), trace("nginx-blocks")])
    assert result.verdict.kind is Kind.BLOCKS
    alone = judge_through(direct(), [trace("vite-head"), direct()])
    assert alone.verdict.kind is Kind.HEAD_LATE


def test_a_busy_machine_is_not_taken_for_a_hop() -> None:
    """What is late without the chain is our own."""
    busy = recorded(*((n * 0.2 + 0.3 * (n % 2), sent(n + 1, 8, n * 0.2))
                      for n in range(8)))  # fmt: skip
    assert judge_through(direct(), [busy]).status == 1
    assert judge_through(busy, [busy]).status == 0


def test_without_marks_the_product_is_still_recognised() -> None:
    result = judge_one([unmarked(trace("nginx-blocks"))])
    assert [sign.product for sign in result.signs] == ["nginx"]
    assert result.cures[0].lines == "proxy_buffering off;"


def test_of_a_proxy_that_may_hide_the_one_that_collects_the_lines_are_no_fact() -> None:
    whole = recorded((3.0, b"".join(map(event, range(6)))), fields=NGINX)
    alone = judge_one([whole])
    whens = [each.when for each in alone.cures][:2]
    ignored = "it has no proxy_ignore_headers for it"
    assert whens == [
        "nginx holds it and it has proxy_pass",
        f"nginx holds it and {ignored}",
    ]
    assert not any(each.fact for each in alone.cures)
    chain = judge_hops([replace(whole, url="http://a/"), free(url="http://b/")])
    assert [each.when for each in chain.cures][:2] == ["it has proxy_pass", ignored]


@pytest.mark.parametrize(
    ("kind", "ending", "does"), [("held", "complete", "holds"), ("cut", "cut", "cuts")]
)
def test_of_one_url_no_line_is_a_fact(kind: str, ending: Ending, does: str) -> None:
    """Also those of an application: what holds may stand before it."""
    arrivals = [(3.0, b"".join(map(event, range(6))))]
    if kind == "cut":
        arrivals = [(0.2 * n, event(n)) for n in range(6)]
    tornado = (*EVENTS, ("Server", "TornadoServer/6"), ("Via", "1.1 varnish"))
    found = judge_one([recorded(*arrivals, fields=tornado, ending=ending, ended=4.5)])
    assert found.verdict.held
    assert not any(each.fact for each in found.cures)
    named = [each for each in found.cures if each.product in ("varnish", "tornado")]
    assert all(each.when.startswith(f"{each_name(each)} {does}") for each in named)
    assert named


def each_name(cure: Cure) -> str:
    return NAMES[cure.product]


def test_of_two_products_that_show_the_lines_for_the_second_one_are_no_fact() -> None:
    fields = (("Server", "lighttpd/1.4"), ("X-Powered-By", "PHP/8.2"))
    whole = recorded((3.0, b"".join(map(event, range(6)))), fields=fields)
    chain = judge_hops([replace(whole, url="http://a/"), free(url="http://b/")])
    found = [(each.product, each.when) for each in chain.cures]
    assert found == [("lighttpd", ""), ("php", "PHP holds it")]


def test_behind_a_proxy_that_passes_names_on_there_may_be_one_that_has_none() -> None:
    fields = (("Server", "Caddy"),)
    whole = recorded((3.0, b"".join(map(event, range(6)))), fields=fields)
    found = {each.product for each in judge_one([whole]).cures}
    assert {"caddy", "rack", "lighttpd"} <= found


def test_of_two_hops_that_hold_the_one_nearest_the_back_end_is_named() -> None:
    """What it holds, no hop before it can give earlier."""
    later = recorded((5.0, b"".join(map(event, range(6)))))
    chain = [replace(later, url="http://a/"), held(url="http://b/"),
             free(url="http://c/")]  # fmt: skip
    result = judge_hops(chain)
    assert result.holder.recording.url == "http://b/"
    assert [case.added for case in result.cases] == [
        2.0,
        pytest.approx(3.0, 0.01),
        None,
    ]


# -- a stream that never ends and never comes ---------------------------------------


def silent(**changes: object) -> ProbeRecording:
    """Connected, asked, and no head in all the time."""
    recording = ProbeRecording("http://a/", request=BROWSER, connected=0.001,
                          ending="no head", ended=8.0)  # fmt: skip
    return replace(recording, **changes)  # type: ignore[arg-type]


def test_nothing_beside_a_variant_that_streams_is_a_hold() -> None:
    other = free(request=IDENTITY, label="without compression")
    result = judge_one([silent(), other])
    assert result.status == 1
    assert result.verdict.line == (
        "Held: nothing arrived within 8.0 s, while without compression 6 events "
        "came in 6 arrivals; only when the client accepts compression."
    )
    assert result.verdict.sure
    assert "has not sent anything yet" not in " ".join(result.verdict.evidence)


def test_nothing_where_all_others_stream_is_not_certain() -> None:
    """The back end may have had nothing to say, once."""
    others = [free(request=IDENTITY, label="without compression"),
              free(request=BROWSER, label="with Accept: */*")]  # fmt: skip
    verdict = judge_one([silent(), *others]).verdict
    assert (verdict.held, verdict.sure) == (True, False)
    assert "has not sent anything yet" in " ".join(verdict.evidence)


def test_too_little_came_of_another_to_be_certain() -> None:
    late = recorded(*((n * 4.0, event(n)) for n in range(6)))
    other = replace(late, request=IDENTITY, label="without compression")
    verdict = judge_one([silent(), other]).verdict
    assert (verdict.held, verdict.sure) == (True, False)


def test_nothing_of_what_streams_uncompressed_has_a_compressors_cure() -> None:
    """No head is there to say that it is compressed."""
    base = silent(product="webpack-dev-server")
    plain = free(request=IDENTITY, label="without compression")
    anything = (("Accept", "*/*"), ("Accept-Encoding", "gzip"))
    asked_alike = free(request=anything, label="with Accept: */*")
    assert "compress: false," in judge_one([base, plain]).cures[0].lines
    lines = [each.lines for each in judge_one([base, asked_alike]).cures]
    assert not any("compress: false," in each for each in lines)


def test_nothing_is_drawn_beside_what_streams() -> None:
    plain = free(request=IDENTITY, label="without compression")
    text = report(judge_one([silent(), plain]))
    assert re.search(r"as a browser asks +·+\n", text)
    assert "as a browser asks  " not in report(judge_one([silent()]))


def test_nothing_alone_is_no_verdict() -> None:
    assert judge_one([silent(), silent(label="without compression")]).status == 2


def test_text_without_events_is_held_beside_a_variant_that_streams() -> None:
    plain = (("Content-Type", "text/plain"),)
    words = [b"word " * 9] * 8
    late = recorded((3.0, b"".join(words)), fields=plain)
    flow = recorded(*((n * 0.4, word) for n, word in enumerate(words)), fields=plain)
    verdict = judge_one([replace(late, request=BROWSER),
                         replace(flow, request=IDENTITY)]).verdict  # fmt: skip
    assert verdict.line.startswith(
        "Held to the end: everything arrived at once, after 3.0"
    )


def test_two_answers_in_slightly_other_bursts_differ_in_nothing() -> None:
    """The one only just is in bursts, the other only just is not."""
    gaps = [0.16, *([0.08] * 19)]
    at = [sum(gaps[: n + 1]) for n in range(20)]
    bursty = recorded(*((t, event(n) * 2) for n, t in enumerate(at) if n != 7))
    smooth = recorded(*((t, event(n) * (1 + n % 3 % 2)) for n, t in enumerate(at)))
    base = replace(bursty, request=BROWSER)
    verdict = judge_one([base, replace(smooth, request=IDENTITY)]).verdict
    assert verdict.held
    assert "only when" not in verdict.line
    assert not verdict.sure


def test_a_hop_that_gives_nothing_of_what_comes_behind_it_holds() -> None:
    result = judge_hops([silent(), free(url="http://back/")])
    assert result.status == 1
    assert result.holder.recording.url == "http://a/"
    assert result.verdict.sure
    assert result.verdict.line == (
        "The delay starts at http://a/: nothing arrived within 8.0 s, while 6 "
        "events arrived at the hop behind it."
    )


def test_behind_a_hop_that_was_not_measured_nothing_is_certain() -> None:
    gone = ProbeRecording("http://gone/", fault="nothing listens at gone:80")
    verdict = judge_hops([held(url="http://a/"), gone]).verdict
    assert verdict.line.startswith("The delay starts at http://a/ or behind it:")
    assert not verdict.sure


# -- whose answer it was ------------------------------------------------------------


def test_a_stream_that_is_not_the_origins_is_not_judged() -> None:
    result = judge_through(direct(), [free(label="steady"), free(label="fast")])
    assert result.status == 2
    assert "not from the test origin" in result.verdict.line


def test_a_chain_that_ends_elsewhere_is_told_where_it_should() -> None:
    missed = "127.0.0.1:8002"
    result = judge_through(direct(), [recorded(status=404)], missed=missed)
    assert result.status == 2
    assert result.verdict.line.endswith(f"reached the test origin at {missed}.")
    assert any("status 404" in each for each in result.verdict.evidence)


def test_streams_that_could_not_be_measured_are_counted() -> None:
    line = judge_through(direct(), [direct(), recorded(status=405)]).verdict.line
    assert "nothing was held in 1 stream," in line
    assert line.endswith("; 1 could not be measured.")


def test_a_real_product_that_holds_only_a_post() -> None:
    get = replace(trace("apache-get"), label="as GET")
    verdict = judge_one([trace("apache-post"), get]).verdict
    assert verdict.kind is Kind.FIRST_LATE
    assert verdict.line.endswith("; only for POST.")


def test_only_one_version_is_held() -> None:
    older = free(version="HTTP/1.1", label="over HTTP/1.1")
    verdict = judge_one([held(version="HTTP/2"), older]).verdict
    assert verdict.sure
    assert verdict.line.endswith("only over HTTP/2.")


def test_what_the_older_version_holds_is_named() -> None:
    result = judge_one(
        [free(version="HTTP/2"), held(version="HTTP/1.1", label="over HTTP/1.1")]
    )
    assert result.status == 0
    assert any(
        each.startswith("over HTTP/1.1: held") for each in result.verdict.evidence
    ), result.verdict.evidence


def begun_late(pace: float, then: float) -> ProbeRecording:
    """150 events held until the last of them, at this pace; 150 more at another."""
    first = 150 * pace
    rest = ((first + (n + 1) * then, event(150 + n)) for n in range(150))
    return replace(
        recorded((first, b"".join(map(event, range(150)))), *rest), request=BROWSER
    )


def test_a_beginning_that_is_held_each_time_is_held_whatever_the_pace() -> None:
    """A sender is quicker at first, and each request a little quicker or slower."""
    others = [
        replace(begun_late(0.034, 0.060), request=IDENTITY, label="without"),
        replace(begun_late(0.048, 0.046), label="with Accept: */*"),
    ]
    verdict = judge_one([begun_late(0.040, 0.048), *others]).verdict
    assert verdict.kind is Kind.FIRST_LATE
    assert "only" not in verdict.line
    assert not verdict.sure


def test_a_beginning_that_one_request_does_not_have_is_of_the_other() -> None:
    plain = recorded(*((n * 0.0118, event(n)) for n in range(300)))
    plain = replace(plain, request=IDENTITY, label="without compression")
    verdict = judge_one([begun_late(0.0118, 0.0118), plain]).verdict
    assert verdict.sure
    assert verdict.line.endswith("only when the client accepts compression.")
