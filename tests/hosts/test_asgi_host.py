"""`unbuffered.asgi_app`: what it makes of scopes and messages. A test is the server."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from proxy.http1.head import parse_request_head
from proxy.library.asgi_host import AsgiApp, Message, Scope, asgi_app, target_of
from proxy.library.asgi_transport import IncompleteResponse
from proxy.library.client_frames import Opcode, client_frame
from proxy.library.hosted_stream import EmbeddedStream
from proxy.policy.upgrade import accept_value
from proxy.server.server import Server
from proxy.timeline import Ending
from tests.support.host_rows import ANSWER, EVENTS, SHORT
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, settled

pytestmark = pytest.mark.usefixtures("complaints")

START, BODY, TRAILERS = (
    "http.response.start",
    "http.response.body",
    "http.response.trailers",
)

HINT, DENIAL = "http.response.early_hint", "websocket.http.response"
KNOWN = {
    *(START, BODY, TRAILERS, HINT, f"{DENIAL}.start", f"{DENIAL}.body"),
    *(f"websocket.{kind}" for kind in ("accept", "send", "close")),
    *(f"lifespan.{kind}.complete" for kind in ("startup", "shutdown")),
}
# Behind a head that goes out alone: some servers hold it until there is a body.
NOTHING_YET: Message = {"type": BODY, "body": b"", "more_body": True}


def scope_of(path: str = "/sse/x", kind: str = "http", **more: object) -> Scope:
    """A scope of a server that says no more than it has to."""
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"app.example")],
        "client": ("10.1.2.3", 5000),
        **more,
    }


class Call:
    """One call of an application, by a server that the test is."""

    def __init__(self, app: Callable[..., Any], scope: Scope) -> None:
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.asked = 0  # how often for more of the request
        self.task = asyncio.ensure_future(app(scope, self.receive, self.send))

    async def receive(self) -> Message:
        self.asked += 1
        return await self.to_app.get()

    async def send(self, message: Message) -> None:
        await self.may_send.wait()
        if message["type"] not in KNOWN:  # as every server does
            raise RuntimeError(f"unexpected message {message['type']}")
        self.from_app.put_nowait(message)

    def tell(self, kind: str, **content: object) -> None:
        self.to_app.put_nowait({"type": kind, **content})

    async def heard(self) -> Message:
        """The next message of the application that says something."""
        while True:
            message = await asyncio.wait_for(self.from_app.get(), GUARD)
            if message != NOTHING_YET:
                return message

    async def fields(self) -> dict[bytes, bytes]:
        """The head of the response, which is the next."""
        message = await self.heard()
        assert message["type"] == START
        return dict(message["headers"])

    async def over(self) -> list[Message]:
        """Wait for the end; what it has sent and nobody has heard."""
        await asyncio.wait_for(self.task, GUARD)
        rest = [self.from_app.get_nowait() for _ in range(self.from_app.qsize())]
        return [message for message in rest if message != NOTHING_YET]


@pytest.fixture
async def app(upstream: Upstream) -> AsyncIterator[AsgiApp]:
    async with asgi_app({"/sse": {"target": upstream.url, "ws": True}}) as found:
        yield found


def proxy(app: AsgiApp) -> Server:
    (server,) = app.servers
    return server


def clients(app: AsgiApp) -> list[EmbeddedStream]:
    """The requests that are under way."""
    return [cast("EmbeddedStream", each) for each in proxy(app).clients]


# -- a request and its response


async def test_each_piece_is_a_message_before_the_next_is_sent(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    assert (await call.fields())[b"content-type"] == b"text/event-stream"
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        await server.send(chunk(event))
        assert await call.heard() == {"type": BODY, "body": event, "more_body": True}
    await server.send(chunk(b""))
    assert await call.over() == [{"type": BODY, "body": b"", "more_body": False}]


async def test_a_head_does_not_wait_for_the_body(
    app: AsgiApp, upstream: Upstream
) -> None:
    """granian, and middleware that compresses, send it with the first of the body."""
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    await call.fields()
    assert await asyncio.wait_for(call.from_app.get(), GUARD) == NOTHING_YET
    call.tell("http.disconnect")
    await call.over()


async def test_what_every_server_adds_itself_is_left_out(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(ANSWER + b"Server: up\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n")
    assert set(await call.fields()) == {b"x-a", b"via", b"content-length"}
    await call.over()


async def test_the_upstream_is_told_of_the_client(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of(scheme="https", client=None))
    head = parse_request_head((await upstream.request()).head)
    assert head.get(b"x-forwarded-proto") == b"https"
    assert head.get(b"x-forwarded-for") == b"unknown"
    assert head.get(b"host") == b"app.example"
    call.tell("http.disconnect")
    await call.over()


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        pytest.param({"raw_path": b"/sse/a%2Fb", "path": "/sse/a/b"}, b"/sse/a%2Fb",
                     id="byte for byte"),
        pytest.param({"raw_path": None, "path": "/sse/ä b%"}, b"/sse/%C3%A4%20b%25",
                     id="no raw path"),
        pytest.param({"raw_path": b"/old/x", "path": "/sse/x"}, b"/sse/x",
                     id="changed by a middleware"),
        pytest.param({"raw_path": b"/sse?a=1", "path": "/sse", "query_string": b"a=1"},
                     b"/sse?a=1", id="a query in the raw path"),
        pytest.param({"path": "/app/sse", "raw_path": b"/app/sse", "root_path": "/app"},
                     b"/app/sse", id="mounted"),
    ],
)  # fmt: skip
def test_the_whole_path_is_asked_for(scope: Scope, target: bytes) -> None:
    assert target_of(scope) == target


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param([(b"host", b"a"), (b"host", b"b")], 400, id="two hosts"),
        pytest.param([], 400, id="no host"),
        pytest.param([(b"host", b"a"), (b"x", b"1\r\ny: 2")], 400, id="a line end"),
        pytest.param([(b"host", b"a"), (b"x y", b"1")], 400, id="a name with a blank"),
        pytest.param([(b"host", b"a"), (b"x", b"1" * 70000)], 431, id="too long"),
        pytest.param([(b"host", b"a"), (b"content-length", b"1, 2")], 400, id="two"),
    ],
)  # fmt: skip
async def test_a_head_is_judged_as_strictly_as_one_from_a_socket(
    app: AsgiApp, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    call = Call(app, scope_of(headers=headers))
    message = await call.heard()
    assert message["status"] == status
    assert (await call.over())[-1]["more_body"] is False


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_body_without_a_length_is_sent_on_as_it_comes(
    app: AsgiApp, upstream: Upstream, version: str
) -> None:
    headers = [(b"host", b"a")]
    if version == "1.1":
        headers.append((b"transfer-encoding", b"chunked"))
    scope = scope_of(method="POST", http_version=version, headers=headers)
    call = Call(app, scope)
    server = await upstream.request()
    for piece in (b"one", b"two"):
        call.tell("http.request", body=piece, more_body=True)
        assert await server.read_chunk() == piece
    call.tell("http.request", body=b"", more_body=False)
    assert await server.read_chunk() == b""
    await server.send(SHORT)
    assert (await call.heard())["status"] == 200
    await call.over()


async def test_by_http2_a_request_has_a_body_if_one_comes(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of(http_version="2"))
    call.tell("http.request", body=b"", more_body=False)
    server = await upstream.request()
    assert b"chunked" not in server.head
    await server.send(SHORT)
    await call.over()
    call = Call(app, scope_of(http_version="2"))
    call.tell("http.request", body=b"x", more_body=False)
    server = await upstream.request()
    assert await server.read_chunk() == b"x"
    await server.send(SHORT)
    await call.over()


async def test_a_body_that_ends_before_its_length_is_not_complete(
    app: AsgiApp, upstream: Upstream
) -> None:
    headers = [(b"host", b"a"), (b"content-length", b"5")]
    call = Call(app, scope_of(method="POST", headers=headers))
    call.tell("http.request", body=b"abc", more_body=False)
    server = await upstream.request()
    assert await server.read(3) == b"abc"
    await server.closed()
    assert (await call.heard())["status"] == 400
    await call.over()


async def test_an_upstream_that_reads_slowly_is_asked_for_no_more(
    app: AsgiApp, upstream: Upstream
) -> None:
    headers = [(b"host", b"a"), (b"transfer-encoding", b"chunked")]
    call = Call(app, scope_of(method="POST", headers=headers))
    piece, count = b"x" * 65536, 1024
    for _ in range(count):
        call.tell("http.request", body=piece, more_body=True)
    call.tell("http.request", body=b"", more_body=False)
    server = await upstream.request()
    assert await settled(call.to_app.qsize) > count // 2
    got = 0
    while data := await server.read_chunk():
        got += len(data)
    assert got == count * len(piece)
    await server.send(SHORT)
    await call.over()


async def test_a_body_that_nobody_wants_is_not_asked_for(app: AsgiApp) -> None:
    """To ask for it is what has a server send 100 Continue."""
    headers = [(b"host", b"a"), (b"content-length", b"5"), (b"expect", b"100-continue")]
    call = Call(app, scope_of("/nowhere", method="POST", headers=headers))
    assert (await call.heard())["status"] == 404
    await call.over()
    assert call.asked == 0


async def test_trailers_and_early_hints_go_where_the_server_takes_them(
    app: AsgiApp, upstream: Upstream
) -> None:
    extensions: dict[str, object] = {TRAILERS: {}, "http.response.early_hint": {}}
    headers = [(b"host", b"a"), (b"te", b"trailers")]
    call = Call(app, scope_of(extensions=extensions, headers=headers))
    server = await upstream.request()
    await server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    hint = await call.heard()
    assert hint == {"type": "http.response.early_hint", "links": [b"</a>"]}
    await server.send(EVENTS + chunk(b"data: 1\n\n") + b"0\r\nX-Sum: 5\r\n\r\n")
    start = await call.heard()
    assert start["trailers"] is True
    assert (await call.over())[-1] == {"type": TRAILERS, "headers": [(b"x-sum", b"5")]}


# -- how it ends


@pytest.mark.parametrize("began", [True, False])
async def test_a_client_that_leaves_closes_its_upstream(
    app: AsgiApp, upstream: Upstream, began: bool
) -> None:
    call = Call(app, scope_of(path="/sse/x"))
    server = await upstream.request()
    if began:
        await server.send(ANSWER + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x"))
        await call.fields()
    call.tell("http.disconnect")
    await server.closed()
    await call.over()
    assert not proxy(app).clients
    assert proxy(app).inspector.history.recent[-1].ending is Ending.CLIENT_LEFT


async def test_a_call_that_is_cancelled_closes_its_upstream(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of())
    server = await upstream.request()
    call.task.cancel()
    await server.closed()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert not proxy(app).clients


async def test_a_server_that_raises_since_the_client_is_gone_is_believed(
    app: AsgiApp, upstream: Upstream
) -> None:
    class Gone(Call):
        async def send(self, message: Message) -> None:
            raise OSError("the client disconnected")

    call = Gone(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    await server.closed()
    await call.over()


async def test_a_broken_response_is_never_ended(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(ANSWER + b"Content-Length: 100\r\n\r\nfew")
    await call.fields()
    server.close()
    with pytest.raises(IncompleteResponse, match="the response is not complete"):
        await call.over()
    assert await call.heard() == {"type": BODY, "body": b"few", "more_body": True}
    assert call.from_app.empty()


async def test_middleware_does_not_end_what_is_broken(
    app: AsgiApp, upstream: Upstream
) -> None:
    """Starlette's BaseHTTPMiddleware ends a response when an application is over."""
    base = pytest.importorskip("starlette.middleware.base", reason="no starlette")

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    call = Call(base.BaseHTTPMiddleware(app, dispatch), scope_of())
    server = await upstream.request()
    await server.send(EVENTS + chunk(b"data: 1\n\n"))
    await call.fields()
    assert (await call.heard())["body"] == b"data: 1\n\n"
    server.close()
    with pytest.raises((IncompleteResponse, AssertionError)):
        await call.over()
    assert call.from_app.empty()


