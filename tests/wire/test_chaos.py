"""Chaos: clock, observers, feeds, decoders and time limits raise under 1,000 streams.

By a seed, so that what failed once can be run again. Every client is served or told,
every connection and descriptor comes back, and the clock ticks on.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.internal_errors import INTERNAL_ERRORS
from proxy.stream import content_decoder
from proxy.timeline import Timeline, monotonic
from proxy.transport.fd_limit import limit, raise_limit
from proxy.transport.ticker import Ticker
from tests.conftest import InternalErrorLog
from tests.support.faulty import EVENTS, Fault, Unspeakable, ask, outcome
from tests.support.raw import became, chunk
from tests.support.running import RunningProxy, serving

pytestmark = pytest.mark.any_loop

STREAMS = 1000
FEEDS = 5
GUARD = 60.0  # seconds, for all of it
KINDS = ("stream", "gzip", "post", "plain")
EXCEPTIONS = (Fault, RuntimeError, ValueError, OSError, MemoryError, RecursionError)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
KEYS = {"idle_timeout_seconds": 600}
FEED = (
    b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


class Chaos:
    """What raises now and then, while it is on."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.on = False
        self.raised: Counter[str] = Counter()

    def strike(self, place: str, chance: float) -> None:
        """Raise, if fate will have it."""
        if self.on and self.random.random() < chance:
            self.raised[place] += 1
            raise self.random.choice(EXCEPTIONS)(f"chaos in {place}")

    def clock(self) -> float:
        self.strike("the clock", 0.001)
        return monotonic()

    def observer(self, timeline: Timeline) -> None:
        self.strike("an observer", 0.2)

    def poison(self, timeline: Timeline) -> None:
        """Leave an account that cannot be shown: rows, feeds and views will raise."""
        if self.on and self.random.random() < 0.02:
            self.raised["an account"] += 1
            timeline.error = Unspeakable()


class Limit:
    """A time limit that raises; it comes back, as others would."""

    def __init__(self, chaos: Chaos, ticker: Ticker) -> None:
        self.chaos = chaos
        self.ticker = ticker
        self.checked = 0

    def check(self, now: float) -> None:
        self.checked += 1
        self.chaos.strike("a time limit", 0.5)

    def crashed(self, place: str, error: Exception) -> None:
        self.ticker.waiting.add(self)
        self.chaos.strike("the end of a time limit", 0.5)


class FaultyDecoder:
    """Decodes, or raises what no decoder should."""

    chaos: Chaos

    def __init__(self) -> None:
        self.decoder = content_decoder.GzipDecoder()

    def decode(self, data: bytes) -> Iterator[bytes]:
        self.chaos.strike("a decoder", 0.2)
        yield from self.decoder.decode(data)


class Origin:
    """Sends half of each body, and the rest once all clients have the first half."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.get_running_loop().create_task(self.serve(reader, writer))
        self.serving[task] = writer
        task.add_done_callback(self.serving.pop)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"POST"):
                    await reader.readexactly(4)
                await self.respond(head, writer)
        writer.transport.abort()

    async def respond(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/plain" in head:
            body = b"".join(EVENTS)
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            first, rest = HEAD + length + body[:7], body[7:]
        else:
            coding = b"Content-Encoding: gzip\r\n" if b"/gzip" in head else b""
            members = [gzip.compress(e) if coding else e for e in EVENTS]
            first = HEAD + coding + b"Transfer-Encoding: chunked\r\n\r\n"
            first += chunk(members[0])
            rest = b"".join(chunk(member) for member in members[1:]) + chunk(b"")
        writer.write(first)
        await self.go.wait()
        writer.write(rest)
        await writer.drain()


async def client(chaos: Chaos, port: int, number: int, begun: list[int]) -> str:
    """One client: what became of its request. Some leave early."""
    kind = KINDS[number % len(KINDS)]
    method, body = (b"POST", b"ping") if kind == "post" else (b"GET", b"")
    head = b"%b /a/%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" % (
        method,
        kind.encode(),
    )
    if body:
        head += b"Content-Length: 4\r\n"
    leaves = number % 20 == 19
    received = b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    counted = False
    try:
        writer.write(head + b"\r\n" + body)
        while data := await reader.read(65536):
            received += data
            if not counted and b"data: " in received:
                counted = True
                begun.append(number)
                if leaves:
                    return "left"
    except OSError:
        pass  # a reset tells, too
    finally:
        writer.transport.abort()
        if not counted:
            begun.append(number)
    return outcome(received)


async def look(port: int) -> None:
    """A feed of the list; when it is broken off, it is asked for again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(FEED)
                while await reader.read(65536):
                    pass
            finally:
                writer.transport.abort()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def let_go(running: RunningProxy) -> bool:
    server = running.server
    return (
        not server.clients
        and server.under_way == 0
        and all(upstream.open == 0 for upstream in server.compiled.upstreams)
    )


