"""`resume` and `share` of one table, read: true, false, or a table of their own.

What a route says of a key wins over what the defaults say of it, as in `headers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from proxy.config.fault_text import key_name, quoted, unknown
from proxy.config.header_rules import TOKEN
from proxy.config.kept_options import SWITCHES
from proxy.config.paths import check_key_path
from proxy.config.reader import Entries, Entry, Reader, keys_of

COOKIE = "cookie:"
# As people write it who know it from `key`, or from HTTP.
OTHER_FORMS = re.compile(r"(?i:(?P<cookie>cookie)|header):\s*(?P<name>.*)", re.DOTALL)
SOURCES = '"body:NAME", "header:NAME" or "query:NAME"'


@dataclass(slots=True)
class Switch:
    """What one table says of `resume` or `share`; `on` is None: nothing.

    `written` has the faulty keys too.
    """

    on: Entry | None = None
    keys: Entries = field(default_factory=dict)
    written: frozenset[str] = frozenset()

    def over(self, defaults: Switch) -> Switch:
        """This where it says something, the defaults elsewhere."""
        if self.on is None:
            return defaults
        if not self.on.value:
            return self
        return Switch(
            self.on, defaults.keys | self.keys, defaults.written | self.written
        )

    @property
    def is_on(self) -> bool:
        return self.on is not None and bool(self.on.value)

    def options(self, model: type[msgspec.Struct]) -> Any:
        """The table as the model has it; None: off."""
        if not self.is_on:
            return None
        return model(**{key: entry.value for key, entry in self.keys.items()})

    def sources(self, name: str) -> Iterator[tuple[str, str]]:
        """Each key that is not at its default, and where its value came from."""
        if self.on is not None:
            yield name, self.on.source
        for key, entry in self.keys.items():
            yield f"{name}.{key}", entry.source


def read_switch(reader: Reader, table: str, name: str, raw: object) -> Switch:
    """Read `resume` or `share` of a route or of the defaults."""
    if not isinstance(raw, dict):
        kind = bool | dict[str, Any]  # for the words of a fault
        return Switch(reader.value(table, name, raw, kind))
    known = keys_of(SWITCHES[name])
    keys: Entries = {}
    for key, content in raw.items():
        path = f"{name}.{key_name(key)}"
        entry = None
        if key not in known:
            # What other proxies call by these names is no option of a stream.
            reader.fault(table, path, unknown(key, known, {}, foreign=False))
        elif key in LISTS:
            entry = read_names(reader, table, path, content)
        else:
            entry = reader.value(table, path, content, known[key])
            if entry and not is_fine(reader, table, path, key, entry.value):
                entry = None
        if entry is not None:
            keys[key] = entry
    on = Entry(name, True, reader.source(table))
    return Switch(on, keys, frozenset(raw))


def read_names(reader: Reader, table: str, path: str, raw: object) -> Entry | None:
    """Read a list of request fields and cookies."""
    entry = reader.strings(table, path, raw, check_compared).get(path)
    if entry is None:
        return None
    check_twins(reader, table, path, entry.value)
    return replace(entry, value=tuple(entry.value))


def is_fine(reader: Reader, table: str, path: str, key: str, value: Any) -> bool:
    """Whether a value passes the check of its key; "" stands for none."""
    check = CHECKS.get(key)
    return check is None or not value or reader.passes(table, path, check, value)


def check_compared(name: str) -> None:
    """A request field whose values are compared, or one cookie.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if name.startswith(COOKIE):
        if TOKEN.fullmatch(name.removeprefix(COOKIE)) is None:
            raise ValueError(
                f"{quoted(name)} does not end in a valid cookie name (RFC 6265 §4.1.1)"
            )
        return
    other = OTHER_FORMS.fullmatch(name)
    if other is not None and TOKEN.fullmatch(other["name"]):
        better = COOKIE * bool(other["cookie"]) + other["name"]
        raise ValueError(f"{quoted(name)}: write {quoted(better)}")
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{quoted(name)} is not a valid field name (RFC 9110 §5.1)")
    if name.lower() == "last-event-id":
        raise ValueError(f"{name} differs whenever a stream is resumed: remove it")


def check_twins(reader: Reader, table: str, path: str, names: list[str]) -> None:
    """A field that is in the list twice. Names of cookies are case-sensitive."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        is_cookie = name.startswith(COOKIE)
        first = seen.setdefault(name if is_cookie else name.lower(), position)
        if first != position:
            twin = quoted(names[first - 1])
            what = (
                f"the same cookie as {twin}"
                if is_cookie
                else f"the same field as {twin}: names are case-insensitive"
            )
            place = f"{path}, item {position}"
            reader.fault(table, place, f"{what}; list it only once")


def check_key(key: str) -> None:
    """Where the key of a stream is in a request.

    Raises:
        ValueError: says what is wrong with it.
    """
    kind, _, name = key.partition(":")
    if kind not in ("body", "header", "query") or not name:
        raise ValueError(f"expected {SOURCES}, got {quoted(key)}")
    if kind == "header" and TOKEN.fullmatch(name) is None:
        raise ValueError(
            f"{quoted(key)} does not end in a valid field name (RFC 9110 §5.1)"
        )


LISTS = {"bind", "by"}
CHECKS: dict[str, Callable[[str], None]] = {
    "key": check_key,
    "path": check_key_path,
    "stop": check_key_path,
}
