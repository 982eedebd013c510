"""Short texts that any node may note and read: each with a key, sealed, for a while."""

from __future__ import annotations

from typing import Final, Protocol

from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.questions import Questions
from proxy.kept.redis.scripts import HOLDER, REMEMBER
from proxy.kept.redis.sealing import SealBroken, Sealing
from proxy.kept.redis.store_connection import Call, StoreConnection, StoreFault
from proxy.kept.redis.work_task import WorkTask

MOST: Final = 10_000  # that wait to be written; the oldest are lost
WHAT: Final = b"note"
SECONDS: Final = 1.0  # that a new request waits for a note: it goes on without it


class NotesStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    connection: StoreConnection
    questions: Questions

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


class Notes:
    """Written behind."""

    def __init__(self, store: NotesStore) -> None:
        self.store = store
        # By kind and key: the text, and for how many milliseconds.
        self.waiting: dict[tuple[str, bytes], tuple[bytes, int]] = {}
        self.writing = WorkTask(self.is_due, self.write, "writing notes to the store")

    def remember(self, kind: str, key: bytes, text: bytes, seconds: float) -> None:
        """Note a text."""
        if not self.store.up:
            return
        self.waiting.pop((kind, key), None)
        self.waiting[kind, key] = text, int(seconds * 1000)
        if len(self.waiting) > MOST:
            del self.waiting[next(iter(self.waiting))]
        self.writing.begin()

    def is_due(self) -> bool:
        """Does something wait? It is lost if the store has gone down."""
        return bool(self.waiting)

    async def write(self) -> None:
        """Write all that wait."""
        waiting, self.waiting = self.waiting, {}
        sealing = self.store.sealing
        if sealing is None or not self.store.up:
            return
        items: list[Item] = []
        for (kind, key), (text, ms) in waiting.items():
            name = sealing.name_of(kind, "", key, b"")
            sealed = sealing.of_stream(WHAT + name).seal(text, WHAT)
            items.append(([self.store.keys.note(name)], [sealed, ms]))
        try:
            await self.store.connection.call([Call(REMEMBER, items)])
        except StoreFault as fault:
            self.store.failed(fault)

    async def recall(self, kind: str, key: bytes) -> bytes | None:
        """The text, if there is one.

        Raises:
            StoreFault: it is not known.
        """
        note = self.waiting.get((kind, key))
        if note is not None:
            return note[0] if note[1] else None
        sealing = self.store.sealing
        if sealing is None:
            raise StoreFault("not connected yet")
        name = sealing.name_of(kind, "", key, b"")
        place: Item = ([self.store.keys.note(name)], [])
        sealed: bytes = (await self.store.questions.ask(HOLDER, place, SECONDS))[1]
        try:
            return sealing.of_stream(WHAT + name).open(sealed, WHAT) if sealed else None
        except SealBroken:
            return None
