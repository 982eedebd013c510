"""The words of a fault: what was found, what is expected, what to write.

Pure text. Knows the types of the model; knows no file and no environment.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import inspect

from proxy.config.foreign_keys import advice

MAX_SHOWN = 60  # characters of a string; a fault stays one line
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(key: str) -> str:
    """`changeOrigin` and `change-origin` are `change_origin`."""
    return CAMEL_HUMP.sub("_", key).replace("-", "_").lower()


def unknown(
    key: str,
    known: Collection[str],
    elsewhere: Mapping[str, str],
    kind: str = "key",
    raw: object = None,
    *,
    foreign: bool = True,
) -> str:
    """Say what to write instead of an unknown key (or table, as `kind` says).

    `elsewhere` maps keys of other tables to the table they belong into; `raw`
    is the value that the key has. `foreign`: it may be a key of another proxy.
    """
    name = snake_case(key)
    if name in known:
        return f"unknown {kind}: write {name}"
    better = advice(name, raw) if foreign else None
    if better is not None:
        return f"unknown {kind}: {better}"
    if name in elsewhere:
        return f"unknown {kind} here: {name} belongs in {elsewhere[name]}"
    for close in difflib.get_close_matches(name, known, n=1):
        return f"unknown {kind}: did you mean {close}?"
    for close in difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.75):
        return (
            f"unknown {kind}: did you mean {close}, which belongs in "
            f"{elsewhere[close]}?"
        )
    return f"unknown {kind}: expected {choice(sorted(known))}"


def choice(words: Collection[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def expected(annotation: Any) -> str:
    """What a key of this type takes, in words."""
    return expected_type(inspect.type_info(annotation))


def expected_type(kind: inspect.Type) -> str:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.UnionType(
            types=(inspect.BoolType(), inspect.LiteralType(values=values))
        ):
            return choice([*(quoted(str(value)) for value in values), "true", "false"])
        case inspect.UnionType(
            types=(inspect.IntType() as number, inspect.LiteralType() as word)
        ):
            return f"{expected_type(number)} or {expected_type(word)}"
        case inspect.UnionType(
            types=(
                (inspect.BoolType(), inspect.DictType())
                | (inspect.StructType(), inspect.NoneType())
            )
        ):
            return "true, false or a table"
        case inspect.BoolType() | inspect.UnionType():
            return "true or false"
        case inspect.IntType(ge=int(low), le=int(high)):
            return f"an integer from {low} to {high}"
        case inspect.IntType(ge=low):
            return f"an integer of {low or 0} or more"
        case inspect.FloatType():
            return "a finite number of 0 or more"
        case inspect.LiteralType(values=values):
            return choice([quoted(str(value)) for value in values])
        case inspect.ListType() | inspect.VarTupleType(item_type=inspect.StrType()):
            return "a list of strings"
        case inspect.VarTupleType():
            return "a string or a list of strings"
        case inspect.DictType():
            return "a table of strings"
    return "a string"


def described(value: object, secret: bool = False) -> str:
    """A value as it was found; of a secret only its kind."""
    match value:
        case bool():
            return "true or false" if secret else str(value).lower()
        case str():
            return "a string" if secret else f"the string {shortened(value)}"
        case int():
            long = secret or value.bit_length() > 128
            return "an integer" if long else f"the integer {value}"
        case float():
            return "a number" if secret else f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "a date or time"


def shortened(text: str) -> str:
    """The text in quotes, cut to what fits on a line."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return quoted(cut)


def quoted(text: str) -> str:
    """The text as a TOML basic string of printable characters."""
    return "".join(map(printable, json.dumps(text, ensure_ascii=False)))


def printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def key_name(name: str) -> str:
    """A key as TOML writes it: bare where that is allowed."""
    return name if BARE_KEY.fullmatch(name) else quoted(name)
