"""Which streams are kept, and what their heads say of it."""

from __future__ import annotations

import pytest

from proxy.http1.framing import response_body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.delivery import COMPRESSED_TYPES, STREAM_TYPES, Delivery, decide
from proxy.policy.resumption import (
    PAGE_TYPES,
    adds_ids,
    allow_last_event_id,
    cors_of,
    is_mcp,
    may_keep,
    mcp_forbids,
    preflight_fields,
    with_exposed,
    with_stream_id,
)
from tests.unit.http1.heads import request, response

EVENT_STREAM = b"Content-Type: text/event-stream"
GZIP = b"Content-Encoding: gzip"
SIZED = b"Content-Length: 5"
POST = request(start=b"POST /chat HTTP/1.1")
EVENT_SOURCE = request(b"Accept: text/event-stream")


def kept(
    *lines: bytes, asked: RequestHead = POST, status: int = 200, decode: bool = True
) -> bool:
    head = response(*lines, start=b"HTTP/1.1 %d x" % status)
    body = response_body(head, asked.method)
    delivery = decide(head, body, "streams" if decode else "never")
    return may_keep(asked, head, body, delivery)


# -- what is kept


@pytest.mark.parametrize("media", sorted(STREAM_TYPES), ids=bytes.decode)
def test_a_stream_is_kept_whatever_else_its_head_says(media: bytes) -> None:
    line = b"Content-Type: %b; charset=utf-8" % media.upper()
    for asked in (POST, EVENT_SOURCE):
        assert kept(line, asked=asked)
        assert kept(line, SIZED, asked=asked)
        assert kept(line, GZIP, decode=False, asked=asked)
        assert kept(line, b"Accept-Ranges: bytes", asked=asked)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"Content-Type: text/plain"], id="text"),
        pytest.param([b"Content-Type: application/json"], id="JSON"),
        pytest.param([b"Content-Type: application/octet-stream"], id="bytes"),
        pytest.param([], id="no type"),
        pytest.param([b"Content-Type: text/plain", GZIP], id="coded and decoded"),
        pytest.param(
            [b"Content-Type: text/plain", b"Accept-Ranges: none"], id="no ranges"
        ),
        pytest.param(
            [b"Content-Type: text/plain", b"Content-Disposition: inline; a=attachment"],
            id="shown",
        ),
    ],
)
def test_what_may_be_a_stream_is_kept_if_its_length_is_unknown(
    lines: list[bytes],
) -> None:
    assert kept(*lines)
    assert kept(*lines, b"Transfer-Encoding: chunked")
    assert not kept(*lines, SIZED)


@pytest.mark.parametrize(
    "lines",
    [
        *(
            pytest.param([b"Content-Type: " + media], id=media.decode())
            for media in sorted(PAGE_TYPES | COMPRESSED_TYPES)
        ),
        pytest.param([b"Content-Type: image/svg+xml"], id="an image"),
        pytest.param([b"Content-Type: AUDIO/mpeg"], id="audio, in capitals"),
        pytest.param([b"Content-Type: video/mp4"], id="video"),
        pytest.param([b"Content-Type: font/woff2"], id="a font"),
        pytest.param([b"Content-Type: application/x+zip"], id="a kind of archive"),
        pytest.param(
            [b"Content-Type: text/csv", b"Content-Disposition: Attachment; filename=a"],
            id="saved as a file",
        ),
        pytest.param(
            [b"Content-Type: text/plain", b"Accept-Ranges: bytes"], id="with ranges"
        ),
    ],
)
def test_a_page_or_a_file_is_not_kept(lines: list[bytes]) -> None:
    assert not kept(*lines)


def test_coded_bytes_that_nobody_decodes_are_not_kept() -> None:
    assert not kept(b"Content-Type: text/plain", GZIP, decode=False)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 500])
def test_only_200_is_kept(status: int) -> None:
    assert not kept(EVENT_STREAM, status=status)


def test_the_response_to_head_has_nothing_to_keep() -> None:
    assert not kept(EVENT_STREAM, asked=request(start=b"HEAD / HTTP/1.1"))


# -- MCP


