"""What owners that have died leave behind: this node takes it up, or buries it.

The answer to a claim may be lost: then nobody knows whether this node has the stream,
until it is claimed again. What it has, and does not begin, it gives back.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol

from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.log_reader import MOST_ENTRIES, LogReader
from proxy.kept.redis.questions import Questions
from proxy.kept.redis.read_stream import ReadStream
from proxy.kept.redis.records import encode_end
from proxy.kept.redis.scripts import (
    ALIVE,
    BURY,
    CLAIM,
    DONE,
    FIND,
    GIVE_BACK,
    READ,
)
from proxy.kept.redis.sealing import Sealing
from proxy.kept.redis.store_connection import StoreFault
from proxy.kept.redis.written_stream import SPARE_MS
from proxy.kept.shared_store import StreamEnd

GIVE_BACK_SECONDS: Final = 20.0  # longer than anybody tries to take up a stream


class ClaimsStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    questions: Questions
    reader: LogReader

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""


class Claim(NamedTuple):
    """A stream that this node has, or may have: in an epoch, up to a position."""

    epoch: int
    end: int | None
    since: float


class Claims:
    """Of the streams of dead owners."""

    def __init__(self, store: ClaimsStore) -> None:
        self.store = store
        self.made: dict[bytes, Claim] = {}  # by ID; as long as it has not begun
        self.taken = 0

    async def claim(self, id: bytes, epoch: int) -> int | None:
        """See `SharedStore.claim`.

        Raises:
            StoreFault: it is not known who has it.
        """
        sealing, reader = self.store.sealing, self.store.reader
        if sealing is None:
            raise StoreFault("not connected yet")
        name = sealing.stream_name(id)
        streams = [each for each in reader.by_name.get(name, ()) if not each.closed]
        for stream in streams:
            stream.claiming = True
        try:
            now = asyncio.get_running_loop().time()
            reader.claimed[id] = epoch + 1
            self.made[id] = Claim(epoch + 1, None, now)
            end = await self.ask(name, epoch)
            if end is None:
                self.forget(id)
                return None
            for stream in streams:
                await self.read_up_to(stream, epoch + 1, end)
            self.made[id] = Claim(epoch + 1, end, now)
            self.taken += 1
            return end
        finally:
            for stream in streams:
                stream.claiming = False
            reader.want(each for each in streams if not each.closed)

    async def ask(self, name: bytes, epoch: int) -> int | None:
        """Have a stream be this node's: where it ends.

        Raises:
            StoreFault: it is not known who has it.
        """
        store, keys = self.store, self.store.keys
        names = [keys.meta(name), keys.log(name, epoch), keys.log(name, epoch + 1)]
        item: Item = (names, [epoch, epoch + 1, store.node, 0, SPARE_MS])
        result = await store.questions.ask(CLAIM, item)
        if result[0] != DONE:
            return None
        last: bytes = result[1]
        return int(last.partition(b"-")[0])

    async def read_up_to(self, stream: ReadStream, epoch: int, end: int) -> None:
        """Tell the rest of a stream that this node has from now on.

        Raises:
            StoreFault: it could not be read.
        """
        before, stream.epoch = stream.epoch, epoch
        try:
            while not stream.closed and (stream.position or 0) < end:
                item = stream.read_item(self.store.keys, MOST_ENTRIES)
                found = await self.store.questions.ask(READ, item)
                if not found[1]:
                    break
                stream.take(found, MOST_ENTRIES)
        except StoreFault:
            stream.epoch = before
            raise
        stream.close()

    # -- what becomes of it

    def begun(self, id: bytes) -> int | None:
        """This node begins a stream; where it ended, if it was claimed."""
        made = self.made.get(id)
        self.forget(id)
        return None if made is None else made.end

    def forget(self, id: bytes) -> None:
        """Nothing is waited for any more."""
        self.made.pop(id, None)
        self.store.reader.claimed.pop(id, None)

    async def give_back(self, now: float) -> None:
        """Let others have what was claimed long ago, and has not begun.

        Raises:
            StoreFault: it could not be done.
        """
        sealing, keys = self.store.sealing, self.store.keys
        old = [
            (id, made.epoch)
            for id, made in self.made.items()
            if now - made.since >= GIVE_BACK_SECONDS
        ]
        for id, epoch in old if sealing is not None else ():
            assert sealing is not None
            key = keys.meta(sealing.stream_name(id))
            item: Item = ([key], [epoch, self.store.node])
            await self.store.questions.ask(GIVE_BACK, item)
            self.forget(id)

    async def bury(self, id: bytes, epoch: int, end: StreamEnd, ms: int) -> None:
        """See `SharedStore.bury`.

        Raises:
            StoreFault: it is not known whether it has been done.
        """
        store, sealing = self.store, self.store.sealing
        if sealing is None:
            return
        keys, name = store.keys, sealing.stream_name(id)
        owner = (await store.questions.ask(FIND, ([keys.meta(name)], [])))[2]
        if owner:
            key = keys.node(owner)
            if (await store.questions.ask(ALIVE, ([key], [])))[1]:
                return
        sealed = sealing.of_stream(id).seal(encode_end(end), b"end")
        names = [keys.meta(name), keys.log(name, epoch), keys.log(name, epoch + 1)]
        state = end.state.encode("ascii")
        item: Item = (names, [epoch, epoch + 1, owner, sealed, state, ms])
        await store.questions.ask(BURY, item)
