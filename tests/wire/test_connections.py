"""Connections on both sides: kept, reused, and never out of step."""

from __future__ import annotations

import gzip
import socket

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import GET_NUMBER
from tests.support.raw import Upstream, became, idle, settled

POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d"


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="without a body"),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            id="HTTP/1.0",
        ),
    ],
)
async def test_connections_serve_again_on_both_sides(
    proxy: StartProxy, upstream: Upstream, response: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, POST % 0)
    for n in range(3):
        assert await server.read(2) == b"hi"
        await server.send(response)
        await client.read_head()
        if b"204" not in response:
            if b"chunked" in client.head:
                assert await client.read_body() == b"ok"
            else:
                assert await client.read(2) == b"ok"
        assert (await running.ended()).ending is Ending.COMPLETE
        assert running.idle_connections == 1
        await client.send(POST % (n + 1))
        await server.read_head()
        assert server.head_lines[0] == b"POST /%d HTTP/1.1" % (n + 1)
    assert upstream.unexpected == 0


async def test_pipelined_requests_are_answered_in_order(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    requests = b"\r\n".join(
        [GET_NUMBER % 0, POST % 1, b"", GET_NUMBER % 2, GET_NUMBER % 3]
    )
    client, server = await running.begin(upstream, requests)
    for n in range(4):
        assert server.head_lines[0].split()[1] == b"/%d" % n
        if n == 1:
            assert await server.read(2) == b"hi"
        await idle()
        assert upstream.unexpected == 0  # the next waits for its turn
        await server.send(OK % n)
        await client.read_head()
        assert await client.read(2) == b"%02d" % n
        if n < 3:
            await server.read_head()


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("segments", [1, 2])
async def test_bytes_after_a_response_never_answer_the_next_request(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    method: bytes,
    segments: int,
) -> None:
    """RFC 9112 §9.2: response splitting ends at the proxy."""
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(
        upstream, method + b" /0 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    body = b"" if method == b"HEAD" else b"ok"
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    if segments == 1:
        await server.send(head + body + forged)
    else:
        await server.send(head + body)
    await client.read_head()
    assert await client.read(len(body)) == body
    if segments == 2:
        await running.ended()
        await server.send(forged)
    await server.closed()
    await client.send(GET_NUMBER % 1)
    honest = await upstream.request()
    await honest.send(OK % 1)
    await client.read_head()
    assert await client.read(2) == b"01"


async def test_bytes_after_a_body_that_waits_for_the_client_are_no_response(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The upstream is done, the client is not: nothing more is listened to."""
    size = 8 << 20
    running = await proxy({"/": {"target": upstream.url, "decode": "always"}})
    client = await running.client(receive_bytes=4096)
    await client.send(GET_NUMBER % 0 + GET_NUMBER % 1)
    server = await upstream.request()
    body = gzip.compress(bytes(size))
    await server.send(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    await settled(lambda: server.waiting)
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
    await client.read_head()
    received = 0
    while piece := await client.read_chunk():
        assert piece.count(0) == len(piece)
        received += len(piece)
    assert received == size
    assert (await running.ended()).ending is Ending.COMPLETE
    await server.closed()
    honest = await upstream.request()
    await honest.send(OK % 1)
    await client.read_head()
    assert await client.read(2) == b"01"


async def test_a_get_on_a_stale_connection_is_repeated_once(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §9.3.1: the upstream closed just as the request went out."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(OK % 0)
    await client.read_head()
    assert await client.read(2) == b"00"
    await client.send(GET_NUMBER % 1)
    await server.read_head()
    server.close()
    fresh = await upstream.request()
    assert fresh.head_lines[0] == b"GET /1 HTTP/1.1"
    fresh.close()
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await running.ended()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    ("request_bytes", "begun"),
    [
        pytest.param(POST % 1, b"", id="POST may have had its effect"),
        pytest.param(GET_NUMBER % 1, b"HTTP/1.1 20", id="an answer had begun"),
        pytest.param(
            GET_NUMBER % 1,
            b"HTTP/1.1 103 Early Hints\r\n\r\n",
            id="an interim answer came",
        ),
    ],
)
async def test_no_other_request_is_repeated(
    proxy: StartProxy, upstream: Upstream, request_bytes: bytes, begun: bytes
) -> None:
    """RFC 9110 §9.2.2"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(OK % 0)
    await client.read_head()
    await client.read(2)
    await client.send(request_bytes)
    await server.read_head()
    if begun:
        await server.send(begun)
    server.close()
    if b"103" in begun:
        assert (await client.read_head()).startswith(b"HTTP/1.1 103 ")
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    assert upstream.unexpected == 0


async def test_a_new_connection_that_breaks_is_not_tried_again(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    server.close()
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", 1, id="kept"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n",
            0,
            id="Connection: close",
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n", 0, id="HTTP/1.0"),
    ],
)
async def test_an_upstream_says_whether_its_connection_is_kept(
    proxy: StartProxy, upstream: Upstream, response: bytes, kept: int
) -> None:
    """RFC 9112 §9.3"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(response + b"\r\nok")
    await client.read_head()
    assert await client.read(2) == b"ok"
    await running.ended()
    assert running.idle_connections == kept
    if not kept:
        await server.closed()


async def test_an_idle_connection_that_the_upstream_closes_is_forgotten(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(OK % 0)
    await client.read_head()
    await client.read(2)
    await running.ended()
    assert running.idle_connections == 1
    server.close()
    await became(lambda: running.idle_connections == 0)
    await client.send(POST % 1)
    fresh = await upstream.request()
    await fresh.send(OK % 1)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("request_bytes", "kept"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True, id="1.1"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, id="close"
        ),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", False, id="1.0"),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, id="1.0 kept"
        ),
    ],
)
async def test_a_client_says_whether_its_connection_is_kept(
    proxy: StartProxy, upstream: Upstream, request_bytes: bytes, kept: bool
) -> None:
    """RFC 9112 §9.3"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, request_bytes)
    await server.send(OK % 0)
    head = await client.read_head()
    assert await client.read(2) == b"00"
    assert (b"Connection: close\r\n" in head) is not kept
    if kept:
        await client.send(GET_NUMBER % 1)
        await server.read_head()
    else:
        await client.closed()


async def test_requests_behind_one_that_closes_are_not_served(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    closing = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    client, server = await running.begin(upstream, closing + GET_NUMBER % 1)
    await server.send(OK % 0)
    await client.read_head()
    assert await client.read_to_close() == (b"00", "fin")
    assert upstream.unexpected == 0
    await running.ended()
    assert running.exchanges.empty()


async def test_nothing_waits_for_more_to_send(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Nagle's algorithm would hold a small piece until the last is acknowledged."""
    running = await proxy({"/": {"target": upstream.url}})
    await running.begin(upstream, GET_NUMBER % 0)
    connection = await running.upstream_connection()
    for end in (connection, *running.connections):
        sock: socket.socket = end.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("request_head", "answer", "received"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"ok",
            id="the client wants no more",
        ),
        pytest.param(
            b"GET / HTTP/1.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"ok",
            id="the close is the end",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"no HTTP",
            b"",
            id="a failure",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            b"ok",
            id="cut",
        ),
    ],
)
async def test_a_byte_after_the_answer_does_not_cost_it(
    proxy: StartProxy,
    upstream: Upstream,
    request_head: bytes,
    answer: bytes,
    received: bytes,
) -> None:
    """Whatever comes once the request is complete: the close is in stages."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, request_head)
    own = running.connection
    await server.send(answer)
    server.finish()
    await became(lambda: own.waiting_for == "close")
    await idle()
    await client.send(b"\r\n")
    await idle()
    await client.send(b"GET / HTTP/1.1\r\n")
    await idle()
    body, ending = await client.read_to_close()
    assert ending == "fin"
    assert body.startswith(b"HTTP/1.1 ")
    assert body.endswith(received)
    assert running.connections == {own}  # it waits for the client's FIN
    client.close()
    await running.connected(0)
