"""A peer that vanishes without a word: the kernel asks for it, on every connection."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from tests.conftest import StartProxy
from tests.support.certificates import Authority
from tests.support.messages import GET_X
from tests.support.raw import Peer, Upstream, became, connect
from tests.support.running import RunningProxy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")


def probes(transport: asyncio.Transport) -> tuple[int, ...]:
    """Whether there are any, seconds of silence before, seconds between, how many."""
    sock = transport.get_extra_info("socket")
    options = (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    )
    return tuple(sock.getsockopt(*option) for option in options)


async def only_client(running: RunningProxy) -> asyncio.Transport:
    """The proxy's side of the one connection that there is."""
    await became(lambda: len(running.server.clients) == 1)
    (client,) = running.server.clients
    return client.transport


async def test_a_client_and_its_upstream_are_asked_for(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    await running.begin(upstream, GET_X)
    assert probes(await only_client(running)) == (1, 60, 15, 4)
    (exchange,) = running.server.exchanges
    source = exchange.source
    assert source is not None
    connection = source.call.connection  # type: ignore[attr-defined]
    assert probes(connection.transport) == (1, 60, 15, 4)


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
async def test_so_are_clients_by_tls(
    proxy: StartProxy, upstream: Upstream, authority: Authority, alpn: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=authority.server)
    context = authority.context()
    context.set_alpn_protocols([alpn])
    peer = Peer(*await asyncio.open_connection("127.0.0.1", running.port, ssl=context))
    running.clients.append(peer)
    assert probes(await only_client(running)) == (1, 60, 15, 4)


async def test_so_are_those_of_the_admin_listener(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"admin": "127.0.0.1:0"}
    )
    door = running.server.admin_door
    assert door.address is not None
    running.clients.append(await connect(door.address.port))
    await became(lambda: len(door.clients) == 1)
    (client,) = door.clients
    assert probes(client.transport) == (1, 60, 15, 4)
