"""The end of all workers: they drain at once, and the worst of them is told.

As with one process, a second signal ends everything at once. A worker that
lives longer than a drain may take is killed: something else waits for the port.
"""

from __future__ import annotations

import logging
import os

from proxy.process.console import CUT, FAILED, OK, print_error
from proxy.process.process import say_draining, say_ended
from proxy.process.workers.channel import Cut, Stop
from proxy.process.workers.worker_process import WorkerProcess
from proxy.process.workers.worker_reload import Workers
from proxy.server.drain import BOUNDARY_SECONDS
from proxy.server.server import GONE_SECONDS
from proxy.timeline import monotonic

log = logging.getLogger("unbuffered")

HUNG_SECONDS = 2.0  # beyond what a drain may take


class Shutdown:
    """Whether the end has begun, and how far it is."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.signals: list[int] = []  # that asked for the end
        self.failure = ""  # of the first workers to start
        self.limit = 0.0  # when what still lives is killed
        self.under_way: dict[int, int] = {}  # exchanges, by worker
        self.told = False
        self.cut = 0  # clients that were left with half a response
        self.broken = False  # has a worker ended that did not tell of its clients?

    @property
    def begun(self) -> bool:
        """Is no worker to be replaced any more?"""
        return bool(self.signals or self.failure)

    # -- what begins it

    def stop(self, number: int) -> None:
        """A signal: have all drain, or end at once if there was one before."""
        first = not self.begun
        self.signals.append(number)
        if not first:
            self.hurry()
            return
        self.workers.port.close()
        seconds = self.workers.config.server.drain_seconds
        self.give_up_after(seconds + BOUNDARY_SECONDS + GONE_SECONDS)
        for child in self.workers.living:
            child.tell(Stop())
        self.tell()

    def fail(self, reason: str) -> None:
        """The first workers cannot start: end the whole."""
        if not self.begun:
            self.failure = reason
            self.workers.port.close()
            self.hurry()

    def hurry(self) -> None:
        """Have all end at once."""
        self.give_up_after(GONE_SECONDS)
        for child in self.workers.living:
            child.tell(Cut())

    # -- how far it is

    def draining(self, child: WorkerProcess, exchanges: int) -> None:
        """A worker tells what it waits for."""
        self.under_way[child.number] = exchanges
        self.tell()

    def tell(self) -> None:
        """Say what is waited for, once all have said it."""
        missing = {child.number for child in self.workers.living} - {*self.under_way}
        if len(self.signals) == 1 and not missing and not self.told:
            self.told = True
            total = sum(self.under_way.values())
            say_draining(total, self.workers.config.server.drain_seconds)

    def buried(self, status: int, words: str) -> None:
        """A worker has ended. One that broke down took its exchanges along."""
        if os.waitstatus_to_exitcode(status) not in (OK, CUT) and not self.failure:
            self.broken = True
            log.error("%s", words)
        self.tell()

    def give_up_after(self, seconds: float) -> None:
        """Kill workers that have not ended some time after that."""
        self.limit = monotonic() + seconds + HUNG_SECONDS

    def check(self, now: float) -> None:
        """Kill what should not live any more."""
        if now >= self.limit:
            self.give_up_after(0)
            for child in self.workers.living:
                log.error("worker %d does not exit and is killed", child.number)
                child.kill()

    def status(self) -> int:
        """It is over: tell how, and return the exit code."""
        if self.failure:
            print_error(self.failure)
            return FAILED
        again = self.signals[-1] if len(self.signals) > 1 else None
        status = say_ended(self.cut, again)
        return CUT if self.broken and again is None else status
