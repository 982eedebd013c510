"""Nothing is left of a stream, whatever happens to its processes and to their store.

By a seed, in random steps: clients come and leave, streams go on and end, processes
die, stand still and come back, the store goes, comes back, and forgets.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import ManualClock
from tests.support.kept_chaos import KINDS, Origin, origin_of
from tests.support.nodes import Nodes, nodes
from tests.support.raw import Peer, turns
from tests.support.shared_memory import Hub, MemoryNode
from tests.support.store_chaos import memory_for, nothing_left, routes
from tests.support.thorough import thorough

pytestmark = pytest.mark.any_loop

SEEDS = range(40 if thorough() else 8)
STEPS = 150
# Most of them of an upstream that numbers its events: they are taken up.
STREAMS = (0, 2, 3, 1, 5, 9, 13, 17, 21)
NODES = 3
MOST_SECONDS = 7  # of one step of the clock
WAYS = {
    "ours": ("new", "cursor", "address", "stop"),
    "theirs": ("new", "theirs", "theirs", "theirs", "address"),
    "lines": ("new", "address", "stop"),
    "answer": ("new", "cursor", "address", "key", "stop"),
}
Step = Callable[[], Awaitable[None]]


class Steps:
    """One run."""

    def __init__(
        self, seed: int, each: Nodes, hub: Hub, origin: Origin, clock: ManualClock
    ) -> None:
        self.chance = random.Random(f"steps/{seed}")
        self.each = each
        self.hub = hub
        self.origin = origin
        self.clock = clock
        self.clients: list[Peer] = []
        self.paused: set[int] = set()
        self.done: list[str] = []  # told if it fails

    @property
    def alive(self) -> list[int]:
        return [n for n in range(len(self.each)) if n not in self.each.dead]

    async def run(self) -> None:
        """So many steps."""
        steps: dict[Step, int] = {
            self.come: 14,
            self.leave: 4,
            self.send: 8,
            self.tick: 4,
            self.die: 2,
            self.pause: 3,
            self.go_on: 3,
            self.store_goes: 1,
            self.store_comes: 4,
            self.hold: 4,
            self.deafen: 1,
        }
        names = list(steps)
        for _ in range(STEPS):
            step = self.chance.choices(names, list(steps.values()))[0]
            self.done.append(step.__name__)
            await step()
            await turns(self.chance.choice((0, 2, 10, 50)))

    async def come(self) -> None:
        """A client asks for a stream: for a new one, or for one that there is."""
        number = self.chance.choice(STREAMS)
        kind = KINDS[number % len(KINDS)]
        node = self.chance.choice(self.alive)
        ids = [id for n in self.alive for id in self.each[n].server.kept.streams]
        ids += list(self.hub.records)
        path, fields, body = f"/{kind}/{number}?", "", ""
        method = "POST" if kind == "answer" else "GET"
        way = self.chance.choice(WAYS[kind])
        if method == "POST":
            body = f'{{"id": "c{number}"}}'
            fields = f"Idempotency-Key: k{number}\r\n"
        elif kind != "lines":
            fields = "Accept: text/event-stream\r\n"
        if way == "key":
            method, path, fields, body = "GET", f"/answer/c{number}/stream", "", ""
        elif way == "theirs" and kind == "theirs":
            fields += f"Last-Event-ID: {number}-0\r\n"
        elif ids and way in ("cursor", "address", "stop"):
            id = self.chance.choice(ids).decode()
            if way == "cursor" and kind != "theirs":
                fields += f"Last-Event-ID: {id}.{self.chance.randint(1, 4)}\r\n"
            elif way != "cursor":
                method = "DELETE" if way == "stop" else "GET"
                path, body = f"/_unbuffered/streams/{id}", ""
        client = await self.each[node].client()
        self.clients.append(client)
        await client.send(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {number}\r\n"
            f"{fields}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    async def leave(self) -> None:
        if self.clients:
            at = self.chance.randrange(len(self.clients))
            self.clients.pop(at).writer.transport.abort()

    async def send(self) -> None:
        """The upstream goes on with a stream."""
        self.origin.allow(self.chance.choice(STREAMS), self.chance.randint(1, 4))

    async def tick(self) -> None:
        self.clock.advance(self.chance.randint(1, MOST_SECONDS))
        for number in self.alive:
            self.each[number].tick()

    async def die(self) -> None:
        """A process dies, and another one begins."""
        if len(self.each) < 3 * NODES:
            number = self.chance.choice(self.alive)
            self.paused.discard(number)
            await self.each.kill(number)
            await self.each.start()

    async def pause(self) -> None:
        number = self.chance.choice(self.alive)
        self.paused.add(number)
        self.each.pause(number)

    async def go_on(self) -> None:
        if self.paused:
            number = self.chance.choice(sorted(self.paused))
            self.paused.discard(number)
            await self.each.go_on(number)

    async def store_goes(self) -> None:
        self.hub.go_down()

    async def store_comes(self) -> None:
        if not self.hub.up:
            self.hub.come_back(empty=self.chance.random() < 0.3)

    async def hold(self) -> None:
        """What is told and answered comes late, or goes on to come."""
        if self.hub.held:
            self.hub.release()
        else:
            self.hub.held = True

    async def deafen(self) -> None:
        """Claims are made, and not answered; or are answered again."""
        self.hub.deaf = not self.hub.deaf

    async def end(self) -> None:
        """Everything is well again, and all clients leave."""
        self.hub.deaf = False
        self.hub.release()
        if not self.hub.up:
            self.hub.come_back()
        for number in sorted(self.paused):
            await self.each.go_on(number)
        for client in self.clients:
            client.writer.transport.abort()
        for number in STREAMS:
            self.origin.allow(number, 100)
        for _ in range(20):
            await turns(20)
            await self.tick()


# What a node that has died was about to write is left to sockets that are aborted.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_left_of_a_stream(
    tmp_path: Path, clock: ManualClock, seed: int
) -> None:
    hub = Hub()
    tables = {
        "server": {"max_connections": 0},
        "store": {"max_bytes": memory_for(1000)},
    }
    async with (
        origin_of(seed) as (origin, url),
        nodes(
            tmp_path, routes(url), hub.node, tables, count=NODES, clock=clock
        ) as each,
    ):
        steps = Steps(seed, each, hub, origin, clock)
        try:
            await steps.run()
            await steps.end()
            for number in steps.alive:
                await nothing_left(each[number], clock)
                node = each.store(number)
                assert isinstance(node, MemoryNode)
                followings = [
                    one
                    for record in hub.records.values()
                    for one in record.followers
                    if one.node is node
                ]
                assert not followings
        except BaseException as error:
            error.add_note(f"seed {seed}: {' '.join(steps.done)}")
            raise
