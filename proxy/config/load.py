"""From a file, or from `--route` flags, to a Config; all faults at once.

Pure but for reading the file: the environment is handed in, nothing is logged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from proxy.config.certificate import read_certificate
from proxy.config.fault_text import key_name, unknown
from proxy.config.kept_checks import check_kept
from proxy.config.model import Config, ServerOptions
from proxy.config.packages import check_packages
from proxy.config.reader import DEFAULTS, KEYS_ELSEWHERE, Entries, Reader, keys_of
from proxy.config.route import RouteOptions
from proxy.config.route_reader import Options, read_options, read_routes, table_name
from proxy.config.worker_count import check_workers
from proxy.errors import ConfigError

PLAIN_TABLES: dict[str, type[Struct]] = {
    name: kind
    for name, kind in keys_of(Config).items()
    if isinstance(kind, type) and issubclass(kind, Struct)
}
TABLES = (*PLAIN_TABLES, DEFAULTS, "routes")
NO_ROUTES = (
    'there are no routes: write [routes."/sse"] with target = "http://localhost:8002"'
)

SYNTAX_FAULT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")
UNQUOTED_PREFIX = re.compile(r"\s*\[\s*routes\s*\.\s*(/[^\]\s]*)")
TABLE = re.compile(r"\s*+\[++([^#]*)\]\s*+(?:#.*)?$")
KEY = re.compile(r"([^=#]*+)=")
# What the parser says in its own terms, in those of a person with an editor.
SYNTAX_WORDS = {
    r"Cannot overwrite a value": "this key is set twice",
    r"Duplicate inline table key .*": "this key is set twice",
    r"Cannot declare .* twice": "this table is declared twice",
    r"Cannot (?:mutate immutable|redefine) namespace .*": (
        "this key already has a value, set further up; it cannot also be a table"
    ),
    r"Invalid value": (
        "not a valid value: write text in quotes, true and false without"
    ),
}


def load(
    path: Path, environ: Mapping[str, str], overrides: Mapping[str, object] = {}
) -> Config:
    """Read a configuration file.

    `overrides` is what the command line says, keyed like "server.port"; None
    means that it says nothing. It wins over the file.

    Raises:
        ConfigError: has one line for every fault.
    """
    document = read_document(path)
    return build(Reader(str(path), environ), document, overrides)


def from_routes(
    routes: Mapping[str, str], overrides: Mapping[str, object] = {}
) -> Config:
    """A configuration without a file, from prefix = target pairs.

    Each route sends the target's host, strips its prefix and tunnels upgrades, as a
    person who types one line before a dev server expects; `/` has nothing to strip.

    Raises:
        ConfigError: has one line for every fault.
    """
    tables: dict[str, dict[str, object]] = {}
    for prefix, target in routes.items():
        tables[prefix] = {"target": target, "change_origin": True, "ws": True}
        if prefix != "/":
            tables[prefix]["path_rewrite"] = {f"^{re.escape(prefix)}": ""}
    return build(Reader("--route", {}, lax=True), {"routes": tables}, overrides)


def build(
    reader: Reader, document: Mapping[str, object], overrides: Mapping[str, object]
) -> Config:
    """Read all tables, then refuse them together or put them together."""
    for name in document:
        if name not in TABLES:
            check_table(reader, name, document[name])
    plain = {
        name: reader.plain(name, document.get(name, {}), model)
        for name, model in PLAIN_TABLES.items()
    }
    override(reader, plain, overrides)
    read_certificate(reader, plain["server"])
    check_workers(reader, plain["server"])
    check_packages(reader, plain["tracing"])
    defaults = read_options(reader, DEFAULTS, document.get(DEFAULTS, {}), RouteOptions)
    routes = read_routes(reader, document.get("routes", {}), defaults)
    if document.get("routes", {}) == {}:
        reader.fault("routes", "", NO_ROUTES)
    check_loops(reader, values(plain["server"]), routes)
    check_schemes(reader, routes)
    check_heartbeats(reader, routes)
    check_kept(reader, routes)
    if reader.faults:
        raise ConfigError(reader.faults)
    tables: dict[str, Any] = {
        name: model(**values(plain[name])) for name, model in PLAIN_TABLES.items()
    }
    return Config(
        **tables,
        routes={prefix: options.route(prefix) for prefix, options in routes.items()},
        sources=dict(sources(plain, routes)),
        warnings=tuple(reader.warnings),
    )


def check_table(reader: Reader, name: str, content: object) -> None:
    """Say where a table or a key belongs that the top level does not know."""
    if not isinstance(content, dict):
        reader.fault("", key_name(name), unknown(name, TABLES, KEYS_ELSEWHERE))
    elif name.startswith("/"):
        reader.fault(key_name(name), "", f"write [{table_name(name)}]")
    else:
        message = unknown(name, TABLES, {}, kind="table")
        reader.fault(key_name(name), "", message)


def override(
    reader: Reader, plain: Mapping[str, Entries], overrides: Mapping[str, object]
) -> None:
    """Let the command line win over the file."""
    for path, raw in overrides.items():
        if raw is None:
            continue
        table, _, key = path.partition(".")
        name = key if table == "server" else f"{table}-{key}"
        flag = Reader("--" + name.replace("_", "-"), {}, lax=True)
        known = keys_of(PLAIN_TABLES[table])
        plain[table].update(flag.known_value(table, key, raw, known))
        reader.faults += flag.faults


def values(entries: Entries) -> dict[str, Any]:
    return {key: entry.value for key, entry in entries.items()}


def sources(
    plain: Mapping[str, Entries], routes: Mapping[str, Options]
) -> Iterator[tuple[str, str]]:
    """Where every value came from that is not the default of the model."""
    for table, entries in plain.items():
        for key, entry in entries.items():
            yield f"{table}.{key}", entry.source
    for prefix, options in routes.items():
        for key, source in options.sources():
            yield f"{table_name(prefix)}.{key}", source


def check_loops(
    reader: Reader, server: Mapping[str, Any], routes: Mapping[str, Options]
) -> None:
    """A route to our own listener would call itself without end."""
    default = ServerOptions()
    own = (server.get("host", default.host), server.get("port", default.port))
    for prefix, options in routes.items():
        entry = options.values.get("target")
        for target in entry.value if entry else ():
            if (target.host, target.port) == own:
                message = f"{target} is the address of the proxy (see [server])"
                reader.fault(table_name(prefix), "target", message)


def check_schemes(reader: Reader, routes: Mapping[str, Options]) -> None:
    """A target that says WebSocket, on a route that tunnels none."""
    for prefix, options in routes.items():
        targets, ws = options.values.get("target"), options.values.get("ws")
        for target in targets.value if targets and not (ws and ws.value) else ():
            if target.text.lower().startswith(("ws:", "wss:")):
                message = (
                    f"{target} is a WebSocket URL, but ws is "
                    f"{'false' if ws else 'not set'}: write ws = true"
                )
                reader.fault(table_name(prefix), "target", message)


def check_heartbeats(reader: Reader, routes: Mapping[str, Options]) -> None:
    """A response that begins early has nothing to say without heartbeats."""
    for prefix, options in routes.items():
        early = options.values.get("heartbeat_before_head")
        seconds = options.values.get("heartbeat_seconds")
        if early and early.value and not (seconds and seconds.value):
            message = (
                f"needs heartbeats, but heartbeat_seconds is "
                f"{'0' if seconds else 'not set'}: write heartbeat_seconds = 15"
            )
            reader.fault(table_name(prefix), "heartbeat_before_head", message)


def read_document(path: Path) -> dict[str, object]:
    """The tables of a file as TOML gives them.

    Raises:
        ConfigError: the file cannot be read, or is no TOML. It has no cause: one
            is a fault of ours to whoever reloads (`reload.faults_of`).
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        advice = (
            "name a file with --config FILE, or use --route /prefix=http://host:port"
        )
        raise ConfigError([f"{path}: no such file: {advice}"]) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    try:
        # Some editors begin a file with a byte order mark; it means nothing.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{path}: line {line}: not valid UTF-8: save the file in UTF-8"
        raise ConfigError([message]) from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: {syntax_fault(text, error)}"]) from None


