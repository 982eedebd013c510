"""Cures that fit what the response, and the hop behind it, show besides the kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.products.product import BACK_END
from proxy.products.product_table import COLLECTED, FIELDS
from proxy.tools.doctor.result import judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import (
    EVENTS,
    all_at,
    at,
    chain,
    event,
    every,
    recorded,
)


def test_a_field_that_the_back_end_sends_already_is_not_printed() -> None:
    """nginx takes it away, so it shows only behind it."""
    nginx = (*EVENTS, ("Server", "nginx/1.22"))
    held = replace(all_at(1.9, event), fields=nginx)
    behind = at(every(0.2))
    lines = [cure.lines for cure in chain(held, behind).cures]
    assert lines[:2] == ["proxy_buffering off;", "X-Accel-Buffering: no"]
    sends = replace(behind, fields=(*EVENTS, ("X-Accel-Buffering", "no")))
    lines = [cure.lines for cure in chain(held, sends).cures]
    assert "proxy_buffering off;" in lines
    assert not any("X-Accel" in each for each in lines)


def test_of_two_fields_the_one_that_is_missing_is_printed() -> None:
    both = [cure.lines for cure in judge_one([all_at(1.9, event)]).cures]
    assert FIELDS in both
    sends = replace(
        all_at(1.9, event), fields=(*EVENTS, ("Cache-Control", "no-transform"))
    )
    [left] = [c.lines for c in judge_one([sends]).cures if c.where == BACK_END]
    assert left == "X-Accel-Buffering: no"


def test_compressors_that_leave_event_streams_alone_are_not_named_for_one() -> None:
    coded = ("Content-Encoding", "gzip")
    events = replace(all_at(1.9, event), fields=(*EVENTS, coded))
    found = {cure.product for cure in judge_one([events]).cures}
    assert found & {"koa-compress", "hono", "fastify-compress"} == {"koa-compress"}
    other = (("Content-Type", "application/x-ndjson"), coded)
    lines = recorded((1.9, b'{"n": 1}\n' * 10), fields=other)
    found = {cure.product for cure in judge_one([lines]).cures}
    assert found >= {"koa-compress", "hono", "fastify-compress"}


def test_a_length_that_is_too_large_is_no_time_out() -> None:
    broken = replace(
        at(every(0.2)),
        ending="cut",
        fault="500 bytes of Content-Length are missing",
        ended=1.81,
    )
    [cure] = judge_one([broken]).cures
    assert "without Content-Length" in cure.lines
    reset = replace(broken, fault="the connection was reset")
    assert judge_one([reset]).cures == ()
    known = replace(reset, fields=(*EVENTS, ("Server", "gunicorn")))
    assert [cure.product for cure in judge_one([known]).cures] == ["gunicorn"]


def test_who_had_the_whole_is_not_said_of_a_length_from_behind() -> None:
    length = (*EVENTS, ("Content-Length", "160"))
    held = replace(all_at(1.9, event), fields=length)
    told = chain(held, at(every(0.2))).verdict.evidence
    assert any(each.startswith("Content-Length was sent") for each in told)
    behind = replace(at(every(0.2)), fields=length)
    told = chain(held, behind).verdict.evidence
    assert not any(each.startswith("Content-Length was sent") for each in told)
    assert "the back end sent the Content-Length" in told


def test_a_server_that_makes_the_groups_may_be_the_last_hop() -> None:
    """Puma corks its socket: two events come at a time that were sent one by one."""
    pairs = recorded(*(
        (0.4 * turn + 0.2, event(2 * turn) + event(2 * turn + 1)) for turn in range(8)
    ))  # fmt: skip
    result = chain(pairs, pairs)
    assert result.verdict.kind is Kind.GROUPS
    assert {cure.product for cure in result.cures} >= {"rack"}
    assert all(cure.when.endswith("events one by one") for cure in result.cures)


def test_a_limit_on_silence_is_not_named_where_there_was_none() -> None:
    """Events up to the end: nginx's timeouts and pings do not help."""
    broken = replace(
        at(every(0.2)), ending="cut", ended=1.81, fields=(*EVENTS, ("Server", "nginx"))
    )
    assert judge_one([broken]).cures == ()
    late = replace(broken, ended=4.9)
    assert "proxy_read_timeout 1h;" in [cure.lines for cure in judge_one([late]).cures]


