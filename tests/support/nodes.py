"""Several proxies of one process that share a store, as if each had a machine."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.config.load import load
from proxy.config.model import Config
from proxy.exchange.followed_stream import FollowedStream
from proxy.kept.shared_store import SharedStore
from proxy.server.server import Server
from proxy.timeline import Clock, Timeline, monotonic
from proxy.transport.client_connection import ClientConnection
from tests.support.raw import turns
from tests.support.running import RunningProxy, Table, document, tick_only_when_told
from tests.support.shared_memory import MemoryNode

MakeStore = Callable[[], SharedStore]


class Nodes:
    """The proxies, by their number."""

    def __init__(self, config: Config, make: MakeStore, clock: Clock) -> None:
        self.config = config
        self.make = make
        self.clock = clock
        self.running: list[RunningProxy] = []
        self.dead: set[int] = set()
        self.killed: list[SharedStore] = []

    def __getitem__(self, number: int) -> RunningProxy:
        return self.running[number]

    def __len__(self) -> int:
        return len(self.running)

    async def start(self) -> RunningProxy:
        """Start one more."""

        def ended(timeline: Timeline) -> None:
            running.exchanges.put_nowait(timeline)

        server = Server(
            self.config, observers=[ended], clock=self.clock, shared=self.make()
        )
        tick_only_when_told(server)
        running = RunningProxy(server)
        self.running.append(running)
        await server.start()
        return running

    def store(self, number: int) -> SharedStore:
        """The store as a node has it."""
        store = self.running[number].server.kept.shared
        assert store is not None
        return store

    async def kill(self, number: int) -> None:
        """End one as if its process had died: no end of a response is sent."""
        server = self.running[number].server
        self.dead.add(number)
        store = server.kept.shared
        if store is not None and not isinstance(store, MemoryNode):
            self.killed.append(store)
        kill_node(server)
        abort_all(server)
        # What asyncio has accepted and not begun would be left open for ever.
        await server.listeners.public.pause()
        server.listeners.public.close()
        for _ in range(5):  # some may have been accepted already
            abort_all(server)
            await turns(1)

    def pause(self, number: int) -> None:
        """Have one say nothing to the store: it seems to be dead."""
        store = self.store(number)
        if isinstance(store, MemoryNode):
            store.hub.pause(store)
        else:
            from tests.support.redis_nodes import kill_store

            kill_store(store)

    async def go_on(self, number: int) -> None:
        """It was only away for a while."""
        store = self.store(number)
        if isinstance(store, MemoryNode):
            store.hub.go_on(store)
        else:
            from tests.support.redis_nodes import go_on

            await go_on(store)

    async def stop(self) -> None:
        """Stop all of them."""
        for running in self.running:
            await running.stop()
        for store in self.killed:
            await store.close()
        await turns(3)


def kill_node(server: Server) -> None:
    """Have what a process keeps die with it: the store hears nothing of it."""
    store = server.kept.shared
    if isinstance(store, MemoryNode):
        store.hub.kill(store)
    elif store is not None:
        from tests.support.redis_nodes import kill_store

        kill_store(store)
    server.kept.shared = None  # nothing is said to the store any more
    server.kept.closing = True  # and no upstream is asked again
    for stream in server.kept.all_streams():
        stream.replication.stored = None
        if isinstance(stream, FollowedStream):
            stream.source.following = None
        stream.end_upstream("the process died")


def abort_all(server: Server) -> None:
    """Close its connections, at once and without a word."""
    for client in tuple(server.clients):
        if isinstance(client, ClientConnection):
            client.exchange = None
        client.transport.abort()
    for exchange in tuple(server.exchanges):
        exchange.abort_source()


@asynccontextmanager
async def nodes(
    folder: Path,
    routes: Mapping[str, Table],
    make: MakeStore,
    tables: Mapping[str, Table] | None = None,
    *,
    count: int = 2,
    clock: Clock = monotonic,
) -> AsyncIterator[Nodes]:
    """So many proxies, that are stopped in any case."""
    path = folder / "nodes.toml"
    path.write_text(document(routes, tables or {}), encoding="utf-8")
    made = Nodes(load(path, {}, {"server.port": 0}), make, clock)
    try:
        for _ in range(count):
            await made.start()
        yield made
    finally:
        with contextlib.suppress(FileNotFoundError):
            await made.stop()
