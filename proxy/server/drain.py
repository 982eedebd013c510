"""The last seconds of a server: open exchanges end, or are ended.

Two classes. Event streams whose clients reconnect end early, each at the end of an
event, spread over the first half of `drain_seconds`: so the clients do not all come
back in one second. Everything else may end by itself for all of `drain_seconds`. Then
what can be told between two events has a moment to get there, and the rest is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from proxy.internal_errors import report
from proxy.transport.client_host import ClientHost
from proxy.transport.http2_stream import Http2Stream
from proxy.transport.ticker import Ticker

# How long an event stream may take to reach the end of its event, and a client
# to read the end of its response. Most streams are between two events already.
BOUNDARY_SECONDS = 0.5
# The part of drain_seconds over which clients that reconnect are sent away.
EARLY = 0.5


class Draining(Protocol):
    """An exchange, or an answer of our own, that is under way."""

    @property
    def client(self) -> object:
        """Whose it is."""

    def drain(self) -> None:
        """The proxy is about to shut down."""

    @property
    def comes_back(self) -> bool:
        """Does its client reconnect, so that the stream can end early?"""

    @property
    def is_finishing(self) -> bool:
        """Has its client left, and goes it on nevertheless?"""

    def end_early(self) -> None:
        """End at the next boundary, if the client comes back."""

    def shut_down(self) -> bool:
        """Its time is over; True if its client is left with half a response."""

    def cut(self) -> None:
        """It has to end at once."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: report it, tell the client, end."""


class Drain:
    """Waits, on the coarse clock, for all clients to be gone."""

    def __init__(
        self,
        clients: Collection[ClientHost],
        exchanges: Callable[[], Iterable[Draining]],
        ticker: Ticker,
    ) -> None:
        self.clients = clients
        self.exchanges = exchanges  # those that are under way
        self.ticker = ticker
        self.limit = 0.0
        self.broken: set[object] = set()  # clients that are left with half a response
        # Those that come back, when the drain began, and how many were sent away.
        self.early: list[Draining] = []
        self.sent_away = 0
        self.began = self.window = 0.0
        self.hastened = False
        self.over = asyncio.Event()

    async def run(self, seconds: float) -> int:
        """Have all exchanges end; how many clients are left with half a response."""
        for client in tuple(self.clients):
            try:
                client.drain()
            except Exception as error:
                client.crashed("starting a drain", error)
        for exchange in tuple(self.exchanges()):
            try:
                exchange.drain()
            except Exception as error:
                exchange.crashed("starting a drain", error)
        if seconds:
            self.begin_early(seconds * EARLY)
            await self.wait(seconds)
            self.shut_down()
            await self.wait(BOUNDARY_SECONDS)
        await self.cut()
        return len(self.broken)

    def begin_early(self, window: float) -> None:
        """End what comes back, evenly over the next `window` seconds."""
        self.began, self.window = self.ticker.clock(), window
        for exchange in tuple(self.exchanges()):
            try:
                if exchange.comes_back:
                    self.early.append(exchange)
            except Exception as error:
                exchange.crashed("starting a drain", error)
        self.end_early(self.began)

    def end_early(self, now: float) -> None:
        """End those whose time has come, the oldest first."""
        passed = (now - self.began) / self.window
        if passed < 1:
            due = int(passed * len(self.early)) + 1
            some = self.early[self.sent_away : due]
            self.sent_away = due
        else:  # and those that began meanwhile, or begin now
            some = list(self.exchanges())
        for exchange in some:
            try:
                exchange.end_early()
            except Exception as error:
                exchange.crashed("ending a stream early", error)

    def shut_down(self) -> None:
        """End what an EventSource reads at its next event, cut the rest."""
        self.window = 0.0
        for exchange in tuple(self.exchanges()):
            client = exchange.client
            try:
                if exchange.shut_down():
                    self.broken.add(client)
            except Exception as error:
                self.broken.add(client)
                exchange.crashed("ending a drain", error)

    async def cut(self) -> None:
        """Leave nothing."""
        for exchange in tuple(self.exchanges()):
            if not exchange.is_finishing:
                self.broken.add(exchange.client)
            try:
                exchange.cut()
            except Exception as error:
                exchange.crashed("ending a drain", error)
        await asyncio.sleep(0)  # uvloop writes at the end of a turn
        await asyncio.sleep(0)
        known = {host_of(each) for each in self.broken}
        for client in tuple(self.clients):
            if client.unsent_bytes > 0 and client not in known:
                self.broken.add(client)
            client.abort()

    # -- waiting

    async def wait(self, seconds: float) -> None:
        """Wait until all clients have their last response, or the time is over."""
        if not self.hastened and not self.all_answered():
            self.over.clear()
            self.limit = self.ticker.clock() + seconds
            self.ticker.add(self)
            try:
                await self.over.wait()
            finally:
                self.ticker.discard(self)

    async def gone(self) -> None:
        """Wait until all clients are gone."""
        while self.clients:
            self.over.clear()
            await self.over.wait()

    def hasten(self) -> None:
        """The time is over, whatever it was to be: cut what is left."""
        self.hastened = True
        self.over.set()

    def check(self, now: float) -> None:
        """Called by the clock."""
        if self.window:
            self.end_early(now)
        if now >= self.limit or self.all_answered():
            self.over.set()

    def all_answered(self) -> bool:
        """Has every client that is still there got its last response?

        And has every exchange ended whose client has left?
        """
        return all(client.has_last_response for client in self.clients) and not any(
            exchange.is_finishing for exchange in self.exchanges()
        )

    def crashed(self, place: str, error: Exception) -> None:
        """Nobody would say when the time is over: it is."""
        report(place, error)
        self.over.set()

    def client_gone(self) -> None:
        """A connection is closed."""
        if not self.clients and self.all_answered():
            self.over.set()


def host_of(client: object) -> object:
    """The connection of a client stream; by HTTP/1.1 that is the stream itself."""
    return client.connection if isinstance(client, Http2Stream) else client
