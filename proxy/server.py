"""The process's listener: accepts clients, gives each request an exchange, drains.

Hands what ended to the observers. Knows the configuration and the loop;
nothing of the command line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType

from proxy.config.model import Config
from proxy.errors import ProxyError
from proxy.forward import Forward
from proxy.http1.head import RequestHead
from proxy.policy.failure import Failure, failure_response
from proxy.prepared import Prepared
from proxy.timeline import Clock, Ending, Timeline, http_date, monotonic
from proxy.transport.client import ClientConnection
from proxy.transport.deadlines import Deadlines

log = logging.getLogger("unbuffered")

Observer = Callable[[Timeline], None]


class Server:
    """A proxy for one configuration. Use as an asynchronous context manager."""

    def __init__(
        self,
        config: Config,
        *,
        observers: Sequence[Observer] = (),
        clock: Clock = monotonic,
    ) -> None:
        self.config = config
        self.observers = tuple(observers)
        self.deadlines = Deadlines(clock)
        self.prepared = Prepared(config, self.deadlines, self.ended)
        self.clients: set[ClientConnection] = set()
        self.listener: asyncio.Server | None = None
        self.emptied: asyncio.Event | None = None

    # -- listening

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not ours.
        """
        server = self.config.server
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(
            self.accept, server.host, server.port, backlog=4096
        )

    @property
    def port(self) -> int:
        """The port that is listened on; of use where 0 was configured."""
        assert self.listener is not None
        port: int = self.listener.sockets[0].getsockname()[1]
        return port

    async def stop(self, drain_seconds: float = 0.0) -> int:
        """Accept no more, give open exchanges time to end, abort the rest.

        Returns how many were aborted.
        """
        if self.listener is not None:
            self.listener.close()
        for client in tuple(self.clients):
            client.drain()
        if self.clients and drain_seconds:
            self.emptied = asyncio.Event()
            try:
                async with asyncio.timeout(drain_seconds):
                    await self.emptied.wait()
            except TimeoutError:
                pass
        aborted = len(self.clients)
        for client in tuple(self.clients):
            client.abort()
        self.prepared.close()
        self.deadlines.stop()
        await asyncio.sleep(0)  # connection_lost is called in the next turn
        return aborted

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # -- what client connections ask for

    def accept(self) -> ClientConnection:
        """The protocol of a new connection."""
        return ClientConnection(self, self.deadlines, self.config.server.max_head_bytes)

    def opened(self, client: ClientConnection) -> None:
        """A connection was accepted."""
        self.clients.add(client)

    def closed(self, client: ClientConnection) -> None:
        """A connection is gone."""
        self.clients.discard(client)
        if self.emptied is not None and not self.clients:
            self.emptied.set()

    def begin(self, client: ClientConnection, head: RequestHead) -> None:
        """Serve a request."""
        exchange = Forward(self.prepared, client, head)
        client.exchange = exchange
        try:
            exchange.start()
        except Exception:
            log.exception("internal error while a request was forwarded")
            exchange.fail(ProxyError("internal error; the proxy's log has more"))

    def reject(self, client: ClientConnection, error: ProxyError) -> None:
        """Answer bytes that are no request."""
        timeline = Timeline(self.deadlines.clock(), client.address)
        timeline.status = error.status
        failure = Failure(error=error, elapsed=0.0)
        client.send_head(
            failure_response(failure, None, False, http_date()), chunked=False
        )
        timeline.end(self.deadlines.clock(), Ending.REFUSED, error)
        self.ended(timeline)
        client.next()

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over: tell all observers."""
        for observer in self.observers:
            observer(timeline)
