"""A worker as its supervisor sees it: forked, told what to do, buried, replaced.

A fork without exec: the supervisor runs no event loop and no thread, so there
is nothing that a fork could tear apart. Workers share its memory for all that
is code, start within a few hundredths of a second, and are of the same version
even when the files of the package have been replaced meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence

from proxy.line_writer import settle
from proxy.process.console import FAILED, finish_output, run, set_up_logging
from proxy.process.workers.channel import Channel, Message, channels
from proxy.process.workers.worker import Assignment, Worker
from proxy.timeline import monotonic

log = logging.getLogger("unbuffered")

STABLE_SECONDS = 10.0  # a worker that lives for so long is in no loop of crashes
FIRST_DELAY_SECONDS = 0.25
MAX_DELAY_SECONDS = 5.0  # its queue waits so long: other workers cannot take it over
SETTLE_SECONDS = 0.1  # for what was logged to be written, before a fork
TOLD_DEATHS = 6  # in a row, one line each; then one in
TOLD_EVERY = 12  # which at the longest delay is one a minute

ORDERED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
Assign = Callable[[int, Channel], Assignment]
Forget = Callable[[int], None]


class WorkerProcess:
    """The place of one worker: its number, and the process that is there now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0  # 0: there is none
        self.channel: Channel | None = None
        self.serving = False
        self.born = 0.0
        self.starts = 0  # of all that were there
        self.deaths = 0  # in a row
        self.due = 0.0  # when the next one is to be started

    # -- its life

    def start(self, assign: Assign, forget: Forget) -> None:
        """Fork. In the worker `forget` closes what is the supervisor's.

        Raises:
            OSError: the system allows no more processes, or no more memory.
        """
        self.born = monotonic()
        mine, its = channels()
        try:
            self.pid = fork()
        except OSError:
            mine.close()
            its.close()
            raise
        if self.pid == 0:

            def begin() -> Worker:
                mine.close()
                forget(self.number)
                return Worker(assign(self.number, its))

            live(self.number, begin)
        its.close()
        self.starts += 1
        self.channel = mine
        self.serving = False

    def tell(self, order: Message, sockets: Sequence[socket.socket] = ()) -> None:
        """Give an order. A worker that takes none any more is ended."""
        if self.channel is None:
            return
        try:
            self.channel.send(order, sockets)
        except TimeoutError:
            log.error(
                "worker %d does not respond to commands and is killed", self.number
            )
            self.kill()
        except OSError:  # it is about to be buried
            pass

    def hear(self) -> list[Message]:
        """What it has reported; nothing any more once it is gone."""
        if self.channel is None:
            return []
        try:
            return [message for message, _ in self.channel.receive()]
        except EOFError:
            self.channel.close()
            self.channel = None
            return []

    def kill(self) -> None:
        """End it without asking."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def buried(self, status: int) -> str:
        """It is dead; in words, of what. `due` says when the next may start."""
        words = f"worker {self.number} (process {self.pid}) {cause(status)}"
        self.pid = 0
        self.serving = False
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        return words

    def replace_later(self, now: float) -> float:
        """When the next one shall start: at once, unless they die one by one."""
        self.deaths = 0 if now - self.born >= STABLE_SECONDS else self.deaths
        delay = 0.0
        if self.deaths:
            delay = min(FIRST_DELAY_SECONDS * 2 ** (self.deaths - 1), MAX_DELAY_SECONDS)
        self.deaths += 1
        self.due = now + delay
        return delay

    @property
    def told(self) -> bool:
        """Is its last death one for the log?"""
        return self.deaths <= TOLD_DEATHS or self.deaths % TOLD_EVERY == 0


def fork() -> int:
    """Fork a process that is deaf to signals; 0 in there."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # what is not written yet would be written twice
    # There is no thread then, unless it waits for who does not read: in `os.write`,
    # without a lock.
    settle(SETTLE_SECONDS)
    with held_back(ORDERED):
        pid = os.fork()
        if pid == 0:
            for number in ORDERED:
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return pid


def live(number: int, begin: Callable[[], Worker]) -> None:
    """Be a worker, and never return: what called this is the supervisor's."""
    code = FAILED
    try:
        set_up_logging(number)
        worker = begin()  # before there is a loop, which would keep what is inherited
        code = run(worker.run())
    except BaseException:
        log.exception("a worker exits because of an internal error")
    finally:
        finish_output()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def cause(status: int) -> str:
    """How a process ended, from what `waitpid` says."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name}"
    return f"exited with status {code}"


@contextlib.contextmanager
def held_back(numbers: set[signal.Signals]) -> Iterator[None]:
    """Let signals wait: one between a fork and its setting would count twice."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
