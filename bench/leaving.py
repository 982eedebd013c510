"""How long until the upstream of an idle stream hears that its client has left?

Opens idle event streams through a proxy and closes their clients one after the
other, by FIN and by reset in turn. Taken is the time from the close to the
end-of-file that the upstream reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import struct
import time

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
    ended = upstream.ended[name] = asyncio.get_running_loop().create_future()
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


async def delays(port: int, origin: int, count: int) -> list[float]:
    """Of so many streams, one after the other. TimeoutError: not heard at all."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", origin)
    try:
        return [await one(upstream, port, number) for number in range(count)]
    finally:
        server.close()


def leave(port: int, origin: int, count: int) -> dict[str, float]:
    """As the load program tells its numbers."""
    try:
        found = sorted(asyncio.run(delays(port, origin, count)))
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
