"""Several workers in one process: each knows of the others by their Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.config.load import load
from proxy.config.model import Config
from proxy.exchange.client_counts import SharedRows
from proxy.kept.shared_store import SharedStore
from proxy.server.server import Server
from proxy.timeline import Clock, Timeline, monotonic
from proxy.transport.client_connection import ClientConnection
from tests.support.nodes import MakeStore, kill_node
from tests.support.raw import turns
from tests.support.running import RunningProxy, Table, document, tick_only_when_told

SECRET = b"of all workers"


class Siblings:
    """The workers, by their number; each has a port of its own, too."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        count: int,
        clock: Clock,
        make_store: MakeStore | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.make_store = make_store
        self.killed: list[SharedStore] = []
        self.paths = tuple(str(folder / f"{number}.sock") for number in range(count))
        self.rows = SharedRows(count)
        self.running: list[RunningProxy] = []
        self.doors: list[asyncio.AbstractServer] = []

    def __getitem__(self, number: int) -> RunningProxy:
        return self.running[number]

    def __len__(self) -> int:
        return len(self.paths)

    async def start(self, number: int) -> RunningProxy:
        """Start a worker."""

        def ended(timeline: Timeline) -> None:
            running.exchanges.put_nowait(timeline)

        server = Server(
            self.config,
            observers=[ended],
            clock=self.clock,
            number=number,
            siblings=self.paths[:number] + self.paths[number + 1 :],
            secret=SECRET,
            rows=self.rows,
            shared=None if self.make_store is None else self.make_store(),
        )
        tick_only_when_told(server)
        running = RunningProxy(server)
        await server.start()
        loop, path = asyncio.get_running_loop(), self.paths[number]
        door = await loop.create_unix_server(server.peer_door.accept, path)
        self.doors.append(door)
        return running

    async def start_all(self) -> None:
        """Start all of them."""
        for number in range(len(self.paths)):
            self.running.append(await self.start(number))

    async def kill(self, number: int) -> None:
        """End a worker as if its process had died: no end of a response is sent."""
        self.doors[number].close()
        with contextlib.suppress(FileNotFoundError):  # some loops remove it
            os.unlink(self.paths[number])
        server = self.running[number].server
        server.listeners.public.close()
        store = server.kept.shared
        if store is not None:
            kill_node(server)
            self.killed.append(store)
        for client in (*server.clients, *server.peer_door.clients):
            if isinstance(client, ClientConnection):
                client.exchange = None
            client.transport.abort()
        server.others.close()
        for exchange in tuple(server.exchanges):
            if store is not None:
                exchange.abort_source()
        await turns(3)

    async def replace(self, number: int) -> RunningProxy:
        """Start one in the place of one that was killed."""
        self.running.append(self.running[number])
        self.running[number] = await self.start(number)
        return self.running[number]

    async def stop(self) -> None:
        """Stop all of them."""
        for each in self.doors:
            each.close()
        for running in self.running:
            await running.stop()
        for store in self.killed:
            await store.close()
        await turns(3)


@asynccontextmanager
async def siblings(
    folder: Path,
    routes: Mapping[str, Table],
    tables: Mapping[str, Table] | None = None,
    *,
    count: int = 2,
    clock: Clock = monotonic,
    make_store: MakeStore | None = None,
) -> AsyncIterator[Siblings]:
    """So many workers, that are stopped in any case."""
    path = folder / "config.toml"
    path.write_text(document(routes, tables or {}), encoding="utf-8")
    config = load(path, {}, {"server.port": 0})
    made = Siblings(config, folder, count, clock, make_store)
    try:
        await made.start_all()
        yield made
    finally:
        await made.stop()
