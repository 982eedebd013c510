"""The `headers` tables: which fields a route may change, and what wins.

Values are secrets until the opposite is known: no fault ever shows one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from proxy.config.fault_text import choice, described, key_name, snake_case
from proxy.config.reader import Entries, Reader, keys_of
from proxy.config.route import FieldRules, HeaderRules
from proxy.config.suggestions import near

# RFC 9110 §5.6.2
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

FRAMING = "the proxy frames every message itself (RFC 9112 §6)"
HOP_BY_HOP = "it is a hop-by-hop field (RFC 9110 §7.6.1)"
OWNED_FIELDS = {
    "connection": HOP_BY_HOP,
    "content-length": FRAMING,
    "keep-alive": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": FRAMING,
    "transfer-encoding": FRAMING,
    "upgrade": f"{HOP_BY_HOP}; to pass upgrades, write ws = true",
}


@dataclass(slots=True)
class FieldChanges:
    """`set` and `remove` of one direction, keyed by lower-case field name."""

    set: Entries = field(default_factory=dict)
    remove: Entries = field(default_factory=dict)

    def rules(self) -> FieldRules:
        """The changes as the model has them."""
        return FieldRules(
            set={entry.name: entry.value for entry in self.set.values()},
            remove=[entry.name for entry in self.remove.values()],
        )


@dataclass(slots=True)
class HeaderChanges:
    """The changes in both directions."""

    request: FieldChanges = field(default_factory=FieldChanges)
    response: FieldChanges = field(default_factory=FieldChanges)

    def rules(self) -> HeaderRules:
        """The changes as the model has them."""
        return HeaderRules(request=self.request.rules(), response=self.response.rules())


def merge_headers(defaults: HeaderChanges, own: HeaderChanges) -> HeaderChanges:
    """What is left of the defaults beside a route's own changes."""
    return HeaderChanges(
        merge_fields(defaults.request, own.request),
        merge_fields(defaults.response, own.response),
    )


def merge_fields(defaults: FieldChanges, own: FieldChanges) -> FieldChanges:
    """What a route says of a field replaces what the defaults say of it."""
    said = own.set.keys() | own.remove.keys()
    kept_set = {name: e for name, e in defaults.set.items() if name not in said}
    kept_remove = {name: e for name, e in defaults.remove.items() if name not in said}
    return FieldChanges(kept_set | own.set, kept_remove | own.remove)


def read_headers(reader: Reader, table: str, raw: object) -> HeaderChanges:
    """Read `headers` of a route or of the defaults."""
    changes = HeaderChanges()
    for direction, content in reader.items(table, "headers", raw):
        path = f"headers.{key_name(direction)}"
        if direction == "request":
            changes.request = read_fields(reader, table, path, content)
        elif direction == "response":
            changes.response = read_fields(reader, table, path, content)
        else:
            advice = misplaced(direction, keys_of(HeaderRules), "headers.request")
            reader.fault(table, path, advice)
    return changes


def read_fields(reader: Reader, table: str, path: str, raw: object) -> FieldChanges:
    """Read `set` and `remove` of one direction."""
    changes = FieldChanges()
    for key, content in reader.items(table, path, raw):
        if key == "set":
            changes.set = read_set(reader, table, f"{path}.set", content)
        elif key == "remove":
            changes.remove = read_remove(reader, table, f"{path}.remove", content)
        else:
            advice = misplaced(key, keys_of(FieldRules), path)
            reader.fault(table, f"{path}.{key_name(key)}", advice)
    for name in changes.set.keys() & changes.remove.keys():
        written = key_name(changes.set[name].name)
        reader.fault(
            table,
            f"{path}.remove",
            f"{written} is in both set and remove: use only one of them",
        )
    return changes


def read_set(reader: Reader, table: str, path: str, raw: object) -> Entries:
    entries: Entries = {}
    for name, content in reader.items(table, path, raw):
        key = f"{path}.{key_name(name)}"
        if not reader.passes(table, key, check_field_name, name):
            continue
        if name.lower() in entries:
            twin = key_name(entries[name.lower()].name)
            reader.fault(
                table,
                key,
                f"the same field as {twin}: names are "
                "case-insensitive, set it only once",
            )
            continue
        entry = reader.value(table, key, content, str, secret=True)
        if entry and reader.passes(table, key, check_field_value, entry.value):
            entries[name.lower()] = replace(entry, name=name)
    return entries


def read_remove(reader: Reader, table: str, path: str, raw: object) -> Entries:
    """Read a list of field names; a name that stands twice counts once."""
    entries: Entries = {}
    if not isinstance(raw, list):
        reader.fault(table, path, f"expected a list of names, got {described(raw)}")
        return entries
    for position, content in enumerate(raw, start=1):
        key = f"{path}, item {position}"
        entry = reader.value(table, key, content, str, secret=True)
        if entry is None or not reader.passes(
            table, key, check_field_name, entry.value
        ):
            continue
        if entry.value.lower() == "host" and "request" in path:
            reader.fault(table, key, "every request needs a Host (RFC 9112 §3.2)")
            continue
        entries[entry.value.lower()] = replace(entry, name=entry.value)
    return entries


def check_field_name(name: str) -> None:
    """A field that a route may set or remove.

    Raises:
        ValueError: says what is wrong with it.
    """
    if TOKEN.fullmatch(name) is None:
        raise ValueError("not a valid field name (RFC 9110 §5.1)")
    reason = OWNED_FIELDS.get(name.lower())
    if reason:
        raise ValueError(f"this field cannot be changed: {reason}")


def check_field_value(value: str) -> None:
    """A value that ends where it seems to end.

    Raises:
        ValueError: names the character, never the value.
    """
    found = CONTROL.search(value)
    if found:
        advice = "; values read from a file often end with one"
        raise ValueError(
            f"the value contains a control character (U+{ord(found[0]):04X})"
            + (advice if found[0] in "\r\n" else "")
        )


def misplaced(key: str, known: Collection[str], path: str) -> str:
    """What to write instead of a key that no `headers` table has."""
    if path == "headers.request" and key in ("set", "remove"):
        return f"unknown key: write {path}.{key} or headers.response.{key}"
    close = near(snake_case(key), known)
    if close:
        return f"unknown key: did you mean {choice(close)}?"
    return f"unknown key: to send a field, write {path}.set.{key_name(key)}"
