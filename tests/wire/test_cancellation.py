"""Cancellation: a client that leaves is gone from the upstream too, at once."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.flood import fill
from tests.support.messages import GET, STREAM, UPLOAD
from tests.support.names import NameServer
from tests.support.ports import BlackHole
from tests.support.raw import Peer, Upstream, became, chunk, idle, settled, turns
from tests.support.running import RunningProxy

UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Leave = Callable[[Peer], None]
leaves = pytest.mark.parametrize(
    "leave",
    [
        pytest.param(Peer.close, id="FIN and close"),
        pytest.param(Peer.finish, id="FIN"),
        pytest.param(Peer.reset, id="reset"),
    ],
)


async def left(running: RunningProxy) -> None:
    """The account says that the client left, and nobody is there any more."""
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert timeline.error is not None
    assert timeline.error.type == "client_disconnected"
    await running.connected(0)
    assert running.idle_connections == 0


def attempts(hole: BlackHole) -> int:
    """How many, besides those that fill it, try to reach this port (SYN-SENT)."""
    fillers = {place(each.getsockname()[1]) for each in hole.fillers}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        (other, state) == (place(hole.port), "02") and own not in fillers
        for own, other, state in (line.split()[1:4] for line in lines)
    )


def place(port: int) -> str:
    """A port of 127.0.0.1 as Linux writes it."""
    return f"0100007F:{port:04X}"


@leaves
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux")
async def test_while_connecting(proxy: StartProxy, leave: Leave) -> None:
    with BlackHole() as hole:
        running = await proxy({"/": {"target": hole.url}})
        client = await running.client()
        await client.send(GET)
        await became(lambda: attempts(hole) == 1)
        connection = running.connection
        leave(client)
        await left(running)
        await became(lambda: attempts(hole) == 0)
        assert connection.closed


@leaves
async def test_while_the_name_is_looked_up(proxy: StartProxy, leave: Leave) -> None:
    with NameServer("slow.example") as names:
        running = await proxy({"/": {"target": "http://slow.example"}})
        client = await running.client()
        await client.send(GET)
        await became(lambda: names.asked == ["slow.example"])
        await running.waiting_for("connection")
        leave(client)
        await left(running)


@leaves
async def test_while_waiting_for_the_head(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    leave(client)
    await server.closed()
    await left(running)


@leaves
async def test_inside_the_upload(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    """The upstream must not take half an upload for a whole one."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await client.send(chunk(b"half"))
    assert await server.read_chunk() == b"half"
    leave(client)
    await server.closed()
    await left(running)


async def test_inside_an_upload_that_the_upstream_does_not_read(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The client is not read either then; the kernel is asked for it instead."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await fill(client)
    client.reset()
    connection = running.connection
    assert connection.paused
    assert await settled(running.exchanges.qsize) == 0
    running.tick()
    await left(running)
    await server.read_rest()


@leaves
async def test_in_the_middle_of_a_body(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM + b"10\r\nhalf a ch")
    await client.read_head()
    leave(client)
    await server.closed()
    await left(running)


@leaves
async def test_on_a_stream_that_is_silent(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    leave(client)
    await server.closed()
    await left(running)


@leaves
async def test_while_upload_and_response_both_run(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await server.send(STREAM + chunk(b"early"))
    await client.read_head()
    assert await client.read_chunk() == b"early"
    await client.send(chunk(b"late"))
    assert await server.read_chunk() == b"late"
    leave(client)
    await server.closed()
    await left(running)


async def test_in_a_tunnel(proxy: StartProxy, upstream: Upstream) -> None:
    """FIN is half of the end there: tests of the tunnel have it."""
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    client, server = await running.begin(
        upstream, b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE
    )
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE)
    await client.read_head()
    await client.send(b"frame")
    assert await server.read(5) == b"frame"
    client.reset()
    await server.closed()
    await left(running)


@leaves
async def test_with_requests_still_waiting_behind(
    proxy: StartProxy, upstream: Upstream, leave: Leave
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET * 3)
    leave(client)
    await server.closed()
    await left(running)
    await idle()
    assert upstream.unexpected == 0
    assert running.exchanges.empty()


async def test_in_the_turn_in_which_the_upstream_breaks(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The loop has told of the one, and the kernel knows of the other already."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, UPLOAD)
    await server.send(STREAM)
    await client.read_head()
    connection = await running.upstream_connection()
    ours: socket.socket = client.writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(ours.fileno())) as twin:
        client.writer.transport.abort()
        await idle()  # its own descriptor is closed
        server.close()
        await became(connection.transport.is_closing)
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await running.ended()
    await running.connected(0)


async def test_a_client_may_leave_at_any_byte(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Before there is a request there is nothing to tell, and nobody is left."""
    running = await proxy({"/": {"target": upstream.url}})
    for cut in range(len(GET)):
        client = await running.client()
        await client.send(GET[:cut])
        await turns(2)
        client.reset()
    await running.connected(0)
    assert upstream.unexpected == 0
    assert running.exchanges.empty()


async def test_many_clients_that_leave_leave_nothing(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    pairs = [await running.begin(upstream, GET) for _ in range(50)]
    for number, (client, server) in enumerate(pairs):
        if number % 2:
            await server.send(STREAM)
            await client.read_head()
    for number, (client, _) in enumerate(pairs):
        (Peer.close, Peer.finish, Peer.reset)[number % 3](client)
    async with asyncio.TaskGroup() as group:
        for _, server in pairs:
            group.create_task(server.closed())
    for _ in pairs:
        assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await running.connected(0)
