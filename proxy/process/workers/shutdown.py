"""The end of all workers: they drain at once, and the worst of them is told.

As with one process, a second signal skips the delay before the drain, or ends
everything at once. A worker that lives longer than a drain may take is killed:
something else waits for the port.
"""

from __future__ import annotations

import logging
import os

from proxy.process.console import CUT, FAILED, OK, print_error
from proxy.process.process import say_delayed, say_draining, say_ended
from proxy.process.workers.channel import AllEnded, Cut, Leave, OthersUnderWay, Stop
from proxy.process.workers.worker_process import WorkerProcess
from proxy.process.workers.worker_reload import Workers
from proxy.server.drain import BOUNDARY_SECONDS
from proxy.server.drain_progress import GONE_SECONDS
from proxy.timeline import monotonic

log = logging.getLogger("unbuffered")

HUNG_SECONDS = 2.0  # beyond what a drain may take


class Shutdown:
    """Whether the end has begun, and how far it is."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.signals: list[int] = []  # that asked for the end
        self.asked = False  # by a client, before any signal
        self.failure = ""  # of the first workers to start
        self.delay_until: float | None = None  # when the drain begins
        self.hurried_by: int | None = None  # the signal that cut it short
        self.limit = 0.0  # when what still lives is killed
        self.drained: dict[int, int] = {}  # exchanges that it began with, by worker
        self.under_way: dict[int, int] = {}  # those that there are
        self.watched: set[WorkerProcess] = set()  # by clients of theirs
        self.told = False
        self.ended: set[WorkerProcess] = set()  # that are drained
        self.cut = 0  # clients that were left with half a response
        self.broken = False  # has a worker ended that did not tell of its clients?

    @property
    def begun(self) -> bool:
        """Is no worker to be replaced any more?"""
        return bool(self.signals or self.asked or self.failure)

    @property
    def due(self) -> float:
        """When something has to happen without being told."""
        return self.limit if self.delay_until is None else self.delay_until

    # -- what begins it

    def stop(self, number: int) -> None:
        """A signal: begin the end, or the next stage of it.

        The first one after a client has asked for the drain is none of haste.
        """
        begun, awaited = self.begun, self.asked and not self.signals
        self.signals.append(number)
        if not begun:
            self.begin()
        elif self.delay_until is not None and not awaited:
            self.drain()
        elif not awaited:
            self.hurried_by = number
            self.hurry()

    def ask(self, child: WorkerProcess) -> None:
        """A client of this worker asks for the drain, and watches it."""
        self.watched.add(child)
        if not self.begun:
            self.asked = True
            self.begin()
        self.tell_watched()

    def begin(self) -> None:
        """Have all leave; drain when they were not ready for a while."""
        seconds = self.workers.config.server.drain_delay_seconds
        if not seconds:
            self.drain()
            return
        self.delay_until = monotonic() + seconds
        for child in self.workers.living:
            child.tell(Leave(seconds))
        say_delayed(seconds)

    def drain(self) -> None:
        """Have all drain, in this moment."""
        self.delay_until = None
        self.workers.port.close()
        self.workers.further.close()
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
            self.workers.further.close()
            self.hurry()

    def hurry(self) -> None:
        """Have all end at once."""
        self.give_up_after(GONE_SECONDS)
        for child in self.workers.living:
            child.tell(Cut())

    # -- how far it is

    def draining(self, child: WorkerProcess, exchanges: int) -> None:
        """A worker tells what it waits for."""
        self.drained[child.number] = exchanges
        self.tell()

    def tell(self) -> None:
        """Say what is waited for, once all have said it."""
        missing = {child.number for child in self.workers.living} - {*self.drained}
        draining = self.begun and self.delay_until is None and self.hurried_by is None
        if draining and not missing and not self.told and not self.failure:
            self.told = True
            total = sum(self.drained.values())
            say_draining(total, self.workers.config.server.drain_seconds)

    def runs(self, child: WorkerProcess, exchanges: int) -> None:
        """A worker tells how many exchanges it has."""
        self.under_way[child.number] = exchanges
        self.tell_watched()

    def tell_watched(self) -> None:
        """Tell workers whose clients watch what the others have."""
        total = sum(self.under_way.values())
        silent = {*self.workers.living} - self.ended
        silent = {each for each in silent if each.number not in self.under_way}
        for child in self.watched:
            others = total - self.under_way.get(child.number, 0)
            child.tell(OthersUnderWay(others, all=silent <= {child}))

    def end(self, child: WorkerProcess, cut: int) -> None:
        """A worker is drained; `cut` of its clients were left with half a response."""
        self.cut += cut
        self.gone(child)

    def gone(self, child: WorkerProcess) -> None:
        """A worker is drained, or has died; those that watch wait for the last one."""
        self.ended.add(child)
        self.under_way.pop(child.number, None)
        self.tell_watched()
        if self.ended.issuperset(self.workers.living):
            for each in self.watched:
                each.tell(AllEnded(self.cut))

    def buried(self, child: WorkerProcess, status: int, words: str) -> None:
        """A worker has ended. One that broke down took its exchanges along.

        Its share of new connections is for the others.
        """
        if self.delay_until is not None:
            self.workers.port.give_up(child.number)
            self.workers.further.give_up(child.number)
        if os.waitstatus_to_exitcode(status) not in (OK, CUT) and not self.failure:
            self.broken = True
            log.error("%s", words)
        self.tell()
        self.gone(child)

    def give_up_after(self, seconds: float) -> None:
        """Kill workers that have not ended some time after that."""
        self.limit = monotonic() + seconds + HUNG_SECONDS

    def check(self, now: float) -> None:
        """Begin the drain when it is time; kill what should not live any more."""
        if now < self.due:
            return
        if self.delay_until is not None:
            self.drain()
        else:
            self.give_up_after(0)
            for child in self.workers.living:
                log.error("worker %d does not exit and is killed", child.number)
                child.kill()

    def status(self) -> int:
        """It is over: tell how, and return the exit code."""
        if self.failure:
            print_error(self.failure)
            return FAILED
        status = say_ended(self.cut, self.hurried_by)
        return CUT if self.broken and self.hurried_by is None else status
