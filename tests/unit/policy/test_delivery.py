"""What becomes of a response, told from its head alone."""

from __future__ import annotations

import pytest

from proxy.config.route import Decode, RouteOptions
from proxy.http1.framing import response_body
from proxy.policy.delivery import (
    EVENTS,
    LINE_TYPES,
    LINES,
    STREAM_TYPES,
    Delivery,
    asks_for_events,
    decide,
    may_be_event_source,
    media_type,
    reconnects,
    skips_comments,
)
from tests.unit.http1.heads import request, response

SIZED = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"


def decided(
    *lines: bytes,
    status: int = 200,
    method: bytes = b"GET",
    decode: Decode = "unless-no-transform",
) -> Delivery:
    head = response(*lines, start=b"HTTP/1.1 %d x" % status)
    return decide(head, response_body(head, method), decode)


# -- is it a stream?


@pytest.mark.parametrize("media", sorted(STREAM_TYPES), ids=bytes.decode)
@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(b"%b", id="plain"),
        pytest.param(b"%b;charset=utf-8", id="parameter"),
        pytest.param(b"%b ; charset=utf-8", id="white space"),
    ],
)
def test_a_stream_type_is_a_stream_whatever_its_length(
    media: bytes, wrap: bytes
) -> None:
    for value in (wrap % media, wrap % media.upper()):
        line = b"Content-Type: " + value
        assert decided(line, SIZED).stream
        assert decided(line, CHUNKED).stream
        assert decided(line).stream
        assert decided(line, method=b"HEAD").stream


def test_the_promised_stream_types_are_known() -> None:
    assert {
        b"text/event-stream",
        b"application/x-ndjson",
        b"application/ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
        b"application/stream+json",
        b"application/json-seq",
    } == STREAM_TYPES


@pytest.mark.parametrize(
    ("lines", "stream"),
    [
        pytest.param([b"Content-Type: text/html", SIZED], False, id="known length"),
        pytest.param([b"Content-Type: text/html", CHUNKED], True, id="chunked"),
        pytest.param([b"Content-Type: text/html"], True, id="until the close"),
        pytest.param([SIZED], False, id="no type"),
        pytest.param([CHUNKED], True, id="no type, chunked"),
        pytest.param([b"Content-Length: 0"], False, id="empty"),
        pytest.param(
            [b"Content-Type: text/event-streams", SIZED], False, id="a longer name"
        ),
        pytest.param(
            [b"Content-Type: a/b; x=text/event-stream", SIZED], False, id="a parameter"
        ),
        pytest.param(
            [b"Content-Type: text/html", SIZED, b"Content-Encoding: gzip"],
            True,
            id="decoded: the length is not known any more",
        ),
    ],
)
def test_any_other_type_is_a_stream_if_its_length_is_unknown(
    lines: list[bytes], stream: bool
) -> None:
    assert decided(*lines).stream is stream


@pytest.mark.parametrize(
    ("status", "method"), [(204, b"GET"), (304, b"GET"), (200, b"HEAD")]
)
def test_no_body_is_no_body_of_unknown_length(status: int, method: bytes) -> None:
    assert decided(status=status, method=method) == Delivery(False, ())


@pytest.mark.parametrize(
    ("value", "media"),
    [
        (b"Content-Type: Text/HTML ; charset=x", b"text/html"),
        (b"Content-Type: text/html;", b"text/html"),
        (b"Content-Type:", b""),
        (b"X: y", b""),
    ],
)
def test_a_media_type_is_type_and_subtype(value: bytes, media: bytes) -> None:
    assert media_type(response(value)) == media


