"""A reload changes each key of a route's faults, with workers and without."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.config.fault_options import FIELDS
from tests.support.process import GUARD, Process, serve
from tests.support.raw import Upstream, chunk
from tests.support.running import Table

COMMAND = pytest.mark.asyncio(loop_factories=["asyncio"])
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="several workers")

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
GET = b"GET /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
ONE, TWO, THREE = (b"data: %d\n\n" % number for number in (1, 2, 3))
ALL = ONE + TWO + THREE
LONG = 86_400  # seconds: nobody waits for its end
ALLOWED = {"server": {"allow_faults": True}}


class Seen(NamedTuple):
    """What a client has of a response."""

    status: int
    length: int | None  # as the head says
    content: bytes
    whole: bool


WHOLE = Seen(200, None, ALL, True)
FAILED = 500


class Case(NamedTuple):
    """A key; a fault with two of its values; what is seen with each of them.

    `before` is None where that would be to wait; of a number only the status counts.
    """

    key: str
    fault: Table
    values: tuple[object, object]
    before: Seen | int | None
    after: Seen | int


CASES = [
    Case(
        "kind",
        {"after": 1},
        ("fin", "duplicate"),
        Seen(200, None, ONE, False),
        Seen(200, None, ONE + ALL, True),
    ),
    Case(
        "after",
        {"kind": "fin"},
        (1, 2),
        Seen(200, None, ONE, False),
        Seen(200, None, ONE + TWO, False),
    ),
    Case(
        "inside",
        {"kind": "fin", "after": 2},
        (False, True),
        Seen(200, None, ONE + TWO, False),
        Seen(200, None, ONE + b"data", False),
    ),
    Case("seconds", {"kind": "stall", "after": 1}, (LONG, 0.001), None, WHOLE),
    Case(
        "size",
        {"kind": "wrong_length"},
        (5, 9),
        Seen(200, 5, ALL[:5], True),
        Seen(200, 9, ALL[:9], True),
    ),
    Case("status", {"kind": "status"}, (503, 429), 503, 429),
    Case("probability", {"kind": "status"}, (1e-9, 1.0), WHOLE, FAILED),
    Case("times", {"kind": "status"}, (1_000_000, 1), FAILED, WHOLE),
]


def test_no_key_is_left_out() -> None:
    assert {case.key for case in CASES} == {*FIELDS}


class World:
    """A proxy, its upstream, and what its route is at the moment."""

    def __init__(self, proxy: Process, upstream: Upstream, workers: int) -> None:
        self.proxy = proxy
        self.upstream = upstream
        self.workers = workers

    async def reload(self, *faults: Table) -> None:
        """Have these faults from now on."""
        self.proxy.write(routes(self.upstream, *faults), ALLOWED | self.server)
        self.proxy.process.send_signal(signal.SIGHUP)
        line = await self.proxy.line("configuration re")
        assert "changed" in line

    @property
    def server(self) -> dict[str, Table]:
        table = {"port": 0, "workers": self.workers, **ALLOWED["server"]}
        return {"server": table}

    async def seen(self) -> Seen:
        """What a client has of the next request."""
        client = await self.proxy.client()
        await client.send(GET)
        server = await self.upstream.request()
        server.writer.write(HEAD + b"".join(map(chunk, (ONE, TWO, THREE, b""))))
        head = await client.read_head()
        rest, _ = await client.read_to_close()
        client.close()
        server.close()
        return read(head, rest)


def read(head: bytes, rest: bytes) -> Seen:
    """A response up to the close behind it."""
    status, fields = int(head[9:12]), head.lower()
    _, named, value = fields.partition(b"content-length: ")
    if named:
        length = int(value.partition(b"\r\n")[0])
        return Seen(status, length, rest, len(rest) == length)
    content, size = b"", 1
    while size and rest:
        digits, _, rest = rest.partition(b"\r\n")
        size = int(digits, 16)
        content, rest = content + rest[:size], rest[size + 2 :]
    return Seen(status, None, content, size == 0)


def routes(upstream: Upstream, *faults: Table) -> dict[str, Table]:
    route = {"target": upstream.url, "upstream_keepalive_seconds": 0}
    return {"/f": {**route, **({"fault": list(faults)} if faults else {})}}


COUNTED = 20  # requests, of which more than one worker has some


def matches(seen: Seen, expected: Seen | int) -> bool:
    return expected in (seen, seen.status)


async def becomes(world: World, expected: Seen | int, case: Case) -> None:
    """The next request is like that; where faults are counted, one of the next is.

    Each worker counts its own, and none of them a million.
    """
    all_seen: list[Seen] = []
    for _ in range(COUNTED if case.key == "times" else 1):
        all_seen.append(await world.seen())
        if matches(all_seen[-1], expected):
            return
    raise AssertionError((case.key, all_seen))


@COMMAND
@LINUX
@pytest.mark.parametrize("workers", [1, 2])
async def test_each_key_of_a_fault_is_changed_by_a_reload(
    workers: int, upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    file = Process(path, None)  # type: ignore[arg-type]  # to write it by
    file.write(routes(upstream), workers=workers)
    proxy = await serve(path)
    world = World(proxy, upstream, workers)
    try:
        for case in CASES:
            one, other = ({**case.fault, case.key: value} for value in case.values)
            await world.reload(one)
            if case.before is not None:
                await becomes(world, case.before, case)
            await world.reload(other)
            await becomes(world, case.after, case)
        await world.reload(
            {"kind": "fin", "after": 9}, {"kind": "duplicate", "after": 2}
        )
        assert await world.seen() == Seen(200, None, ONE + TWO + TWO + THREE, True)
        await world.reload()
        assert await world.seen() == WHOLE
        proxy.write(
            routes(upstream, {"kind": "fin"}),
            {"server": {"port": 0, "workers": workers}},
        )
        proxy.process.send_signal(signal.SIGHUP)
        assert "allow_faults" in await proxy.line("ERROR")
        await proxy.line("the previous one remains active")
        assert await world.seen() == WHOLE
    finally:
        async with asyncio.timeout(GUARD):
            for _ in range(2):
                if proxy.process.returncode is None:
                    proxy.process.terminate()
            await proxy.ended()
