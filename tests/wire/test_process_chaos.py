"""Chaos with two processes and a Redis, counted: one is killed, the Redis restarted.

All streams are kept from before the death until behind the restart, which loses what
was in the Redis. Each client gets each event once, in order, byte for byte, at
whichever process it comes back, or learns that its stream has ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.kept_chaos import Origin, origin_of
from tests.support.process import Process, said_by, serve
from tests.support.redis_server import RedisServer, needs_redis, redis_server
from tests.support.store_chaos import SLOW, Chaos, Fate, memory_for, routes

# What is tested has an event loop of its own in each process.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
    pytest.mark.skipif(
        "UNBUFFERED_CHAOS" not in os.environ,
        reason="limits of processes are in real time: `make chaos`, on an idle machine",
    ),
    *needs_redis,
]

# `make chaos` tries 10,000, and needs `ulimit -n 20000`.
STREAMS = int(os.environ.get("UNBUFFERED_CHAOS", "200"))
AT_ONCE = 200 if STREAMS > 1000 else 50
GUARD = 3600.0  # seconds, for all of it


@asynccontextmanager
async def pair_of(
    folder: Path, url: str, store: RedisServer
) -> AsyncIterator[list[Process]]:
    """Two processes that share a store; the one that lives ends as it should."""
    path = folder / "config.toml"
    Process(path, None).write(  # type: ignore[arg-type]  # to write it by
        routes(url),
        {"store": {"url": store.url, "max_bytes": memory_for(STREAMS)}},
        max_connections=0,
        drain_seconds=0.5,
    )
    pair: list[Process] = []
    said: list[asyncio.Task[str]] = []
    try:
        for _ in range(2):
            pair.append(await serve(path))
            said.append(asyncio.ensure_future(said_by(pair[-1])))
        yield pair
        pair[1].process.send_signal(signal.SIGTERM)
        assert await pair[1].ended() == 0, await said[1]
    finally:
        for each in pair:
            if each.process.returncode is None:
                each.process.kill()
            await each.ended()
        await asyncio.gather(*said)


async def chaos_of(origin: Origin, pair: list[Process], store: RedisServer) -> Chaos:
    """Let all of it happen."""
    fate = Fate([each.port for each in pair], real_time=True)
    chaos = Chaos(origin, fate, STREAMS, AT_ONCE)

    async def die() -> None:
        pair[0].process.kill()
        await pair[0].ended()

    async def restart() -> None:
        await asyncio.to_thread(store.kill)
        await asyncio.to_thread(store.start)

    await chaos.live(die, restart)
    return chaos


async def test_each_client_gets_each_event_once_or_learns_that_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    began = time.monotonic()
    with redis_server() as store:
        async with (
            asyncio.timeout(GUARD),
            origin_of(seed) as (origin, url),
            pair_of(tmp_path, url, store) as pair,
        ):
            chaos = await chaos_of(origin, pair, store)
    with capsys.disabled():
        seconds = time.monotonic() - began
        sys.stdout.write(f"\n{seconds:.0f} s, {chaos.told()}\n")
    assert chaos.ends.total() == STREAMS
    assert chaos.ended_as("complete") > STREAMS // 2
    assert chaos.ended_as(SLOW) <= STREAMS // 100, "the machine is too slow for it"
