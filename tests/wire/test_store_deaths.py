"""The process that reads a stream dies: another one goes on with it, or it ends."""

from __future__ import annotations

import asyncio

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask, post, stream_id
from tests.support.raw import Upstream, became, chunk
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    begun_with_ids,
    expect,
    followed,
    get,
    goes_on,
    keeping,
    numbered,
    theirs,
)

# A node that reads a stream says so again and again: it counts for so long after its
# death. In seconds of the store, which are real ones.
LEASE_GUARD = 40.0

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]


async def test_without_ids_of_the_upstream_its_clients_fail_and_learn_why(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        address = ADDRESS + id
        second = await get(both[1], address)
        await expect(second, numbered(id, 1, b"one"))
        await both.kill(0)
        await second.read_to_close()
        timeline = await both[1].ended()
        assert timeline.ending is Ending.UPSTREAM_BROKE
        assert "has died" in str(timeline.error)
        await became(lambda: not both[1].server.kept.streams)
        # Who comes for it later gets what there is, and the same end.
        later = await get(both[1], address)
        await expect(later, numbered(id, 1, b"one"))
        await later.read_to_close()
        assert (await both[1].ended()).ending is Ending.UPSTREAM_BROKE
        # An EventSource that has all of it gets a new one.
        again, peer = await both[1].begin(
            upstream, ask(Last_Event_ID=f"{id.decode()}.1")
        )
        await peer.send(EVENT_HEAD % b"")
        await again.read_head()
        assert stream_id(again) != id
        assert b"has failed" in await again.read_chunk()


async def test_an_upstream_that_numbers_its_events_is_asked_by_another_process(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        await begun_with_ids(each, upstream)
        second = await get(each[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        await each.kill(0)
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)))
        await expect(second, theirs(3))
        # It is its stream now: for a third node, and for the time without clients.
        third = await get(each[2], b"/", Last_Event_ID="2")
        await expect(third, theirs(3))
        await peer.send(chunk(theirs(4)))
        for client in (second, third):
            await expect(client, theirs(4))
        third.close()
        second.close()
        await each[1].ended()
        await peer.send(chunk(theirs(5)) + chunk(b""))
        last = await get(each[2], b"/", Last_Event_ID="3")
        await expect(last, theirs(4) + theirs(5))
        assert await last.read_chunk() == b""
        assert upstream.unexpected == 0


async def test_of_several_that_follow_one_takes_it_up(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=4) as each:
        await begun_with_ids(each, upstream)
        clients = [await get(each[n], b"/", Last_Event_ID="1") for n in (1, 2, 3)]
        for client in clients:
            await expect(client, theirs(2))
        await each.kill(0)
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        for client in clients:
            await expect(client, theirs(3))
            assert await client.read_chunk() == b""
        assert upstream.unexpected == 0


async def test_a_second_death_is_survived_as_well(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        await begun_with_ids(each, upstream)
        clients = {n: await get(each[n], b"/", Last_Event_ID="1") for n in (1, 2)}
        for client in clients.values():
            await expect(client, theirs(2))
        await each.kill(0)
        peer = await goes_on(upstream, b"2")
        (owner,) = [
            n for n in clients if not followed(each[n]) or followed(each[n])[0].taken
        ]
        other = 3 - owner
        await peer.send(chunk(theirs(3)))
        for client in clients.values():
            await expect(client, theirs(3))
        await each.kill(owner)
        peer = await goes_on(upstream, b"3")
        await peer.send(chunk(theirs(4)) + chunk(b""))
        await expect(clients[other], theirs(4))
        assert await clients[other].read_chunk() == b""


async def test_who_has_a_part_of_an_event_is_cut_and_comes_back_for_it(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        _, peer = await begun_with_ids(each, upstream)
        clients = [await get(each[n], b"/", Last_Event_ID="1") for n in (1, 2)]
        await peer.send(chunk(b"id: 3\ndata: 3"))
        for client in clients:
            await expect(client, theirs(2) + b"id: 3\ndata: 3")
        await each.kill(0)
        for client in clients:
            rest, _ = await client.read_to_close()
            assert not rest.endswith(chunk(b""))
        peer = await goes_on(upstream, b"2")
        again = [await get(each[n], b"/", Last_Event_ID="2") for n in (1, 2)]
        await peer.send(chunk(theirs(3)) + chunk(b""))
        for client in again:
            await expect(client, theirs(3))
            assert await client.read_chunk() == b""
        assert upstream.unexpected == 0


async def test_nobody_waits_for_ever_for_another_to_take_it_up(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, _ = await begun_with_ids(both, upstream)
        id = stream_id(client)
        # By its address nobody knows what the upstream is to be asked.
        second = await get(both[1], ADDRESS + id)
        await expect(second, theirs(1) + theirs(2))
        await both.kill(0)
        (stream,) = followed(both[1])
        await became(lambda: stream.takeover.limit is not None)
        clock.advance(6)
        both[1].tick()
        await second.read_to_close()
        assert "no other has taken it up" in str((await both[1].ended()).error)


async def test_who_waits_for_the_head_learns_of_the_death(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, ids=True)) as both:
        request = post(b"/", b"{}", Idempotency_Key="k")
        _, _peer = await both[0].begin(upstream, request)
        again = await both[1].client()
        await again.send(request)
        await became(lambda: bool(both[1].server.kept.named))
        await both.kill(0)
        assert (await again.read_head()).startswith(b"HTTP/1.1 502 ")


async def test_the_failure_of_an_upstream_is_told_everywhere(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        _, peer, id = await begun(both[0], upstream)
        second = await get(both[1], ADDRESS + id)
        await expect(second, numbered(id, 1, b"one"))
        peer.close()
        here, there = await both[0].ended(), None
        await second.read_to_close()
        there = await both[1].ended()
        assert str(here.error) == str(there.error)
        assert here.ending is there.ending is Ending.UPSTREAM_BROKE


async def test_what_comes_twice_is_sent_once(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        _, _peer, id = await begun(both[0], upstream)
        second = await get(both[1], ADDRESS + id)
        first = numbered(id, 1, b"one")
        await expect(second, first)
        (stream,) = followed(both[1])
        stream.source.data(0, first, 0, True)
        stream.source.data(5, first[5:] + numbered(id, 2, b"two"), -1, False)
        await expect(second, numbered(id, 2, b"two"))


async def test_who_reads_it_at_a_node_that_dies_reads_it_no_more(
    start: StartNodes, upstream: Upstream, clock: ManualClock
) -> None:
    """Behind keep_seconds its upstream is closed, as if that client had left."""
    async with start(keeping(upstream, keep_seconds=60), clock=clock) as both:
        first, peer, id = await begun(both[0], upstream)
        second = await get(both[1], ADDRESS + id)
        await expect(second, numbered(id, 1, b"one"))
        (stream,) = both[0].server.kept.streams.values()
        await became(lambda: stream.readers == 1)
        first.close()
        await both[0].ended()
        await both.kill(1)
        async with asyncio.timeout(LEASE_GUARD):
            while stream.readers:
                both[0].tick()
                await asyncio.sleep(0.05)
        clock.advance(61)
        both[0].tick()
        await peer.read_to_close()
        assert not both[0].server.kept.streams
