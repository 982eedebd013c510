"""What the process is told from outside: to end, and to read its files anew.

SIGTERM and SIGINT ask for the end, the second of them for an end at once.
SIGHUP asks for a reload, unless it tells that the terminal was closed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


class Signals:
    """Signals as events of the running loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.stops: asyncio.Queue[int] = asyncio.Queue()
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
        self.stops.put_nowait(number)

    async def stop(self) -> int:
        """Wait for the next signal that asks for the end; its number."""
        return await self.stops.get()

    def on_hangup(self, callback: Callable[[], None]) -> None:
        """Call back when a reload is asked for. Windows has no such signal."""
        number = getattr(signal, "SIGHUP", None)
        if number is None:
            return
        # The kernel sends SIGHUP too when a terminal is closed, and then the
        # program in it shall end. `nohup` says that it shall not.
        in_terminal = signal.getsignal(number) != signal.SIG_IGN and has_terminal()

        def hung_up(number: int) -> None:
            if in_terminal and not has_terminal():
                self.stopped(number)
            else:
                callback()

        self.listen(number, hung_up)


def has_terminal() -> bool:
    """Does this process belong to a terminal that is still open?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
