"""Reading one table key by key.

Every fault is kept and none stops the reading, so a person learns of all of
them at once. Knows no file: what it reads is what TOML gave.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import FieldInfo

from proxy.config.cidr import parse_network
from proxy.config.environment import expand
from proxy.config.fault_text import (
    described,
    expected,
    key_name,
    quoted,
    snake_case,
    unknown,
)
from proxy.config.foreign_keys import in_bytes, in_seconds
from proxy.config.key_advice import better_value, key_advice, networks_in
from proxy.config.line_index import LineIndex
from proxy.config.listen_address import parse_listen_address
from proxy.config.lookalikes import in_ascii
from proxy.config.model import (
    AUTO,
    SECRETS,
    SHORTEST_TOKEN,
    InspectorOptions,
    LogOptions,
    ServerOptions,
)
from proxy.config.route import Route

DEFAULTS = "defaults"
BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
SEVERAL = re.compile(r"\[\[(\w+)\]\] number (\d+)")
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and where it came from; `name` is its key as it was written."""

    name: str
    value: Any
    source: str


Entries = dict[str, Entry]


@functools.cache
def fields_of(table: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    """The keys that a table may have, as its type declares them."""
    fields = msgspec.structs.fields(table)
    name = "prefix" if issubclass(table, Route) else ""  # of its table, not a key
    return {each.encode_name: each for each in fields if each.name != name}


def keys_of(table: type[msgspec.Struct]) -> dict[str, Any]:
    """The keys that a table may have, with their types."""
    return {key: each.type for key, each in fields_of(table).items()}


# Tables that no other proxy has: what it calls by its names belongs elsewhere.
UNLIKE_OTHERS = ("store",)
# Of keys with names that mean something else to many, none is named here.
KEYS_ELSEWHERE = {
    "keep_seconds": '[routes."/prefix".resume]',
    "resume_upstream": '[routes."/prefix".resume]',
    "replay": '[routes."/prefix".share]',
    "https_redirect": "[[listen]]",
    **dict.fromkeys(keys_of(Route), '[routes."/prefix"]'),
    **dict.fromkeys(keys_of(ServerOptions), "[server]"),
    **dict.fromkeys(keys_of(LogOptions), "[log]"),
    **dict.fromkeys(keys_of(InspectorOptions), "[inspector]"),
}


class Reader:
    """Reads the tables of one origin: a file, or a flag of the command line.

    `lax`: every value is text, as on a command line, so "8080" is a number.
    """

    def __init__(
        self, origin: str, environ: Mapping[str, str], *, lax: bool = False
    ) -> None:
        self.origin = origin
        self.environ = environ
        self.lax = lax
        self.text = ""  # of the file: says in which line a fault is
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def fault(self, table: str, key: str, message: str) -> None:
        """Keep a fault; an empty `table` or `key` is left out."""
        self.faults.append(self.line(table, key, message))

    def warn(self, table: str, key: str, message: str) -> None:
        """Keep a warning: of what is taken, but should be looked at."""
        self.warnings.append(self.line(table, key, message))

    def line(self, table: str, key: str, message: str) -> str:
        place = f"[{table}] {key}".strip() if table else key
        where = table
        if several := SEVERAL.fullmatch(table):  # they have numbers, and no names
            place = f"{table}, {key}" if key else table
            where = f'{several[1]}."{several[2]}"'
        number = self.line_of(where, key.strip("[]"))  # of all tables: `[[listen]]`
        line = f"line {number}: " if number else ""
        return f"{self.origin}: {line}{place}: {message}"

    def line_of(self, table: str, key: str = "") -> int | None:
        """The line of the file in which a key, or else its table, is written."""
        return self.index.line_of(table, key) if self.text else None

    @functools.cached_property
    def index(self) -> LineIndex:
        return LineIndex(self.text)

    def source(self, table: str) -> str:
        """Where what is in a table comes from."""
        return f"{self.origin} [{DEFAULTS}]" if table == DEFAULTS else self.origin

    def items(self, table: str, key: str, raw: object) -> Iterator[tuple[str, object]]:
        """The keys of a table, or of a table within it; none after a fault."""
        if isinstance(raw, dict):
            yield from raw.items()
        else:
            self.fault(table, key, f"expected a table, got {described(raw)}")

    def value(
        self, table: str, key: str, raw: object, kind: Any, *, secret: bool = False
    ) -> Entry | None:
        """Replace references in a value and convert it to the type of its key."""
        references: tuple[str, ...] = ()
        try:
            if isinstance(raw, str) and not self.lax:
                expansion = expand(raw, self.environ)
                raw, references = expansion.text, expansion.references
            # The environment holds text only: "8080" from there is a number.
            value = msgspec.convert(raw, kind, strict=not (self.lax or references))
            if value == math.inf:
                raise msgspec.ValidationError
        except msgspec.ValidationError:
            found = " from ".join([described(raw, secret), *references])
            hidden = secret or references  # what it holds is not shown
            better = "" if hidden else in_other_words(key, raw, kind)
            self.fault(table, key, f"expected {expected(kind)}, got {found}{better}")
            return None
        except ValueError as error:
            self.fault(table, key, str(error))
            return None
        return Entry(key, value, ", ".join([self.source(table), *references]))

    def passes(
        self, table: str, key: str, check: Callable[..., object], *values: str
    ) -> bool:
        """Whether a check finds no fault; a fault is kept."""
        try:
            check(*values)
        except ValueError as error:
            self.fault(table, key, str(error))
            return False
        return True

    def known_value(
        self, table: str, key: str, raw: object, known: Mapping[str, Any]
    ) -> Entries:
        """The entry of a key that must be one of `known`; empty after a fault."""
        if key not in known:
            self.fault(table, key_name(key), unknown_key(table, key, raw, known))
            return {}
        if key == "trusted_proxies":
            return self.strings(table, key, raw, parse_network)
        secret = f"{table}.{key}" in SECRETS
        entry = self.value(table, key, raw, known[key], secret=secret)
        if entry is None:
            return {}
        if key == "token" and not self.passes(
            table, key, check_token, entry.value, table
        ):
            return {}
        if key == "host" and not self.passes(table, key, check_host, entry.value):
            return {}
        is_address = key == "admin" and entry.value
        if is_address and not self.passes(
            table, key, parse_listen_address, entry.value
        ):
            return {}
        return {key: entry}

    def strings(
        self, table: str, key: str, raw: object, check: Callable[[str], object]
    ) -> Entries:
        """The entry of a key that holds a list of strings, each of them checked."""
        if not isinstance(raw, list):
            fault = f"expected a list of strings, got {described(raw)}"
            better = networks_in(raw) if key == "trusted_proxies" else ""
            self.fault(table, key, fault + (f": write {better}" if better else ""))
            return {}
        entries = []
        for position, content in enumerate(raw, start=1):
            place = f"{key}, item {position}"
            entry = self.value(table, place, content, str)
            if entry and self.passes(table, place, check, entry.value):
                entries.append(entry)
        if len(entries) < len(raw):
            return {}
        sources = [entry.source for entry in entries] or [self.source(table)]
        origins = dict.fromkeys(sources)
        texts = [entry.value for entry in entries]
        return {key: Entry(key, texts, "; ".join(origins))}

    def plain(
        self, table: str, content: object, model: type[msgspec.Struct]
    ) -> Entries:
        """Read a table that holds nothing but single values."""
        entries: Entries = {}
        for key, raw in self.items(table, "", content):
            entries |= self.known_value(table, key, raw, keys_of(model))
        return entries


def unknown_key(table: str, key: str, raw: object, known: Mapping[str, Any]) -> str:
    """What to write instead of a key that its table does not have."""
    name = snake_case(in_ascii(key))
    foreign = table not in UNLIKE_OTHERS
    better = key_advice(table, name, raw) if foreign and name not in known else ""
    if better:
        return f"unknown key: {better}"
    return unknown(key, known, KEYS_ELSEWHERE, raw=raw, foreign=foreign)


def in_other_words(key: str, raw: object, kind: Any) -> str:
    """What to write instead of a value that stands for another one."""
    name = key.partition(",")[0]
    if name == "target" and isinstance(raw, int) and 0 < raw < 65536:
        return f': write "http://localhost:{raw}"'
    if better := better_value(name, raw):
        return f": {better}"
    if not isinstance(raw, str):
        return ""
    if written(raw, kind) is not None:
        return ": remove the quotes"
    plain = in_ascii(raw).strip().strip("\"'")
    seconds = in_seconds(plain, 1) if name.endswith(("_seconds", ".seconds")) else None
    size = in_bytes(plain) if name.endswith("_bytes") else None
    for other in (
        plain,
        plain.lower(),
        plain.lstrip(":"),
        BOOLEANS.get(plain.lower()),
        None if seconds is None else f"{seconds:.15g}",
        None if size is None else str(size),
    ):
        found = None if other is None else written(other, kind)
        if found is not None:
            return f": write {found}"
    return ""


def written(text: str, kind: Any) -> str | None:
    """The value that a text stands for, as TOML writes it; None: for none."""
    try:
        value = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        return None
    if isinstance(value, str):
        return quoted(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


def check_token(token: str, table: str) -> None:
    """What opens a table's part of /_unbuffered/; its value never shows in a message.

    Raises:
        ValueError: says what is wrong with it.
    """
    if token == AUTO and table == "metrics":
        raise ValueError(
            '"auto" is for [inspector] only: who reads the metrics has to know the '
            "token: create one with openssl rand -hex 16"
        )
    if token in ("", AUTO):
        return
    if len(token) < SHORTEST_TOKEN:
        raise ValueError(
            f"the token is too short, it needs at least {SHORTEST_TOKEN} characters: "
            "create one with openssl rand -hex 16"
        )
    if TOKEN.fullmatch(token) is None:
        raise ValueError(
            "the token has characters other than letters, digits and - . _ ~ + / (and "
            "= at its end): create one with openssl rand -hex 16"
        )


def check_host(host: str) -> None:
    """The address to listen on: a name or an address, without a port.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not host:
        raise ValueError(
            'expected an address, such as "127.0.0.1" for this machine only'
        )
    if host == "*":
        raise ValueError(
            'write "::" for all networks, or "0.0.0.0" for those of IPv4 only'
        )
    plain = in_ascii(host).strip()
    address = re.fullmatch(r"(?:\w+://)?(\[[^\]/]+\]|[^:/\s\[\]]*)(?::(\d+))?/?", plain)
    if address is not None and plain != address[1]:
        name = address[1].strip("[]") or "127.0.0.1"
        port = f" and port = {address[2]}" if address[2] else ""
        raise ValueError(
            "expected a plain host name or IP address, got "
            f"{quoted(host)}: write host = {quoted(name)}{port}"
        )
    if plain != host or re.search(r"[\s/\[\]]", host):
        better = f": write {quoted(plain)}" if plain != host else ""
        raise ValueError(
            "expected a plain host name or IP address without scheme, brackets or "
            f"path, got {quoted(host)}{better}"
        )
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(
                f"{quoted(host)} is not a valid IP address; write the port in the "
                "key port"
            ) from None
