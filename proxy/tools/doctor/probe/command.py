"""`unbuffered doctor` and `unbuffered origin`: arguments, progress, exit status."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from errno import EADDRINUSE
from typing import Any

from proxy.line_writer import line_writer
from proxy.products.product_table import NAMES
from proxy.system.port_holder import in_use, port_fault
from proxy.tools.doctor.probe.connect import reason
from proxy.tools.doctor.probe.curl import Command, read_curl
from proxy.tools.doctor.probe.origin import OriginServer, overview
from proxy.tools.doctor.probe.plan_runner import PlanRunner, ProbePlan, with_origin
from proxy.tools.doctor.probe.recorded import is_file, read_recording
from proxy.tools.doctor.probe.request import Ask, AskError, check_url
from proxy.tools.doctor.report.machine import render_json
from proxy.tools.doctor.report.text import report
from proxy.tools.doctor.result import NOT_MEASURED, Result, judge_one

Run = Callable[[Coroutine[Any, Any, int]], int]
FAILED = 1
MAX_TIME = 20.0
SILENCE = 4.0
EXAMPLES = """examples:
  unbuffered doctor http://localhost:8080/sse/events
  unbuffered doctor http://localhost:8080/chat --data '{"stream": true}' \\
      -H 'Content-Type: application/json'
  unbuffered doctor -- curl 'https://…' -H '…'       (Copy as cURL, pasted)
  unbuffered doctor capture.har --entry 3            (judges what was recorded)
  unbuffered doctor --via http://localhost:8080/sse/events \\
      --via http://localhost:8002/events             (browser side first)
  unbuffered doctor --through http://localhost:8080/sse/events --port 8002
  unbuffered doctor ws://localhost:8080/live --data '{"subscribe": "a"}'
