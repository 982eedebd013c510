"""WebSocket over HTTP/2 (RFC 8441): an upgrade of HTTP/1.1 to the upstream."""

from __future__ import annotations

import pytest

from proxy.exchange.early_response import EarlyResponse
from proxy.http1.head import RequestHead, parse_request_head
from proxy.observe.list_row import kind
from proxy.observe.metrics import label
from proxy.policy.upgrade import accept_value
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.http2 import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NO_ERROR,
    RST_STREAM,
    FramePeer,
    Http2Listener,
    frame,
)
from tests.support.raw import Upstream
from tests.support.running import RunningProxy

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy(
        {
            "/ws": {"target": upstream.url, "ws": True},
            "/plain": {
                "target": upstream.url,
                "heartbeat_seconds": 15,
                "heartbeat_before_head": True,
            },
        },
        server=over.server,
    )


def connect(
    http: FramePeer, number: int, path: str = "/ws", protocol: str = "websocket"
) -> bytes:
    """A HEADERS frame that asks for a tunnel."""
    block = http.encoder.encode(
        [
            (":method", "CONNECT"),
            (":protocol", protocol),
            (":scheme", http.scheme),
            (":authority", "127.0.0.1"),
            (":path", path),
            ("accept", "text/event-stream"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "vite-hmr"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ]
    )
    return frame(HEADERS, END_HEADERS, number, bytes(block))


def switch(head: RequestHead, accept: bytes | None = None) -> bytes:
    """The upstream's answer to a handshake."""
    key = head.get(b"sec-websocket-key") or b""
    return (
        SWITCH + b"Upgrade: websocket\r\nSec-WebSocket-Protocol: vite-hmr\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: "
        + (accept_value(key) if accept is None else accept)
        + b"\r\n\r\n"
    )


async def test_bytes_pass_both_ways_once_the_upstream_has_switched(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    head = parse_request_head(server.head)
    assert (head.method, head.version) == (b"GET", "1.1")
    assert head.members(b"connection") == [b"upgrade"]
    assert head.get(b"upgrade") == b"websocket"
    assert head.get(b"sec-websocket-protocol") == b"vite-hmr"
    assert head.get(b"via") == b"2.0 unbuffered"
    await server.send(switch(head))
    answer = await http.head(1)
    assert answer[":status"] == "200"
    assert answer["sec-websocket-extensions"] == "permessage-deflate"
    assert not {"sec-websocket-accept", "upgrade", "connection"} & set(answer)
    await http.send(DATA, 0, 1, b"to the upstream")
    assert await server.read(15) == b"to the upstream"
    await server.send(b"to the client")
    assert (await http.next(DATA, 1)).payload == b"to the client"
    await http.send(RST_STREAM, 0, 1, CANCEL.to_bytes(4, "big"))
    await server.closed()


async def test_it_is_told_of_as_a_websocket_as_over_http1(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """To its client the status is 200, which says nothing of it."""
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    await server.send(switch(parse_request_head(server.head)))
    await http.head(1)
    exchange = await running.exchange()
    assert kind(exchange.timeline) == label(exchange.timeline) == "websocket"
    assert exchange.timeline.status == 200


async def test_a_client_that_does_not_end_its_side_leaves_nothing_open(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """As Firefox does when the upstream has closed the WebSocket."""
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    await server.send(switch(parse_request_head(server.head)) + b"the last bytes")
    await http.head(1)
    server.writer.close()
    assert (await http.next(DATA, 1)).payload == b"the last bytes"
    assert (await http.next(DATA, 1)).flags & END_STREAM
    reset = await http.next(RST_STREAM, 1)
    assert reset.payload == NO_ERROR.to_bytes(4, "big")  # RFC 9113 §8.1
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("accept", [b"", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
async def test_a_handshake_that_is_answered_wrongly_is_a_bad_gateway(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, accept: bytes
) -> None:
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    await server.send(switch(parse_request_head(server.head), accept))
    assert (await http.head(1))[":status"] == "502"
    await server.closed()


@pytest.mark.parametrize("path", ["/ws", "/plain"])
async def test_an_upstream_that_does_not_switch_opens_nothing(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, path: str
) -> None:
    http = await over.frames(running)
    await http.peer.send(connect(http, 1, path))
    server = await upstream.request()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    assert (await http.head(1))[":status"] == "502"


async def test_no_response_begins_before_that_of_the_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """Its 200 would say that the WebSocket is open."""
    http = await over.frames(running)
    await http.peer.send(connect(http, 1, "/plain"))
    await upstream.request()
    exchange = await running.waiting_for("response head")
    assert not isinstance(exchange.source, EarlyResponse)
    await http.peer.send(http.request(3, "/plain", [("accept", "text/event-stream")]))
    await upstream.request()
    assert any(
        isinstance(each.source, EarlyResponse) for each in running.server.exchanges
    )


async def test_a_refusal_goes_on_as_it_is(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert (await http.head(1))[":status"] == "403"
    assert (await http.next(DATA, 1)).payload == b"no"


@pytest.mark.parametrize(
    ("path", "protocol"),
    [("/ws", "connect-udp"), ("/_unbuffered/health", "websocket")],
    ids=["another protocol", "a path of the proxy itself"],
)
async def test_what_cannot_be_a_websocket_is_not_implemented(
    running: RunningProxy,
    upstream: Upstream,
    over: Http2Listener,
    path: str,
    protocol: str,
) -> None:
    http = await over.frames(running)
    await http.peer.send(connect(http, 1, path, protocol))
    assert (await http.head(1))[":status"] == "501"
    await http.peer.send(connect(http, 3))  # the connection goes on
    await (await upstream.request()).send(
        b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await http.next(HEADERS, 3)
    assert answer.flags & END_STREAM
