"""An answer from a cache: no stream, and quicker than one can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.result import judge_hops, judge_one
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import (
    EVENTS,
    all_at,
    at,
    chain,
    event,
    every,
    own,
    recorded,
    sent,
)

NO_STORE = "Cache-Control: no-store"


def with_fields(recording: ProbeRecording, *fields: tuple[str, str]) -> ProbeRecording:
    return replace(recording, fields=(*recording.fields, *fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Age", "5"),
        ("X-Varnish", "9 7"),
        ("X-Cache", "HIT"),
        ("X-Cache", "Hit from cloudfront"),
        ("CF-Cache-Status", "HIT"),
        ("Cache-Status", "ExampleCache; hit; ttl=376"),
        ("X-FastCGI-Cache", "HIT"),
        ("X-LiteSpeed-Cache", "hit"),
        ("X-Proxy-Cache-Status", "HIT"),
    ],
)
def test_a_cache_that_says_so_is_named(name: str, value: str) -> None:
    verdict = diagnose(with_fields(all_at(0.01, event), (name, value)))
    assert (verdict.kind, verdict.sure, verdict.held) == (Kind.STORED, True, True)
    assert f"the response says {name.lower()}: {value}" in verdict.evidence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Age", "0"),
        ("X-Varnish", "9"),
        ("X-Cache", "MISS"),
        ("X-Cache", "Miss from cloudfront"),
        ("CF-Cache-Status", "DYNAMIC"),
        ("Cache-Status", "ExampleCache; fwd=miss"),
        ("X-FastCGI-Cache", "BYPASS"),
        ("Cache-Control", "hit"),
        ("X-Cached-Hits", "hit"),
    ],
)
def test_one_that_had_to_ask_is_not(name: str, value: str) -> None:
    verdict = diagnose(with_fields(all_at(0.01, event), (name, value)))
    assert verdict.kind is Kind.TOO_QUICK


def test_a_stream_that_is_a_stream_is_one_whatever_a_field_says() -> None:
    live = with_fields(at(every(0.3)), ("Age", "5"), ("X-Cache", "HIT"))
    assert diagnose(live).kind is Kind.STREAMS


def test_what_came_before_the_origin_sent_it_is_of_an_earlier_request() -> None:
    marked = b"".join(sent(number + 1, 10, number * 0.2) for number in range(10))
    verdict = diagnose(recorded((0.01, marked)))
    assert verdict.kind is Kind.STORED
    assert verdict.sure
    # A clock that is not quite ours is none.
    early = recorded(*((n * 0.2, sent(n + 1, 10, n * 0.2 + 0.05)) for n in range(10)))
    assert diagnose(early).kind is Kind.STREAMS


def test_a_hop_that_has_all_before_it_is_sent_is_a_cache() -> None:
    result = chain(all_at(0.005, event), at(every(0.2)))
    assert (result.status, result.verdict.kind) == (1, Kind.STORED)
    assert result.verdict.line == (
        "http://hop/ answers from a cache: all 10 events were there 1.80 s before the "
        "last one came at the hop behind it."
    )
    assert [cure.lines for cure in result.cures] == [NO_STORE]


def test_a_hop_before_the_cache_is_not_one() -> None:
    result = judge_hops([
        replace(all_at(0.006, event), url="http://front/"),
        replace(all_at(0.005, event), url="http://cache/"),
        replace(at(every(0.2)), url="http://back/"),
    ])  # fmt: skip
    assert result.holder.recording.url == "http://cache/"


@pytest.mark.parametrize(
    ("here", "behind"),
    [
        pytest.param(all_at(0.005, own("a")), at(every(0.2), own("b")), id="another"),
        pytest.param(at(every(0.05)), at(every(0.2)), id="only quicker"),
        pytest.param(all_at(0.005, event), at(every(0.03)), id="hardly quicker"),
        pytest.param(all_at(0.005, event, 3), at(every(0.4, 3)), id="three events"),
    ],
)
def test_a_quick_answer_alone_is_no_cached_one(
    here: ProbeRecording, behind: ProbeRecording
) -> None:
    assert chain(here, behind).verdict.kind is not Kind.STORED


def test_the_cures_are_those_of_the_cache_that_shows() -> None:
    varnish = (("Via", "1.1 varnish (Varnish/7.1)"), ("X-Varnish", "9 7"))
    [vcl, field] = judge_one([with_fields(all_at(0.01, event), *varnish)]).cures
    assert vcl.when == "Varnish keeps it"
    assert field.when == "Varnish keeps it and no VCL sets beresp.ttl"
    assert "return (pass)" in vcl.lines
    assert field.lines == NO_STORE


def test_a_field_that_did_not_help_is_not_printed_again() -> None:
    fields = (
        *EVENTS,
        ("Server", "nginx/1.22"),
        ("Cache-Control", "max-age=9, no-store"),
    )
    held = replace(all_at(0.01, event), fields=(*fields, ("X-Cache", "HIT")))
    lines = [cure.lines for cure in judge_one([held]).cures]
    assert lines == [
        "proxy_cache off;\nproxy_buffering off;",
        "fastcgi_cache off;\nfastcgi_buffering off;",
    ]


@pytest.mark.parametrize(
    ("type", "body"),
    [
        pytest.param("application/json", b'{"a": 1}', id="a document"),
        pytest.param("text/csv", b"a,b,c\n1,2,3\n", id="few lines"),
        pytest.param("application/octet-stream", b"x" * 900, id="pieces"),
    ],
)
def test_of_what_cannot_be_judged_it_is_told_that_it_came_from_a_cache(
    type: str, body: bytes
) -> None:
    fields = (("Content-Type", type), ("Content-Length", "9"), ("Age", "4"))
    verdict = diagnose(recorded((0.01, body), fields=fields))
    assert not verdict.held
    assert "the response says age: 4: it came from a cache" in verdict.evidence
    verdict = diagnose(recorded((0.01, body), fields=fields[:2]))
    assert "cache" not in " ".join(verdict.evidence)
