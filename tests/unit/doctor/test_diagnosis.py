"""Arrivals in, verdict out: real traces, and each fingerprint made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.record import ProbeRecording, dump, load
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import (
    TRACES,
    event,
    recorded,
    sent,
    trace,
    unmarked,
)

KNOWN = {
    "nginx-blocks": Kind.BLOCKS,
    "nginx-post": Kind.BLOCKS,
    "nginx-at-the-end": Kind.AT_THE_END,
    "nginx-gzip": Kind.AT_THE_END,
    "nginx-cut": Kind.CUT,
    "caddy-length": Kind.BLOCKS,
    "caddy-encode": Kind.HEAD_LATE,
    "haproxy-late": Kind.DELAYED,
    "haproxy-rhythm": Kind.RHYTHM,
    "haproxy-gzip": Kind.DELAYED,
    "haproxy-cut": Kind.CUT,
    "apache-cut": Kind.CUT,
    "apache-first-bytes": Kind.FIRST_LATE,
    "apache-post": Kind.FIRST_LATE,
    "apache-at-the-end": Kind.AT_THE_END,
    "apache-get": Kind.STREAMS,
    "uvicorn-middleware": Kind.AT_THE_END,
    "uvicorn-gzip": Kind.STREAMS,
    "django-blocking": Kind.AT_THE_END,
    "gunicorn-cut": Kind.CUT,
    "envoy-cut": Kind.CUT,
    "express-compression": Kind.AT_THE_END,
    "http-proxy-3-head": Kind.HEAD_LATE,
    "vite-head": Kind.HEAD_LATE,
    "webpack-dev-server": Kind.AT_THE_END,
    "webpack-dev-server-head": Kind.HEAD_LATE,
    "nginx-unbuffered-gzip": Kind.STREAMS,
    "apache-deflate": Kind.STREAMS,
    "caddy-gzip": Kind.STREAMS,
    "envoy-compressor": Kind.STREAMS,
    "vite-steady": Kind.STREAMS,
    "nginx-field": Kind.BLOCKS,
    "haproxy-gzip-field": Kind.DELAYED,
    "express-field": Kind.AT_THE_END,
    "webpack-dev-server-field": Kind.AT_THE_END,
    "http-proxy-head": Kind.HEAD_LATE,
    "lighttpd": Kind.AT_THE_END,
    "varnish-fetched": Kind.AT_THE_END,
    "varnish-gzip": Kind.AT_THE_END,
    "mitmproxy": Kind.AT_THE_END,
    "haproxy-body": Kind.AT_THE_END,
    "nginx-php": Kind.AT_THE_END,
    "nginx-php-gzip": Kind.AT_THE_END,
    "nginx-uwsgi": Kind.AT_THE_END,
    "php-zlib": Kind.AT_THE_END,
    "php-output": Kind.AT_THE_END,
    "apache-php": Kind.AT_THE_END,
    "waitress": Kind.AT_THE_END,
    "gunicorn-flask-compress": Kind.AT_THE_END,
    "gunicorn-django-gzip": Kind.AT_THE_END,
    "gunicorn-django-async": Kind.AT_THE_END,
    "starlette-old-gzip": Kind.AT_THE_END,
    "granian-middleware": Kind.AT_THE_END,
    "aiohttp-compression": Kind.AT_THE_END,
    "tornado": Kind.AT_THE_END,
    "tornado-gzip": Kind.AT_THE_END,
    "koa-compress": Kind.AT_THE_END,
    "hono-compress": Kind.AT_THE_END,
    "fastify-compress": Kind.AT_THE_END,
    "puma-cork": Kind.DELAYED,
    "rack-deflater": Kind.AT_THE_END,
    "rack-etag": Kind.AT_THE_END,
    "h2o-gzip": Kind.STREAMS,
    "h2o": Kind.STREAMS,
    "h2o-brotli": Kind.DELAYED,
    "squid": Kind.STREAMS,
    "varnish-steady": Kind.STREAMS,
    "sanic": Kind.STREAMS,
    "granian": Kind.STREAMS,
    "nginx-cache": Kind.STORED,
    "varnish-cache": Kind.STORED,
    "apache-php-asked": Kind.AT_THE_END,
    "http-proxy-cut": Kind.CUT,
    "nginx-fastcgi": Kind.AT_THE_END,
    "nginx-behind": Kind.AT_THE_END,
    "caddy-whole": Kind.AT_THE_END,
    "caddy-write-cut": Kind.CUT,
    "caddy-silence-cut": Kind.CUT,
    "lighttpd-cut": Kind.CUT,
    "varnish-esi": Kind.AT_THE_END,
    "varnish-cut": Kind.CUT,
    "squid-cut": Kind.CUT,
    "h2o-cut": Kind.CUT,
    "envoy-duration": Kind.CUT,
    "aiohttp-whole": Kind.AT_THE_END,
    "gunicorn-flask-read": Kind.AT_THE_END,
    "uvicorn-django": Kind.AT_THE_END,
}
# Without the origin's own account a constant delay, a late head or a clean end too
# early do not show.
UNKNOWN = KNOWN | {
    "h2o-brotli": Kind.STREAMS,
    "caddy-encode": Kind.STREAMS,
    "http-proxy-3-head": Kind.STREAMS,
    "vite-head": Kind.STREAMS,
    "webpack-dev-server-head": Kind.STREAMS,
    "haproxy-late": Kind.STREAMS,
    "haproxy-gzip-field": Kind.STREAMS,
    "http-proxy-head": Kind.STREAMS,
    "puma-cork": Kind.STREAMS,
    "haproxy-gzip": Kind.STREAMS,
    "caddy-silence-cut": Kind.TOO_FEW,  # it ends as if it were complete
    "http-proxy-cut": Kind.TOO_FEW,  # it does not end
    "nginx-cache": Kind.TOO_QUICK,  # nginx does not say it
}


def test_every_trace_has_its_verdict_here_and_says_how_it_was_made() -> None:
    names = {path.stem for path in TRACES.glob("*.json")}
    assert names == set(KNOWN)
    for name in names:
        assert f"tests.products.record {name}" in trace(name).note


@pytest.mark.parametrize(("name", "kind"), KNOWN.items())
def test_a_real_product_with_known_times(name: str, kind: Kind) -> None:
    verdict = diagnose(trace(name))
    assert verdict.kind is kind, verdict
    assert verdict.sure


@pytest.mark.parametrize(("name", "kind"), UNKNOWN.items())
def test_a_real_product_with_nobodys_times(name: str, kind: Kind) -> None:
    verdict = diagnose(unmarked(trace(name)))
    assert verdict.kind is kind, verdict
    assert verdict.sure is (kind is Kind.STORED)  # which a field says


def test_a_recording_survives_its_file() -> None:
    recording = trace("nginx-blocks")
    assert load(dump([recording])) == [recording]


def streaming(count: int = 10, every: float = 0.2) -> ProbeRecording:
    return recorded(*((number * every, event(number)) for number in range(count)))


def blocks(size: int) -> ProbeRecording:
    """Events in a buffer of that size, handed on when it is full."""
    content = b"".join(event(number, 300) for number in range(size // 40))
    starts = range(0, len(content), size)
    return recorded(
        *(
            (0.5 + number * 0.7, content[start : start + size])
            for number, start in enumerate(starts)
        )
    )


@pytest.mark.parametrize(
    ("recording", "kind", "said"),
    [
        pytest.param(streaming(), Kind.STREAMS, "10 events came in 10", id="streams"),
        pytest.param(
            recorded((3.0, b"".join(map(event, range(6))))),
            Kind.AT_THE_END, "all 6 events arrived at once, after 3.0 s",
            id="at the end",
        ),
        pytest.param(blocks(4096), Kind.BLOCKS, "blocks of 4 KiB", id="4 KiB"),
        pytest.param(blocks(8192), Kind.BLOCKS, "blocks of 8 KiB", id="8 KiB"),
        pytest.param(blocks(16384), Kind.BLOCKS, "blocks of 16 KiB", id="16 KiB"),
        pytest.param(
            recorded(*((0.2 + 0.2 * n, event(n) * 5) for n in range(8))),
            Kind.RHYTHM, "every 0.20 s about 5", id="rhythm",
        ),
        pytest.param(
            recorded(*((at, event(1) * 4) for at in (0.8, 0.9, 1.1, 2.9, 3.0, 4.4))),
            Kind.BURSTS, "24 events came in 6 bursts", id="bursts",
        ),
        pytest.param(
            recorded((2.0, event(0, 300) * 5),
                     *((2.0 + 0.3 * n, event(n)) for n in range(1, 12))),
            Kind.FIRST_LATE, "first 5 events (1580 bytes)", id="first bytes",
        ),
        pytest.param(
            recorded((0.0, event(0)), (0.1, event(1)), ended=60.2, ending="cut"),
            Kind.CUT, "cut after 60.1 s of silence, 2 events in", id="cut",
        ),
        pytest.param(
            recorded((0.5, event(0)), (1.0, event(1))),
            Kind.TOO_FEW, "only 2 events arrived", id="too few",
        ),
        pytest.param(
            recorded((0.05, event(0) * 9)),
            Kind.TOO_QUICK, "all 9 events had arrived after 50 ms", id="too quick",
        ),
        pytest.param(
            recorded(ended=20.0, ending="stopped"),
            Kind.SILENT, "nothing for 20.0 s", id="silent",
        ),
        pytest.param(
            recorded((0.1, b"not found"), status=404),
            Kind.NO_STREAM, "status 404", id="status",
        ),
        pytest.param(
            recorded(status=302, fields=(("Location", "http://else/"),)),
            Kind.NO_STREAM, "redirects to http://else/", id="redirect",
        ),
        pytest.param(
            ProbeRecording("http://x/", fault="nothing listens at x:80"),
            Kind.NO_ANSWER, "nothing listens at x:80", id="no answer",
        ),
        pytest.param(recorded(), Kind.NO_STREAM, "body is empty", id="empty"),
    ],
)  # fmt: skip
def test_a_fingerprint(recording: ProbeRecording, kind: Kind, said: str) -> None:
    verdict = diagnose(recording)
    assert verdict.kind is kind, verdict
    assert said in verdict.line
    assert verdict.held == (kind.value in (
        "all at the end", "in blocks", "in a fixed rhythm", "in bursts",
        "first bytes late", "cut"))  # fmt: skip


def test_events_that_say_when_they_were_sent_make_it_certain() -> None:
    late = recorded(*((n * 0.2 + 1.5 * (n < 5), sent(n + 1, 10, n * 0.2))
                      for n in range(10)))  # fmt: skip
    verdict = diagnose(late)
    assert verdict.held
    assert verdict.sure
    assert verdict.hold == pytest.approx(1.5)


def test_what_the_way_of_the_request_took_is_no_hold() -> None:
    """The origin counts from the arrival of the request."""
    slow = recorded(*((n * 0.2 + 0.4, sent(n + 1, 10, n * 0.2)) for n in range(10)))
    assert diagnose(slow).kind is Kind.STREAMS


def test_a_head_that_came_with_a_late_first_event_is_told_and_not_judged() -> None:
    arrivals = [(3.0 + n * 0.2, event(n)) for n in range(8)]
    verdict = diagnose(recorded(*arrivals, head=3.0))
    assert verdict.kind is Kind.STREAMS
    assert "the head arrived with the first event" in verdict.evidence[0]


def test_pieces_of_another_size_are_no_blocks() -> None:
    """A size that no buffer has, though each piece ends inside an event."""
    assert diagnose(blocks(5000)).kind is not Kind.BLOCKS


@pytest.mark.parametrize("size", [1010, 2030, 4080])
def test_events_as_large_as_a_buffer_are_no_blocks_where_each_is_flushed(
    size: int,
) -> None:
    """Compressed as well: a compressor that is flushed ends behind an event."""
    sizes = [size + (7 * number) % 12 for number in range(20)]
    came = [(n * 0.2, event(n, each)) for n, each in enumerate(sizes)]
    assert diagnose(recorded(*came, fields=GZIP)).kind is Kind.STREAMS
    stream = b"".join(event(number, 300) for number in range(60))
    full = [(n * 0.5, stream[n * 1024 : (n + 1) * 1024]) for n in range(15)]
    assert diagnose(recorded(*full, fields=GZIP)).kind is Kind.BLOCKS


# -- what looks like a hold and is none, and what is none to judge ------------------

GZIP = (("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip"))


def of_type(media_type: str, **more: str) -> tuple[tuple[str, str], ...]:
    fields = {"Content-Type": media_type, **more}
    return tuple((name.replace("_", "-"), value) for name, value in fields.items())


def history(size: int) -> ProbeRecording:
    """What has happened before, at once, and then what happens."""
    first = (0.001, b"".join(map(event, range(size))))
    return recorded(first, *((0.3 * n, event(n)) for n in range(1, 13)))


def tokens(every: float) -> ProbeRecording:
    """A model that sends one to three tokens at a time."""
    return recorded(*((n * every, event(n) * (1 + n % 3)) for n in range(60)))


@pytest.mark.parametrize(
    ("recording", "line"),
    [
        pytest.param(history(10), "22 events came in 13 arrivals", id="history"),
        pytest.param(history(40), "52 events came in 13 arrivals", id="long history"),
        pytest.param(tokens(0.05), "120 events came in 60 arrivals", id="tokens"),
        pytest.param(
            recorded(*((n * 0.5, b": ping\n\n") for n in range(8))),
            "8 comments came in 8 arrivals", id="comments",
        ),
        pytest.param(
            recorded(*((n * 0.2, b'{"a": 1}\n') for n in range(8)),
                     fields=of_type("application/x-ndjson")),
            "8 lines came in 8 arrivals", id="lines",
        ),
        pytest.param(
            recorded(*((n * 0.3, bytes([200, n])) for n in range(8)),
                     fields=of_type("application/octet-stream")),
            "8 pieces came over 2.1 s", id="pieces",
        ),
    ],
)  # fmt: skip
def test_what_streams_though_it_looks_odd(recording: ProbeRecording, line: str) -> None:
    verdict = diagnose(recording)
    assert verdict.line == f"It streams: {line}."
    assert not verdict.sure


@pytest.mark.parametrize(
    ("recording", "kind", "line", "hint"),
    [
        pytest.param(
            recorded(*((n * 0.2, b"data: x\n") for n in range(8))),
            Kind.TOO_FEW, "64 bytes came in 8 arrivals, but no event was complete",
            "ends with an empty line", id="events that never end",
        ),
        pytest.param(
            recorded((1.0, b"<html>" * 9), (1.01, b"<p>" * 9),
                     fields=of_type("text/html; charset=utf-8")),
            Kind.NO_STREAM, "an HTML page (text/html)", "is the path", id="page",
        ),
        pytest.param(
            recorded((1.5, b'{"a": 1}'), fields=of_type("application/json")),
            Kind.NO_STREAM, "one JSON document", '"stream": true', id="document",
        ),
        pytest.param(
            recorded(*((n * 0.02, b"x" * 9000) for n in range(30)),
                     fields=of_type("application/zip", Content_Length="270000")),
            Kind.TOO_QUICK, "263.7 KiB arrived within 0.58 s", "", id="download",
        ),
        pytest.param(
            recorded((3.0, b"no event"), (3.0, b"in it"), fields=of_type("text/plain")),
            Kind.TOO_FEW, "only 2 pieces", "may have been held", id="pieces at once",
        ),
        pytest.param(
            recorded((0.1, b"notgzip"), fields=GZIP,
                     fault="content coding broken: incorrect header"),
            Kind.NO_STREAM, "but the body is not in that format", "incorrect",
            id="coding",
        ),
        pytest.param(
            recorded(status=405, fields=(("Allow", "POST"),)),
            Kind.NO_STREAM, "status 405", "--json", id="405",
        ),
        pytest.param(
            recorded(status=401), Kind.NO_STREAM, "status 401", "-H 'Authorization",
            id="401",
        ),
        pytest.param(
            recorded(status=502), Kind.NO_STREAM, "status 502",
            "this hop answered itself: it could not reach", id="502",
        ),
        pytest.param(
            recorded(status=302), Kind.NO_STREAM, "status 302, with no Location.", "",
            id="no location",
        ),
        pytest.param(
            ProbeRecording("http://x/", ending="no head", ended=20.0),
            Kind.SILENT, "nothing arrived within 20.0 s, not even a response head",
            "--via", id="no head",
        ),
        pytest.param(
            recorded((0.1, sent(1, 9, 0.0)), ended=5.0, ending="stopped"),
            Kind.TOO_FEW, "only 1 event", "", id="one event with a mark",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_what_to_do(
    recording: ProbeRecording, kind: Kind, line: str, hint: str
) -> None:
    verdict = diagnose(recording)
    assert verdict.kind is kind, verdict
    assert line in verdict.line
    assert hint in " ".join(verdict.evidence)


def test_a_compressors_own_head_is_no_content() -> None:
    """It comes at once; the rest, all of it, at the end."""
    rest = b"".join(sent(number, 6, number * 0.5) for number in range(1, 7))
    held = recorded((0.01, b""), (3.5, rest), fields=GZIP)
    assert diagnose(held).kind is Kind.AT_THE_END
    alone = recorded((0.01, b""), fields=GZIP, ending="stopped", ended=9.0)
    alone = replace(alone, arrivals=(replace(alone.arrivals[0], size=10),))
    verdict = diagnose(alone)
    assert verdict.kind is Kind.SILENT
    assert "10 bytes of gzip arrived" in verdict.evidence[0]


def test_a_coding_that_nobody_here_can_take_off_leaves_pieces() -> None:
    fault = "content coding compress is not supported"
    fields = (("Content-Type", "text/event-stream"), ("Content-Encoding", "compress"))
    pieces = [(n * 0.3, bytes([31, 157, n])) for n in range(8)]
    verdict = diagnose(recorded(*pieces, fields=fields, fault=fault))
    assert verdict.line == "It streams: 8 pieces came over 2.1 s."
    assert fault in verdict.evidence


def test_a_rhythm_too_quick_to_be_called_held_is_told() -> None:
    pairs = recorded(*((n * 0.04, event(n) * 2) for n in range(40)))
    [said] = diagnose(pairs).evidence
    assert "delayed ACK" in said


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "in pieces"])
def test_events_of_any_size_are_judged(cut: bool) -> None:
    """Beyond 1 MiB a reader of events keeps no event, but here all is kept."""
    big = 3 * 1024 * 1024
    arrivals: list[tuple[float, bytes]] = []
    for number in range(6):
        whole = event(number, big)
        parts = [whole[:big], whole[big:]] if cut else [whole]
        arrivals += [(number * 1.0 + at * 0.01, part) for at, part in enumerate(parts)]
    recording = recorded(*arrivals)
    units = units_of(recording)
    assert [each.label for each in units] == [f"number {n}" for n in range(6)]
    assert diagnose(recording).kind is Kind.STREAMS


# -- kinds --------------------------------------------------------------------------


def test_what_comes_a_moment_before_the_next_is_sent_waits_for_it() -> None:
    """By the clock of another machine, or by a rounded mark."""
    times = [0.0, 0.5, 1.1, 1.4, 2.2, 2.6, 3.3]
    late = [*(at - 0.004 for at in times[1:]), times[-1]]
    marks = (sent(n + 1, 7, at) for n, at in enumerate(times))
    verdict = diagnose(recorded(*zip(late, marks, strict=True)))
    assert verdict.kind is Kind.DELAYED
    assert "each event waits for the next one" in verdict.line


@pytest.mark.parametrize("count", [8, 40])
def test_only_the_first_event_is_held_until_the_second(count: int) -> None:
    """However few one of so many is."""
    marks = [sent(n + 1, count, n * 0.5) for n in range(count)]
    first = (0.5, marks[0] + marks[1])
    rest = ((n * 0.5, marks[n]) for n in range(2, count))
    verdict = diagnose(recorded(first, *rest))
    assert verdict.kind is Kind.FIRST_LATE
    assert verdict.line == (
        "Held at the beginning: only the first event, until the second one was sent, "
        "0.50 s late."
    )
    assert verdict.sure


def test_an_event_that_is_late_once_is_not_the_first_alone() -> None:
    marks = [sent(n + 1, 40, n * 0.5) for n in range(40)]
    times = [n * 0.5 for n in range(40)]
    times[0] = 0.2  # a moment, but not until the second
    assert diagnose(recorded(*zip(times, marks, strict=True))).kind is Kind.STREAMS


def test_reads_of_one_large_event_are_no_blocks() -> None:
    """What a read holds is the kernel's size; a hold is a pause inside an event."""
    reads, whole = [], event(1, 4 * 65536)
    for number in range(6):
        for part in range(0, len(whole), 65536):
            at = number * 0.9 + part / 65536 * 0.03
            reads.append((at, whole[part : part + 65536]))
    assert diagnose(recorded(*reads)).kind is Kind.STREAMS


