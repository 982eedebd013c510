"""How long until the upstream of an idle stream hears that its client has left?

Opens idle event streams through a proxy and closes their clients one after the
other, by FIN and by reset in turn; on HTTP/2, streams of one connection, each by
RST_STREAM. Taken is the time from the close to the end-of-file that the upstream
reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import struct
import time
from collections.abc import Awaitable, Callable

from bench.session import Session

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FIRST_EVENT = b"9\r\ndata: 0\n\n\r\n"
GUARD = 10.0  # seconds, to open one stream
HEARD_SECONDS = 2.0  # for the upstream to hear of it
RESET = struct.pack("ii", 1, 0)


class Upstream:
    """Sends one event on each connection, then waits for its end."""

    def __init__(self) -> None:
        self.ended: dict[bytes, asyncio.Future[float]] = {}

    def expect(self, name: bytes) -> asyncio.Future[float]:
        """The time at which a stream will have ended."""
        ended = self.ended[name] = asyncio.get_running_loop().create_future()
        return ended

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Cancelled when the bench gives up: nothing to tell.
        gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*gone):
            head = await reader.readuntil(b"\r\n\r\n")
            ended = self.ended.get(head.split(b" ")[1])
            writer.write(HEAD + FIRST_EVENT)
            with contextlib.suppress(ConnectionError):
                await reader.read(1)
            if ended and not ended.done():
                ended.set_result(time.perf_counter())
        writer.close()


async def one(upstream: Upstream, port: int, number: int) -> float:
    """Seconds from one client's leaving to the upstream's hearing of it."""
    name = b"/bench/%d" % number
    ended = upstream.expect(name)
    async with asyncio.timeout(GUARD):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % name)
        await reader.readuntil(b"data: 0\n\n")
    left = time.perf_counter()
    if number % 2:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
    async with asyncio.timeout(HEARD_SECONDS):
        heard: float = await ended
    return heard - left


async def one_each(upstream: Upstream, port: int, count: int) -> list[float]:
    """A connection for each client."""
    return [await one(upstream, port, number) for number in range(count)]


async def one_for_all(upstream: Upstream, port: int, count: int) -> list[float]:
    """All streams on one connection of HTTP/2, which stays."""
    async with asyncio.timeout(GUARD):
        session = await Session.connect(port)
    found = []
    for number in range(count):
        name = b"/bench/%d" % number
        ended = upstream.expect(name)
        async with asyncio.timeout(GUARD):
            stream = await session.open(name)
        left = time.perf_counter()
        session.leave(stream)
        async with asyncio.timeout(HEARD_SECONDS):
            found.append(await ended - left)
    session.writer.transport.abort()
    return found


Delays = Callable[[Upstream, int, int], Awaitable[list[float]]]


async def delays(take: Delays, port: int, origin: int, count: int) -> list[float]:
    """Of so many streams, one after the other. TimeoutError: not heard at all."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", origin)
    try:
        return await take(upstream, port, count)
    finally:
        server.close()


def leave_session(port: int, origin: int, count: int) -> dict[str, float]:
    """The same over HTTP/2."""
    return leave(port, origin, count, one_for_all)


def leave(
    port: int, origin: int, count: int, take: Delays = one_each
) -> dict[str, float]:
    """As the load program tells its numbers."""
    try:
        found = sorted(asyncio.run(delays(take, port, origin, count)))
    except TimeoutError as error:
        raise RuntimeError(f"not heard within {HEARD_SECONDS:.0f} s") from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise RuntimeError(f"the stream did not open: {error}") from error
    return {
        "p50_us": statistics.median(found) * 1e6,
        "p99_us": found[int(len(found) * 0.99)] * 1e6,
        "max_us": found[-1] * 1e6,
        "received": len(found),
        "sent": len(found),
        **dict.fromkeys(("errors", "busy", "late"), 0.0),
    }