# -- are there events that a client can read?


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        pytest.param([b"Content-Type: text/event-stream"], True, id="plain"),
        pytest.param([b"Content-Type: Text/Event-Stream;a=b"], True, id="parameter"),
        pytest.param([b"Content-Type: application/x-ndjson"], False, id="no events"),
        pytest.param([CHUNKED], False, id="no type"),
        pytest.param(
            [b"Content-Type: text/event-stream", b"Content-Encoding: gzip"],
            True,
            id="decoded by us",
        ),
        pytest.param(
            [b"Content-Type: text/event-stream", b"Content-Encoding: identity"],
            True,
            id="identity is no coding",
        ),
        pytest.param(
            [b"Content-Type: text/event-stream", b"Content-Encoding: compress"],
            False,
            id="coded in a way that nobody here knows",
        ),
    ],
)
def test_events_are_seen_where_the_client_gets_them_in_plain(
    lines: list[bytes], events: bool
) -> None:
    assert (decided(*lines).format is EVENTS) is events


@pytest.mark.parametrize("kind", sorted(LINE_TYPES))
def test_lines_are_seen_where_the_client_gets_them_in_plain(kind: bytes) -> None:
    assert decided(b"Content-Type: " + kind).format is LINES
    assert decided(b"Content-Type: " + kind, b"Content-Encoding: x").format is None


def test_of_json_sequences_nothing_is_read() -> None:
    """RFC 7464: a record begins with a separator, and has no line of its own."""
    delivery = decided(b"Content-Type: application/json-seq")
    assert delivery == Delivery(True, (), None)


# -- which codings come off?


@pytest.mark.parametrize(
    ("lines", "codings"),
    [
        pytest.param([], (), id="none"),
        pytest.param([b"gzip"], ("gzip",), id="gzip"),
        pytest.param([b"x-gzip"], ("gzip",), id="x-gzip, RFC 9110 8.4.1.3"),
        pytest.param([b"GZip"], ("gzip",), id="any case, RFC 9110 8.4.1"),
        pytest.param([b"deflate"], ("deflate",), id="deflate"),
        pytest.param([b"br"], ("br",), id="br"),
        pytest.param([b"zstd"], ("zstd",), id="zstd"),
        pytest.param([b"gzip, br"], ("br", "gzip"), id="stacked: the last comes first"),
        pytest.param([b"gzip", b"br"], ("br", "gzip"), id="stacked in two fields"),
        pytest.param([b"identity"], (), id="identity"),
        pytest.param([b"identity, gzip,"], ("gzip",), id="identity and empty members"),
        pytest.param([b"compress"], (), id="unknown coding"),
        pytest.param([b"dcb"], (), id="dictionary coding, RFC 9842"),
        pytest.param([b"gzip, aes128gcm"], (), id="unknown on top"),
        pytest.param([b"aes128gcm, gzip"], (), id="unknown below: all or none"),
        pytest.param(
            [b"gzip, gzip, gzip, br"], ("br", "gzip", "gzip", "gzip"), id="four"
        ),
        pytest.param([b"gzip, gzip, gzip, gzip, br"], (), id="five: nobody means it"),
        pytest.param([b"gzip;q=1"], (), id="a parameter has no place there"),
    ],
)
def test_known_codings_come_off_outermost_first(
    lines: list[bytes], codings: tuple[str, ...]
) -> None:
    """RFC 9110 §8.4: listed in the order in which they were applied."""
    fields = [b"Content-Encoding: " + line for line in lines]
    assert decided(*fields, SIZED) == Delivery(bool(codings), codings)
    assert decided(*fields, CHUNKED).codings == codings
    assert decided(*fields).codings == codings


@pytest.mark.parametrize(
    ("status", "method", "decoded"),
    [
        (200, b"GET", True),
        (200, b"POST", True),
        (404, b"GET", True),
        (500, b"GET", True),
        (203, b"GET", True),
        (200, b"HEAD", False),
        (206, b"GET", False),
        (304, b"GET", False),
        (204, b"GET", False),
    ],
)
@pytest.mark.parametrize("decode", ["unless-no-transform", "always"])
def test_what_has_no_whole_body_is_left_alone(
    status: int, method: bytes, decoded: bool, decode: Decode
) -> None:
    lines = (b"Content-Encoding: gzip", SIZED)
    delivery = decided(*lines, status=status, method=method, decode=decode)
    assert delivery.codings == (("gzip",) if decoded else ())