async def test_a_server_that_takes_nothing_slows_the_upstream(
    upstream: Upstream,
) -> None:
    route = {"target": upstream.url, "max_buffer_bytes": 1024}
    async with asgi_app({"/sse": route}) as app:
        call = Call(app, scope_of())
        server = await upstream.request()
        await server.send(EVENTS)
        await call.fields()
        call.may_send.clear()
        (exchange,) = proxy(app).exchanges
        sent = 0
        while exchange.waiting_for != "client":
            server.writer.write(chunk(b"x" * 65536))
            sent += 65536
            await asyncio.sleep(0)
        for _ in range(100):
            server.writer.write(chunk(b"x" * 65536))
            sent += 65536
            await asyncio.sleep(0)
        (stream,) = proxy(app).clients
        assert stream.unsent_bytes < 1024 * 1024  # what was on its way at most
        call.may_send.set()
        got = 0
        while got < sent:
            got += len((await call.heard())["body"])
        server.writer.write(chunk(b""))
        await call.over()


async def test_a_stop_ends_a_response_that_nobody_takes(upstream: Upstream) -> None:
    app = asgi_app({"/sse": upstream.url}, server={"drain_seconds": 0.0})
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    await call.fields()
    call.may_send.clear()
    await server.send(chunk(b"data: 1\n\n"))
    await became(lambda: all(each.unsent_bytes > 0 for each in proxy(app).clients))
    assert await app.stop() == 1
    with pytest.raises(IncompleteResponse):
        await call.over()


