"""File descriptors: how many this process may have, and when they run short.

The kernel gives the lowest free number, so the number of a socket that was
just accepted tells how many are taken, whoever took them. The last ones are
kept for what is served already: its upstreams, a reload, a look-up.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from proxy.internal_errors import report
from proxy.transport.ticker import Ticker

if sys.platform != "win32":
    import fcntl
    import resource

log = logging.getLogger("unbuffered")

EXHAUSTED = (errno.EMFILE, errno.ENFILE)
QUIET_SECONDS = 5.0  # without a refusal, before it is called over
Context: TypeAlias = dict[str, Any]


def limit() -> int:
    """How many descriptors this process may have; 0: as many as it likes."""
    if sys.platform == "win32":
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """Take as many as the system grants: 1024, a common default, is 500 streams."""
    if sys.platform == "win32":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS has a bound of its own besides
        log.debug("the file descriptor limit stays at %d", limit())


class FdLimit:
    """Whether there are any left. Tells once that there are not, once that there are.

    Up to `low` clients are accepted; up to `lowest` they are at least told why
    not, which takes a descriptor for a while. Both 0: no limit.
    """

    __slots__ = ("last", "limit", "low", "lowest", "others", "refused", "ticker")

    def __init__(self, ticker: Ticker) -> None:
        self.ticker = ticker
        self.limit = self.low = self.lowest = 0
        self.refused = 0  # connections, since it was told that there are none
        self.last = 0.0
        self.others: Callable[[asyncio.AbstractEventLoop, Context], object] | None = (
            None
        )

    # -- listening to the loop

    def learn(self) -> None:
        """Learn the limit."""
        self.limit = limit()
        if self.limit:
            reserve = min(max(self.limit // 8, 16), 1024)
            self.low = max(self.limit - reserve, 1)
            self.lowest = max(self.limit - reserve // 2, 1)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of connections that could not be accepted, from a loop of our own."""
        self.others = loop.get_exception_handler()
        loop.set_exception_handler(self.handle)

    def leave(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen no more."""
        if loop.get_exception_handler() == self.handle:
            loop.set_exception_handler(self.others)

    def handle(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        """asyncio tells of every accept that fails, and tries again in 1 s."""
        fault = context.get("exception")
        if isinstance(fault, OSError) and fault.errno in EXHAUSTED:
            self.refuse()
        elif self.others is not None:
            self.others(loop, context)
        else:
            loop.default_exception_handler(context)

    # -- running short

    def refuse(self) -> None:
        """A connection was refused for want of descriptors."""
        self.last = self.ticker.clock()
        self.refused += 1
        if self.refused == 1:
            log.warning(
                "file descriptors are running out: the limit is %d (RLIMIT_NOFILE, "
                "ulimit -n); the last ones are kept for open connections, and new "
                "connections are refused",
                self.limit,
            )
            self.ticker.add(self)

    def check(self, now: float) -> None:
        """Tell when it is over: a new descriptor has a low number again."""
        if now - self.last < QUIET_SECONDS or self.next() >= self.low > 0:
            return
        self.ticker.discard(self)
        refused, self.refused = self.refused, 0
        log.info(
            "file descriptors are available again; %d %s refused in the meantime",
            refused,
            "connection was" if refused == 1 else "connections were",
        )

    def crashed(self, place: str, error: Exception) -> None:
        """It was not told that they are free; begin anew with the next refusal."""
        self.refused = 0
        report(place, error)

    @property
    def exhausted(self) -> bool:
        """Would the next client be refused, or was the last one?"""
        return self.refused > 0 or self.next() >= self.low > 0

    def short(self) -> bool:
        """Are those among the last ones taken that are kept for upstreams?

        While connections are refused the next number does not tell: each that is
        closed leaves a low one, and all those above may be taken. Then as many as are
        kept have to be found free.
        """
        if not self.lowest:
            return False
        if self.refused:
            return not self.has(self.limit - self.lowest)
        return self.next() > self.lowest

    def has(self, count: int) -> bool:
        """Are so many free? Takes two at a time, never all of them."""
        if sys.platform == "win32":
            return True
        try:
            first = number = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            return False
        try:
            for _ in range(count - 1):
                number = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, number + 1)
                os.close(number)
        except OSError:  # from there on all are taken
            return False
        finally:
            os.close(first)
        return True

    def next(self) -> int:
        """The number that the next descriptor would have."""
        try:
            number = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            return self.limit
        os.close(number)
        return number
