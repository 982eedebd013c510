"""What is wrong with a file that is not TOML, and what to write.

The parser says where it stopped. People write what they know from elsewhere: YAML,
JSON, nginx, full-width characters. So the line is looked at once more. It may hold a
secret: of what stands in it only names are shown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from proxy.config.fault_text import key_name, quoted
from proxy.config.file_format import BLOCK, DIRECTIVE, YAML_KEY, other_format
from proxy.config.line_index import Path, statements
from proxy.config.lookalikes import first, named, twin

PARSED = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
TABLE = re.compile(r"\s*+\[++([^#]*)\]\s*+(?:#.*)?$")
KEY = re.compile(r"([^=#]*+)=")
# What the parser says in its own terms, in those of a person with an editor.
WORDS = {
    r"Cannot overwrite a value": "this key is set twice",
    r"Duplicate inline table key .*": "this key is set twice",
    r"Cannot declare .* twice": "this table is declared twice",
    r"Cannot (?:mutate immutable|redefine) namespace .*": (
        "this key already has a value, set further up; it cannot also be a table"
    ),
    r"Invalid value": (
        "not a valid value: write text in quotes, true and false without"
    ),
    r"Unescaped '\\' in a string|Invalid hex value|"
    r"Escaped character is not a Unicode scalar value": (
        "a backslash in double quotes begins an escape: write the text in single "
        "quotes, '…', or a path with / instead"
    ),
}
TWICE = "twice"
# The tables at the top, see `Config`.
TABLE_NAMES = ("routes", "server", "listen", "certificate", "log", "inspector",
               "metrics", "tracing", "store")  # fmt: skip
NAME = re.compile(r"[\w-]+")
MOST_NAMED = 40  # characters of such a name
MOST_SEEN = 1000  # characters of a line that somebody has typed
YAML_ITEM = re.compile(r"\s*-\s")
BOOLEANS = {
    **dict.fromkeys(("True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), "true"),
    **dict.fromkeys(("False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), "false"),
}
NOTHING = ("null", "None", "nil", "undefined", "~")
PREFIX = re.compile(
    r"\s*+\[++\s*+routes\s*+\.?+\s*+[\"']?+([^\]\s\"'/]*+/[^\]\s\"']*+)[\"']?\s*+\]*+"
)
BARE_ROUTE = re.compile(r"\s*\[+\s*[\"']?(/[^\]\s\"']*)[\"']?\s*\]")


def syntax_fault(text: str, error: Exception) -> str:
    """What the parser met, where, and what to write instead."""
    found = PARSED.fullmatch(str(error))
    other = other_format(text)
    if other:
        return other
    if found is None:
        return f"not valid TOML: {str(error).partition(';')[0]}"
    message, number, position = found.groups()
    lines = text.split("\n")
    line = int(number) if number else len(lines)
    column = int(position) if number else len(lines[-1]) + 1
    line, column = where_it_began(lines, line, column)
    for words, ours in WORDS.items():
        message = re.sub(words, ours, message)
    twice = TWICE in message
    better, at = ("", 0) if twice else better_line(lines, line, column)
    if better:
        column = at or column
    else:
        better = message[:1].lower() + message[1:]
    place = place_of(lines[:line], column, twice)
    return f"line {line}, column {column}: {place}{better}"


def where_it_began(lines: list[str], line: int, column: int) -> tuple[int, int]:
    """The parser stops behind the line break after which nothing fits any more."""
    if line > 1 and column == 1 and not lines[line - 1].strip():
        return line - 1, len(lines[line - 2]) + 1
    return line, column


# -- the line


def better_line(lines: list[str], line: int, column: int) -> tuple[str, int]:
    """What to write instead of a line, and from which column (0: as the parser says).

    Each of these is what people write who know it from elsewhere.
    """
    text = lines[line - 1]
    if len(text) > MOST_SEEN:
        return "", 0
    return next(filter(None, suggestions(lines, line, text, column)), ("", 0))


def suggestions(
    lines: list[str], number: int, line: str, column: int
) -> Iterator[tuple[str, int] | None]:
    yield carriage_return(line)
    yield lookalike(line, column)
    yield foreign_letters(line)
    yield route_header(line)
    yield yaml_list(lines, number)
    yield yaml_line(line)
    yield no_toml_comment(line)
    yield block(line)
    yield bare_path(line)
    yield no_sign(line)
    yield value(line)
    yield open_string(line)


def carriage_return(line: str) -> tuple[str, int] | None:
    at = line.rstrip("\r").find("\r")
    if at >= 0:
        return "lines end in CR alone: save the file with LF or CRLF line ends", at + 1
    found = CONTROL.search(line)
    if found is None:
        return None
    told = f"contains a control character (U+{ord(found[0]):04X})"
    return f"{told}: remove it, or save the file as text in UTF-8", found.start() + 1


def lookalike(line: str, column: int) -> tuple[str, int] | None:
    """A character that only looks like one of TOML, outside of what is in quotes."""
    at = first_outside(line)
    if at is None:
        return None
    there = line[at]
    plain = twin(there)
    spaced = line[at - 1 : at].isspace() and line[at + 1 : at + 2].isspace()
    if not plain:
        better = "remove it"
    elif plain == "-" and spaced:
        better = "write # before a comment"
    elif plain == ":":
        better = "write ="
    elif plain.isspace():
        better = "write a space"
    else:
        better = f"write {plain}"
    others = {each for each in line[at + 1 :] if twin(each)} - {there}
    more = f", and ASCII for {' '.join(sorted(others))} as well" if others else ""
    return f"{named(there)} is not a character of TOML: {better}{more}", at + 1


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
STRING = re.compile(r'"(?:\\.|[^"\\])*+("|\\?\Z)|\'[^\']*+(\'|\Z)', re.DOTALL)


def first_outside(line: str) -> int | None:
    """The first lookalike that is not within a whole string or a comment."""
    return first(without_strings(line))


def without_strings(line: str) -> str:
    """The line with spaces for its strings, but for one that does not end."""

    def blank(found: re.Match[str]) -> str:
        return " " * len(found[0]) if found[1] or found[2] else found[0]

    bare = STRING.sub(blank, line)
    return bare.partition("#")[0]


def foreign_letters(line: str) -> tuple[str, int] | None:
    """A name in other letters, without quotes: no name of the configuration is one."""
    header = line.lstrip().startswith("[")
    if not header and "=" not in line:
        return None
    names = without_strings(line).partition("=")[0]
    each = NAME.finditer(names)
    found = next((name for name in each if not name[0].isascii()), None)
    if found is None:
        return None
    known = (
        f"a table is one of {', '.join(TABLE_NAMES)}"
        if header
        else "such as target in a route, and port under [server]"
    )
    return (
        f"{found[0][:MOST_NAMED]}: names are written in Latin letters, or else in "
        f"quotes: {known}",
        found.start() + 1,
    )


def route_header(line: str) -> tuple[str, int] | None:
    """The table of a route that is written otherwise."""
    found = PREFIX.match(line) or BARE_ROUTE.match(line)
    if found is None:
        return None
    if parses(line):
        return None
    words = "write" if re.search(r"[\"']", line) else "write the prefix in quotes:"
    return f"{words} [routes.{quoted(found[1])}]", 0


def yaml_list(lines: list[str], line: int) -> tuple[str, int] | None:
    """`target =` or `target:`, and items with dashes beside it or below it."""
    text = lines[line - 1]
    name = ""
    if YAML_ITEM.match(text):
        above = next((each for each in lines[line - 2 :: -1] if each.strip()), "")
        if line > 1 and above.rstrip().endswith(("=", ":")):
            name = above.rstrip()[:-1]
    else:
        found = re.match(r"([^=:]*)[=:](.*)", text)
        below = "".join(lines[line : line + 1])
        if found is None or not YAML_ITEM.match(found[2].strip() or below):
            return None
        name = found[1]
    return f'YAML lists are not TOML: write {name.strip() or "key"} = ["…", "…"]', 0


def yaml_line(line: str) -> tuple[str, int] | None:
    """`key: value`, as YAML and JSON have it."""
    found = YAML_KEY.match(line)
    if found is None:
        return None
    key = key_name(found["key"].strip("\"'"))
    value = line[found.end() :].partition(" #")[0].strip().rstrip(",")
    at = line.index(":", found.end("key")) + 1
    if not value or value == "{":
        name = f"routes.{key}" if key.startswith('"/') else key
        return f"YAML and JSON write a colon, TOML does not: write [{name}]", at
    return (
        f"YAML and JSON write a colon, TOML an equals sign: write {key} = "
        f"{in_toml(value)}",
        at,
    )


def in_toml(value: str) -> str:
    """The form of a value; its text is not shown."""
    if value in BOOLEANS:
        return BOOLEANS[value]
    if value in ("true", "false"):
        return value
    if value.startswith("["):
        return "[…]"
    if value.startswith("{"):
        return "{ … }"
    return "…" if re.fullmatch(r"[\d._+-]+", value) else '"…"'


def no_toml_comment(line: str) -> tuple[str, int] | None:
    """Comments of other languages."""
    found = re.match(r"\s*(//|;|/\*|--|<!--|rem\b|%)", line, re.IGNORECASE)
    if found is None:
        return None
    return f"{found[1]} does not begin a comment in TOML: write #", found.start(1) + 1


def block(line: str) -> tuple[str, int] | None:
    """A block in braces, and directives that end in a semicolon."""
    bare = line.strip()
    if bare == "}" or ("=" not in bare and BLOCK.match(bare)):
        return "TOML has no blocks in braces: write a table, such as [server]", 0
    if DIRECTIVE.match(bare):
        key = bare.split()[0]
        return f'this is the syntax of nginx: write {key} = "…" without ;', 0
    return None


def bare_path(line: str) -> tuple[str, int] | None:
    """A key that is a path, without quotes."""
    found = re.match(r"\s*(?:routes\s*\.\s*)?(/[^\s=\"']*)\s*=", line)
    if found is None:
        return None
    return f"write the prefix in quotes: {quoted(found[1])} = …", 0


def no_sign(line: str) -> tuple[str, int] | None:
    """`port 8080`"""
    found = re.match(r"\s*([A-Za-z_][\w.-]*)\s+[^=\s]", line)
    if found is None or "=" in line:
        return None
    return f"write an equals sign after the key: {found[1]} = …", found.end(1) + 1


def open_string(line: str) -> tuple[str, int] | None:
    """A quotation mark without another one."""
    bare = without_strings(line)
    found = re.search(r"[\"']", bare)
    if found is None or '"""' in line or "'''" in line:
        return None
    return f"the text does not end: write {found[0]} behind it", found.start() + 1


