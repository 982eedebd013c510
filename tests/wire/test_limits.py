"""Time limits of the upstream: four clocks, and each names its key."""

from __future__ import annotations

import json
import zlib

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.flood import drained, fill
from tests.support.messages import GET, STREAM, UPLOAD
from tests.support.ports import BlackHole
from tests.support.raw import Peer, Upstream, became, chunk, idle, settled
from tests.support.running import RunningProxy

SIZE = 16 * 1024 * 1024  # bytes; more than the kernel takes of them
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def pass_time(running: RunningProxy, clock: ManualClock, seconds: float) -> None:
    """All that was sent has arrived; then so much time is gone."""
    await idle()
    clock.advance(seconds)
    running.tick()


async def taken(running: RunningProxy) -> int:
    """How many bytes of the body of the exchange have left the proxy."""
    exchange = await running.exchange()
    transport = (await running.upstream_connection()).transport
    return exchange.timeline.bytes_received - transport.get_write_buffer_size()


async def take_some(running: RunningProxy, server: Peer) -> None:
    """The upstream reads until the proxy can send on.

    That the proxy reads on does not show at its client, nor how much it holds: the
    kernel may have taken all from there, and what goes is made up for at once.
    """
    before = await taken(running)
    while await taken(running) == before:
        await drained(server, 256 * 1024)
        await idle()


async def fall_silent(running: RunningProxy, clock: ManualClock) -> None:
    """The upstream takes nothing for the limit of 30 s, and no less.

    The kernel may still move bytes by itself: they are taken, and the limit begins
    anew.
    """
    running.tick()
    while running.exchanges.empty():
        before = await taken(running)
        await pass_time(running, clock, 29)
        assert running.exchanges.empty()
        if await taken(running) == before:
            await pass_time(running, clock, 2)
            over = not running.exchanges.empty()
            assert over or await taken(running) != before, "no limit struck"


async def timed_out(running: RunningProxy, key: str) -> None:
    """The account names the key, and nothing is kept."""
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert f"({key})" in str(timeline.error)
    assert running.idle_connections == 0


async def told_504(client: Peer, key: str) -> None:
    """The client is told which key it was."""
    assert (await client.read_head()).startswith(b"HTTP/1.1 504 ")
    told = json.loads(await client.read_until(b"\n}\n"))["error"]
    assert f"({key})" in told["message"]
    assert told["route"] == "/"


async def test_connect_timeout_is_a_504(proxy: StartProxy, clock: ManualClock) -> None:
    key = "connect_timeout_seconds"
    with BlackHole() as hole:
        running = await proxy({"/": {"target": hole.url, key: 3}}, clock=clock)
        client = await running.client()
        await client.send(GET)
        await running.exchange()
        await pass_time(running, clock, 2.9)
        assert running.exchanges.empty()
        await pass_time(running, clock, 0.2)
        await told_504(client, key)
        await timed_out(running, key)


async def test_first_byte_timeout_is_a_504(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "first_byte_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 O")
    assert (await client.read_head()).startswith(b"HTTP/1.1 103 ")  # is no response
    await pass_time(running, clock, 29)
    assert running.exchanges.empty()
    await pass_time(running, clock, 2)
    await told_504(client, key)
    await timed_out(running, key)
    await server.closed()


