"""What nodes tell each other: that there is something to look at.

By one connection that does nothing else. A message may be lost, so none says anything
that could not be found out without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from proxy.kept.redis.keys import Keys
from proxy.kept.redis.log_reader import FOLLOW, UNFOLLOW, LogReader
from proxy.kept.redis.store_connection import Message, StoreConnection, StoreFault
from proxy.kept.redis.write_behind import (
    DECLINED,
    NEWS,
    RELEASED,
    Leased,
    WriteBehind,
)
from proxy.kept.redis.written_stream import WrittenStream

QUIET_SECONDS: Final = 5.0  # after which it is asked whether the connection lives
RETRY_SECONDS: Final = 1.0

LEASE_SECONDS: Final = 15.0  # that a node follows after it has said so
STOP_WORD, SUPERSEDED = b"stop", b"superseded"


class NameKeeper(Protocol):
    """Knows the names of this node's streams."""

    def superseded(self, id: bytes, names: list[bytes]) -> None:
        """Another stream has these names of one now."""


class MessagesStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection
    reader: LogReader
    writer: WriteBehind

    @property
    def names(self) -> NameKeeper:
        """Of the streams of this node."""

    @property
    def up(self) -> bool:
        """Does it answer?"""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


class Messages:
    """Those for this node, and those that it sends."""

    def __init__(self, store: MessagesStore) -> None:
        self.store = store
        self.up = asyncio.Event()  # set while the store is
        self.untold: list[Message] = []
        self.telling: asyncio.Task[None] | None = None

    # -- sent

    def tell(self, messages: Iterable[Message]) -> None:
        """Send messages soon, or never."""
        self.untold += messages
        if not self.store.up:
            self.untold.clear()
        if self.untold and self.telling is None:
            self.telling = asyncio.get_running_loop().create_task(self.send())
            self.telling.add_done_callback(self.told)

    async def send(self) -> None:
        """Send what is untold."""
        while self.untold and self.store.up:
            messages, self.untold = self.untold, []
            try:
                await self.store.connection.publish(messages)
            except StoreFault as fault:
                self.store.failed(fault)

    def told(self, task: asyncio.Task[None]) -> None:
        """All was sent, or could not be."""
        self.telling = None
        self.tell(())

    # -- heard

    async def run(self) -> None:
        """Listen whenever the store is up, until cancelled."""
        while True:
            await self.up.wait()
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self.listen()
            await asyncio.sleep(RETRY_SECONDS)

    async def listen(self) -> None:
        """Listen until the connection fails, which is told by an exception."""
        client = self.store.connection.listener()
        channel = self.store.keys.channel(self.store.node.encode())
        try:
            hub: Any = client.pubsub()
            async with asyncio.timeout(QUIET_SECONDS):
                await hub.subscribe(channel)
            asked = False
            while self.store.up:
                message = await hub.get_message(timeout=QUIET_SECONDS)
                if message is None:
                    if asked:
                        return
                    asked = True
                    await hub.ping()
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self.joined()
                elif message["type"] == "message":
                    self.heard(message["data"].split(b" "))
        finally:
            with contextlib.suppress(Exception):
                await client.aclose()

    def joined(self) -> None:
        """Messages come from now on: what was said before was not heard."""
        self.store.reader.look()
        self.store.reader.tell_owners()
        self.store.writer.check_all = True

    def heard(self, words: list[bytes]) -> None:
        """A message."""
        word, names = words[0], words[1:]
        if word in (NEWS, RELEASED):
            self.store.reader.news(names)
        elif word == DECLINED:
            self.store.reader.declined(names)
        elif names and (stream := self.store.writer.named.get(names[0])) is not None:
            if word == SUPERSEDED:
                self.store.names.superseded(stream.id, names[1:])
            else:
                self.heard_of_own(word, stream, names[1:])

    def heard_of_own(self, word: bytes, stream: Leased, nodes: list[bytes]) -> None:
        """A message about a stream of this node."""
        if word == STOP_WORD:
            stream.leases.stop()
        for node in nodes:
            if word == UNFOLLOW:
                stream.leases.end(node)
            if word != FOLLOW:
                continue
            until = asyncio.get_running_loop().time() + LEASE_SECONDS
            if stream.leases.begin(node, until) and isinstance(stream, WrittenStream):
                self.store.writer.mark(stream)
