"""Which route a request takes: the longest prefix that ends on a segment.

`/sse` matches `/sse`, `/sse/…` and `/sse?…`, never `/sset`. Case counts. The
bytes of the target are compared as they came and go on as they came.

Where routes have hosts, those of the most exact host are asked first: its own, then
`*.` of the names above it, then those for all hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from typing import Generic, NamedTuple, TypeVar

from proxy.config.route_hosts import MOST_HOST, WILDCARD, route_place
from proxy.errors import MalformedRequest, NoRoute
from proxy.http1.grammar import AUTHORITIES, Remembered, is_authority, shown
from proxy.http1.head import RequestHead
from proxy.policy.dot_segments import check_path


class Destination(NamedTuple):
    """What a request asks for: `path` with query, raw; `authority`, its host.

    `path` may be `*`, of an OPTIONS request.
    """

    path: bytes
    authority: bytes | None


T = TypeVar("T")


class Router(Generic[T]):
    """Finds what stands under the longest prefix that matches a path."""

    def __init__(self, routes: Mapping[str, T]) -> None:
        self.prefixes = sorted(routes)
        self.table = path_table(routes.items())

    @property
    def routes(self) -> list[T]:
        """All routes, in the order in which they are asked: longest prefix first."""
        return [route for _, route in self.table]

    def match(self, path: bytes) -> T:
        """The route for a raw path with query, of no host. Raises as `at`."""
        return self.at(Destination(path, None))

    def at(self, where: Destination) -> T:
        """The route for a raw path with query; `*` is the route `/`'s.

        Raises:
            NoRoute: names the prefixes that exist.
            MalformedRequest: dot segments leave the prefix.
        """
        path = where.path
        bare = b"/" if path == b"*" else path.partition(b"?")[0]
        for prefix, route in self.table:
            if bare.startswith(prefix):
                rest = bare[len(prefix) :]
                if not rest or rest.startswith(b"/"):
                    check_path(bare, rest, "the prefix of the route")
                    return route
        raise NoRoute(
            f"no route for {shown(bare, 200)}; configured: {', '.join(self.prefixes)}"
        )


class HostRouter(Router[T]):
    """The same where routes have hosts. A host's routes hide none of all hosts."""

    def __init__(self, routes: Mapping[str, T]) -> None:
        self.prefixes = sorted(routes)
        by_host: dict[str, dict[str, T]] = {"": {}}
        for name, route in routes.items():
            host, path = route_place(name)
            by_host.setdefault(host, {})[path] = route
        tables = {
            host.encode("utf-8"): path_table(own.items())
            for host, own in by_host.items()
        }
        self.table = tables.pop(b"")
        mark = WILDCARD.encode("ascii")
        # By the names above, the longest first: so they are asked.
        self.wildcards = {
            host[len(mark) :]: tables[host]
            for host in sorted(tables, key=len, reverse=True)
            if host.startswith(mark)
        }
        self.exact = {h: own for h, own in tables.items() if not h.startswith(mark)}

    @property
    def routes(self) -> list[T]:
        tables = [*self.exact.values(), *self.wildcards.values(), self.table]
        return [route for table in tables for _, route in table]

    def at(self, where: Destination) -> T:
        path, host = where.path, b""
        bare = b"/" if path == b"*" else path.partition(b"?")[0]
        if where.authority is not None:
            host = HOSTS[where.authority]
        for table in self.tables(host):
            for prefix, route in table:
                if bare.startswith(prefix):
                    rest = bare[len(prefix) :]
                    if not rest or rest.startswith(b"/"):
                        check_path(bare, rest, "the prefix of the route")
                        return route
        raise NoRoute(
            f"no route for {shown(host + bare, 200)}; configured: "
            f"{', '.join(self.prefixes)}"
        )

    def tables(self, host: bytes) -> list[list[tuple[bytes, T]]]:
        """What is asked for a host, the most exact first."""
        found = []
        own = self.exact.get(host)
        if own is not None:
            found.append(own)
        if self.wildcards:
            for above in names_above(host):
                below = self.wildcards.get(above)
                if below is not None:
                    found.append(below)
        found.append(self.table)
        return found


def router_of(routes: Mapping[str, T]) -> Router[T]:
    """A router; one that knows no hosts where no route has one."""
    if all(name.startswith("/") for name in routes):
        return Router(routes)
    return HostRouter(routes)


def path_table(routes: Iterable[tuple[str, T]]) -> list[tuple[bytes, T]]:
    """Prefixes without a slash at the end, the longest first."""
    ordered = sorted(routes, key=lambda each: len(each[0]), reverse=True)
    return [(prefix.rstrip("/").encode("utf-8"), route) for prefix, route in ordered]


def bare_host(authority: bytes) -> bytes:
    """The host of a Host header as it is compared: without port, in lower case.

    So without the dot at its end, too, which says that it is complete (RFC 1034 §3.1).
    """
    host = authority.lower()
    if host[:1] != b"[":
        return host.partition(b":")[0].removesuffix(b".")
    text = host[1:].partition(b"]")[0].decode("ascii", "replace")
    try:
        return b"[%b]" % IPv6Address(text).compressed.encode("ascii")
    except ValueError:
        return host


HOSTS = Remembered(bare_host)


def names_above(host: bytes) -> list[bytes]:
    """What a name is below, the nearest first."""
    labels = host.split(b".")
    if len(host) > MOST_HOST or b"" in labels:
        return []
    return [b".".join(labels[position:]) for position in range(1, len(labels))]


def is_for_host(name: str, host: bytes) -> bool:
    """Does a route, by its name, take requests for a host?"""
    wanted = route_place(name).host.encode("utf-8")
    if wanted.startswith(b"*."):
        return wanted[2:] in names_above(host)
    return not wanted or wanted == host


def destination(head: RequestHead) -> Destination:
    """Read the request-target and Host (RFC 9112 §3.2, RFC 9110 §7.2).

    Raises:
        MalformedRequest: no or more than one valid Host, or an odd target.
    """
    host = head.index.get(b"host")
    if host is None and head.version != "1.0":
        raise MalformedRequest("the Host header is missing (RFC 9112 §3.2)")
    if host is not None and not AUTHORITIES[host]:
        raise MalformedRequest(f"invalid or repeated Host {shown(host)}")
    target = head.target
    if target[:1] == b"/":
        return Destination(target, host)
    if target == b"*" and head.method == b"OPTIONS":
        return Destination(target, host)
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise MalformedRequest(f"invalid request target {shown(target)}")
    # absolute-form: its authority replaces Host (RFC 9112 §3.2.2).
    end = min((i for c in b"/?" if (i := rest.find(c)) >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not is_authority(authority):
        raise MalformedRequest(f"invalid authority in {shown(target)}")
    if not path and head.method == b"OPTIONS":  # RFC 9112 §3.2.4
        return Destination(b"*", authority)
    return Destination(path if path[:1] == b"/" else b"/" + path, authority)