@pytest.mark.parametrize(
    ("lines", "mcp", "forbids"),
    [
        pytest.param([], False, False, id="another request"),
        pytest.param([b"Accept: application/json, text/event-stream"], False, False,
                     id="the types alone say nothing"),
        pytest.param([b"Mcp-Session-Id: a"], True, False, id="a session, 2025-03-26"),
        pytest.param([b"MCP-Protocol-Version: 2025-06-18"], True, False, id="2025"),
        pytest.param([b"mcp-protocol-version: 2025-11-25"], True, False, id="2025-11"),
        pytest.param([b"MCP-Protocol-Version: 2026-07-27"], True, False, id="before"),
        pytest.param([b"MCP-Protocol-Version: 2026-07-28"], True, True, id="2026"),
        pytest.param([b"MCP-Protocol-Version: 2027-01-01"], True, True, id="later"),
        pytest.param([b"MCP-Protocol-Version: DRAFT-2026-v1"], True, True, id="draft"),
        pytest.param([b"MCP-Protocol-Version:"], True, True, id="empty"),
        pytest.param([b"MCP-Protocol-Version: 2025-06-18"] * 2, True, True, id="twice"),
        pytest.param([b"MCP-Protocol-Version: 2025-6-18"], True, True, id="not a date"),
        pytest.param([b"Mcp-Method: tools/call"], True, True, id="a field of 2026"),
    ],
)  # fmt: skip
def test_a_revision_of_mcp_in_which_leaving_cancels_forbids_to_keep(
    lines: list[bytes], mcp: bool, forbids: bool
) -> None:
    head = request(*lines, start=b"POST / HTTP/1.1")
    assert is_mcp(head) is mcp
    assert mcp_forbids(head) is forbids
    assert kept(EVENT_STREAM, asked=head) is not forbids


# -- ids


def ids_added(
    ids: bool | None,
    *lines: bytes,
    asked: RequestHead = POST,
    decode: bool = True,
) -> bool:
    head = response(*lines)
    body = response_body(head, asked.method)
    delivery = decide(head, body, "streams" if decode else "never")
    length = SIZED in lines and not delivery.codings
    return adds_ids(ids, asked, head, delivery, framed_by_length=length)


@pytest.mark.parametrize(
    ("asked", "auto"),
    [
        pytest.param(EVENT_SOURCE, True, id="an EventSource"),
        pytest.param(POST, False, id="POST"),
        pytest.param(request(b"Accept: */*"), False, id="GET of something else"),
        pytest.param(
            request(b"Accept: text/event-stream", start=b"POST / HTTP/1.1"),
            False,
            id="POST for events",
        ),
    ],
)
def test_ids_are_added_always_never_or_where_the_client_reconnects(
    asked: RequestHead, auto: bool
) -> None:
    assert ids_added(True, EVENT_STREAM, asked=asked)
    assert not ids_added(False, EVENT_STREAM, asked=asked)
    assert ids_added(None, EVENT_STREAM, asked=asked) is auto


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"Content-Type: application/x-ndjson"], id="lines"),
        pytest.param([b"Content-Type: text/plain"], id="another type"),
        pytest.param([EVENT_STREAM, SIZED], id="a length"),
        pytest.param([EVENT_STREAM, b"Content-Digest: sha-256=:YQ==:"], id="a digest"),
        pytest.param([EVENT_STREAM, b"Trailer: Repr-Digest"], id="a digest behind it"),
        pytest.param([EVENT_STREAM, b"Mcp-Session-Id: a"], id="a new session of MCP"),
    ],
)
def test_no_id_is_added_where_another_byte_would_be_a_fault(lines: list[bytes]) -> None:
    assert not ids_added(True, *lines, asked=EVENT_SOURCE)


def test_ids_are_added_to_what_was_decoded_but_not_to_what_is_coded() -> None:
    assert ids_added(True, EVENT_STREAM, GZIP)
    assert not ids_added(True, EVENT_STREAM, GZIP, decode=False)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(
            request(b"Accept: text/event-stream", b"Mcp-Session-Id: a"), id="MCP"
        ),
        pytest.param(
            request(start=b"POST /m:streamGenerateContent?alt=sse HTTP/1.1"),
            id="Gemini, whose clients fail on a line that is not data",
        ),
    ],
)
def test_no_id_is_added_for_a_client_that_would_misunderstand_it(
    asked: RequestHead,
) -> None:
    assert not ids_added(True, EVENT_STREAM, asked=asked)


