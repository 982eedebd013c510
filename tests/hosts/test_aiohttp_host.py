"""`unbuffered.aiohttp_handler`: the proxy as a handler of an aiohttp application."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestServer

from proxy.errors import ConfigError
from proxy.exchange.exchange import Exchange
from proxy.library.aiohttp_host import AiohttpHandler, aiohttp_handler
from proxy.library.client_frames import Opcode, client_frame
from proxy.server.server import Server
from proxy.timeline import Ending, Timeline
from tests.support.certificates import Authority
from tests.support.host_rows import EVENTS, SHORT, request
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, connect

pytestmark = pytest.mark.usefixtures("complaints")

Application = Callable[..., Awaitable["Running"]]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: for the client to judge\r\n\r\n"
)


class Running:
    """An application that runs, with the handler in it."""

    def __init__(self, handler: AiohttpHandler, server: TestServer) -> None:
        self.handler = handler
        self.server = server
        self.clients: list[Peer] = []

    async def client(self, asked: bytes = b"", receive: int = 0) -> Peer:
        """A raw client, connected, with a request on its way."""
        assert self.server.port is not None
        self.clients.append(await connect(self.server.port, receive_bytes=receive))
        await self.clients[-1].send(asked)
        return self.clients[-1]

    @property
    def proxy(self) -> Server:
        (server,) = self.handler.servers
        return server

    async def exchange(self) -> Exchange:
        """The one that is under way."""
        await became(lambda: bool(list(self.handler.servers)))
        await became(lambda: bool(self.proxy.exchanges))
        (exchange,) = self.proxy.exchanges
        return exchange

    @property
    def last(self) -> Timeline:
        """The account of the exchange that ended last."""
        return self.proxy.inspector.history.recent[-1]

    async def nothing_left(self) -> None:
        """Wait until no request is under way."""
        await became(lambda: not self.proxy.exchanges and not self.proxy.clients)


@pytest.fixture
async def application(upstream: Upstream) -> AsyncIterator[Application]:
    """Starts an application whose paths below /sse are the upstream's."""
    started: list[Running] = []

    async def start(
        *,
        attached: bool = True,
        middlewares: tuple[object, ...] = (),
        prepare: Any = None,
        context: ssl.SSLContext | None = None,
        **table: object,
    ) -> Running:
        route = {"target": upstream.url, "ws": True, **table}
        handler = aiohttp_handler({"/sse": route})
        app = web.Application(middlewares=middlewares)  # type: ignore[arg-type]  # of tests
        if attached:
            handler.attach(app)
        app.router.add_route("*", "/sse/{tail:.*}", handler)
        app.router.add_route("*", "/_unbuffered/streams/{id}", handler)
        app.router.add_get("/own", own)
        if prepare is not None:
            app.on_response_prepare.append(prepare)
        server = TestServer(app, scheme="https" if context is not None else "http")
        await server.start_server(ssl=context)
        started.append(Running(handler, server))
        return started[-1]

    yield start
    for running in started:
        for client in running.clients:
            client.writer.transport.abort()
        await running.server.close()


async def own(request: web.Request) -> web.Response:
    return web.Response(text="own")


# -- what passes


async def test_each_event_is_here_before_the_next_is_sent(
    application: Application, upstream: Upstream, aiohttp_client: AiohttpClient
) -> None:
    running = await application()
    client = await aiohttp_client(running.server)
    asking = asyncio.ensure_future(client.get("/sse/a%2Fb?x=1"))
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /sse/a%2Fb?x=1 HTTP/1.1"
    await server.send(EVENTS)
    response = await asyncio.wait_for(asking, GUARD)
    for event in (b"data: 1\n\n", b"data: \xe4\xb8\xad\n\n"):
        await server.send(chunk(event))
        assert await asyncio.wait_for(response.content.readany(), GUARD) == event
    await server.send(chunk(b""))
    assert await asyncio.wait_for(response.content.read(), GUARD) == b""


