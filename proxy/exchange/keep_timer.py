"""How long a kept stream stays when nobody reads it, or when it has ended."""

from __future__ import annotations

from collections.abc import Callable

from proxy.internal_errors import report
from proxy.transport.ticker import Ticker


class KeepTimer:
    """Calls back after `seconds` on the coarse clock, unless it is stopped."""

    __slots__ = ("began", "callback", "seconds", "ticker")

    def __init__(self, ticker: Ticker) -> None:
        self.ticker = ticker
        self.seconds = 0.0
        self.began = 0.0
        self.callback: Callable[[], None] | None = None

    def start(self, callback: Callable[[], None]) -> None:
        """From now on."""
        self.callback = callback
        self.began = self.ticker.clock()
        self.ticker.add(self)

    def stop(self) -> None:
        """Call nobody back."""
        self.callback = None
        self.ticker.discard(self)

    def check(self, now: float) -> None:
        """Called by the ticker."""
        callback = self.callback
        if callback is not None and now - self.began >= self.seconds:
            self.stop()
            callback()

    def crashed(self, place: str, error: Exception) -> None:
        """What was called back raised."""
        self.stop()
        report(place, error)
