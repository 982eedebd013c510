"""Which route takes a request, and why each of the others does not.

Whether a route matches is the router's word; only the reason is found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from proxy.config.route_hosts import WILDCARD, route_place
from proxy.errors import MalformedRequest, NoRoute
from proxy.http1.grammar import shown
from proxy.policy.routing import (
    HOSTS,
    Destination,
    is_for_host,
    router_of,
)

TAKEN = "the longest matching prefix"
ALONE = "the only matching prefix"
SHORTER = "also matches, but is shorter"
EXACT = "the most exact host that matches"
EXACT_LONGEST = "the longest matching prefix of the most exact host"
LESS_EXACT = "also matches, but its host is less exact"
ALL_HOSTS = "also matches, but is for all hosts"
HOST = "is for another host"
NO_HOST = "is for one host, and the request has no Host"
BELOW_HOST = "is for the names below the host, not for the host itself"
INSIDE = "ends inside a path segment: the path continues with "
CASE = "differs in case; paths are case-sensitive"
ENCODED = (
    "the path is percent-encoded at this point, and paths are compared byte for byte"
)
BELOW = "is longer than the path"
OTHER = "the path does not start with it"


class Matching(Struct, frozen=True):
    """One route by its name, and what it is to a request."""

    prefix: str
    matches: bool
    taken: bool
    reason: str


def matchings(names: Sequence[str], where: Destination) -> list[Matching]:
    """All routes in the order in which they are tried, longest prefix first.

    Those of the most exact host come before.
    """
    ordered = router_of({name: name for name in names}).routes
    matching = [name for name in ordered if matches(name, where)]
    told = []
    for name in ordered:
        if name not in matching:
            told.append(Matching(name, False, False, why_not(name, where)))
        elif name == matching[0]:
            told.append(Matching(name, True, True, why(matching)))
        else:
            told.append(Matching(name, True, False, why_second(name, matching[0])))
    return told


def why(matching: Sequence[str]) -> str:
    """Why the first of those that match takes the request."""
    hosts = [route_place(name).host for name in matching]
    if len(matching) == 1:
        return ALONE
    if hosts.count(hosts[0]) == len(hosts):
        return TAKEN
    return EXACT if hosts.count(hosts[0]) == 1 else EXACT_LONGEST


def why_second(name: str, taken: str) -> str:
    """Why another one that matches does not take it."""
    host = route_place(name).host
    if host == route_place(taken).host:
        return SHORTER
    return LESS_EXACT if host else ALL_HOSTS


def matches(name: str, where: Destination) -> bool:
    """Would the route take the request if it stood alone?"""
    try:
        router_of({name: name}).at(where)
    except NoRoute:
        return False
    except MalformedRequest:  # it does, and then dot segments leave it
        return True
    return True


def why_not(name: str, where: Destination) -> str:
    """Why a route that does not match a request does not."""
    host, prefix = route_place(name)
    if host:
        if where.authority is None:
            return NO_HOST
        asked = HOSTS[where.authority]
        if not is_for_host(name, asked):
            itself = host.removeprefix(WILDCARD).encode("utf-8") == asked
            return BELOW_HOST if itself else HOST
    path = where.path
    bare = path.partition(b"?")[0]
    text = prefix.encode("utf-8")
    if bare.startswith(text):
        return INSIDE + shown(bare[len(text) : len(text) + 1])
    if matches(prefix.lower(), Destination(bare.lower(), None)):
        return CASE
    if matches(prefix, Destination(unquote_to_bytes(bare), None)):
        return ENCODED
    if text.startswith(bare.rstrip(b"/") + b"/"):
        return BELOW
    return OTHER
