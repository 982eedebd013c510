"""A process behind a real load balancer ends: nobody loses a request.

In lock-step with HAProxy: the drain begins when it says that it has noticed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import ManualClock, StartProxy
from tests.support.ports import free_port
from tests.support.process import GUARD, ending
from tests.support.raw import Peer, Upstream, became, connect, turns
from tests.support.running import RunningProxy

pytestmark = [
    pytest.mark.any_loop,
    pytest.mark.skipif(
        shutil.which("haproxy") is None, reason="HAProxy is not installed"
    ),
]

CLIENTS = 8
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONFIG = """\
defaults
  mode {mode}
  retries 0
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout check 60s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  option httpchk GET /_unbuffered/ready
  server one 127.0.0.1:{one} check inter 100ms fall 1
  server two 127.0.0.1:{two} check inter 100ms fall 1
"""


class Balancer:
    """HAProxy, and what it says."""

    def __init__(self, port: int, process: asyncio.subprocess.Process) -> None:
        self.port = port
        self.process = process

    async def listens(self) -> None:
        """Wait until it does."""
        async with asyncio.timeout(GUARD):
            while True:
                try:
                    (await connect(self.port)).close()
                    return
                except ConnectionRefusedError:
                    await turns(1)

    async def says(self, words: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(GUARD):
            while line := await self.process.stderr.readline():
                if words in line.decode():
                    return
        raise AssertionError(f"it ended without {words!r}")


@asynccontextmanager
async def balancer(
    folder: Path, mode: str, one: RunningProxy, two: RunningProxy
) -> AsyncIterator[Balancer]:
    port = free_port()
    path = folder / "haproxy.cfg"
    text = CONFIG.format(mode=mode, port=port, one=one.port, two=two.port)
    path.write_text(text, "utf-8")
    process = await asyncio.create_subprocess_exec(
        *("haproxy", "-db", "-f", str(path)), stderr=asyncio.subprocess.PIPE
    )
    async with ending(process):
        made = Balancer(port, process)
        await made.listens()
        yield made
        process.terminate()


class Client:
    """Asks on one connection as long as that is kept, then on the next one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        self.stopping = False

    async def run(self) -> None:
        peer: Peer | None = None
        while not self.stopping:
            peer = peer or await connect(self.port)
            await peer.send(POST)
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await peer.read(2) == b"ok"
            self.answers += 1
            if b"\r\nconnection: close\r\n" in head.lower():
                peer.close()
                peer = None
        if peer is not None:
            peer.close()


async def answer_all(upstream: Upstream) -> None:
    """Have every connection of the upstream answered, one request after the other."""

    async def serve(peer: Peer) -> None:
        try:
            while True:
                await peer.reader.readuntil(b"hi")
                await peer.send(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            peer.close()

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(serve(await upstream.connection(60)))


async def each_answered(clients: list[Client], count: int) -> None:
    """Wait until each client has so many more answers."""
    wanted = [client.answers + count for client in clients]
    await became(
        lambda: all(
            client.answers >= least
            for client, least in zip(clients, wanted, strict=True)
        )
    )


@pytest.mark.parametrize("mode", ["http", "tcp"])
async def test_who_uses_its_connection_all_the_time_loses_no_request(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    tmp_path: Path,
    mode: str,
) -> None:
    """A balancer of connections moves nobody: the responses of the second half do."""
    routes = {"/": {"target": upstream.url}}
    one, two = [await proxy(routes, clock=clock) for _ in range(2)]
    async with balancer(tmp_path, mode, one, two) as haproxy:
        answering = asyncio.ensure_future(answer_all(upstream))
        clients = [Client(haproxy.port) for _ in range(CLIENTS)]
        running = [asyncio.ensure_future(client.run()) for client in clients]
        await each_answered(clients, 5)
        assert one.server.clients
        assert two.server.clients
        one.server.announce(10)
        await haproxy.says("Server back/one is DOWN")
        await each_answered(clients, 5)
        clock.advance(5)
        one.tick()
        await each_answered(clients, 5)
        assert await one.server.stop(10) == 0
        await each_answered(clients, 5)
        for client in clients:
            client.stopping = True
        await asyncio.gather(*running)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