async def run_streams(chaos: Chaos, running: RunningProxy, origin: Origin) -> list[str]:
    """All clients and all lookers, to their end."""
    begun: list[int] = []  # or told that they will not
    async with asyncio.timeout(GUARD), asyncio.TaskGroup() as group:
        lookers = [group.create_task(look(running.port)) for _ in range(FEEDS)]
        clients = []
        for number in range(STREAMS):
            clients.append(
                group.create_task(client(chaos, running.port, number, begun))
            )
            if number % 50 == 49:  # the queue of a listener is no longer than 100
                await became(lambda n=number: len(begun) > n - 50)  # type: ignore[misc]
        await became(lambda: len(begun) == STREAMS)
        origin.go.set()
        told = [await each for each in clients]
        for each in lookers:
            each.cancel()
    return told


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="descriptors are counted by /proc"
)
@pytest.mark.parametrize("seed", [20260])
async def test_whatever_raises_each_client_is_served_or_told(
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    internal_errors: InternalErrorLog,
) -> None:
    raise_limit()
    if 0 < limit() < 5 * STREAMS:
        pytest.skip("too few descriptors")
    chaos, origin = Chaos(seed), Origin()
    FaultyDecoder.chaos = chaos
    monkeypatch.setitem(content_decoder.DECODERS, "gzip", FaultyDecoder)
    async with await asyncio.start_server(origin.accept, "127.0.0.1", 0):
        pass  # libuv keeps a descriptor from the first listener on
    before = descriptors()
    counted = INTERNAL_ERRORS.counts.total()
    async with (
        listening(origin) as url,
        serving(tmp_path, {"/a": {"target": url, **KEYS}}, {}, chaos.clock) as running,
    ):
        await struck(chaos, running, origin, internal_errors)
    assert INTERNAL_ERRORS.counts.total() - counted >= chaos.raised["an observer"]
    await became(lambda: descriptors() <= before)


@contextlib.asynccontextmanager
async def listening(origin: Origin) -> AsyncIterator[str]:
    """The address of an origin, until the end of all that it serves."""
    listener = await asyncio.start_server(origin.accept, "127.0.0.1", 0, backlog=1024)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        origin.go.set()
        for writer in origin.serving.values():
            writer.transport.abort()
        await asyncio.gather(*origin.serving)


async def struck(
    chaos: Chaos,
    running: RunningProxy,
    origin: Origin,
    internal_errors: InternalErrorLog,
) -> None:
    """Serve everybody while it strikes, and see what is left."""
    server = running.server
    server.observers = (chaos.observer, chaos.poison, *server.observers, chaos.observer)
    limits = [Limit(chaos, server.ticker) for _ in range(10)]
    for each in limits:
        server.ticker.add(each)
    chaos.on = True
    try:
        told = Counter(await run_streams(chaos, running, origin))
    finally:
        chaos.on = False
    assert told.total() == STREAMS
    assert told["whole"] > STREAMS // 2, told
    assert set(chaos.raised) >= {"the clock", "an observer", "a decoder", "an account"}
    assert len(internal_errors.told) < 200  # each kind once
    # Nothing is left of it, and all goes on.
    await became(lambda: let_go(running))
    checked = [each.checked for each in limits]
    await became(
        lambda: all(n < each.checked for n, each in zip(checked, limits, strict=True))
    )
    request = b"GET /a/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert outcome(await ask(running.port, request)) == "whole"
    for each in limits:
        server.ticker.discard(each)