@pytest.mark.parametrize(
    ("decode", "control", "decoded"),
    [
        ("unless-no-transform", b"", True),
        ("unless-no-transform", b"no-cache", True),
        ("unless-no-transform", b"no-transform", False),
        ("unless-no-transform", b"no-cache, No-Transform", False),
        ("unless-no-transform", b"x=no-transform", True),
        ("always", b"", True),
        ("always", b"no-transform", True),
        ("never", b"", False),
        ("never", b"no-transform", False),
    ],
)
def test_the_key_decode_says_who_decides(
    decode: Decode, control: bytes, decoded: bool
) -> None:
    """RFC 9110 §7.7: a proxy must not transform what says no-transform."""
    lines = (b"Content-Encoding: br", SIZED, b"Cache-Control: " + control)
    assert decided(*lines, decode=decode).codings == (("br",) if decoded else ())


def test_no_transform_in_a_second_field_counts_too() -> None:
    delivery = decided(
        b"Content-Encoding: br",
        b"Cache-Control: no-cache",
        b"cache-control: no-transform",
        SIZED,
    )
    assert delivery == Delivery(False, ())


# -- the default: what can hide a stream

GZIP = b"Content-Encoding: gzip"
RANGES = b"Accept-Ranges: bytes"


@pytest.mark.parametrize(
    ("lines", "decoded"),
    [
        pytest.param([b"Content-Type: text/event-stream", CHUNKED], True, id="events"),
        pytest.param([b"Content-Type: text/event-stream"], True, id="until the close"),
        pytest.param(
            [b"Content-Type: application/x-ndjson", CHUNKED, RANGES],
            True,
            id="a stream, whatever a cache says of all that it serves",
        ),
        pytest.param([b"Content-Type: text/html", CHUNKED], True, id="any other type"),
        pytest.param([CHUNKED], True, id="no type"),
        pytest.param(
            [b"Content-Type: application/octet-stream"], True, id="bytes of any kind"
        ),
        pytest.param([CHUNKED, b"Accept-Ranges: none"], True, id="no ranges"),
        pytest.param([b"Content-Type: text/html", SIZED], False, id="a known length"),
        pytest.param(
            [b"Content-Type: text/event-stream", SIZED], False, id="events in a file"
        ),
        pytest.param([CHUNKED, RANGES], False, id="what can be resumed"),
        pytest.param(
            [CHUNKED, b"accept-ranges: Bytes"], False, id="resumed, in any case"
        ),
        pytest.param(
            [b"Content-Type: Application/X-Tar; a=b", CHUNKED], False, id="an archive"
        ),
        pytest.param([b"Content-Type: application/gzip"], False, id="a gzip file"),
        pytest.param([b"Content-Type: application/epub+zip"], False, id="by suffix"),
        pytest.param([CHUNKED, b"Cache-Control: no-transform"], False, id="forbidden"),
    ],
)
def test_by_default_what_can_hide_a_stream_is_decoded(
    lines: list[bytes], decoded: bool
) -> None:
    assert RouteOptions().decode == "streams"
    for line in (GZIP, b"Content-Encoding: x-gzip", b"Content-Encoding: gzip, br"):
        assert bool(decided(line, *lines, decode="streams").codings) is decoded


@pytest.mark.parametrize("decode", ["unless-no-transform", "always"])
def test_files_are_decoded_where_a_route_says_so(decode: Decode) -> None:
    for lines in ([SIZED], [CHUNKED, RANGES], [b"Content-Type: application/x-tar"]):
        assert decided(GZIP, *lines, decode=decode).codings == ("gzip",)