def test_pieces_have_their_senders_size() -> None:
    fields = of_type("application/octet-stream")
    pieces = [(0.2 + n * 0.5, bytes([200, n]) * 2048) for n in range(8)]
    assert diagnose(recorded(*pieces, fields=fields)).kind is Kind.STREAMS


@pytest.mark.parametrize("type", ["text/csv", "text/tab-separated-values"])
def test_rows_that_come_several_at_a_time_are_held(type: str) -> None:
    rows = [b"7,8,9\n" * 3] * 6
    arrivals = [(0.9 + n * 0.6, data) for n, data in enumerate(rows)]
    verdict = diagnose(recorded(*arrivals, fields=of_type(type)))
    assert verdict.kind is Kind.RHYTHM
    assert "3 lines" in verdict.line


@pytest.mark.parametrize("pace", [0.15, 0.22])
def test_a_history_that_comes_late_is_none_of_a_hop_s(pace: float) -> None:
    """At the steady pace behind it, a hop would have waited for it longer."""
    past = (0.7, b"".join(map(event, range(8))))
    live = [(0.7 + (n + 1) * pace, event(8 + n)) for n in range(12)]
    assert diagnose(recorded(past, *live)).kind is Kind.STREAMS
    held = (8 * pace, b"".join(map(event, range(8))))
    live = [((9 + n) * pace, event(8 + n)) for n in range(12)]
    assert diagnose(recorded(held, *live)).kind is Kind.FIRST_LATE
