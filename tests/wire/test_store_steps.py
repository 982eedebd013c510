"""Each step between two processes: one dies there, or the store does.

With a store in memory, which does nothing but what the test says.
"""

from __future__ import annotations

import pytest

from proxy.exchange.takeover import MOST_DEATHS
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask, field, stream_id
from tests.support.nodes import MakeStore
from tests.support.raw import Upstream, became, chunk, turns
from tests.support.shared_memory import Hub, MemoryFollowing, MemoryNode
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

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]


@pytest.fixture
def make_store(hub: Hub) -> MakeStore:
    """No server decides when something is heard."""
    return hub.node


async def test_who_takes_it_up_may_die_before_it_has_begun(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    async with start(keeping(upstream), count=3) as each:
        await begun_with_ids(each, upstream)
        clients = [await get(each[n], b"/", Last_Event_ID="1") for n in (1, 2)]
        for client in clients:
            await expect(client, theirs(2))
        hub.held = True
        await each.kill(0)
        while not [
            each_one
            for each_one in hub.records.values()
            if each_one.owner is not hub.nodes[0]
        ]:
            hub.deliver()
            await turns(1)
        (record,) = hub.records.values()
        assert isinstance(record.owner, MemoryNode)
        owner = hub.nodes.index(record.owner)
        await each.kill(owner)
        hub.release()
        peer = await goes_on(upstream, b"2")
        if upstream.unexpected:  # the first had asked already
            peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(clients[2 - owner], theirs(3))
        assert await clients[2 - owner].read_chunk() == b""


@pytest.mark.parametrize("lost", ["claim", "answer"])
async def test_a_claim_that_was_not_answered_is_made_again(
    start: StartNodes, upstream: Upstream, hub: Hub, lost: str
) -> None:
    """Once for each time that it may have failed: nothing runs idle meanwhile."""
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        hub.held = True
        await both.kill(0)
        while not hub.claims:
            hub.deliver()
            await turns(1)
        if lost == "claim":
            hub.go_down()
        hub.deaf = True
        hub.release()
        (stream,) = followed(both[1])
        await became(lambda: stream.takeover.claim_until is not None)
        for _ in range(10 if lost == "claim" else 0):
            clock.advance(1)
            both[1].tick()
            await turns(3)
        assert hub.claims == 1
        if lost == "answer":
            both[1].tick()
            await became(lambda: hub.claims == 2 and not stream.takeover.claiming)
        hub.deaf = False
        hub.come_back()
        both[1].tick()
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(second, theirs(3))
        assert await second.read_chunk() == b""
        assert hub.claims == (2 if lost == "claim" else 3)


async def test_whoever_took_it_up_sooner_may_die_before_that_is_known(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """The claim that is under way is in vain, and made again for the next owner."""
    async with start(keeping(upstream)) as both:
        await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        hub.held = True
        await both.kill(0)
        while not hub.claims:
            hub.deliver()
            await turns(1)
        (stream,) = followed(both[1])
        (record,) = hub.records.values()
        record.epoch = 2  # of a node that is dead by now, too
        stream.source.moved(2, stream.replica.end)
        stream.source.owner_died(2)
        hub.release()
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(second, theirs(3))
        assert await second.read_chunk() == b""
        assert hub.claims == 2


async def test_who_comes_while_the_owner_is_in_doubt_waits_until_it_is_known(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """Not for a response that breaks off without an event: it gets a new stream."""
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        reader = await get(both[1], ADDRESS + id)
        await expect(reader, numbered(id, 1, b"one"))
        (stream,) = followed(both[1])
        following = stream.source.following
        assert isinstance(following, MemoryFollowing)
        following.is_doubtful = True
        client = await both[1].client()
        await client.send(ask(Last_Event_ID=f"{id.decode()}.1"))
        await became(lambda: stream.is_awaited)
        await both.kill(0)
        peer = await upstream.request()
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        assert stream_id(client) != id
        assert b"has failed; this is a new one" in await client.read_chunk()


async def test_who_comes_while_the_owner_is_in_doubt_is_served_if_it_lives(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    async with start(keeping(upstream)) as both:
        _, peer, id = await begun(both[0], upstream)
        reader = await get(both[1], ADDRESS + id)
        await expect(reader, numbered(id, 1, b"one"))
        (stream,) = followed(both[1])
        following = stream.source.following
        assert isinstance(following, MemoryFollowing)
        following.is_doubtful = True
        client = await both[1].client()
        await client.send(ask(Last_Event_ID=f"{id.decode()}.1"))
        await became(lambda: stream.is_awaited)
        following.is_doubtful = False
        await client.read_head()
        await peer.send(chunk(b"data: two\n\n"))
        await expect(client, numbered(id, 2, b"two"))


async def test_a_claim_is_not_made_for_ever(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        hub.deaf = True
        await both.kill(0)
        (stream,) = followed(both[1])
        await became(lambda: stream.takeover.claim_until is not None)
        for seconds in range(1, 15):
            clock.advance(1)
            both[1].tick()
            await became(lambda told=seconds + 1: hub.claims == told)  # type: ignore[misc]
            await became(lambda: not stream.takeover.claiming)
        clock.advance(1)
        both[1].tick()
        await second.read_to_close()
        assert "does not say who has it" in str((await both[1].ended()).error)


async def test_an_owner_that_dies_again_and_again_is_waited_for_no_longer(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """As it seems where the store comes and goes."""
    async with start(keeping(upstream)) as both:
        client, _ = await begun_with_ids(both, upstream)
        # By its address nobody knows what the upstream is to be asked.
        second = await get(both[1], ADDRESS + stream_id(client))
        await expect(second, theirs(1) + theirs(2))
        (stream,) = followed(both[1])
        for _ in range(MOST_DEATHS):
            assert not stream.settled
            stream.source.owner_died(1)
            stream.source.owner_back(1)
        stream.source.owner_died(1)
        await second.read_to_close()
        assert "has died" in str((await both[1].ended()).error)


async def test_while_the_store_is_down_nobody_could_take_a_stream_up(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), count=3, clock=clock) as each:
        client, _ = await begun_with_ids(each, upstream)
        second = await get(each[1], ADDRESS + stream_id(client))
        await expect(second, theirs(1) + theirs(2))
        await each.kill(0)
        (stream,) = followed(each[1])
        await became(lambda: stream.takeover.limit is not None)
        hub.go_down()
        for _ in range(2):
            clock.advance(6)
            each[1].tick()
        hub.come_back()
        third = await get(each[2], b"/", Last_Event_ID="1")
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(third, theirs(2) + theirs(3))
        await expect(second, theirs(3))
        assert await second.read_chunk() == b""


async def test_an_owner_that_was_only_taken_for_dead_serves_its_clients_to_the_end(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    async with start(keeping(upstream)) as both:
        mine, old = await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        hub.nodes[0].alive = False
        (record,) = hub.records.values()
        hub.news(record)
        peer = await goes_on(upstream, b"2")
        hub.nodes[0].alive = True
        # What it writes from now on is nobody's.
        await old.send(chunk(theirs(3)))
        await expect(mine, theirs(3))
        await peer.send(chunk(theirs(3)) + chunk(theirs(4)))
        await expect(second, theirs(3) + theirs(4))
        # Who comes back to it gets the stream that there is.
        again = await get(both[0], b"/", Last_Event_ID="3")
        await expect(again, theirs(4))
        await old.send(chunk(b""))
        assert await mine.read_chunk() == b""
        await peer.send(chunk(b""))
        for client in (second, again):
            assert await client.read_chunk() == b""


async def test_a_gap_is_never_skipped(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    async with start(keeping(upstream)) as both:
        _, _peer, id = await begun(both[0], upstream)
        second = await get(both[1], ADDRESS + id)
        await expect(second, numbered(id, 1, b"one"))
        (stream,) = followed(both[1])
        end = stream.log.end
        stream.source.data(end + 1, b"data: two\n\n", -1, False)
        rest, _ = await second.read_to_close()
        assert b"two" not in rest
        assert "not in the store" in str((await both[1].ended()).error)


async def test_a_store_that_does_not_answer_costs_only_those_who_need_it(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer, id = await begun(both[0], upstream)
        second = await get(both[1], ADDRESS + id)
        await expect(second, numbered(id, 1, b"one"))
        hub.go_down()
        both[1].tick()
        await peer.send(chunk(b"data: two\n\n"))
        await expect(client, numbered(id, 2, b"two"))
        # A short while is waited for.
        clock.advance(14)
        both[1].tick()
        hub.come_back()
        both[1].tick()
        await peer.send(chunk(b"data: three\n\n"))
        await expect(client, numbered(id, 3, b"three"))
        await expect(second, numbered(id, 2, b"two") + numbered(id, 3, b"three"))
        # A long one is not.
        hub.go_down()
        both[1].tick()
        clock.advance(16)
        both[1].tick()
        await second.read_to_close()
        assert "the store has not answered" in str((await both[1].ended()).error)
        await peer.send(chunk(b"data: four\n\n") + chunk(b""))
        await expect(client, numbered(id, 4, b"four"))
        assert await client.read_chunk() == b""


async def test_while_the_store_is_down_new_streams_cannot_be_resumed(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    async with start(keeping(upstream)) as both:
        hub.go_down()
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        assert field(await client.read_head(), b"stream-id") is None
        await expect(client, b"data: one\n\n")
        hub.come_back()
        await begun(both[0], upstream)
