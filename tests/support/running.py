"""A running proxy, configured as a user would: by a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from proxy.config.load import load
from proxy.exchange.exchange import Exchange
from proxy.exchange.forward import Forward
from proxy.server.server import Server
from proxy.timeline import Clock, Timeline, monotonic
from proxy.transport.client_connection import ClientConnection
from proxy.transport.http2_connection import Http2Connection
from proxy.transport.ticker import RESOLUTION
from proxy.transport.upstream_connection import UpstreamConnection
from tests.support.raw import GUARD, Peer, Upstream, became, connect

Table = Mapping[str, object]
NEVER = 86_400.0  # seconds; not while a test runs


def toml(value: object) -> str:
    """A value as TOML; its strings, numbers and lists are those of JSON."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items())
        return "{ " + inner + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def document(routes: Mapping[str, Table], tables: Mapping[str, Table]) -> str:
    """A whole configuration file.

    Requests of tests do not say that they are of this machine, and yet are told all.
    """
    lines = []
    server = {"error_detail": "all", **tables.get("server", {})}
    tables = {**tables, "server": server}
    named = {f"routes.{json.dumps(prefix)}": table for prefix, table in routes.items()}
    for name, table in {**tables, **named}.items():
        lines.append(f"[{name}]")
        lines += [f"{json.dumps(key)} = {toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


class RunningProxy:
    """A proxy on a free port, with what its observers saw."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.exchanges: asyncio.Queue[Timeline] = asyncio.Queue()
        self.clients: list[Peer] = []

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def client(self, receive_bytes: int = 0) -> Peer:
        """A raw client, connected."""
        self.clients.append(await connect(self.port, receive_bytes=receive_bytes))
        return self.clients[-1]

    async def begin(self, upstream: Upstream, request: bytes) -> tuple[Peer, Peer]:
        """Send a request; its client, and the upstream with the head read."""
        client = await self.client()
        await client.send(request)
        return client, await upstream.request()

    async def stop(self) -> None:
        """Stop the proxy and its clients."""
        await self.server.stop()
        for client in self.clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)

    def drain(self, seconds: float) -> asyncio.Future[int]:
        """Begin to stop: as a drain waits for what ends, it looks by itself."""
        self.server.ticker.resolution = RESOLUTION
        self.tick()  # and again in so many seconds
        return asyncio.ensure_future(self.server.stop(seconds))

    async def ended(self) -> Timeline:
        """The account of the next exchange that ends."""
        async with asyncio.timeout(GUARD):
            return await self.exchanges.get()

    @property
    def connections(self) -> set[ClientConnection]:
        """The connections of clients by HTTP/1.1 that the proxy has."""
        return {
            each for each in self.server.clients if isinstance(each, ClientConnection)
        }

    @property
    def connection(self) -> ClientConnection:
        """The one that there is."""
        (connection,) = self.connections
        return connection

    @property
    def http2_connection(self) -> Http2Connection:
        """The one by HTTP/2 that there is."""
        (connection,) = self.server.clients
        assert isinstance(connection, Http2Connection)
        return connection

    async def connected(self, count: int) -> None:
        """Wait until the proxy has so many connections of clients."""
        await became(lambda: len(self.server.clients) == count)

    async def exchange(self) -> Exchange:
        """The exchange that is under way."""
        await became(lambda: bool(self.server.exchanges))
        (exchange,) = self.server.exchanges
        return exchange

    async def waiting_for(self, what: str) -> Exchange:
        """The exchange that is under way, once it waits for this."""
        exchange = await self.exchange()
        await became(lambda: exchange.waiting_for == what)
        return exchange

    async def upstream_connection(self) -> UpstreamConnection:
        """The connection of the exchange that is under way."""
        exchange = await self.exchange()
        call = cast("Forward", exchange.source).call
        assert call is not None
        assert call.connection is not None
        return call.connection

    def tick(self) -> None:
        """Look at all time limits now."""
        self.server.ticker.tick()

    @property
    def idle_connections(self) -> int:
        """Upstream connections that wait for their next request."""
        return sum(len(upstream.idle) for upstream in self.server.compiled.upstreams)


def tick_only_when_told(server: Server) -> None:
    """Where a clock stands until a test advances it, the test says when to look."""
    if hasattr(server.ticker.clock, "advance"):
        server.ticker.resolution = NEVER


@asynccontextmanager
async def serving(
    folder: Path,
    routes: Mapping[str, Table],
    tables: Mapping[str, Table],
    clock: Clock = monotonic,
) -> AsyncIterator[RunningProxy]:
    """A proxy that is stopped in any case: its ticker would keep the loop going."""
    running = await start_proxy(folder, routes, tables, clock)
    try:
        yield running
    finally:
        await running.stop()


async def start_proxy(
    folder: Path,
    routes: Mapping[str, Table],
    tables: Mapping[str, Table],
    clock: Clock = monotonic,
) -> RunningProxy:
    """Write a configuration, load it, serve it."""
    path = folder / "config.toml"
    path.write_text(document(routes, tables), encoding="utf-8")
    exchanges: list[RunningProxy] = []
    config = load(path, {}, {"server.port": 0})
    server = Server(
        config,
        observers=[lambda timeline: exchanges[0].exchanges.put_nowait(timeline)],
        clock=clock,
    )
    tick_only_when_told(server)
    proxy = RunningProxy(server)
    exchanges.append(proxy)
    await server.start()
    return proxy
