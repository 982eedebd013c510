"""Load for a rolling restart: an upstream at a pace of its own, and clients that count.

The upstream numbers no event, and does not wait for anybody: what it sends while a
client is on its way from one process to another is what that client may miss, or get
twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

from tests.support.raw import chunk

SOURCE, ANSWER, PLAIN = "source", "answer", "plain"
# Of so many, the last two are answers to a POST, on a route with and without `resume`.
KINDS = (SOURCE,) * 10 + (ANSWER, PLAIN)
REQUEST = re.compile(rb"(GET|POST) /(\w+)/(\d+) ")
HOST = "127.0.0.1"
RETRY_SECONDS = 0.5  # at most, until a client comes back
# What is counted, and has to be 0.
FAULTS = ("lost", "twice", "broken", "refused", "asked again", "cut at the upstream")


def kind_of(number: int) -> str:
    """Who reads the stream with that number, and on which route."""
    return KINDS[number % len(KINDS)]


class Scale(NamedTuple):
    """How much there is of it."""

    streams: int  # of EventSources, at least
    at_once: int
    least_events: int
    most_events: int
    pace_seconds: float  # between two events
    drain_seconds: float
    guard_seconds: float

    @property
    def mean_seconds(self) -> float:
        """How long a stream takes."""
        return (self.least_events + self.most_events) / 2 * self.pace_seconds


class PacedOrigin:
    """The upstream of all streams."""

    def __init__(self, scale: Scale, figures: Counter[str], seed: int) -> None:
        self.scale = scale
        self.figures = figures
        self.seed = seed
        self.asked: Counter[int] = Counter()
        self.sent: dict[int, int] = {}  # events of those that have ended
        self.holds_ends = False  # do streams of EventSources go on behind their end?
        self.connections: set[PacedConnection] = set()
        self.url = ""

    def holds(self, number: int) -> bool:
        """May a stream not end yet?"""
        return self.holds_ends and kind_of(number) == SOURCE

    def let_end(self) -> None:
        """What was held ends in one moment: all of its clients come back together."""
        self.holds_ends = False
        due = [each for each in self.connections if each.is_due]
        for each in due:
            each.end()
        self.figures["ended together"] += len(due)

    def events(self, number: int) -> int:
        """How many a stream has, at least."""
        chance = random.Random(f"{self.seed}/{number}")
        return chance.randint(self.scale.least_events, self.scale.most_events)


class PacedConnection(asyncio.Protocol):
    """One connection of a proxy: one stream after the other."""

    def __init__(self, origin: PacedOrigin) -> None:
        self.origin = origin
        self.received = b""
        self.number = self.sent = self.least = 0
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.origin.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.origin.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()
            self.origin.figures["cut at the upstream"] += 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        if b"\r\n\r\n" in self.received:  # no request here has a body
            head, self.received = self.received, b""
            self.respond(head)

    def respond(self, head: bytes) -> None:
        found = REQUEST.match(head)
        assert found is not None, head
        number = int(found[3])
        self.origin.asked[number] += 1
        if self.origin.asked[number] > 1:  # it knows nothing of a stream that is lost
            self.origin.figures["asked again"] += 1
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        self.number, self.sent = number, 0
        self.least = self.origin.events(number)
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        self.send_next()

    def send_next(self) -> None:
        """One event, or the end."""
        if self.sent >= self.least and not self.origin.holds(self.number):
            self.end()
            return
        self.transport.write(chunk(b"data: %d.%d\n\n" % (self.number, self.sent)))
        self.sent += 1
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(self.origin.scale.pace_seconds, self.send_next)

    @property
    def is_due(self) -> bool:
        """Does it run, although it has been long enough?"""
        return self.timer is not None and self.sent >= self.least

    def end(self) -> None:
        """That was all of the stream."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.origin.sent[self.number] = self.sent
        self.transport.write(chunk(b""))