# -- time limits: a test says what time it is


async def test_a_client_that_sends_no_more_of_its_body_is_told(
    upstream: Upstream,
) -> None:
    async with asgi_app(
        {"/sse": upstream.url}, server={"body_timeout_seconds": 5}
    ) as app:
        headers = [(b"host", b"a"), (b"content-length", b"5")]
        call = Call(app, scope_of(method="POST", headers=headers))
        server = await upstream.request()
        (stream,) = clients(app)
        stream.check(1000.0)
        stream.check(1004.9)
        call.tell("http.request", body=b"x", more_body=True)
        assert await server.read(1) == b"x"
        stream.check(1010.0)
        stream.check(1014.9)
        assert call.from_app.empty()
        stream.check(1015.0)
        assert (await call.heard())["status"] == 408
        await call.over()
        await server.closed()


async def test_a_client_that_takes_nothing_is_let_go(upstream: Upstream) -> None:
    route = {"target": upstream.url, "max_buffer_bytes": 1024}
    async with asgi_app({"/sse": route}, server={"write_timeout_seconds": 5}) as app:
        call = Call(app, scope_of("/sse"))
        server = await upstream.request()
        await server.send(EVENTS)
        await call.fields()
        call.may_send.clear()
        (stream,) = clients(app)
        await server.send(chunk(b"x" * 4096))
        await became(lambda: stream.blocked)
        stream.check(1000.0)
        stream.check(1004.9)
        assert not stream.closed
        stream.check(1005.0)
        with pytest.raises(IncompleteResponse):
            await call.over()
        await server.closed()
        assert proxy(app).inspector.history.recent[-1].ending is Ending.TIMED_OUT


