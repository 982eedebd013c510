"""Backpressure: who does not read is not sent more, and memory stays flat."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.raw import Peer, Upstream, chunk, settled, turns

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
PIECE = bytes(range(256)) * 256  # 64 KiB
# What two kernels and one proxy may take of a stream that nobody reads: the
# sockets' buffers (up to 6 MiB each) and HIGH_WATER. It is not the endless.
BOUND = 24 << 20


async def fill(sender: Peer, piece: bytes = PIECE) -> int:
    """Send chunks until no more are taken; returns how many were sent."""
    count = 0
    while await settled(lambda: sender.waiting) == 0:
        assert count * len(piece) < BOUND
        for _ in range(16):
            if not sender.waiting:
                sender.writer.write(chunk(piece))
                count += 1
    return count


async def drained(receiver: Peer, size: int) -> None:
    """Read so much payload, each byte as it was sent."""
    received = 0
    async for data in chunks(receiver):
        start = received % 256
        assert data == (PIECE * (2 + len(data) // len(PIECE)))[start:][: len(data)]
        received += len(data)
        if received == size:
            return


async def test_a_client_that_stops_reading_stops_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET % 0)
    await server.send(HEAD + b"\r\n")
    sent = await fill(server)