async def test_the_head_is_as_the_proxy_has_planned_it(
    application: Application, upstream: Upstream
) -> None:
    """aiohttp would add Content-Type and Server, and a phrase of its own."""
    running = await application()
    head = b"HTTP/1.1 299 Odd \xe9nough\r\nConnection: close\r\n"
    fields = b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Text: \xe4\xb8\xad\r\n"
    client, _ = await begun_by(
        running, upstream, request(), head + fields + b"Content-Length: 2\r\n\r\nhi"
    )
    assert sorted(client.head_lines[1:], key=bytes.lower) == [
        b"Content-Length: 2",
        next(line for line in client.head_lines if line.startswith(b"Date: ")),
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        b"Via: 1.1 unbuffered",
        b"X-Text: \xe4\xb8\xad",
    ]


async def begun_by(
    running: Running, upstream: Upstream, asked: bytes, answer: bytes = EVENTS
) -> tuple[Peer, Peer]:
    """A request whose response has begun."""
    client = await running.client(asked)
    server = await upstream.request()
    await server.send(answer)
    await client.read_head()
    return client, server


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        pytest.param("HEAD", b"200 OK\r\nContent-Length: 7\r\n", b"7", id="HEAD"),
        pytest.param("GET", b"204 No Content\r\n", None, id="204"),
        pytest.param("GET", b"304 Not Modified\r\n", None, id="304"),
        pytest.param("GET", b"200 OK\r\nContent-Length: 0\r\n", b"0", id="empty"),
    ],
)
async def test_a_response_without_a_body_leaves_the_connection_open(
    application: Application,
    upstream: Upstream,
    method: str,
    answer: bytes,
    expected: bytes | None,
) -> None:
    running = await application()
    head = b"HTTP/1.1 " + answer + b"Connection: close\r\n\r\n"
    client, _ = await begun_by(running, upstream, request(method=method), head)
    fields = dict(line.lower().split(b": ", 1) for line in client.head_lines[1:])
    assert fields.get(b"content-length") == expected
    assert b"content-type" not in fields
    await client.send(request("/own"))
    assert b"200 OK" in await client.read_head()
    assert await client.read(3) == b"own"


