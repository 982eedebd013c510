"""`host = "::"` is all networks, as the reference says: IPv4 too, and as IPv4."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.process.workers.listen_sockets import SharedPort
from proxy.server.listener import hosts
from tests.conftest import StartProxy
from tests.support.messages import OK
from tests.support.raw import Upstream, connect
from tests.support.running import RunningProxy

GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\nForwarded: for=a\r\n\r\n"


@pytest.mark.parametrize(
    ("host", "listened"),
    [
        ("::", ["::", "0.0.0.0"]),
        ("0:0::0", ["::", "0.0.0.0"]),
        ("0.0.0.0", ["0.0.0.0"]),
        ("::1", ["::1"]),
        ("localhost", ["localhost"]),
    ],
)
def test_what_a_host_stands_for(host: str, listened: list[str]) -> None:
    assert hosts(host) == listened


async def served(running: RunningProxy, upstream: Upstream, address: str) -> None:
    """A client by that address, and what is said of it."""
    client = await connect(running.port, address)
    running.clients.append(client)
    await client.send(GET % b"")
    server = await upstream.request()
    assert b"X-Forwarded-For: " + address.encode() in server.head_lines
    trusted = address == "127.0.0.1"
    chain = [line for line in server.head_lines if line.startswith(b"Forwarded: ")]
    assert bool(chain) is trusted
    if trusted:
        assert b"for=127.0.0.1;" in chain[0]
    await server.send(OK)
    await client.read_head()
    await client.read(2)
    assert (await running.ended()).client == address.encode()
    await client.send(
        GET.replace(b"Forwarded: for=a\r\n", b"") % b"_unbuffered/metrics"
    )
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_clients_of_both_families_are_served(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "upstream_keepalive_seconds": 0}},
        server={"host": "::", "trusted_proxies": ["127.0.0.0/8"]},
    )
    for address in ("127.0.0.1", "::1"):
        await served(running, upstream, address)
    # The same address again keeps its sockets.
    await running.server.reload(running.server.config)
    for address in ("127.0.0.1", "::1"):
        await served(running, upstream, address)


async def test_a_socket_for_both_shows_ipv4_as_such_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """One that was handed over, for example."""
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"trusted_proxies": ["127.0.0.0/8"]}
    )
    both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    both.setblocking(False)
    (server,) = await running.server.listeners.public.accept_from([both], {})
    running.server.listeners.public.servers.insert(0, server)
    await served(running, upstream, "127.0.0.1")


async def test_workers_listen_on_both_too(proxy: StartProxy) -> None:
    running = await proxy({"/": {"target": "http://a"}}, server={"host": "::"})
    shared = SharedPort(running.server.config.server, 2)
    try:
        assert len(shared.groups) == 2
        for address in ("127.0.0.1", "::1"):
            client = await connect(shared.port, address)
            client.close()
            await asyncio.sleep(0)
    finally:
        shared.close()
