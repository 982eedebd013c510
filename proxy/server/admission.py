"""Admission: which connections and which requests are served, and which are not.

Counts what is open against max_connections, max_exchanges and the limit on
file descriptors. A connection beyond max_connections is not refused before
its request is here: the client then reads the answer as one, and the limit
may have room again. By TLS it counts before there is a client, from the moment
it was accepted. To descriptors that would be no help: there the answer
comes at once, and beyond a bound none.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from weakref import WeakSet

from proxy.config.model import ServerOptions
from proxy.errors import Overloaded
from proxy.transport.client_host import ClientHost, HostedStream
from proxy.transport.fd_limit import FdLimit
from proxy.transport.ticker import Ticker

SURPLUS = 64  # connections beyond max_connections that may wait to be told


class Admission:
    """The door of one server. `clients` is who is inside, the newest included."""

    __slots__ = (
        "clients",
        "exchanges",
        "fd_limit",
        "handshakes",
        "limits",
        "surplus",
    )

    def __init__(
        self,
        limits: ServerOptions,
        clients: Collection[ClientHost],
        exchanges: Collection[object],
        ticker: Ticker,
    ) -> None:
        self.limits = limits
        self.clients = clients
        self.fd_limit = FdLimit(ticker)
        self.surplus: set[ClientHost] = set()
        self.handshakes: WeakSet[object] = WeakSet()  # of TLS, not complete yet
        self.exchanges = exchanges  # that are under way, the newest included

    def opened(self, client: ClientHost) -> None:
        """A connection was accepted: take it, refuse it, or put it to the test."""
        if not self.check_descriptor(client):
            return
        if 0 < self.limits.max_connections < len(self.clients):
            self.surplus.add(client)
            if len(self.surplus) > SURPLUS:
                client.abort()

    def check_descriptor(self, client: ClientHost) -> bool:
        """Is its descriptor one of those that clients may have? Else it is refused."""
        low = self.fd_limit.low
        if low and number_of(client) >= low:
            self.fd_limit.refuse()
            if number_of(client) >= self.fd_limit.lowest:
                client.abort()
            else:
                client.refuse(
                    Overloaded(
                        "the proxy is at its limit of "
                        f"{self.fd_limit.limit} file descriptors (ulimit -n)"
                    )
                )
            return False
        return True

    def admits_handshake(self) -> bool:
        """May a connection that was just accepted begin with TLS?

        Nothing can be answered before it is complete, so one that is too many is
        closed without a word.
        """
        most = self.limits.max_connections
        if most > 0 and len(self.clients) + len(self.handshakes) >= most + SURPLUS:
            return False
        if self.fd_limit.short():
            self.fd_limit.refuse()
            return False
        return True

    def closed(self, client: ClientHost) -> None:
        """A connection is gone."""
        self.surplus.discard(client)

    def begin(self, client: HostedStream) -> None:
        """A request is here.

        Raises:
            Overloaded: it is one too many.
        """
        if self.surplus and client.connection in self.surplus:
            most = self.limits.max_connections
            if 0 < most < len(self.clients):
                client.connection.drain()  # this is its last request
                raise Overloaded(
                    f"{most} connections are already open (max_connections)"
                )
            self.surplus.discard(client.connection)
        most = self.limits.max_exchanges
        if 0 < most < len(self.exchanges):
            raise Overloaded(
                f"{most} requests are already being served (max_exchanges)"
            )


def number_of(client: ClientHost) -> int:
    """The descriptor of a connection."""
    sock: socket.socket | None = client.transport.get_extra_info("socket")
    return -1 if sock is None else sock.fileno()
