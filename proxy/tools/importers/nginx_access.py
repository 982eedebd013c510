"""Which location of nginx takes a path, and that no route opens what it closes.

A route is a prefix, and the longest one wins. nginx asks patterns before
prefixes, and some of its locations refuse. Pure: drafts are made inert here,
with the reason, or it is told what no prefix can keep closed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.tools.importers.draft import UNREACHED, Draft, ImportedFile
from proxy.tools.importers.nginx_server import Place
from proxy.tools.importers.patterns import prefixes_of_pattern, unescape

PLAIN = ("", "^~")
# What a pattern begins with, as far as it is text.
HEAD = re.compile(r"\^((?:[A-Za-z0-9_~%@:/-]|\\[.\-_~])*)(?![?*{])")
TWIN = "the prefix is already used {where} ({place})"
PASSED = (
    "{place} refuses paths by a pattern, which a route cannot do: {routes} let them "
    "pass. Refuse them in the upstream, or keep nginx in front"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A draft and its location; `narrow`: that took less than the route does."""

    draft: Draft
    place: Place
    narrow: bool

    @property
    def regex(self) -> bool:
        return self.place.modifier.startswith("~")

    @property
    def rank(self) -> int:
        """Of two with one prefix, the one that most of its paths went to."""
        if self.regex:
            return 1 if self.narrow else 0
        if self.place.modifier == "=":
            return 4
        return 2 if self.place.path.endswith("/") else 3


@dataclass(frozen=True, slots=True)
class RestrictedLocation:
    """A location that is not open to all: its prefixes, or none for a pattern."""

    place: Place
    where: str

    @property
    def prefixes(self) -> list[str]:
        if self.place.modifier.startswith("~"):
            return prefixes_of_pattern(self.place.path) or []
        return [] if self.place.path.startswith("@") else [self.place.path]

    @property
    def head(self) -> str:
        """What every path of its pattern begins with, as far as that is said."""
        found = HEAD.match(self.place.path)
        return unescape(found[1]) if found else ""

    def concerns(self, prefix: str) -> bool:
        """Is one of its prefixes below that of a route?"""
        below = prefix.rstrip("/") + "/"
        fold = self.place.modifier == "~*"
        for path in self.prefixes:
            if path == prefix or path.startswith(below):
                return True
            if fold and f"{path}/".lower().startswith(below.lower()):
                return True
        return False


def settle(
    reading: ImportedFile,
    found: Sequence[Found],
    refusals: Sequence[RestrictedLocation],
    places: Sequence[Place],
) -> None:
    """Leave the drafts of one server that take no more than nginx let pass."""
    patterns_first(found)
    for each in found:
        each.draft.inactive = each.draft.inactive or kept_closed(each, refusals, places)
    one_of_each(found)
    for refusal in refusals:
        if not refusal.prefixes:
            tell_pattern(reading, found, refusal)


def patterns_first(found: Sequence[Found]) -> None:
    """A pattern is asked before prefixes, and the first of the patterns wins."""
    for position, each in enumerate(found):
        if each.place.modifier in ("=", "^~"):
            continue
        rivals = found[:position] if each.regex else found
        for rival in rivals:
            before = rival.regex and not rival.narrow and rival is not each
            if before and rival.draft.takes(each.draft.prefix):
                reason = UNREACHED.format(prefix=rival.place.location)
                each.draft.inactive = each.draft.inactive or reason


def kept_closed(
    found: Found, refusals: Sequence[RestrictedLocation], places: Sequence[Place]
) -> str:
    """Why a route would open what is closed; "" if it would not."""
    prefix = found.draft.prefix
    inside = [each for each in refusals if each.concerns(prefix)]
    if inside:
        paths = ", ".join(path for each in inside for path in each.prefixes)
        return f"it would also take {paths}, which nginx protects"
    if found.narrow:
        below = prefix.rstrip("/") + "/"
        around = [p for p in places if p.modifier in PLAIN and below.startswith(p.path)]
        nearest = max(around, key=lambda place: len(place.path), default=None)
        for refusal in refusals:
            if refusal.place is nearest:
                return (
                    f"it would also take everything below it, which {refusal.where} "
                    "closes"
                )
    return ""


def one_of_each(found: Sequence[Found]) -> None:
    """One route for a prefix."""
    for position, each in enumerate(found):
        for other in found[:position]:
            if other.draft.prefix != each.draft.prefix or other.draft.inactive:
                continue
            first, second = sorted((other, each), key=lambda one: one.rank)
            where = "above" if first is other else "below"
            reason = TWIN.format(where=where, place=first.place.location)
            second.draft.inactive = second.draft.inactive or reason


def tell_pattern(
    reading: ImportedFile, found: Sequence[Found], refusal: RestrictedLocation
) -> None:
    """A pattern that refuses: no prefix says it, so it has to be told."""
    head = refusal.head
    prefixes = [
        each.draft.prefix
        for each in found
        if not each.draft.inactive
        and each.place.modifier not in ("=", "^~")
        and (each.draft.prefix.startswith(head) or head.startswith(each.draft.prefix))
    ]
    if prefixes:
        routes = ", ".join(dict.fromkeys(prefixes))
        reading.opened.append(PASSED.format(place=refusal.where, routes=routes))
