"""Backpressure: who does not read is not sent more, in both directions."""

from __future__ import annotations

import asyncio
import gzip
import zlib

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.flood import BOUND, Tally, drained, fill
from tests.support.messages import CHUNKED, GET_NUMBER
from tests.support.raw import Upstream, chunk, settled, turns

MIB = 1 << 20


async def test_a_client_that_stops_reading_stops_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(CHUNKED + b"\r\n")
    sent = await fill(server)
    server.writer.write(b"0\r\n\r\n")
    await client.read_head()
    assert await drained(client) == sent
    timeline = await running.ended()
    assert timeline.ending is Ending.COMPLETE
    assert timeline.bytes_sent == sent.size
    assert timeline.longest_hold > 0  # told: the client was slow


async def test_an_upstream_that_stops_reading_stops_the_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    sent = await fill(client)
    client.writer.write(b"0\r\n\r\n")
    assert await drained(server) == sent
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.read_head()
    assert (await running.ended()).bytes_received == sent.size


async def test_other_clients_are_served_while_one_is_slow(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(CHUNKED + b"\r\n")
    await fill(server)
    client, server = await running.begin(upstream, GET_NUMBER % 1)
    await server.send(CHUNKED + b"\r\n" + chunk(b"now"))
    await client.read_head()
    assert await client.read_chunk() == b"now"


def bomb() -> bytes:
    """256 MiB of zeros in 256 KiB of gzip; nobody reads as far as its end.

    What is flushed refers to nothing before it, and so can be repeated.
    """
    packer = zlib.compressobj(9, wbits=31)
    begin = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + again * 255


async def test_a_decoding_bomb_costs_one_step_of_memory_at_a_time(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """What the client takes is decoded."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client(receive_bytes=64 * 1024)
    await client.send(GET_NUMBER % 0)
    server = await upstream.request()
    await server.send(
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(bomb()) + b"0\r\n\r\n"
    )
    exchange = await running.exchange()
    await client.read_head()
    sent = await settled(lambda: exchange.timeline.bytes_sent)
    assert sent < BOUND
    await drained(client, 4 * MIB)
    assert await settled(lambda: exchange.timeline.bytes_sent) < BOUND + 4 * MIB
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_a_slow_client_gets_each_byte_of_a_decoded_body(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client(receive_bytes=64 * 1024)
    await client.send(GET_NUMBER % 0)
    server = await upstream.request()
    packed = gzip.compress(bytes(16 * MIB))
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    for start in range(0, len(packed), 1000):  # more pieces come while it waits
        await server.send(chunk(packed[start : start + 1000]))
    await server.send(b"0\r\n\r\n")
    exchange = await running.exchange()
    assert await settled(lambda: exchange.timeline.bytes_sent) < 16 * MIB
    await client.read_head()
    received = await drained(client)
    assert (received.size, received.sum) == (16 * MIB, zlib.crc32(bytes(16 * MIB)))
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_pipelined_requests_wait_until_earlier_responses_are_read(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A client that only asks and never reads piles up nothing in the proxy."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client(receive_bytes=4096)
    count = 40
    for n in range(count):
        await client.send(GET_NUMBER % n)
    server = await upstream.request()
    body = bytes(300_000)
    served = 0

    async def serve_while_asked() -> None:
        nonlocal served
        while True:
            await server.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            served += 1
            await server.reader.readuntil(b"\r\n\r\n")

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve_while_asked())
        assert await settled(lambda: served) < count
        connection = running.connection
        assert connection.transport.get_write_buffer_size() < MIB
        for _ in range(count):
            await client.read_head()
            await drained(client, len(body))
        serving.cancel()
    assert served == count


async def test_refusals_to_a_client_that_does_not_read_do_not_pile_up(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Each costs the client 30 bytes and the proxy 20 KB, without any upstream."""
    names = [f"/{n}{'x' * 1000}" for n in range(20)]  # which the answer lists
    running = await proxy({name: {"target": upstream.url} for name in names})
    client = await running.client(receive_bytes=4096)
    client.writer.write(GET_NUMBER % 0 * 20_000)
    exchanges = running.exchanges
    assert await settled(exchanges.qsize) < 20_000
    connection = running.connection
    assert connection.transport.get_write_buffer_size() < MIB
    assert len(connection.ahead) < MIB
    for _ in range(100):
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
        await client.read_until(b"\n}\n")


async def test_a_stream_behind_a_response_that_waits_is_bounded_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The sink may be full before the stream's first byte."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client(receive_bytes=4096)
    await client.send(GET_NUMBER % 0 + GET_NUMBER % 1)
    server = await upstream.request()
    await server.send(CHUNKED + b"\r\n")
    first = await fill(server)
    server.writer.write(b"0\r\n\r\n")
    await client.read_head()
    received = Tally()
    asked = asyncio.ensure_future(server.read_head())
    while not asked.done():
        received.add(await client.read_chunk())
        await turns(2)
    await server.send(CHUNKED + b"\r\n")
    second = await fill(server)
    server.writer.write(b"0\r\n\r\n")
    while data := await client.read_chunk():
        received.add(data)
    assert received == first
    await client.read_head()
    assert await drained(client) == second


async def test_a_stream_behind_a_head_that_waits_is_bounded_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    table = {"target": upstream.url, "max_interim_per_second": 0}
    running = await proxy({"/": table})
    client = await running.client(receive_bytes=4096)
    await client.send(GET_NUMBER % 0)
    server = await upstream.request()
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 25_000 + b"\r\n\r\n"
    for _ in range(240):  # 6 MB: more than the kernel takes
        server.writer.write(hint)
    server.writer.write(CHUNKED + b"\r\n")
    sent = await fill(server)
    server.writer.write(b"0\r\n\r\n")
    while await client.read_head() == hint:
        """As many as it was not too slow for."""
    assert await drained(client) == sent


async def test_a_client_that_leaves_while_it_is_slow_frees_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    await server.send(CHUNKED + b"\r\n")
    await fill(server)
    client.reset()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await server.closed()
    await running.connected(0)
