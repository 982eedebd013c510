"""A reload to another host on the same port: what listens itself is not in the way."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config
from proxy.process.reload import Reloader
from tests.conftest import Complaints, StartProxy
from tests.support.messages import GET
from tests.support.raw import Peer, connect
from tests.support.running import RunningProxy, document

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as Linux shares ports")

ROUTES = {"/only": {"target": "http://127.0.0.1:1"}}
MOVES = [
    ("127.0.0.1", "0.0.0.0"),
    ("127.0.0.1", "::"),
    ("0.0.0.0", "127.0.0.1"),
    ("0.0.0.0", "::"),
    ("::", "0.0.0.0"),
    ("::", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
]
# Where another program would get a part of the connections.
JOINS = {
    "127.0.0.1": ["127.0.0.1", "0.0.0.0"],
    "localhost": ["127.0.0.1", "0.0.0.0"],
    "0.0.0.0": ["127.0.0.1", "0.0.0.0"],
    "::": ["127.0.0.1", "0.0.0.0", "::1", "::"],
}


class Mover:
    """Reloads a proxy with another host, and the port that it has."""

    def __init__(self, running: RunningProxy, path: Path) -> None:
        self.running = running
        self.path = path
        self.host = ""
        self.reloader = Reloader(running.server, self.read, lambda config: [])

    def read(self) -> Config:
        tables = {"server": {"host": self.host, "port": self.running.port}}
        text = document(ROUTES, tables)
        self.path.write_text(text, "utf-8")
        return load(self.path, {})

    async def to(self, host: str) -> bool:
        self.host = host
        return await self.reloader.reload()

    async def serves(self, sock: socket.socket | None = None) -> None:
        """A client is served, by a connection that it has already, or a new one."""
        if sock is None:
            client = await connect(self.running.port)
        else:
            sock.setblocking(False)
            client = await connect_with(sock)
        self.running.clients.append(client)
        await served(client)


async def served(client: Peer) -> None:
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    await client.read_until(b"\n}\n")


async def connect_with(sock: socket.socket) -> Peer:
    return Peer(*await asyncio.open_connection(sock=sock))


def queued(port: int) -> list[socket.socket]:
    """Connections that the kernel has made, and nobody has accepted."""
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]


def may_join(host: str, port: int) -> bool:
    """May a program of the same user listen there too, if it shares?"""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            other.bind((host, port))
            other.listen()
        except OSError:
            return False
        return True


@pytest.mark.parametrize(("before", "after"), MOVES)
async def test_it_moves_and_loses_nobody(
    proxy: StartProxy, tmp_path: Path, before: str, after: str
) -> None:
    running = await proxy(ROUTES, server={"host": before})
    mover = Mover(running, tmp_path / "config.toml")
    port = running.port
    stayed = await connect(port)
    running.clients.append(stayed)
    waiting = queued(port)
    assert await mover.to(after)
    assert running.port == port
    waiting += queued(port)
    for sock in waiting:
        await mover.serves(sock)
    await served(stayed)
    for host in JOINS[after]:
        assert not may_join(host, port)
    assert await mover.to(before)
    await mover.serves()


async def test_what_is_listened_on_no_longer_is_refused(
    proxy: StartProxy, tmp_path: Path
) -> None:
    running = await proxy(ROUTES, server={"host": "0.0.0.0"})
    mover = Mover(running, tmp_path / "config.toml")
    (await connect(running.port, "127.0.0.2")).close()
    assert await mover.to("127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        await connect(running.port, "127.0.0.2")
    assert not may_join("0.0.0.0", running.port)
    assert await mover.to("0.0.0.0")
    (await connect(running.port, "127.0.0.2")).close()
    assert not may_join("0.0.0.0", running.port)


async def test_another_program_is_another_program(
    proxy: StartProxy, tmp_path: Path, complaints: Complaints
) -> None:
    running = await proxy(ROUTES)
    mover = Mover(running, tmp_path / "config.toml")
    port = running.port
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))
        other.listen()
        assert not await mover.to("0.0.0.0")
        assert complaints.heard == [
            f"cannot listen on 0.0.0.0:{port}: another program is using this port; "
            "stop it, or choose another port with --port",
            "configuration rejected; the previous one remains active",
        ]
        complaints.heard.clear()
        await mover.serves()
        assert not may_join("127.0.0.1", port)
    assert await mover.to("0.0.0.0")
    await mover.serves()
