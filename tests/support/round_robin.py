"""A balancer of connections: in turn to each process that says that it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import cast

PROBE_SECONDS = 0.05
PROBE = b"GET /_unbuffered/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HOST = "127.0.0.1"


class Replica:
    """A process behind it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sides: set[Side] = set()  # connections to it
        self.connecting = 0
        self.is_ready = asyncio.Event()
        self.is_gone = asyncio.Event()  # it was ready, and is not any more

    async def probe(self) -> bool:
        """Does it say that it is ready?"""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except ConnectionError:
            return False
        try:
            writer.write(PROBE)
            return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        except ConnectionError:
            return False
        finally:
            writer.close()

    async def watch(self) -> None:
        """Ask it until it is not ready any more."""
        while not await self.probe():  # noqa: ASYNC110 - it is asked, as by HAProxy
            await asyncio.sleep(PROBE_SECONDS)
        self.is_ready.set()
        while await self.probe():  # noqa: ASYNC110 - the same
            await asyncio.sleep(PROBE_SECONDS)
        self.is_ready.clear()
        self.is_gone.set()

    async def has(self, least: int, most: int = sys.maxsize) -> None:
        """Wait until it has so many connections."""
        while not least <= len(self.sides) <= most:  # noqa: ASYNC110 - of either end
            await asyncio.sleep(PROBE_SECONDS)

    async def has_accepted_all(self) -> None:
        """Wait until it has all connections that were meant for it.

        They stand in a queue: who is answered on one has accepted those before it.
        """
        assert self.is_gone.is_set()
        while self.connecting:  # noqa: ASYNC110 - a turn or two
            await asyncio.sleep(PROBE_SECONDS)
        assert not await self.probe()


class Side(asyncio.Protocol):
    """One of the two connections of a client: what comes here goes out there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.waiting = b""
        self.replica: Replica | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self.waiting += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.replica is not None:
            self.replica.sides.discard(self)
        other = None if self.other is None else self.other.transport
        if other is not None:
            if error is None:
                other.close()  # behind what was written
            else:
                other.abort()


class ClientSide(Side):
    """The one with the client."""

    def __init__(self, balancer: RoundRobin) -> None:
        super().__init__()
        self.balancer = balancer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = asyncio.ensure_future(self.balancer.join(self))
        self.balancer.tasks.add(task)
        task.add_done_callback(self.balancer.tasks.discard)


class RoundRobin:
    """The balancer."""

    def __init__(self) -> None:
        self.replicas: list[Replica] = []
        self.turn = 0
        self.port = 0
        self.refused = 0  # connections that no process was ready for
        self.tasks: set[asyncio.Future[None]] = set()

    async def add(self, port: int) -> Replica:
        """One more process; it is asked until it is ready."""
        replica = Replica(port)
        task = asyncio.ensure_future(replica.watch())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        await replica.is_ready.wait()
        self.replicas.append(replica)
        return replica

    async def join(self, client: ClientSide) -> None:
        """Have what a client sends go to the process whose turn it is."""
        loop = asyncio.get_running_loop()
        for _ in range(len(self.replicas)):
            self.turn += 1
            replica = self.replicas[self.turn % len(self.replicas)]
            if not replica.is_ready.is_set():
                continue
            replica.connecting += 1
            try:
                _, side = await loop.create_connection(Side, HOST, replica.port)
            except ConnectionError:
                continue  # the next one
            finally:
                replica.connecting -= 1
            self.connect(client, side, replica)
            return
        self.refused += 1
        if client.transport is not None:
            client.transport.abort()

    def connect(self, client: Side, server: Side, replica: Replica) -> None:
        """Both connections are there."""
        server.replica = replica
        replica.sides.add(server)
        client.other, server.other = server, client
        assert client.transport is not None
        assert server.transport is not None
        if client.waiting:
            server.transport.write(client.waiting)
            client.waiting = b""
        if client.transport.is_closing():
            server.transport.close()


@contextlib.asynccontextmanager
async def round_robin() -> AsyncIterator[RoundRobin]:
    """A balancer for the time of a test."""
    balancer = RoundRobin()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: ClientSide(balancer), HOST, 0, backlog=4096
    )
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()
        for task in tuple(balancer.tasks):
            task.cancel()
        await asyncio.gather(*balancer.tasks, return_exceptions=True)
        for replica in balancer.replicas:
            for side in tuple(replica.sides):
                assert side.transport is not None
                side.transport.abort()
