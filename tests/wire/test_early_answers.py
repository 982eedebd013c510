"""Early answers: an upstream that is done before its client is."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from proxy.timeline import Ending
from proxy.transport.socket_state import READ_SIZE
from proxy.transport.upstream_connection import UpstreamConnection
from tests.conftest import StartProxy
from tests.support.blunt import Blunt
from tests.support.flood import PIECE, fill
from tests.support.messages import OK, UPLOAD
from tests.support.raw import Peer, Upstream, became, chunk, idle, settled, turns
from tests.support.running import RunningProxy

REFUSAL = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n"
    b"Content-Length: 5\r\n\r\nlarge"
)


@pytest.fixture
def blunt() -> Iterator[Blunt]:
    with Blunt() as upstream:
        yield upstream


@pytest.mark.parametrize("meets", ["a write that waits", "the next write"])
async def test_a_refusal_is_read_though_a_reset_follows_it(
    proxy: StartProxy, blunt: Blunt, meets: str
) -> None:
    """Closing on unread bytes resets; the answer before it still counts."""
    running = await proxy({"/": {"target": blunt.url}})
    client = await running.client()
    await client.send(UPLOAD)
    server = await blunt.connection()
    exchange = await running.exchange()
    await became(lambda: exchange.timeline.call.connected is not None)
    await idle()
    client.writer.write(chunk(b"one"))
    await became(lambda: exchange.timeline.bytes_received == 3)
    if meets == "the next write":
        await idle()
        client.writer.write(chunk(b"two"))
    # In one turn: what the proxy writes next meets the reset, not the answer.
    server.send(REFUSAL)
    server.close()
    assert (await client.read_head()).startswith(b"HTTP/1.1 413 ")
    assert await client.read_to_close() == (b"large", "fin")
    timeline = await running.ended()
    assert (timeline.ending, timeline.status) == (Ending.COMPLETE, 413)
    assert running.idle_connections == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", b"502", id="before the head"),
        pytest.param(b"HTTP/1.1 20", b"502", id="inside the head"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", b"200", id="mid-body"
        ),
    ],
)
async def test_an_upstream_that_hangs_up_and_reads_no_more_is_not_waited_for(
    proxy: StartProxy, upstream: Upstream, sent: bytes, status: bytes
) -> None:
    """It has sent FIN; what waits to go to it must not hold the end up."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await fill(client)
    if sent:
        await server.send(sent)
    server.finish()
    assert (await client.read_head()).startswith(b"HTTP/1.1 " + status)
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert running.idle_connections == 0
    await server.read_rest()


@pytest.mark.parametrize("kind", ["FIN", "reset", "an answer before the request"])
async def test_an_upstream_may_hang_up_as_soon_as_it_is_connected(
    proxy: StartProxy, blunt: Blunt, kind: str
) -> None:
    running = await proxy({"/": {"target": blunt.url}})
    for delay in range(12):
        client = await running.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = await blunt.connection()
        await turns(delay % 4)
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif kind != "FIN":
            server.send(REFUSAL)
        server.close()
        head = await client.read_head()
        assert head.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 413 "))
        await running.ended()
    assert running.idle_connections == 0


