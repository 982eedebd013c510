"""`[defaults]` and the `[routes."/prefix"]` tables, read and put together.

path_rewrite is judged here as rewriting uses it: a pattern by `re`, a
replacement as in JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.config.client_by import read_client_by
from proxy.config.cookie_options import COOKIE_TABLES, read_cookie_table
from proxy.config.fault_reader import read_faults
from proxy.config.fault_text import key_name, quoted, shortened
from proxy.config.header_rules import (
    FieldChanges,
    HeaderChanges,
    merge_headers,
    read_headers,
)
from proxy.config.kept_options import SWITCHES
from proxy.config.kept_reader import Switch, read_switch
from proxy.config.path_rules import check_rule, rewritten
from proxy.config.paths import (
    check_route,
    like_a_pattern,
    normal_route,
    without_pattern,
)
from proxy.config.reader import Entries, Reader, keys_of
from proxy.config.route import Route, RouteOptions
from proxy.config.route_hosts import route_place
from proxy.config.target import corrected
from proxy.config.upstream_options import (
    read_balance,
    read_ca_file,
    read_health_path,
    read_targets,
)

MODEL_NAMES = {"target": "targets"}  # where key and field differ
READERS = {
    "balance": read_balance,
    "ca_file": read_ca_file,
    "client_by": read_client_by,
    "health_path": read_health_path,
}


@dataclass(slots=True)
class Options:
    """What one table says: single values, path_rewrite, field changes, switches."""

    values: Entries = field(default_factory=dict)
    rules: Entries = field(default_factory=dict)
    headers: HeaderChanges = field(default_factory=HeaderChanges)
    switches: dict[str, Switch] = field(default_factory=dict)

    def over(self, defaults: Options) -> Options:
        """These options where they say something, the defaults elsewhere."""
        return Options(
            defaults.values | self.values,
            self.rules,
            merge_headers(defaults.headers, self.headers),
            {name: self.said(name).over(defaults.said(name)) for name in SWITCHES},
        )

    def said(self, name: str) -> Switch:
        """What is said of `resume` or `share`."""
        return self.switches.get(name, Switch())

    def route(self, prefix: str) -> Route:
        """The route as the model has it."""
        return Route(
            prefix=prefix,
            headers=self.headers.rules(),
            path_rewrite={pattern: e.value for pattern, e in self.rules.items()},
            **{MODEL_NAMES.get(k, k): e.value for k, e in self.values.items()},
            **{k: self.said(k).options(model) for k, model in SWITCHES.items()},
        )

    def sources(self) -> Iterator[tuple[str, str]]:
        """Each key that is not at its default, and where its value came from."""
        for key, entry in self.values.items():
            yield key, entry.source
            if isinstance(entry.value, dict):
                for name in entry.value:
                    yield f"{key}.{key_name(name)}", entry.source
        for pattern, entry in self.rules.items():
            yield f"path_rewrite.{key_name(pattern)}", entry.source
        for direction in ("request", "response"):
            changes: FieldChanges = getattr(self.headers, direction)
            path = f"headers.{direction}"
            for entry in changes.set.values():
                yield f"{path}.set.{key_name(entry.name)}", entry.source
            if changes.remove:
                origins = dict.fromkeys(e.source for e in changes.remove.values())
                yield f"{path}.remove", "; ".join(origins)
        for name, switch in self.switches.items():
            yield from switch.sources(name)


def table_name(prefix: str) -> str:
    """How the table of a route is called in faults and sources."""
    return f"routes.{quoted(prefix)}"


def read_routes(reader: Reader, raw: object, defaults: Options) -> dict[str, Options]:
    """Read all routes, in their order; what they leave open is as in `defaults`."""
    routes = {}
    seen: dict[str, str] = {}
    if isinstance(raw, list):
        reader.fault("routes", "", 'write one table [routes."/prefix"] for each route')
        return {}
    for prefix, content in reader.items("routes", "", raw):
        table = table_name(prefix)
        if isinstance(content, list):
            reader.fault(table, "", f"write [{table}] in single brackets")
            continue
        if host := unquoted_host(prefix, content):
            better = table_name(f"{host}/")
            reader.fault(table, "", f"a host stands in quotes: write [{better}]")
            continue
        twin = seen.setdefault(normal_route(prefix), table)
        if twin != table:
            same = "path" if prefix.startswith("/") else "host and path"
            line = reader.line_of(twin)
            where = f" in line {line}" if line else ""
            reader.fault(table, "prefix", f"the same {same} as [{twin}]{where}")
        elif reader.passes(table, "prefix", check_route, prefix):
            warn_of_host(reader, table, prefix)
            warn_of_pattern(reader, table, prefix)
        if isinstance(content, str):  # the short form of a dev server
            better = f"target = {shortened(corrected(content) or content)}"
            reader.fault(table, "", f"expected a table: write {better} in it")
            continue
        own = read_options(reader, table, content, Route)
        if isinstance(content, dict) and "target" not in content:
            advice = 'missing: write target = "http://host:port"'
            reader.fault(table, "target", advice)
        warn_of_doubled_path(reader, table, prefix, own)
        routes[prefix] = own.over(defaults)
    return routes


def unquoted_host(name: str, content: object) -> str:
    """`[routes.api.example.com]`, which TOML takes for tables in tables; "" if not."""
    labels = [name]
    while isinstance(content, dict) and len(content) == 1:
        ((label, content),) = content.items()
        if not isinstance(content, dict) or label in keys_of(Route):
            break
        labels.append(label)
    return ".".join(labels) if len(labels) > 1 and "/" not in labels[0] else ""


def warn_of_host(reader: Reader, table: str, name: str) -> None:
    """A path without its slash looks like a host."""
    host, path = route_place(name)
    if re.fullmatch("[a-z0-9_-]+", host) and host != "localhost" and path != "/":
        message = f"is for the host {host}; for a path write {quoted(f'/{name}')}"
        reader.warn(table, "prefix", message)


def warn_of_doubled_path(
    reader: Reader, table: str, prefix: str, options: Options
) -> None:
    """The path of a target comes before that of the request, which may have it, too."""
    entry = options.values.get("target")
    below = f"{route_place(prefix).path.rstrip('/')}/x"
    sent = rewritten({key: e.value for key, e in options.rules.items()}, below)
    for target in entry.value if entry else ():
        path = target.path.decode("ascii")
        if path and sent is not None and sent.startswith(f"{path}/"):
            bare = target.text.rstrip("/").removesuffix(path)
            message = (
                f"the path {path} is doubled, {below} is sent as {path}{sent}: write "
                f"{quoted(bare)}, or a path_rewrite that removes it"
            )
            reader.warn(table, "target", message)


def warn_of_pattern(reader: Reader, table: str, prefix: str) -> None:
    """A prefix is taken as it stands, whatever else it may have been meant as."""
    found = like_a_pattern(prefix)
    if found:
        host, path = route_place(prefix)
        better = quoted(host + without_pattern(path))
        message = (
            f"{found} is taken as it stands, prefixes are not patterns: write "
            f"{better}, which matches every path below it"
        )
        reader.warn(table, "prefix", message)


def read_options(
    reader: Reader, table: str, content: object, model: type[RouteOptions]
) -> Options:
    """Read `[defaults]` or the table of one route."""
    options = Options()
    known = keys_of(model)
    for key, raw in reader.items(table, "", content):
        if key == "headers":
            options.headers = read_headers(reader, table, raw)
        elif key == "path_rewrite" and key in known:
            options.rules = read_rules(reader, table, raw)
        elif key == "target" and key in known:
            options.values |= read_targets(reader, table, raw)
        elif key == "fault" and key in known:
            options.values |= read_faults(reader, table, raw)
        elif key in COOKIE_TABLES:
            options.values |= read_cookie_table(reader, table, key, raw)
        elif key in SWITCHES:
            options.switches[key] = read_switch(reader, table, key, raw)
        elif key in READERS:
            options.values |= READERS[key](reader, table, raw)
        else:
            options.values |= reader.known_value(table, key, raw, known)
    return options


def read_rules(reader: Reader, table: str, raw: object) -> Entries:
    """Read path_rewrite; its patterns are taken as they stand."""
    rules: Entries = {}
    for pattern, replacement in reader.items(table, "path_rewrite", raw):
        key = f"path_rewrite.{key_name(pattern)}"
        entry = reader.value(table, key, replacement, str)
        if entry and reader.passes(table, key, check_rule, pattern, entry.value):
            rules[pattern] = entry
    return rules
