"""`unbuffered import` and `unbuffered init`: arguments, files, exit codes.

0: written. 1: nothing was found, or it cannot be read here (no node). 2: wrong
arguments; among them a file that exists, which is not overwritten unasked.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import TypeAlias

from proxy.tools.importers.draft import ImportedFile, Unreadable
from proxy.tools.importers.evaluation import INSTALL
from proxy.tools.importers.references import Reference, hide_parameters, templates
from proxy.tools.importers.values import table
from proxy.tools.migrate.config_writer import OPENED, free_port, write
from proxy.tools.migrate.file_detection import KNOWN, TITLES, candidates, kind_of, parts
from proxy.tools.migrate.next_steps import steps
from proxy.tools.migrate.project_scan import survey
from proxy.tools.migrate.sources import read_file
from proxy.tools.migrate.template import initial
from proxy.tools.migrate.verification import settle

OK, NOTHING, USAGE = 0, 1, 2
CONFIG = "config.toml"
STDOUT = "-"

Say = Callable[[str], None]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class ImportRefused(Exception):
    """It was not done; `status` is the exit code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


IMPORT_EXAMPLES = """\
examples:
  unbuffered import vite.config.ts
  unbuffered import . -o -
  unbuffered import nginx.conf -o proxy.toml

exit status: 0 written, 1 nothing to import or the file cannot be read here,
2 wrong arguments or the output file exists
"""
INIT_EXAMPLES = """\
examples:
  unbuffered init
  unbuffered init ../shop -o -
"""


