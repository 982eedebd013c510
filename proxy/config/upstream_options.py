"""The keys of a route that say which upstreams it has and whom they trust."""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from pathlib import Path

from proxy.config.fault_text import described, quoted
from proxy.config.file_path import check_file
from proxy.config.header_rules import TOKEN
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


BALANCES = '"least_open", "client", "header:NAME" or "cookie:NAME"'
# As people write them who know them from elsewhere.
OTHER_BALANCES = {
    "least_conn": "least_open",
    "leastconn": "least_open",
    "least_connections": "least_open",
    "leasttime": "least_open",
    "round_robin": "least_open",
    "roundrobin": "least_open",
    "random": "least_open",
    "ip_hash": "client",
    "client_ip_hash": "client",
    "address": "client",
    "source": "client",
    "ip": "client",
}
HEALTH_PATH = re.compile(r"/[\x21\x22\x24-\x7e]*")


def read_balance(reader: Reader, table: str, raw: object) -> Entries:
    """Read `balance`."""
    entry = reader.value(table, "balance", raw, str)
    if entry is None or not reader.passes(table, "balance", check_balance, entry.value):
        return {}
    return {"balance": entry}


def check_balance(text: str) -> None:
    """How targets are chosen.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if text in ("least_open", "client"):
        return
    better = OTHER_BALANCES.get(text.strip().lower().replace("-", "_"))
    if better is not None:
        raise ValueError(f"{quoted(text)} is not known here: write {quoted(better)}")
    check_request_value(text, BALANCES)


def check_request_value(text: str, expected: str) -> None:
    """`header:NAME` or `cookie:NAME`. `expected`: all that may be written.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    kind, colon, name = text.partition(":")
    if kind not in ("header", "cookie") or not colon:
        raise ValueError(f"expected {expected}, got {quoted(text)}")
    if TOKEN.fullmatch(name) is None:
        what = "field name (RFC 9110 §5.1)"
        if kind == "cookie":
            what = "cookie name (RFC 6265 §4.1.1)"
        raise ValueError(f"{quoted(text)} does not end in a valid {what}")
    if kind == "header" and name.lower() == "cookie":
        raise ValueError(
            "the field Cookie has all cookies of a client: write "
            '"cookie:NAME" with the name of one'
        )


def read_health_path(reader: Reader, table: str, raw: object) -> Entries:
    """Read `health_path`."""
    entry = reader.value(table, "health_path", raw, str)
    if entry is None or not reader.passes(
        table, "health_path", check_health_path, entry.value
    ):
        return {}
    return {"health_path": entry}


def check_health_path(path: str) -> None:
    """A path and a query, as they are sent.

    Raises:
        ValueError: says what is wrong with it and what to write.
    """
    if not path or HEALTH_PATH.fullmatch(path):
        return
    if not path.startswith("/"):
        raise ValueError(
            f"{quoted(path)} is not a valid path: write a path that begins with /, "
            'such as "/health"; host and port are those of each target'
        )
    raise ValueError(
        f"{quoted(path)} is not a valid path: percent-encode spaces and other "
        "characters that a request cannot contain"
    )


def read_ca_file(reader: Reader, table: str, raw: object) -> Entries:
    """Read `ca_file`; a path that is not absolute begins where the file is."""
    entry = reader.value(table, "ca_file", raw, str)
    if entry is None or not entry.value:
        return {"ca_file": entry} if entry else {}
    path = str(Path(reader.origin).parent / entry.value)
    if not reader.passes(table, "ca_file", check_ca_file, path, entry.value):
        return {}
    return {"ca_file": replace(entry, value=path)}


def check_ca_file(path: str, written: str = "") -> None:
    """A file with at least one certificate of an authority.

    Raises:
        ValueError: says what is wrong with it.
    """
    check_file(path, written)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(
            f"{path} contains no certificate: expected PEM, -----BEGIN CERTIFICATE-----"
        ) from None
