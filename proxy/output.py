"""Standard output and standard error, in whatever encoding they have.

A terminal or a pipe in GBK, cp437 or ASCII has no `µ` and no `→`. What it has not is
written by its number (`\\xb5`), in all commands: no output raises for its encoding.
"""

from __future__ import annotations

import contextlib
import os
from typing import TextIO


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
