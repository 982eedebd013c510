"""When an event stream is old: `max_age_seconds` of a route.

A stream whose client reconnects lasts for hours, at the process at which it began; so
one that was added later gets none of it. Each stream is given an age of its own when it
begins, drawn evenly from the second half of `max_age_seconds`. What began in the same
second ends spread over half of that time, and a cohort that has to come back at once,
after a deploy, comes at no more than 1.5 times the rate of an even load. With the
usual tenth (gRPC's MAX_CONNECTION_AGE) it would be at five times that rate, time after
time.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import random
from typing import Protocol

from proxy.internal_errors import report
from proxy.transport.ticker import RESOLUTION, Ticker

YOUNGEST = 0.5  # the part of max_age_seconds that every stream has
MOST_STEPS = 2000  # in max_age_seconds: so many sets of streams are kept at most


class Ageing(Protocol):
    """A stream whose client reconnects."""

    def grown_old(self) -> None:
        """End it at its next boundary."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class StreamAges:
    """The streams of one route, by the time at which they are old.

    Nothing is looked at but what is due, however many there are.
    """

    __slots__ = ("count", "due", "seconds", "step", "steps", "ticker")

    def __init__(self, seconds: float, ticker: Ticker) -> None:
        self.seconds = seconds
        self.ticker = ticker
        self.step = max(RESOLUTION, seconds / MOST_STEPS)  # seconds
        self.due: dict[int, dict[Ageing, None]] = {}
        self.steps: list[int] = []  # those that have any, a heap
        self.count = 0

    def add(self, stream: Ageing) -> int:
        """A stream begins; when it will be old, in steps."""
        share = YOUNGEST + (1 - YOUNGEST) * random()
        old_at = int((self.ticker.clock() + self.seconds * share) / self.step)
        streams = self.due.get(old_at)
        if streams is None:
            streams = self.due[old_at] = {}
            heappush(self.steps, old_at)
        streams[stream] = None
        self.count += 1
        self.ticker.add(self)
        return old_at

    def discard(self, stream: Ageing, old_at: int) -> None:
        """A stream has ended by itself."""
        streams = self.due.get(old_at)
        if streams is not None and streams.pop(stream, stream) is None:
            self.forget(1)

    def forget(self, count: int) -> None:
        """So many are no longer here."""
        self.count -= count
        if not self.count:
            self.due.clear()
            self.steps.clear()
            self.ticker.discard(self)

    def check(self, now: float) -> None:
        """End those that are old; called by the ticker."""
        while self.steps and self.steps[0] * self.step <= now:
            streams = self.due.pop(heappop(self.steps))
            self.forget(len(streams))
            for stream in streams:
                try:
                    stream.grown_old()
                except Exception as error:
                    stream.crashed("ending an old stream", error)

    def crashed(self, place: str, error: Exception) -> None:
        """`check` raised. Streams stay as they are until the next one begins."""
        report(place, error)
