"""`[defaults]` and the `[routes."/prefix"]` tables, read and put together.

path_rewrite is judged here as rewriting uses it: a pattern by `re`, a
replacement as in JavaScript.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.config.cookie_options import COOKIE_TABLES, read_cookie_table
from proxy.config.fault_text import key_name, quoted, shortened
from proxy.config.header_rules import (
    FieldChanges,
    HeaderChanges,
    merge_headers,
    read_headers,
)
from proxy.config.kept_options import SWITCHES
from proxy.config.kept_reader import Switch, read_switch
from proxy.config.paths import check_prefix, normal_path
from proxy.config.reader import Entries, Reader, keys_of
from proxy.config.route import Route, RouteOptions
from proxy.config.upstream_options import read_ca_file, read_targets

REFERENCE = re.compile(r"\$(?:\$|&|(?P<number>\d{1,2})|<(?P<name>\w+)>)")
PYTHON_REFERENCE = re.compile(r"\\(?:(\d{1,2})|g<(\w+)>)")


MODEL_NAMES = {"target": "targets"}  # where key and field differ


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
    for prefix, content in reader.items("routes", "", raw):
        table = table_name(prefix)
        if reader.passes(table, "prefix", check_prefix, prefix):
            twin = seen.setdefault(normal_path(prefix), table)
            if twin != table:
                reader.fault(table, "prefix", f"the same path as [{twin}]")
        if isinstance(content, str):  # the short form of a dev server
            better = f"target = {shortened(content)}"
            reader.fault(table, "", f"expected a table: write {better} in it")
            continue
        own = read_options(reader, table, content, Route)
        if isinstance(content, dict) and "target" not in content:
            advice = 'missing: write target = "http://host:port"'
            reader.fault(table, "target", advice)
        routes[prefix] = own.over(defaults)
    return routes


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
        elif key in COOKIE_TABLES:
            options.values |= read_cookie_table(reader, table, key, raw)
        elif key in SWITCHES:
            options.switches[key] = read_switch(reader, table, key, raw)
        elif key == "ca_file":
            options.values |= read_ca_file(reader, table, raw)
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


def check_rule(pattern: str, replacement: str) -> None:
    """A rule of path_rewrite: the pattern compiles, its groups exist.

    Raises:
        ValueError: says what is wrong with the rule.
    """
    expression = compiled(pattern)
    foreign = PYTHON_REFERENCE.search(replacement)
    if foreign:
        better = f"${foreign[1]}" if foreign[1] else f"$<{foreign[2]}>"
        raise ValueError(f"{foreign[0]} in the replacement: write {better}")
    for reference in REFERENCE.finditer(replacement):
        number, name = reference["number"], reference["name"]
        exists = int(number or 0) <= expression.groups
        if name is not None:
            exists = name in expression.groupindex
        if not exists:
            raise ValueError(
                f"{reference[0]} in the replacement: "
                f"the pattern has {groups_in_words(expression)}"
            )


def compiled(pattern: str) -> re.Pattern[str]:
    """The compiled pattern; what `re` only warns of is a fault too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        advice = "; write a named group as (?P<name>…)" if "(?<" in pattern else ""
        raise ValueError(
            f"the regular expression is not valid: {error}{advice}"
        ) from error


def groups_in_words(expression: re.Pattern[str]) -> str:
    """The groups that a replacement can refer to."""
    names = {number: f"$<{name}>" for name, number in expression.groupindex.items()}
    groups = [
        names.get(number, f"${number}") for number in range(1, expression.groups + 1)
    ]
    return f"only {', '.join(groups)}" if groups else "no groups"
