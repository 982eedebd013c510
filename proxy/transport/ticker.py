"""A coarse clock for everything that waits.

One timer for the whole process looks four times a second at what is waiting,
so that no request and no piece costs a timer of its own. A stream without
time limits is not even looked at. An item that raises is dropped, and ends by
itself what it stood for; the others are looked at all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from proxy.internal_errors import report
from proxy.timeline import Clock

RESOLUTION = 0.25  # seconds; how late a time-out may be noticed


class Waiting(Protocol):
    """Something with a time limit."""

    def check(self, now: float) -> None:
        """Act if a limit has passed; called at every tick until removed."""

    def crashed(self, place: str, error: Exception) -> None:
        """`check` raised: report it, and end what it concerns. No more checks come."""


class Ticker:
    """The set of what is waiting; ticks while it is not empty."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.resolution = RESOLUTION
        self.waiting: set[Waiting] = set()
        self.timer: asyncio.TimerHandle | None = None
        self.due = 0.0
        self.lagged: Callable[[float], None] | None = None  # told how late it was

    def add(self, item: Waiting) -> None:
        """Have `item` checked from now on."""
        self.waiting.add(item)
        if self.timer is None:
            self.schedule()

    def discard(self, item: Waiting) -> None:
        """Check `item` no longer."""
        self.waiting.discard(item)

    def schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(self.resolution, self.rang)
        self.due = self.clock() + self.resolution

    def rang(self) -> None:
        """Called by the timer."""
        try:
            if self.lagged is not None:
                self.lagged(max(0.0, self.clock() - self.due))
        except Exception as error:
            report("measuring event loop lag", error)
        try:
            self.tick()
        except Exception as error:  # of the timer itself; the next tick is due
            report("the timer", error)

    def tick(self) -> None:
        """Check all; called by tests with a clock of their own, too."""
        try:
            now = self.clock()
            for item in tuple(self.waiting):
                if item in self.waiting:  # not discarded by one before it
                    try:
                        item.check(now)
                    except Exception as error:
                        self.drop(item, error)
        finally:  # whatever happened: there is no other clock
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
            if self.waiting:
                self.schedule()

    def drop(self, item: Waiting, error: Exception) -> None:
        """An item raised: check it no longer."""
        self.waiting.discard(item)
        try:
            item.crashed("a time limit", error)
        except Exception as again:
            report("ending the subject of a time limit", again)

    def stop(self) -> None:
        """Forget all."""
        self.waiting.clear()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
