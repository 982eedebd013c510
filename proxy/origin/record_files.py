"""Records from files, HAR among them, and from folders; all faults are told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.errors import in_words
from proxy.quantities import counted
from proxy.record.capture_reader import CaptureFile
from proxy.record.format import ExchangeRecord, RecordFault

SUFFIXES = (".har", ".jsonl")


class LoadedRecord(NamedTuple):
    """A record, and the file that it is from."""

    name: str
    record: ExchangeRecord


def read_records(
    paths: Sequence[Path], tell: Callable[[str], None] | None = None
) -> list[LoadedRecord]:
    """The records of files, and of all in folders, in order of their names.

    A file is one record, or a HAR: then each of its entries is one. `tell` gets a line
    for what is left out: an entry that cannot be read, if others in its file can; a
    file of a folder, if there is another record.

    Raises:
        RecordFault: has a line for each file that cannot be read or is not a record.
    """
    found: dict[Path, list[LoadedRecord]] = {}
    faults: list[str] = []
    left_out: list[str] = []
    for path in paths:
        try:
            files = list(files_of(path))
        except (OSError, RecordFault) as fault:
            faults.append(why(path, fault))
            continue
        for file in files:
            if file.resolve() in found:
                continue
            loaded, left = load(file)
            if loaded:
                found[file.resolve()] = loaded
            refuses = tell is None or (file == path and not loaded)
            (faults if refuses else left_out).extend(left)
    if faults or not found:
        raise RecordFault("\n".join([*faults, *left_out]))
    if tell is not None:
        for each in left_out:
            tell(f"left out: {each}")
    return [each for loaded in found.values() for each in loaded]


def load(file: Path) -> tuple[list[LoadedRecord], list[str]]:
    """What is in a file, and what is wrong with the rest of it."""
    left: list[RecordFault] = []
    try:
        loaded = list(records_of(file, left))
    except (OSError, RecordFault) as fault:
        return [], [why(file, fault)]
    return loaded, [str(each) for each in left]


def why(path: Path, fault: OSError | RecordFault) -> str:
    """Why a file, or a folder, cannot be read."""
    if isinstance(fault, OSError):
        return f"cannot read {fault.filename or path}: {in_words(fault)}"
    return str(fault)


def records_of(file: Path, left: list[RecordFault]) -> Iterator[LoadedRecord]:
    """What is in a file; `left` gets what is wrong with other entries of it.

    Raises:
        OSError, RecordFault
    """
    captures = CaptureFile(file.read_bytes(), str(file)).captures
    for each in captures(left_out=left.append):
        entry = f", entry {each.number}" if each.number else ""
        yield LoadedRecord(f"{file}{entry}", each.record)


def files_of(path: Path) -> Iterator[Path]:
    """A file, or those of a folder.

    Raises:
        RecordFault: the folder has none.
    """
    if not path.is_dir():
        yield path
        return
    files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    if not files:
        raise RecordFault(f"{path} has no records (*.jsonl) and no *.har")
    yield from files


def of_routes(
    files: Sequence[LoadedRecord], routes: Sequence[str]
) -> list[LoadedRecord]:
    """Those of some routes; of all if none is given.

    Raises:
        RecordFault: a route has none.
    """
    known = {each.record.route for each in files}
    for route in routes:
        if route not in known:
            others = ", ".join(sorted(known - {""})) or "no route"
            raise RecordFault(
                f"no record of route {route} among {counted(len(files), 'record')}; "
                f"they are of {others}"
            )
    return [each for each in files if not routes or each.record.route in routes]