# -- the lifespan


async def test_the_lifespan_starts_and_stops_it(upstream: Upstream) -> None:
    app = asgi_app({"/sse": upstream.url})
    call = Call(app, scope_of(kind="lifespan"))
    call.tell("lifespan.startup")
    assert await call.heard() == {"type": "lifespan.startup.complete"}
    assert list(app.servers)
    call.tell("lifespan.shutdown")
    assert await call.heard() == {"type": "lifespan.shutdown.complete"}
    await call.over()
    refused = Call(app, scope_of())
    assert (await refused.heard())["status"] == 503
    await refused.over()


async def test_another_kind_of_scope_is_refused_in_words(app: AsgiApp) -> None:
    with pytest.raises(ValueError, match="'http3' is not supported"):
        await Call(app, scope_of(kind="http3")).task


def test_without_asyncio_it_says_so(app_without_loop: AsgiApp) -> None:
    nothing = asyncio.Queue[Message]()
    coroutine = app_without_loop(scope_of(), nothing.get, nothing.put)
    with pytest.raises(RuntimeError, match="needs an asyncio event loop"):
        coroutine.send(None)


@pytest.fixture
def app_without_loop() -> AsgiApp:
    return asgi_app({"/sse": "http://localhost:9"})


def test_each_event_loop_has_a_server_of_its_own() -> None:
    app = asgi_app({"/sse": "http://127.0.0.1:9"})

    async def ask() -> int:
        call = Call(app, scope_of())
        status: int = (await call.heard())["status"]
        await call.over()
        return status

    assert [asyncio.run(ask()) for _ in range(3)] == [502, 502, 502]
    assert len(list(app.servers)) == 1  # those of closed loops are forgotten


class Uvicorn:
    """What uvicorn has at the signal, for all that is known of it."""

    should_exit = False

    def handle_exit(self, *_: object) -> None:
        """As it would."""


