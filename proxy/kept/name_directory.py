"""Which worker has the streams of an application's key.

The key of a request is known when its body is, and then another worker may have it than
the one that is asked for the key later. So what each worker has by a key it tells one
worker, which the key decides. Here that one notes it, its own streams among them.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.kept.registry import Name


class StreamPlace(NamedTuple):
    """Where a stream is. `since`: from when on it has its name; the newest counts."""

    since: float
    worker: int
    id: bytes


class NameDirectory:
    """The places of streams by name and by the fingerprint of their client."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        # The newest last.
        self.places: dict[Name, dict[bytes, list[StreamPlace]]] = {}

    def add(self, name: Name, who: bytes, place: StreamPlace) -> None:
        """A stream has a name."""
        known = self.places.setdefault(name, {}).setdefault(who, [])
        known[:] = sorted({each for each in known if each.id != place.id} | {place})

    def remove(self, name: Name, who: bytes, id: bytes) -> None:
        """A stream has a name no longer."""
        left = [each for each in self.find_all(name, who) if each.id != id]
        self.put(name, who, left)

    def supersede(self, name: Name, who: bytes, id: bytes) -> list[StreamPlace]:
        """Take a name from those who had it before a stream; where they are."""
        known = self.find_all(name, who)
        at = next((n for n, each in enumerate(known) if each.id == id), 0)
        self.put(name, who, known[at:])
        return known[:at]

    def lose(self, worker: int) -> None:
        """Nothing is known of a worker's streams any more."""
        for name, holders in tuple(self.places.items()):
            for who, known in tuple(holders.items()):
                left = [each for each in known if each.worker != worker]
                if len(left) < len(known):
                    self.put(name, who, left)

    def find(self, name: Name, who: bytes) -> StreamPlace | None:
        """The newest stream of that name, of that client."""
        found = self.find_all(name, who)
        return found[-1] if found else None

    def find_all(self, name: Name, who: bytes) -> list[StreamPlace]:
        """All streams of that name, of that client; the newest last."""
        holders = self.places.get(name)
        return [] if holders is None else holders.get(who, [])

    def is_taken(self, name: Name) -> bool:
        """Has anybody a stream of that name?"""
        return name in self.places

    def put(self, name: Name, who: bytes, places: list[StreamPlace]) -> None:
        """Have so many streams of a name left."""
        holders = self.places.get(name)
        if holders is None:
            return
        if places:
            holders[who] = places
            return
        holders.pop(who, None)
        if not holders:
            del self.places[name]
