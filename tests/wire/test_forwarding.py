"""Forwarding: what one side sent is what the other side gets."""

from __future__ import annotations

import pytest

from tests.conftest import StartProxy
from tests.support.messages import OK, lines_without_id
from tests.support.raw import Upstream

DATE = b"Date: Mon, 02 Jan 2023 04:05:06 GMT"


async def test_the_upstream_request_is_the_clients_and_nothing_is_invented(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9110 §7.6.1; no User-Agent, Accept, Content-Type or Cookie of ours."""
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(
        upstream,
        b"GET /x HTTP/1.1\r\n"
        b"X-First: 1\r\n"
        b"Host: front.example:81\r\n"
        b"accept-ENCODING: gzip, br\r\n"
        b"Connection: keep-alive, X-Private, Host, Via\r\n"
        b"Keep-Alive: timeout=5\r\n"
        b"Proxy-Connection: keep-alive\r\n"
        b"Proxy-Authorization: Basic eDp5\r\n"
        b"TE: trailers\r\n"
        b"X-Private: for this hop\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\n"
        b"x-forwarded-server: forged\r\n"
        b"Forwarded: for=6.6.6.6\r\n"
        b"X-ODD-case: \xe4\xbd\xa0 \t two  spaces \r\n"
        b"X-Empty:\r\n"
        b"Cookie: a=1\r\n"
        b"Cookie: b=2\r\n"
        b"Via: 1.0 other\r\n"
        b"X-First: 2\r\n"
        b"\r\n",
    )
    assert lines_without_id(server.head) == [
        b"GET /x HTTP/1.1",
        b"Host: front.example:81",
        b"X-First: 1",
        b"X-ODD-case: \xe4\xbd\xa0 \t two  spaces",
        b"X-Empty: ",
        b"Cookie: a=1",
        b"Cookie: b=2",
        b"Via: 1.0 other",
        b"X-First: 2",
        b"Accept-Encoding: identity",
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: front.example:81",
        b"X-Forwarded-Port: 81",
        b"Via: 1.1 unbuffered",
        b"TE: trailers",
        b"Connection: TE",
    ]


async def test_the_response_is_the_upstreams_and_nothing_is_invented(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """No Server and no Content-Type of ours; a Date only where there is none."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.send(
        b"HTTP/1.1 200 Fine\r\n"
        b"set-cookie: a=1; Path=/\r\n"
        b"X-Between: \xff\r\n"
        b"Set-Cookie: b=2, c=3\r\n"
        b"Connection: X-Private\r\n"
        b"X-Private: for this hop\r\n"
        b"Keep-Alive: timeout=5\r\n"
        b"Proxy-Authenticate: Basic\r\n"
        b"Upgrade: h2c\r\n"
        b"Trailer: X-Sum\r\n" + DATE + b"\r\n"
        b"WWW-Authenticate: Basic realm=x\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    await client.read_head()
    assert client.head_lines == [
        b"HTTP/1.1 200 Fine",
        b"set-cookie: a=1; Path=/",
        b"X-Between: \xff",
        b"Set-Cookie: b=2, c=3",
        b"Trailer: X-Sum",
        DATE,
        b"WWW-Authenticate: Basic realm=x",
        b"Via: 1.1 unbuffered",
        b"Content-Length: 2",
    ]
    assert await client.read(2) == b"ok"


@pytest.mark.parametrize(
    "method",
    [
        "GET",
        "DELETE",
        "PATCH",
        "PROPFIND",
        "QUERY",
        "M-SEARCH",
        "get",
        "!#$%&'*+-.^_`|~",
    ],
)
async def test_any_method_goes_on(
    proxy: StartProxy, upstream: Upstream, method: str
) -> None:
    """RFC 9110 §9.1: a token, and case counts."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream,
        method.encode() + b" /m HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    )
    assert server.head_lines[0] == method.encode() + b" /m HTTP/1.1"
    assert await server.read(3) == b"abc"
    await server.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    assert (await running.ended()).method == method.encode()


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(
            target, id=target.decode("latin-1").encode("unicode_escape").decode()
        )
        for target in (
            b"/",
            b"/?",
            b"/a?",
            b"/a??b",
            b"/a/?x=1&x=2&y&=&;",
            b"/a%2Fb%2f%00",
            b"/%zz%",
            b"//a//b//",
            b"/a/./b/../c/..",
            b"/a+b%20c",
            b"/\xe4\xbd\xa0?\xff\x80",
            b'/"<>\\^`{|}',
            b"/a?next=http://other/%3f?#".removesuffix(b"#"),
            b"/a;p=1/b:c@d!$&'()*,",
            b"/" + b"long/" * 3000,
        )
    ],
)
async def test_path_and_query_go_on_byte_for_byte(
    proxy: StartProxy, upstream: Upstream, target: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(
        upstream, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert server.head_lines[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("status_line", "expected"),
    [
        (b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 ", b"HTTP/1.1 200 "),
        (b"HTTP/1.1 200", b"HTTP/1.1 200 "),  # RFC 9112 §4: the space stays
        (b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 299 \xc3\x9cber  odd\t", b"HTTP/1.1 299 \xc3\x9cber  odd\t"),
        (b"HTTP/1.1 302 Found", b"HTTP/1.1 302 Found"),
        (b"HTTP/1.1 418 I'm a teapot", b"HTTP/1.1 418 I'm a teapot"),
        (b"HTTP/1.1 599 ", b"HTTP/1.1 599 "),
        (b"HTTP/1.1 999 Whatever", b"HTTP/1.1 999 Whatever"),
    ],
)
async def test_any_status_goes_on_and_redirects_are_not_followed(
    proxy: StartProxy, upstream: Upstream, status_line: bytes, expected: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    location = b"Location: http://elsewhere.example/x?y"
    await server.send(
        status_line + b"\r\n" + location + b"\r\nContent-Length: 4\r\n\r\nbody"
    )
    await client.read_head()
    assert client.head_lines[0] == expected
    assert location in client.head_lines
    assert await client.read(4) == b"body"
    assert (await running.ended()).status == int(expected.split()[1])
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    "content_type", [b"", b"text/html", b"video/mp4", b"not a type"]
)
async def test_a_body_of_any_type_is_left_as_it_is(
    proxy: StartProxy, upstream: Upstream, content_type: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    field = b"Content-Type: " + content_type + b"\r\n" if content_type else b""
    body = bytes(range(256)) * 300
    await server.send(
        b"HTTP/1.1 200 OK\r\n"
        + field
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )
    head = await client.read_head()
    assert (b"Content-Type" in head) is bool(content_type)
    assert field in head
    assert await client.read(len(body)) == body


async def test_no_cookie_is_kept_for_the_next_request(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.send(OK.replace(b"OK\r\n", b"OK\r\nSet-Cookie: id=1\r\n"))
    await client.read_head()
    await client.read(2)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"Cookie" not in await server.read_head()


# -- the last hop (RFC 9110 §7.6.2)


async def test_options_whose_last_hop_is_here_is_answered_here(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    for target in (b"/x", b"*"):
        await client.send(
            b"OPTIONS %b HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n" % target
        )
        await client.read_head()
        assert client.head_lines[0] == b"HTTP/1.1 200 OK"
        assert b"Content-Length: 0" in client.head_lines
        assert any(line.startswith(b"Allow: GET, ") for line in client.head_lines)
    assert upstream.unexpected == 0


async def test_trace_whose_last_hop_is_here_shows_nothing(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(
        b"TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: s3cret\r\n\r\n"
    )
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 405 Method Not Allowed"
    (allowed,) = (line for line in client.head_lines if line.startswith(b"Allow: "))
    assert b"TRACE" not in allowed
    assert upstream.unexpected == 0


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
async def test_a_hop_is_taken_off_for_the_next_one(
    proxy: StartProxy, upstream: Upstream, method: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    request = method + b" /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 2\r\n\r\n"
    _, server = await running.begin(upstream, request)
    assert b"Max-Forwards: 1" in server.head_lines


async def test_hops_that_are_no_number_are_refused(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n")
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 400 Bad Request"
