"""Processes that share a store are replaced under load: no client loses an event.

Each is a process of its own behind a balancer of connections, ended by SIGTERM as by
Kubernetes or systemd. Everything is counted: each event of each stream comes exactly
once and in order, no answer breaks off, and no client is sent away with an error.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.process import Process, said_by, serve
from tests.support.redis_server import needs_redis, redis_server
from tests.support.rolling import (
    ANSWER,
    FAULTS,
    PLAIN,
    SOURCE,
    Load,
    PacedOrigin,
    Scale,
    paced_origin,
)
from tests.support.round_robin import Replica, RoundRobin, round_robin
from tests.support.running import Table

# What is tested has an event loop of its own in each process.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
    *needs_redis,
]

# `make rolling` tries 5,000, and needs `ulimit -n 20000`.
STREAMS = int(os.environ.get("UNBUFFERED_ROLLING", "300"))
IS_LARGE = STREAMS > 1000
# An upstream has `drain_seconds` to end: half of them until all clients are sent away,
# for streams are held until then.
SMALL = Scale(STREAMS, 100, 10, 20, 0.2, 20.0, 240.0)
LARGE = Scale(STREAMS, 900, 10, 20, 1.5, 60.0, 1200.0)
SCALE = LARGE if IS_LARGE else SMALL
PROCESSES = 3 if IS_LARGE else 2
DELAY_SECONDS = 3.0 if IS_LARGE else 900.0  # in the small one the test ends it


class Fleet:
    """The processes, each with its place behind the balancer."""

    def __init__(self, path: Path, origin: PacedOrigin, balancer: RoundRobin) -> None:
        self.path = path
        self.origin = origin
        self.balancer = balancer
        self.running: list[tuple[Process, Replica]] = []

    async def start(self) -> None:
        """Start one more, and wait until it gets connections."""
        process = await serve(self.path)
        try:
            replica = await self.balancer.add(process.port)
        except BaseException:
            process.process.kill()
            raise
        self.running.append((process, replica))

    async def replace_oldest(self) -> tuple[int, str]:
        """Start a new one, then end the oldest: its exit status, and what it said."""
        await self.start()
        process, replica = self.running.pop(0)
        self.origin.holds_ends = True
        try:
            process.process.send_signal(signal.SIGTERM)
            await replica.is_gone.wait()
            if not IS_LARGE:  # the delay need not pass: the balancer has noticed
                await replica.has_accepted_all()
                process.process.send_signal(signal.SIGINT)
            await replica.has(0, 0)  # all clients are elsewhere
            self.origin.let_end()
        except BaseException:
            process.process.kill()
            raise
        status = await process.ended()
        return status, await said_by(process)


@asynccontextmanager
async def fleet_of(
    folder: Path, origin: PacedOrigin, store: str, balancer: RoundRobin
) -> AsyncIterator[Fleet]:
    """Processes that serve one upstream and share a store."""
    path = folder / "config.toml"
    kept: Table = {"target": origin.url, "resume": True}
    routes: dict[str, Table] = {
        f"/{SOURCE}": kept,
        f"/{ANSWER}": kept,
        f"/{PLAIN}": {"target": origin.url},
    }
    Process(path, None).write(  # type: ignore[arg-type]  # to write it by
        routes,
        {"store": {"url": store}},
        max_connections=0,
        drain_delay_seconds=DELAY_SECONDS,
        drain_seconds=SCALE.drain_seconds,
    )
    fleet = Fleet(path, origin, balancer)
    try:
        yield fleet
    finally:
        for process, _ in fleet.running:
            if process.process.returncode is None:
                process.process.kill()
            await process.ended()
            await said_by(process)


async def test_no_stream_loses_an_event_while_all_processes_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(2**32) if IS_LARGE else 20261129
    figures: Counter[str] = Counter()
    ends: list[int] = []
    began = time.monotonic()
    with redis_server() as store:
        async with (
            asyncio.timeout(SCALE.guard_seconds),
            paced_origin(SCALE, figures, seed) as origin,
            round_robin() as balancer,
            fleet_of(tmp_path, origin, store.url, balancer) as fleet,
        ):
            for _ in range(PROCESSES):
                await fleet.start()
            load = Load(origin, balancer.port)
            running = asyncio.ensure_future(load.run())
            try:
                for _ in range(PROCESSES):
                    _, replica = fleet.running[0]
                    share = SCALE.at_once // PROCESSES // 2
                    await replica.has(share)
                    moved = figures["moved"]
                    status, told = await fleet.replace_oldest()
                    assert status == 0, told
                    ends.append(status)
                    assert figures["moved"] > moved
                load.is_over = True
                await running
            finally:
                running.cancel()
            figures["refused"] += balancer.refused
    if IS_LARGE:
        seconds = time.monotonic() - began
        with capsys.disabled():
            sys.stdout.write(
                f"\nseed {seed}, {seconds:.0f} s, exit {ends}\n{figures}\n"
            )
    assert figures[f"{SOURCE}s"] >= STREAMS
    assert {fault: figures[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