exit status: 0 it streams, 1 it is held, cut or not upgraded, 2 it could not be
measured"""


def add_doctor(commands: Any, run: Run) -> None:
    """Add `doctor` to a command line."""
    doctor = commands.add_parser(
        "doctor",
        help="find out whether a stream is buffered, where, and how to fix it",
        description="Fetch a stream, time every arrival, and report whether it is "
        "buffered, what kind of hop does that, and what to change there.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = doctor.add_argument
    # fmt: off
    add("url", nargs="?", metavar="URL|FILE",
        help="URL of the stream; or a record, or a HAR, which is judged as it is")
    add("--entry", type=int, metavar="N",
        help="of a HAR with several streams: the entry to judge, from 1 on")
    add("curl", nargs="*", help=argparse.SUPPRESS)
    add("-X", "--request", metavar="METHOD", help="the method (default GET)")
    add("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="a request header field; can be repeated")
    add("-d", "--data", action="append", default=[], metavar="TEXT",
        help="a request body; makes it a POST. @FILE reads a file. With ws:// or "
             "wss://: a message to send; can be repeated")
    add("-k", "--insecure", action="store_true", help="accept any certificate")
    add("--via", action="append", default=[], metavar="URL",
        help="measure the same stream at each hop, browser side first")
    add("--in-turn", action="store_true",
        help="with --via: measure one hop after the other, not all at once")
    add("--through", metavar="URL",
        help="measure a chain with a test origin at its end (--port)")
    add("--port", type=int, default=0,
        help="with --through: the port at which your chain expects its back end")
    add("--host", default="127.0.0.1", help="with --through: listen address of the "
                                            "test origin")
    add("--silence", type=float, default=SILENCE, metavar="SECONDS",
        help=f"with --through: how long a stream is silent (default {SILENCE:g}); "
             "65 finds 60 s timeouts")
    add("--compare", choices=["auto", "all", "none"], default="auto",
        help="repeat the request in other forms: auto: for a GET that is held; all: "
             "also for a POST, and GET as POST")
    add("--max-time", type=float, default=MAX_TIME, metavar="SECONDS",
        help=f"stop measuring after this time (default {MAX_TIME:g})")
    add("--product", choices=sorted(NAMES), metavar="NAME",
        help=f"the product, if you know it: {', '.join(sorted(NAMES))}")
    add("--events", action="store_true", help="list every event with its time")
    add("--json", action="store_true", help="print the result as JSON")
    add("-q", "--quiet", action="store_true", help="show no progress")
    # fmt: on
    doctor.set_defaults(run=lambda options: run_doctor(options, run))


def add_origin(commands: Any, run: Run) -> None:
    """Add `origin` to a command line."""
    origin = commands.add_parser(
        "origin",
        help="run a test server: streams with known timing",
        description="Run a test server: streams of several types, sizes and speeds, "
        "in which each event carries its number and the time at which "
        "it was sent.",
        epilog=overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    origin.add_argument("--port", type=int, default=8002, help="default 8002")
    origin.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1")
    origin.set_defaults(run=lambda options: run_origin(options, run))


def run_doctor(options: argparse.Namespace, run: Run) -> int:
    """`unbuffered doctor`"""
    try:
        file = file_of(options)
        if file is not None:
            result = judge_one(
                [read_recording(file, options.entry or 0)], options.product or ""
            )
            return told(result, options)
        plan = plan_of(options)
    except (AskError, ValueError) as fault:
        return fail(str(fault), NOT_MEASURED)
    return run(examine(plan, options))


def file_of(options: argparse.Namespace) -> str | None:
    """The record, or the HAR, that is to be judged.

    Raises:
        AskError: there are options of a measurement, too.
    """
    words: list[str] = [*([options.url] if options.url else []), *options.curl]
    file = words[0] if len(words) == 1 and is_file(words[0]) else None
    if file is None:
        if options.entry is not None:
            raise AskError("--entry is for a HAR: name its file in place of the URL")
        return None
    if options.entry is not None and options.entry < 1:
        raise AskError("--entry: the first entry is 1")
    asked = (options.request, options.header, options.data, options.via,
             options.through)  # fmt: skip
    if any(asked):
        raise AskError(
            f"{file} is a file, which is judged as it is: -X, -H, -d, --via and "
            "--through are for measurements"
        )
    return file


def plan_of(options: argparse.Namespace) -> ProbePlan:
    """What the arguments ask for.

    Raises:
        AskError: what is wrong with them.
    """
    words = [*([options.url] if options.url else []), *options.curl]
    if words and "curl" in " ".join(words)[:12].replace(".exe", "").split():
        ask = read_curl(words)
    else:
        ask = asked(options, words)
    # Written so that nan is refused, too.
    if not (0 < options.max_time < math.inf and 0 <= options.silence < math.inf):
        raise AskError("--max-time and --silence must be seconds greater than 0")
    return ProbePlan(
        ask,
        hops=tuple(check_url(url) for url in options.via),
        compare=options.compare,
        max_time=options.max_time,
        product=options.product or "",
        in_turn=options.in_turn,
    )


def asked(options: argparse.Namespace, words: list[str]) -> Ask:
    """The request of the options -X, -H and -d."""
    if len(words) > 1:
        raise AskError(f"expected one URL, got a second one: {words[1]}")
    command = Command()
    command.url = check_url(url_of(options, words))
    command.insecure = options.insecure
    if options.request:
        command.method = options.request.upper()
    for field in options.header:
        command.header(field)
    for data in options.data:
        command.body("data", data)
    return command.ask()


def url_of(options: argparse.Namespace, words: list[str]) -> str:
    """The URL, wherever it was given."""
    given = [*words, *options.via[:1], *([options.through] if options.through else [])]
    if options.via and options.through:
        raise AskError("--via and --through cannot be combined")
    if options.via and (words or len(options.via) < 2):
        raise AskError("--via needs two or more URLs, and no other URL")
    if options.through and not options.port:
        raise AskError(
            "--through needs --port: the port at which your chain expects its back end"
        )
    if not given:
        raise AskError("no stream given: use a URL, --via, --through, or -- curl …")
    return str(given[0])


async def examine(plan: ProbePlan, options: argparse.Namespace) -> int:
    """Measure, judge, report."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGINT, stop.set)
    progress = ProgressLine(quiet=options.quiet)
    runner = PlanRunner(progress.say, stop)
    ticking = loop.create_task(runner.tick())
    try:
        if options.through:
            result = await with_origin(
                runner, plan, options.host, options.port, options.silence
            )
        elif plan.hops:
            result = await runner.hops(plan)
        else:
            result = await runner.one(plan)
    except AskError as fault:
        return fail(str(fault), NOT_MEASURED)
    except OSError as fault:
        where = f"{options.host}:{options.port}"
        why = f"cannot listen on {where}: {reason(fault)}"
        if fault.errno == EADDRINUSE:
            taken = in_use(options.host, options.port)
            why = f"cannot listen on {where}: {taken}; stop your back end first"
        return fail(why, NOT_MEASURED)
    finally:
        ticking.cancel()
        progress.clear()
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
    if stop.is_set():
        progress.note("stopped; this is what was measured until then")
    return told(result, options)


