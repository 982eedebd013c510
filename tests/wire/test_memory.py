"""Memory: a body of any size costs what a small one does."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.conftest import StartProxy
from tests.support.flood import PIECE, piece
from tests.support.raw import Peer, Upstream

SIZE = 256 * 1024 * 1024
PIECES = SIZE // PIECE
FLAT = 16 * 1024 * 1024  # peers and proxy together, in Python's memory


@pytest.fixture
def flat_memory() -> Iterator[None]:
    """Fails the test if Python's memory ever grew by more than FLAT."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < FLAT


async def pour(peer: Peer, head: bytes) -> None:
    """Send the head and SIZE bytes, as fast as they are taken."""
    data = piece(7)
    await peer.send(head)
    for _ in range(PIECES):
        await peer.send(data)


async def swallow(peer: Peer) -> int:
    """Read SIZE bytes and keep none."""
    left = SIZE
    while left:
        data = await peer.reader.read(left)
        assert data
        left -= len(data)
    return SIZE


@pytest.mark.usefixtures("flat_memory")
async def test_a_large_upload_needs_no_more_memory_than_a_small_one(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE
    async with asyncio.TaskGroup() as group:
        group.create_task(pour(client, head))
        server = await upstream.request()
        assert b"Content-Length: %d" % SIZE in server.head_lines
        await swallow(server)
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")
    assert (await running.ended()).bytes_received == SIZE


@pytest.mark.usefixtures("flat_memory")
async def test_a_large_response_needs_no_more_memory_than_a_small_one(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
    async with asyncio.TaskGroup() as group:
        group.create_task(pour(server, head))
        assert b"Content-Length: %d" % SIZE in await client.read_head()
        await swallow(client)
    assert (await running.ended()).bytes_sent == SIZE
