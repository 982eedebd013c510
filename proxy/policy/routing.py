"""Which route a request takes: the longest prefix that ends on a segment.

`/sse` matches `/sse`, `/sse/…` and `/sse?…`, never `/sset`. Case counts. The
bytes of the target are compared as they came and go on as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from proxy.errors import MalformedRequest, NoRoute
from proxy.http1.grammar import is_authority, shown
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
        self.table = [
            (prefix.rstrip("/").encode("utf-8"), routes[prefix])
            for prefix in sorted(routes, key=len, reverse=True)
        ]

    @property
    def routes(self) -> list[T]:
        """All routes, longest prefix first."""
        return [route for _, route in self.table]

    def match(self, path: bytes) -> T:
        """The route for a raw path with query; `*` is the route `/`'s.

        Raises:
            NoRoute: names the prefixes that exist.
            MalformedRequest: dot segments leave the prefix.
        """
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


def destination(head: RequestHead) -> Destination:
    """Read the request-target and Host (RFC 9112 §3.2, RFC 9110 §7.2).

    Raises:
        MalformedRequest: no or more than one valid Host, or an odd target.
    """
    host = head.index.get(b"host")
    if host is None and head.version != "1.0":
        raise MalformedRequest("the Host header is missing (RFC 9112 §3.2)")
    if host is not None and not is_authority(host):
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
