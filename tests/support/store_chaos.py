"""Clients of two nodes that share a store: one node dies, the store is restarted.

All streams live over both. In three rounds each client comes a few times and leaves, as
many at once as a machine can have; in the first of them the node dies, in the second
the store is restarted, and in the third each client reads its stream to the end.
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from proxy.exchange.keep_timer import KeepTimer
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.takeover import Takeover
from tests.conftest import ManualClock
from tests.support.kept_chaos import ANSWER, KINDS, THEIRS, Origin, Response, Visitor
from tests.support.raw import became
from tests.support.running import RunningProxy, Table

MOST_CUTS = 4  # in the last round
MOST_VISITS = 3  # of a client, in the first and the second round
STAY_AWAY = 0.2  # of the clients, in the second
LEAST_HEAD = 150  # bytes; a client that takes no more has no whole response
# Of one response, until its client takes it for over. Where the upstream can be asked
# for the rest: at one place.
MOST_BREAKS = 3
LATE = "404, 410 or 503 before anything had died: the store was slow"
SLOW = "lost, since the store was slow"  # and nothing had died
MESSAGE = re.compile(rb'"message": "([^"]*)"')
# Longer than a client that waits for its turn is away.
KEEP_SECONDS = 3600.0
# Of a log: its accounts, 4 KiB in advance, and what a stream of these has. Twice for
# those that begin anew.
LOG_BYTES = 2 * 16 * 1024
ANSWERS = {
    "key": "body:id",
    "path": "/answer/{key}/stream",
    "stop": "/answer/{key}/stop",
    "bind": ["Authorization"],
    "ids": True,
    "keep_seconds": KEEP_SECONDS,
}
Event = Callable[[], Awaitable[None]]


def routes(url: str) -> dict[str, Table]:
    """One for each kind of stream."""
    kept: Table = {"target": url, "resume": {"keep_seconds": KEEP_SECONDS}}
    table = {f"/{kind}": kept for kind in KINDS}
    return {**table, "/answer": {"target": url, "resume": ANSWERS}}


DEAD_SECONDS = 2.0  # after which a connection is asked for: is its node alive?


def memory_for(streams: int) -> int:
    """`[store] max_bytes` of nodes that keep so many."""
    return max(streams * LOG_BYTES, 16 * 1024 * 1024)


def said_in(body: bytes) -> str:
    """What an error says, without its numbers; "" if the client left before that."""
    found = MESSAGE.search(body)
    return "" if found is None else re.sub(r"\d+", "N", found[1].decode())


class Fate:
    """What has happened to the nodes and to their store.

    `real_time`: where the machine is slow, the store does not answer in time.
    """

    def __init__(self, ports: list[int], *, real_time: bool = False) -> None:
        self.ports = ports  # of nodes that live
        self.real_time = real_time
        self.died = False
        self.restarted = False
        self.said: Counter[str] = Counter()  # with the status of an error

    @property
    def happened(self) -> bool:
        return self.died or self.restarted


class NodeVisitor(Visitor):
    """A client that comes back to either node. It knows what may be lost, and when."""

    def __init__(self, origin: Origin, number: int, fate: Fate) -> None:
        super().__init__(origin, number, fate.ports, None, MOST_CUTS)
        self.fate = fate
        self.breaks, self.broke_at = 0, -1

    async def begin(self) -> str:
        """The first round."""
        return await self.come(self.chance.randint(1, MOST_VISITS))

    async def look_again(self) -> str:
        """The second one."""
        if self.chance.random() < STAY_AWAY:
            return ""
        return await self.come(self.chance.randint(1, MOST_VISITS))

    async def come(self, times: int) -> str:
        """Come so often, and leave before the end."""
        for _ in range(times):
            ended = await self.connect_once(self.a_part)
            if ended:
                return ended
        return ""

    def a_part(self) -> int:
        """Of the rest of the stream: no whole response."""
        rest = len(self.script.as_sent(self.id)[0]) - len(self.raw)
        return self.chance.randint(0, LEAST_HEAD + max(rest, 0))

    async def connect(self, request: bytes, allowance: int | None) -> bytes:
        answer = asyncio.ensure_future(super().connect(request, allowance))
        try:
            while not (await asyncio.wait([answer], timeout=DEAD_SECONDS))[0]:
                # A node that has died in this process may have accepted a connection
                # in that turn, which a kernel would have reset.
                if self.fate.died and self.port not in self.fate.ports:
                    answer.cancel()
                    return b""
            return answer.result()
        except OSError:  # nobody listens there any more
            assert self.fate.happened
            return b""

    async def ask_as_another(self) -> None:
        try:
            await super().ask_as_another()
        except AssertionError:
            if not self.fate.happened:  # meanwhile
                raise

    def take(self, response: Response | None, *, cut: bool) -> str:
        if self.fate.happened:
            if response is None:
                return ""
            if response.status >= 400:
                self.fate.said[f"{response.status}: {said_in(response.body)}"] += 1
            if response.status in (404, 410):
                return "lost"
            if response.status >= 500:
                return self.broken_off()
            if self.asks_to_return(response):
                return self.broken_off()
        elif response is not None and self.is_slow(response):
            return self.come_again()
        if response is not None and self.is_unkept(response):
            return self.take_unkept(response)
        return super().take(response, cut=cut)

    def is_slow(self, response: Response) -> bool:
        """Has the node not heard from the store in time?

        503, or for an EventSource an empty response: "come back".
        """
        silent = response.status in (404, 410, 503) or self.asks_to_return(response)
        return self.fate.real_time and silent

    def asks_to_return(self, response: Response) -> bool:
        """Is nothing known of its stream now?"""
        here = response.status == 200 and self.script.kind != THEIRS
        return here and bool(self.id) and not response.id and not response.body

    def come_again(self) -> str:
        """It was no fault of the stream, unless it lasts."""
        self.fate.said[LATE] += 1
        self.breaks += 1
        return "" if self.breaks <= MOST_BREAKS else SLOW

    def is_unkept(self, response: Response) -> bool:
        """Was the store down for the node when the stream began?"""
        may_be = self.fate.happened or self.fate.real_time
        here = response.status == 200 and self.script.kind != THEIRS
        return here and may_be and not response.id

    def take_unkept(self, response: Response) -> str:
        """What it got cannot be resumed, and has no ids."""
        assert self.fate.restarted or self.fate.real_time, response
        self.fate.said["200 without Stream-Id"] += 1
        assert self.script.body.startswith(response.body), response
        self.raw = self.id = b""
        return "complete" if response.whole else ""

    def nothing_left(self) -> str:
        told = super().nothing_left()
        if not told and self.fate.happened and self.script.kind != ANSWER:
            return "broken off"
        return told

    def broken_off(self) -> str:
        if not self.fate.happened:
            return super().broken_off()
        if self.script.kind == THEIRS and len(self.raw) != self.broke_at:
            self.breaks, self.broke_at = 0, len(self.raw)  # it has gone on
        self.breaks += 1
        if self.breaks <= MOST_BREAKS:
            return ""
        return "broken off"


class Chaos:
    """All of them. `at_once`: so many connections of clients at a time."""

    def __init__(self, origin: Origin, fate: Fate, streams: int, at_once: int) -> None:
        self.origin = origin
        self.fate = fate
        self.visitors = [NodeVisitor(origin, each, fate) for each in range(streams)]
        self.at_once = at_once
        self.ends: Counter[str] = Counter()
        self.ended: set[NodeVisitor] = set()
        self.alive: list[str] = []  # as it is told

    @property
    def ways(self) -> Counter[str]:
        """In which ways they came."""
        return sum((each.ways for each in self.visitors), Counter[str]())

    def ended_as(self, end: str) -> int:
        """How many ended so."""
        return sum(self.ends[f"{kind}: {end}"] for kind in KINDS)

    def told(self) -> str:
        """All that was counted."""
        parts = [f"seed {self.origin.seed}", *self.alive]
        parts += [str(each) for each in (self.ends, self.ways, self.fate.said)]
        return "\n".join(parts)

    async def live(self, die: Event, restart: Event) -> None:
        """All three rounds."""

        async def death() -> None:
            self.note("when a node dies")
            self.fate.died = True
            del self.fate.ports[0]
            await die()

        async def outage() -> None:
            self.note("when the store is restarted")
            self.fate.restarted = True
            await restart()

        await self.round(NodeVisitor.begin, death)
        await self.round(NodeVisitor.look_again, outage)
        await self.round(NodeVisitor.visit)

    def note(self, when: str) -> None:
        """How many streams are there."""
        waiting = len(self.visitors) - len(self.ended)
        running = sum(len(each) for each in self.origin.serving.values())
        self.alive.append(
            f"{when}: {waiting} streams whose clients wait for more, "
            f"{running} of which the upstream sends"
        )

    async def round(
        self,
        visit: Callable[[NodeVisitor], Awaitable[str]],
        event: Event | None = None,
    ) -> None:
        """Have each that has not ended come; something happens near the end of it."""
        left = [each for each in self.visitors if each not in self.ended]
        waiting, done, at = iter(left), 0, max(len(left) - self.at_once // 2, 1)

        async def one_after_the_other(some: Iterable[NodeVisitor]) -> None:
            nonlocal done
            for each in some:
                await self.one(each, visit)
                done += 1
                if done == at and event is not None:
                    await event()

        async with asyncio.TaskGroup() as group:
            for _ in range(self.at_once):
                group.create_task(one_after_the_other(waiting))

    async def one(
        self, visitor: NodeVisitor, visit: Callable[[NodeVisitor], Awaitable[str]]
    ) -> None:
        """One of them comes, and may have all now, or know that there is no more."""
        try:
            end = await visit(visitor)
        except Exception as error:
            place = f"seed {self.origin.seed}, stream {visitor.number}"
            error.add_note(f"{place}, {visitor.ways}")
            raise
        if end:
            self.ends[f"{visitor.script.kind}: {end}"] += 1
            self.ended.add(visitor)


async def nothing_left(running: RunningProxy, clock: ManualClock) -> None:
    """Behind keep_seconds, all is as it was before."""
    server = running.server
    await became(lambda: not server.clients and server.under_way == 0)
    for _ in range(2):  # its end, and that of what was kept of it
        clock.advance(KEEP_SECONDS + 1)
        running.tick()
    await became(lambda: all(each.open == 0 for each in server.compiled.upstreams))
    assert not server.kept.streams
    assert not server.kept.named
    assert not server.kept.arriving
    assert server.kept.store.used == 0
    waiting = [
        each for each in server.ticker.waiting if isinstance(each, KeepTimer | Takeover)
    ]
    assert not waiting
    gc.collect()  # asyncio's own exceptions hold frames that hold what they were for
    held = [each for each in gc.get_objects() if isinstance(each, KeptStream)]
    left = [each for each in held if each.kept is server.kept]
    assert not left, (left, [type(by) for by in gc.get_referrers(left[0])])
