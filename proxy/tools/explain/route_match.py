"""Which prefix takes a path, and why each of the others does not.

Whether a prefix matches is the router's word; only the reason is found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from proxy.errors import MalformedRequest, NoRoute
from proxy.http1.grammar import shown
from proxy.policy.routing import Router

TAKEN = "the longest matching prefix"
ALONE = "the only matching prefix"
SHORTER = "also matches, but is shorter"
INSIDE = "ends inside a path segment: the path continues with "
CASE = "differs in case; paths are case-sensitive"
ENCODED = (
    "the path is percent-encoded at this point, and paths are compared byte for byte"
)
BELOW = "is longer than the path"
OTHER = "the path does not start with it"


class Matching(Struct, frozen=True):
    """One prefix, and what it is to a path."""

    prefix: str
    matches: bool
    taken: bool
    reason: str


def matchings(prefixes: Sequence[str], path: bytes) -> list[Matching]:
    """All prefixes in the order in which they are tried, longest first."""
    ordered = Router({prefix: prefix for prefix in prefixes}).routes
    matching = [prefix for prefix in ordered if matches(prefix, path)]
    told = []
    for prefix in ordered:
        if prefix not in matching:
            told.append(Matching(prefix, False, False, why_not(prefix, path)))
        elif prefix == matching[0]:
            reason = TAKEN if len(matching) > 1 else ALONE
            told.append(Matching(prefix, True, True, reason))
        else:
            told.append(Matching(prefix, True, False, SHORTER))
    return told


def matches(prefix: str, path: bytes) -> bool:
    """Would the prefix take the path if it stood alone?"""
    try:
        Router({prefix: prefix}).match(path)
    except NoRoute:
        return False
    except MalformedRequest:  # it does, and then dot segments leave it
        return True
    return True


def why_not(prefix: str, path: bytes) -> str:
    """Why a prefix that does not match a path does not."""
    bare = path.partition(b"?")[0]
    text = prefix.encode("utf-8")
    if bare.startswith(text):
        return INSIDE + shown(bare[len(text) : len(text) + 1])
    if matches(prefix.lower(), bare.lower()):
        return CASE
    if matches(prefix, unquote_to_bytes(bare)):
        return ENCODED
    if text.startswith(bare.rstrip(b"/") + b"/"):
        return BELOW
    return OTHER
