"""A configuration in words, for people: what holds, and where it came from.

Values of fields that a route sets are never shown: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from proxy.config.certificate_expiry import expiry_of, expiry_words
from proxy.config.certificates_reader import certificate_name
from proxy.config.fault_options import Fault
from proxy.config.fault_text import key_name, quoted
from proxy.config.kept_options import SWITCHES
from proxy.config.listen_reader import listening_name
from proxy.config.load import PLAIN_TABLES
from proxy.config.model import (
    MASK,
    SECRETS,
    CertificateOptions,
    Config,
    ListenOptions,
    masked,
)
from proxy.config.reader import fields_of
from proxy.config.route import Route
from proxy.config.route_reader import table_name
from proxy.config.store_url import place_of
from proxy.config.target import Target
from proxy.quantities import counted
from proxy.timeline import wall_clock

DEFAULT = "default"
INDENT = "  "
FLAGS = ("ws", "change_origin", "resume", "share")


def report(config: Config, *, everything: bool = True) -> str:
    """Each table with its keys, their effective values and sources.

    `everything`: also what is as it would be without being written.
    """
    tables = [(name, getattr(config, name)) for name in PLAIN_TABLES]
    tables += [
        (listening_name(number), each)
        for number, each in enumerate(config.listen, start=1)
    ]
    tables += [
        (certificate_name(number), each)
        for number, each in enumerate(config.certificate, start=1)
    ]
    tables += [(table_name(prefix), route) for prefix, route in config.routes.items()]
    sections = [
        (
            name if name.startswith("[[") else f"[{name}]",
            [
                (key, shown(name, key, value, source), source)
                for key, value in leaves(table)
                for source in [config.sources.get(f"{name}.{key}", DEFAULT)]
                if everything or differs(key, value, plain)
            ],
        )
        for name, table in tables
        for plain in [default_leaves(table, config)]
    ]
    sections = [(title, rows) for title, rows in sections if rows]
    # One set of columns for all tables, so that the eye runs down the sources.
    widths = column_widths([row for _, rows in sections for row in rows])
    return "\n\n".join(
        "\n".join([title, *(INDENT + aligned(row, widths) for row in rows)])
        for title, rows in sections
    )


def verdict(config: Config) -> str:
    """How many routes there are, and whether anything is wrong with them."""
    warnings = len(config.warnings)
    noticed = f", {counted(warnings, 'warning')}" if warnings else ""
    return f"{counted(len(config.routes), 'route')}, no fault{noticed}"


def expiry_lines(config: Config) -> Iterator[str]:
    """When each certificate expires."""
    named = [("[server]", config.server.tls_certificate)]
    for number, each in enumerate(config.listen, start=1):
        named.append((listening_name(number), each.tls_certificate))
    for number, more in enumerate(config.certificate, start=1):
        named.append((certificate_name(number), more.tls_certificate))
    for table, file in named:
        expires = expiry_of(file) if file else None
        if expires is not None:
            words = expiry_words(expires, wall_clock())
            yield f"{table} tls_certificate: {words}"


def default_leaves(table: msgspec.Struct, config: Config) -> dict[str, object]:
    """What the keys below a table are where nobody writes them."""
    kind = type(table)
    given: dict[str, object] = {}
    if isinstance(table, CertificateOptions):
        given = {"tls_certificate": None}
    if isinstance(table, ListenOptions):
        given = {"host": config.server.host, "port": None}
    if isinstance(table, Route):
        given = {"prefix": "", "targets": None}
        given |= {name: model() for name, model in SWITCHES.items()}
    return dict(leaves(kind(**given))) | dict.fromkeys(SWITCHES, False)


def differs(key: str, value: object, plain: Mapping[str, object]) -> bool:
    """Is it another value than that of `default_leaves`?"""
    return key not in plain or plain[key] != value


def leaves(table: msgspec.Struct, path: str = "") -> Iterator[tuple[str, object]]:
    """Each key below a table with its value; an empty table is a value."""
    fields = fields_of(type(table))
    values = {key: getattr(table, each.name) for key, each in fields.items()}
    if isinstance(table, Route):  # what tells routes apart comes first
        own = ("target", "path_rewrite")
        values = {name: values[name] for name in own} | values
    for name, value in values.items():
        if name in SWITCHES:  # it may be said by true or false alone
            yield path + name, value is not None
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, f"{path}{name}.")
        elif isinstance(value, dict) and value:
            for key, each in value.items():
                yield f"{path}{name}.{key_name(key)}", each
        elif name not in SWITCHES:
            yield path + name, value


def shown(table: str, key: str, value: object, source: str) -> str:
    """A value as TOML writes it, or a mask."""
    if f"{table}.{key}" in SECRETS and masked(str(value)) == MASK:
        return quoted(place_of(str(value))) if key == "url" else MASK
    if key.startswith("headers.") and (".set." in key or "${" in source):
        return MASK
    if key.startswith("path_rewrite."):
        return quoted(rewritten(str(value), source))
    return as_toml(value)


def rewritten(replacement: str, source: str) -> str:
    """What a rule writes. Keys of an API stand in queries: not from a variable."""
    return without_query(replacement) if "${" in source else replacement


def without_query(path: str) -> str:
    """Its query masked."""
    bare, mark, _ = path.partition("?")
    return f"{bare}{mark}{MASK if mark else ''}"


def as_toml(value: object) -> str:
    match value:
        case None:
            return "same as change_origin"  # redirect_rewrite, unless it is said
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return f"{value:.15g}"
        case (Target(text=only),):
            return quoted(only)
        case list() | tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case dict():
            return "{}"
        case Fault():
            return inline_table(value)
    return quoted(str(value))


def inline_table(value: msgspec.Struct) -> str:
    """A table on one line, without the keys that have their defaults."""
    fields = fields_of(type(value)).items()
    keys = {key: (getattr(value, each.name), each.default) for key, each in fields}
    parts = [f"{k} = {as_toml(v)}" for k, (v, default) in keys.items() if v != default]
    return f"{{ {', '.join(parts)} }}"


def fault_lines(config: Config) -> list[str]:
    """Which routes break their streams on purpose, and how."""
    return [
        f"FAULTS: {prefix}: {'; '.join(map(str, route.fault))}"
        for prefix, route in config.routes.items()
        if route.fault
    ]


def route_table(config: Config) -> str:
    """The routes for the start banner: where they lead, and how."""
    rows = [("route", "target", "path_rewrite", "flags")]
    rows += [
        (
            prefix,
            ", ".join(target.text for target in route.targets),
            ", ".join(
                f"{pattern} -> {shown_rule(config, prefix, pattern) or quoted('')}"
                for pattern in route.path_rewrite
            )
            or "-",
            " ".join(flag for flag in FLAGS if getattr(route, flag)) or "-",
        )
        for prefix, route in config.routes.items()
    ]
    widths = column_widths(rows)
    return "\n".join(aligned(row, widths) for row in rows)


def shown_rule(config: Config, prefix: str, pattern: str) -> str:
    """The replacement of a rule of a route, masked where that is due."""
    place = f"{table_name(prefix)}.path_rewrite.{key_name(pattern)}"
    replacement = config.routes[prefix].path_rewrite[pattern]
    return rewritten(replacement, config.sources.get(place, DEFAULT))


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()