async def test_streams_end_when_uvicorn_is_about_to_stop(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """It would wait for them, and tell nobody."""
    uvicorn = Uvicorn()
    before = signal.signal(signal.SIGTERM, uvicorn.handle_exit)
    caplog.set_level(logging.INFO, "unbuffered")
    try:
        app = asgi_app({"/sse": upstream.url})
        headers = [(b"host", b"a"), (b"accept", b"text/event-stream")]
        call = Call(app, scope_of(headers=headers))
        server = await upstream.request()
        await server.send(EVENTS + chunk(b"data: 1\n\n"))
        await call.fields()
        await call.heard()
        proxy(app).ticker.tick()
        assert not proxy(app).draining
        uvicorn.should_exit = True
        proxy(app).ticker.tick()
        await became(lambda: proxy(app).draining)
        await server.send(chunk(b"data: 2\n\n"))
        assert (await call.heard())["body"] == b"data: 2\n\n"
        last = await call.heard()
        assert last == {"type": BODY, "body": b"", "more_body": False}
        await server.closed()
        await call.over()
    finally:
        signal.signal(signal.SIGTERM, before)
    said = [each.message for each in caplog.records if each.name == "unbuffered"]
    assert said == ["the host application stops: open exchanges are ended"]


# -- kept streams


@pytest.mark.parametrize("mount", ["", "/sse"])
async def test_a_kept_stream_is_taken_up_at_the_root_or_below_the_mount(
    upstream: Upstream, mount: str
) -> None:
    app = asgi_app({"/sse": {"target": upstream.url, "resume": True}})
    call = Call(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS + chunk(b"id: 1\ndata: 1\n\n"))
    stream_id = (await call.fields())[b"stream-id"].decode()
    await call.heard()
    call.tell("http.disconnect")
    await call.over()
    headers = [(b"host", b"app.example"), (b"last-event-id", b"1")]
    path = f"{mount}/_unbuffered/streams/{stream_id}"
    again = Call(app, scope_of(path, root_path=mount, headers=headers))
    assert (await again.heard())["status"] == 200
    await server.send(chunk(b"id: 2\ndata: 2\n\n"))
    assert (await again.heard())["body"] == b"id: 2\ndata: 2\n\n"
    again.tell("http.disconnect")
    await again.over()
    await app.stop()


async def test_below_the_mount_there_is_no_inspector(
    app: AsgiApp, upstream: Upstream
) -> None:
    """Who mounts routes does not mean to show what passes."""
    headers = [(b"host", b"localhost"), (b"connection", b"keep-alive")]
    scope = scope_of("/sse/_unbuffered/", root_path="/sse", headers=headers)
    call = Call(app, {**scope, "client": ("127.0.0.1", 5000)})
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /sse/_unbuffered/ HTTP/1.1"
    call.tell("http.disconnect")
    await call.over()


# -- WebSocket


class Bridge:
    """A WebSocket that is open, on both sides."""

    def __init__(self, call: Call, server: Peer) -> None:
        self.call = call
        self.server = server

    async def frame(self) -> tuple[int, bytes]:
        """The next frame that the upstream gets: its opcode, and what it says."""
        first, second = await self.server.read(2)
        assert first & 0x80
        assert second & 0x80
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self.server.read(2), "big")
        mask, data = await self.server.read(4), await self.server.read(size)
        return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def websocket_scope(**more: object) -> Scope:
    headers = [
        (b"host", b"app.example"),
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", b"of the browser"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"cookie", b"a=1"),
    ]
    scope = scope_of("/sse/ws", "websocket", headers=headers, scheme="ws", **more)
    del scope["method"]
    return scope


async def bridge(app: AsgiApp, upstream: Upstream, kind: type[Call] = Call) -> Bridge:
    call = kind(app, websocket_scope(subprotocols=["a", "b"]))
    call.tell("websocket.connect")
    server = await upstream.request()
    head = parse_request_head(server.head)
    accept = accept_value(head.index[b"sec-websocket-key"])
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Protocol: b\r\nX-A: 1\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    accepted = await call.heard()
    assert accepted["type"] == "websocket.accept"
    assert accepted["subprotocol"] == "b"
    assert dict(accepted["headers"]) == {b"x-a": b"1", b"via": b"1.1 unbuffered"}
    return Bridge(call, server)