async def test_the_first_byte_is_waited_for_from_the_end_of_the_request(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "first_byte_timeout_seconds"
    running = await proxy(
        {"/": {"target": upstream.url, key: 30}},
        clock=clock,
        server={"body_timeout_seconds": 0},
    )
    client, server = await running.begin(upstream, UPLOAD)
    for _ in range(5):  # an upload may take as long as it likes
        await client.send(chunk(b"more"))
        assert await server.read_chunk() == b"more"
        await pass_time(running, clock, 100)
    await client.send(b"0\r\n\r\n")
    assert await server.read_chunk() == b""
    await pass_time(running, clock, 29)
    assert running.exchanges.empty()
    await pass_time(running, clock, 2)
    await told_504(client, key)
    await timed_out(running, key)


async def test_an_upload_that_is_taken_no_further_is_a_504(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "first_byte_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client, server = await running.begin(upstream, UPLOAD)
    own = running.connection
    for _ in range(4):  # the upstream is slow, and goes on
        await fill(client)
        assert own.paused
        await pass_time(running, clock, 29)
        await take_some(running, server)
    await fill(client)
    await fall_silent(running, clock)
    await told_504(client, key)
    await timed_out(running, key)


async def test_after_the_head_an_upload_that_goes_on_is_no_silence(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "idle_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client, server = await running.begin(upstream, UPLOAD)
    await server.send(STREAM)
    await client.read_head()
    for _ in range(4):
        await fill(client)
        await pass_time(running, clock, 29)
        await take_some(running, server)
    await fill(client)
    await fall_silent(running, clock)
    assert await client.read_to_close() == (b"", "fin")
    await timed_out(running, key)


async def test_idle_timeout_breaks_a_stream_that_fell_silent(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "idle_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    await client.read_head()
    for _ in range(5):  # shorter silences are none
        await pass_time(running, clock, 29)
        await server.send(chunk(b"data"))
        assert await client.read_chunk() == b"data"
    await pass_time(running, clock, 29)
    assert running.exchanges.empty()
    await pass_time(running, clock, 2)
    assert await client.read_to_close() == (b"", "fin")  # without a last chunk
    await timed_out(running, key)
    await server.closed()


async def test_a_slow_client_is_not_the_silence_of_the_upstream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "idle_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    sent = await fill(server)
    for _ in range(5):
        await pass_time(running, clock, 1000)
    server.writer.write(b"0\r\n\r\n")
    await client.read_head()
    assert await drained(client) == sent
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_silence_begins_anew_when_a_slow_client_has_read(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "idle_timeout_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 30}}, clock=clock)
    client = await running.client(receive_bytes=65536)
    await client.send(GET)
    server = await upstream.request()
    packer = zlib.compressobj(wbits=31)
    one = packer.compress(bytes(SIZE)) + packer.flush(zlib.Z_SYNC_FLUSH)
    coded = STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n"
    await server.send(coded + chunk(one))  # a single piece, long to read
    own = running.connection
    await became(lambda: own.blocked)
    await pass_time(running, clock, 1000)
    await client.read_head()
    await client.read_payload(SIZE)
    await pass_time(running, clock, 29)
    assert running.exchanges.empty()
    await pass_time(running, clock, 2)
    assert await client.read_to_close() == (b"", "fin")
    await timed_out(running, key)


async def test_a_slow_upload_is_not_the_silence_of_the_upstream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """An upstream that answers at the end may send its head at once."""
    key = "idle_timeout_seconds"
    running = await proxy(
        {"/": {"target": upstream.url, key: 30}},
        clock=clock,
        server={"body_timeout_seconds": 0},
    )
    client, server = await running.begin(upstream, UPLOAD)
    await server.send(STREAM)
    await client.read_head()
    for _ in range(5):
        await client.send(chunk(b"more"))
        assert await server.read_chunk() == b"more"
        await pass_time(running, clock, 1000)
    assert running.exchanges.empty()
    await client.send(b"0\r\n\r\n")
    assert await server.read_chunk() == b""
    await pass_time(running, clock, 31)
    assert await client.read_to_close() == (b"", "fin")
    await timed_out(running, key)


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_in_a_tunnel_either_side_ends_the_silence(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, who: str
) -> None:
    key = "idle_timeout_seconds"
    table = {"target": upstream.url, "ws": True, key: 30}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, GET[:-2] + UPGRADE)
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE)
    await client.read_head()
    sender, reader = (client, server) if who == "client" else (server, client)
    for _ in range(5):
        await pass_time(running, clock, 29)
        await sender.send(b"ping")
        assert await reader.read(4) == b"ping"
    await pass_time(running, clock, 31)
    await client.closed()
    await server.closed()
    await timed_out(running, key)


async def test_max_duration_ends_a_wait_with_a_504(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "max_duration_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 60}}, clock=clock)
    client, server = await running.begin(upstream, UPLOAD)
    await pass_time(running, clock, 59)
    assert running.exchanges.empty()
    await pass_time(running, clock, 2)
    await told_504(client, key)
    await timed_out(running, key)
    await server.closed()


@pytest.mark.parametrize("busy", [True, False])
async def test_max_duration_breaks_a_stream_busy_or_not(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, busy: bool
) -> None:
    key = "max_duration_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 60}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    await client.read_head()
    for _ in range(5):
        if busy:
            await server.send(chunk(b"tick"))
            assert await client.read_chunk() == b"tick"
        await pass_time(running, clock, 11)
    assert running.exchanges.empty()
    await pass_time(running, clock, 6)
    assert await client.read_to_close() == (b"", "fin")
    await timed_out(running, key)
    await server.closed()


async def test_by_default_a_stream_may_be_silent_for_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM)
    await client.read_head()
    await pass_time(running, clock, 10 * 86400)
    await pass_time(running, clock, 10 * 86400)
    await server.send(chunk(b"after all"))
    assert await client.read_chunk() == b"after all"
    assert not running.server.ticker.waiting  # it is not even looked at


async def test_an_unused_upstream_connection_is_kept_for_its_time(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    key = "upstream_keepalive_seconds"
    running = await proxy({"/": {"target": upstream.url, key: 4}}, clock=clock)
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await client.read_head()
    await became(lambda: running.idle_connections == 1)
    await pass_time(running, clock, 3.9)
    assert running.idle_connections == 1
    await pass_time(running, clock, 0.2)
    assert running.idle_connections == 0
    await server.closed()


async def test_0_keeps_no_upstream_connection(
    proxy: StartProxy, upstream: Upstream
) -> None:
    table = {"target": upstream.url, "upstream_keepalive_seconds": 0}
    running = await proxy({"/": table})
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await client.read_head()
    await server.closed()
    assert await settled(lambda: running.idle_connections) == 0
