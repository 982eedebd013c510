"""A process ends: the clients of its streams go on at another one."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import ShuttingDown
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, turns
from tests.support.running import RunningProxy
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    begun_with_ids,
    expect,
    followed,
    get,
    goes_on,
    in_store,
    keeping,
    numbered,
    theirs,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]

ANSWER = b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'
DONE = b"data: [DONE]\n\n"


class Drained:
    """A server whose stop has begun; its ten seconds are those of the test."""

    def __init__(self, running: RunningProxy, clock: ManualClock) -> None:
        self.running = running
        self.clock = clock
        self.stopped = running.drain(10)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running.tick()

    async def use_up(self) -> None:
        """Have all of its time pass."""
        async with asyncio.timeout(GUARD):
            while not self.stopped.done():
                self.pass_time(1)
                await turns(1)

    async def over(self) -> int:
        """How many clients were left with half a response."""
        async with asyncio.timeout(GUARD):
            return await self.stopped


async def drained(running: RunningProxy, clock: ManualClock) -> Drained:
    draining = Drained(running, clock)
    await became(lambda: running.server.last is not None)
    return draining


async def ended_cleanly(client: Peer) -> None:
    """The response has an end, as that of a stream whose client comes back."""
    rest, _ = await client.read_to_close()
    assert rest == chunk(b"")


async def test_an_event_source_goes_on_elsewhere_while_the_upstream_is_read_on(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer, id = await begun(both[0], upstream)
        draining = await drained(both[0], clock)
        await ended_cleanly(client)
        second = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await peer.send(chunk(b"data: two\n\n"))
        await expect(second, numbered(id, 2, b"two"))
        draining.pass_time(6)
        assert not draining.stopped.done()
        await peer.send(chunk(b"data: three\n\n") + chunk(b""))
        await expect(second, numbered(id, 3, b"three"))
        assert await second.read_chunk() == b""
        draining.pass_time(0)
        assert await draining.over() == 0
        assert upstream.unexpected == 0


async def test_what_is_read_on_is_counted_as_long_as_the_drain_waits_for_it(
    start: StartNodes, upstream: Upstream
) -> None:
    """`unbuffered drain` would say else that nothing is left, and wait."""
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer, _ = await begun(both[0], upstream)
        progress = both[0].server.drain_progress
        assert progress.now().exchanges == 1
        draining = await drained(both[0], clock)
        await ended_cleanly(client)
        assert not both[0].server.exchanges
        assert progress.now().exchanges == 1
        await peer.send(chunk(b""))
        await became(lambda: progress.now().exchanges == 0)
        draining.pass_time(0)
        assert await draining.over() == 0


async def test_so_do_clients_of_answers_that_have_an_end_of_their_own(
    start: StartNodes, upstream: Upstream
) -> None:
    """They come back by an id: it is the same answer."""
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(ANSWER))
        await client.read_head()
        first = await client.read_chunk()
        id = first[first.rindex(b"id: ") + 4 : -2]
        await in_store(both[0])
        draining = await drained(both[0], clock)
        await ended_cleanly(client)
        second = await get(both[1], b"/", Last_Event_ID=id.decode())
        await peer.send(chunk(DONE) + chunk(b""))
        assert (await second.read_body()).startswith(DONE[:-1])
        draining.pass_time(0)
        assert await draining.over() == 0


async def test_who_has_no_event_yet_is_not_sent_away(
    start: StartNodes, upstream: Upstream
) -> None:
    """It has no id to come back by: it would get another answer."""
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(b": comment\n\n"))
        await client.read_head()
        await expect(client, b": comment\n\n")
        draining = await drained(both[0], clock)
        draining.pass_time(6)
        await peer.send(chunk(ANSWER + DONE) + chunk(b""))
        assert b"[DONE]" in await client.read_body()
        assert await draining.over() == 0


async def test_what_nobody_reads_at_the_moment_is_read_on_too(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer, id = await begun(both[0], upstream)
        client.close()
        await both[0].ended()
        draining = await drained(both[0], clock)
        draining.pass_time(1)
        await peer.send(chunk(b"data: two\n\n") + chunk(b""))
        await became(lambda: not both[0].server.kept.streams)
        draining.pass_time(0)
        assert await draining.over() == 0
        second = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await expect(second, numbered(id, 2, b"two"))
        assert await second.read_chunk() == b""


async def test_when_the_time_is_over_an_upstream_with_ids_is_asked_elsewhere(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, old = await begun_with_ids(both, upstream)
        draining = await drained(both[0], clock)
        await ended_cleanly(client)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        await draining.use_up()
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(second, theirs(3))
        assert await second.read_chunk() == b""
        assert await draining.over() == 0
        await old.closed()
        assert upstream.unexpected == 0


async def test_when_the_time_is_over_others_fail_and_learn_why(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        _, _, id = await begun(both[0], upstream)
        draining = await drained(both[0], clock)
        second = await get(both[1], ADDRESS + id)
        await expect(second, numbered(id, 1, b"one"))
        await draining.use_up()
        await second.read_to_close()
        assert isinstance((await both[1].ended()).error, ShuttingDown)
        await draining.over()


async def test_clients_of_a_follower_go_on_at_another_one(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), count=3, clock=clock) as each:
        _, peer, id = await begun(each[0], upstream)
        second = await get(each[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await peer.send(chunk(b"data: two\n\n"))
        await expect(second, numbered(id, 2, b"two"))
        draining = await drained(each[1], clock)
        await ended_cleanly(second)
        assert await draining.over() == 0
        assert not followed(each[1])
        third = await get(each[2], b"/", Last_Event_ID=f"{id.decode()}.2")
        await peer.send(chunk(b"data: three\n\n"))
        await expect(third, numbered(id, 3, b"three"))
