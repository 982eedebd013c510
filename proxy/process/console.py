"""What every command needs of its process: exit codes, messages, an event loop.

Exit codes: 0, all ended as it should; 1, it could not run; 2, a wrong configuration
or wrong arguments; 3, exchanges were cut at the end; 128 and the signal's number, a
second signal cut it short. Imports nothing that a command may do without.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.line_writer import WRITERS, finish, line_writer, one_line
from proxy.timeline import local_time

OK, FAILED, USAGE, CUT = 0, 1, 2, 3
BY_SIGNAL = 128  # and its number, as a shell has it
FLUSH_SECONDS = 1.0  # at the end, for a log to be written


def event_loop() -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The fastest loop there is, and its name: uvloop except on Windows."""
    try:
        import uvloop
        from uvloop._version import __version__ as number
    except ImportError:
        return "asyncio", asyncio.new_event_loop
    return f"uvloop {number}", uvloop.new_event_loop


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on that loop and return its exit code."""
    _, factory = event_loop()
    runner = asyncio.Runner(loop_factory=factory)
    try:
        return runner.run(main)
    finally:
        # asyncio closes the pipe that signals are written to before it gives them
        # up, and Python prints a traceback for one in between.
        signal.set_wakeup_fd(-1)
        runner.close()


class OneLine(logging.Formatter):
    """Each message is one line, whatever a peer has written into it.

    Its time is written as in the access log.
    """

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return local_time(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message)
        return super().formatMessage(record)


def set_up_logging(who: str = "") -> None:
    """Events go to standard error, one line each; the access log to output.

    `who` tells of which process a line is, where there are several.
    """
    handler = logging.StreamHandler(line_writer(sys.stderr, "events", "this log"))
    handler.setFormatter(OneLine(f"%(asctime)s %(levelname)s {who}%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def print_error(message: str) -> None:
    """One clear line on standard error."""
    say(f"unbuffered: {message}")


def say(text: str) -> None:
    """Tell the person who started it; a terminal that is gone stops nothing."""
    writer = WRITERS.get("events")
    if writer is not None:
        writer.write(f"{text}\n")
        return
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def finish_output(seconds: float = FLUSH_SECONDS) -> None:
    """Have what was logged written; what nobody reads is waited for no longer."""
    finish(seconds)
