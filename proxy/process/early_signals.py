"""Signals from before the process can act on them: while it reads and imports.

What they do by default would be wrong then: SIGHUP kills a process that was started a
moment ago, and SIGTERM makes a failure of an end in order; for process 1 of a container
the kernel drops both. The handlers are functions of Python, since what a parent ignores
its children would ignore too.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from proxy.process.closed_terminal import terminal_watch


class EarlySignals:
    """A reload that was asked for too early is done once the process serves."""

    def __init__(self) -> None:
        self.reload_asked = False
        self.lost_terminal = terminal_watch()

    @contextlib.contextmanager
    def listening(self, *, reloads: bool) -> Iterator[None]:
        """Until then, or until others listen: they may replace the handlers.

        `reloads`: there is something to read again.

        Raises:
            KeyboardInterrupt: at a signal that asks for the end, as at Ctrl-C.
        """
        before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
        if reloads and hasattr(signal, "SIGHUP"):  # Windows has none
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.hung_up)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def hung_up(self, number: int, frame: FrameType | None) -> None:
        """SIGHUP has come."""
        if self.lost_terminal():
            interrupt(number, frame)
        self.reload_asked = True


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """End what is under way."""
    raise KeyboardInterrupt
