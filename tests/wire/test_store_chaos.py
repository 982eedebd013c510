"""Chaos with two machines, counted: one of them dies, and the store is restarted.

By a seed: each client gets each event once, in order, byte for byte, at whichever node
it comes back, or learns that its stream has ended; it gets nothing of others; and
nothing is left of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.timeline import Timeline
from tests.conftest import Complaints, ManualClock
from tests.support.kept_chaos import origin_of
from tests.support.nodes import MakeStore, Nodes, nodes
from tests.support.shared_memory import Hub
from tests.support.store_chaos import (
    Chaos,
    Fate,
    memory_for,
    nothing_left,
    routes,
)
from tests.support.thorough import thorough
from tests.wire.conftest import REDIS, store_of

pytestmark = pytest.mark.any_loop

# All are in this process, with both ends of each connection: it has 20,000 descriptors.
# `make chaos` tries 10,000 with processes: see test_process_chaos.
MOST_STREAMS = 2_000
STREAMS = min(int(os.environ.get("UNBUFFERED_CHAOS", 300)), MOST_STREAMS)
IS_LARGE = STREAMS > 1000
AT_ONCE = 200 if IS_LARGE else 50
LATE_WRITE = "socket.send() raised exception."  # of a node that has died
GUARD = 1800.0 if IS_LARGE else 300.0  # seconds, for all of it
TICK_SECONDS = 0.05
STEP_SECONDS = 0.5  # of the clock of the nodes: it stands still when they do
Restart = Callable[[], Awaitable[None]]


async def ticking(both: Nodes, clock: ManualClock) -> None:
    """Have all time limits looked at, as a proxy does by itself.

    By a clock that goes on by turns of the loop: on a machine that is busy otherwise,
    no limit is over sooner.
    """
    while True:
        clock.advance(STEP_SECONDS)
        for number, running in enumerate(both.running):
            if number not in both.dead:
                running.tick()
        await asyncio.sleep(TICK_SECONDS)


@pytest.fixture(params=["memory", REDIS] if IS_LARGE else ["memory"])
def make_store(request: pytest.FixtureRequest, hub: Hub) -> MakeStore:
    """Where there is time for it, with a real server as well."""
    return store_of(request, hub)


@pytest.fixture
def restart_store(
    request: pytest.FixtureRequest, make_store: MakeStore, hub: Hub
) -> Restart:
    """End the store, and begin it again without what was in it."""

    async def restart() -> None:
        hub.go_down()
        await asyncio.sleep(0.2)
        hub.come_back(empty=True)

    async def restart_server() -> None:
        server = request.getfixturevalue("redis")
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    return restart if make_store == hub.node else restart_server


async def test_each_client_gets_each_event_once_or_learns_that_it_is_over(
    tmp_path: Path,
    complaints: Complaints,
    clock: ManualClock,
    make_store: MakeStore,
    restart_store: Restart,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seed = random.SystemRandom().randrange(2**32) if thorough() else 20261129
    errors = Counter[str]()
    tables = {
        "server": {"max_connections": 0},
        "store": {"max_bytes": memory_for(STREAMS)},
    }

    def note(timeline: Timeline) -> None:
        if timeline.error is not None:
            errors[str(timeline.error)[:60]] += 1

    async with (
        origin_of(seed) as (origin, url),
        nodes(tmp_path, routes(url), make_store, tables, clock=clock) as both,
    ):
        for each in both.running:
            each.server.observers = (note,)
        fate = Fate([each.port for each in both.running])
        chaos = Chaos(origin, fate, STREAMS, AT_ONCE)
        ticker = asyncio.ensure_future(ticking(both, clock))
        try:
            async with asyncio.timeout(GUARD):
                await chaos.live(lambda: both.kill(0), restart_store)
        finally:
            ticker.cancel()
        await nothing_left(both[1], clock)
        if IS_LARGE:
            with capsys.disabled():
                sys.stdout.write(f"\n{chaos.told()}\n{errors}\n")
        assert chaos.ends.total() == STREAMS
        assert chaos.ended_as("complete") > STREAMS // 2
        told = sum(errors[each] for each in errors if "has died" in each)
        assert told > 0
        heard = [each for each in complaints.heard if each != LATE_WRITE]
        complaints.heard[:] = heard
