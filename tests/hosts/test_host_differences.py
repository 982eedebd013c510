"""Where ASGI servers differ in what they say and take, as measured with each."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.http1.grammar import Fields
from proxy.http1.head import parse_request_head
from proxy.library.asgi_host import AsgiApp, Message, Scope, asgi_app
from proxy.library.asgi_transport import IncompleteResponse
from proxy.library.asgi_websocket import MOST_GATHERED
from proxy.library.client_frames import Opcode
from tests.hosts.test_asgi_host import (
    DENIAL,
    Call,
    bridge,
    proxy,
    scope_of,
    websocket_scope,
)
from tests.support.host_rows import EVENTS, SHORT
from tests.support.raw import Upstream, chunk

pytestmark = pytest.mark.usefixtures("complaints")


@pytest.fixture
async def app(upstream: Upstream) -> AsyncIterator[AsgiApp]:
    route = {"target": upstream.url, "ws": True, "resume": True}
    async with asgi_app({"/sse": route}) as found:
        yield found


def internal_errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [each for each in caplog.records if each.name.startswith("unbuffered")]
    return [each.message for each in ours if each.levelno >= logging.ERROR]


# -- requests


async def asked(app: AsgiApp, upstream: Upstream, scope: Scope) -> bytes:
    """The head that the upstream gets."""
    call = Call(app, scope)
    if scope["http_version"] == "2":
        call.tell("http.request", body=b"", more_body=False)
    server = await upstream.request()
    await server.send(SHORT)
    assert (await call.heard())["status"] == 200
    await call.over()
    return server.head


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([(b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", b"h2c"),
                      (b"http2-settings", b"AAMAAABk")], id="h2c by hypercorn"),
        pytest.param([(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")],
                     id="websocket"),
        pytest.param([(b"connection", b"x-hop"), (b"x-hop", b"1")], id="named"),
        pytest.param([(b"keep-alive", b"5"), (b"proxy-connection", b"close")],
                     id="keep-alive"),
    ],
)  # fmt: skip
async def test_fields_of_a_connection_are_none_of_http2(
    app: AsgiApp, upstream: Upstream, fields: Fields
) -> None:
    headers = [(b"host", b"a"), *fields, (b"x-a", b"1")]
    scope = scope_of(http_version="2", headers=headers)
    head = parse_request_head(await asked(app, upstream, scope))
    assert head.get(b"x-a") == b"1"
    assert not {name.lower() for name, _ in fields} - {b"connection"} & set(head.index)


@pytest.mark.parametrize("version", ["1.0", "1"])
@pytest.mark.parametrize("host", [[], [(b"host", b"")], [(b"host", b"a")]])
async def test_http10_is_known_by_whatever_the_server_calls_it(
    app: AsgiApp, upstream: Upstream, version: str, host: Fields
) -> None:
    """granian says "1", and adds an empty Host where there is none."""
    scope = scope_of(http_version=version, headers=host)
    head = parse_request_head(await asked(app, upstream, scope))
    assert head.get(b"via") == b"1.0 unbuffered"


async def test_by_http11_an_empty_host_is_refused(app: AsgiApp) -> None:
    call = Call(app, scope_of(headers=[(b"host", b"")]))
    assert (await call.heard())["status"] == 400
    await call.over()


# -- root_path


class UvicornCall(Call):
    """As uvicorn calls with `--root-path`: it is before the path that was asked."""

    root_path = "/api"  # of the protocol, which is the receiver of a WebSocket


class Uvicorn:
    """What has the signal, where middleware stands between it and the application."""

    should_exit = False

    class config:
        root_path = "/api"

    def handle_exit(self, *_: object) -> None:
        """As it would."""


def rooted(path: str, mount: str, raw: str = "") -> Scope:
    """As uvicorn, and then Starlette, tell it."""
    scope = scope_of(f"/api{path}", root_path=f"/api{mount}")
    scope["raw_path"] = f"/api{raw or path}".encode()
    if mount:
        scope["app_root_path"] = "/api"
    return scope


@pytest.mark.parametrize("mount", ["", "/sse"])
@pytest.mark.parametrize("behind", [False, True], ids=["uvicorn", "middleware"])
async def test_what_the_server_puts_before_the_path_is_not_asked_for(
    app: AsgiApp, upstream: Upstream, mount: str, behind: bool
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    if behind:
        signal.signal(signal.SIGTERM, Uvicorn().handle_exit)
    kind = Call if behind else UvicornCall
    try:
        call = kind(app, rooted("/sse/a/b", mount, raw="/sse/a%2Fb"))
        server = await upstream.request()
        assert server.head_lines[0] == b"GET /sse/a%2Fb HTTP/1.1"
        await server.send(EVENTS + chunk(b"id: 1\ndata: 1\n\n"))
        stream_id = (await call.fields())[b"stream-id"].decode()
        call.tell("http.disconnect")
        await call.over()
        again = kind(app, rooted(f"{mount}/_unbuffered/streams/{stream_id}", mount))
        assert (await again.heard())["status"] == 200
        again.tell("http.disconnect")
        await again.over()
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("mount", ["/sse", "/sse/deep"])
async def test_what_an_application_mounts_is_asked_for(
    app: AsgiApp, upstream: Upstream, mount: str
) -> None:
    """By hypercorn and granian the server's root is in no path."""
    path = "/sse/deep/x"
    scope = scope_of(path, root_path=f"/api{mount}", app_root_path="/api")
    assert await asked(app, upstream, scope)
    scope = scope_of(path, root_path=mount)
    assert (await asked(app, upstream, scope)).startswith(b"GET /sse/deep/x ")
    gone = f"{mount}/_unbuffered/streams/{'0' * 32}"
    scope = scope_of(gone, root_path=f"/api{mount}", app_root_path="/api")
    call = Call(app, scope)
    assert (await call.heard())["status"] in (400, 404, 410)
    await call.over()


