"""Standard output and standard error, closed or not, in whatever encoding they have.

A terminal or a pipe in GBK, cp437 or ASCII has no `µ` and no `→`. What it has not is
written by its number (`\\xb5`), in all commands: no output raises for its encoding.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TextIO

STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by descriptor


def open_closed() -> None:
    """Have the three standard streams, also where they are closed (`serve >&-`).

    One that is closed leads to where nothing is from now on. Otherwise the next
    socket would get its number, and what is printed would go out on it. So this
    comes before there is an event loop.
    """
    for number, (name, mode) in enumerate(STANDARD):
        if is_closed(number):
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  # for good
            setattr(sys, name, stream)


def is_closed(number: int) -> bool:
    """Is there no open file with this descriptor?"""
    try:
        os.fstat(number)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def never_raise(*streams: TextIO | None) -> None:
    """Have streams write what they can; those that are none of ours are left alone."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def let_go(stream: TextIO) -> None:
    """Write no more to a stream that failed: at its end Python would try once more."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
