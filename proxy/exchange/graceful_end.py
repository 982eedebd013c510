"""The end of an event stream between two of its events.

A client that reconnects can be left there without loss, when the process ends. A
failure of the upstream can be told there by an event of its own.
"""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ShuttingDown
from proxy.transport.boundary import BoundarySlot
from proxy.transport.pipeline import Pipeline


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
    """Knows where one event stream stands; made only where that counts."""

    __slots__ = ("exchange", "slot")

    def __init__(
        self, exchange: Ended, pipeline: Pipeline, *, at_beginning: bool
    ) -> None:
        self.exchange = exchange
        self.slot = BoundarySlot(at_beginning=at_beginning)
        pipeline.insert(self.slot)

    @property
    def between_events(self) -> bool:
        """Would an event that came now be taken for one?"""
        return self.slot.reached

    def begin(self) -> None:
        """End the stream at its next boundary."""
        self.slot.call_at_boundary(self.end_between_events)

    def end_between_events(self) -> None:
        """End the stream, if it is still between two events; called by the loop."""
        exchange = self.exchange
        try:
            if exchange.is_over:
                return
            if self.slot.reached:
                exchange.end_stream(
                    ShuttingDown(
                        "drain_seconds have passed: ended at an event boundary"
                    )
                )
            else:  # more came in the same turn
                self.begin()
        except Exception as error:
            exchange.crashed("ending a stream at an event boundary", error)
