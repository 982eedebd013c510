"""The proxy behind a handler of a host application: started when it is first needed.

A server belongs to an event loop, and an application may see several (each request of
Starlette's TestClient has its own), so there is one for each. Nothing listens here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeAlias

from msgspec.structs import replace

from proxy.config.model import Config
from proxy.errors import MalformedRequest
from proxy.http1.grammar import Fields
from proxy.http1.head import HTTP2, RequestHead, parse_request_head
from proxy.inspector.exchange_history import counted
from proxy.internal_errors import report
from proxy.library.given_config import Routes, given_config
from proxy.library.seen_exchange import Exchange, seen
from proxy.library.server_end import ServerEnd, check_seconds
from proxy.line_writer import WRITERS
from proxy.policy.header_fields import HOP_BY_HOP, NEVER_NAMED, without
from proxy.policy.size_limits import check_request_head
from proxy.process.inspector_link import AutoToken
from proxy.process.process import observers
from proxy.process.reload import log_warnings
from proxy.server.server import Server
from proxy.server.stream_address import STREAMS
from proxy.timeline import Timeline, wall_clock
from proxy.transport.connector import prepare_for

log = logging.getLogger("unbuffered")

OnEnd: TypeAlias = Callable[[Exchange], object]

FLUSH_SECONDS = 0.5  # at the end, for the access log to be written
UNKNOWN = b"unknown"  # an address that the host does not know (RFC 7239 §6.2)
OF_CONNECTION = HOP_BY_HOP - {b"te", b"proxy-authorization", b"proxy-authenticate"}
LINE_END = re.compile(rb"[\r\n]")


class Hosted:
    """The server of one event loop, and its end. `callbacks`: told of exchanges."""

    def __init__(self, config: Config, callbacks: dict[object, OnEnd]) -> None:
        told = [*observers(config), self.has_ended]
        config = without_admin(config)
        self.server = server = Server(config, observers=told, embedded=True)
        self.callbacks = callbacks
        # What to add to its clock for the seconds of the calendar.
        self.epoch = wall_clock() - server.ticker.clock()
        self.ready = asyncio.ensure_future(server.start_hosted())
        self.end = ServerEnd(server, self.stopped)

    # -- what passes

    def exchanges(self) -> list[Exchange]:
        """Those that ended lately, then those that run. Called from any thread.

        It asks nothing of the event loop, which may be waiting for this very thread.
        """
        server = self.server
        # Each is copied by one step of the interpreter: nothing changes meanwhile.
        running = list(server.exchanges)
        recent = server.inspector.history.recent.copy()
        open_now = [exchange.timeline for exchange in counted(running)]
        known = dict.fromkeys((*recent, *open_now))  # one may have ended in between
        return [self.seen(timeline) for timeline in known]

    def seen(self, timeline: Timeline) -> Exchange:
        server = self.server
        number = server.inspector.history.number(timeline)
        return seen(timeline, number, server.ticker.clock(), self.epoch)

    def has_ended(self, timeline: Timeline) -> None:
        """Called by the server."""
        for callback in tuple(self.callbacks.values()):
            try:
                callback(self.seen(timeline))
            except Exception as error:
                message = f"exception in a callback of on_end: {callback!r}"
                context = {"message": message, "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    # -- the end

    async def stopped(self, seconds: float) -> int:
        await asyncio.wait([self.ready])
        try:
            return await self.server.stop(seconds)
        finally:
            if self.server.config.log.access and "access" in WRITERS:
                WRITERS["access"].finish(FLUSH_SECONDS)

    # -- uvicorn tells an application that it stops when all responses are over

    def check(self, now: float) -> None:
        """Called by the clock: does the host want to stop?"""
        if not self.server.clients:
            self.server.ticker.discard(self)
        elif not self.end.has_begun and host_stops():
            log.info("the host application stops: open exchanges are ended")
            self.end.begin(self.server.config.server.drain_seconds)
            self.server.ticker.discard(self)

    def crashed(self, place: str, error: Exception) -> None:
        report(place, error)


class Hosting:
    """What the handlers of all hosts have in common. An asynchronous context manager.

    `async with handler:` starts it and drains it at the end; without, it is started by
    the first request.
    """

    def __init__(
        self, routes: Routes, tables: Mapping[str, Mapping[str, object]]
    ) -> None:
        self.config = AutoToken().fill(given_config(routes, tables))
        self.callbacks: dict[object, OnEnd] = {}
        prepare_for(self.config.routes.values())
        log_warnings(self.config)
        self.hosted: dict[asyncio.AbstractEventLoop, Hosted] = {}

    async def start(self) -> None:
        """Be ready before the first request: health checks begin, a store is opened."""
        loop = asyncio.get_running_loop()
        hosted = self.hosted.get(loop)
        if hosted is not None and hosted.end.task is not None:
            await asyncio.wait([hosted.end.task])
            if self.hosted.get(loop) is hosted:  # another start may have been first
                del self.hosted[loop]
        await self.serving()

    async def stop(self, seconds: float | None = None) -> int:
        """End what is open on this event loop, within `seconds` (`drain_seconds`).

        Streams whose clients reconnect end between two events, everything else may end
        by itself. Requests that come after that are refused. Returns how many clients
        were left with half a response. Of several calls the one that ends first counts,
        and to cancel one cuts at once what is open.

        Raises:
            ValueError: `seconds` is not a number of 0 or more.
        """
        if seconds is not None:
            check_seconds("stop", seconds)
        hosted = self.hosted.get(asyncio.get_running_loop())
        if hosted is None:
            return 0
        if seconds is None:
            seconds = self.config.server.drain_seconds
        return await hosted.end.within(seconds)

    def exchanges(self) -> list[Exchange]:
        """The last 500 exchanges that ended, then those that run; oldest first."""
        all_hosted = list(self.hosted.values())
        return [each for hosted in all_hosted for each in hosted.exchanges()]

    def on_end(self, callback: OnEnd) -> Callable[[], None]:
        """Have every exchange told that ends from now on; returns what ends that.

        It is called on the event loop of the exchange, and must not block. What it
        raises goes to the exception handler of the loop.
        """
        key = object()
        self.callbacks[key] = callback

        def remove() -> None:
            self.callbacks.pop(key, None)

        return remove

    @property
    def inspector_token(self) -> str:
        """What `[inspector] token` is, made at the start for "auto"; may be empty."""
        return self.config.inspector.token

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def serving(self) -> Server:
        """The server of this event loop.

        Raises:
            RuntimeError: it is not one of asyncio.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "unbuffered needs an asyncio event loop; run the server with an "
                "asyncio worker"
            ) from None
        hosted = self.hosted.get(loop)
        if hosted is None:
            for gone in [each for each in self.hosted if each.is_closed()]:
                del self.hosted[gone]
            hosted = self.hosted[loop] = Hosted(self.config, self.callbacks)
        try:
            await asyncio.shield(hosted.ready)
        except Exception:
            if self.hosted.get(loop) is hosted:  # another request may try again
                del self.hosted[loop]
            raise
        if not hosted.end.has_begun:
            hosted.server.ticker.add(hosted)
        return hosted.server

    @property
    def servers(self) -> Iterator[Server]:
        """All that run."""
        return (hosted.server for hosted in self.hosted.values())


