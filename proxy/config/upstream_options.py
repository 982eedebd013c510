"""The keys of a route that say which upstreams it has and whom they trust."""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from pathlib import Path

from proxy.config.fault_text import described
from proxy.config.reader import Entries, Entry, Reader
from proxy.config.target import Target, parse_target

ORIGIN = re.compile(r"\w+://[^/]*")
WRITTEN_PATH = re.compile(r"\w+://[^/]*(/.*\$\{.*)", re.DOTALL)


def read_targets(reader: Reader, table: str, raw: object) -> Entries:
    """Read `target`: one address, or a list of them."""
    if not isinstance(raw, list):
        found = read_target(reader, table, "target", raw)
        return {"target": replace(found, value=(found.value,))} if found else {}
    if not raw:
        reader.fault(
            table, "target", "expected at least one address, got an empty list"
        )
        return {}
    entries = []
    for position, content in enumerate(raw, start=1):
        key = f"target, item {position}"
        if isinstance(content, list | dict):
            reader.fault(table, key, f"expected a string, got {described(content)}")
            continue
        entry = read_target(reader, table, key, content)
        if entry is not None:
            entries.append(entry)
            twin = same_place(entry.value, [each.value for each in entries[:-1]])
            if twin is not None:
                reader.fault(
                    table,
                    key,
                    f"the same address as {twin}: list each address only once",
                )
    if len(entries) < len(raw):
        return {}
    origins = dict.fromkeys(entry.source for entry in entries)
    targets = tuple(entry.value for entry in entries)
    return {"target": Entry("target", targets, "; ".join(origins))}


def read_target(reader: Reader, table: str, key: str, raw: object) -> Entry | None:
    entry = reader.value(table, key, raw, str)
    if entry and reader.passes(table, key, parse_target, entry.value):
        target = parse_target(entry.value)
        return replace(entry, value=replace(target, text=shown(str(raw), entry.value)))
    return None


def shown(raw: str, text: str) -> str:
    """A target as it is told: a variable in its path by name, it may be a key."""
    path = WRITTEN_PATH.fullmatch(raw)
    origin = ORIGIN.match(text)
    return f"{origin[0]}{path[1]}" if path and origin else text


def same_place(target: Target, others: list[Target]) -> Target | None:
    """The first of `others` that differs from `target` in its text alone."""
    for other in others:
        if replace(other, text=target.text) == target:
            return other
    return None


def read_ca_file(reader: Reader, table: str, raw: object) -> Entries:
    """Read `ca_file`; a path that is not absolute begins where the file is."""
    entry = reader.value(table, "ca_file", raw, str)
    if entry is None or not entry.value:
        return {"ca_file": entry} if entry else {}
    path = str(Path(reader.origin).parent / entry.value)
    if not reader.passes(table, "ca_file", check_ca_file, path):
        return {}
    return {"ca_file": replace(entry, value=path)}


def check_ca_file(path: str) -> None:
    """A file with at least one certificate of an authority.

    Raises:
        ValueError: says what is wrong with it.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(
            f"{path} contains no certificate: expected PEM, -----BEGIN CERTIFICATE-----"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"{path} cannot be read: {reason}") from error
    except ValueError as error:  # a NUL in the path
        raise ValueError(f"{path!r} is not a valid path: {error}") from error
