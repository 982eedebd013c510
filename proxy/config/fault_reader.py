"""`fault` of a route, read: a table, or a list of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxy.config.fault_options import KINDS, Fault, Problem, problems
from proxy.config.fault_text import choice, described, key_name, unknown
from proxy.config.reader import Entries, Entry, Reader, keys_of


def read_faults(reader: Reader, table: str, raw: object) -> Entries:
    """The entry of `fault`; empty after a fault in it."""
    items = raw if isinstance(raw, list) else [raw]
    tables = [each for each in map(as_table, items) if isinstance(each, dict)]
    if len(tables) < len(items):
        message = f"expected a table or a list of tables, got {described(raw)}"
        if isinstance(raw, list):
            message += " with other items"
        reader.fault(table, "fault", message)
        return {}
    several = len(tables) > 1
    before = len(reader.faults)
    sources: dict[str, None] = {}
    faults = [
        read_fault(reader, table, content, position if several else None, sources)
        for position, content in enumerate(tables)
    ]
    if len(reader.faults) > before:
        return {}
    found = [each for each in faults if each is not None]
    for problem in problems(found):
        reader.fault(table, place(problem, several=several), problem.message)
    if len(reader.faults) > before:
        return {}
    origin = "; ".join(sources) or reader.source(table)
    return {"fault": Entry("fault", tuple(found), origin)}


def as_table(raw: object) -> object:
    """A fault that was made in Python, as a file would have it."""
    return msgspec.structs.asdict(raw) if isinstance(raw, Fault) else raw


def read_fault(
    reader: Reader,
    table: str,
    content: Mapping[str, object],
    position: int | None,
    sources: dict[str, None],
) -> Fault | None:
    """One fault; None after a fault in it. `position`: in a list of several."""
    known = keys_of(Fault)
    values: dict[str, Any] = {}
    complete = True
    for key, raw in content.items():
        path = named(key_name(key), position)
        if key not in known:
            reader.fault(table, path, unknown(key, known, {}, foreign=False))
            continue
        entry = reader.value(table, path, raw, known[key])
        if entry is None:
            complete = False
        else:
            values[key] = entry.value
            sources[entry.source] = None
    if "kind" not in content:
        message = f"missing: expected {choice(KINDS)}"
        reader.fault(table, named("kind", position), message)
    return Fault(**values) if complete and "kind" in values else None


def named(key: str, position: int | None) -> str:
    """How a key of a fault is called."""
    path = f"fault.{key}" if key else "fault"
    return path if position is None else f"{path}, item {position + 1}"


def place(problem: Problem, *, several: bool) -> str:
    """Where a problem is."""
    return named(problem.key, problem.position if several else None)


def check_allowed(
    reader: Reader, server: Mapping[str, Any], routes: Sequence[tuple[str, Entries]]
) -> None:
    """Nobody's streams are broken by a table that was left in the file."""
    if server.get("allow_faults"):
        return
    for table, values in routes:
        entry = values.get("fault")
        if entry is not None and entry.value:
            message = (
                "breaks the streams of this route: write allow_faults = true in "
                "[server], or remove it"
            )
            reader.fault(table, "fault", message)
