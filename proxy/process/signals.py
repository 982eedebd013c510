"""What a process is told from outside: to end, and to read its files anew.

SIGTERM and SIGINT ask for the end, the second of them for an end at once.
SIGHUP asks for a reload, unless it tells that the terminal was closed.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence

from proxy.process.early_signals import EarlySignals


class Signals:
    """Signals as events of the running loop."""

    def __init__(self, early: EarlySignals | None = None) -> None:
        self.early = early or EarlySignals()
        self.loop = asyncio.get_running_loop()
        self.stops: asyncio.Queue[int] = asyncio.Queue()
        self.begun = False  # has the end been asked for?
        self.awaited = False  # and not by a signal yet?
        for number in (signal.SIGINT, signal.SIGTERM):
            self.listen(number, self.stopped)

    def listen(self, number: int, callback: Callable[[int], None]) -> None:
        """Have a signal call back, in the loop."""
        try:
            self.loop.add_signal_handler(number, callback, number)
        except NotImplementedError:  # Windows
            signal.signal(
                number,
                lambda number, _: (
                    self.loop.call_soon_threadsafe(callback, number) and None
                ),
            )

    def stopped(self, number: int) -> None:
        """The process shall end."""
        self.begun = True
        if self.awaited:
            self.awaited = False
        else:
            self.stops.put_nowait(number)

    def drain_asked(self) -> None:
        """A client has it drained. The signal that follows as a rule is no second one.

        Kubernetes sends it after `preStop`, systemd after `ExecStop`.
        """
        if not self.begun:
            self.begun = self.awaited = True
            self.stops.put_nowait(0)

    async def stop(self) -> int:
        """Wait for the next signal that asks for the end; its number."""
        return await self.stops.get()

    def on_hangup(self, callback: Callable[[], None]) -> None:
        """Call back when a reload is asked for, also where that was before.

        Windows has no such signal.
        """
        number = getattr(signal, "SIGHUP", None)
        if number is None:
            return

        def hung_up(number: int) -> None:
            if self.early.lost_terminal():
                self.stopped(number)
            else:
                callback()

        self.listen(number, hung_up)
        if self.early.reload_asked:
            callback()


class SignalSocket:
    """Signals for a process without an event loop: bytes of a socket to wait for."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.reading, self.writing = socket.socketpair()
        self.reading.setblocking(False)
        self.writing.setblocking(False)
        signal.set_wakeup_fd(self.writing.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda number, frame: None)

    def fileno(self) -> int:
        """For what waits until there is something to `receive`."""
        return self.reading.fileno()

    def receive(self) -> list[int]:
        """The numbers of the signals since the last look, in order."""
        try:
            return list(self.reading.recv(4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Listen no more."""
        signal.set_wakeup_fd(-1)
        self.reading.close()
        self.writing.close()
