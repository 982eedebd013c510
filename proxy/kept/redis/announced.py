"""Streams of this node whose head is not here yet: they are found, and can be ended."""

from __future__ import annotations

from typing import Final, Protocol

from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.leases import Leases
from proxy.kept.redis.log_reader import Teller
from proxy.kept.redis.scripts import ANNOUNCE, RENOUNCE, Script
from proxy.kept.redis.sealing import Sealing
from proxy.kept.redis.store_connection import (
    Argument,
    StoreConnection,
    StoreFault,
)
from proxy.kept.redis.work_task import MOST, WorkTask, calls_of
from proxy.kept.redis.write_behind import DECLINED, WriteBehind
from proxy.kept.shared_store import OwnedBy

STAYS_MS: Final = 120_000  # without being announced again


class AnnouncedStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection
    writer: WriteBehind

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""

    @property
    def teller(self) -> Teller:
        """Tells other nodes something."""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


class AnnouncedStream:
    """One of them."""

    def __init__(self, id: bytes, by: OwnedBy) -> None:
        self.id = id
        self.leases = Leases(by)
        self.name = b""


class Announced:
    """All of this node, by ID. Written behind."""

    def __init__(self, store: AnnouncedStore) -> None:
        self.store = store
        self.streams: dict[bytes, AnnouncedStream] = {}
        self.changes: list[tuple[Script, bytes]] = []
        self.writing = WorkTask(
            self.is_due, self.write, "announcing streams in the store"
        )

    def add(self, id: bytes, by: OwnedBy) -> None:
        """This node will have a stream."""
        self.streams[id] = stream = AnnouncedStream(id, by)
        self.find_name(stream)
        self.change(ANNOUNCE, id)

    def find_name(self, stream: AnnouncedStream) -> None:
        """Have messages for it find it."""
        sealing = self.store.sealing
        if sealing is not None:
            stream.name = sealing.stream_name(stream.id)
            self.store.writer.named[stream.name] = stream

    def renounce(self, id: bytes) -> None:
        """It will not be kept."""
        stream = self.streams.pop(id, None)
        if stream is None:
            return
        self.store.writer.named.pop(stream.name, None)
        self.change(RENOUNCE, id)
        channel = self.store.keys.channel
        text = b" ".join([DECLINED, stream.name])
        self.store.teller.tell([(channel(node), text) for node in stream.leases.until])

    def take(self, id: bytes) -> Leases | None:
        """It has a head now; those who follow it do so still."""
        stream = self.streams.pop(id, None)
        return None if stream is None else stream.leases

    def announce_again(self) -> None:
        """Have all of them stay."""
        for stream in self.streams.values():
            self.find_name(stream)
            self.changes.append((ANNOUNCE, stream.id))
        self.writing.begin()

    # -- written behind

    def change(self, script: Script, id: bytes) -> None:
        """Write it soon. While the store is down only what stays is of use."""
        if self.store.up:
            self.changes.append((script, id))
            self.writing.begin()

    def is_due(self) -> bool:
        """Can something be written that waits?"""
        return bool(self.changes) and self.store.up

    async def write(self) -> None:
        """Write all changes, in their order."""
        keys = self.store.keys
        while self.changes and self.store.up:
            sealing = self.store.sealing
            changes, self.changes = self.changes[:MOST], self.changes[MOST:]
            if sealing is None:
                continue
            steps: list[tuple[Script, Item]] = []
            for script, id in changes:
                name = keys.meta(sealing.stream_name(id))
                arguments: list[Argument] = [self.store.node, STAYS_MS]
                steps.append((script, ([name], arguments[: script.arguments])))
            try:
                await self.store.connection.call(calls_of(steps))
            except StoreFault as fault:
                self.store.failed(fault)
                return
