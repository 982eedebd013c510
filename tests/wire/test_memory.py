"""Memory: a body of any size costs what a small one does."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.conftest import StartProxy
from tests.support.flood import PIECE, piece
from tests.support.messages import GET
from tests.support.raw import Peer, Upstream, became
from tests.support.running import RunningProxy

SIZE = 64 * 1024 * 1024
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


FIELDS = b"".join(b"X-%d: %b\r\n" % (n, b"y" * 600) for n in range(100))
LARGE = GET[:-2] + FIELDS + b"\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%b\r\nok"
CONNECTIONS = 20
# Of one connection, both ends and the test's ends of it: 14 KiB, and 18 KiB with the
# streams of asyncio in Python 3.13. With one of its heads kept it would be over 70 KiB.
IDLE = 20 * 1024


async def idle(
    running: RunningProxy, upstream: Upstream, request: bytes, answer: bytes
) -> float:
    """What a connection takes, client's and upstream's, once its request is served."""
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    pairs = []
    for _ in range(CONNECTIONS):
        client = await running.client()
        await client.send(request)
        server = await upstream.request()
        server.head = b""
        pairs.append((client, server))
    for client, server in pairs:  # none is idle before all are connected
        await server.send(answer)
        await client.read_until(b"\r\n\r\nok")
    del client, server
    await became(lambda: running.idle_connections == CONNECTIONS)
    # Accounts know the heads, and the last ones are kept for the inspector.
    while not running.exchanges.empty():
        running.exchanges.get_nowait()
    running.server.inspector.history.recent.clear()
    running.server.inspector.history.with_heads.clear()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    for client, _ in pairs:
        client.reset()
    await running.connected(0)
    return (after - before) / CONNECTIONS


@pytest.mark.parametrize(
    ("request_head", "answer"),
    [
        pytest.param(GET, ANSWER % b"", id="small heads"),
        pytest.param(LARGE, ANSWER % b"", id="a request head at its limit"),
        pytest.param(GET, ANSWER % FIELDS, id="a large response head"),
        pytest.param(LARGE, ANSWER % FIELDS, id="both"),
    ],
)
async def test_an_idle_connection_keeps_no_large_head(
    proxy: StartProxy, upstream: Upstream, request_head: bytes, answer: bytes
) -> None:
    """One took more than three times the size of its last head."""
    table = {"target": upstream.url, "upstream_keepalive_seconds": 60}
    running = await proxy({"/": table})
    tracemalloc.start()
    try:
        assert await idle(running, upstream, request_head, answer) < IDLE
    finally:
        tracemalloc.stop()