async def test_the_handshake_with_the_upstream_is_the_proxys_own(
    app: AsgiApp, upstream: Upstream
) -> None:
    open_one = await bridge(app, upstream)
    head = parse_request_head(open_one.server.head)
    assert head.method == b"GET"
    assert head.members(b"sec-websocket-protocol") == [b"a", b"b"]
    assert head.get(b"sec-websocket-version") == b"13"
    assert head.get(b"sec-websocket-key") != b"of the browser"
    assert head.get(b"sec-websocket-extensions") is None
    assert head.get(b"cookie") == b"a=1"
    assert head.get(b"x-forwarded-proto") == b"http"
    open_one.call.tell("websocket.disconnect", code=1006)
    await open_one.call.over()


async def test_messages_pass_both_ways(app: AsgiApp, upstream: Upstream) -> None:
    open_one = await bridge(app, upstream)
    call, server = open_one.call, open_one.server
    call.tell("websocket.receive", text="größe", bytes=None)
    assert await open_one.frame() == (Opcode.TEXT, "größe".encode())
    call.tell("websocket.receive", bytes=b"\x00" * 300)
    assert await open_one.frame() == (Opcode.BINARY, b"\x00" * 300)
    await server.send(b"\x01\x03one\x80\x03two\x82\x01\xff")
    assert await call.heard() == {"type": "websocket.send", "text": "onetwo"}
    assert await call.heard() == {"type": "websocket.send", "bytes": b"\xff"}
    await server.send(b"\x89\x02hi")
    assert await open_one.frame() == (Opcode.PONG, b"hi")
    await server.send(b"\x88\x06\x0f\xa0left")
    assert await call.heard() == {
        "type": "websocket.close", "code": 4000, "reason": "left",
    }  # fmt: skip
    assert await open_one.frame() == (Opcode.CLOSE, b"\x0f\xa0left")
    assert await call.over() == []


async def test_a_client_that_closes_is_told_to_the_upstream(
    app: AsgiApp, upstream: Upstream
) -> None:
    open_one = await bridge(app, upstream)
    open_one.call.tell("websocket.disconnect", code=1001, reason="bye")
    assert await open_one.frame() == (Opcode.CLOSE, b"\x03\xe9bye")
    await open_one.server.read_to_close()
    assert await open_one.call.over() == []


async def test_a_client_that_is_gone_closes_the_upstream(
    app: AsgiApp, upstream: Upstream
) -> None:
    open_one = await bridge(app, upstream)
    open_one.call.tell("websocket.disconnect", code=1006)
    await open_one.server.read_to_close()
    assert await open_one.call.over() == []


@pytest.mark.parametrize(
    "end", ["close", "reset", "masked"], ids=["FIN", "reset", "a masked frame"]
)
async def test_an_upstream_that_breaks_closes_the_websocket_with_1011(
    app: AsgiApp, upstream: Upstream, end: str
) -> None:
    open_one = await bridge(app, upstream)
    if end == "masked":
        await open_one.server.send(client_frame(Opcode.TEXT, b"x"))
    else:
        getattr(open_one.server, end)()
    message = await open_one.call.heard()
    assert message["type"] == "websocket.close"
    assert message["code"] == 1011
    assert await open_one.call.over() == []


async def test_a_handshake_that_the_upstream_gets_wrong_opens_nothing(
    app: AsgiApp, upstream: Upstream
) -> None:
    """The client cannot judge the answer to a key that it has not made."""
    call = Call(app, websocket_scope())
    call.tell("websocket.connect")
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n"
    )
    assert [each["type"] for each in await call.over()] == ["websocket.close"]
    ended = proxy(app).inspector.history.recent[-1]
    assert "does not match the Sec-WebSocket-Key" in str(ended.error)


@pytest.mark.parametrize("extension", [True, False])
async def test_a_refusal_of_the_upstream_passes_if_the_server_can_say_it(
    app: AsgiApp, upstream: Upstream, extension: bool
) -> None:
    denial = "websocket.http.response"
    extensions: dict[str, object] = {denial: {}} if extension else {}
    call = Call(app, websocket_scope(extensions=extensions))
    call.tell("websocket.connect")
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 401 Unauthorized\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nno"
    )
    messages = await call.over()
    if not extension:
        assert [each["type"] for each in messages] == ["websocket.close"]
        return
    start, *body = messages
    assert start["type"] == f"{denial}.start"
    assert start["status"] == 401
    assert (b"x-a", b"1") in start["headers"]
    assert b"".join(each["body"] for each in body) == b"no"
    assert body[-1]["more_body"] is False
