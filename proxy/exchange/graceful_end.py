"""The end of a stream between two of its events, when the process ends.

A client that reconnects can be left there without loss; others can be told there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Ended(Protocol):
    """The exchange that ends."""

    @property
    def is_over(self) -> bool:
        """Has it ended meanwhile?"""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class Boundaries(Protocol):
    """Where the stream stands."""

    @property
    def reached(self) -> bool:
        """Is it between two events?"""

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back, in a turn of its own, once it is."""


class GracefulEnd:
    """Ends one stream, by `end`; made once that is due."""

    __slots__ = ("boundary", "end", "exchange")

    def __init__(
        self,
        exchange: Ended,
        boundary: Boundaries,
        end: Callable[[], None],
    ) -> None:
        self.exchange = exchange
        self.boundary = boundary
        self.end = end

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
                self.end()
            else:  # more came in the same turn
                self.begin()
        except Exception as error:
            exchange.crashed("ending a stream at an event boundary", error)