def host_stops() -> bool:
    """Is the process that hosts us about to stop?

    uvicorn says so by an attribute of the object whose method handles SIGTERM; it
    closes no connection and tells no application while a response is under way.
    """
    handler = signal.getsignal(signal.SIGTERM)
    return getattr(getattr(handler, "__self__", None), "should_exit", False) is True


# -- the request as the proxy knows it


def request_head(
    server: Server, method: bytes, target: bytes, version: str, fields: Fields
) -> RequestHead:
    """The head that the host has read, judged as one from a socket would be.

    Raises:
        ClientError: what it says is not allowed, or too long.
    """
    minor = 0 if version in ("1.0", "1") else 1  # granian says "1"
    if minor == 0 and (b"host", b"") in fields:  # and granian adds that
        fields = [field for field in fields if field != (b"host", b"")]
    if version[:1] in ("2", "3"):
        fields = without_connection(fields)
    parts = [method, target, *(part for field in fields for part in field)]
    if any(map(LINE_END.search, parts)):  # more lines than the host has read
        raise MalformedRequest("malformed request head: a line end inside a field")
    lines = [b"%b: %b\r\n" % field for field in fields]
    data = b"%b %b HTTP/1.%d\r\n" % (method, target, minor) + b"".join(lines) + b"\r\n"
    check_request_head(data, len(data) - 4, server.config.server)
    head = parse_request_head(data)
    if version[:1] in ("2", "3"):
        return RequestHead(head.method, head.target, HTTP2, head.fields)
    return head


def without_connection(fields: Fields) -> Fields:
    """The fields of HTTP/2, which has none of a connection (RFC 9113 §8.2.2).

    A request that hypercorn has upgraded to h2c comes with those of HTTP/1.1.
    """
    options = [value for name, value in fields if name.lower() == b"connection"]
    named = {name.strip().lower() for name in b",".join(options).split(b",")}
    return without(fields, OF_CONNECTION | (named - NEVER_NAMED))


def address_of(host: str | None) -> bytes:
    """A client's address; a Unix socket or a name is none."""
    if not host or not host.isascii() or set(host) & set('",; \t\r\n'):
        return UNKNOWN
    if host.startswith("::ffff:") and "." in host:
        host = host.removeprefix("::ffff:")
    return host.encode("ascii")


def own_address(target: bytes, mount: bytes) -> bytes:
    """A kept stream has its address below the mount of the handler, too.

    The inspector has not: who mounts routes does not mean to show what passes.
    """
    mount = mount.rstrip(b"/")
    if mount and target.startswith(mount + STREAMS):
        return target[len(mount) :]
    return target


def without_admin(config: Config) -> Config:
    """A configuration without the admin listener: the host listens, and nobody else."""
    return replace(config, server=replace(config.server, admin=""))
