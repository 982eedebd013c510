"""How far the end of a server is, for clients that watch it; and who asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.drain_endpoint import DrainEndpoint, DrainState
from proxy.kept.registry import KeptStreams
from proxy.server.drain import Drain
from proxy.server.drain_delay import DrainDelay
from proxy.transport.client_host import ClientHost
from proxy.transport.ticker import Ticker

GONE_SECONDS = 1.0  # for the loop to tell of connections that were aborted


class EndingServer(Protocol):
    """What is drained."""

    clients: set[ClientHost]
    delay: DrainDelay | None
    last: Drain | None
    siblings: tuple[str, ...]  # Unix sockets of the other workers
    ticker: Ticker

    @property
    def kept(self) -> KeptStreams[KeptStream]:
        """The streams that are kept."""

    @property
    def under_way(self) -> int:
        """How many exchanges there are."""

    @property
    def drain_endpoint(self) -> DrainEndpoint:
        """Who watches."""


class DrainProgress:
    """See above. `on_asked` begins the end of all workers; None: nobody would."""

    def __init__(self, server: EndingServer) -> None:
        self.server = server
        self.on_asked: Callable[[], None] | None = None
        self.others_under_way = 0  # exchanges of other workers
        self.others_counted = not server.siblings  # are those of all of them?
        self.ends = 0.0  # when the drain is over at the latest

    @property
    def is_counted(self) -> bool:
        """Has the end begun, and is it known what the other workers have?"""
        server = self.server
        begun = server.last is not None or server.delay is not None
        return begun and self.others_counted

    def now(self) -> DrainState:
        """How far it is in all workers."""
        server = self.server
        under_way = self.left() + self.others_under_way
        if server.last is not None:
            left = max(self.ends - server.ticker.clock(), 0.0)
            return DrainState("draining", under_way, left)
        if server.delay is not None:
            return DrainState("delay", under_way, server.delay.left)
        return DrainState("serving", under_way, 0.0)

    def left(self) -> int:
        """How many exchanges this worker waits for.

        What is read on for other processes alone has none with a client.
        """
        server = self.server
        if server.kept.shared is None or server.last is None:
            return server.under_way
        alone = (
            not stream.audience.subscribers
            and stream.upstream.exchange is not None
            and stream.replication.is_written
            for stream in server.kept.streams.values()
        )
        return server.under_way + sum(alone)

    @property
    def is_watched(self) -> bool:
        """Does a client of this worker watch?"""
        return bool(self.server.drain_endpoint.watches)

    def told_of_others(self, exchanges: int, *, all: bool) -> None:
        """How many exchanges the other workers have. `all`: none of them is missing."""
        self.others_under_way, self.others_counted = exchanges, all
        self.changed()

    def changed(self) -> None:
        """The end has begun, or is counted."""
        self.server.drain_endpoint.check(self.server.ticker.clock())

    async def end(self, cut: int) -> None:
        """Tell who watches how it ended, once it has in all workers."""
        server = self.server
        if not self.is_watched:
            return
        server.drain_endpoint.end(cut)
        if server.last is not None:
            server.last.clients = server.clients
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GONE_SECONDS):
                    await server.last.gone()
        for client in tuple(server.clients):
            client.abort()