# -- Stream-Id

ALLOW_ANY = (b"Access-Control-Allow-Origin", b"*")
CREDENTIALS = (b"Access-Control-Allow-Credentials", b"true")
EXPOSE = b"Access-Control-Expose-Headers"
THE_ID = (b"Stream-Id", b"0-ab")


@pytest.mark.parametrize(
    ("fields", "exposed"),
    [
        pytest.param([], [], id="no CORS"),
        pytest.param([(EXPOSE, b"X-A")], [b"X-A"], id="no origin is allowed"),
        pytest.param([ALLOW_ANY], [b"Stream-Id"], id="none exposed"),
        pytest.param(
            [(EXPOSE.lower(), b"X-A"), (b"access-control-allow-origin", b"http://a")],
            [b"X-A, Stream-Id"],
            id="another one, in lower case",
        ),
        pytest.param([ALLOW_ANY, (EXPOSE, b"")], [b"Stream-Id"], id="an empty list"),
        pytest.param(
            [ALLOW_ANY, (EXPOSE, b"X-A, STREAM-id")], [b"X-A, STREAM-id"], id="there"
        ),
        pytest.param(
            [ALLOW_ANY, (EXPOSE, b"Stream-Id"), (EXPOSE, b"X-A")],
            [b"Stream-Id", b"X-A"],
            id="in the first of two",
        ),
        pytest.param(
            [ALLOW_ANY, (EXPOSE, b"X-A"), (EXPOSE, b"X-B")],
            [b"X-A", b"X-B, Stream-Id"],
            id="two fields",
        ),
        pytest.param(
            [ALLOW_ANY, (EXPOSE, b"X-Stream-Id")],
            [b"X-Stream-Id, Stream-Id"],
            id="a longer name",
        ),
        pytest.param([ALLOW_ANY, (EXPOSE, b"*")], [b"*"], id="all"),
        pytest.param(
            [
                (b"Access-Control-Allow-Origin", b"http://a"),
                CREDENTIALS,
                (EXPOSE, b"*"),
            ],
            [b"*, Stream-Id"],
            id="with credentials a star is a name",
        ),
    ],
)
def test_pages_may_read_the_id_where_they_may_read_the_response(
    fields: Fields, exposed: list[bytes]
) -> None:
    """WHATWG Fetch: Access-Control-Expose-Headers."""
    before = list(fields)
    found = with_stream_id(fields, b"0-ab")
    assert fields == before  # which others may share
    assert found.count(THE_ID) == 1
    assert [value for name, value in found if name.lower() == EXPOSE.lower()] == exposed
    assert [field for field in found if field[0].lower() != EXPOSE.lower()] == [
        *(field for field in fields if field[0].lower() != EXPOSE.lower()),
        THE_ID,
    ]


def test_an_id_of_a_proxy_further_back_is_replaced() -> None:
    fields = [(b"stream-id", b"7-cd"), (b"X", b"1"), (b"Stream-ID", b"8-ef")]
    assert with_stream_id(fields, b"0-ab") == [(b"X", b"1"), THE_ID]


def test_another_field_is_exposed_in_the_same_way() -> None:
    assert with_exposed([ALLOW_ANY], b"Last-Event-ID") == [
        ALLOW_ANY,
        (EXPOSE, b"Last-Event-ID"),
    ]
    assert with_exposed([], b"Last-Event-ID") == []


# -- preflights that the upstream answers

ORIGIN = b"Origin: http://a"
ASKS = b"Access-Control-Request-Headers: last-event-id"
METHOD = b"Access-Control-Request-Method: GET"
ALLOW = b"Access-Control-Allow-Headers"


