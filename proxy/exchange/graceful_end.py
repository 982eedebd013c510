"""The end of an event stream between two of its events.

A client that reconnects can be left there without loss, when the process ends.
"""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ShuttingDown
from proxy.transport.boundary import BoundarySlot


class Ended(Protocol):
    """The exchange that ends."""

    @property
    def is_over(self) -> bool:
        """Has it ended meanwhile?"""

    def end_stream(self, error: ShuttingDown) -> None:
        """End the response as if it were complete."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class GracefulEnd:
    """Ends one event stream; made once that is due."""

    __slots__ = ("boundary", "exchange")

    def __init__(self, exchange: Ended, boundary: BoundarySlot) -> None:
        self.exchange = exchange
        self.boundary = boundary

    def begin(self) -> None:
        """End the stream at its next boundary."""
        self.boundary.call_at_boundary(self.end_between_events)

    def end_between_events(self) -> None:
        """End the stream, if it is still between two events; called by the loop."""
        exchange = self.exchange
        try:
            if exchange.is_over:
                return
            if self.boundary.reached:
                exchange.end_stream(
                    ShuttingDown(
                        "drain_seconds have passed: ended at an event boundary"
                    )
                )
            else:  # more came in the same turn
                self.begin()
        except Exception as error:
            exchange.crashed("ending a stream at an event boundary", error)
