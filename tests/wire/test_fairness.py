"""No connection has the loop for itself: what one turn does of its work is bounded.

A chain of calls counts in every turn how far an exchange has come. What a flood
leaves for later turns is neither lost nor overtaken, whatever happens meanwhile.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from functools import partial

import pytest

from proxy.http1.chunked import CHUNKS_AT_ONCE
from proxy.stream.content_decoder import STEP
from proxy.timeline import Ending, Timeline
from proxy.transport.connection import FULL_READS, HEADS_A_TURN
from proxy.transport.relay import STEPS_A_TURN
from proxy.transport.upstream_connection import INTERIM_A_TURN
from tests.conftest import StartProxy
from tests.support.flood import Tally, drained, fill
from tests.support.messages import CHUNKED, GET, UPLOAD
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END = b"0\r\n\r\n"
READ = 256 * 1024  # bytes; the longest read of either loop
MIB = 1 << 20
TEXT = bytes(range(256)) * 500
TINY = b"".join(b"1\r\n%c\r\n" % byte for byte in TEXT)  # 750 KB of chunks


class Progress:
    """How far something comes in one turn of the loop at most, and in how many."""

    def __init__(self, value: Callable[[], int]) -> None:
        self.value = value
        self.most = self.turns = 0
        self.last = value()
        self.tick()

    def tick(self) -> None:
        value = self.value()
        self.most = max(self.most, value - self.last)
        self.turns += value > self.last
        self.last = value
        self.handle = asyncio.get_running_loop().call_soon(self.tick)

    def stop(self) -> None:
        """Look for the last time."""
        self.handle.cancel()
        self.tick()
        self.handle.cancel()


async def all_of(peer: Peer) -> bytes:
    """What a peer sends until it closes, however long."""
    pieces = []
    async with asyncio.timeout(4 * GUARD):
        while data := await peer.reader.read(MIB):
            pieces.append(data)
    return b"".join(pieces)


def unchunked(data: bytes) -> bytes:
    content = []
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        content.append(data[:count])
        data = data[count + 2 :]
    return b"".join(content)


async def begun(
    running: RunningProxy, upstream: Upstream, request: bytes = GET
) -> tuple[Peer, Peer]:
    return await running.begin(upstream, request)


async def test_tiny_chunks_of_a_response_are_shared_out_over_turns(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    await server.send(CHUNKED + b"\r\n")
    await client.read_head()
    timeline = (await running.exchange()).timeline
    progress = Progress(lambda: timeline.bytes_sent)
    server.writer.write(TINY + END)
    async with asyncio.timeout(4 * GUARD):
        assert await client.read_body() == TEXT
    progress.stop()
    # What was left, and then a read of the same turn.
    assert progress.most <= 2 * CHUNKS_AT_ONCE
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_tiny_chunks_of_a_request_are_shared_out_over_turns(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream, UPLOAD)
    timeline = (await running.exchange()).timeline
    progress = Progress(lambda: timeline.bytes_received)
    client.writer.write(TINY + END + GET)  # and the next request behind them
    async with asyncio.timeout(4 * GUARD):
        assert await server.read_body() == TEXT
    progress.stop()
    assert progress.most <= 2 * CHUNKS_AT_ONCE
    await server.send(OK)
    await server.read_head()
    await server.send(OK)
    await client.read_head()
    await client.read_head()
    assert (await running.ended()).bytes_received == len(TEXT)


async def test_tiny_chunks_behind_a_request_head_are_shared_out_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """They are looked at before the request is sent on, and after."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()

    def received() -> int:
        exchanges = running.server.exchanges
        return sum(each.timeline.bytes_received for each in exchanges)

    progress = Progress(received)
    client.writer.write(UPLOAD + TINY + END)
    server = await upstream.request()
    assert await server.read_body() == TEXT
    progress.stop()
    assert 0 < progress.most <= 2 * CHUNKS_AT_ONCE
    await server.send(OK)
    await client.read_head()


