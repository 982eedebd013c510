"""Several listeners: `[[listen]]` beside that of `[server]`."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import ConfigError
from proxy.process.reload import Reloader
from tests.conftest import Complaints, StartProxy
from tests.support.certificates import Authority
from tests.support.listening import client_of, listen
from tests.support.messages import GET_X, OK, STREAM
from tests.support.ports import ClosedPort
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy, Table, document


async def served(client: Peer, upstream: Upstream) -> Peer:
    """A request passes; the upstream's end of it."""
    await client.send(GET_X)
    server = await upstream.request()
    await server.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await client.read_head()
    return server


async def test_each_listener_serves_the_same_routes(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, **listen({}, authority.server)
    )
    schemes = {0: b"http", 1: b"http", 2: b"https"}
    for number, scheme in schemes.items():
        client = await client_of(running, number, authority if number == 2 else None)
        await client.send(GET_X)
        server = await upstream.request()
        assert b"X-Forwarded-Proto: " + scheme in server.head_lines
        await server.send(STREAM + chunk(b"data: 1\n\n"))
        await client.read_head()
        assert await client.read_chunk() == b"data: 1\n\n"
        client.close()
        await server.closed()
    assert len({running.port, *ports(running)}) == 3


def ports(running: RunningProxy) -> list[int]:
    return [each.port for each in running.server.listeners.further.listeners]


async def test_http2_is_offered_as_each_listener_says(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        **listen(authority.server, {**authority.server, "http2": False}),
    )
    for port, expected in zip(ports(running), ("h2", "http/1.1"), strict=True):
        context = authority.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        tls = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == expected
        writer.transport.abort()
    await running.connected(0)


def refuses(port: int) -> bool:
    """Is nobody listening there?"""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_a_drain_closes_all_of_them(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, **listen({}, {}))
    all_ports = [running.port, *ports(running)]
    client = await client_of(running, 2)
    await client.send(GET_X)
    server = await upstream.request()
    drained = running.drain(60)
    await became(lambda: running.server.draining)
    assert [refuses(port) for port in all_ports] == [True, True, True]
    await server.send(OK)
    await client.read_head()
    assert await drained == 0


async def test_one_that_cannot_listen_stops_the_start(
    tmp_path: Path, upstream: Upstream, proxy: StartProxy
) -> None:
    """And names its table; the others are closed again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            await proxy({"/": {"target": upstream.url}}, **listen({}, {"port": port}))
    assert caught.value.faults == [
        f"[[listen]] number 2: cannot listen on 127.0.0.1:{port}: another program is "
        "using this port; stop it, or choose another port with the key port"
    ]


# -- reloading --------------------------------------------------------------------


class Reloading:
    """Reloads a proxy with other listeners."""

    def __init__(self, running: RunningProxy, upstream: Upstream, path: Path) -> None:
        self.running = running
        self.upstream = upstream
        self.path = path
        self.tables: dict[str, Table] = {}
        self.reloader = Reloader(running.server, self.read, lambda config: [])

    def read(self) -> Config:
        tables = {"server": {"port": 0}, **self.tables}
        text = document({"/": {"target": self.upstream.url}}, tables)
        self.path.write_text(text, "utf-8")
        return load(self.path, {})

    async def to(self, *tables: Table) -> bool:
        """Listen as these say, beside [server]; whether that was taken."""
        self.tables = listen(*tables)
        return await self.reloader.reload()


@pytest.fixture
async def reloading(proxy: StartProxy, upstream: Upstream, tmp_path: Path) -> Reloading:
    running = await proxy({"/": {"target": upstream.url}})
    return Reloading(running, upstream, tmp_path / "other.toml")


async def test_a_reload_adds_and_removes_listeners(
    reloading: Reloading, upstream: Upstream
) -> None:
    running = reloading.running
    first = ClosedPort()
    with first:
        port = first.port
    assert await reloading.to({"port": port})
    client = await client_of(running, 1)
    await served(client, upstream)
    assert await reloading.to()
    assert refuses(port)
    await served(client, upstream)  # a connection of before goes on
    await served(await client_of(running, 0), upstream)
    assert await reloading.to({"port": port}, {})
    assert not refuses(port)
    await served(await client_of(running, 2), upstream)


async def test_who_waits_at_a_listener_that_is_removed_is_let_in(
    reloading: Reloading, upstream: Upstream
) -> None:
    running = reloading.running
    assert await reloading.to({})
    (listener,) = running.server.listeners.further.listeners
    port = listener.port
    sock = socket.create_connection(("127.0.0.1", port))  # in no turn of the loop
    assert await reloading.to()
    sock.setblocking(False)
    client = Peer(*await asyncio.open_connection(sock=sock))
    running.clients.append(client)
    await served(client, upstream)
    assert refuses(port)


async def test_a_listener_moves_to_a_wider_address_of_its_port(
    reloading: Reloading, upstream: Upstream
) -> None:
    running = reloading.running
    assert await reloading.to({})
    port = ports(running)[0]
    for host in ("0.0.0.0", "127.0.0.1"):
        assert await reloading.to({"host": host, "port": port})
        assert ports(running) == [port]
        await served(await client_of(running, 1), upstream)


async def test_a_listener_gets_other_certificates_without_a_gap(
    reloading: Reloading, upstream: Upstream, authority: Authority
) -> None:
    running = reloading.running
    assert await reloading.to(authority.server)
    before = await client_of(running, 1, authority)
    serials = [await serial(running, authority)]
    authority.issue()
    assert await reloading.to(authority.server)
    serials.append(await serial(running, authority))
    assert serials[0] != serials[1]
    await served(before, upstream)
    assert await reloading.to({})  # TLS is switched off, and on again
    await served(await client_of(running, 1), upstream)
    assert await reloading.to(authority.server)
    assert await serial(running, authority) == serials[1]


async def serial(running: RunningProxy, authority: Authority) -> str:
    client = await client_of(running, 1, authority)
    return str(client.writer.get_extra_info("peercert")["serialNumber"])


async def test_a_reload_that_cannot_listen_leaves_all_as_it_was(
    reloading: Reloading, upstream: Upstream, complaints: Complaints
) -> None:
    running = reloading.running
    assert await reloading.to({})
    before = ports(running)
    with ClosedPort() as new:
        free = new.port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not await reloading.to({"port": free}, {"port": port})
        assert ports(running) == before
        assert refuses(free)
        await served(await client_of(running, 1), upstream)
        words = f"[[listen]] number 2: cannot listen on 127.0.0.1:{port}: "
        assert any(line.startswith(words) for line in complaints.heard)
    complaints.heard.clear()


async def test_a_certificate_that_breaks_names_its_listener(
    reloading: Reloading,
    upstream: Upstream,
    tmp_path: Path,
    complaints: Complaints,
) -> None:
    """Where it breaks between the check and the reload."""
    running, authority = reloading.running, Authority(tmp_path)
    reloading.tables = listen(authority.server)
    config = reloading.read()
    (authority.folder / "cert.pem").write_text("nothing")
    reloading.reloader.read = lambda: config
    assert not await reloading.reloader.reload()
    assert any(
        line.startswith("[[listen]] number 1, tls_certificate: ")
        for line in complaints.heard
    )
    complaints.heard.clear()
    await served(await client_of(running, 0), upstream)
