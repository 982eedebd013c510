"""Signs of life: this node's, and those of the nodes whose streams it follows.

Each node has a key that expires. It is dead for others if its key is missing in two
looks in a row while the store answers. Before that it is doubtful, from when two signs
have failed to come: the key is about to expire then. After an outage nobody is dead at
first: others may take longer to find that the store is there again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from proxy.kept.redis.keys import Keys
from proxy.kept.redis.scripts import ALIVE, BEAT
from proxy.kept.redis.store_connection import Argument, Call, StoreConnection

BEAT_SECONDS: Final = 0.5
LIFE_MS: Final = 2000
# If a key lasts no longer than this, two signs are missing: on a machine that is busy,
# one that comes late by as much as the time between two does not count.
DOUBTFUL_MS: Final = LIFE_MS - int(2 * BEAT_SECONDS * 1000)
LOOKS: Final = 2  # that find nothing
# After an outage: the longest pause between two attempts of others, and their timeout.
GRACE_SECONDS: Final = 5.0


class LifeStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection


class Life:
    """Of this node and of those it watches."""

    def __init__(self, store: LifeStore) -> None:
        self.store = store
        self.misses: dict[bytes, int] = {}  # by node
        self.fading: set[bytes] = set()  # those whose last sign is old
        self.seen: set[bytes] = (
            set()
        )  # nodes that showed signs of life in the last look
        self.trusted_at = 0.0  # when the store was up for long enough
        self.beaten = False  # since the store is up

    def came_up(self, now: float, *, first: bool) -> None:
        """The store answers again, or for the first time."""
        self.trusted_at = now if first else now + GRACE_SECONDS
        self.beaten = self.beaten and not first
        self.misses.clear()
        self.fading.clear()

    def watch(self, node: bytes) -> None:
        """Its life counts from now on."""
        self.misses.setdefault(node, 0)

    def is_dead(self, node: bytes) -> bool:
        """Has it shown no signs of life for long enough?"""
        return self.misses.get(node, 0) >= LOOKS

    def is_doubtful(self, node: bytes) -> bool:
        """Was there no sign of life of it, and will the next looks decide?"""
        return node in self.fading or 0 < self.misses.get(node, 0) < LOOKS

    async def learn(self, now: float, nodes: Iterable[bytes]) -> None:
        """Look at nodes that were not watched yet, or were dead when last looked at.

        Raises:
            StoreFault: it was not possible.
        """
        asked = [node for node in nodes if self.misses.get(node, LOOKS) >= LOOKS]
        if not asked:
            return
        keys = self.store.keys
        items = [([keys.node(node)], list[Argument]()) for node in asked]
        [results] = await self.store.connection.call([Call(ALIVE, items)])
        for node, result in zip(asked, results, strict=True):
            self.look_at(node, result[1])
            if result[1] or now < self.trusted_at:
                self.misses[node] = 0
            else:
                self.misses.setdefault(node, 1)

    def look_at(self, node: bytes, left: int) -> None:
        """A node's sign of life is good for so many milliseconds."""
        if 0 < left <= DOUBTFUL_MS:
            self.fading.add(node)
        else:
            self.fading.discard(node)

    async def beat(
        self, now: float, nodes: Iterable[bytes]
    ) -> tuple[bool, list[bytes]]:
        """Show a sign of life, and look for those of others.

        Returns whether this node's last sign had vanished, and who is found to be dead.

        Raises:
            StoreFault: neither was possible.
        """
        keys, watched = self.store.keys, list(nodes)
        own = keys.node(self.store.node.encode())
        calls = [Call(BEAT, [([own], [LIFE_MS])])]
        if watched:
            calls.append(Call(ALIVE, [([keys.node(each)], []) for each in watched]))
        before = set(self.misses)
        results = await self.store.connection.call(calls)
        vanished = self.beaten and not results[0][0][1]
        self.beaten = True
        if vanished:  # so may have those of others
            self.came_up(now, first=False)
        dead, self.seen = [], set()
        known, self.misses = self.misses, {}
        self.fading.intersection_update(known)
        for node in set(known) - before:  # of which it was learned meanwhile
            self.misses[node] = known[node]
        for node, result in zip(watched, results[1] if watched else (), strict=True):
            misses = 0
            self.look_at(node, result[1])
            if result[1]:
                self.seen.add(node)
            if not result[1] and now >= self.trusted_at:
                misses = known.get(node, 0) + 1
                if misses == LOOKS:
                    dead.append(node)
            self.misses[node] = misses
        return vanished, dead
