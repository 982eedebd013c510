"""Nodes of a shared store without a proxy around them: owners, and feeds that note."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.config.kept_options import StoreOptions
from proxy.kept.redis.redis_store import RedisStore
from proxy.kept.shared_store import Following, OwnedStream, StreamEnd, StreamMeta
from proxy.kept.store import MemoryStore
from proxy.kept.stored_log import StoredLog
from proxy.stream.event_index import EventIndex

GUARD = 20.0  # seconds; a failing test only
KEEP_SECONDS = 60.0
BUDGET = 64 * 1024 * 1024
MOST = 8 * 1024 * 1024  # of one log


async def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim is true, which it may take seconds to be."""
    async with asyncio.timeout(GUARD):
        while not claim():  # noqa: ASYNC110 - what other processes do sets no event
            await asyncio.sleep(0.002)


def meta_of(id: bytes, *, ours: bool = True, state: str = "") -> StreamMeta:
    """What is known of a stream of some kind."""
    return StreamMeta(
        id=id,
        route="/sse",
        resumes=True,
        shares=False,
        print=b"\x01" * 32,
        names=[("key", "/sse", b"chat 7", b"\x02" * 32)],
        method=b"GET",
        target=b"/sse?token=target-value-1",
        reconnects=True,
        status=200,
        reason=b"OK",
        minor=1,
        fields=[
            (b"Content-Type", b"text/event-stream"),
            (b"Set-Cookie", b"session=field-value-1"),
            (b"Stream-Id", id),
        ],
        codings=(),
        format="EVENTS",
        stream=True,
        length=None,
        ours=ours,
        numbered=not ours,
    )


class NotedOwner:
    """As `OwnedBy`."""

    def __init__(self) -> None:
        self.readers: list[int] = []
        self.stops = 0
        self.superseded_by: list[tuple[str, str, bytes, bytes]] = []
        self.losses = 0

    def readers_changed(self, readers: int) -> None:
        self.readers.append(readers)

    def stop_asked(self) -> None:
        self.stops += 1

    def lost(self) -> None:
        self.losses += 1

    def superseded(self, kind: str, route: str, value: bytes, who: bytes) -> None:
        self.superseded_by.append((kind, route, value, who))


class NotedFeed:
    """As `Feed`: what it was told, and the bytes from `begin` on."""

    def __init__(self, begin: int | None = None) -> None:
        self.begin = begin
        self.content = bytearray()
        self.first: tuple[int, bool] | None = None  # events before, and at a cut?
        self.metas: list[StreamMeta] = []
        self.pieces = 0
        self.caught_up_at: int | None = None
        self.told: list[object] = []

    @property
    def end(self) -> int:
        return (self.begin or 0) + len(self.content)

    def data(
        self, position: int, data: bytes, events_before: int, at_cut: bool
    ) -> None:
        if self.begin is None:
            self.begin = position
        if self.first is None:
            self.first = (events_before, at_cut)
        assert position == self.end, "a gap, or twice the same"
        assert data
        self.content += data
        self.pieces += 1

    def caught_up(self) -> None:
        assert self.caught_up_at is None
        self.caught_up_at = self.end

    def changed(self, meta: StreamMeta) -> None:
        self.metas.append(meta)

    def ended(self, end: StreamEnd) -> None:
        self.told.append(end)

    def owner_died(self, epoch: int) -> None:
        self.told.append(("died", epoch))

    def owner_back(self, epoch: int) -> None:
        self.told.append(("back", epoch))

    def moved(self, epoch: int, position: int) -> None:
        assert position <= self.end
        self.told.append(("moved", epoch, position))
        del self.content[position - (self.begin or 0) :]

    def declined(self) -> None:
        self.told.append("declined")

    def damaged(self, reason: str) -> None:
        self.told.append(("damaged", reason))


class Written:
    """A stream of a node: what its upstream would do, and what it was told."""

    def __init__(
        self, node: StoreNode, id: bytes, *, ours: bool, most: int, epoch: int = 1
    ) -> None:
        self.id = id
        self.by = NotedOwner()
        prefix = id + b"." if ours else None
        self.index = EventIndex(lines=False, prefix=prefix)
        log = node.memory.open_stored(most, prefix)
        assert log is not None
        self.log: StoredLog = log
        self.content = bytearray()
        self.ours = ours
        self.stream: OwnedStream = node.store.own(id, self.by, log, epoch)

    def begin(self) -> None:
        self.stream.begin(meta_of(self.id, ours=self.ours), KEEP_SECONDS)

    def send(self, piece: bytes) -> None:
        """A piece of the upstream."""
        sent = self.index.scan(piece)
        self.log.append(sent, self.index.cuts)
        self.content += sent

    def event(self, text: bytes) -> None:
        self.send(b"data: %b\n\n" % text)

    def end(self) -> None:
        self.stream.end(StreamEnd("complete"), KEEP_SECONDS)


class StoreNode:
    """A store as one process has it, with the memory beside it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.store = RedisStore(StoreOptions(url=url, **options))
        self.memory = MemoryStore(BUDGET, lambda: None)

    def own(self, id: bytes, *, ours: bool = True, most: int = MOST) -> Written:
        """A stream that has begun."""
        written = Written(self, id, ours=ours, most=most)
        written.begin()
        return written

    def follow(
        self, id: bytes, position: int | None = None, behind: int = 0
    ) -> tuple[NotedFeed, Following]:
        feed = NotedFeed(position)
        return feed, self.store.follow(id, position, feed, behind)

    def kill(self) -> None:
        """End as by SIGKILL: nothing more is written, and no sign of life is shown."""
        self.store.up = False
        self.store.messages.up.clear()
        for task in self.store.tasks:
            task.cancel()

    async def go_on(self) -> None:
        """Undo that: it was only away for a while."""
        self.store.tasks.clear()
        await self.store.connection.close()
        await self.store.open()


@asynccontextmanager
async def store_node(url: str, **options: Any) -> AsyncIterator[StoreNode]:
    """A node for a while."""
    node = StoreNode(url, **options)
    await node.store.open()
    try:
        yield node
    finally:
        await node.store.close()
