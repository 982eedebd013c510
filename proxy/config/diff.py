"""What differs between two configurations, in one line for the log.

Names keys, never values: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from proxy.config.kept_options import SWITCHES
from proxy.config.load import PLAIN_TABLES
from proxy.config.model import Config
from proxy.config.reader import fields_of

FILES = ("tls_certificate", "tls_key", "ca_file")


def changes(before: Config, after: Config, rewritten: Collection[str] = ()) -> str:
    """Tables and keys that differ; routes added, removed and changed.

    The files in `rewritten` have another content under the same name.
    """
    told = []
    for name in PLAIN_TABLES:
        keys = differing(getattr(before, name), getattr(after, name), rewritten)
        if keys:
            told.append(f"[{name}] changed ({', '.join(keys)})")
    told += listener_changes(before, after, rewritten)
    told += certificate_changes(before, after, rewritten)
    told += [f"route {prefix} added" for prefix in after.routes.keys() - before.routes]
    told += [
        f"route {prefix} removed" for prefix in before.routes.keys() - after.routes
    ]
    told += route_changes(before, after, rewritten)
    return "; ".join(sorted(told)) or "nothing changed"


def listener_changes(
    before: Config, after: Config, rewritten: Collection[str]
) -> Iterator[str]:
    """Of `[[listen]]`, which have no names but their addresses."""
    old = {(each.host, each.port): each for each in before.listen}
    new = {(each.host, each.port): each for each in after.listen}
    for place in old.keys() | new.keys():
        host, port = place
        named = f"[[listen]] {f'[{host}]' if ':' in host else host}:{port}"
        if place not in old:
            yield f"{named} added"
        elif place not in new:
            yield f"{named} removed"
        elif keys := differing(old[place], new[place], rewritten):
            yield f"{named} changed ({', '.join(keys)})"


def certificate_changes(
    before: Config, after: Config, rewritten: Collection[str]
) -> Iterator[str]:
    """Of `[[certificate]]`, which are called by their files."""
    old = {each.tls_certificate: each for each in before.certificate}
    new = {each.tls_certificate: each for each in after.certificate}
    for file in old.keys() | new.keys():
        if file not in old:
            yield f"[[certificate]] {file} added"
        elif file not in new:
            yield f"[[certificate]] {file} removed"
        elif keys := differing(old[file], new[file], rewritten):
            yield f"[[certificate]] {file} changed ({', '.join(keys)})"


def route_changes(
    before: Config, after: Config, rewritten: Collection[str]
) -> Iterator[str]:
    for prefix, route in after.routes.items():
        if prefix in before.routes:
            keys = differing(before.routes[prefix], route, rewritten)
            if keys:
                yield f"route {prefix} changed ({', '.join(keys)})"


def differing(
    one: msgspec.Struct, other: msgspec.Struct, rewritten: Collection[str]
) -> list[str]:
    """The keys of a table whose values, or files, are not the same."""
    keys = []
    for key, each in fields_of(type(one)).items():
        old, new = getattr(one, each.name), getattr(other, each.name)
        if old == new:
            continue
        if key in SWITCHES and old and new:
            keys += [f"{key}.{name}" for name in differing(old, new, ())]
        else:
            keys.append(key)
    files = {key: getattr(other, key, "") for key in FILES}
    keys += [
        f"content of {key}"
        for key, file in files.items()
        if file in rewritten and key not in keys
    ]
    return keys
