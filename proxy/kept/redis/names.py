"""Names of streams in the server, and elections: names that only one stream has.

A name is found by a keyed hash of what it consists of, and IDs are sealed in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final, Protocol

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.life import Life
from proxy.kept.redis.log_reader import Home, LogReader, Teller
from proxy.kept.redis.messages import SUPERSEDED
from proxy.kept.redis.name_changes import Change, Key, NameChanges
from proxy.kept.redis.name_scripts import (
    ELECT,
    HOLD,
    MEMBERS,
    NAME,
    RENEW,
    SUPERSEDE,
    UNNAME,
)
from proxy.kept.redis.questions import Questions
from proxy.kept.redis.scripts import ALIVE, FIND, HOLDER, LOST
from proxy.kept.redis.sealing import SealBroken, Sealing
from proxy.kept.redis.store_connection import StoreConnection, StoreFault
from proxy.kept.redis.work_task import MOST, WorkTask, calls_of
from proxy.kept.shared_store import OwnedBy

MOST_HOLDERS: Final = 16  # of a name; the newest
HOLD_MS: Final = 60_000  # that a name of a running stream stays without being renewed
COMPLETE: Final = b"complete"


class NamesStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection
    life: Life
    reader: LogReader
    questions: Questions

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""

    @property
    def teller(self) -> Teller:
        """Tells other nodes something."""

    def owner_of(self, id: bytes) -> OwnedBy | None:
        """Who has a stream of this node."""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


class Names:
    """Of the streams of this node."""

    def __init__(self, store: NamesStore) -> None:
        self.store = store
        self.given: dict[bytes, dict[Key, float]] = {}  # by ID; seconds beyond its end
        self.elected: dict[bytes, set[Key]] = {}  # by ID
        self.changes = NameChanges()
        self.writing = WorkTask(self.is_due, self.write, "writing names to the store")

    # -- written behind

    def name(self, id: bytes, key: Key, seconds: float) -> None:
        """Give a stream a name."""
        self.given.setdefault(id, {})[key] = seconds
        change = self.renewal(id, key, seconds)
        if change.script is RENEW:
            change = change._replace(script=NAME)
        self.change(change)

    def supersede(self, id: bytes, key: Key) -> None:
        """Take a name from all that had it before a stream."""
        self.change(Change(SUPERSEDE, id, key, 0))

    def superseded(self, id: bytes, names: list[bytes]) -> None:
        """Another stream has these names of one now."""
        sealing = self.store.sealing
        for key in tuple(self.given.get(id, ())):
            if sealing is not None and sealing.name_of(*key) in names:
                self.lose(id, key)

    def lose(self, id: bytes, key: Key) -> None:
        """Another stream has a name of one now."""
        known = self.given.get(id, {})
        if known.pop(key, None) is None:
            return
        if not known:
            del self.given[id]
        by = self.store.owner_of(id)
        if by is not None:
            try:
                by.superseded(*key)
            except Exception as error:
                report("a stream that has lost a name", error)

    def unname(self, id: bytes, key: Key) -> None:
        """Take it again."""
        known = self.given.get(id, {})
        was_given = known.pop(key, None) is not None
        if not known:
            self.given.pop(id, None)
        holds = self.elected.get(id, set())
        if key in holds:
            holds.discard(key)
            if not holds:
                self.elected.pop(id, None)
            self.change(Change(HOLD, id, key, 0))
        elif was_given:
            self.change(Change(UNNAME, id, key, 0))

    def forget(self, id: bytes) -> None:
        """Another node has the stream now: its names are not this node's."""
        self.given.pop(id, None)
        self.elected.pop(id, None)

    def dropped(self, id: bytes) -> None:
        """A stream is not kept any more."""
        for key in (*self.given.get(id, ()), *self.elected.get(id, ())):
            self.unname(id, key)

    def ended(self, id: bytes) -> None:
        """A stream has ended, or is gone: its names stay as long as they are to."""
        given = self.given.pop(id, {})
        holds = self.elected.pop(id, set())
        for key, seconds in given.items():
            ms = max(int(seconds * 1000), 1)
            script = HOLD if key in holds else NAME
            self.change(Change(script, id, key, ms))
        for key in holds - set(given):
            self.change(Change(HOLD, id, key, 0))

    def renewals(self) -> Iterator[Change]:
        """All names, to be given again."""
        for id, given in self.given.items():
            for key, seconds in given.items():
                if key not in self.elected.get(id, ()):
                    yield self.renewal(id, key, seconds)
        for id, holds in self.elected.items():
            for key in holds:
                yield Change(ELECT, id, key, HOLD_MS)

    def renewal(self, id: bytes, key: Key, seconds: float) -> Change:
        """A name, for some time from now on."""
        ms = HOLD_MS + int(seconds * 1000)
        elected = key in self.elected.get(id, ())
        return Change(HOLD if elected else RENEW, id, key, ms)

    def renew(self) -> None:
        """Give all names again."""
        for each in self.renewals():
            self.changes.renew(each)
        self.writing.begin()

    def change(self, change: Change) -> None:
        """Write it soon."""
        self.changes.add(change)
        self.writing.begin()

    def is_due(self) -> bool:
        """Can something be written that waits?"""
        return bool(self.changes) and self.store.up

    async def write(self) -> None:
        """Write all changes, in their order."""
        while self.changes and self.store.up:
            sealing = self.store.sealing
            if sealing is None:
                return
            taken = self.changes.take(MOST)
            changes = taken.values()
            steps = [(each.script, self.item(each, sealing)) for each in changes]
            try:
                results = await self.store.connection.call(calls_of(steps))
            except StoreFault as fault:
                self.changes.put_back(taken)
                self.store.failed(fault)
                return
            found = [each for result in results for each in result]
            for change, result in zip(changes, found, strict=True):
                if change.script is RENEW and result[0] == LOST:
                    self.lose(change.id, change.key)
                elif change.script is SUPERSEDE and result[1]:
                    await self.tell_superseded(change.key, result[1], sealing)

    async def tell_superseded(
        self, key: Key, members: list[bytes], sealing: Sealing
    ) -> None:
        """Tell the owners of streams that have lost a name."""
        name = sealing.name_of(*key)
        for id in filter(None, map(sealing_opened(sealing), members)):
            if self.store.owner_of(id) is not None:
                self.lose(id, key)
                continue
            stream = sealing.stream_name(id)
            place: Item = ([self.store.keys.meta(stream)], [])
            with contextlib.suppress(StoreFault):
                owner = (await self.store.questions.ask(FIND, place))[2]
                if owner:
                    text = b" ".join([SUPERSEDED, stream, name])
                    self.store.teller.tell([(self.store.keys.channel(owner), text)])

    def item(self, change: Change, sealing: Sealing) -> Item:
        """The keys and arguments of a change."""
        name = sealing.name_of(*change.key)
        if change.script in (HOLD, ELECT):
            holder = self.holder(change.id, sealing)
            key = self.store.keys.elected(name)
            if change.script is ELECT:
                return [key], [holder, b"", change.ms]
            return [key], [holder, change.ms]
        key, sealed = self.store.keys.name(name), sealing.seal_id(change.id)
        if change.script in (NAME, RENEW):
            return [key], [sealed, change.ms, MOST_HOLDERS]
        return [key], [sealed]

    def holder(self, id: bytes, sealing: Sealing) -> bytes:
        """What stands in an elected name: the node and the stream."""
        return self.store.node.encode() + b" " + sealing.seal_id(id)

    # -- asked for

    async def find(self, key: Key) -> list[bytes]:
        """The IDs of all streams of a name.

        Raises:
            StoreFault: they are not known.
        """
        sealing = self.sealing()
        name = sealing.name_of(*key)
        places = [self.store.keys.name(name), self.store.keys.elected(name)]
        # The two are of different slots in a cluster.
        members = (await self.store.questions.ask(MEMBERS, (places[:1], [])))[1]
        holder = (await self.store.questions.ask(HOLDER, (places[1:], [])))[1]
        found = [each for each in map(sealing_opened(sealing), members) if each]
        if holder:
            _, id = self.read_holder(holder, sealing)
            if id and id not in found:
                found.append(id)
        if not found:
            self.check_settled()
        return found

    def check_settled(self) -> None:
        """Have all nodes written again what the store may have lost?

        Raises:
            StoreFault: perhaps not, so what is not there may come.
        """
        if asyncio.get_running_loop().time() < self.store.life.trusted_at:
            raise StoreFault("it is back, but others may not have written to it again")

    async def elect(self, key: Key, id: bytes) -> bytes:
        """The ID that has a name now.

        Raises:
            StoreFault: it is not known.
        """
        sealing, ask = self.sealing(), self.store.questions.ask
        place = self.store.keys.elected(sealing.name_of(*key))
        own, dead = self.holder(id, sealing), b""
        while True:
            result = await ask(ELECT, ([place], [own, dead, HOLD_MS]))
            holder: bytes = result[1]
            if holder == own:
                self.elected.setdefault(id, set()).add(key)
                return id
            node, winner = self.read_holder(holder, sealing)
            if winner and (await self.is_alive(node) or await self.has_ended(winner)):
                self.store.reader.homes[winner] = Home(node, place, holder)
                return winner
            dead = holder

    async def is_alive(self, node: bytes) -> bool:
        """Does the node of an election show signs of life?

        Raises:
            StoreFault: it is not known.
        """
        now = asyncio.get_running_loop().time()
        if now < self.store.life.trusted_at:
            return True
        key = self.store.keys.node(node)
        return bool((await self.store.questions.ask(ALIVE, ([key], [])))[1])

    async def has_ended(self, id: bytes) -> bool:
        """Is a stream there, and complete, so that it needs its node no more?

        Raises:
            StoreFault: it is not known.
        """
        key = self.store.keys.meta(self.sealing().stream_name(id))
        state: bytes = (await self.store.questions.ask(FIND, ([key], [])))[4]
        return state == COMPLETE

    def read_holder(self, holder: bytes, sealing: Sealing) -> tuple[bytes, bytes]:
        """The node and the ID; no ID if it was sealed by another secret."""
        node, _, sealed = holder.partition(b" ")
        return node, sealing_opened(sealing)(sealed)

    def sealing(self) -> Sealing:
        """The secrets.

        Raises:
            StoreFault: they are not known.
        """
        found = self.store.sealing
        if found is None:
            raise StoreFault("not connected yet")
        return found


def sealing_opened(sealing: Sealing) -> Any:
    """Opens IDs; b"" for what was sealed by another secret."""

    def open_id(sealed: bytes) -> bytes:
        try:
            return sealing.open_id(sealed)
        except SealBroken:
            return b""

    return open_id
