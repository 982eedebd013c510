"""The proxy as an ASGI application, for FastAPI, Starlette, Django and the like.

The server in front has read the request and will frame the response; see
docs/embedding.md for what each of them can and cannot say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

from proxy.errors import ClientError
from proxy.http1.grammar import Fields
from proxy.http1.head import HTTP2, RequestHead
from proxy.library.asgi_transport import (
    let_client_see,
    root_of_server,
    says_how_it_ended,
    transport_of,
)
from proxy.library.asgi_websocket import WebSocketIntake, WebSocketOutlet, handshake
from proxy.library.given_config import Routes
from proxy.library.hosted_sending import HostRefused
from proxy.library.hosted_stream import EmbeddedStream
from proxy.library.hosting import Hosting, address_of, own_address, request_head
from proxy.policy.request_plan import takes_trailers
from proxy.policy.response_plan import STREAM, ResponsePlan
from proxy.server.server import Server

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

SAFE = "/:@!$&'()*+,;=~"  # in a path, beside letters and digits (RFC 3986 §3.3)
# Fields that every ASGI server adds itself; twice they would be a malformed response.
OF_THE_HOST = frozenset({b"date", b"server"})
HTTP2_NAMES = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})
EARLY_HINT = "http.response.early_hint"
TRAILERS = "http.response.trailers"


class AsgiApp(Hosting):
    """An ASGI 3 application that forwards requests by its routes.

    The whole path that the client asked for is compared with the routes, whatever the
    application is mounted at.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.lifespan(receive, send)
        elif kind == "http":
            await self.http(scope, receive, send)
        elif kind == "websocket":
            await self.websocket(scope, receive, send)
        else:
            raise ValueError(f"ASGI scope {kind!r} is not supported by unbuffered")

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Start and stop with the server, where this is the application it runs."""
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        server = await self.serving()
        transport = transport_of(receive, send)
        root = root_of(scope, receive)
        stream, refused = stream_of(server, scope, root, transport)
        if stream.request is None:
            stream.refused = refused
        elif not has_length(stream.request):
            # Without a length, whether there is a body is what comes first.
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            take(stream, message)
        outlet = AsgiOutlet(scope, telling(send), stream)
        await stream.serve(AsgiIntake(receive), outlet)
        if not stream.complete and not stream.left:
            await let_client_see(stream, receive, send, http2=outlet.http2)

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bridge a WebSocket: see `asgi_websocket`."""
        if (await receive())["type"] != "websocket.connect":
            return
        server = await self.serving()
        asked = {**scope, "headers": handshake(scope), "method": "GET"}
        asked["http_version"] = "1.1"
        stream, refused = stream_of(server, asked, root_of(scope, receive))
        stream.refused = refused
        outlet = WebSocketOutlet(scope.get("extensions") or {}, telling(send), stream)
        intake = WebSocketIntake(receive, says_how_it_ended(receive))
        await stream.serve(intake, outlet)
        with contextlib.suppress(OSError, HostRefused):  # it is gone already
            await outlet.conclude()


def telling(send: Send) -> Send:
    """A `send` that says whose fault it is when the host raises."""

    async def tell(message: Message) -> None:
        try:
            await send(message)
        except OSError:  # the client is gone
            raise
        except Exception as error:
            raise HostRefused(error) from error

    return tell


def root_of(scope: Scope, receive: Receive) -> str:
    """What is in `path` and the client has not asked for."""
    return root_of_server(receive) if scope.get("root_path") else ""


def stream_of(
    server: Server,
    scope: Scope,
    root: str,
    transport: asyncio.Transport | None = None,
) -> tuple[EmbeddedStream, ClientError | None]:
    """The stream of a request; without a head, and why, if that is not one.

    `root`: what the server has put before the path.
    """
    head: RequestHead | None = None
    refused: ClientError | None = None
    try:
        head = head_of(server, scope, root)
    except ClientError as error:
        refused = error
    client = scope.get("client")
    stream = EmbeddedStream(
        server,
        head,
        address_of(client[0] if client else None),
        b"https" if scope.get("scheme") in ("https", "wss") else b"http",
        complete=head is None or has_no_body(head),
        transport=transport,
    )
    return stream, refused


def head_of(server: Server, scope: Scope, root: str) -> RequestHead:
    """The head of the request.

    Raises:
        ClientError: it is not one.
    """
    target = own_address(target_of(scope, root), mount_of(scope, root))
    method = scope.get("method", "GET").encode("ascii", "replace")
    fields = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
    return request_head(
        server, method, target, scope.get("http_version", "1.1"), fields
    )


