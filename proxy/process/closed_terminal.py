"""The terminal that a process belongs to, and whether it is still open."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def terminal_watch() -> Callable[[], bool]:
    """What tells, at a SIGHUP, whether it came of a terminal that was closed.

    The kernel sends one then too, and the program in the terminal shall end. `nohup`
    says that it shall not: so this is asked before anyone handles the signal.
    """
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    ignored = number is None or signal.getsignal(number) == signal.SIG_IGN
    in_terminal = not ignored and has_terminal()
    return lambda: in_terminal and not has_terminal()


def has_terminal() -> bool:
    """Does this process belong to a terminal that is still open?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
