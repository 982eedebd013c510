"""The fields of a dry run: what became of each, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from proxy.config.effective import DEFAULT
from proxy.config.fault_text import key_name, printable
from proxy.config.model import MASK, Config
from proxy.config.route_reader import table_name
from proxy.credentials import (
    SCHEME,
    is_secret_name,
    is_secret_value,
    without_stream_ids,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.http1.head import RequestHead
from proxy.policy.header_fields import ALIKE, HOP_BY_HOP, connection_names
from proxy.policy.request_plan import RequestPlan
from proxy.policy.webdav_destination import moves


class SentField(Struct, frozen=True):
    """A field as the upstream would get it."""

    name: str
    value: str
    origin: str


class LeftOut(Struct, frozen=True):
    """A field of the client that the upstream would not get."""

    name: str
    reason: str


class Fields:
    """Tells the fields of a request to an upstream by those of the client's."""

    def __init__(self, config: Config, route: CompiledRoute, head: RequestHead) -> None:
        self.config = config
        self.route = route
        self.head = head
        self.set_by_route = {
            name.lower(): name for name, _ in route.request_rules.added
        }

    def source(self, key: str) -> str:
        """`key`, and where its value came from."""
        place = f"{table_name(self.route.prefix)}.{key}"
        return f"{key}, {self.config.sources.get(place, DEFAULT)}"

    def sent(self, plan: RequestPlan) -> list[SentField]:
        """The fields of a request to an upstream."""
        return [
            SentField(text(name), self.masked(name, value), self.origin(name, value))
            for name, value in plan.fields
        ]

    def origin(self, name: bytes, value: bytes) -> str:
        """Where a field that is sent comes from."""
        key, options = name.lower(), self.route.route
        if key in self.set_by_route:
            written = key_name(self.set_by_route[key].decode("ascii"))
            return f"headers.request.set, {self.set_source(written)}"
        if key == b"host" and options.change_origin:
            return self.source("change_origin")
        if (name, value) in self.head.fields:
            return "unchanged"
        if key == b"origin" and options.rewrite_origin:
            return self.source("rewrite_origin")
        if key == b"destination" and moves(self.head):
            return "rewritten for the target (change_origin, path_rewrite)"
        return "replaced" if key in self.head.index else "added"

    def set_source(self, name: str) -> str:
        place = f"{table_name(self.route.prefix)}.headers.request.set.{name}"
        return self.config.sources.get(place, DEFAULT)

    def masked(self, name: bytes, value: bytes) -> str:
        """The value, or as much of it as anybody may see."""
        key = name.lower()
        if key == b"destination" and (name, value) not in self.head.fields:
            return MASK if self.has_secret_paths else text(value)
        shown = value.decode("latin-1")
        secret = is_secret_name(name.decode("ascii")) or is_secret_value(shown)
        if key not in self.set_by_route and not secret:
            return without_stream_ids(text(value))  # of a route every value is one
        scheme = SCHEME.match(shown)
        return (scheme[0] if scheme else "") + MASK

    @property
    def has_secret_paths(self) -> bool:
        """Does the environment give a part of the paths that an upstream is asked?"""
        table = f"{table_name(self.route.prefix)}.path_rewrite."
        sources = self.config.sources.items()
        return any("${" in each.text for each in self.route.route.targets) or any(
            key.startswith(table) and "${" in source for key, source in sources
        )

    def left_out(self, plan: RequestPlan) -> Iterator[LeftOut]:
        """The fields of the client that are not among those that are sent."""
        names = {name.lower(): name for name, _ in reversed(self.head.fields)}
        removed = {
            name.lower().encode("ascii")
            for name in self.route.route.headers.request.remove
        }
        named = connection_names(self.head)
        sent = {name.lower() for name, _ in plan.fields}
        for key, name in reversed(names.items()):
            if key in sent:
                continue
            if key in HOP_BY_HOP:
                reason = "hop-by-hop field"
            elif key in named:
                reason = "listed in Connection"
            elif key.translate(ALIKE) in {each.translate(ALIKE) for each in removed}:
                reason = self.source("headers.request.remove")
            else:
                reason = "never forwarded"
            yield LeftOut(text(name), reason)


def text(data: bytes) -> str:
    """Bytes of a field or a path as a line of text."""
    decoded = data.decode("utf-8", "backslashreplace")
    return "".join(map(printable, decoded))
