"""The command `unbuffered convert`: its arguments, its exit codes.

0: converted. 1: a file could not be written. 2: wrong arguments, or a file that is
neither a record nor a HAR. 3: converted without the entries that cannot be read.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.errors import in_words
from proxy.quantities import buffer_size, counted
from proxy.record.capture_reader import CaptureFile
from proxy.record.format import UNKNOWN, ExchangeRecord, RecordFault, encode_record
from proxy.record.har_writer import url_of, write_har
from proxy.record.record_of import SUFFIX, file_name
from proxy.standard_streams import let_go

OK, FAILED, USAGE, INCOMPLETE = 0, 1, 2, 3
HAR, RECORD = "har", "record"
IN_NAMES = re.compile(r"[^0-9T.]")  # what of a time is not in the name of a file
EXAMPLES = """\
examples:
  unbuffered convert capture.har --list
  unbuffered convert capture.har -o records
  unbuffered convert capture.har --url /chat/completions -o records
  unbuffered convert capture.har --entry 12 -o stream.jsonl
  unbuffered convert records/*.jsonl -o capture.har

exit status: 0 converted, 1 a file cannot be written, 2 wrong arguments, or a file that
is neither a record nor a HAR, 3 converted, but for entries that cannot be read
"""


class FoundExchange(NamedTuple):
    """An exchange, and where it is from."""

    place: str
    number: int
    record: ExchangeRecord


class ChosenExchanges(NamedTuple):
    """What is asked for, what to make of it, and how many cannot be read."""

    found: list[FoundExchange]
    to: str
    left: int


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    say: Callable[[str], None],
) -> None:
    """Add the command to a command line; `say` tells a person something."""
    command = commands.add_parser(
        "convert",
        help="convert a HAR to records, or records to a HAR",
        description="Convert what a browser has saved of its network (HAR) to records, "
        "one for\neach entry, or records to one HAR that browsers can import. What a "
        "HAR does not\nsay, the record says that it does not know.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    # fmt: off
    add("files", nargs="+", metavar="FILE",
        help="a HAR, or a record; -: standard input")
    add("-o", "--output", metavar="OUT",
        help=f"a HAR, one record ({SUFFIX}), or a folder for records (default: "
             "standard output, if it is one file)")
    add("--to", choices=[HAR, RECORD],
        help="what to make (default: records of a HAR, a HAR of records)")
    add("--url", metavar="TEXT", help="only exchanges whose address contains it")
    add("--entry", type=int, metavar="N", help="only this entry of the HAR, from 1 on")
    add("--list", action="store_true", help="list the exchanges, convert nothing")
    # fmt: on
    command.set_defaults(run=lambda options: run_convert(options, say))


def run_convert(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """`unbuffered convert`"""
    try:
        found, to, left = chosen(options, say)
        if options.list:
            status = shown("".join(map(listed, found)).encode())
        elif to == HAR:
            status = write(write_har([each.record for each in found]), options.output)
        else:
            status = write_records(found, options.output, say)
        if not left:
            return status
        read = counted(len(found), "exchange")
        entries = "1 entry" if left == 1 else f"{left} entries"
        say(f"unbuffered: {read} read, {entries} left out")
        return status or INCOMPLETE
    except RecordFault as fault:
        return fail(str(fault), USAGE)
    except OSError as fault:
        where = f"{fault.filename}" if fault.filename else "the output"
        return fail(f"cannot write {where}: {in_words(fault)}", FAILED)


def chosen(options: argparse.Namespace, say: Callable[[str], None]) -> ChosenExchanges:
    """The exchanges that are asked for, and what to make of them.

    Entries of a HAR that cannot be read are told, and left out.

    Raises:
        RecordFault: there are none, or a file is not valid.
    """
    if options.entry is not None and options.entry < 1:
        raise RecordFault("--entry: the first entry is 1")
    files = [opened(name) for name in options.files]
    kinds = {file.har is None for file in files}
    if len(kinds) == 2 and options.to is None and not options.list:
        raise RecordFault("there are HARs and records: --to says what to make of them")
    left: list[RecordFault] = []
    found = [
        each
        for file in files
        for each in captures(file, options.entry or 0, left)
        if options.url is None or options.url in url_of(each.record)
    ]
    if left and not found:
        raise RecordFault("\n".join(map(str, left)))
    for fault in left:
        say(f"unbuffered: left out: {fault}")
    if not found:
        asked = f" whose address contains {options.url!r}" if options.url else ""
        raise RecordFault(f"no exchange by HTTP{asked} in {', '.join(options.files)}")
    to = options.to or (HAR if True in kinds else RECORD)
    return ChosenExchanges(found, to, len(left))


def opened(name: str) -> CaptureFile:
    """A file, read.

    Raises:
        RecordFault: it cannot be read, or it is neither a record nor a HAR.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as fault:
        raise RecordFault(f"cannot read {name}: {in_words(fault)}") from fault
    return CaptureFile(data, "standard input" if name == "-" else name)


def captures(
    file: CaptureFile, entry: int, left: list[RecordFault]
) -> Iterator[FoundExchange]:
    """The exchanges of a file, or the one of that number."""
    for number, record in file.captures(entry, left.append):
        place = f"{file.name}, entry {number}" if number else file.name
        yield FoundExchange(place, number, record)


def listed(each: FoundExchange) -> str:
    """A line for one exchange."""
    record = each.record
    head = record.head
    size = sum(len(piece.data) for piece in record.response_pieces)
    pieces = counted(len(record.response_pieces), "piece")
    status = "no answer" if head is None else str(head.status)
    entry = f"{each.number:4}  " if each.number else ""
    url = url_of(record)
    line = f"{record.request.method} {url}  {status}, {pieces}, {buffer_size(size)}"
    # It comes from a peer; a terminal must not obey it.
    return entry + "".join(c if c.isprintable() else "\ufffd" for c in line) + "\n"


def write_records(
    found: Sequence[FoundExchange], output: str | None, say: Callable[[str], None]
) -> int:
    """Each into a file of its own, or one where it is wanted.

    Raises:
        RecordFault: there are several, and nothing says where to put them.
        OSError: one of them cannot be written; its file name says which.
    """
    single = output is None or output == "-" or output.endswith(SUFFIX)
    if single:
        if len(found) > 1:
            raise RecordFault(
                f"there are {len(found)} exchanges, each becomes a record of its own: "
                "choose one with --entry or --url (--list shows them), or name a "
                "folder with -o"
            )
        status = write(encode_record(found[0].record), output)
        return status if status else told(found[0], output, say)
    folder = Path(str(output))
    folder.mkdir(parents=True, exist_ok=True)
    for count, each in enumerate(found, 1):
        record = each.record
        when = IN_NAMES.sub("", record.began)
        asked = record.request
        number = str(each.number or count)
        name = file_name(when, asked.method, asked.target, number)
        create(folder / name, encode_record(record), os.O_EXCL)
        told(each, str(folder / name), say)
    return OK


def told(each: FoundExchange, output: str | None, say: Callable[[str], None]) -> int:
    """Say what was written, and what it does not know."""
    if output in (None, "-"):
        return OK
    say(f"{each.place}: {output}")
    for unknown in each.record.unknown:
        say(f"  not known: {UNKNOWN[unknown]}")
    return OK


def write(data: bytes, output: str | None) -> int:
    """One file, or standard output.

    Raises:
        OSError: it cannot be written.
    """
    if output is None or output == "-":
        return shown(data)
    create(Path(output), data, os.O_TRUNC)
    return OK


def shown(data: bytes) -> int:
    """On standard output."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:  # `unbuffered convert … | head`
        let_go(sys.stdout)
    return OK


def create(path: Path, data: bytes, how: int) -> None:
    """A file that only its owner can read: bodies are in it as they are."""
    flags = os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)


def fail(message: str, status: int) -> int:
    """One clear line on standard error."""
    sys.stderr.write(f"unbuffered: {message}\n")
    return status
