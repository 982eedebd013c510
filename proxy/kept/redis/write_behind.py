"""Writes what is new in the logs of this node's streams, a few times in a second.

Streams that other nodes follow are written at once, together with all others that have
something new; the others within DELAY, so that several pieces are one entry. There is
one flush at a time: what comes meanwhile is for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item, Step
from proxy.kept.redis.keys import Keys
from proxy.kept.redis.leases import Leases
from proxy.kept.redis.scripts import (
    APPEND,
    CHANGE,
    DONE,
    DROP,
    FINISH,
    LOST,
    MISSING,
    REFRESH,
    START,
)
from proxy.kept.redis.sealing import Sealing
from proxy.kept.redis.store_connection import Call, Message, StoreConnection, StoreFault
from proxy.kept.redis.written_stream import WrittenStream

DELAY: Final = 0.05  # seconds that a piece waits for others if nobody follows it
SPACING: Final = 0.01  # seconds from one flush to the next, at least
MOST_STREAMS: Final = 500  # of one flush
MOST_BYTES: Final = 1024 * 1024  # of one flush; less where the last one failed
LEAST_BYTES: Final = 64 * 1024
LEAST_ROOM: Final = 4096  # less is left for the next flush
PARTS: Final = (START, APPEND, CHANGE, FINISH)
Pair = tuple[WrittenStream, Step]
NEWS, DECLINED, RELEASED = b"news", b"declined", b"released"


class Leased(Protocol):
    """A stream of this node that others may follow."""

    id: bytes
    leases: Leases


class WriteBehindStore(Protocol):
    """The store that it belongs to."""

    keys: Keys
    node: str
    connection: StoreConnection

    @property
    def up(self) -> bool:
        """Does it answer?"""

    @property
    def sealing(self) -> Sealing | None:
        """Its secrets, once they are known."""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


class WriteBehind:
    """Of all streams that this node owns. `counts`: for metrics."""

    def __init__(self, store: WriteBehindStore) -> None:
        self.store = store
        self.streams: dict[bytes, WrittenStream] = {}  # by ID
        self.named: dict[bytes, Leased] = {}  # by what they are called there
        self.dirty: dict[WrittenStream, None] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.due = 0.0  # when the timer is
        self.last = 0.0  # the begin of the last flush
        self.task: asyncio.Task[None] | None = None  # a flush
        self.most = MOST_BYTES
        self.check_all = False  # has the server lost anything?
        self.bytes = self.rewritten = self.lost = 0

    # -- when

    def mark(self, stream: WrittenStream) -> None:
        """There is something to write."""
        self.dirty[stream] = None
        # What is new has to be found by who comes next.
        self.schedule(urgent=bool(stream.readers) or not stream.written)

    def schedule(self, *, urgent: bool) -> None:
        """Have a flush soon."""
        if self.task is not None or not self.store.up:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = max(now, self.last + SPACING) if urgent else now + DELAY
        if self.timer is not None:
            if self.due <= due:
                return
            self.timer.cancel()
        self.due = due
        self.timer = loop.call_at(due, self.flush)

    def flush(self) -> None:
        """Write now."""
        self.stop_timer()
        if self.task is None and self.dirty and self.store.up:
            loop = asyncio.get_running_loop()
            self.last = loop.time()
            self.task = loop.create_task(self.write())
            self.task.add_done_callback(self.flushed)

    def flushed(self, task: asyncio.Task[None]) -> None:
        """A flush is over."""
        self.task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            report("writing streams to the store", error)
        if self.dirty:
            behind = any(each.is_behind for each in self.dirty)
            if behind:  # more than an entry waits: SPACING would bound how fast it is
                self.last = 0.0
            self.schedule(urgent=behind or any(each.readers for each in self.dirty))

    def stop_timer(self) -> None:
        """No flush is due."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # -- what

    async def write(self) -> None:
        """One flush. What could not be written stays to be written."""
        sealing = self.store.sealing
        if sealing is None:
            return
        keys, room, steps = self.store.keys, self.most, list[Pair]()
        dropped: list[WrittenStream] = []
        for stream in tuple(self.dirty)[:MOST_STREAMS]:
            del self.dirty[stream]
            if stream.gone:
                dropped.append(stream)
                continue
            step = stream.next_step(keys, sealing, room)
            if stream.place is not None:
                self.named[stream.place.name] = stream
            if step is not None:
                steps.append((stream, step))
                room -= step.size
            if room < LEAST_ROOM:
                break
        try:
            await self.send(steps, dropped)
            self.most = min(self.most * 2, MOST_BYTES)
        except StoreFault as fault:
            self.most = max(self.most // 2, LEAST_BYTES)
            self.dirty.update(dict.fromkeys(stream for stream, _ in steps))
            self.dirty.update(dict.fromkeys(dropped))
            self.store.failed(fault)

    async def send(self, steps: list[Pair], dropped: list[WrittenStream]) -> None:
        """Write steps, delete streams, and tell those who follow.

        Raises:
            StoreFault: some of it may have been written.
        """
        parts = [
            [
                (number, item)
                for number, (_, step) in enumerate(steps)
                if (item := step.parts[at]) is not None
            ]
            for at in range(len(PARTS))
        ]
        calls = [
            Call(script, [item for _, item in part])
            for script, part in zip(PARTS, parts, strict=True)
            if part
        ]
        drops = [item for each in dropped if (item := self.drop_item(each))]
        if drops:
            calls.append(Call(DROP, drops))
        messages = self.messages(steps, dropped)
        for stream in dropped:
            self.remove(stream)
        if not calls:
            return
        results = iter(await self.store.connection.call(calls, messages))
        found = [[b""] * len(PARTS) for _ in steps]
        for at, part in enumerate(parts):
            if part:
                for (number, _), result in zip(part, next(results), strict=True):
                    found[number][at] = result[0]
        for (stream, step), words in zip(steps, found, strict=True):
            self.take_results(stream, step, words)

    def take_results(
        self, stream: WrittenStream, step: Step, words: list[bytes]
    ) -> None:
        """What has become of a stream."""
        if stream.gone:
            return
        before, rewritten = stream.written, stream.rewritten
        is_ours = stream.take_results(step, words)
        self.rewritten += stream.rewritten - rewritten
        if words[1] == DONE and stream.written > before:
            self.bytes += stream.written - before
        if not is_ours:
            self.lost += 1
        if stream.finished or not is_ours:
            self.remove(stream)
        elif stream.starts or stream.unwritten or stream.has_more:
            self.dirty[stream] = None

    def remove(self, stream: WrittenStream) -> None:
        """Nothing more of a stream is written."""
        self.dirty.pop(stream, None)
        if self.streams.get(stream.id) is stream:
            del self.streams[stream.id]
        if stream.place is not None:
            self.named.pop(stream.place.name, None)

    def drop_item(self, stream: WrittenStream) -> Item | None:
        """For DROP, of what may be there."""
        if stream.place is None:
            return None
        keys, name = self.store.keys, stream.place.name
        log = keys.log(name, stream.stored_epoch)
        return [keys.meta(name), log], [stream.node]

    def messages(
        self, steps: Iterable[Pair], dropped: Iterable[WrittenStream]
    ) -> list[Message]:
        """What is told to the nodes that follow these streams."""
        told: dict[tuple[bytes, bytes], list[bytes]] = {}
        for stream in dropped:
            for node in stream.leases.until:
                if stream.place is not None:
                    told.setdefault((node, DECLINED), []).append(stream.place.name)
        for stream, step in steps:
            word = RELEASED if stream.released and step.parts[2] else NEWS
            for node in stream.leases.until:
                if stream.place is not None:
                    told.setdefault((node, word), []).append(stream.place.name)
        return [
            (self.store.keys.channel(node), b" ".join([word, *names]))
            for (node, word), names in told.items()
        ]

    # -- from time to time

    async def refresh(self, now: float) -> None:
        """Have all that is there stay, and find what is not there any more.

        Raises:
            StoreFault: it is not known how they stand.
        """
        keys = self.store.keys
        waiting = list(self.streams.values())
        while waiting:
            batch, waiting = waiting[:MOST_STREAMS], waiting[MOST_STREAMS:]
            pairs = [
                (each, item) for each in batch if (item := each.refresh_item(keys))
            ]
            for each in batch:
                each.leases.end_old(now)
            if not pairs:
                continue
            call = Call(REFRESH, [item for _, item in pairs])
            [results] = await self.store.connection.call([call])
            for (stream, _), result in zip(pairs, results, strict=True):
                self.take_refreshed(stream, result)

    def take_refreshed(self, stream: WrittenStream, result: list[Any]) -> None:
        """How a stream stands in the server."""
        if stream.gone or stream.finished:
            return
        if result[0] == LOST:
            stream.lose()
            self.lost += 1
            self.remove(stream)
        elif result[0] == MISSING:
            stream.look_again()
            self.rewritten += 1
            self.mark(stream)
        elif result[1] == b"1":
            stream.leases.stop()

    def mark_all(self) -> None:
        """The store is there again: what has come meanwhile is to be written."""
        for stream in self.streams.values():
            if not stream.is_written:
                self.dirty[stream] = None
        if self.dirty:
            self.schedule(urgent=False)

    async def write_all(self) -> None:
        """Write until nothing is left; for the end of the process."""
        while self.store.up and (self.dirty or self.task is not None):
            self.flush()
            if self.task is None:
                return
            await asyncio.wait([self.task])
