"""The proxy as a handler of an aiohttp application.

aiohttp has read the head of the request and frames the response. What it does not tell
a handler, that the client has left, is seen by a protocol between it and its transport.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Mapping
from typing import Any, Self, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from proxy.errors import ClientError, MalformedRequest
from proxy.http1.chunked import last_chunk
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.library.given_config import Routes
from proxy.library.hosted_stream import EmbeddedStream
from proxy.library.hosting import Hosting, address_of, own_address, request_head
from proxy.policy.header_fields import without
from proxy.policy.response_plan import TUNNEL, ResponsePlan
from proxy.server.server import Server
from proxy.transport.connection import reset_on_close

LEFT = 499  # what the access log has of a client that left before its response began
# Of what aiohttp decodes, neither is true any more.
DECODED = frozenset({b"content-encoding", b"content-length"})


class AiohttpHandler(Hosting):
    """A handler for `app.router.add_route("*", "/sse/{tail:.*}", handler)`.

    The whole path that the client asked for is compared with the routes, whatever the
    path of the route in the application.
    """

    def __init__(
        self, routes: Routes, tables: Mapping[str, Mapping[str, object]]
    ) -> None:
        super().__init__(routes, tables)
        if sys.version_info >= (3, 12):  # aiohttp warns of what is not `async def`
            inspect.markcoroutinefunction(self)
        else:
            self._is_coroutine = vars(asyncio.coroutines)["_is_coroutine"]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        server = await self.serving()
        transport = request.transport
        if transport is None:  # it has left already
            return web.Response(status=LEFT)
        stream = stream_of(server, request, transport)
        response = HostedResponse(request, stream)
        watch = DepartureWatch(transport, stream)
        try:
            await stream.serve(AiohttpIntake(request), response)
        finally:
            watch.end()
        if not stream.complete:
            return response.incomplete(transport)
        return response

    def attach(self, app: web.Application) -> Self:
        """Start with an application, and end with it what is open.

        Without it the handler starts with its first request, and aiohttp gives streams
        that are open `shutdown_timeout` seconds, 60 by default, and then cuts them.
        """

        async def start(app: web.Application) -> None:
            await self.start()

        async def stop(app: web.Application) -> None:
            await self.stop()

        app.on_startup.append(start)
        app.on_shutdown.append(stop)
        return self


def stream_of(
    server: Server, request: web.Request, transport: asyncio.Transport
) -> EmbeddedStream:
    """The stream of a request."""
    head: RequestHead | None = None
    refused: ClientError | None = None
    decoded = is_decoded(request)
    try:
        head = head_of(server, request, decoded=decoded)
    except ClientError as error:
        refused = error
    stream = EmbeddedStream(
        server,
        head,
        address_of(request.remote),
        request.scheme.encode("ascii", "replace"),
        complete=head is None or not request.body_exists,
        transport=transport,
        sized=not decoded,
    )
    stream.refused = refused
    return stream


def head_of(server: Server, request: web.Request, *, decoded: bool) -> RequestHead:
    """The head of the request.

    Raises:
        ClientError: it is not one.
    """
    version = f"{request.version.major}.{request.version.minor}"
    fields = list(request.raw_headers)
    if decoded:
        fields = without(fields, DECODED)
        fields.append((b"Transfer-Encoding", b"chunked"))
    target = request.path_qs if request.raw_path is None else request.raw_path
    mount = mount_of(request)
    return request_head(
        server,
        request.method.encode("ascii", "replace"),
        own_address(target.encode("utf-8", "surrogateescape"), mount),
        version,
        fields,
    )


def mount_of(request: web.Request) -> bytes:
    """The path before the variable part of the application's route."""
    resource = request.match_info.route.resource
    canonical = "" if resource is None else resource.canonical
    return canonical.partition("{")[0].encode("utf-8")


def is_decoded(request: web.Request) -> bool:
    """Does aiohttp decode the body, so that its coding and length are not true?"""
    if hdrs.CONTENT_ENCODING not in request.headers or not request.body_exists:
        return False
    manager: Any = getattr(request.protocol, "_manager", None)
    kwargs: Mapping[str, object] = getattr(manager, "_kwargs", {})
    coding = getattr(request._message, "compression", None)
    return coding is not None and kwargs.get("auto_decompress", True) is not False


# What a body raises that is not framed, or not coded, as its fields say.
UNREADABLE = (web.RequestPayloadError, HttpProcessingError)


