"""Reads what is new of the streams that this node follows, of all of them in one call.

One connection for all: nothing waits in the server for what comes next. A message says
which streams have something new; since messages may be lost, all of them are looked at
every LOOK seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.life import Life
from proxy.kept.redis.read_stream import ReadStream
from proxy.kept.redis.scripts import HOLDER, READ
from proxy.kept.redis.sealing import Sealing
from proxy.kept.redis.store_connection import Call, Message, StoreConnection, StoreFault
from proxy.kept.shared_store import Feed

LOOK: Final = 1.0  # seconds
MOST_STREAMS: Final = 100  # of one call
MOST_ENTRIES: Final = 64  # of one call
# Of streams that are followed for the first time: all of it is there to be read, and
# clients wait for it.
MOST_NEW: Final = 16
MOST_NEW_ENTRIES: Final = 256
FOLLOW_SECONDS: Final = 5.0  # after which an owner is told again
FOLLOW, UNFOLLOW = b"follow", b"unfollow"


class Home(NamedTuple):
    """Of a stream without a head: the node that asks for it, and by which name."""

    node: bytes
    key: bytes
    holder: bytes


class Teller(Protocol):
    """Tells other nodes something."""

    def tell(self, messages: Iterable[Message]) -> None:
        """Send messages soon, or never."""


class LogReaderStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection
    life: Life

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""

    @property
    def messages(self) -> Teller:
        """What nodes tell each other."""


class LogReader:
    """Of all streams that this node follows."""

    def __init__(self, store: LogReaderStore) -> None:
        self.store = store
        self.streams: dict[ReadStream, None] = {}
        self.by_name: dict[bytes, list[ReadStream]] = {}
        self.homes: dict[bytes, Home] = {}  # by ID
        self.wanted: dict[ReadStream, None] = {}
        self.task: asyncio.Task[None] | None = None
        self.bytes_before = 0  # of those that are not followed any more
        # Epochs in which this node may have a stream, without having begun it; by ID.
        self.claimed: dict[bytes, int] = {}

    @property
    def bytes_read(self) -> int:
        """How many were read so far."""
        return self.bytes_before + sum(each.bytes for each in self.streams)

    # -- what is followed

    def follow(
        self, id: bytes, position: int | None, feed: Feed, behind: int
    ) -> ReadStream:
        """Follow one more."""
        stream = ReadStream(id, position, feed, self.leave, behind)
        self.streams[stream] = None
        self.find_name(stream)
        self.want([stream])
        return stream

    def find_name(self, stream: ReadStream) -> None:
        """Find it by its name in the server."""
        sealing = self.store.sealing
        if sealing is not None:
            name = stream.find_name(sealing)
            self.by_name.setdefault(name, []).append(stream)

    def leave(self, stream: ReadStream) -> None:
        """One is not followed any more."""
        if self.streams.pop(stream, stream) is not None:
            return
        self.bytes_before += stream.bytes
        self.wanted.pop(stream, None)
        left = [each for each in self.by_name.get(stream.name, []) if each != stream]
        if left:
            self.by_name[stream.name] = left
            return
        self.by_name.pop(stream.name, None)
        self.homes.pop(stream.id, None)
        if stream.owner:
            self.store.messages.tell([self.message(UNFOLLOW, stream)])

    def secret_changed(self) -> None:
        """All have other names."""
        self.by_name.clear()
        for stream in self.streams:
            self.find_name(stream)

    def message(self, word: bytes, stream: ReadStream) -> Message:
        """Tell an owner that this node follows its stream, or does not."""
        text = b" ".join([word, stream.name, self.store.node.encode()])
        return self.store.keys.channel(stream.owner), text

    def tell_owners(self) -> None:
        """Say again what is followed."""
        self.store.messages.tell(
            self.message(FOLLOW, each) for each in self.streams if each.owner
        )

    # -- when

    def news(self, names: Iterable[bytes]) -> None:
        """These streams have something new."""
        self.want(each for name in names for each in self.by_name.get(name, ()))

    def declined(self, names: Iterable[bytes]) -> None:
        """These streams are not kept."""
        for name in names:
            for stream in tuple(self.by_name.get(name, ())):
                stream.decline()

    def want(self, streams: Iterable[ReadStream]) -> None:
        """Look at streams soon."""
        for stream in streams:
            self.wanted[stream] = None
            stream.is_behind = True
        if self.wanted and self.task is None and self.store.up:
            self.task = asyncio.get_running_loop().create_task(self.read())
            self.task.add_done_callback(self.over)

    def look(self) -> None:
        """Look at all of them."""
        self.want(tuple(self.streams))

    def over(self, task: asyncio.Task[None]) -> None:
        """All that was wanted was read, or could not be."""
        self.task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            report("reading streams from the store", error)
            return
        if self.store.up:
            self.want(())

    # -- reading

    async def read(self) -> None:
        """Read until nothing is wanted."""
        while self.wanted and self.store.up and self.store.sealing is not None:
            wanted = tuple(self.wanted)
            new = [each for each in wanted if not each.caught_up]
            known = [each for each in wanted if each.caught_up]
            await self.read_some(new[:MOST_NEW], MOST_NEW_ENTRIES)
            await self.read_some(known[:MOST_STREAMS], MOST_ENTRIES)

    async def read_some(self, wanted: Sequence[ReadStream], entries: int) -> None:
        """Read so much of some streams, if they are still to be read."""
        for each in wanted:
            self.wanted.pop(each, None)
        ready = [each for each in wanted if not each.closed and not each.claiming]
        if ready:
            try:
                await self.read_batch(ready, entries)
            except StoreFault as fault:
                self.store.failed(fault)
        for each in wanted:
            each.is_behind = each in self.wanted

    async def read_batch(self, streams: list[ReadStream], entries: int) -> None:
        """Read what is new of some streams.

        Raises:
            StoreFault: nothing was read.
        """
        most = max(entries // len(streams), 2)
        items = [each.read_item(self.store.keys, most) for each in streams]
        [results] = await self.store.connection.call([Call(READ, items)])
        life, now = self.store.life, asyncio.get_running_loop().time()
        await life.learn(now, {found[3] for found in results if found[3]})
        missing = []
        more = []
        for stream, found in zip(streams, results, strict=True):
            if stream.closed or stream.claiming:
                continue
            stream.doubted = life.is_doubtful(found[3])
            if life.is_dead(found[3]):
                stream.suspect = True
            elif found[3] and found[3] == stream.owner:  # not another one
                stream.owner_seen()
            if not found[2]:
                missing.append(stream)
                continue
            if self.is_ours(stream, found):
                stream.has_no_owner()
                continue
            known = stream.owner
            try:
                if stream.take(found, most):
                    more.append(stream)
            except Exception as error:
                report("a stream of another node", error)
                stream.give_up("the proxy failed")
            if stream.owner and not stream.closed:
                self.take_owner(stream, known)
        if more:  # first come, first served: in turns, each would wait for all
            self.wanted = dict.fromkeys([*more, *self.wanted])
        if missing:
            await self.look_at_missing(missing)

    def is_ours(self, stream: ReadStream, found: list[Any]) -> bool:
        """Has this node claimed a stream, without having heard so?"""
        own = self.store.node.encode()
        return bool(found[3] == own and self.claimed.get(stream.id) == int(found[2]))

    def take_owner(self, stream: ReadStream, known: bytes) -> None:
        """It is known who has a stream, `known` before."""
        life = self.store.life
        if stream.owner != known:
            life.watch(stream.owner)
            self.store.messages.tell([self.message(FOLLOW, stream)])

    async def look_at_missing(self, streams: list[ReadStream]) -> None:
        """Streams that are not in the store: will they be?

        Raises:
            StoreFault: it is not known.
        """
        now = asyncio.get_running_loop().time()
        life = self.store.life
        for stream in streams:
            home = self.homes.get(stream.id)
            if stream.meta is not None:
                stream.is_missing(now, owner_dead=life.is_dead(stream.owner))
            elif home is None:
                stream.give_up("it is not in the store")
            else:
                item: Item = ([home.key], [])
                [[result]] = await self.store.connection.call([Call(HOLDER, [item])])
                stream.is_awaited()
                if result[1] != home.holder:
                    stream.decline()
                elif life.is_dead(home.node):
                    stream.home_died()

    def node_died(self, node: bytes) -> None:
        """A node shows no signs of life: read what it has left, then tell of it."""
        for stream in tuple(self.streams):
            home = self.homes.get(stream.id)
            if stream.owner == node or (home is not None and home.node == node):
                stream.suspect = True
                self.want([stream])

    def came_up(self) -> None:
        """Nobody is known to be dead any more: others may not be back yet."""
        for stream in tuple(self.streams):
            if stream.owner:
                stream.owner_seen()
        self.look()

    def nodes_seen(self) -> None:
        """There was another look at all nodes."""
        life = self.store.life
        for stream in tuple(self.streams):
            if stream.suspect and stream.owner in life.seen:
                stream.owner_seen()
            doubted, stream.doubted = stream.doubted, life.is_doubtful(stream.owner)
            if doubted and not stream.doubted:
                self.want([stream])

    def nodes(self) -> set[bytes]:
        """Those whose life counts."""
        owners = {each.owner for each in self.streams if each.owner}
        waiting = {
            home.node
            for each in self.streams
            if (home := self.homes.get(each.id)) is not None
        }
        return owners | waiting
