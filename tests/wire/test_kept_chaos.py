"""Chaos, counted: clients lose their connections at any byte, and come back.

By a seed, which is printed, so that what failed once can be run again: each client gets
each event once, in order, byte for byte, and learns how the stream has ended; it gets
nothing of others; and nothing is left of it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import ssl
import sys
from collections import Counter
from pathlib import Path

import pytest
import trustme

from proxy.exchange.keep_timer import KeepTimer
from proxy.exchange.kept_stream import KeptStream
from tests.conftest import Complaints, ManualClock
from tests.support.kept_chaos import (
    KINDS,
    WAYS,
    Visitor,
    origin_of,
)
from tests.support.raw import became
from tests.support.running import RunningProxy
from tests.support.siblings import siblings
from tests.support.thorough import thorough

pytestmark = pytest.mark.any_loop

# `make chaos` tries 10,000; in a run of all tests as many would take ten minutes.
STREAMS = int(os.environ.get("UNBUFFERED_CHAOS", 2_000 if thorough() else 300))
MOST_CUTS = 20 if thorough() else 8
AT_ONCE = 50
BATCH = 250 if thorough() else 25  # behind each of them all is let go of
MOST_GROWTH = 16 * 1024 * 1024  # bytes, behind the first of them
GUARD = 1800.0 if thorough() else 60.0  # seconds, for all of it
ANSWERS = {
    "key": "body:id",
    "path": "/answer/{key}/stream",
    "stop": "/answer/{key}/stop",
    "bind": ["Authorization"],
    "ids": True,
}


def routes(url: str) -> dict[str, dict[str, object]]:
    """One for each kind of stream."""
    table = {f"/{kind}": {"target": url, "resume": True} for kind in KINDS}
    return {**table, "/answer": {"target": url, "resume": ANSWERS}}


def certificate(folder: Path) -> tuple[dict[str, object], ssl.SSLContext]:
    """The keys of [server], and what its clients trust."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "own.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    path = str(folder / "own.pem")
    return {"tls_certificate": path, "tls_key": path}, context


def batched(visitors: list[Visitor], size: int) -> list[list[Visitor]]:
    """So many at a time."""
    return [visitors[at : at + size] for at in range(0, len(visitors), size)]


async def all_visits(visitors: list[Visitor], seed: int) -> Counter[str]:
    """Each to its end, some at a time: how many ended in which way."""
    waiting, ends = iter(visitors), Counter[str]()

    async def one_after_the_other() -> None:
        for each in waiting:
            try:
                ends[f"{each.script.kind}: {await each.visit()}"] += 1
            except Exception as error:
                error.add_note(f"seed {seed}, stream {each.number}")
                raise

    async with asyncio.timeout(GUARD), asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())
    return ends


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
async def test_each_client_gets_each_event_once_and_learns_how_it_ended(
    tmp_path: Path,
    complaints: Complaints,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
    *,
    with_tls: bool,
    workers: int,
) -> None:
    seed = random.SystemRandom().randrange(2**32) if thorough() else 20261129
    server, context = certificate(tmp_path) if with_tls else ({}, None)
    server["max_connections"] = 0
    tables = {"server": server}
    async with (
        origin_of(seed) as (origin, url),
        siblings(tmp_path, routes(url), tables, count=workers, clock=clock) as running,
    ):
        for each in running.running:
            each.server.observers = ()  # accounts would be kept
        ports = [each.port for each in running.running]
        visitors = [
            Visitor(origin, number, ports, context, MOST_CUTS)
            for number in range(STREAMS // 4)
        ]
        ends, resident = Counter[str](), []
        for some in batched(visitors, BATCH):
            ends += await all_visits(some, seed)
            for each in running.running:
                await nothing_left(each, clock)
            resident.append(resident_bytes())
        more = resident[-1] - resident[0]
        ways = sum((each.ways for each in visitors), Counter[str]())
        if thorough():
            with capsys.disabled():
                sys.stdout.write(f"\n{ends}\n{ways}\n{more} bytes more\n")
        assert ends.total() == len(visitors)
        assert {each.partition(": ")[2] for each in ends} == {"complete", "broken off"}
        assert set(ways) == WAYS
        assert more < MOST_GROWTH


async def nothing_left(running: RunningProxy, clock: ManualClock) -> None:
    """Behind keep_seconds, all is as it was before."""
    server = running.server
    await became(lambda: not server.clients and server.under_way == 0)
    for _ in range(2):  # its end, and that of what was kept of it
        clock.advance(61)
        running.tick()
    await became(lambda: all(each.open == 0 for each in server.compiled.upstreams))
    assert server.kept.store.used == 0
    assert not server.kept.streams
    assert not server.kept.named
    assert not [each for each in server.ticker.waiting if isinstance(each, KeepTimer)]
    gc.collect()  # asyncio's own exceptions hold frames that hold what they were for
    held = [each for each in gc.get_objects() if isinstance(each, KeptStream)]
    assert not [each for each in held if each.kept is server.kept]


def resident_bytes() -> int:
    """Of this process, in which all of it runs."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
