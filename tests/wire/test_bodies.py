"""Bodies: where they end, for every kind of message and client."""

from __future__ import annotations

import pytest

from tests.conftest import StartProxy
from tests.support.messages import OK
from tests.support.raw import Upstream, turns


@pytest.mark.parametrize(
    ("request_line", "response", "kept"),
    [
        pytest.param(
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Encoding: gzip\r\n",
            [b"Content-Length: 1234", b"Content-Encoding: gzip"],
            id="HEAD tells what GET would have had",
        ),
        pytest.param(
            b"HEAD",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
            [],
            id="HEAD of a chunked body",
        ),
        pytest.param(
            b"GET", b"HTTP/1.1 204 No Content\r\n", [], id="204 without a body"
        ),
        pytest.param(
            b"GET",
            b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 99\r\n',
            [b'ETag: "x"', b"Content-Length: 99"],
            id="304 tells of the stored response",
        ),
    ],
)
async def test_a_response_without_a_body_ends_with_its_head(
    proxy: StartProxy,
    upstream: Upstream,
    request_line: bytes,
    response: bytes,
    kept: list[bytes],
) -> None:
    """RFC 9112 §6.3 rule 1"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, request_line + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    await server.send(response + b"\r\n")
    await client.read_head()
    for line in kept:
        assert line in client.head_lines
    if b"204" in response:
        assert b"Content-Length" not in client.head
    assert b"Transfer-Encoding: chunked" not in client.head_lines
    await running.ended()
    await client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.read_head()
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert await client.read(2) == b"ok"


@pytest.mark.parametrize("length", [b"Content-Length: 0\r\n", b""])
async def test_a_post_without_a_body_stays_one(
    proxy: StartProxy, upstream: Upstream, length: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"POST / HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n"
    )
    assert (b"Content-Length: 0" in server.head_lines) is bool(length)
    assert b"Transfer-Encoding" not in server.head
    await server.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"


async def test_an_old_client_gets_a_body_of_unknown_length_up_to_the_close(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §6.1: no chunks for HTTP/1.0."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    )
    assert server.head_lines[1] == b"Host: 127.0.0.1:%d" % upstream.port
    await server.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    )
    head = await client.read_head()
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close\r\n" in head
    assert await client.read(3) == b"abc"
    await server.send(b"0\r\n\r\n")
    assert await client.read_to_close() == (b"", "fin")


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_heads_and_bodies_may_be_cut_anywhere(
    proxy: StartProxy, upstream: Upstream, side: str
) -> None:
    """TCP keeps the order of bytes, not their grouping."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    request = (
        b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n0\r\n\r\n"
    )
    response = (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nwxyz\r\n0\r\n\r\n"
    )
    server = None
    for cut in range(1, len(request if side == "client" else response)):
        if side == "client":
            await client.send(request[:cut])
            await turns(2)
            await client.send(request[cut:])
        else:
            await client.send(request)
        if server is None:
            server = await upstream.request()
        else:
            await server.read_head()
        assert await server.read_body() == b"abc"
        if side == "upstream":
            await server.send(response[:cut])
            await turns(2)
            await server.send(response[cut:])
        else:
            await server.send(response)
        assert b"Link: x\r\n" in await client.read_head()
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await client.read_body() == b"wxyz"


async def test_trailers_follow_for_a_client_that_takes_them(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9110 §6.5"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n",
    )
    await server.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"
    )
    await client.read_head()
    assert await client.read(8) == b"3\r\nabc\r\n"
    assert await client.read_until(b"\r\n\r\n") == b"0\r\nX-Sum: 6\r\n\r\n"
