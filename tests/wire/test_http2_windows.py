"""Flow control of HTTP/2, both ways: per stream, per connection, and in fair turns."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from proxy.http2.open_streams import SPARE
from proxy.transport.connection import HIGH_WATER
from tests.conftest import StartProxy
from tests.support.http2 import (
    DATA,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    RST_STREAM,
    WINDOW_UPDATE,
    Http2Listener,
    frame,
)
from tests.support.messages import EVENT_STREAM, STREAM
from tests.support.raw import GUARD, Upstream, became, chunk, idle, settled
from tests.support.running import RunningProxy

LARGEST = 2**31 - 1
FRAMES = 3000
EVENT = b"data: x\n\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url}}, server=over.server)


async def flood(upstream_peer: object, piece: bytes) -> None:
    """Send without end; cancelled by who has started it."""
    while True:
        await upstream_peer.send(piece)  # type: ignore[attr-defined]


async def test_a_stream_that_is_not_read_holds_up_no_other(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """Nor does it take memory beyond max_buffer_bytes and one read."""
    http = await over.frames(running)
    await http.peer.send(http.request(1))
    large = await upstream.request()
    await large.send(STREAM)
    await http.peer.send(http.request(3))
    small = await upstream.request()
    await small.send(EVENT_STREAM)
    await http.open_window(0, 2**24)  # of the connection; stream 1 has 64 KiB
    await http.head(1)
    await http.head(3)
    sent = 0
    while sent < 65_535:
        each = await asyncio.gather(
            large.send(chunk(b"x" * 16_384)), http.next(DATA, 1)
        )
        sent += len(each[1].payload)
    flooding = asyncio.ensure_future(flood(large, chunk(b"x" * 65_536)))
    stream = next(iter(running.http2_connection.streams))
    await became(lambda: stream.blocked)
    await settled(lambda: stream.queued)
    assert stream.queued <= HIGH_WATER + 2 * 256 * 1024
    for _ in range(20):
        await small.send(chunk(EVENT))
        assert (await http.next(DATA, 3)).payload == EVENT
    assert not [each for each in http.kept if each.kind == DATA]
    await http.open_window(1, 100_000)  # now it reads again
    assert len((await http.next(DATA, 1)).payload) > 0
    flooding.cancel()


async def test_a_connection_that_is_not_read_stops_its_upstreams(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    servers = []
    for number in (1, 3, 5):
        await http.peer.send(http.request(number))
        servers.append(await upstream.request())
        await servers[-1].send(STREAM)
    flooding = [
        asyncio.ensure_future(flood(each, chunk(b"x" * 65_536))) for each in servers
    ]
    connection = running.http2_connection
    await became(lambda: all(each.blocked for each in connection.streams))
    assert connection.session.send_window == 0
    for number in (1, 3, 5):
        await http.open_window(number, 2**24)
    await http.open_window(0, 2**24)
    got = {1: 0, 3: 0, 5: 0}
    while min(got.values()) < 2**19:  # each has its turns
        each = await http.read()
        if each.kind == DATA:
            got[each.number] += len(each.payload)
    assert max(got.values()) < 2 * min(got.values()) + 2**20
    for task in flooding:
        task.cancel()


async def test_an_event_waits_for_no_more_than_a_frame_of_a_download(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """The download fills all that the client takes; the event goes before its rest."""
    http = await over.frames(running, {INITIAL_WINDOW_SIZE: LARGEST})
    await http.peer.send(http.request(1))
    large = await upstream.request()
    await http.peer.send(http.request(3))
    small = await upstream.request()
    await large.send(STREAM)
    await small.send(EVENT_STREAM)
    await http.head(1)
    await http.head(3)
    flooding = asyncio.ensure_future(flood(large, chunk(b"x" * 262_144)))
    connection = running.http2_connection
    await became(lambda: any(each.blocked for each in connection.streams))
    # The window of the connection is used up: what waits, waits here.
    await small.send(chunk(EVENT))
    await became(lambda: all(each.queued for each in connection.streams))
    sent = 0
    while sent < 65_535:
        sent += len((await http.next(DATA, 1)).payload)
    await http.open_window(0, 65_535)
    before = 0
    while (each := await http.read()).number != 3:
        before += each.kind == DATA
    assert each.payload == EVENT
    assert before <= 1
    flooding.cancel()


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
async def test_an_upload_is_exact_under_a_slow_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, length: bool
) -> None:
    size = (64 if length and over.scheme == "http" else 8) * 2**20
    http = await over.client(running)
    block = bytes(range(256)) * 4096
    fields = [("content-length", str(size))] if length else []
    number = await http.ask("/up", fields, method="POST", end=False)
    server = await upstream.request()
    assert (b"content-length: %d" % size in server.head.lower()) is length

    async def upload() -> None:
        for _ in range(size // len(block)):
            await http.send(number, block)
        await http.send(number, b"", end=True)

    sending = asyncio.ensure_future(upload())
    stream = next(iter(running.http2_connection.streams))
    await became(lambda: stream.paused)  # the upstream reads nothing
    await settled(lambda: len(stream.unread))
    assert len(stream.unread) <= 2**20  # its window
    digest = hashlib.sha256()
    async with asyncio.timeout(60):
        if length:
            left = size
            while left:
                data = await server.reader.read(min(left, 2**20))
                left -= len(data)
                digest.update(data)
        else:
            while piece := await server.read_chunk():
                digest.update(piece)
    await sending
    expected = hashlib.sha256(block * (size // len(block)))
    assert digest.digest() == expected.digest()
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await http.head(number))[":status"] == "204"
    timeline = await running.ended()
    assert timeline.bytes_received == size


async def test_a_slow_upload_holds_up_no_other(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    slow = await http.ask("/slow", method="POST", end=False)
    await upstream.request()  # reads no body
    await http.send(slow, b"x" * 65_535)
    sending = asyncio.ensure_future(http.send(slow, b"x" * (6 * 2**20)))
    stream = next(iter(running.http2_connection.streams))
    await became(lambda: stream.paused)
    await idle()
    sending.cancel()
    quick = await http.ask("/quick", method="POST", end=False)
    server = await upstream.request()
    for _ in range(5):
        await http.send(quick, b"y" * 100_000)
        assert len(await server.read_payload(100_000)) == 100_000


async def test_tiny_frames_wait_as_one_piece(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """By turns, so that no two of a stream are next to each other.

    As pieces of their own, 4 MiB took 170 MB, and the square of their number in time.
    """
    http = await over.frames(running)
    numbers = (1, 3)
    for number in numbers:
        await http.peer.send(http.request(number, method="POST", end=False))
    servers = [await upstream.request() for _ in numbers]
    streams = list(running.http2_connection.streams)
    sent = dict.fromkeys(numbers, 0)
    for stream in streams:
        while not stream.paused:  # the upstreams read nothing
            await http.peer.send(frame(DATA, 0, stream.number, bytes(16_384)))
            sent[stream.number] += 16_384
            await idle()
    tiny = b"".join(frame(DATA, 0, number, b"ab") for number in numbers)
    waiting = sum(len(stream.unread) for stream in streams)
    await http.peer.send(tiny * FRAMES)
    await became(
        lambda: sum(len(stream.unread) for stream in streams) == waiting + 4 * FRAMES
    )
    for number in numbers:
        await http.send(DATA, END_STREAM, number)
    for server, number in zip(servers, numbers, strict=True):
        pieces = 0
        while piece := await server.read_chunk():
            sent[number] -= len(piece)
            pieces += len(piece) <= 2
        assert sent[number] == -2 * FRAMES
        assert pieces <= 1


async def test_windows_are_given_back_in_large_steps(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """A WINDOW_UPDATE for each frame would cost as much as the frame."""
    http = await over.frames(running)
    await http.peer.send(http.request(1, method="POST", end=False))
    server = await upstream.request()
    for _ in range(128):
        await http.send(DATA, 0, 1, b"x" * 16_384)
        await server.read_payload(16_384)
    await http.send(DATA, 1, 1)
    assert await server.read_chunk() == b""
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await http.next(HEADERS, 1)
    updates = [each for each in http.kept if each.kind == WINDOW_UPDATE]
    assert 0 < len(updates) <= 8  # of 2 MiB; at first smaller ones: the window grows


async def test_content_that_was_not_taken_is_given_back(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """Uploads that end in an error leave the window of the connection as it was."""
    http = await over.frames(running)
    number = 1
    for _ in range(6):  # together more than the window of the connection
        await http.peer.send(http.request(number, method="POST", end=False))
        server = await upstream.request()
        for _ in range(60):
            await http.send(DATA, 0, number, b"x" * 16_384)
        await http.send(RST_STREAM, 0, number, b"\0\0\0\x08")
        await server.read_rest()
        number += 2
    session = running.http2_connection.session
    assert session.spare == SPARE
    async with asyncio.timeout(GUARD):
        await http.peer.send(http.request(number, method="POST", end=False))
        server = await upstream.request()
        await http.send(DATA, 1, number, b"all")
        assert await server.read_chunk() == b"all"


async def test_a_kept_stream_is_not_queued_whole_for_a_closed_window(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """What is in its log already waits there, not once more for each client."""
    running = await proxy(
        {"/": {"target": upstream.url, "resume": True, "max_buffer_bytes": 65_536}},
        server=over.server,
    )
    first = await over.client(running)
    number = await first.ask("/", [("accept", "text/event-stream")])
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    id = (await first.head(number))["stream-id"]
    size, count = 60_000, 32
    for _ in range(count):
        await server.send(chunk(b"data: " + b"x" * size + b"\n\n"))
        await first.read(number, size)
    first.abort()
    await running.connected(0)
    second = await over.frames(running, {INITIAL_WINDOW_SIZE: 0})
    await second.peer.send(second.request(1, f"/_unbuffered/streams/{id}"))
    await second.head(1)
    (stream,) = running.http2_connection.streams
    assert stream.blocked
    assert stream.queued < 4 * 65_536
