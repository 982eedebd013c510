"""Changes of names that wait for the server: none is lost, however long that takes.

They are written in the order in which they came. What says of a stream and a name the
same as the last one that waits takes its place: so of each there are a few, and as many
in all as streams of this node have names.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from proxy.kept.redis.name_scripts import SUPERSEDE
from proxy.kept.redis.scripts import Script

Key = tuple[str, str, bytes, bytes]  # kind, route, value, who


class Change(NamedTuple):
    """Something to write: a name given, renewed or taken (`ms` is 0)."""

    script: Script
    id: bytes
    key: Key
    ms: int

    def repeats(self, other: Change) -> bool:
        """Is nothing lost of the other one, if this one is written in its place?"""
        return self.script is other.script and bool(self.ms) == bool(other.ms)


class NameChanges:
    """By number, in their order."""

    def __init__(self) -> None:
        self.waiting: dict[int, Change] = {}
        self.last: dict[tuple[bytes, Key], int] = {}  # of a stream and a name
        self.count = 0  # so far

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, change: Change) -> None:
        """One more, behind all others, or in place of the same one before."""
        pair = change.id, change.key
        number = self.last.get(pair)
        if number is None or not change.repeats(self.waiting[number]):
            self.count += 1
            self.last[pair] = number = self.count
        self.waiting[number] = change

    def renew(self, change: Change) -> None:
        """A name is given again, unless it is about to be given or taken."""
        number = self.last.get((change.id, change.key))
        if number is None or self.waiting[number].script is SUPERSEDE:
            self.add(change)

    def take(self, most: int) -> dict[int, Change]:
        """The first ones, which are written now."""
        taken = dict(islice(self.waiting.items(), most))
        for number, change in taken.items():
            del self.waiting[number]
            if self.last.get((change.id, change.key)) == number:
                del self.last[change.id, change.key]
        return taken

    def put_back(self, taken: dict[int, Change]) -> None:
        """They could not be written: they wait again, before all others."""
        self.waiting = {**taken, **self.waiting}
        for number, change in taken.items():
            pair = change.id, change.key
            self.last[pair] = max(number, self.last.get(pair, 0))
