"""Two machines for real: one is unplugged, and its clients come back to the other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest

from proxy.transport.fd_limit import raise_limit
from tests.deploy.machines import (
    EVENT_BYTES,
    GUARD,
    REDIS_PORT,
    Answer,
    Client,
    Events,
    Program,
    balancer,
    haproxy,
    redis,
    unbuffered,
)
from tests.deploy.machines import metric as metric_of
from tests.support import netns
from tests.support.netns import Machine, network
from tests.support.redis_server import PROGRAMS

CLIENTS = 20
STREAMS = 500
WRITTEN = "unbuffered_store_written_bytes_total"
ANSWERS = 4
DRAIN = {"drain_delay_seconds": 1, "drain_seconds": 20}
Some = TypeVar("Some", bound=Client)


class Site:
    """Two Unbuffereds behind a balancer, an upstream, and the clients' machine."""

    def __init__(
        self,
        machines: dict[str, Machine],
        events: Events,
        balancer: Program,
        programs: dict[str, Program],
    ) -> None:
        self.machines = machines
        self.events = events
        self.balancer = balancer
        self.programs = programs
        self.clients: list[Client] = []

    def client(self, who: int = 0) -> Client:
        machines = self.machines
        return self.add(Client(machines["client"], machines["balancer"], who))

    def answer(self) -> Answer:
        return self.add(Answer(self.machines["client"], self.machines["balancer"]))

    def add(self, client: Some) -> Some:
        self.clients.append(client)
        return client

    async def all_read(self, last: int) -> None:
        await asyncio.gather(*(client.read(last) for client in self.clients))

    async def metric(self, name: str, metric: str) -> float:
        return await metric_of(self.machines["client"], self.machines[name], metric)

    async def written(self, name: str, count: int) -> None:
        """Wait until a machine has written so many bytes to the store."""
        async with asyncio.timeout(GUARD):
            while await self.metric(name, WRITTEN) < count:
                pass

    def shares(self, count: int) -> Counter[str]:
        """How many of all requests came from which machine; about the half each."""
        found = self.asked_from()
        assert found.total() == count
        assert min(found["one"], found["two"]) >= count // 4, found
        return found

    def asked_from(self) -> Counter[str]:
        """How many requests the upstream got from which machine."""
        names = {machine.address: name for name, machine in self.machines.items()}
        return Counter(names[source] for source in self.events.sources)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with built(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def built(folder: Path, *, store: bool = False) -> AsyncIterator[Site]:
    """All of it, with a store if there is to be one."""
    reason = netns.missing() or (None if haproxy() else "haproxy is not installed")
    if reason:
        pytest.skip(reason)
    names = ("one", "two", "balancer", "upstream", "client", "store")
    async with contextlib.AsyncExitStack() as stack:
        made = stack.enter_context(network(*names))
        machines = dict(zip(names, made, strict=True))
        events = Events()
        url = await stack.enter_async_context(events.serve(machines["upstream"]))
        shared = ""
        if store:
            await stack.enter_async_context(redis(machines["store"]))
            shared = f"redis://{machines['store'].address}:{REDIS_PORT}"
        proxies = {name: machines[name] for name in ("one", "two")}
        programs = {
            name: await stack.enter_async_context(
                unbuffered(machine, folder, url, DRAIN, shared)
            )
            for name, machine in proxies.items()
        }
        front = await stack.enter_async_context(
            balancer(machines["balancer"], folder, proxies)
        )
        found = Site(machines, events, front, programs)
        yield found
        for client in found.clients:
            client.close()


async def test_a_machine_is_unplugged_and_its_clients_come_back_to_the_other(
    site: Site,
) -> None:
    clients = [site.client() for _ in range(CLIENTS)]
    await site.events.publish(5)
    await site.all_read(5)
    share = site.shares(CLIENTS)
    site.machines["one"].unplug()
    await site.balancer.line("Server unbuffered/one is DOWN")
    await site.events.publish(5)
    await site.all_read(10)
    for client in clients:
        assert client.seen == list(range(1, 11))
    # Those of the other machine have not noticed.
    assert Counter(client.visits for client in clients)[1] == share["two"]
    assert site.asked_from() == {"one": share["one"], "two": CLIENTS}
    # It is taken in again, and gets the next ones, since it has the fewest.
    site.machines["one"].plug()
    await site.balancer.line("Server unbuffered/one is UP")
    await site.client().read(10)
    assert site.asked_from()["one"] == share["one"] + 1


async def test_a_machine_that_drains_loses_nothing(site: Site) -> None:
    """As a deploy does it. EventSources go to the other machine, answers end here."""
    answers = [site.answer() for _ in range(ANSWERS)]
    await site.events.publish(1)
    await site.all_read(1)
    staying = site.shares(ANSWERS)["one"]
    clients = [site.client() for _ in range(CLIENTS)]
    await site.all_read(1)
    share = site.shares(ANSWERS + CLIENTS)
    moving = share["one"] - staying
    site.programs["one"].process.send_signal(signal.SIGTERM)
    while sum(client.visits for client in clients) < CLIENTS + moving:
        # In lock-step: an EventSource is sent away between two events.
        await site.events.publish(1)
        await site.all_read(site.events.published)
    assert site.asked_from() == {"one": share["one"], "two": share["two"] + moving}
    for client in site.clients:
        assert client.seen == list(range(1, site.events.published + 1))
    await site.events.end()
    await asyncio.gather(*(answer.complete() for answer in answers))
    assert await site.programs["one"].ended() == 0


@pytest.mark.redis
@pytest.mark.skipif(not PROGRAMS, reason="no redis-server or valkey-server")
async def test_a_machine_is_unplugged_and_500_kept_streams_go_on_at_the_other(
    tmp_path: Path,
) -> None:
    """Nobody else has what its clients missed: not the upstream, not the machine."""
    raise_limit()
    async with built(tmp_path, store=True) as site:
        for number in range(STREAMS):
            site.client(number)
        await site.events.publish(3)
        await site.all_read(3)
        share = site.shares(STREAMS)
        for client in site.clients:
            client.close()
        await site.events.publish(2)
        for name, count in share.items():
            await site.written(name, count * EVENT_BYTES * 5)
        site.events.forgotten = 5
        site.machines["one"].unplug()
        await site.balancer.line("Server unbuffered/one is DOWN")
        await site.events.publish(5)
        await site.all_read(10)
        for client in site.clients:
            assert client.seen == list(range(1, 11))
        assert await site.metric("two", "unbuffered_store_taken_total") == share["one"]
        assert site.asked_from() == {"one": share["one"], "two": STREAMS}
