"""Calls at exact times on an event loop.

The timers of event loops count in milliseconds: a call comes up to 1 ms late, with
uvloop up to 0.5 ms early. For pieces that follow each other more closely than that it
makes all the difference whether they are two reads or one. So a call may be `exact`:
then the loop turns, without waiting, for the last moments before it is due. That takes
the time of a CPU, so it is for calls that stand close together only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from proxy.timeline import monotonic

# Two ticks: how much sooner the loop is asked to wake up for what is exact.
HEAD_START = 0.002


class TimerHandle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


class Timer(Protocol):
    """A clock in seconds, and calls at times of it."""

    def time(self) -> float: ...

    def call_at(
        self, when: float, callback: Callable[[], object], *, exact: bool
    ) -> TimerHandle: ...


class LoopTimer:
    """The time as the system has it, calls from the running loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def time(self) -> float:
        return monotonic()

    def call_at(
        self, when: float, callback: Callable[[], object], *, exact: bool
    ) -> TimerHandle:
        """Never called before it is due."""
        return LoopCall(self.loop, when, callback, HEAD_START if exact else 0.0)


class LoopCall:
    """One call."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        when: float,
        callback: Callable[[], object],
        head_start: float,
    ) -> None:
        self.loop = loop
        self.when = when
        self.callback = callback
        self.head_start = head_start
        self.handle: asyncio.Handle
        self.wait()

    def wait(self) -> None:
        """Until it is due, or nearly."""
        left = self.when - monotonic() - self.head_start
        if left > 0:
            self.handle = self.loop.call_later(left, self.wake)
        else:
            self.handle = self.loop.call_soon(self.wake)

    def wake(self) -> None:
        """Called by the loop."""
        if monotonic() >= self.when:
            self.callback()
        else:
            self.wait()

    def cancel(self) -> None:
        self.handle.cancel()
