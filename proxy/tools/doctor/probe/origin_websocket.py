"""The test origin by WebSocket: the same programs, each event as a message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from proxy.http1.head import RequestHead
from proxy.tools.doctor.probe.websocket_reader import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocketReader,
    accepted,
    frame,
)
from proxy.tools.doctor.test_streams import Program

NORMAL = b"\x03\xe8"  # 1000
Wait = Callable[[float], Awaitable[bool]]


def is_websocket(head: RequestHead) -> bool:
    """Does it ask for one, as far as it came?"""
    return (
        b"websocket" in head.members(b"upgrade")
        and b"upgrade" in head.members(b"connection")
        and head.get(b"sec-websocket-key") is not None
    )


def switching(head: RequestHead) -> bytes:
    """The head of the answer."""
    accept = accepted(head.get(b"sec-websocket-key") or b"")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


def ping() -> bytes:
    """What keeps a silent one alive."""
    return frame(PING, b"", masked=False)


async def play_messages(
    program: Program,
    clock: Callable[[], float],
    wait: Wait,
    writer: asyncio.StreamWriter,
) -> int:
    """Each event when it is due; how many were sent. `clock`: since the request."""
    lines = replace(program, type="ndjson", framing="chunked", coding="identity")
    due = 0.0
    for number in range(1, program.count + 1):
        due += program.pause_before(number)
        if not await wait(due):
            return number - 1
        text = lines.event(number, clock()).rstrip(b"\n")
        writer.write(frame(TEXT, text, masked=False))
        await writer.drain()
    writer.write(frame(CLOSE, NORMAL, masked=False))
    await writer.drain()
    return program.count


async def answer_frames(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the client's pings and its Close, until it has left."""
    messages = WebSocketReader()
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            for opcode, payload in messages.feed(data):
                if opcode in (PING, CLOSE):
                    kind = PONG if opcode == PING else CLOSE
                    writer.write(frame(kind, payload, masked=False))
