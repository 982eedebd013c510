"""No request of HTTP/2 is two of HTTP/1.1, or another one, at the upstream.

The cases are those of James Kettle, "HTTP/2: The Sequel is Always Worse" (2021), those
of h2c smuggling, and whatever Hypothesis makes of the bytes that they are made of.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, parse_request_head
from proxy.http2.faults import StreamFault
from proxy.http2.request_fields import Request, request_content
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.routing import destination
from proxy.policy.upgrade import is_upgrade
from tests.unit.http2.sections import (
    AUTHORITY,
    CONNECT,
    GET,
    METHOD,
    PATH,
    SCHEME,
    WEBSOCKET,
    changed,
    read,
)
from tests.unit.policy.compiled import ADDRESS, compiled

POST = changed(b":method", b"POST")
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"


def upstream_text(head: RequestHead, *, complete: bool) -> bytes:
    """What the upstream is sent as the head of its request."""
    where, route = destination(head), compiled()
    plan = RequestPlanner(ADDRESS, b"https").plan(
        head,
        request_content(head, complete=complete),
        route,
        route.route.targets[0],
        where.path,
        where.authority,
        trusted=False,
        upgrade=is_upgrade(head),
    )
    return plan.text


def refused(fields: Fields, *, complete: bool = False) -> bool:
    """Is nothing sent to any upstream?"""
    try:
        return read(fields, complete=complete).error is not None
    except StreamFault:
        return True


# -- the published cases

SPLIT = b"x\r\nTransfer-Encoding: chunked\r\nx: x"
CASES = {
    "H2.CL: a length that is not that of the content": (
        [*POST, (b"content-length", b"0"), (b"content-length", b"45")]
    ),
    "H2.CL: a length with an obscured twin": [
        *POST,
        (b"content-length", b"4"),
        (b"content-length ", b"45"),
    ],
    "H2.CL: a length and another in its value": [
        *POST,
        (b"content-length", b"4\r\ncontent-length: 45"),
    ],
    "H2.CL: hexadecimal": [*POST, (b"content-length", b"0x2d")],
    "H2.CL: a sign": [*POST, (b"content-length", b"+45")],
    "H2.TE": [*POST, (b"transfer-encoding", b"chunked")],
    "H2.TE: any coding": [*POST, (b"transfer-encoding", b"identity")],
    "H2.TE: upper case": [*POST, (b"Transfer-Encoding", b"chunked")],
    "H2.TE: a blank behind the name": [*POST, (b"transfer-encoding ", b"chunked")],
    "H2.TE: a tab behind the name": [*POST, (b"transfer-encoding\t", b"chunked")],
    "H2.TE: a colon in the name": [*POST, (b"transfer-encoding:chunked\r\nx", b"x")],
    "H2.TE: by a value": [*POST, (b"foo", b"b\r\nTransfer-Encoding: chunked")],
    "H2.TE: by a value with a bare LF": [
        *POST,
        (b"foo", b"b\nTransfer-Encoding: chunked"),
    ],
    "H2.TE: by a value with a bare CR": [
        *POST,
        (b"foo", b"b\rTransfer-Encoding: chunked"),
    ],
    "H2.TE: by a name": [*POST, (b"foo: b\r\ntransfer-encoding", b"chunked")],
    "H2.TE: by a cookie": [*POST, (b"cookie", b"a=b"), (b"cookie", SPLIT)],
    "H2.TE: by :method": changed(b":method", b"GET / HTTP/1.1\r\n" + SPLIT),
    "H2.TE: by :path": changed(b":path", b"/ HTTP/1.1\r\n" + SPLIT),
    "H2.TE: by :authority": changed(b":authority", SPLIT),
    "H2.TE: by :scheme": changed(b":scheme", b"http://x/" + SPLIT),
    "H2.TE: by host": [*changed(b":authority", None), (b"host", SPLIT)],
    "H2.TE: by :protocol": changed(b":protocol", b"websocket\r\n" + SPLIT, WEBSOCKET),
    "H2.X: a whole request in a value": [*GET, (b"foo", b"bar\r\n\r\n" + SMUGGLED)],
    "H2.X: a whole request in a name": [*GET, (b"foo: x\r\n\r\n" + SMUGGLED, b"x")],
    "H2.X: a whole request in a path": changed(
        b":path", b"/ HTTP/1.1\r\n\r\n" + SMUGGLED
    ),
    "request line: by :method": changed(b":method", b"GET /admin HTTP/1.1\r\nx: x"),
    "request line: a blank in :method": changed(b":method", b"GET /admin"),
    "request line: a blank in :path": changed(b":path", b"/admin HTTP/1.1"),
    "request line: a tab in :path": changed(b":path", b"/admin\tHTTP/1.1"),
    "request line: by :scheme": changed(b":scheme", b"http://a.example/admin?"),
    "request line: an absolute :path": changed(b":path", b"http://internal/admin"),
    "request line: a :path that goes on behind the host": changed(
        b":path", b"@internal/"
    ),
    "request line: an empty :path": changed(b":path", b""),
    "two of a pseudo-field: :method": [*GET, (b":method", b"POST")],
    "two of a pseudo-field: :path": [*GET, (b":path", b"/admin")],
    "two of a pseudo-field: :authority": [*GET, (b":authority", b"internal")],
    "two of a pseudo-field: :scheme": [*GET, (b":scheme", b"http")],
    "a pseudo-field behind a field": [METHOD, SCHEME, (b"a", b"b"), AUTHORITY, PATH],
    "a pseudo-field with a name of its own": [*GET, (b":host", b"internal")],
    "ambiguous host: two that differ": [*GET, (b"host", b"internal")],
    "ambiguous host: two Hosts": [
        *changed(b":authority", None),
        (b"host", b"a.example"),
        (b"host", b"internal"),
    ],
    "ambiguous host: a list": changed(b":authority", b"a.example,internal"),
    "ambiguous host: userinfo": changed(b":authority", b"a.example@internal"),
    "ambiguous host: a port that is none": changed(
        b":authority", b"a.example:80@internal"
    ),
    "ambiguous host: a blank": changed(b":authority", b"a.example internal"),
    "ambiguous host: a path": changed(b":authority", b"a.example/?"),
    "ambiguous host: by a name": [*GET, (b"host: internal\r\nx", b"x")],
    "ambiguous host: upper case": [*GET, (b"Host", b"internal")],
    "header prefix: a name that is empty": [*GET, (b"", b"x")],
    "header prefix: a name that is a colon": [*GET, (b":", b"x")],
    "a folded line": [*GET, (b"foo", b"bar\r\n x")],
    "a name that is folded": [*GET, (b" foo", b"bar")],
    "h2c: Upgrade": [*GET, (b"upgrade", b"h2c"), (b"http2-settings", b"AAMAAABk")],
    "h2c: Connection": [*GET, (b"connection", b"Upgrade, HTTP2-Settings")],
    "h2c: by a value": [*GET, (b"foo", b"x\r\nUpgrade: h2c\r\nConnection: Upgrade")],
    "h2c: by :protocol": changed(b":protocol", b"h2c", WEBSOCKET),
    "Connection that takes a field out": [*GET, (b"connection", b"cookie")],
    "Proxy-Connection": [*GET, (b"proxy-connection", b"keep-alive")],
    "TE: chunked": [*GET, (b"te", b"trailers, chunked")],
    "tunnel: CONNECT with a path": [CONNECT, AUTHORITY, PATH],
    "tunnel: an extended CONNECT with a length": [
        *WEBSOCKET,
        (b"content-length", b"9"),
    ],
    "tunnel: an extended CONNECT to anywhere": changed(
        b":protocol", b"connect-udp", WEBSOCKET
    ),
}


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES.keys())
def test_a_published_case_reaches_no_upstream(fields: Fields) -> None:
    assert refused(fields)


def test_head_with_content_is_framed_by_us() -> None:
    """A tunnelled request: content of HEAD whose length a front would not count."""
    head = read(changed(b":method", b"HEAD"), complete=False).head
    assert head is not None
    text = upstream_text(head, complete=False)
    assert parse_request_head(text).get(b"transfer-encoding") == b"chunked"


def test_names_that_cgi_takes_for_framing_do_not_go_on() -> None:
    twins = [(b"transfer_encoding", b"chunked"), (b"content_length", b"9")]
    head = read([*GET, *twins]).head
    assert head is not None
    sent = parse_request_head(upstream_text(head, complete=True))
    assert not {b"transfer_encoding", b"content_length"} & set(sent.index)


def test_the_upstream_gets_http_1_1_and_hears_of_2_0() -> None:
    head = read([*GET, (b"te", b"trailers"), (b"cookie", b"a"), (b"cookie", b"b")]).head
    assert head is not None
    text = upstream_text(head, complete=True)
    assert text.startswith(b"GET /x?y HTTP/1.1\r\nHost: a.example\r\n")
    sent = parse_request_head(text)
    assert sent.get(b"via") == b"2.0 unbuffered"
    assert sent.get(b"cookie") == b"a; b"
    assert sent.get(b"te") == b"trailers"
    assert sent.get(b"x-forwarded-proto") == b"https"
    assert sent.get(b"x-forwarded-host") == b"a.example"


# -- anything else

FRAMING = (b"content-length", b"transfer-encoding")
PARTS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b": ", b"/", b"?", b"#",
        b"@", b",", b";", b"a", b"A", b"0", b"5", b"chunked", b"Host: b", b"host",
        b"transfer-encoding", b"content-length", b"connection", b"upgrade", b"te",
        b"trailers", b"HTTP/1.1", b"GET", b"http://", b"\x7f", b"\x85", b"\xff",
        b"sec-websocket-key", b"cookie",
    ]
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=4).map(b"".join)


@st.composite
def near_requests(draw: st.DrawFn) -> Fields:
    """A request with some of its bytes changed."""
    fields = list(draw(st.sampled_from([GET, POST, WEBSOCKET])))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(fields) - 1))
        name, value = fields[place]
        fields[place] = (name, draw(st.just(value[:1]) | st.just(b"")) + draw(TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(fields)))
        fields.insert(place, (draw(TEXTS), draw(TEXTS)))
    return fields


def own_framing(
    request: Request, *, complete: bool
) -> tuple[bytes | None, bytes | None]:
    """What the upstream has to be told of the length of the content."""
    head = request.head
    assert head is not None
    if complete or request.protocol:
        return head.get(b"content-length") and b"0", None
    length = head.get(b"content-length")
    return (None, b"chunked") if length is None else (b"%d" % int(length), None)


@given(near_requests(), st.booleans())
def test_the_upstream_gets_one_request_and_the_one_that_was_meant(
    fields: Fields, complete: bool
) -> None:
    try:
        request = read(fields, complete=complete)
    except StreamFault:
        return
    if request.error is not None or request.head is None:
        return
    if request.head.method == b"CONNECT":
        return  # refused where it is routed, before any upstream is asked
    text = upstream_text(request.head, complete=complete)
    assert text.index(b"\r\n\r\n") == len(text) - 4
    sent = parse_request_head(text)  # as strict as a reader can be
    meant = dict(fields[:5])
    extended = bool(request.protocol)
    assert sent.method == (b"GET" if extended else meant[b":method"])
    assert sent.target == meant[b":path"]
    hosts = [value for name, value in sent.fields if name.lower() == b"host"]
    assert len(hosts) == 1
    assert hosts[0] in {
        value for name, value in fields if name in (b":authority", b"host")
    }
    assert tuple(map(sent.get, FRAMING)) == own_framing(request, complete=complete)
    assert sent.members(b"connection") in (
        [[b"upgrade"]] if extended else [[], [b"te"]]
    )
    assert sent.get(b"upgrade") == (b"websocket" if extended else None)


def test_what_hypothesis_makes_is_not_refused_all_the_time() -> None:
    assert isinstance(read(GET).error, ProxyError | None)
    assert not refused(GET, complete=True)
    assert not refused(POST)
    assert not refused(WEBSOCKET)
