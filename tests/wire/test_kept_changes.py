"""Kept streams while the proxy changes, by a drain or a reload; slow clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.errors import FellBehind
from proxy.timeline import Ending
from proxy.transport.upstream_connection import UpstreamConnection
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field, post, read_chunks, stream_id
from tests.support.messages import OK
from tests.support.raw import GUARD, Peer, Upstream, became, chunk
from tests.support.running import RunningProxy, document

ONE = b"data: one\n\n"


async def keeping(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, **route: object
) -> RunningProxy:
    table = {"target": upstream.url, "resume": True, **route}
    return await proxy({"/": table}, clock=clock)


async def begun(
    running: RunningProxy, upstream: Upstream, request: bytes
) -> tuple[Peer, Peer, bytes]:
    """A client that has the first event of a stream, its upstream and its ID."""
    client, peer = await running.begin(upstream, request)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    await client.read_chunk()
    return client, peer, stream_id(client)


# -- the process ends


async def test_a_drain_ends_each_kept_stream_as_its_clients_take_it(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    left, nobody, _ = await begun(running, upstream, ask(b"/a"))
    left.close()
    await running.ended()
    page, feed, _ = await begun(running, upstream, ask(b"/b"))
    answer, model, id = await begun(running, upstream, post(b"/c", b"{}"))
    other = await running.client()
    await other.send(b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\n\r\n" % id)
    await other.read_head()
    assert await other.read_chunk() == ONE
    stopped = running.drain(10)
    await nobody.closed()
    # Who comes back is sent away between two events, cleanly.
    assert await page.read_chunk() == b""
    await feed.closed()
    # The others have their time.
    assert await model.read(2) == b"{}"
    await model.send(chunk(b"data: two\n\n") + chunk(b""))
    for each in (answer, other):
        assert await each.read_chunk() == b"data: two\n\n"
        assert await each.read_chunk() == b""
    clock.advance(11)
    running.tick()
    async with asyncio.timeout(GUARD):
        assert await stopped == 0
    assert running.server.kept.store.used == 0


async def test_a_drain_waits_for_no_head_that_nobody_waits_for(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    stopped = running.drain(10)
    await became(lambda: running.server.draining)
    client.close()
    await peer.closed()
    async with asyncio.timeout(GUARD):
        assert await stopped == 0


# -- the configuration changes


@pytest.mark.parametrize(
    "route",
    [{"resume": False}, {"resume": {"bind": ["X-User"]}}, None],
    ids=["off", "bound to another field", "gone"],
)
async def test_a_reload_hands_no_stream_to_whom_it_is_not_for(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    tmp_path: Path,
    route: dict[str, object] | None,
) -> None:
    running = await proxy(
        {
            "/": {"target": upstream.url, "resume": True},
            "/x": {"target": upstream.url, "resume": True},
        },
        clock=clock,
    )
    client, first, id = await begun(running, upstream, ask(b"/x", Authorization="a"))
    routes: dict[str, dict[str, object]] = {
        "/": {"target": upstream.url, "resume": True}
    }
    if route is not None:
        routes["/x"] = {"target": upstream.url, **route}
    path = tmp_path / "new.toml"
    path.write_text(document(routes, {}), encoding="utf-8")
    await running.server.reload(load(path, {}, {"server.port": 0}))
    # Who reads it reads on.
    await first.send(chunk(b"data: two\n\n"))
    assert (await client.read_chunk()).startswith(b"data: two\n")
    # By the new rules nobody can be known to be the one that it is for.
    other, peer = await running.begin(
        upstream, ask(b"/x", Authorization="a", Last_Event_ID=f"{id.decode()}.1")
    )
    await peer.send(OK)
    assert field(await other.read_head(), b"stream-id") is None
    # By its address it keeps the rules that it began with.
    at = b"/_unbuffered/streams/" + id
    for who, status in ((b"b", b"404"), (b"a", b"200")):
        other = await running.client()
        await other.send(
            b"GET %b HTTP/1.1\r\nHost: a\r\nAuthorization: %b\r\n\r\n" % (at, who)
        )
        assert (await other.read_head()).split(b" ")[1] == status


# -- clients that do not keep up


@pytest.mark.parametrize("failure", ["abort", "event"])
async def test_who_falls_out_of_the_log_is_cut_and_the_others_are_not(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, failure: str
) -> None:
    running = await keeping(
        proxy,
        upstream,
        clock,
        resume={"max_bytes": 65536},
        on_upstream_failure=failure,
        max_buffer_bytes=65536,
    )
    client, peer, id = await begun(running, upstream, ask())
    slow = await running.client(receive_bytes=4096)
    await slow.send(b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\n\r\n" % id)
    await slow.read_head()
    await became(lambda: len(running.server.exchanges) == 2)
    sent = 0
    while running.exchanges.empty():
        await peer.send(chunk(b"data: " + b"x" * 60_000 + b"\n\n"))
        assert (await client.read_chunk()).startswith(b"data: x")
        sent += 1
        assert sent < 1000
    assert isinstance((await running.ended()).error, FellBehind)
    rest, _ = await slow.read_to_close()
    assert not rest.endswith(b"0\r\n\r\n")
    assert client.head
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_a_large_response_without_events_is_as_fast_as_its_only_client(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Cut off for its length, a download would be worse off than on any other route."""
    running = await keeping(proxy, upstream, clock, resume={"max_bytes": 2_000_000})
    client = await running.client(receive_bytes=4096)
    await client.send(b"GET /export HTTP/1.1\r\nHost: a\r\n\r\n")
    peer = await upstream.request()
    size, count = 50_000, 400
    piece = chunk(b"x" * size)

    async def send_all() -> None:
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(count):
            peer.writer.write(piece)
            await peer.writer.drain()
        await peer.send(chunk(b""))

    sending = asyncio.ensure_future(send_all())
    await client.read_head()
    connection = await became_paused(running)
    assert not sending.done()
    assert connection.paused
    assert len(await read_chunks(client, size * count)) == size * count
    assert await client.read_chunk() == b""
    await sending
    assert (await running.ended()).ending is Ending.COMPLETE


async def became_paused(running: RunningProxy) -> UpstreamConnection:
    """The connection of the stream's upstream, once it is not read."""
    (stream,) = running.server.kept.streams.values()
    assert stream.upstream.forward is not None
    call = stream.upstream.forward.call
    assert call is not None
    assert call.connection is not None
    await became(lambda: call.connection is not None and call.connection.paused)
    return call.connection


async def test_it_goes_on_when_its_client_leaves(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, resume={"max_bytes": 2_000_000})
    client = await running.client(receive_bytes=4096)
    await client.send(b"GET /export HTTP/1.1\r\nHost: a\r\n\r\n")
    peer = await upstream.request()
    await peer.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    await client.read_head()
    for _ in range(400):
        peer.writer.write(chunk(b"x" * 50_000))
    connection = await became_paused(running)
    client.reset()
    await running.ended()
    await became(lambda: not connection.paused)
    await peer.writer.drain()