def preflight(*lines: bytes, method: bytes = b"OPTIONS") -> RequestHead:
    return request(*lines, start=method + b" /chat HTTP/1.1")


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        pytest.param([], [b"Last-Event-ID"], id="none"),
        pytest.param([ALLOW + b": X-A"], [b"X-A, Last-Event-ID"], id="another one"),
        pytest.param(
            [ALLOW + b": X-A", ALLOW.lower() + b": X-B"],
            [b"X-A", b"X-B, Last-Event-ID"],
            id="two fields",
        ),
        pytest.param([ALLOW + b":"], [b"Last-Event-ID"], id="an empty one"),
        pytest.param(
            [ALLOW + b": *", b"Access-Control-Allow-Credentials: true"],
            [b"*, Last-Event-ID"],
            id="with credentials a star is a name",
        ),
    ],
)
@pytest.mark.parametrize("origin", [b"*", b"http://a"])
@pytest.mark.parametrize(
    "asks",
    [
        pytest.param([ASKS], id="asked for"),
        pytest.param([ASKS + b", x-a"], id="with another one"),
        pytest.param(
            [b"access-control-request-headers: X-A, LAST-Event-Id"], id="case"
        ),
        pytest.param([], id="none asked for"),
        pytest.param([b"Access-Control-Request-Headers:"], id="an empty list"),
    ],
)
def test_an_upstream_that_allows_the_origin_allows_last_event_id_too(
    lines: list[bytes], allowed: list[bytes], origin: bytes, asks: list[bytes]
) -> None:
    head = response(
        b"Access-Control-Allow-Origin: " + origin, *lines, start=b"HTTP/1.0 204 Fine"
    )
    before = list(head.fields)
    found = allow_last_event_id(preflight(ORIGIN, METHOD, *asks), head)
    name = ALLOW.lower()
    assert [value for key, value in found.fields if key.lower() == name] == allowed
    assert found.get(name) == b", ".join(allowed)
    assert (found.status, found.reason, found.minor) == (204, b"Fine", 0)
    assert [f for f in found.fields if f[0].lower() != name] == [
        f for f in before if f[0].lower() != name
    ]
    assert head.fields == before  # an upstream's head is remembered


@pytest.mark.parametrize(
    ("asked", "lines", "status"),
    [
        pytest.param(preflight(METHOD, ASKS), [ALLOW_ANY], 200, id="no origin"),
        pytest.param(preflight(ORIGIN, ASKS), [ALLOW_ANY], 200, id="no method"),
        pytest.param(
            preflight(ORIGIN, METHOD, ASKS, method=b"GET"), [ALLOW_ANY], 200, id="GET"
        ),
        pytest.param(
            preflight(
                ORIGIN, METHOD, b"Access-Control-Request-Headers: x-last-event-id"
            ),
            [ALLOW_ANY],
            200,
            id="other fields asked for",
        ),
        pytest.param(preflight(ORIGIN, METHOD, ASKS), [ALLOW_ANY], 404, id="a 404"),
        pytest.param(preflight(ORIGIN, METHOD, ASKS), [ALLOW_ANY], 302, id="a 302"),
        pytest.param(preflight(ORIGIN, METHOD, ASKS), [], 200, id="nothing allowed"),
        *(
            pytest.param(
                preflight(ORIGIN, METHOD, ASKS),
                [(b"Access-Control-Allow-Origin", value)],
                200,
                id="origin " + value.decode(),
            )
            for value in (b"http://b", b"HTTP://A", b"http://a/", b"http://a:80", b"")
        ),
        pytest.param(
            preflight(ORIGIN, METHOD, ASKS),
            [ALLOW_ANY, (ALLOW, b"X-A, LAST-EVENT-ID")],
            200,
            id="there already",
        ),
        pytest.param(
            preflight(ORIGIN, METHOD, ASKS), [ALLOW_ANY, (ALLOW, b"*")], 200, id="all"
        ),
    ],
)
def test_any_other_response_stays_the_same_object(
    asked: RequestHead, lines: Fields, status: int
) -> None:
    head = response(
        *(b"%b: %b" % field for field in lines), start=b"HTTP/1.1 %d x" % status
    )
    assert allow_last_event_id(asked, head) is head


# -- CORS at the address of a kept stream