def add_import(commands: Commands, say: Say) -> None:
    """Add `import` to a command line; `say` tells a person something."""
    moving = commands.add_parser(
        "import",
        help="convert a dev server or nginx configuration to config.toml",
        description=fill(
            "Read the proxy settings of a dev server, or simple locations of "
            "nginx, and write an equivalent config.toml. Settings that cannot be "
            f"converted are listed in it as comments. Reads {KNOWN}.",
            78,
        ),
        epilog=IMPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    moving.add_argument("source", type=Path, metavar="FILE|DIR")
    add_output(moving, f"output file (default ./{CONFIG}; - prints to standard output)")
    moving.set_defaults(run=lambda options: run(import_, options, say))


def add_init(commands: Commands, say: Say) -> None:
    """Add `init` to a command line; `say` tells a person something."""
    begin = commands.add_parser(
        "init",
        help="create a config.toml for the project in this folder",
        description="Look at a project (its scripts, frameworks and back ends)\nand "
        "write an annotated config.toml, without asking questions.",
        epilog=INIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    begin.add_argument("source", type=Path, nargs="?", default=Path(), metavar="DIR")
    add_output(
        begin, f"output file (default DIR/{CONFIG}; - prints to standard output)"
    )
    begin.set_defaults(run=lambda options: run(init, options, say))


def add_output(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("-o", "--output", metavar="FILE", help=text)
    command.add_argument(
        "--force", action="store_true", help="overwrite the file if it exists"
    )


def run(
    command: Callable[[argparse.Namespace, Say], None],
    options: argparse.Namespace,
    say: Say,
) -> int:
    """Run one of the two; the exit code."""
    try:
        command(options, say)
    except Unreadable as fault:
        say(f"unbuffered: {fault}")
        return NOTHING
    except ImportRefused as fault:
        say(f"unbuffered: {fault}")
        return fault.status
    return OK


def import_(options: argparse.Namespace, say: Say) -> None:
    """`unbuffered import`"""
    source: Path = options.source
    if not source.exists():
        raise ImportRefused(f"{source}: no such file or folder", USAGE)
    output = options.output or CONFIG
    check_free(output, options.force)
    reading = read_folder(source, say) if source.is_dir() else read_one(source)
    for draft in reading.drafts:
        hide_parameters(draft)
        settle(draft)
    if not reading.active:
        tell(reading, STDOUT, say)
        raise ImportRefused(f"{reading.file}: nothing could be imported", NOTHING)
    deliver(write(reading, TITLES[reading.kind]), output, options.force)
    tell(reading, output, say)


def read_one(path: Path) -> ImportedFile:
    """The reading of a file that was named."""
    kind = kind_of(path)
    if not kind:
        raise ImportRefused(f"{path}: unknown file type; expected {KNOWN}", USAGE)
    reading = read_file(path, kind, str(path))
    if not reading.drafts and not reading.lost:
        if reading.missing:
            raise Unreadable(without_modules(reading))
        raise ImportRefused(
            f"{path}: it contains no proxy settings, nothing was written", NOTHING
        )
    return reading


def without_modules(reading: ImportedFile) -> str:
    """Why a file that may have a proxy block seems to have none."""
    return (
        f"{reading.file}: no proxy settings were found; these packages are missing: "
        f"{', '.join(reading.missing)}, not installed here{INSTALL}"
    )


def read_folder(folder: Path, say: Say) -> ImportedFile:
    """The reading of the first file of a folder that has something to carry over."""
    failures: list[str] = []
    others: list[str] = []
    found: ImportedFile | None = None
    for kind, path in candidates(folder):
        name = str(path.relative_to(folder))
        if found is not None:
            others.append(name)
            continue
        try:
            reading = read_file(path, kind, name)
        except Unreadable as fault:
            failures.append(str(fault))
            continue
        if reading.drafts or reading.lost:
            found = reading
        elif reading.missing:
            failures.append(without_modules(reading))
    if found is None:
        if failures:
            raise Unreadable("\nunbuffered: ".join(failures))
        places = ", ".join(f"unbuffered import {part}" for part in parts(folder))
        advice = f". They may be in one of its parts: {places}" if places else ""
        message = f"{folder}: no proxy settings found; looked for {KNOWN}{advice}"
        raise ImportRefused(message, NOTHING)
    for failure in failures:
        say(f"unbuffered: {failure}")
    if others:
        say(f"not read: {', '.join(others)}; name one to import it instead")
    return found


def tell(reading: ImportedFile, output: str, say: Say) -> None:
    """Tell what was written, what was not, and what to do next."""
    routes = ", ".join(draft.prefix for draft in reading.active) or "no route"
    where = "" if output == STDOUT else f" in {output}"
    say(f"{reading.file}: {routes}{where}")
    if reading.opened and reading.active:
        say(f"\n{OPENED}:")
        for line in reading.opened:
            say(f"  - {line}")
    lost = reading.lost + [line for draft in reading.drafts for line in draft.lost]
    lost += [f"{d.place}: {d.inactive}" for d in reading.drafts if d.inactive]
    for title, lines in (("not imported", lost), ("noticed", reading.notices)):
        if lines:
            say(f"\n{title}:")
            for line in dict.fromkeys(lines):
                say(f"  - {line}")
    if reading.active:
        say("\nnext:")
        for line in steps(reading, free_port(reading.ports)):
            say(f"  {line}")
        for variable in variables(reading):
            say(f"  Set {variable} in the environment; see {output} for its value.")
        filled_in = templates([draft.keys for draft in reading.active])
        if filled_in:
            say(f"  Set {', '.join(filled_in)} in the environment, as for envsubst.")
        if output != STDOUT:
            say(f"  unbuffered serve --config {output}")


def variables(reading: ImportedFile) -> list[str]:
    """The variables that the routes refer to."""
    tables = [
        each.keys.get(key)
        for each in reading.active
        for key in ("headers.request.set", "path_rewrite")
    ]
    values = [value for each in tables for value in table(each).values()]
    found = [each.variable for each in values if isinstance(each, Reference)]
    return [*dict.fromkeys(found)]


def init(options: argparse.Namespace, say: Say) -> None:
    """`unbuffered init`"""
    folder: Path = options.source
    if not folder.is_dir():
        raise ImportRefused(f"{folder}: no such folder", USAGE)
    output = options.output or str(folder / CONFIG)
    check_free(output, options.force)
    project = survey(folder)
    deliver(initial(project), output, options.force)
    for line in project.seen or ["nothing was recognized: the routes are examples"]:
        say(f"found: {line}")
    if output != STDOUT:
        say(f"wrote {output}; start it with: unbuffered serve --config {output}")
    for path in project.compose:
        say(f"{path} is not read: add a route for each service that a page calls")
    for path in project.proxies:
        say(
            f"{path} has proxy settings: run unbuffered import {folder / path} to "
            "convert them"
        )


def check_free(output: str, force: bool) -> None:
    """Refuse before anything is done, if the file exists."""
    if output != STDOUT and not force and os.path.lexists(output):
        raise ImportRefused(
            f"{output} already exists: use --force to overwrite it, or -o FILE to "
            "write another file",
            USAGE,
        )


def deliver(text: str, output: str, force: bool) -> None:
    """Write the file, or print it."""
    if output == STDOUT:
        write_out(text)
        return
    try:
        with open(
            output, "w" if force else "x", encoding="utf-8", newline="\n"
        ) as file:
            file.write(text)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ImportRefused(f"{output} cannot be written: {reason}", USAGE) from error


def write_out(text: str) -> None:
    """Print a configuration; into a file or a pipe it goes as TOML has it, in UTF-8."""
    sys.stdout.flush()
    if sys.stdout.isatty() or not hasattr(sys.stdout, "buffer"):
        print(text, end="", flush=True)
        return
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()
