"""Faults put into a running proxy from outside: by its clock, observers, decoders.

Everything in the proxy asks the clock: at each step of an exchange, in each
callback of the loop, at each tick. A clock that raises is a fault in all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
from collections.abc import AsyncIterator

from proxy.errors import ProxyError
from proxy.timeline import Timeline, monotonic
from tests.support.raw import GUARD, chunk

EVENTS = [b"data: %d\n\n" % number for number in range(3)]
BODY = b"".join(EVENTS)
COOKED = BODY + bytes(200_000)  # what is too much for the buffers of a slow client


class Fault(Exception):
    """Put in by a test."""


class Unspeakable(ProxyError):
    """An error without words: whoever tells of it raises."""

    def __str__(self) -> str:
        raise Fault("no words")


class FaultyClock:
    """The clock, but for the call whose number is `at`, counted from `arm`."""

    def __init__(self) -> None:
        self.at = 0
        self.calls = 0

    def __call__(self) -> float:
        if self.at:
            self.calls += 1
            if self.calls == self.at:
                raise Fault(f"call {self.at}")
        return monotonic()

    def arm(self, at: int) -> None:
        self.at, self.calls = at, 0

    def disarm(self) -> bool:
        """Did it raise? It does no more."""
        raised = self.calls >= self.at
        self.at = 0
        return raised


def deaf(timeline: Timeline) -> None:
    """An observer that raises, whatever it is told."""
    raise Fault("an observer")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection; what is served is said by the path."""
    with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            await respond(head, reader, writer)
            await writer.drain()
    writer.transport.abort()


async def respond(
    head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one request."""
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    path = head.split(b" ", 2)[1]
    if b"Upgrade: " in head:
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n"
        )
        writer.write(await reader.readexactly(4))
        raise EOFError
    if b"Content-Length: " in head:
        await reader.readexactly(4)
    if path.endswith(b"/plain"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY))
        writer.write(BODY)
    elif path.endswith(b"/gzip"):
        writer.write(stream + b"Content-Encoding: gzip\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        writer.write(chunk(gzip.compress(COOKED)) + chunk(b""))
    else:
        writer.write(stream + b"Transfer-Encoding: chunked\r\n\r\n")
        for event in EVENTS:
            writer.write(chunk(event))
            await asyncio.sleep(0)
        writer.write(chunk(b""))


@contextlib.asynccontextmanager
async def start_origin() -> AsyncIterator[str]:
    """A server that answers; its URL."""
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
    loop = asyncio.get_running_loop()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(answer(reader, writer))
        serving[task] = writer
        task.add_done_callback(serving.pop)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for writer in serving.values():
            writer.transport.abort()
        await asyncio.gather(*serving)


async def ask(port: int, request: bytes) -> bytes:
    """Send bytes, read all that comes until the proxy closes or a body is whole."""
    received = b""
    async with asyncio.timeout(4 * GUARD):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            while data := await reader.read(65536):
                received += data
                if is_refusal(received):
                    break
        except OSError:  # a reset tells, too
            pass
        finally:
            writer.transport.abort()
    return received


def is_refusal(received: bytes) -> bool:
    """Is it a whole answer with a status of failure?"""
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    is_failure = head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    return is_failure and length is not None and len(body) >= int(length[1])


def outcome(received: bytes) -> str:
    """What a client can tell: "whole", "refused" or "broken"."""
    head, _, body = received.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 101"):
        return "whole" if body == b"ping" else "broken"
    if is_refusal(received):
        return "refused"
    if b"chunked" in head:
        return "whole" if body.endswith(b"0\r\n\r\n") else "broken"
    return "whole" if body.endswith(BODY) else "broken"