@pytest.mark.parametrize("way", ["response", "request", "tunnel"])
async def test_of_a_long_body_a_few_reads_are_passed_on_in_a_turn(
    proxy: StartProxy, upstream: Upstream, way: str
) -> None:
    """uvloop reads up to 32 times in a turn, 256 KB each."""
    running = await proxy(
        {"/": {"target": upstream.url, "ws": True, "max_buffer_bytes": 64 * MIB}}
    )
    body = TEXT * 64  # 8 MB
    size = b"Content-Length: %d\r\n\r\n" % len(body)
    if way == "request":
        request = b"PUT / HTTP/1.1\r\nHost: a\r\n" + size
        receiver, sender = await begun(running, upstream, request)
        receiver, sender = sender, receiver
    elif way == "response":
        receiver, sender = await begun(running, upstream)
        await sender.send(b"HTTP/1.1 200 OK\r\n" + size)
        await receiver.read_head()
    else:
        upgrade = b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
        receiver, sender = await begun(running, upstream, GET[:-2] + upgrade)
        await sender.send(b"HTTP/1.1 101 Switching\r\n" + upgrade)
        await receiver.read_head()
    timeline = (await running.exchange()).timeline
    progress = Progress(lambda: timeline.bytes_sent + timeline.bytes_received)
    sender.writer.write(body)
    async with asyncio.timeout(4 * GUARD):
        assert await receiver.reader.readexactly(len(body)) == body
    progress.stop()
    assert progress.most <= (FULL_READS + 1) * READ


