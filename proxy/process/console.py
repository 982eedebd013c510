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
from typing import TYPE_CHECKING, Any

from proxy.line_writer import WRITERS, LineWriter, finish, line_writer
from proxy.process.event_lines import JsonLines, TextLines

if TYPE_CHECKING:
    from proxy.config.model import LogFormat

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


def set_up_logging(worker: int | None = None, form: LogFormat | None = None) -> None:
    """Events go to standard error, one line each; the access log to output.

    `worker` tells of which process a line is, where there are several. `form`: without
    one it stays what it is.
    """
    lines = line_writer(sys.stderr, "events", "this log")
    if form is None:
        form = "json" if isinstance(event_lines(), JsonLines) else "text"
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines(worker) if form == "json" else TextLines(worker))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if isinstance(lines, LineWriter):
        lines.spoken = spoken


def event_lines() -> TextLines | None:
    """How events are written, if they are set up."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, TextLines):
            return handler.formatter
    return None


def write_events_as(form: LogFormat) -> None:
    """Write events in another form from now on, where this process has set them up."""
    known = event_lines()
    if known is not None:
        set_up_logging(known.worker, form)


def spoken(text: str, level: str = "INFO") -> str:
    """A line that is no event, as the log has it."""
    return (event_lines() or TextLines()).spoken(text, level)


def print_error(message: str) -> None:
    """One clear line on standard error."""
    say(message, "ERROR")


def say(text: str, level: str = "INFO") -> None:
    """Tell the person who started it; a terminal that is gone stops nothing.

    In a log of JSON it is an object, whose `lines` are those behind the first.
    """
    line = spoken(text, level)
    writer = WRITERS.get("events")
    if writer is not None:
        writer.write(f"{line}\n")
        return
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def finish_output(seconds: float = FLUSH_SECONDS) -> None:
    """Have what was logged written; what nobody reads is waited for no longer."""
    finish(seconds)