class DepartureWatch(asyncio.Protocol):
    """Stands between a transport and aiohttp, and tells a stream that its client left.

    aiohttp lets a handler run on when its client has gone, and a handler that waits for
    the upstream would notice with its next write.
    """

    def __init__(self, transport: asyncio.Transport, stream: EmbeddedStream) -> None:
        self.transport = transport
        self.stream = stream
        self.protocol = cast("asyncio.Protocol", transport.get_protocol())
        transport.set_protocol(self)

    def end(self) -> None:
        """Stand aside."""
        if self.transport.get_protocol() is self:
            self.transport.set_protocol(self.protocol)

    def data_received(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        stream = self.stream
        if not stream.is_tunnel:
            stream.leave("the client closed the connection")
        return self.protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.protocol.connection_lost(exc)
        self.stream.leave("the client closed the connection")

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()


class AiohttpIntake:
    """The request body, as aiohttp gives it."""

    def __init__(self, request: web.Request) -> None:
        self.request = request

    async def read(self, stream: EmbeddedStream) -> None:
        content = self.request.content
        while not stream.ended and not stream.closed:
            await stream.may_read.wait()
            if stream.over or stream.closed:
                return
            try:
                data = await content.readany()
            except UNREADABLE as error:
                content.feed_eof()  # aiohttp would read it on behind the response
                cause = error.__cause__ or error
                reason = " ".join(str(getattr(cause, "message", cause)).split())
                stream.request_broken(MalformedRequest(f"request body: {reason}"))
                return
            if data:
                stream.data_received(data)
            elif content.at_eof():
                stream.request_ended()


class TunnelParser:
    """What aiohttp hands all bytes to that come on an upgraded connection."""

    def __init__(self, stream: EmbeddedStream) -> None:
        self.stream = stream

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.stream.data_received(bytes(data))
        return False, b""

    def feed_eof(self) -> None:
        self.stream.leave("the client closed the connection")


class HostedResponse(web.StreamResponse):
    """The response: what the proxy has planned, and nothing that aiohttp would add."""

    def __init__(self, request: web.Request, stream: EmbeddedStream) -> None:
        super().__init__()
        self.request = request
        self.stream = stream
        self.tunnel = False
        self.trailers: Fields = []
        self.out: AbstractStreamWriter | None = None

    # -- see `Outlet`

    async def interim(self, plan: ResponsePlan) -> None:
        transport = self.request.transport
        if transport is not None and plan.status != 100:  # aiohttp has said that
            transport.write(plan.text)

    async def head(self, plan: ResponsePlan) -> None:
        self.set_status(plan.status, plan.reason.decode("latin-1"))
        self.tunnel = plan.framing is TUNNEL
        headers: CIMultiDict[str] = self.headers
        for name, value in plan.all_fields if self.tunnel else plan.fields:
            headers.add(name.decode("ascii"), text(value))
        if self.tunnel or not plan.keep_alive:
            self.force_close()
        self.length_is_checked(not self.tunnel)
        self.out = await self.prepare(self.request)
        if self.tunnel:
            self.stream.hold = self.hold
            parser = cast("Any", TunnelParser(self.stream))
            self.request.protocol.set_parser(parser)

    async def flush(self) -> None:
        """The head is out already."""

    def hold(self, on: bool) -> None:
        """Read no more of a tunnel for now, or again."""
        transport = self.request.transport
        if transport is not None and not transport.is_closing():
            if on:
                transport.pause_reading()
            else:
                transport.resume_reading()

    async def piece(self, data: bytes) -> None:
        await self.write(data)

    async def end(self, trailers: Fields) -> None:
        if self.tunnel:
            transport = self.request.transport
            if transport is not None:
                transport.close()
            return
        self.trailers = trailers
        await self.write_eof()

    # -- what aiohttp does otherwise

    def length_is_checked(self, checked: bool) -> None:
        """A tunnel has no length, and is not in chunks."""
        self._length_check = checked

    async def _prepare_headers(self) -> None:
        """Leave out what aiohttp adds to every response."""
        known = set(self.headers)
        await super()._prepare_headers()
        for name in (hdrs.CONTENT_TYPE, hdrs.SERVER):
            if name not in known:
                self.headers.popall(name, None)

    async def write_eof(self, data: bytes = b"") -> None:
        """End the body; trailers stand where aiohttp ends its chunks."""
        trailers, self.trailers = self.trailers, []
        transport = self.request.transport
        if trailers and self.out is not None and transport is not None:
            transport.write(last_chunk(trailers))
            self._eof_sent = True
        await super().write_eof(data)

    def incomplete(self, transport: asyncio.Transport) -> web.StreamResponse:
        """Close so that the client sees it, or begin none for one that has left."""
        if not self.prepared:
            return web.Response(status=LEFT)
        stream = self.stream
        if self.request.version < (1, 1) or stream.aborted:
            reset_on_close(transport)  # else the close would be the end of the body
        if stream.aborted:
            transport.abort()
        else:
            transport.close()
        return self


def text(value: bytes) -> str:
    """A field's value so that aiohttp, which writes UTF-8, writes the same bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def aiohttp_handler(routes: Routes, **tables: Mapping[str, object]) -> AiohttpHandler:
    """A handler that forwards the requests of an aiohttp application by `routes`.

    `routes` and `tables` are those of `Proxy`. `attach(app)` ends its streams when the
    application stops.

    Raises:
        ConfigError: has one line for every fault.
    """
    return AiohttpHandler(routes, tables)