def test_a_file_that_is_left_alone_is_a_stream_by_its_framing_only() -> None:
    assert decided(GZIP, SIZED, decode="streams") == Delivery(False, ())
    assert decided(GZIP, CHUNKED, RANGES, decode="streams") == Delivery(True, ())
    events = decided(GZIP, SIZED, b"Content-Type: text/event-stream", decode="streams")
    assert events == Delivery(True, (), None)


@pytest.mark.parametrize(
    ("method", "lines", "again"),
    [
        (b"GET", (b"Accept: text/event-stream",), True),
        (b"GET", (b"accept: Text/Event-Stream",), True),
        (b"GET", (b"Accept: application/json, text/event-stream;q=0.9",), True),
        (b"GET", (b"Accept: */*", b"Accept: text/event-stream ; a=b"), True),
        (b"GET", (), False),
        (b"GET", (b"Accept: */*",), False),
        (b"GET", (b"Accept: text/*",), False),
        (b"GET", (b"Accept: text/event-stream-not",), False),
        (b"GET", (b"Accept: text/event-stream;q=0",), False),
        (b"GET", (b"Accept: text/event-stream; Q=0.000",), False),
        (b"POST", (b"Accept: text/event-stream",), False),
        (b"HEAD", (b"Accept: text/event-stream",), False),
    ],
)
def test_an_event_source_sends_get_and_names_the_type(
    method: bytes, lines: tuple[bytes, ...], again: bool
) -> None:
    assert reconnects(request(*lines, start=method + b" / HTTP/1.1")) is again


@pytest.mark.parametrize(
    ("lines", "is_one"),
    [
        pytest.param([b"Cache-Control: no-cache"], True, id="EventSource"),
        pytest.param([b"Cache-Control: max-age=0, No-Cache"], True, id="one of many"),
        pytest.param([b"Cache-Control: no-store"], False, id="httpx-sse"),
        pytest.param([], True, id="fetch-event-source"),
    ],
)
def test_a_browser_never_sends_no_store(lines: list[bytes], is_one: bool) -> None:
    """WHATWG HTML §9.2.3: the cache mode no-store adds no-cache (Fetch §4.5)."""
    accept = b"Accept: text/event-stream"
    assert may_be_event_source(request(accept, *lines)) is is_one
    posted = request(accept, *lines, start=b"POST / HTTP/1.1")
    assert not may_be_event_source(posted)


@pytest.mark.parametrize(
    ("target", "skips"),
    [
        (b"/v1beta/models/m:streamGenerateContent?alt=sse", False),
        (b"/v1/projects/p/models/m:streamGenerateContent", False),
        (b"/gemini/v1/models/m%3AstreamGenerateContent?alt=sse&key=k", False),
        (b"/v1beta/models/m:generateContent", True),
        (b"/v1beta/models/m:streamGenerateContents", True),
        (b"/streamGenerateContent", True),
        (b"/x?to=:streamGenerateContent", True),
        (b"/x?to=:streamGenerateContent?alt=sse", True),
        (b"/v1/chat/completions", True),
    ],
)
def test_a_client_of_gemini_does_not_skip_comments(target: bytes, skips: bool) -> None:
    start = b"POST %b HTTP/1.1" % target
    assert skips_comments(request(start=start)) is skips


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        (b"?alt=sse", True),
        (b"?key=k&alt=sse", True),
        (b"?alt=sse&key=k", True),
        (b"?alt=json", False),
        (b"?xalt=sse", False),
        (b"?alt=ssex", False),
        (b"", False),
    ],
)
def test_gemini_is_asked_for_events_in_the_target(query: bytes, asks: bool) -> None:
    start = b"POST /v1beta/models/m:streamGenerateContent%b HTTP/1.1" % query
    assert asks_for_events(request(start=start)) is asks


def test_only_the_path_is_looked_at_for_the_method_of_gemini() -> None:
    start = b"POST /x?to=:streamGenerateContent?alt=sse HTTP/1.1"
    assert not asks_for_events(request(start=start))