@contextlib.asynccontextmanager
async def paced_origin(
    scale: Scale, figures: Counter[str], seed: int
) -> AsyncIterator[PacedOrigin]:
    """An upstream for the time of a test."""
    origin = PacedOrigin(scale, figures, seed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PacedConnection(origin), HOST, 0, backlog=4096
    )
    origin.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield origin
    finally:
        server.close()
        for each in tuple(origin.connections):
            each.transport.abort()


class Reader:
    """One client, and what it has of its stream."""

    def __init__(self, origin: PacedOrigin, number: int, port: int) -> None:
        self.origin = origin
        self.figures = origin.figures
        self.kind = kind_of(number)
        self.number = number
        self.port = port
        self.next = 0  # the event that it needs next
        self.last_id = b""
        self.chance = random.Random(f"{origin.seed}/client/{number}")

    async def run(self) -> None:
        """Read the stream to its end."""
        self.figures[f"{self.kind}s"] += 1
        if self.kind != SOURCE:
            status, whole = await self.ask()
            self.count(status == 200, "refused")
            self.count(whole, "broken")
        else:
            await self.read_as_an_event_source()
        self.count(self.has_all, "lost")

    @property
    def has_all(self) -> bool:
        """Has the stream ended, and has it all of its events?"""
        return self.origin.sent.get(self.number) == self.next

    async def read_as_an_event_source(self) -> None:
        """Come back until 204 says that there is no more."""
        while True:
            status, whole = await self.ask()
            if status == 204:
                return
            if status not in (0, 200):
                self.figures["refused"] += 1
                return
            self.count(whole, "broken")
            if not self.has_all:
                self.figures["moved"] += 1
            await asyncio.sleep(self.chance.choice((0, RETRY_SECONDS)))

    def count(self, claim: bool, fault: str) -> None:
        """What is not as it should be."""
        self.figures[fault] += not claim

    async def ask(self) -> tuple[int, bool]:
        """One request: its status, and whether its response came to its end."""
        method = b"GET" if self.kind == SOURCE else b"POST"
        fields = b"Last-Event-ID: %b\r\n" % self.last_id if self.last_id else b""
        if self.kind == SOURCE:
            fields += b"Accept: text/event-stream\r\n"
        reader, writer = await asyncio.open_connection(HOST, self.port)
        status = 0
        try:
            writer.write(
                b"%b /%b/%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n%b\r\n"
                % (method, self.kind.encode(), self.number, fields)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            if status == 200:
                await self.read_body(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            return status, False
        else:
            return status, True
        finally:
            writer.close()

    async def read_body(self, reader: asyncio.StreamReader) -> None:
        """Chunks, and the events in them."""
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
            *blocks, body = body.split(b"\n\n")
            for block in blocks:
                self.take(block)
        await reader.readexactly(2)

    def take(self, block: bytes) -> None:
        """One event."""
        lines = block.split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                number, _, index = line[6:].partition(b".")
                assert int(number) == self.number, "an event of another stream"
                self.count(int(index) >= self.next, "twice")
                self.count(int(index) <= self.next, "lost")
                self.next = max(self.next, int(index) + 1)
                self.figures["events"] += 1
            elif line.startswith(b"id: "):
                self.last_id = line[4:]


class Load:
    """So many clients at once, until they have been enough, and nothing restarts."""

    def __init__(self, origin: PacedOrigin, port: int) -> None:
        self.origin = origin
        self.port = port
        self.begun = 0
        self.is_over = False  # may it end?

    @property
    def least(self) -> int:
        """How many there are at least, POSTs included."""
        return self.origin.scale.streams * len(KINDS) // KINDS.count(SOURCE)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.origin.scale.at_once):
                group.create_task(self.one_after_the_other())

    async def one_after_the_other(self) -> None:
        chance = random.Random(f"{self.origin.seed}/{id(self)}")
        await asyncio.sleep(chance.uniform(0, self.origin.scale.mean_seconds))
        while self.begun < self.least or not self.is_over:
            self.begun += 1
            await Reader(self.origin, self.begun, self.port).run()
