"""Whatever is written has to load: each draft is tried, key by key.

What the loader refuses is named as lost, with the loader's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from proxy.config.load import build
from proxy.config.reader import Reader
from proxy.errors import ConfigError
from proxy.tools.importers.draft import Draft
from proxy.tools.importers.references import FromTemplate, Reference

PORT = re.compile(r":\$\{(\w+)\}(?=/|$)")
SCHEME = re.compile(r"^\$\{(\w+)\}(?=://)")
ADDRESS = re.compile(r"^\$\{(\w+)\}(?!://)")


class AnyVariable(Mapping[str, str]):
    """An environment in which every variable is set.

    To something that fits where it stands in a target, or else to what its name says.
    """

    def __init__(self, target: object = "") -> None:
        self.known: dict[str, str] = {}
        for text in target if isinstance(target, list) else [target]:
            for pattern, value in (
                (PORT, "80"), (SCHEME, "http"), (ADDRESS, "http://set")
            ):  # fmt: skip
                for name in pattern.findall(str(text)):
                    self.known[name] = value

    def __getitem__(self, name: str) -> str:
        if name in self.known:
            return self.known[name]
        if name.endswith("PORT"):
            return "80"
        return "http://set" if name.endswith(("URL", "URI", "ORIGIN")) else "set"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def settle(draft: Draft) -> None:
    """Leave in a draft what loads."""
    if not faults(draft.prefix, draft.keys):
        return
    keys, draft.keys = draft.keys, {"target": draft.keys["target"]}
    wrong = faults(draft.prefix, draft.keys)
    if wrong:
        draft.inactive = draft.inactive or "; ".join(wrong)
        return
    for key, value in keys.items():
        for part in parts(value):
            whole = joined(draft.keys.get(key), part)
            wrong = faults(draft.prefix, {**draft.keys, key: whole})
            if wrong:
                draft.lost.append(f"{draft.place}: {key}: {'; '.join(wrong)}")
            else:
                draft.keys[key] = whole


def parts(value: object) -> list[object]:
    """A table or a list as its entries: one that does not load takes no other along."""
    if isinstance(value, dict):
        return [{key: each} for key, each in value.items()]
    if isinstance(value, list):
        return [[each] for each in value]
    return [value]


def joined(known: object, part: object) -> object:
    if isinstance(known, dict) and isinstance(part, dict):
        return {**known, **part}
    if isinstance(known, list) and isinstance(part, list):
        return [*known, *(each for each in part if each not in known)]
    return part


def faults(prefix: str, keys: Mapping[str, object]) -> list[str]:
    """What the loader has against a route."""
    reader = Reader("", AnyVariable(keys.get("target")))
    try:
        build(reader, {"server": {"port": 0}, "routes": {prefix: nested(keys)}}, {})
    except ConfigError as error:
        place = f': [routes."{prefix}"] '
        return [fault.removeprefix(place) for fault in error.faults]
    return []


def nested(keys: Mapping[str, object]) -> dict[str, object]:
    """Dotted keys as the tables that TOML makes of them."""
    tables: dict[str, object] = {}
    for key, value in keys.items():
        *path, last = key.split(".")
        inner = tables
        for name in path:
            inner = inner.setdefault(name, {})  # type: ignore[assignment]
        inner[last] = literal(value)
    return tables


def literal(value: object) -> object:
    """A value in which no text is taken for a reference that was not meant."""
    if isinstance(value, dict):
        return {key: literal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [literal(each) for each in value]
    if isinstance(value, str) and not isinstance(value, Reference | FromTemplate):
        return value.replace("${", "$${")
    return value
