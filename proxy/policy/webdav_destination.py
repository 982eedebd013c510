"""Destination of WebDAV's COPY and MOVE, in terms of the upstream.

The mirror image of a redirect: there an upstream names itself to the client, here
the client names the proxy to the upstream (RFC 4918 §10.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from proxy.config.route import Route
from proxy.config.target import Target
from proxy.errors import NoRoute
from proxy.http1.head import RequestHead
from proxy.policy.path_rewrite import Rules, check_rewritten, upstream_path
from proxy.policy.response_rewrite import DEFAULT_PORTS, split_port
from proxy.policy.routing import Destination, destination

# Simple-ref of RFC 4918 §8.3: an absolute URI, or an absolute path.
REFERENCE = re.compile(
    rb"(?P<origin>(?P<scheme>https?)://(?P<authority>[^/?#]*))?(?P<path>/[^#]*)?",
    re.IGNORECASE,
)


class Destined(Protocol):
    """The route that the path of a Destination takes."""

    route: Route
    path_rules: Rules


Find: TypeAlias = Callable[[Destination], Destined]


class OwnDestination(NamedTuple):
    """A Destination behind this proxy: its origin as it was written, and its path."""

    origin: bytes
    path: bytes


def moves(head: RequestHead) -> bool:
    """Does the request name a Destination (RFC 4918 §§9.8, 9.9)?"""
    return b"destination" in head.index and head.method in (b"COPY", b"MOVE")


def own_destination(
    head: RequestHead, authority: bytes | None
) -> OwnDestination | None:
    """The Destination, if it names the host that the client asked for.

    The scheme does not count: a hop before this one may have taken TLS off.
    """
    values = [value for name, value in head.fields if name.lower() == b"destination"]
    found = REFERENCE.fullmatch(values[0]) if len(values) == 1 else None
    if found is None or not found[0] or found[0].startswith(b"//"):
        return None
    if found["origin"] is not None:
        scheme = found["scheme"].lower()
        host, port = split_port(found["authority"].lower())
        own_host, own_port = split_port((authority or b"").lower())
        default = DEFAULT_PORTS[scheme]
        if host != own_host or (port or default) != (own_port or default):
            return None
    return OwnDestination(found["origin"] or b"", found["path"] or b"/")


def place(head: RequestHead, own: OwnDestination) -> Destination:
    """Where a Destination leads: to the host that this proxy is asked for.

    A hop before it may have another name for it.
    """
    return Destination(own.path, destination(head).authority)


def check_destination(head: RequestHead, authority: bytes | None, find: Find) -> None:
    """See that no dot segments lead a Destination out of its route.

    Raises:
        MalformedRequest: they would.
    """
    own = own_destination(head, authority)
    if own is not None:
        try:
            check_rewritten(find(place(head, own)).path_rules, own.path)
        except NoRoute:
            return


def upstream_destination(
    head: RequestHead, authority: bytes | None, route: Route, target: Target, find: Find
) -> bytes | None:
    """The Destination as `target` has to see it; None where it stays as it came.

    It stays if it is not behind this proxy, or takes a route to other targets: the
    upstream has to refuse it (RFC 4918 §9.8.5).
    """
    own = own_destination(head, authority)
    if own is None:
        return None
    try:
        taken = find(place(head, own))
    except NoRoute:
        return None
    base = next(
        (each.path for each in taken.route.targets if is_same_server(each, target)),
        None,
    )
    if base is None:
        return None
    origin = own.origin
    if origin and route.change_origin:
        origin = target.origin
    return origin + upstream_path(base, taken.path_rules, own.path)


def is_same_server(one: Target, other: Target) -> bool:
    """Are both the same server, whatever their paths?"""
    return one.origin == other.origin and one.socket_path == other.socket_path
