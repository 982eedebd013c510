"""The words of a fault: what was found, what is expected, what to write.

Pure text. Knows the types of the model; knows no file and no environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import date, time
from typing import Any

from msgspec import inspect

from proxy.config.foreign_keys import advice, in_unit, replaced
from proxy.config.lookalikes import in_ascii
from proxy.config.suggestions import near, negated, without_negation

MAX_CHOICES = 15  # names that a line may list
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
    name = snake_case(in_ascii(key))
    if name in known:
        return f"unknown {kind}: write {name}"
    better = advice(name, raw) if foreign else None
    if better is not None:
        places = dict.fromkeys(
            elsewhere[key]
            for key in replaced(name)
            if key not in known and key in elsewhere
        )
        where = f", in {choice([*places])}" if places else ""
        return f"unknown {kind}: {better}{where}"
    if name in elsewhere:
        return f"unknown {kind} here: {name} belongs in {elsewhere[name]}"
    return f"unknown {kind}: " + (
        opposite(name, known, elsewhere, raw)
        or meant(name, known, raw)
        or meant_elsewhere(name, elsewhere, raw)
        or expected_names(name, known)
    )


def opposite(
    name: str, known: Collection[str], elsewhere: Mapping[str, str], raw: object
) -> str:
    """What to write instead of `disable_http2 = true`; "": it is not the opposite."""
    if not negated(name):
        return ""
    plain = without_negation(name)
    found = near(plain, known)
    if found and isinstance(raw, bool) and isinstance(known, Mapping):
        flags = [each for each in found if expected(known[each]) == "true or false"]
        if flags:
            return f"write {flags[0]} = {str(not raw).lower()}"
    if found:
        return f"{choice(found)} says the opposite"
    found = near(plain, elsewhere)
    return f"{found[0]} in {elsewhere[found[0]]} says the opposite" if found else ""


def meant(name: str, known: Collection[str], raw: object) -> str:
    """The names that are like this one, with the value in their unit."""
    found = near(name, known)
    if not found:
        return ""
    value = in_unit(name, found[0], raw)
    if len(found) == 1 and value:
        return f"write {value}"
    return f"did you mean {choice(found)}?"


def meant_elsewhere(name: str, elsewhere: Mapping[str, str], raw: object) -> str:
    """The same, of other tables."""
    found = near(name, elsewhere)
    if not found:
        return ""
    tables = dict.fromkeys(elsewhere[each] for each in found)
    value = in_unit(name, found[0], raw) if len(found) == 1 else ""
    if value:
        return f"write {value} in {elsewhere[found[0]]}"
    verb = "belongs" if len(found) == 1 else "belong"
    return f"did you mean {choice(found)}, which {verb} in {choice([*tables])}?"


def expected_names(name: str, known: Collection[str]) -> str:
    """What can be written, if it can be read; nothing here is like this name."""
    if {"timeout", "time", "deadline"} & {*name.split("_")}:
        limits = [each for each in known if each.endswith("timeout_seconds")]
        if limits:
            return f"the time limits here are {listed(sorted(limits))}"
    if len(known) > MAX_CHOICES:
        return (
            "there is none like it here: unbuffered check --all and "
            "docs/configuration.md list all keys"
        )
    return f"expected {choice(sorted(known))}"


def listed(words: Collection[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


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
        case inspect.FloatType(gt=0, le=float() | int() as high):
            return f"a number greater than 0, up to {high:g}"
        case inspect.FloatType(gt=0):
            return "a finite number greater than 0"
        case inspect.FloatType():
            return "a finite number of 0 or more"
        case inspect.LiteralType(values=values):
            return choice([quoted(str(value)) for value in values])
        case inspect.ListType() | inspect.VarTupleType(item_type=inspect.StrType()):
            return "a list of strings"
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "a table or a list of tables"
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
        case date() | time():
            return "a date or time"
        case None:
            return "None"
    return f"an object of type {type(value).__name__}"  # of a program, not of a file


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
