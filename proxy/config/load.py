"""From a file, or from `--route` flags, to a Config; all faults at once.

Pure but for reading the file: the environment is handed in, nothing is logged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from proxy.config.admin_checks import check_admin
from proxy.config.certificate import read_certificate
from proxy.config.certificates_reader import (
    CERTIFICATES,
    certificate_name,
    read_certificates,
)
from proxy.config.dangers import dangers
from proxy.config.exposed_files import exposed_secrets
from proxy.config.fault_reader import check_allowed
from proxy.config.fault_text import key_name, snake_case, unknown
from proxy.config.file_format import encoding_fault
from proxy.config.kept_checks import check_kept
from proxy.config.key_advice import key_advice, table_advice
from proxy.config.listen_reader import LISTEN, Listening, listening_name, read_listen
from proxy.config.lookalikes import in_ascii
from proxy.config.model import CertificateOptions, Config, ListenOptions
from proxy.config.own_address import check_loops
from proxy.config.packages import check_packages
from proxy.config.reader import DEFAULTS, KEYS_ELSEWHERE, Entries, Reader, keys_of
from proxy.config.route import RouteOptions
from proxy.config.route_hosts import route_place
from proxy.config.route_reader import Options, read_options, read_routes, table_name
from proxy.config.store_checks import check_store
from proxy.config.suggestions import near
from proxy.config.syntax_fault import syntax_fault
from proxy.config.worker_count import check_workers
from proxy.errors import ConfigError

PLAIN_TABLES: dict[str, type[Struct]] = {
    name: kind
    for name, kind in keys_of(Config).items()
    if isinstance(kind, type) and issubclass(kind, Struct)
}
TABLES = (*PLAIN_TABLES, LISTEN, CERTIFICATES, DEFAULTS, "routes")
NO_ROUTES = (
    'there are no routes: write [routes."/sse"] with target = "http://localhost:8002"'
)

HEALTH_KEYS = (
    "health_interval_seconds",
    "health_timeout_seconds",
    "unhealthy_after",
    "healthy_after",
)


def load(
    path: Path, environ: Mapping[str, str], overrides: Mapping[str, object] = {}
) -> Config:
    """Read a configuration file.

    `overrides` is what the command line says, keyed like "server.port"; None
    means that it says nothing. It wins over the file.

    Raises:
        ConfigError: has one line for every fault.
    """
    reader = Reader(str(path), environ)
    return build(reader, read_document(path, reader), overrides)


def from_routes(
    routes: Mapping[str, str], overrides: Mapping[str, object] = {}
) -> Config:
    """A configuration without a file, from prefix = target pairs.

    Each route sends the target's host, strips its prefix and tunnels upgrades, as a
    person who types one line before a dev server expects; `/` has nothing to strip.

    Raises:
        ConfigError: has one line for every fault.
    """
    tables = {prefix: short_route(prefix, routes[prefix]) for prefix in routes}
    return build(Reader("--route", {}, lax=True), {"routes": tables}, overrides)


def short_route(prefix: str, target: str) -> dict[str, object]:
    """The table of a route of which nothing but the target is said."""
    table: dict[str, object] = {"target": target, "change_origin": True, "ws": True}
    path = route_place(prefix).path
    if path != "/":
        table["path_rewrite"] = {f"^{re.escape(path)}": ""}
    return table


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
    check_admin(reader, plain)
    check_packages(reader, plain["tracing"])
    check_tokens(reader, plain)
    check_store(reader, plain["store"])
    defaults = read_options(reader, DEFAULTS, document.get(DEFAULTS, {}), RouteOptions)
    routes = read_routes(reader, document.get("routes", {}), defaults)
    if document.get("routes", {}) == {}:
        reader.fault("routes", "", NO_ROUTES)
    listen = read_listen(reader, document.get(LISTEN, []), plain["server"])
    listeners = [plain["server"], *listen]
    certificates = read_certificates(reader, document.get(CERTIFICATES, []), listeners)
    check_loops(reader, values(plain["server"]), listen, routes)
    check_schemes(reader, routes)
    check_heartbeats(reader, routes)
    check_health(reader, routes)
    check_kept(reader, routes)
    check_allowed(
        reader,
        values(plain["server"]),
        [(table_name(prefix), options.values) for prefix, options in routes.items()],
    )
    if reader.faults:
        raise ConfigError(reader.faults)
    tables: dict[str, Any] = {
        name: model(**values(plain[name])) for name, model in PLAIN_TABLES.items()
    }
    config = Config(
        **tables,
        listen=tuple(ListenOptions(**values(each)) for each in listen),
        certificate=tuple(CertificateOptions(**values(each)) for each in certificates),
        routes={prefix: options.route(prefix) for prefix, options in routes.items()},
        sources=dict(sources(plain, listen, certificates, routes)),
    )
    warn_of_dangers(reader, config)
    return structs.replace(config, warnings=tuple(reader.warnings))


def warn_of_dangers(reader: Reader, config: Config) -> None:
    """What opens more than somebody may have meant, each where it is written."""
    found = [*dangers(config), *exposed_secrets(config, reader.origin)]
    places = [
        each._replace(table=DEFAULTS)
        if config.sources.get(f"{each.table}.{each.key}") == reader.source(DEFAULTS)
        else each
        for each in found
    ]
    for danger in dict.fromkeys(places):
        reader.warn(*danger)


def check_table(reader: Reader, name: str, content: object) -> None:
    """Say where a table or a key belongs that the top level does not know."""
    plain = snake_case(name)
    if not isinstance(content, dict):
        better = key_advice("", plain, content)
        better = f"unknown key: {better}" if better else ""
        message = better or one_of_several(plain, content)
        message = message or unknown(name, TABLES, KEYS_ELSEWHERE)
        reader.fault("", key_name(name), message)
    elif name.startswith("/"):
        reader.fault(key_name(name), "", f"write [{table_name(name)}]")
    else:
        better = table_advice(plain, content)
        better = f"unknown table: {better}" if better else ""
        message = better or one_of_several(plain, content)
        message = message or unknown(name, TABLES, {}, kind="table")
        reader.fault(key_name(name), "", message)


def one_of_several(name: str, content: object) -> str:
    """What to write that has two brackets; "": it is something else."""
    tables = content if isinstance(content, list) else [content]
    found = near(in_ascii(name), TABLES)
    if found not in ([LISTEN], [CERTIFICATES]) or not all(
        isinstance(each, dict) for each in tables
    ):
        return ""
    return f"unknown table: write [[{found[0]}]]"


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
        for found, entry in flag.known_value(table, key, raw, known).items():
            before = plain[table].get(found)
            if before is not None and before.source != entry.source:
                entry = replace(entry, source=f"{entry.source}, not {before.source}")
            plain[table][found] = entry
        reader.faults += flag.faults


def values(entries: Entries) -> dict[str, Any]:
    return {key: entry.value for key, entry in entries.items()}


def sources(
    plain: Mapping[str, Entries],
    listen: Listening,
    certificates: Sequence[Entries],
    routes: Mapping[str, Options],
) -> Iterator[tuple[str, str]]:
    """Where every value came from that is not the default of the model."""
    several = {listening_name(n): each for n, each in enumerate(listen, start=1)}
    several |= {certificate_name(n): each for n, each in enumerate(certificates, 1)}
    for table, entries in {**plain, **several}.items():
        for key, entry in entries.items():
            yield f"{table}.{key}", entry.source
    for prefix, options in routes.items():
        for key, source in options.sources():
            yield f"{table_name(prefix)}.{key}", source


def check_tokens(reader: Reader, plain: Mapping[str, Entries]) -> None:
    """Warn where a token does not do what somebody may expect of it."""
    for table in ("inspector", "metrics"):
        said = values(plain[table])
        token, enabled = said.get("token"), said.get("enabled")
        if token and enabled is False:
            reader.warn(table, "token", "opens nothing, since enabled is false")


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


def check_health(reader: Reader, routes: Mapping[str, Options]) -> None:
    """What a route itself says of health checks, without having any."""
    for prefix, options in routes.items():
        path = options.values.get("health_path")
        if path is not None and path.value:
            continue
        for key in HEALTH_KEYS:
            entry = options.values.get(key)
            if entry is not None and entry.source != reader.source(DEFAULTS):
                message = 'has no effect without health_path: write health_path = "/"'
                reader.warn(table_name(prefix), key, message)


def absence_advice(path: Path) -> str:
    """What to do about a file that is missing; an editor may have called it .txt."""
    found = path.with_name(f"{path.name}.txt")
    if found.is_file():
        return f"rename {found.name}, which is there, to {path.name}"
    return "name a file with --config FILE, or use --route /prefix=http://host:port"


def read_document(path: Path, reader: Reader | None = None) -> dict[str, object]:
    """The tables of a file as TOML gives them; `reader` knows its lines then.

    Raises:
        ConfigError: the file cannot be read, or is no TOML. It has no cause: one
            is a fault of ours to whoever reloads (`reload.faults_of`).
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file: {absence_advice(path)}"]) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    fault = encoding_fault(content)
    if fault:
        raise ConfigError([f"{path}: {fault}"])
    # Some editors begin a file with a byte order mark; it means nothing.
    text = content.decode("utf-8-sig").replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: {syntax_fault(text, error)}"]) from None
    if reader is not None:
        reader.text = text
    return document
