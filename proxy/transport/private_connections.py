"""Upstream connections that belong to one client, and that no other may use.

They are kept for as long as their client is connected, however long that is:
what was agreed on them cannot be agreed on without the person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from proxy.transport.upstream_connection import Pool, UpstreamConnection

P = TypeVar("P", bound=Pool)


class PrivateConnections:
    """One client's, at most one to each target. Closes with the client."""

    __slots__ = ("closed", "idle")

    def __init__(self) -> None:
        self.idle: dict[Pool, UpstreamConnection] = {}
        self.closed = False

    def among(self, pools: Iterable[P]) -> P | None:
        """The target to which there is one: a handshake goes on where it began."""
        return next((each for each in pools if each in self.idle), None)

    def take(self, pool: Pool) -> UpstreamConnection | None:
        """The one to a target, if it is still of use."""
        connection = self.idle.pop(pool, None)
        return connection if connection is not None and connection.fresh() else None

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for its client's next request."""
        if self.closed:
            connection.abort()
        else:
            connection.wait()
            self.idle[connection.pool] = connection

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        if self.idle.get(connection.pool) is connection:
            del self.idle[connection.pool]

    def close(self) -> None:
        """The client is gone."""
        self.closed = True
        while self.idle:
            self.idle.popitem()[1].abort()