def mount_of(scope: Scope, root: str) -> bytes:
    """Where in the application this is, by what has mounted it (Starlette says)."""
    above: str = scope.get("app_root_path", root)
    path: str = scope.get("root_path", "")
    return path.removeprefix(above).encode()


def target_of(scope: Scope, root: str = "") -> bytes:
    """What the client asked for, byte for byte where the server tells it.

    `root`: what the server has put before it.
    """
    path: str = scope["path"]
    raw = (scope.get("raw_path") or b"").partition(b"?")[0]
    if root and path.startswith(root):
        path = path.removeprefix(root)
        raw = raw.removeprefix(root.encode("ascii", "replace"))
    if not raw or unquote(raw.decode("latin-1")) != path:  # a middleware has changed it
        raw = quote(path, SAFE).encode("ascii")
    query: bytes = scope.get("query_string") or b""
    return raw + b"?" + query if query else raw


def has_no_body(head: RequestHead) -> bool:
    """Is it certain that no body follows? HTTP/2 says so with what follows."""
    index = head.index
    if head.minor == HTTP2 or b"transfer-encoding" in index:
        return False
    return index.get(b"content-length", b"0") == b"0"


def has_length(head: RequestHead) -> bool:
    """Is it said how long its body is, if there is one?"""
    if head.minor != HTTP2:
        return True
    # A body that has yet to come must not hold a request that surely has one.
    certain = head.method in (b"POST", b"PUT", b"PATCH")
    return certain or b"content-length" in head.index


def take(stream: EmbeddedStream, message: Message) -> None:
    """Take a part of the request body, which may be its last."""
    body = message.get("body", b"")
    if body:
        stream.data_received(body)
    if not message.get("more_body", False) and not stream.ended:
        stream.request_ended()


class AsgiIntake:
    """The request, as the server gives it."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive

    async def read(self, stream: EmbeddedStream) -> None:
        while not stream.closed:
            await stream.may_read.wait()
            if stream.over:  # to ask for more would invite the client to send it
                return
            message = await self.receive()
            if message["type"] == "http.disconnect":
                stream.leave("the client closed the connection")
                return
            take(stream, message)


class AsgiOutlet:
    """The response, as the server takes it."""

    def __init__(self, scope: Scope, send: Send, stream: EmbeddedStream) -> None:
        self.send = send
        self.extensions: Mapping[str, object] = scope.get("extensions") or {}
        head = stream.request
        self.http2 = scope.get("http_version", "1.1")[:1] in ("2", "3")
        self.wants_trailers = (
            head is not None and TRAILERS in self.extensions and takes_trailers(head)
        )
        self.with_trailers = False  # are they promised?

    async def interim(self, plan: ResponsePlan) -> None:
        if plan.status == 103 and EARLY_HINT in self.extensions:
            links = [value for name, value in plan.fields if name.lower() == b"link"]
            await self.send({"type": EARLY_HINT, "links": links})

    async def head(self, plan: ResponsePlan) -> None:
        fields = plan.fields if self.http2 else [*plan.fields, *plan.options]
        self.with_trailers = self.wants_trailers and plan.framing is STREAM
        message: Message = {
            "type": "http.response.start",
            "status": plan.status,
            "headers": self.as_sent(fields),
        }
        if self.with_trailers:
            message["trailers"] = True
        await self.send(message)

    async def flush(self) -> None:
        await self.piece(b"")  # granian and some middleware hold a head without it

    async def piece(self, data: bytes) -> None:
        message = {"type": "http.response.body", "body": data, "more_body": True}
        await self.send(message)

    async def end(self, trailers: Fields) -> None:
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})
        if self.with_trailers:
            fields = self.as_sent(trailers)
            await self.send({"type": TRAILERS, "headers": fields})

    def as_sent(self, fields: Fields) -> Fields:
        """Fields in the form that ASGI wants; names in lower case."""
        out = OF_THE_HOST | HTTP2_NAMES if self.http2 else OF_THE_HOST
        lower = [(name.lower(), value.strip(b" \t")) for name, value in fields]
        return [field for field in lower if field[0] not in out]


def asgi_app(routes: Routes, **tables: Mapping[str, object]) -> AsgiApp:
    """An ASGI application that forwards requests by `routes`.

    `routes` and `tables` are those of `Proxy`. It takes part in the server's lifespan;
    mounted in another application, which keeps that for itself, enter it in theirs:
    `async with proxy: yield`.

    Raises:
        ConfigError: has one line for every fault.
    """
    return AsgiApp(routes, tables)