def told(result: Result, options: argparse.Namespace) -> int:
    """Report; the exit status."""
    try:
        show(result, options)
    except OSError as fault:  # a full disk
        return fail(f"cannot write the report: {reason(fault)}", NOT_MEASURED)
    return result.status


def show(result: Result, options: argparse.Namespace) -> None:
    """Write the report."""
    out = sys.stdout
    if options.json:
        text = render_json(result, events=options.events) + "\n"
    else:
        coding = (out.encoding or "ascii").lower().replace("-", "")
        text = report(
            result,
            min(shutil.get_terminal_size((88, 24)).columns, 110),
            colour=out.isatty() and not os.environ.get("NO_COLOR"),
            plain=not coding.startswith("utf"),
            events=options.events,
        )
    with contextlib.suppress(BrokenPipeError):  # `unbuffered doctor … | head`
        out.write(text)
        out.flush()


class ProgressLine:
    """One line on standard error while it runs; no more than that in a pipe."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty()
        self.written = 0

    def say(self, text: str) -> None:
        if self.quiet or not self.live:
            return
        self.clear()
        columns = shutil.get_terminal_size().columns
        hint = "  (Ctrl-C: verdict now)"
        line = f"{text}{hint if len(text + hint) < columns else ''}"[: columns - 1]
        self.written = len(line)
        self.write(line)

    def note(self, text: str) -> None:
        """A line that stays."""
        if not self.quiet:
            self.write(f"{text}\n")

    def clear(self) -> None:
        if self.written:
            self.write("\r" + " " * self.written + "\r")
            self.written = 0

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def run_origin(options: argparse.Namespace, run: Run) -> int:
    """`unbuffered origin`"""
    return run(serve_origin(options.host, options.port))


async def serve_origin(host: str, port: int) -> int:
    """Play until Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    # A line that waits for who reads it would hold all streams.
    lines = line_writer(sys.stderr, "origin", "this log")

    def note(text: str) -> None:
        lines.write(f"{text}\n")

    origin = OriginServer(tell=note)
    try:
        port = await origin.start(host, port)
    except OSError as fault:
        why = reason(fault)
        if fault.errno == EADDRINUSE:
            why = port_fault(host, port, "--port")
        return fail(f"cannot listen on {host}:{port}: {why}", FAILED)
    shown = f"[{host}]" if ":" in host else host
    note(f"Test origin on http://{shown}:{port}/  Ctrl-C stops.\n\n{overview()}")
    await stop.wait()
    await origin.stop()
    return 0


def fail(message: str, status: int) -> int:
    """One clear line on standard error."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"unbuffered: {message}\n")
    return status