STORED = [
    b"Content-Type: text/event-stream",
    b"access-control-allow-origin: http://a",
    b"Access-Control-Allow-Credentials: true",
    b"Access-Control-Expose-Headers: X-A",
    b"Access-Control-Expose-Headers: X-B",
    b"Access-Control-Allow-Methods: POST",
    b"Access-Control-Max-Age: 9",
    b"Vary: Origin",
    b"Set-Cookie: a=b",
]
OF_STORED = [
    (b"access-control-allow-origin", b"http://a"),
    (b"Access-Control-Allow-Credentials", b"true"),
    (b"Access-Control-Expose-Headers", b"X-A"),
    (b"Access-Control-Expose-Headers", b"X-B"),
]


def test_the_origin_that_got_the_stream_may_take_it_up() -> None:
    assert cors_of(response(*STORED), request(ORIGIN)) == OF_STORED


def test_any_origin_may_where_any_origin_got_it() -> None:
    stored = response(b"Access-Control-Allow-Origin: *", b"X: 1")
    for asked in (request(ORIGIN), request(b"Origin: null"), request()):
        assert cors_of(stored, asked) == [ALLOW_ANY]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"Origin: http://b"], id="another host"),
        pytest.param([b"Origin: https://a"], id="another scheme"),
        pytest.param([b"Origin: http://a:8080"], id="another port"),
        pytest.param([b"Origin: HTTP://A"], id="capitals, which no browser sends"),
        pytest.param([b"Origin: http://a.evil"], id="a longer host"),
        pytest.param([b"Origin: http://"], id="a prefix"),
        pytest.param([b"Origin: null"], id="null"),
        pytest.param([b"Origin: *"], id="a star"),
        pytest.param([b"Origin:"], id="empty"),
        pytest.param([], id="none"),
        pytest.param([b"Origin: http://a", b"Origin: http://b"], id="two"),
    ],
)
def test_another_origin_may_not(lines: list[bytes]) -> None:
    asked = request(METHOD, *lines, start=b"OPTIONS / HTTP/1.1")
    stored = response(*STORED)
    assert cors_of(stored, asked) == []
    assert preflight_fields(stored, asked, ["Authorization"]) is None


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="no CORS"),
        pytest.param(
            [b"Access-Control-Allow-Origin: http://a"] * 2, id="twice, WHATWG Fetch"
        ),
        pytest.param([b"Access-Control-Allow-Origin: http://a, *"], id="a list"),
        pytest.param([b"Access-Control-Allow-Credentials: true"], id="no origin"),
    ],
)
def test_without_one_allowed_origin_there_is_no_cors(lines: list[bytes]) -> None:
    stored = response(*lines)
    for asked in (preflight(ORIGIN, METHOD), preflight(METHOD)):
        assert cors_of(stored, asked) == []
        assert preflight_fields(stored, asked, ["Authorization"]) is None


@pytest.mark.parametrize(
    ("bind", "asks", "allowed"),
    [
        pytest.param([], b"", b"Last-Event-ID", id="nothing asked for"),
        pytest.param(
            ["Authorization", "X-User"],
            b"x-other, authorization",
            b"Last-Event-ID, Authorization",
            id="what is bound and asked for",
        ),
        pytest.param(["cookie:sid"], b"cookie", b"Last-Event-ID", id="not a field"),
        pytest.param([], b"authorization", b"Last-Event-ID", id="not bound"),
    ],
)
def test_a_preflight_allows_what_a_resumption_needs(
    bind: list[str], asks: bytes, allowed: bytes
) -> None:
    lines = [b"Access-Control-Request-Headers: " + asks] if asks else []
    assert preflight_fields(
        response(*STORED), preflight(ORIGIN, METHOD, *lines), bind
    ) == [
        (b"access-control-allow-origin", b"http://a"),
        (b"Access-Control-Allow-Credentials", b"true"),
        (b"Access-Control-Allow-Methods", b"GET, HEAD, DELETE"),
        (b"Access-Control-Allow-Headers", allowed),
    ]


def test_a_delivery_that_is_not_known_gets_no_ids() -> None:
    unknown = Delivery(True, ())
    head = response(EVENT_STREAM)
    assert not adds_ids(True, POST, head, unknown, framed_by_length=False)
