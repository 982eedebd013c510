"""The time before a drain, in which load balancers notice that this proxy goes away.

It is not ready any more (`/_unbuffered/ready`), and serves as before: a balancer that
has not looked yet sends connections and requests here, and closing on it would only
have it connect here again. In the second half it has looked, but a client behind a
balancer of connections (a Service of Kubernetes) still uses the one that it has. So
from there on a response by HTTP/1.1 is the last on its connection: the next request
goes elsewhere, and does not meet the close of an idle connection when the drain begins.
HTTP/2 needs no such thing: its GOAWAY says which requests are served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from proxy.internal_errors import report
from proxy.transport.client_host import ClientHost
from proxy.transport.ticker import Ticker

# The part of drain_delay_seconds after which responses are the last on a connection.
NOTICED = 0.5


class DrainDelay:
    """Passes on the coarse clock. `over` is set at its end."""

    def __init__(
        self, clients: Collection[ClientHost], ticker: Ticker, seconds: float
    ) -> None:
        self.clients = clients
        self.ticker = ticker
        now = ticker.clock()
        self.noticed = now + seconds * NOTICED
        self.limit = now + seconds
        self.winds_down = False  # is a response the last one on its connection?
        self.over = asyncio.Event()
        ticker.add(self)

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return max(self.limit - self.ticker.clock(), 0.0)

    def check(self, now: float) -> None:
        """Called by the clock."""
        if now >= self.noticed and not self.winds_down:
            self.winds_down = True
            for client in tuple(self.clients):
                client.wind_down()
        if now >= self.limit:
            self.end()

    def crashed(self, place: str, error: Exception) -> None:
        """Nobody would say when the time is over: it is."""
        report(place, error)
        self.end()

    def end(self) -> None:
        """It is over, or cut short."""
        self.ticker.discard(self)
        self.over.set()