async def test_trailers_pass_and_the_next_request_comes_on_the_same_connection(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    asked = request("/sse/x", "TE: trailers", "Connection: TE")
    client, server = await begun_by(running, upstream, asked)
    await server.send(chunk(b"data: 1\n\n") + b"0\r\nX-Sum: 5\r\n\r\n")
    assert (
        await client.read_until(b"\r\n\r\n")
        == b"9\r\ndata: 1\n\n\r\n0\r\nX-Sum: 5\r\n\r\n"
    )
    await client.send(request("/own"))
    assert b"200 OK" in await client.read_head()


async def test_the_applications_middleware_and_signals_see_the_response(
    application: Application, upstream: Upstream
) -> None:
    seen: list[int] = []

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = "yes"

    @web.middleware
    async def middleware(
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        response = await handler(request)
        seen.append(response.status)
        return response

    running = await application(middlewares=(middleware,), prepare=prepare)
    client, _ = await begun_by(running, upstream, request(), SHORT)
    await client.read(2)
    assert b"X-Signal: yes" in client.head_lines
    await became(lambda: seen == [200])


async def test_an_upload_reaches_the_upstream_as_it_comes(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    asked = request("/sse/x", "Transfer-Encoding: chunked", method="POST")
    client = await running.client(asked)
    server = await upstream.request()
    for piece in (b"one", b"two"):
        await client.send(chunk(piece))
        assert await server.read_chunk() == piece
    await client.send(chunk(b""))
    assert await server.read_chunk() == b""
    await server.send(SHORT)
    assert b"200 OK" in await client.read_head()


@pytest.mark.parametrize("decodes", [True, False])
async def test_an_upload_is_described_as_it_is_sent_on(
    application: Application, upstream: Upstream, decodes: bool
) -> None:
    """aiohttp decodes the body of a request and leaves its fields as they are."""
    running = await application()
    if not decodes:
        assert running.server.runner is not None
        running.server.runner.server._kwargs["auto_decompress"] = False  # type: ignore[union-attr]  # as AppRunner(auto_decompress=False)
    coded = gzip.compress(b"a body")
    fields = (f"Content-Length: {len(coded)}", "Content-Encoding: gzip")
    await running.client(request("/sse/x", *fields, method="POST") + coded)
    server = await upstream.request()
    names = {line.split(b":")[0].lower() for line in server.head_lines[1:]}
    if decodes:
        assert b"content-encoding" not in names
        assert await server.read_chunk() == b"a body"
    else:
        assert {b"content-encoding", b"content-length"} <= names
        assert await server.read(len(coded)) == coded


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", b"notgzip", id="not gzip"),
        pytest.param("deflate", b"\xff\xff", id="not deflate"),
        pytest.param("gzip", gzip.compress(b"x" * 99) + b"more", id="more behind"),
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["with the head", "later"])
async def test_an_upload_that_cannot_be_decoded_is_the_clients_fault(
    application: Application,
    caplog: pytest.LogCaptureFixture,
    coding: str,
    body: bytes,
    later: bool,
) -> None:
    running = await application()
    fields = (f"Content-Length: {len(body)}", f"Content-Encoding: {coding}")
    asked = request("/sse/x", *fields, method="POST")
    client = await running.client(asked if later else asked + body)
    if later:
        await running.exchange()
        await client.send(body)
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 400 "), head
    await client.read_to_close()
    await running.nothing_left()
    assert str(running.last.error) == (
        f"request body: Can not decode content-encoding: {coding}"
    )
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_what_is_not_a_route_is_refused_by_the_proxy(
    application: Application,
) -> None:
    running = await application()
    client = await running.client(request("/sse/../own"))
    assert b" 40" in (await client.read_head())[:16]
    client = await running.client(request("/_unbuffered/streams/unknown"))
    assert b"404 Not Found" in await client.read_head()


async def test_an_upstream_that_is_not_there_is_a_502(
    application: Application, upstream: Upstream
) -> None:
    running = await application(target="http://127.0.0.1:9")
    client = await running.client(request())
    assert b"502 Bad Gateway" in await client.read_head()


# -- who leaves


@pytest.mark.parametrize("how", ["close", "reset", "finish"])
@pytest.mark.parametrize("began", [True, False])
async def test_a_client_that_leaves_closes_its_upstream(
    application: Application, upstream: Upstream, how: str, began: bool
) -> None:
    running = await application()
    client = await running.client(request())
    server = await upstream.request()
    if began:
        await server.send(EVENTS + chunk(b"data: 1\n\n"))
        await client.read_until(b"data: 1\n\n")
    getattr(client, how)()
    await server.closed()
    await running.nothing_left()
    assert running.last.ending is Ending.CLIENT_LEFT


async def test_a_client_that_leaves_while_its_upload_waits_is_noticed(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    asked = request("/sse/x", "Content-Length: 100", method="POST")
    client = await running.client(asked + b"x")
    server = await upstream.request()
    assert await server.read(1) == b"x"
    client.close()
    await server.closed()
    await running.nothing_left()


async def test_a_client_that_leaves_while_the_upstream_reads_none_is_noticed(
    application: Application, upstream: Upstream
) -> None:
    """What is not read shows no FIN: the kernel is asked."""
    running = await application(max_buffer_bytes=1024)
    asked = request("/sse/x", "Transfer-Encoding: chunked", method="POST")
    client = await running.client(asked)
    server = await upstream.request()
    (stream,) = running.proxy.clients
    while not stream.paused:  # type: ignore[attr-defined]  # an EmbeddedStream
        client.writer.write(chunk(b"x" * 65536))
        await asyncio.sleep(0)
    for _ in range(200):  # until aiohttp does not read either
        client.writer.write(chunk(b"x" * 65536))
        await asyncio.sleep(0)
    client.reset()

    def noticed() -> bool:
        running.proxy.ticker.tick()
        return not running.proxy.clients

    await became(noticed)
    assert running.last.ending is Ending.CLIENT_LEFT
    server.reset()


async def test_a_handler_that_is_cancelled_leaves_nothing_open(
    application: Application, upstream: Upstream
) -> None:
    running = await application(attached=False)
    assert running.server.runner is not None
    assert running.server.runner.server is not None
    running.server.runner.server.handler_cancellation = True
    client, server = await begun_by(running, upstream, request())
    client.close()
    await server.closed()
    await running.nothing_left()


async def test_by_tls_it_is_the_same(
    application: Application, upstream: Upstream, tmp_path: Path
) -> None:
    """A close by TLS is an alert, and a protocol between is set at TLS itself."""
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue().configure_cert(context)
    running = await application(context=context)
    port = running.server.port
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=authority.context(), server_hostname="127.0.0.1"
    )
    client = Peer(reader, writer)
    running.clients.append(client)
    await client.send(request())
    server = await upstream.request()
    assert b"X-Forwarded-Proto: https" in server.head_lines
    await server.send(EVENTS + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    client.close()
    await server.closed()
    await running.nothing_left()
    assert running.last.ending is Ending.CLIENT_LEFT


# -- what breaks


async def test_a_broken_response_is_an_error_to_a_client(
    application: Application, upstream: Upstream, aiohttp_client: AiohttpClient
) -> None:
    running = await application()
    client = await aiohttp_client(running.server)
    asking = asyncio.ensure_future(client.get("/sse/x"))
    server = await upstream.request()
    await server.send(EVENTS + chunk(b"data: 1\n\n"))
    response = await asyncio.wait_for(asking, GUARD)
    server.close()
    with pytest.raises(ClientPayloadError):
        await asyncio.wait_for(response.content.read(), GUARD)


async def test_to_http10_a_broken_response_is_a_reset(
    application: Application, upstream: Upstream
) -> None:
    """Its body ends with the connection: a close would say that it is complete."""
    running = await application()
    client, server = await begun_by(running, upstream, request(version="1.0"))
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_until(b"data: 1\n\n")
    server.close()
    assert await client.read_to_close() == (b"", "reset")


async def test_a_slow_client_slows_the_upstream_and_gets_all(
    application: Application, upstream: Upstream
) -> None:
    running = await application(max_buffer_bytes=1024)
    client = await running.client(request(), receive=4096)
    server = await upstream.request()
    await server.send(EVENTS)
    exchange = await running.exchange()
    piece, sent = chunk(b"x" * 65536), 0
    while exchange.waiting_for != "client":
        server.writer.write(piece)
        sent += 65536
        await asyncio.sleep(0)
        assert sent < 256 * 1024 * 1024
    server.writer.write(chunk(b""))
    await client.read_head()
    assert len(await client.read_payload(sent)) == sent
    assert await client.read_chunk() == b""


# -- tunnels

HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Extensions: permessage-deflate",
)


async def tunnel(running: Running, upstream: Upstream) -> tuple[Peer, Peer]:
    """A WebSocket that is open."""
    client = await running.client(request("/sse/ws", *HANDSHAKE))
    server = await upstream.request()
    await server.send(SWITCH)
    await client.read_head()
    return client, server


async def test_a_websocket_is_a_tunnel_of_raw_bytes(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    client = await running.client(request("/sse/ws", *HANDSHAKE) + b"early")
    server = await upstream.request()
    assert b"Sec-WebSocket-Extensions: permessage-deflate" in server.head_lines
    await server.send(SWITCH + b"\x00\xffanything")
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: for the client to judge" in client.head_lines
    assert b"chunked" not in head
    assert await client.read(10) == b"\x00\xffanything"
    assert await server.read(5) == b"early"
    frame = client_frame(Opcode.TEXT, b"hello")
    await client.send(frame)
    assert await server.read(len(frame)) == frame
    server.finish()
    assert await client.read_to_close() == (b"", "fin")


async def test_a_tunnel_ends_with_its_client(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    client, server = await tunnel(running, upstream)
    client.close()
    await server.closed()
    await running.nothing_left()


async def test_a_slow_upstream_slows_the_client_of_a_tunnel(
    application: Application, upstream: Upstream
) -> None:
    running = await application(max_buffer_bytes=1024)
    client, server = await tunnel(running, upstream)
    (stream,) = running.proxy.clients
    sent = 0
    while not stream.paused:  # type: ignore[attr-defined]  # an EmbeddedStream
        client.writer.write(b"x" * 65536)
        sent += 65536
        await asyncio.sleep(0)
        assert sent < 256 * 1024 * 1024
    for _ in range(100):
        client.writer.write(b"x" * 65536)
        sent += 65536
        await asyncio.sleep(0)
    assert len(stream.unread) < 1024 * 1024  # type: ignore[attr-defined]  # the same
    assert len(await server.read(sent)) == sent


async def test_an_upgrade_that_the_upstream_declines_is_a_response(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    client = await running.client(request("/sse/ws", *HANDSHAKE))
    server = await upstream.request()
    await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert b"403 Forbidden" in await client.read_head()
    assert await client.read(2) == b"no"
    await client.send(request("/own"))
    assert b"200 OK" in await client.read_head()


# -- kept streams


@pytest.mark.parametrize("below", [b"", b"/sse"], ids=["at the root", "at the mount"])
async def test_a_kept_stream_is_taken_up_again(
    application: Application, upstream: Upstream, below: bytes
) -> None:
    running = await application(resume=True)
    client, server = await begun_by(running, upstream, request())
    await server.send(chunk(b"id: 1\ndata: 1\n\n"))
    await client.read_until(b"data: 1\n\n")
    stream_id = next(
        line.split(b": ")[1]
        for line in client.head_lines
        if line.lower().startswith(b"stream-id")
    )
    client.close()
    path = (below + b"/_unbuffered/streams/" + stream_id).decode()
    again = await running.client(request(path, "Last-Event-ID: 1"))
    assert b"200 OK" in await again.read_head()
    await server.send(chunk(b"id: 2\ndata: 2\n\n"))
    assert await again.read_chunk() == b"id: 2\ndata: 2\n\n"


# -- the end of the application


async def test_with_the_application_event_streams_end_between_two_events(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    asked = request("/sse/x", "Accept: text/event-stream")
    client, server = await begun_by(running, upstream, asked)
    await server.send(chunk(b"data: 1\n\n"))
    assert await client.read_chunk() == b"data: 1\n\n"
    proxy = running.proxy
    closing = asyncio.ensure_future(running.server.close())
    await became(lambda: proxy.draining)
    await server.send(chunk(b"data: 2\n\n"))
    assert await client.read_chunk() == b"data: 2\n\n"
    assert await client.read_to_close() == (chunk(b""), "fin")
    await server.closed()
    await asyncio.wait_for(closing, GUARD)
    assert not proxy.exchanges
    assert not proxy.clients


async def test_a_request_after_the_end_is_refused(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    await running.handler.stop()
    client = await running.client(request())
    assert b"503 Service Unavailable" in await client.read_head()
    await running.handler.start()  # as an application that is run again does
    client, _ = await begun_by(running, upstream, request(), SHORT)
    assert b"200 OK" in client.head


async def test_a_handler_begins_with_its_first_request_if_it_is_not_attached(
    application: Application, upstream: Upstream
) -> None:
    running = await application(attached=False)
    assert not list(running.handler.servers)
    client, _ = await begun_by(running, upstream, request(), SHORT)
    assert await client.read(2) == b"hi"
    assert await running.handler.stop() == 0


async def test_what_passes_is_told_as_by_a_proxy(
    application: Application, upstream: Upstream
) -> None:
    running = await application()
    told: list[str | None] = []
    remove = running.handler.on_end(lambda exchange: told.append(exchange.ending))
    client, server = await begun_by(running, upstream, request("/sse/x?a=1"))
    (exchange,) = running.handler.exchanges()
    assert (exchange.target, exchange.status, exchange.running) == (
        "/sse/x?a=1",
        200,
        True,
    )
    client.close()
    await server.closed()
    await running.nothing_left()
    assert told == ["client left"]
    assert [each.running for each in running.handler.exchanges()] == [False]
    remove()
    client, _ = await begun_by(running, upstream, request(), SHORT)
    await became(lambda: len(running.handler.exchanges()) == 2)
    assert told == ["client left"]


async def test_below_the_mount_there_is_no_inspector(
    application: Application, upstream: Upstream
) -> None:
    """Who mounts routes does not mean to show what passes."""
    running = await application()
    await running.client(request("/sse/_unbuffered/", "Connection: keep-alive"))
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /sse/_unbuffered/ HTTP/1.1"


def test_a_token_of_the_inspector_is_made_where_one_is_asked_for() -> None:
    def token(given: str) -> str:
        routes = {"/sse": "http://localhost:9"}
        return aiohttp_handler(routes, inspector={"token": given}).inspector_token

    assert token("a-token-of-the-file-itself") == "a-token-of-the-file-itself"
    assert len(token("auto")) > 20
    assert token("auto") != token("auto")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        aiohttp_handler({"sse": "http://localhost"}, server={"drain_second": 1})
    assert len(caught.value.faults) == 2


async def test_nothing_of_the_loop_is_touched(application: Application) -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    running = await application()
    assert loop.get_exception_handler() == before
    await running.server.close()
    assert loop.get_exception_handler() == before