async def test_an_upload_still_under_way_keeps_the_connection_from_the_next(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """All was read from the client, but not all has gone to the upstream."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    connection = await running.upstream_connection()
    while not connection.transport.get_write_buffer_size():
        await client.send(chunk(bytes(8192)))
        await turns(3)
    await client.send(b"0\r\n\r\n")
    own = running.connection
    await became(lambda: own.request_complete)
    await server.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 0
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await upstream.request()


async def test_a_complete_response_ends_an_exchange_whose_upload_still_runs(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await client.send(chunk(b"one"))
    assert await server.read_chunk() == b"one"
    await server.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    assert await client.read_to_close() == (b"", "fin")
    assert (await running.ended()).ending is Ending.COMPLETE
    await server.closed()


async def test_a_client_that_is_still_uploading_can_read_an_early_refusal(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §9.6: closing on unread bytes would destroy the response."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"
    )
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge"
    await server.send(refusal)
    await server.closed()
    for _ in range(30):
        await client.send(bytes(100_000))
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in head
    assert await client.read_to_close() == (b"large", "fin")


TEXT = b"".join(b"%07d\n" % number for number in range(48 << 10))  # 384 KiB


def answer(size: str) -> tuple[bytes, bytes]:
    """A long refusal, and the text that it carries; far more than one read."""
    head = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n"
    if size == "chunks":  # so many that they take turns
        text = TEXT[: len(TEXT) // 2]
        chunks = [chunk(text[at : at + 8]) for at in range(0, len(text), 8)]
        head += b"Transfer-Encoding: chunked\r\n"
        return head + b"\r\n" + b"".join(chunks) + b"0\r\n\r\n", text
    if size == "a length":
        head += b"Content-Length: %d\r\n" % len(TEXT)
    return head + b"\r\n" + TEXT, TEXT


def unsent(sock: socket.socket) -> int:
    """How many bytes the peer's kernel has not taken in."""
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    count = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(count, sys.byteorder)


async def answered_and_reset(
    running: RunningProxy, blunt: Blunt, client: Peer, sent: bytes
) -> UpstreamConnection:
    """An upload is answered, and reset; only the next write finds that out."""
    await running.connected(1)
    own = running.connection
    narrow = own.transport.get_extra_info("socket")  # nor does ours take in much
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await client.send(UPLOAD)
    server = await blunt.connection()
    exchange = await running.exchange()
    await became(lambda: exchange.timeline.call.connected is not None)
    connection = await running.upstream_connection()
    # As a kernel does by itself for a connection that has received a lot.
    sock = connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * READ_SIZE)
    await client.send(chunk(b"one"))
    await became(lambda: exchange.timeline.bytes_received == 3)
    await idle()
    connection.transport.pause_reading()  # as if the answer came in the next turn
    for at in range(0, len(sent), 1 << 14):
        server.send(sent[at : at + (1 << 14)])
        await became(lambda: not unsent(server))  # which would die with the reset
    server.close()  # on unread bytes of the upload
    client.writer.write(chunk(b"two"))
    return connection


@pytest.mark.parametrize("reads", ["on", "late"])
@pytest.mark.parametrize("size", ["a length", "chunks", "the close"])
async def test_a_long_refusal_is_read_to_its_end_though_a_reset_follows_it(
    proxy: StartProxy, blunt: Blunt, size: str, reads: str
) -> None:
    """As much as the kernel has taken in; no faster than the client takes it."""
    running = await proxy({"/": {"target": blunt.url, "max_buffer_bytes": PIECE}})
    client = await running.client(receive_bytes=4096 if reads == "late" else 0)
    sent, text = answer(size)
    connection = await answered_and_reset(running, blunt, client, sent)
    await became(lambda: connection.closed)
    if reads == "late":
        own = running.connection
        size_of = own.transport.get_write_buffer_size
        assert await settled(size_of) <= PIECE + READ_SIZE
        # The kernel keeps the others, if there are more than the buffers hold.
        assert connection.remains is not None or size == "chunks"
    assert (await client.read_head()).startswith(b"HTTP/1.1 413 ")
    received = b""
    while len(received) < len(text):
        piece = await (
            client.read(len(text)) if size == "a length" else client.read_chunk()
        )
        received += piece
    assert received == text
    timeline = await running.ended()
    whole = size != "the close"  # after a reset nobody knows
    assert (timeline.ending is Ending.COMPLETE) is whole
    assert connection.remains is None


async def test_a_client_that_leaves_has_no_more_of_a_lost_answer_kept(
    proxy: StartProxy, blunt: Blunt
) -> None:
    running = await proxy({"/": {"target": blunt.url}})
    client = await running.client(receive_bytes=4096)
    sent, _ = answer("a length")
    connection = await answered_and_reset(running, blunt, client, sent)
    await became(lambda: connection.remains is not None and connection.paused)
    client.reset()
    await idle()
    running.tick()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    assert connection.remains is None
