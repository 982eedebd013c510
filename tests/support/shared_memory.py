"""A store that several servers of one process share, without a program behind it.

Deterministic: what one node tells another comes in a later turn of the loop, in order.
While it is `held`, a test says when.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from proxy.kept.shared_store import (
    Feed,
    Following,
    MissingStream,
    OwnedBy,
    OwnedStream,
    SharedStore,
    StoredStream,
    StoreState,
    StoreUnavailable,
    StreamEnd,
    StreamMeta,
)
from proxy.kept.stored_log import StoredLog
from proxy.policy.stream_identity import maker_of

NameKey = tuple[str, str, bytes, bytes]
SECRET = b"of all nodes"


class Record:
    """One stream, as it is in the store."""

    def __init__(self, id: bytes, owner: MemoryNode, by: OwnedBy) -> None:
        self.id = id
        self.owner: MemoryNode | None = owner
        self.by = by
        self.owned: MemoryOwned | None = None
        self.epoch = 1
        self.meta: StreamMeta | None = None
        self.data = b""
        self.first = 0  # position of the first byte of `data`
        self.end: StreamEnd | None = None
        self.followers: list[MemoryFollowing] = []
        self.gone = self.buried = False
        self.moves: list[tuple[int, int]] = []  # epochs, and where they begin

    @property
    def position(self) -> int:
        return self.first + len(self.data)


class Hub:
    """What all nodes see."""

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self.names: dict[NameKey, list[bytes]] = {}
        self.elected: dict[NameKey, bytes] = {}
        self.notes: dict[tuple[str, bytes], bytes] = {}
        self.recalled = 0  # how often one was asked for
        self.nodes: list[MemoryNode] = []
        self.up = True
        self.seconds = 1e9  # for which it has been running
        self.claims = 0  # how often one was made
        self.deaf = False  # is no answer to a claim heard?
        self.held = False
        self.waiting: deque[Callable[[], None]] = deque()

    def node(self) -> SharedStore:
        """One more node."""
        self.nodes.append(MemoryNode(self, f"{len(self.nodes):08x}"))
        return self.nodes[-1]

    def later(self, call: Callable[[], None]) -> None:
        """In a later turn, or when the test says so."""
        self.waiting.append(call)
        if not self.held:
            asyncio.get_running_loop().call_soon(self.deliver)

    def deliver(self) -> None:
        """What waits, in order; what that leads to comes later."""
        for _ in range(len(self.waiting)):
            self.waiting.popleft()()

    def release(self) -> None:
        """Deliver by itself again."""
        self.held = False
        while self.waiting:
            self.deliver()

    def go_down(self) -> None:
        """Answer nobody any more."""
        self.up = False

    def come_back(self, *, empty: bool = False) -> None:
        """Answer again; `empty`: only what owners still have is written again."""
        self.up = True
        if empty:
            self.seconds = 0.0
            self.names.clear()
            self.elected.clear()
        for record in tuple(self.records.values()):
            owned = record.owned
            if owned is not None and self.is_owned(record):
                if empty:
                    record.data, record.first = b"", owned.log.first
                self.later(owned.flush)
            self.news(record)
            if record.id in self.records and empty and not self.is_owned(record):
                del self.records[record.id]
                record.followers = []

    def is_owned(self, record: Record) -> bool:
        """Will its owner write it again?"""
        owned = record.owned
        return owned is not None and owned.is_owner and record.end is None

    def kill(self, node: MemoryNode) -> None:
        """A process dies."""
        node.alive = False
        for record in self.records.values():
            left = [each for each in record.followers if each.node is not node]
            if left != record.followers:
                record.followers = left
                self.later(partial(tell_readers, record))
            if record.owner is node:
                self.news(record)
        for key, id in tuple(self.elected.items()):
            if self.records.get(id) is None or self.records[id].owner is node:
                del self.elected[key]

    def pause(self, node: MemoryNode) -> None:
        """A process seems to be dead."""
        node.alive = False
        for record in self.records.values():
            if record.owner is node:
                self.news(record)

    def go_on(self, node: MemoryNode) -> None:
        """It was only away for a while."""
        node.alive = True
        for record in tuple(self.records.values()):
            if record.owned is not None and record.owned.node is node:
                self.later(record.owned.flush)
            self.news(record)

    def news(self, record: Record) -> None:
        """Who follows a stream reads on."""
        for each in tuple(record.followers):
            self.later(each.read)


class MemoryFollowing:
    """A node that follows a stream."""

    def __init__(
        self,
        node: MemoryNode,
        id: bytes,
        position: int | None,
        feed: Feed,
        behind: int,
    ) -> None:
        self.node = node
        self.behind = behind
        self.id = id
        self.position = position
        self.feed = feed
        self.closed = self.caught_up = self.changed = False
        self.is_behind = False  # as a test says
        self.is_doubtful = False
        self.told_dead: int | None = None
        self.moves = 0

    def read(self) -> None:
        """Tell what is new."""
        if self.closed or not self.node.alive or not self.node.hub.up:
            return
        record = self.node.hub.records.get(self.id)
        if record is None:
            self.close()
            self.feed.declined()
            return
        if record.meta is not None and not self.changed:
            self.changed = True
            self.moves = len(record.moves)
            self.feed.changed(record.meta)
        self.tell_moves(record)
        if not self.closed and record.meta is not None:
            self.tell_data(record)
        if not self.closed and not self.caught_up:
            self.caught_up = True
            self.feed.caught_up()
        self.tell_end(record)

    def tell_moves(self, record: Record) -> None:
        while not self.closed and self.moves < len(record.moves):
            epoch, position = record.moves[self.moves]
            self.moves += 1
            if self.position is not None and self.position > position:
                self.position = position
            self.feed.moved(epoch, position)

    def tell_data(self, record: Record) -> None:
        if self.position is None:
            self.position = self.begin(record)
        if self.position < record.first:
            self.close()
            self.feed.damaged("a gap")
            return
        data = record.data[self.position - record.first :]
        if data:
            position, self.position = self.position, record.position
            events, at_cut, owned = -1, False, record.owned
            if not position:
                events, at_cut = 0, True
            elif owned is not None and owned.log.first <= position:
                events = owned.log.events_before(position)
                at_cut = owned.log.is_cut(position)
            self.feed.data(position, data, events, at_cut)

    def begin(self, record: Record) -> int:
        """Where what it needs begins: with the last event that it does not need."""
        found, owned = None, record.owned
        if owned is not None and self.behind:
            found = owned.log.after_id(b"%b.%d" % (self.id, self.behind - 1))
        return record.first if found is None else found

    def tell_end(self, record: Record) -> None:
        if self.closed:
            return
        owner = record.owner
        if record.end is not None:
            self.close()
            self.feed.ended(record.end)
        elif owner is None or not owner.alive:
            if self.told_dead != record.epoch:
                self.told_dead = record.epoch
                self.feed.owner_died(record.epoch)
        elif self.told_dead == record.epoch:
            self.told_dead = None
            self.feed.owner_back(record.epoch)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        record = self.node.hub.records.get(self.id)
        if record is not None and self in record.followers:
            record.followers.remove(self)
            self.node.hub.later(lambda: tell_readers(record))


def tell_readers(record: Record) -> None:
    """The owner learns how many follow."""
    owner = record.owner
    if owner is not None and owner.alive and not record.gone:
        readers = len(record.followers)
        if record.owned is not None:
            record.owned.readers = readers
        record.by.readers_changed(readers)


class MemoryOwned:
    """A stream of a node. See `OwnedStream`."""

    def __init__(self, node: MemoryNode, record: Record, log: StoredLog) -> None:
        self.node = node
        self.record = record
        self.log = log
        self.flushing = False
        self.readers = 0

    @property
    def is_owner(self) -> bool:
        return self.record.owner is self.node and self.node.alive

    def begin(self, meta: StreamMeta, keep_seconds: float) -> None:
        record = self.record
        record.meta = meta
        if not record.data:
            record.first = self.log.first
        self.log.attach(self)
        if record.epoch > 1:
            record.moves.append((record.epoch, record.position))
        self.log_grew()

    def update(self, meta: StreamMeta) -> None:
        self.record.meta = meta

    def log_grew(self) -> None:
        if not self.flushing:
            self.flushing = True
            self.node.hub.later(self.flush)

    def flush(self) -> None:
        """Write what is new."""
        self.flushing = False
        if not self.node.alive:
            return
        record = self.record
        if not self.node.hub.up or self.log.closed:
            return
        if record.buried:
            record.buried, record.owner, record.end = False, self.node, None
            record.epoch += 1
        if record.owner is not self.node:
            self.log.attach(None)
            self.node.lost(record.id)
            return
        if record.end is not None:
            return
        self.write()
        self.log.clean = True
        self.node.hub.news(record)

    def write(self) -> None:
        record = self.record
        while record.position < self.log.end:
            record.data += self.log.read(record.position, 64 * 1024)
        if self.log.first > record.first:
            record.data = record.data[self.log.first - record.first :]
            record.first = self.log.first

    def log_closes(self) -> None:
        if self.is_owner:
            self.write()
            self.log.attach(None)

    def log_rolled_back(self) -> None:
        record = self.record
        if not self.is_owner:
            return
        if self.log.end < record.position:
            record.data = record.data[: self.log.end - record.first]
            record.epoch += 1
            record.moves.append((record.epoch, self.log.end))
            self.node.hub.news(record)

    def end(self, end: StreamEnd, keep_seconds: float) -> None:
        if self.is_owner:
            self.write()
            self.log.attach(None)
            self.record.end = end
            self.node.hub.news(self.record)

    def release(self) -> None:
        if self.is_owner:
            self.write()
            self.log.attach(None)
            self.record.owner = None
            self.node.hub.news(self.record)

    def drop(self) -> None:
        if self.is_owner:
            self.log.attach(None)
            self.node.drop(self.record.id)


class MemoryNode:
    """The store as one node has it. See `SharedStore`."""

    def __init__(self, hub: Hub, node: str) -> None:
        self.hub = hub
        self.node = node
        self.alive = True
        self.owners: dict[bytes, OwnedBy] = {}

    @property
    def up(self) -> bool:
        return self.hub.up and self.alive

    @property
    def secret(self) -> bytes:
        return SECRET

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def answer(self) -> None:
        """What is asked takes a turn."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def answered() -> None:
            if not done.done():
                done.set_result(None)

        self.hub.later(answered)
        await done
        if not self.up:
            raise StoreUnavailable

    # -- owners

    def announce(self, id: bytes, by: OwnedBy) -> None:
        self.owners[id] = by
        self.hub.records[id] = Record(id, self, by)

    def renounce(self, id: bytes) -> None:
        record = self.hub.records.get(id)
        if record is not None and record.meta is None:
            self.drop(id)

    def drop(self, id: bytes) -> None:
        record = self.hub.records.pop(id, None)
        if record is not None:
            record.gone = True
            self.hub.news(record)

    def own(
        self, id: bytes, by: OwnedBy, log: StoredLog, epoch: int = 1
    ) -> OwnedStream:
        record = self.hub.records.get(id)
        if record is None:
            self.hub.records[id] = record = Record(id, self, by)
        self.owners[id] = record.by = by
        record.epoch = epoch
        record.owned = owned = MemoryOwned(self, record, log)
        return owned

    def lost(self, id: bytes) -> None:
        """Another node has it."""
        by = self.owners.pop(id, None)
        if by is not None:
            by.lost()

    async def claim(self, id: bytes, epoch: int) -> int | None:
        self.hub.claims += 1
        await self.answer()
        record = self.hub.records.get(id)
        if record is None:
            return None
        if record.epoch != epoch + 1 or record.owner is not self:
            if record.epoch != epoch:
                return None
            if record.owner is not None and record.owner.alive:
                return None
            record.owner, record.epoch = self, epoch + 1
        if self.hub.deaf:
            raise StoreUnavailable
        for each in tuple(record.followers):
            if each.node is self:
                each.tell_data(record)
                each.close()
        return record.position

    def bury(self, id: bytes, epoch: int, end: StreamEnd, keep_seconds: float) -> None:
        def bury() -> None:
            record = self.hub.records.get(id)
            if record is None or record.end is not None or not self.up:
                return
            if record.owner is not None and record.owner.alive:
                return
            if record.meta is None:
                self.drop(id)
            elif record.epoch == epoch:
                record.epoch, record.owner, record.end = epoch + 1, None, end
                record.buried = True
                self.hub.news(record)

        self.hub.later(bury)

    # -- followers

    def follow(
        self, id: bytes, position: int | None, feed: Feed, behind: int = 0
    ) -> Following:
        following = MemoryFollowing(self, id, position, feed, behind)
        record = self.hub.records.get(id)
        if record is not None:
            record.followers.append(following)
            self.hub.later(lambda: tell_readers(record))
        self.hub.later(following.read)
        return following

    async def find(self, id: bytes) -> StoredStream | None:
        await self.answer()
        record = self.hub.records.get(id)
        if record is None:
            return None
        owner = record.owner
        state = "waiting" if record.meta is None else "running"
        if record.end is not None:
            state = record.end.state
        alive = owner is not None and owner.alive
        return StoredStream(
            record.meta, "" if owner is None else owner.node, record.epoch, state, alive
        )

    async def why_missing(self, id: bytes) -> MissingStream:
        await self.answer()
        made_by = maker_of(id).decode()
        alive = any(each.alive and each.node == made_by for each in self.hub.nodes)
        return MissingStream(alive, self.hub.seconds)

    def stop(self, id: bytes) -> None:
        def tell() -> None:
            record = self.hub.records.get(id)
            if record is not None and record.owner is not None and record.owner.alive:
                record.by.stop_asked()

        self.hub.later(tell)

    # -- names

    def name(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes, seconds: float
    ) -> None:
        known = self.hub.names.setdefault((kind, route, value, who), [])
        if id not in known:
            known.append(id)

    def unname(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        key = (kind, route, value, who)
        known = self.hub.names.get(key, [])
        if id in known:
            known.remove(id)
        if self.hub.elected.get(key) == id:
            del self.hub.elected[key]

    def supersede(
        self, id: bytes, kind: str, route: str, value: bytes, who: bytes
    ) -> None:
        known = self.hub.names.get((kind, route, value, who), [])
        before = known[: known.index(id)] if id in known else []
        for each in before:
            known.remove(each)
            record = self.hub.records.get(each)
            if record is not None and record.owner is not None:
                by = record.by
                self.hub.later(partial(by.superseded, kind, route, value, who))

    async def find_name(
        self, kind: str, route: str, value: bytes, who: bytes
    ) -> list[bytes]:
        await self.answer()
        return list(self.hub.names.get((kind, route, value, who), []))

    async def elect(
        self, kind: str, route: str, value: bytes, who: bytes, id: bytes
    ) -> bytes:
        await self.answer()
        return self.hub.elected.setdefault((kind, route, value, who), id)

    # -- notes

    def remember(self, kind: str, key: bytes, text: bytes, seconds: float) -> None:
        if not self.hub.up:
            return
        if seconds:
            self.hub.notes[kind, key] = text
        else:
            self.hub.notes.pop((kind, key), None)

    async def recall(self, kind: str, key: bytes) -> bytes | None:
        await self.answer()
        self.hub.recalled += 1
        return self.hub.notes.get((kind, key))

    def state(self) -> StoreState:
        return StoreState(self.up, "", 0.0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