async def test_pipelined_requests_are_answered_a_few_in_each_turn(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/only": {"target": upstream.url}})
    client = await running.client()
    count = 600
    progress = Progress(running.exchanges.qsize)
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    client.writer.write(GET * (count - 1) + last)
    answers = await all_of(client)
    progress.stop()
    assert answers.count(b"HTTP/1.1 404 ") == running.exchanges.qsize() == count
    assert 0 < progress.most <= 2 * HEADS_A_TURN


async def test_long_heads_that_are_pipelined_count_for_more(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/only": {"target": upstream.url}})
    client = await running.client()
    long = GET[:-2] + b"A: %b\r\n\r\n" % (b"x" * 12_500)
    progress = Progress(running.exchanges.qsize)
    client.writer.write(long * 20)
    for _ in range(20):
        await client.read_head()
        await client.read_until(b"\n}\n")
    progress.stop()
    assert progress.most <= 2 * (HEADS_A_TURN // 4)


async def test_requests_that_wait_for_their_turn_are_served_by_a_drain(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/only": {"target": upstream.url}})
    client = await running.client()
    client.writer.write(GET * 200)
    await became(lambda: running.exchanges.qsize() > 0)
    connection = running.connection
    assert connection.ahead
    connection.drain()
    answers = await all_of(client)
    assert b"Connection: close" in answers
    assert answers.count(b"HTTP/1.1 404 ") == running.exchanges.qsize() < 200


# -- decoding


async def test_decoded_output_is_shared_out_over_turns(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_buffer_bytes": 64 * MIB}})
    client, server = await begun(running, upstream)
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    await client.read_head()
    timeline = (await running.exchange()).timeline
    progress = Progress(lambda: timeline.bytes_sent)
    text = TEXT * 64
    expected = Tally()
    expected.add(text)
    server.writer.write(chunk(gzip.compress(text)) + END)
    assert await drained(client) == expected
    progress.stop()
    assert progress.most <= 2 * STEPS_A_TURN * STEP
    ended = await running.ended()
    assert ended.ending is Ending.COMPLETE
    assert ended.longest_hold > 0


EMPTY = {
    "gzip": gzip.compress(b""),
    "zstd": b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00",
}
REAL = {
    "gzip": gzip.compress(b"text"),
    "zstd": b"\x28\xb5\x2f\xfd\x20\x04\x21\x00\x00text",
}


class Ticks:
    """Turns of the loop, counted."""

    def __init__(self) -> None:
        self.count = -1
        self.tick()

    def tick(self) -> None:
        self.count += 1
        self.handle = asyncio.get_running_loop().call_soon(self.tick)

    def stop(self) -> None:
        self.handle.cancel()


@pytest.mark.parametrize("coding", EMPTY)
async def test_decoding_that_yields_nothing_gives_the_loop_back(
    proxy: StartProxy, upstream: Upstream, coding: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    head = CHUNKED + b"Content-Encoding: %b\r\n\r\n" % coding.encode()
    await server.send(head)
    await client.read_head()
    ticks = Ticks()
    count = 8000
    server.writer.write(chunk(EMPTY[coding] * count + REAL[coding]) + END)
    async with asyncio.timeout(4 * GUARD):
        assert await client.read_body() == b"text"
    ticks.stop()
    assert ticks.count >= count // (2 * STEPS_A_TURN)
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_stack_that_yields_nothing_gives_the_loop_back(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A few KB, three times packed, that hold nothing but padding."""
    running = await proxy({"/": {"target": upstream.url, "max_decoding_ratio": 0}})
    client, server = await begun(running, upstream)
    await server.send(CHUNKED + b"Content-Encoding: gzip, gzip, gzip\r\n\r\n")
    await client.read_head()
    body = gzip.compress(b"text") + bytes(32 * MIB)
    body = gzip.compress(gzip.compress(body))
    assert len(body) < 8192
    ticks = Ticks()
    server.writer.write(chunk(body) + END)
    async with asyncio.timeout(4 * GUARD):
        assert await client.read_body() == b"text"
    ticks.stop()
    assert ticks.count >= 32 * MIB // STEP // (2 * STEPS_A_TURN)


MANY = EMPTY["gzip"] * 8000  # many turns


@pytest.mark.parametrize("then", ["another piece", "the end", "a reset"])
async def test_what_follows_while_decoding_takes_turns_comes_behind_it(
    proxy: StartProxy, upstream: Upstream, then: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    await client.read_head()
    await server.send(chunk(gzip.compress(b"one ") + MANY + gzip.compress(b"two ")))
    if then == "another piece":
        await server.send(chunk(gzip.compress(b"three")) + END)
        assert await client.read_body() == b"one two three"
        assert (await running.ended()).ending is Ending.COMPLETE
        return
    if then == "the end":
        await server.send(END)
        assert await client.read_body() == b"one two "
        assert (await running.ended()).ending is Ending.COMPLETE
        return
    await client.read_chunk()
    server.reset()
    assert await client.read_to_close() == (chunk(b"two "), "fin")
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_client_that_leaves_while_its_body_is_decoded_is_sent_no_more(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    await client.read_head()
    await server.send(chunk(gzip.compress(b"one ") + MANY + gzip.compress(b"two ")))
    await client.read_chunk()
    client.close()
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    await server.closed()
    await idle()  # in which the rest would be decoded
    assert timeline.bytes_sent == len(b"one ")


# -- what happens while bytes wait for their turn


async def test_an_upstream_that_breaks_has_its_chunks_delivered_first(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    server.writer.write(CHUNKED + b"\r\n" + TINY)
    server.close()
    await client.read_head()
    assert unchunked(await all_of(client)) == TEXT
    timeline = await running.ended()
    assert timeline.error is not None
    assert timeline.error.type == "http_response_incomplete"


async def test_an_upstream_that_closes_behind_the_last_chunk_was_complete(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    server.writer.write(CHUNKED + b"\r\n" + TINY + END)
    server.close()
    await client.read_head()
    assert await client.read_body() == TEXT
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_fault_behind_tiny_chunks_is_found_when_its_turn_comes(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    server.writer.write(CHUNKED + b"\r\n" + TINY + b"xyz\r\n")
    await client.read_head()
    assert unchunked(await all_of(client)) == TEXT
    timeline = await running.ended()
    assert timeline.error is not None
    assert "invalid chunk-size" in str(timeline.error)


async def test_a_client_that_leaves_in_a_flood_frees_its_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    server.writer.write(CHUNKED + b"\r\n" + TINY)
    await client.read_head()
    client.reset()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    assert await server.read_rest() == b""


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(b"POST /s HTTP/1.1\r\nHost: a\r\n\r\n", id="for the upstream"),
        pytest.param(
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", id="for us"
        ),
    ],
)
async def test_requests_of_a_client_that_is_gone_are_not_served(
    proxy: StartProxy, upstream: Upstream, last: bytes
) -> None:
    """They wait for their turn when it leaves; nobody would read the answer."""
    running = await proxy({"/s": {"target": upstream.url}})
    for _ in range(4):
        client = await running.client()
        client.writer.write(GET * HEADS_A_TURN + last)
        client.reset()
        await running.connected(0)
    await idle()
    assert running.server.under_way == 0
    assert upstream.unexpected == 0


def received_more_than(timeline: Timeline, sent: int) -> bool:
    return timeline.bytes_received > sent


async def test_an_upload_changes_nothing_of_an_answer_whose_upstream_has_closed(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_buffer_bytes": 1024}})
    client = await running.client(receive_bytes=4096)
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    server = await upstream.request()
    exchange = await running.exchange()
    text, expected = TEXT * 64, Tally()
    expected.add(text)
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    server.writer.write(chunk(gzip.compress(text)) + END)
    server.close()
    await client.read_head()
    connection = await running.upstream_connection()
    await became(lambda: connection.closed)
    for _ in range(3):
        sent = exchange.timeline.bytes_received
        await client.send(b"x")
        await became(partial(received_more_than, exchange.timeline, sent))
    assert await drained(client) == expected
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_client_that_does_not_read_has_its_flood_kept_back(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_buffer_bytes": 1024}})
    client = await running.client(receive_bytes=4096)
    await client.send(GET)
    server = await upstream.request()
    await server.send(CHUNKED + b"\r\n")
    sent = await fill(server)
    server.writer.write(TINY + END)
    sent.add(TEXT)
    await client.read_head()
    assert await drained(client) == sent
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_an_upload_that_is_not_wanted_any_more_is_thrown_away(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream, UPLOAD)
    client.writer.write(TINY)
    await server.read_until(b"\r\n")
    await server.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    assert (await all_of(client)).endswith(b"no")


async def test_interim_responses_are_passed_on_a_few_in_each_turn(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """As many as are taken of them; the final one behind them is not lost."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    server.writer.write(b"HTTP/1.1 103 Early\r\n\r\n" * 30 + OK)
    server.close()
    for _ in range(30):
        assert (await client.read_head()).startswith(b"HTTP/1.1 103 ")
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert INTERIM_A_TURN >= 30


@pytest.mark.parametrize("flood", ["interim responses", "tiny chunks", "both"])
async def test_an_end_behind_a_flood_ends_what_it_was_meant_to(
    proxy: StartProxy, upstream: Upstream, flood: str
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_interim_per_second": 0}})
    client, server = await begun(running, upstream)
    sent = b""
    if flood != "tiny chunks":
        sent = b"HTTP/1.1 103 Early\r\n\r\n" * (3 * INTERIM_A_TURN)
    if flood == "interim responses":  # and a body that ends where the upstream closes
        server.writer.write(sent + b"HTTP/1.1 200 OK\r\n\r\n" + TEXT)
    else:
        server.writer.write(sent + CHUNKED + b"\r\n" + TINY + END)
    server.close()
    while (await client.read_head()).startswith(b"HTTP/1.1 103 "):
        """All of them."""
    assert client.head.startswith(b"HTTP/1.1 200 ")
    assert await client.read_body() == TEXT
    assert (await running.ended()).ending is Ending.COMPLETE
