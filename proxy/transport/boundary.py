"""A sink that watches where events end, on the few streams where that counts.

Stands between a relay and its client connection: on routes that tell of a
failure by an event, and on all event streams while the proxy drains. Other
streams do not pay for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.http1.grammar import Fields
from proxy.stream.event_stream import Boundary
from proxy.transport.connection import Connection, Feeder


class WatchedSink:
    """A connection, and where the event stream on its way to it stands."""

    __slots__ = ("at_boundary", "boundary", "connection")

    def __init__(self, connection: Connection, *, at_beginning: bool) -> None:
        self.connection = connection
        self.boundary = Boundary(at_beginning=at_beginning)
        self.at_boundary: Callable[[], None] | None = None

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back, in a turn of its own, once the stream is between two events."""
        if self.boundary.reached:
            asyncio.get_running_loop().call_soon(callback)
        else:
            self.at_boundary = callback

    # -- what a relay asks of its sink

    @property
    def blocked(self) -> bool:
        return self.connection.blocked

    @property
    def feeder(self) -> Feeder | None:
        return self.connection.feeder

    @feeder.setter
    def feeder(self, feeder: Feeder | None) -> None:
        self.connection.feeder = feeder

    def send_piece(self, piece: bytes) -> None:
        self.boundary.observe(piece)
        self.connection.send_piece(piece)
        callback = self.at_boundary
        if callback is not None:
            self.at_boundary = None
            self.call_at_boundary(callback)

    def send_end(self, trailers: Fields) -> None:
        self.connection.send_end(trailers)
