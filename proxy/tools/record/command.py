"""The command `unbuffered record`: ask once, and write down what comes.

0: the response ended as its framing says, or the person had enough. 1: it could not be
asked, or the file not be written. 3: the response broke off; the record has it so far.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy import __version__
from proxy.errors import in_words
from proxy.observe.redaction import masked_target
from proxy.quantities import counted, seconds, traffic
from proxy.record.format import (
    ExchangeRecord,
    RecordedItem,
    encode_first,
    encode_item,
)
from proxy.record.record_of import record_name, recorded_request, time_of_day
from proxy.record.record_writer import APPEND, OpenFile, RecordFile, RecordWriter
from proxy.timeline import Ending, monotonic, wall_clock
from proxy.tools.doctor.probe.connect import connect, unreachable
from proxy.tools.doctor.probe.curl import read_curl
from proxy.tools.doctor.probe.request import ANYTHING, Ask, AskError, check_url
from proxy.tools.record.recording_client import RecordingClient, request_head

OK, FAILED, CUT = 0, 1, 3
CONNECT_SECONDS = 10.0
STDOUT = Path("-")
EXAMPLES = """\
examples:
  unbuffered record http://localhost:8002/sse/events
  unbuffered record -o chat.jsonl -- curl 'https://…' -H '…' --data '…'
                                                 (Copy as cURL, pasted)

