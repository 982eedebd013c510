"""The command `unbuffered replay`: its arguments, its exit codes.

0: stopped by Ctrl-C or SIGTERM. 1: it cannot listen. 2: wrong arguments, or a file
that is not a record.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from proxy.config.fault_options import Fault, parse_fault
from proxy.line_writer import line_writer
from proxy.origin.record_files import LoadedRecord, of_routes, read_records
from proxy.origin.replay_origin import ReplayOrigin
from proxy.quantities import counted, seconds
from proxy.record.format import ExchangeRecord, RecordFault
from proxy.server.listener import listening_fault
from proxy.standard_streams import let_go

OK, FAILED, USAGE = 0, 1, 2
PORT = 9000
MAX = "max"
MAX_PORT = 65535
LISTED = 20  # records
Run = Callable[[Coroutine[Any, Any, int]], int]
EXAMPLES = """\
examples:
  unbuffered replay events.jsonl
  unbuffered replay records/ --speed 10
  unbuffered replay records/ --route /api --any --speed max
  unbuffered replay events.jsonl --port 0 --json

exit status: 0 stopped, 1 cannot listen, 2 wrong arguments, or a file that is not a
record
"""


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    run: Run,
    say: Callable[[str], None],
) -> None:
    """Add the command to a command line; `say` tells a person something."""
    command = commands.add_parser(
        "replay",
        help="answer requests with recorded exchanges, at their recorded times",
        description="Run an upstream that answers each request with the record of "
        "the same\nrequest: the same pieces at the same times, the same framing and "
        "the same end.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    # fmt: off
    add("records", nargs="+", type=Path, metavar="FILE",
        help="a record, a HAR, or a folder with such files (*.jsonl, *.har)")
    add("--port", type=port, default=PORT, help=f"default {PORT}; 0: a free one")
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add("--speed", type=speed, default=1.0, metavar="NUMBER",
        help="2 is twice as fast as recorded, 0.5 half as fast; max waits for nothing "
             "(default 1)")
    add("--route", action="append", default=[], metavar="PREFIX",
        help="play only the records of this route; can be repeated")
    add("--any", action="store_true",
        help="answer whatever the request body is (default: the recorded one)")
    add("--in-step", action="store_true",
        help="of a WebSocket: a piece also waits for the messages of the client that "
             "were recorded before it")
    add("--fault", action="append", default=[], type=fault, metavar="SPEC",
        help="what the upstream does wrong, as in kind=fin,after=3,inside=true; can be "
             "repeated")
    add("--seed", type=int, default=0, metavar="NUMBER",
        help="which requests get a fault with a probability, and where one is cut that "
             "may be cut anywhere (default 0)")
    add("--json", action="store_true",
        help="print the address as one line of JSON on standard output")
    # fmt: on
    command.set_defaults(run=lambda options: run_replay(options, run, say))


def port(text: str) -> int:
    """A port number, 0 included.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if text.isascii() and text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"expected a number from 0 to {MAX_PORT}, got {text!r}"
    )


def speed(text: str) -> float | None:
    """A factor; None is no waiting.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if text == MAX:
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(
        f"expected a number greater than 0, or {MAX}, got {text!r}"
    )


def fault(text: str) -> Fault:
    """A fault.

    Raises:
        argparse.ArgumentTypeError: says what is wrong with it.
    """
    try:
        return parse_fault(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def run_replay(
    options: argparse.Namespace, run: Run, say: Callable[[str], None]
) -> int:
    """`unbuffered replay`"""
    try:

        def tell(text: str) -> None:
            say(f"unbuffered: {text}")

        named = {str(path) for path in options.records}

        def unplayable(name: str, reason: str) -> None:
            if name in named:
                raise RecordFault(f"{name}: {reason}")
            tell(f"left out: {name}: {reason}")

        files = of_routes(read_records(options.records, tell), options.route)
        # A line that waits for its reader would hold all streams.
        lines = line_writer(sys.stderr, "replay", "this log")

        def note(text: str) -> None:
            lines.write(f"{text}\n")

        origin = ReplayOrigin(
            [each.record for each in files],
            speed=options.speed,
            any_body=options.any,
            in_step=options.in_step,
            faults=options.fault,
            seed=options.seed,
            names=[each.name for each in files],
            tell=note,
            keep_requests=False,
            leave_out=unplayable,
        )
    except ValueError as fault:  # RecordFault is one, too
        for line in str(fault).splitlines():
            say(f"unbuffered: {line}")
        return USAGE
    return run(serve(origin, files, options, say))


async def serve(
    origin: ReplayOrigin,
    files: list[LoadedRecord],
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> int:
    """Play until Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    try:
        await origin.start(options.host, options.port)
    except OSError as fault:
        why = listening_fault(options.host, options.port, fault)
        say(f"unbuffered: cannot listen on {why}")
        return FAILED
    if origin.tell is not None:
        origin.tell(overview(origin, files))
    if options.json:
        show(json.dumps({"url": origin.url}))
    await stop.wait()
    await origin.stop()
    return OK


def show(text: str) -> None:
    """The line for who started it."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)


def overview(origin: ReplayOrigin, files: list[LoadedRecord]) -> str:
    """What is played, and where."""
    pace = "without waiting" if origin.speed is None else f"at speed {origin.speed:g}"
    lines = [
        f"replaying {counted(len(files), 'record')} on {origin.url} {pace}; "
        "Ctrl-C stops"
    ]
    lines += [f"FAULT: {each}" for each in origin.faults.faults]
    lines += [f"  {described(each.record)}" for each in files[:LISTED]]
    if len(files) > LISTED:
        lines.append(f"  and {len(files) - LISTED} more")
    return "\n".join(lines)


def described(record: ExchangeRecord) -> str:
    """What a record is, on one line."""
    pieces = record.response_pieces
    head, end = record.head, record.end
    status = str(head.status) if head is not None else "no response"
    how = "cut off" if end is None else end.end
    last = end or (record.items[-1] if record.items else None)
    span = seconds(last.at / 1_000_000) if last is not None else "0 s"
    request = record.request
    return (
        f"{request.method} {request.target}: {status}, "
        f"{counted(len(pieces), 'piece')} in {span}, {how}"
    )