def value(line: str) -> tuple[str, int] | None:
    """A value that is written as elsewhere."""
    name, sign, rest = line.partition("=")
    raw = rest.partition(" #")[0].strip()
    key = name.strip()
    if not sign or not raw:
        return None
    at = len(name) + 2 + len(rest) - len(rest.lstrip())
    ending = raw[-1]
    whole = raw[:-1].rstrip()
    if ending in ";," and parses(f"a = {whole}"):
        return f"remove the {ending} at the end of the line", line.rindex(ending) + 1
    word = raw.rstrip(";,")
    if word in BOOLEANS:
        return f"not a valid value: write {key} = {BOOLEANS[word]}", at
    if word in NOTHING:
        return (
            f"there is no {word} in TOML: remove the line, and the key has its default",
            at,
        )
    if word.startswith("`"):
        return f'not a valid value: write {key} = "…" with double quotes', at
    if re.fullmatch(r"(?:\w[\w+.-]*:/*|:\d|[A-Za-z.]*/|\w[\w.-]*$)[^\"'\[{]*", word):
        number = re.fullmatch(r"[\d._]+\s*[A-Za-z]*", word)
        better = f"{key} as a number" if number else f'{key} = "…"'
        return f"not a valid value: write {better}, " + (
            "without a unit" if number else "in quotes"
        ), at
    return None


def parses(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except (ValueError, RecursionError):
        return False
    return True


# -- where


def place_of(lines: list[str], column: int, twice: bool) -> str:
    """The table and the key at the end of `lines`: names, which are no secrets."""
    *before, last = lines
    header = TABLE.match(last)
    if header is not None:
        table = header[1].strip(" \t]")
        if not twice:
            return ""
        return f"[{table}]{seen_before(before, last)}: "
    inner = next(
        (found[1].strip(" \t]") for line in reversed(before)
         if (found := TABLE.match(line))), ""
    )  # fmt: skip
    key = KEY.match(last[:column])
    where = f"[{inner}] " if inner else ""
    if key is None or not key[1].strip():
        return f"{where.strip()}: " if where else ""
    name = key[1].strip()
    first_place = seen_before([*before, last[: key.end()] + " 0"]) if twice else ""
    return f"{where}{name}{first_place}: "


def seen_before(lines: list[str], last: str = "") -> str:
    """Where the table or key of the last line was written the first time."""
    known: dict[Path, int] = {}
    path: Path = ()
    number = 0
    for number, path in statements("\n".join([*lines, *([last] if last else [])])):
        known.setdefault(path, number)
    found = known.get(path, number)
    return f" (first in line {found})" if found < number else ""
