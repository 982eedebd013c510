"""A configuration from values of a program, or from a file, with defaults of a library.

The checks are those of a file; all faults are told at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from proxy.config.fault_text import described, key_name, quoted
from proxy.config.load import build, read_document, short_route
from proxy.config.model import Config
from proxy.config.reader import Reader

ORIGIN = "Proxy"
DRAIN_SECONDS = 1.0  # the 10 s of `serve` are long at the end of a test
Routes: TypeAlias = Mapping[str, "str | Mapping[str, object]"]


def given_config(
    routes: Routes,
    tables: Mapping[str, object],
    host: str | None = None,
    port: int | None = None,
) -> Config:
    """The configuration that a program has written as mappings.

    Raises:
        ConfigError: has one line for every fault.
    """
    reader = Reader(ORIGIN, os.environ)
    document = plain_tables(reader, {**tables, "routes": tables_of(routes)})
    server = document.setdefault("server", {})
    if isinstance(server, dict):
        server.setdefault("host", "127.0.0.1")
        server.setdefault("port", 0)
        check_workers(reader, server)
    return build(reader, with_defaults(document, host, port), {})


def config_of_file(
    path: Path,
    routes: Routes | None = None,
    host: str | None = None,
    port: int | None = None,
) -> Config:
    """The configuration of a file; with other routes than its own, if they are given.

    Raises:
        ConfigError: has one line for every fault.
    """
    reader = Reader(str(path), os.environ)
    # Other routes than its own are not in a line of the file.
    document = read_document(path, reader if routes is None else None)
    if routes is not None:
        document["routes"] = plain_value(reader, "routes", tables_of(routes))
    server = document.setdefault("server", {})
    if isinstance(server, dict):
        server["workers"] = 1  # of one process, whatever the file is for
    return build(reader, with_defaults(document, host, port), {})


def with_defaults(
    document: dict[str, object], host: str | None, port: int | None
) -> dict[str, object]:
    """A document with the defaults of a library, and with what is said beside it."""
    server = document.setdefault("server", {})
    if isinstance(server, dict):
        server.setdefault("drain_seconds", DRAIN_SECONDS)
        said = {"host": host, "port": port}
        server.update({key: value for key, value in said.items() if value is not None})
    log = document.setdefault("log", {})
    if isinstance(log, dict):
        log.setdefault("access", False)
    return document


def check_workers(reader: Reader, server: Mapping[str, object]) -> None:
    """A Proxy cannot be several processes."""
    if server.get("workers", 1) != 1:
        reader.fault(
            "server",
            "workers",
            "a Proxy runs in the process that starts it: leave workers out, or run "
            "unbuffered serve --workers",
        )


def tables_of(routes: object) -> object:
    """Routes with a table each: a mere address is what `--route` makes of it."""
    if not isinstance(routes, Mapping):
        return routes
    return {
        prefix: short_route(str(prefix), literal(route))
        if isinstance(route, str)
        else route
        for prefix, route in routes.items()
    }


def literal(text: str) -> str:
    """A text in which nothing refers to the environment."""
    return text.replace("${", "$${")


def plain_tables(reader: Reader, tables: Mapping[str, object]) -> dict[str, object]:
    """The same as a TOML file would give it."""
    return {name: plain_value(reader, name, table) for name, table in tables.items()}


def plain_value(reader: Reader, place: str, value: object) -> object:
    """A value as TOML would give it: dict for any mapping, list for a tuple.

    A key that is not a string is a fault, and left out.
    """
    match value:
        case Mapping():
            found: dict[str, object] = {}
            for key, content in value.items():
                if isinstance(key, str):
                    name = quoted(key) if place == "routes" else key_name(key)
                    inner = f"{place}.{name}"
                    found[key] = plain_value(reader, inner, content)
                else:
                    message = f"expected a string as a key, got {described(key)}"
                    reader.fault(place, "", message)
            return found
        case list() | tuple():
            return [plain_value(reader, place, content) for content in value]
        case os.PathLike():
            return os.fspath(value)
    return value