exit status: 0 recorded, 1 no response, or the file cannot be written,
3 the response was cut; the record has what came until then
"""
Run = Callable[[Coroutine[Any, Any, int]], int]
Say = Callable[[str], None]


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], run: Run, say: Say
) -> None:
    """Add the command to a command line; `say` tells a person something."""
    command = commands.add_parser(
        "record",
        help="ask for a stream once and record what comes, with its times",
        description="Ask for a stream once and write every piece that comes, with its "
        "time,\ninto a record (docs/records.md). Follows no redirect.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("url", nargs="?", metavar="URL", help="URL of the stream")
    command.add_argument("curl", nargs="*", help=argparse.SUPPRESS)
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the file, - for standard output (default: named by time and path)",
    )
    command.add_argument(
        "--max-time",
        type=duration,
        default=0.0,
        metavar="SECONDS",
        help="stop after this time (default: when the response ends)",
    )
    command.set_defaults(run=lambda options: run_record(options, run, say))


def duration(text: str) -> float:
    """Seconds.

    Raises:
        argparse.ArgumentTypeError: they are not, or are not greater than 0.
    """
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected seconds greater than 0, got {text!r}")


def run_record(options: argparse.Namespace, run: Run, say: Say) -> int:
    """`unbuffered record`"""
    words = [*([options.url] if options.url else []), *options.curl]
    try:
        ask = asked(words)
    except AskError as fault:
        say(f"unbuffered: {fault}")
        return FAILED
    return run(record_once(ask, options.output, options.max_time, say))


async def record_once(ask: Ask, output: Path | None, max_time: float, say: Say) -> int:
    """Ask once; returns the exit status."""
    return await OneRecording(ask, output, max_time, say).run()


def asked(words: list[str]) -> Ask:
    """The request that the arguments mean.

    Raises:
        AskError: what is wrong with them.
    """
    if not words:
        raise AskError("no stream given: use a URL, or -- curl …")
    if len(words) == 1 and not words[0].lstrip("$ ").startswith("curl"):
        ask = Ask(check_url(words[0]))
    else:
        ask = read_curl(words)
    for name, value in (
        ("Accept", ANYTHING),
        ("User-Agent", f"unbuffered-record/{__version__}"),
    ):
        if not ask.has(name.lower()):
            ask = ask.with_field(name, value)
    return replace(ask, http2=False)


class OneFileWriter(RecordWriter):
    """Writes one record; what goes wrong is told by its name. Called by the thread."""

    def __init__(self, name: str, open: OpenFile, say: Say) -> None:
        super().__init__(Path(), open=open, say=say)
        self.name = name

    def tell_slow(self) -> None:
        self.say(f"cannot write {self.name}: it takes the lines too slowly")

    def tell_failed(self, reason: str) -> None:
        self.say(f"cannot write {self.name}: {reason}")

    def tell_left(self, count: int) -> None:
        self.tell_slow()


class OneRecording:
    """One request, and the file of its record."""

    def __init__(
        self, ask: Ask, output: Path | None, max_time: float, say: Say
    ) -> None:
        self.ask = ask
        self.max_time = max_time
        self.say = say
        head = request_head(ask)
        began = wall_clock()
        self.path = output or Path(record_name(began, head))
        self.name = "standard output" if self.path == STDOUT else str(self.path)
        self.fault = ""  # why the file cannot be written
        self.writer = OneFileWriter(self.name, self.open, self.failed)
        self.file = RecordFile(self.path)
        scheme, host, port = ask.place
        request = recorded_request(head, scheme.encode())
        shown = f"[{host}]" if ":" in host else host
        self.first = ExchangeRecord(
            time_of_day(began),
            f"unbuffered {__version__}",
            "",
            masked_target(f"{scheme}://{shown}:{port}"),
            request,
            [],
            sent=request,
        )
        self.client = RecordingClient(ask, self.note, monotonic)

    def open(self, path: Path, new: bool) -> int:
        """Open the file to write in; what was in it is gone."""
        if path == STDOUT:
            return os.dup(1)
        begin = os.O_CREAT | os.O_TRUNC if new else 0
        return os.open(path, APPEND | begin, 0o600)

    def failed(self, reason: str) -> None:
        """The file cannot be written: the first reason is the one."""
        self.fault = self.fault or reason

    def prepare(self) -> str:
        """Why the file cannot be written, before anything is asked; else "".

        What is in it stays there: there is nothing yet to be written.
        """
        if self.path == STDOUT:
            return ""
        try:
            os.close(os.open(self.path, APPEND))
        except FileNotFoundError:
            return self.create()
        except OSError as fault:
            return in_words(fault)
        self.file.was_there = True
        return ""

    def create(self) -> str:
        """The same, of a file that is not there."""
        try:
            os.close(os.open(self.path, APPEND | os.O_CREAT, 0o600))
        except OSError as fault:
            return in_words(fault)
        return ""

    def leave_nothing(self) -> None:
        """Nothing was written: delete the file, if it is ours."""
        if self.path != STDOUT and not (self.file.was_there or self.file.exists):
            self.path.unlink(missing_ok=True)

    def note(self, item: RecordedItem) -> None:
        """Have an item written; the first one behind the request."""
        lines = [encode_item(item)]
        if not self.client.noted:
            lines.insert(0, encode_first(self.first))
        self.client.noted = True
        self.writer.put(self.file, lines)

    async def run(self) -> int:
        """Ask, wait, tell."""
        if fault := self.prepare():
            return self.fails(f"cannot write {self.name}: {fault}")
        try:
            return await self.ask_once()
        finally:
            self.leave_nothing()

    async def ask_once(self) -> int:
        """The same, once the file can be written."""
        if fault := await self.reach():
            return self.fails(fault)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signal.SIGINT, self.enough)
        if self.path != STDOUT:
            asked = self.first.request.target
            self.say(f"Recording {asked} in {self.path}  Ctrl-C ends.")
        if self.max_time:
            loop.call_later(self.max_time, self.enough)
        last = await self.client.over
        self.writer.close(self.file)
        self.writer.finish(CONNECT_SECONDS)
        if self.fault:
            return self.fails(self.fault)
        client = self.client
        status = "no response" if client.head is None else str(client.head.status)
        how = last.error or ("complete" if last.end == "complete" else "stopped")
        self.say(
            f"{status}, {counted(client.pieces, 'piece')}, {traffic(client.size)} in "
            f"{seconds(last.at / 1_000_000)}: {how}"
        )
        if client.head is None:
            return FAILED
        return CUT if last.error else OK

    def fails(self, reason: str) -> int:
        """Say why there is no record."""
        self.say(f"unbuffered: {reason}")
        return FAILED

    async def reach(self) -> str:
        """Connect; why that failed, "" if it did not."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connect(self.ask, self.client)
        except (OSError, TimeoutError) as fault:
            return unreachable(self.ask, fault, CONNECT_SECONDS)
        return ""

    def enough(self) -> None:
        """The person, or the time, wants no more."""
        self.client.end("open", Ending.CLIENT_LEFT)
