"""While the proxy itself has work left, no peer is late: no clock of theirs runs.

The loop is shared, so work is done by turns; how long that takes is no peer's fault.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from proxy.timeline import Ending
from proxy.transport.relay import DecodingRelay
from tests.conftest import ManualClock, StartProxy
from tests.support.flood import drained
from tests.support.messages import CHUNKED, GET, OK, UPLOAD
from tests.support.raw import Upstream, became, chunk, idle, turns
from tests.support.running import RunningProxy

UPGRADE = b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
END = b"0\r\n\r\n"
LIMIT = 30  # seconds
TINY = b"1\r\na\r\n" * 40_000  # 240 KB; twenty turns
MEMBERS = gzip.compress(b"one ") + gzip.compress(b"") * 4000  # more than a hundred
LONG = bytes(8 << 20)


class Late:
    """Lets a time pass that would be far too long, whenever the proxy rests."""

    def __init__(self, running: RunningProxy, clock: ManualClock) -> None:
        self.running = running
        self.clock = clock
        self.times = 0

    async def while_it(self, rests: Callable[[], bool], times: int) -> None:
        for _ in range(times):
            await became(rests)
            self.clock.advance(10 * LIMIT)
            self.running.tick()
            assert self.running.exchanges.empty()
            await turns(1)

    async def then_counts(self) -> None:
        """Once the work is done, silence is the upstream's."""
        await idle()
        self.clock.advance(LIMIT - 1)
        self.running.tick()
        await idle()
        assert self.running.exchanges.empty()
        self.clock.advance(2)
        self.running.tick()
        assert (await self.running.ended()).ending is Ending.TIMED_OUT


@pytest.mark.parametrize("ended", [False, True], ids=["open", "at its end"])
async def test_decoding_is_no_silence_of_the_upstream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, ended: bool
) -> None:
    """Members of gzip that hold nothing take many turns, and yield nothing."""
    table = {"target": upstream.url, "idle_timeout_seconds": LIMIT}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, GET)
    late = Late(running, clock)
    own = running.connection

    def decodes() -> bool:
        relay = own.feeder
        return isinstance(relay, DecodingRelay) and relay.resting

    body = chunk(MEMBERS + gzip.compress(b"two"))
    await server.send(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
    server.writer.write(body + END if ended else body)
    await late.while_it(decodes, 10)
    await client.read_head()
    assert await client.read_payload(7) == b"one two"
    if ended:
        assert await client.read_chunk() == b""
        assert (await running.ended()).ending is Ending.COMPLETE
    else:
        await late.then_counts()


async def test_chunks_that_wait_for_their_turn_are_no_silence(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "idle_timeout_seconds": LIMIT}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, GET)
    late = Late(running, clock)
    connection = await running.upstream_connection()
    server.writer.write(CHUNKED + b"\r\n" + TINY)
    await late.while_it(lambda: bool(connection.left), 5)
    await client.read_head()
    assert len(await client.read_payload(40_000)) == 40_000
    await late.then_counts()


@pytest.mark.parametrize("way", ["response", "tunnel"])
async def test_reads_that_others_have_their_turn_between_are_no_silence(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, way: str
) -> None:
    table = {"target": upstream.url, "idle_timeout_seconds": LIMIT, "ws": True}
    running = await proxy({"/": {**table, "max_buffer_bytes": 1 << 26}}, clock=clock)
    tunnel = way == "tunnel"
    request = GET[:-2] + UPGRADE if tunnel else GET
    client, server = await running.begin(upstream, request)
    late = Late(running, clock)
    connection = await running.upstream_connection()
    switch = b"HTTP/1.1 101 Switching\r\n" + UPGRADE
    size = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(LONG) + 1)
    server.writer.write((switch if tunnel else size) + LONG)
    await late.while_it(lambda: connection.resting, 2)
    await client.read_head()
    await drained(client, len(LONG))
    await late.then_counts()


async def test_heads_that_wait_for_their_turn_are_no_late_response(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "first_byte_timeout_seconds": LIMIT}
    running = await proxy({"/": {**table, "max_interim_per_second": 0}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    connection = await running.upstream_connection()
    late = Late(running, clock)
    server.writer.write(b"HTTP/1.1 103 Early\r\n\r\n" * 1000 + OK)
    await late.while_it(lambda: connection.resting, 5)
    while (await client.read_head()).startswith(b"HTTP/1.1 103 "):
        """As many as there are."""
    assert client.head.startswith(b"HTTP/1.1 200 ")


async def test_an_upload_that_waits_for_its_turn_is_no_silence_of_the_client(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={"body_timeout_seconds": LIMIT},
        clock=clock,
    )
    client, server = await running.begin(upstream, UPLOAD)
    own = running.connection
    late = Late(running, clock)
    client.writer.write(TINY + END)
    await late.while_it(lambda: bool(own.left), 5)
    assert len(await server.read_body()) == 40_000
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_requests_that_wait_for_their_turn_are_not_late(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/only": {"target": upstream.url}},
        server={"keepalive_timeout_seconds": LIMIT},
        clock=clock,
    )
    client = await running.client()
    await running.connected(1)
    own = running.connection
    client.writer.write(GET * 200)
    for _ in range(3):
        await became(lambda: own.resting)
        clock.advance(10 * LIMIT)
        running.tick()
        await turns(1)
    for _ in range(200):
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
        await client.read_until(b"\n}\n")