@pytest.mark.parametrize(
    ("server", "line"),
    [
        (("Via", "1.1 varnish"), '~ "event-stream|ndjson|text/plain"'),
        (("Server", "Apache"), "SecResponseBodyMimeType text/html text/xml"),
        (("Server", "unknown"), "unless { res.hdr(content-type) -m beg text/plain }"),
    ],
)
def test_lines_that_name_types_name_the_one_that_was_seen(
    server: tuple[str, str], line: str
) -> None:
    fields = (("Content-Type", "text/plain"), server)
    held = recorded((1.9, b"a line\n" * 10), fields=fields)
    assert line in " ".join(cure.lines for cure in judge_one([held]).cures)


def test_who_compresses_all_the_same_is_not_asked_for_less() -> None:
    coded = (*EVENTS, ("Content-Encoding", "br"))
    held = replace(
        all_at(1.9, event), fields=coded, request=(("Accept-Encoding", "gzip, br"),)
    )
    identity = "Accept-Encoding: identity"
    assert identity in [cure.lines for cure in judge_one([held]).cures]
    plain = replace(held, request=(("Accept-Encoding", "identity"),))
    assert identity not in [cure.lines for cure in judge_one([held, plain]).cures]


def test_a_cut_at_the_last_hop_is_called_one() -> None:
    broken = replace(at(every(0.2, 5)), ending="cut", ended=4.9)
    line = chain(broken, broken).verdict.line
    assert line.startswith("The stream is cut at http://back/ or behind it: the stream")


@pytest.mark.parametrize("server", ["nginx/1.22", "Apache/2.4", "h2o", "gunicorn"])
def test_facts_come_first_then_ifs_then_mays(server: str) -> None:
    held = replace(all_at(1.9, event), fields=(*EVENTS, ("Server", server)))
    for result in (chain(held, at(every(0.2))), judge_one([held])):
        ranks = [0 if cure.fact else 1 if cure.measured else 2 for cure in result.cures]
        assert ranks == sorted(ranks)


def test_of_what_may_help_the_lines_of_a_product_come_before_those_for_all() -> None:
    express = (*EVENTS, ("X-Powered-By", "Express"))
    behind = recorded(*((0.5 + each, event(n)) for n, each in enumerate(every(0.2))))
    late = replace(behind, head=0.5, fields=express)
    first, *_, last = chain(late, behind).cures
    assert "createProxyMiddleware" in first.lines
    assert last.lines.startswith(": hello")


def test_a_hop_that_refuses_what_nginx_asks_has_nginxs_line() -> None:
    """Envoy answers HTTP/1.0 with 426; nginx asks by it unless it is told otherwise."""
    refused = recorded(
        (0.002, b"Upgrade Required"),
        fields=(("Server", "nginx/1.22.1"), ("Content-Type", "text/plain")),
        status=426,
    )
    result = chain(refused, at(every(0.2)))
    assert result.verdict.kind is Kind.OLD_VERSION
    assert "426" in result.verdict.line
    assert result.status == 1
    assert "proxy_http_version 1.1;" in result.cures[0].lines
    assert not any("WebSocket" in each for each in result.verdict.evidence)
    last = chain(at(every(0.2)), refused)
    assert last.verdict.kind is not Kind.OLD_VERSION


def test_where_it_is_held_uncompressed_as_well_no_compression_is_taken_off() -> None:
    """What is asked for no compression is held by somebody else then."""
    request = (("Accept", "text/event-stream"), ("Accept-Encoding", "gzip"))
    fields = (*EVENTS, ("Server", "nginx/1.22"))
    coded = (*fields, ("Content-Encoding", "gzip"))
    base = replace(all_at(1.9, event), request=request, fields=coded)
    asked = (request[0], ("Accept-Encoding", "identity"))
    for other, printed in ((all_at(1.9, event), False), (at(every(0.2)), True)):
        plain = replace(other, request=asked, fields=fields, label="plain")
        lines = [cure.lines for cure in judge_one([base, plain]).cures]
        assert "proxy_buffering off;" in lines
        assert any("Accept-Encoding" in each for each in lines) is printed


def test_a_program_with_a_hop_behind_it_may_collect_what_it_passes_on() -> None:
    uvicorn = replace(all_at(1.9, event), fields=(*EVENTS, ("Server", "uvicorn")))
    assert COLLECTED in chain(uvicorn, at(every(0.2))).cures
    assert COLLECTED not in judge_one([uvicorn]).cures
    nginx = replace(uvicorn, fields=(*EVENTS, ("Server", "nginx")))
    assert COLLECTED not in chain(nginx, at(every(0.2))).cures
