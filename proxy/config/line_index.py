"""In which line of a TOML file a table or a key is written.

`tomllib` does not say, so each statement is parsed on its own. This takes as long as
the file is read again, and is asked only when there is something wrong with it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]

ITEM = re.compile(r", item \d+")
# A string without its end goes on to the end of the line, or of the text (torn).
TOKEN = re.compile(
    r"""
      "{3}(?:\\.|[^"\\]|"(?!""))*+(?:"{3}|\\?(?P<torn>\Z))
    | '{3}(?:[^']|'(?!''))*+(?:'{3}|(?P<torn_literal>\Z))
    | "(?:\\[^\n]|[^"\\\n])*+"?
    | '[^'\n]*+'?
    | \#[^\n]*+
    | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<end>\n)
    """,
    re.DOTALL | re.VERBOSE,
)
LONGEST = 500  # lines of one value


class LineIndex:
    """The first line of each table and of each key."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        implied: dict[Path, int] = {}
        for number, path in statements(text):
            self.lines.setdefault(path, number)
            for end in range(1, len(path)):
                implied.setdefault(path[:end], number)
        self.lines = implied | self.lines

    def line_of(self, table: str, key: str = "") -> int | None:
        """The line of a key as faults name it, or of what it is in."""
        names = names_of(f"[{table}]") if table else ()
        if table and not names:
            return None
        whole = names + (names_of(f"{ITEM.sub('', key)} = 0") if key else ())
        for end in range(len(whole), 0, -1):
            found = self.lines.get(whole[:end])
            if found is not None:
                return found
        return None


def names_of(statement: str) -> Path:
    """The names in a header, or left of an equals sign; none if it is not valid."""
    return next((path for _, path in statements(statement)), ())


def statements(text: str) -> Iterator[tuple[int, Path]]:
    """Each table and key with its line, in their order, the innermost first."""
    lines = text.split("\n")
    table: Path = ()
    arrays: dict[Path, int] = {}
    position, longest = 0, LONGEST
    while position < len(lines):
        line = lines[position]
        number = position + 1
        if not line.strip() or line.lstrip().startswith("#"):
            position += 1
            continue
        length = lines_of(lines[position : position + longest])
        content = parsed("\n".join(lines[position : position + length]))
        if content is None:  # from here on nothing can be relied on
            longest = 1
        position += 1 if content is None else length
        if content is None:
            continue
        if line.lstrip().startswith("["):
            table, is_array = header(content)
            if is_array:
                yield number, table
                arrays[table] = arrays.get(table, 0) + 1
                table = (*table, str(arrays[table]))
            yield number, table
        else:
            yield from ((number, table + path) for path in paths(content))


def lines_of(lines: list[str]) -> int:
    """How many lines the statement takes that begins in the first of them."""
    if not any(mark in lines[0] for mark in ("[", "{", '"""', "'''")):
        return 1
    depth, count = 0, 1
    for found in TOKEN.finditer("\n".join(lines)):
        if found["torn"] is not None or found["torn_literal"] is not None:
            return 1
        if found["end"]:
            if depth <= 0:
                return count
            count += 1
        else:
            depth += bool(found["open"]) - bool(found["close"])
            count += found[0].count("\n")
    return len(lines) if depth <= 0 else 1


def parsed(statement: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(statement)
    except (ValueError, RecursionError):
        return None


def header(content: dict[str, Any]) -> tuple[Path, bool]:
    """The name of a table, and whether it is one of an array."""
    names: list[str] = []
    inner: Any = content
    while isinstance(inner, dict) and inner:
        [name] = inner
        names.append(name)
        inner = inner[name]
    return tuple(names), isinstance(inner, list)


def paths(content: dict[str, Any], above: Path = ()) -> Iterator[Path]:
    """The names of all values, the innermost first."""
    for name, value in content.items():
        path = (*above, name)
        if isinstance(value, dict):
            yield from paths(value, path)
        yield path
