"""Which target has made which session: what `balance` has learned from responses.

A session is known by a digest of its name and value: no credential is kept, or told to
anybody. Bounded: the sessions that nobody has used for longest are forgotten first.

With a store all processes learn from each other, and a session outlives them. The store
is asked for a value that is not known here, and not at once again if no target has
made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Protocol

from proxy.kept.shared_store import SharedStore, StoreUnavailable
from proxy.timeline import Clock, monotonic

MOST_SESSIONS = 50_000  # of one process; each takes some 200 bytes
MOST_UNKNOWN = 10_000  # values that are not in the store
UNKNOWN_SECONDS = 30.0  # until it is asked for them again
STORED_SECONDS = (
    24 * 3600.0
)  # that a session is in the store; begun anew when it is used
KIND = "session"  # of what is noted in the store
DIGEST_BYTES = 16


class SessionWatcher(Protocol):
    """Who has to know what this process has learned."""

    def learned(self, session: bytes, target: bytes) -> None:
        """A target has made a session, or has it now."""

    def forgotten(self, session: bytes) -> None:
        """A session has ended."""


def session_key(source: bytes, value: bytes) -> bytes:
    """What stands for a session. `source`: the field, or cookie, that has its value."""
    text = b"%d:%b%b" % (len(source), source, value)
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


class SessionTable:
    """The sessions of one process. The route does not count: a target has them."""

    __slots__ = ("clock", "known", "most", "store", "unknown", "watcher")

    def __init__(self, most: int = MOST_SESSIONS, clock: Clock = monotonic) -> None:
        self.clock = clock
        self.known: dict[bytes, bytes] = {}  # the one used last is the last
        self.most = most
        self.watcher: SessionWatcher | None = None
        self.store: SharedStore | None = None
        # Those that the store did not know either, and when it was asked.
        self.unknown: dict[bytes, float] = {}

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(tuple(self.known.items()))

    def find(self, session: bytes) -> bytes | None:
        """The target of a session, if it is known; it was used just now."""
        target = self.known.pop(session, None)
        if target is not None:
            self.known[session] = target
        return target

    def learn(self, session: bytes, target: bytes) -> None:
        """A target has handed a session out here."""
        if not self.note(session, target):
            return
        if self.watcher is not None:
            self.watcher.learned(session, target)
        if self.store is not None:
            self.store.remember(KIND, session, target, STORED_SECONDS)

    def forget(self, session: bytes) -> None:
        """A session has ended here."""
        if not self.drop(session):
            return
        if self.watcher is not None:
            self.watcher.forgotten(session)
        if self.store is not None:
            self.store.remember(KIND, session, b"", 0.0)

    def must_ask(self, session: bytes) -> bool:
        """Does perhaps the store know a session that is not known here?"""
        store = self.store
        if store is None or not store.up or session in self.known:
            return False
        asked = self.unknown.get(session)
        return asked is None or self.clock() - asked >= UNKNOWN_SECONDS

    async def ask(self, session: bytes) -> None:
        """Ask the store for the target of a session."""
        if self.store is None:
            return
        try:
            target = await self.store.recall(KIND, session)
        except StoreUnavailable:
            return
        if target:
            self.learn(session, target)
        elif session not in self.known:
            self.unknown.pop(session, None)
            self.unknown[session] = self.clock()
            if len(self.unknown) > MOST_UNKNOWN:
                del self.unknown[next(iter(self.unknown))]

    def note(self, session: bytes, target: bytes) -> bool:
        """Know a session from now on; is that news?"""
        news = self.known.pop(session, None) != target
        self.known[session] = target
        self.unknown.pop(session, None)
        if len(self.known) > self.most:
            del self.known[next(iter(self.known))]
        return news

    def drop(self, session: bytes) -> bool:
        """Know a session no longer; was it known?"""
        return self.known.pop(session, None) is not None