def syntax_fault(text: str, error: Exception) -> str:
    """What the parser met, and where. The line itself may hold a secret."""
    found = SYNTAX_FAULT.fullmatch(str(error))
    if found is None:
        return f"not valid TOML: {str(error).partition(';')[0]}"
    message, line, column = found.groups()
    lines = text.split("\n")
    if line is None:
        line, column = str(len(lines)), str(len(lines[-1]) + 1)
    unquoted = UNQUOTED_PREFIX.match(lines[int(line) - 1])
    if unquoted:
        message = f"write the prefix in quotes: [{table_name(unquoted[1])}]"
    for words, better in SYNTAX_WORDS.items():
        message = re.sub(words, better, message)
    place = place_of(lines[: int(line)], int(column)) if "twice" in message else ""
    return f"line {line}, column {column}: {place}{message[:1].lower()}{message[1:]}"


def place_of(lines: list[str], column: int) -> str:
    """The table and the key at the end of `lines`: names, which are no secrets."""
    *before, last = lines
    tables = [
        (number, found[1].strip(" \t]"))
        for number, line in enumerate(before, start=1)
        if (found := TABLE.match(line))
    ]
    header = TABLE.match(last)
    if header is not None:
        table = header[1].strip(" \t]")
        first = next((n for n, name in tables if name == table), None)
        known = f" (first in line {first})" if first else ""
        return f"[{table}]{known}: "
    key = KEY.match(last[:column])
    where = f"[{tables[-1][1]}] " if tables else ""
    return (
        f"{where}{key[1].strip()}: " if key else f"{where.strip()}: " if where else ""
    )