# -- a host that refuses what it is given


class Granian(Call):
    """It takes the body of a refusal in one message only."""

    async def send(self, message: Message) -> None:
        if message["type"] == f"{DENIAL}.body" and message["more_body"]:
            raise RuntimeError("Unsupported ASGI message")
        await super().send(message)


def refusing(app: AsgiApp, kind: type[Call] = Granian) -> Call:
    call = kind(app, websocket_scope(extensions={DENIAL: {}}))
    call.tell("websocket.connect")
    return call


@pytest.mark.parametrize("pieces", [[], [b"no"], [b"no ", b"entry"]])
async def test_a_refusal_passes_where_it_is_taken_whole_only(
    app: AsgiApp,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    pieces: list[bytes],
) -> None:
    call = refusing(app)
    server = await upstream.request()
    await server.send(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    start = await call.heard()
    assert start["status"] == 401
    for piece in pieces:
        await server.send(chunk(piece))
    await server.send(chunk(b""))
    assert await call.over() == [
        {"type": f"{DENIAL}.body", "body": b"".join(pieces), "more_body": False}
    ]
    assert internal_errors(caplog) == []


async def test_a_refusal_is_gathered_within_a_bound(
    app: AsgiApp, upstream: Upstream
) -> None:
    call = refusing(app)
    server = await upstream.request()
    await server.send(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n")
    await server.send(chunk(b"x" * MOST_GATHERED))
    await server.send(chunk(b"x"))
    await server.closed()
    await call.over()
    error = proxy(app).inspector.history.recent[-1].error
    assert f"more than {MOST_GATHERED} bytes" in str(error)


async def test_a_host_that_raises_is_no_internal_error(
    app: AsgiApp, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    class Strict(Call):
        async def send(self, message: Message) -> None:
            raise RuntimeError("not now")

    caplog.set_level(logging.WARNING, "unbuffered")
    call = Strict(app, scope_of())
    server = await upstream.request()
    await server.send(EVENTS)
    with pytest.raises(IncompleteResponse):
        await call.over()
    denied = refusing(app, Strict)
    await (await upstream.request()).send(SHORT)
    await denied.over()
    said = "the host application refused a part of the response: RuntimeError: not now"
    ours = [each for each in caplog.records if each.name == "unbuffered"]
    assert [each.message for each in ours] == [said] * 2
    assert not any(each.exc_info for each in ours)
    assert not proxy(app).clients


# -- a WebSocket of hypercorn


class Hypercorn(Call):
    """Its `receive` is a queue's `get`; it tells 1006 of every end."""

    def __init__(self, app: Any, scope: Scope) -> None:
        queue = asyncio.Queue[Message]()
        self.receive = queue.get  # type: ignore[method-assign]
        super().__init__(app, scope)
        self.to_app = queue


async def test_where_every_end_is_1006_the_upstream_hears_that_the_client_is_gone(
    app: AsgiApp, upstream: Upstream
) -> None:
    open_one = await bridge(app, upstream, Hypercorn)
    open_one.call.tell("websocket.disconnect", code=1006)
    assert await open_one.frame() == (Opcode.CLOSE, b"\x03\xe9")
    await open_one.server.read_to_close()
    assert await open_one.call.over() == []
