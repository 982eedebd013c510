"""An owner that was only away for a while: stopped, or without its store."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import ManualClock
from tests.support.kept import stream_id
from tests.support.raw import GUARD, Upstream, became, chunk, turns
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    begun_with_ids,
    expect,
    followed,
    get,
    keeping,
    numbered,
    theirs,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]


@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "sends"])
async def test_nobody_who_reads_at_another_node_notices(
    start: StartNodes, upstream: Upstream, quiet: bool
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream), clock=clock) as both:
        client, peer = await begun_with_ids(both, upstream)
        # By its address, nobody knows what the upstream is to be asked.
        second = await get(both[1], ADDRESS + stream_id(client))
        await expect(second, theirs(1) + theirs(2))
        (stream,) = followed(both[1])
        sent = [1, 2]
        for number in (3, 5):
            both.pause(0)
            await became(lambda: stream.takeover.epoch is not None)
            if not quiet:
                sent.append(number)
                await peer.send(chunk(theirs(number)))
                await expect(client, theirs(number))
            await both.go_on(0)
            await became(lambda: stream.takeover.epoch is None)
            if not quiet:
                await expect(second, theirs(number))
            clock.advance(6)
            both[1].tick()
            sent.append(number + 1)
            await peer.send(chunk(theirs(number + 1)))
            for each in (client, second):
                await expect(each, theirs(number + 1))
        # Nor does a request take up what is alive.
        third = await get(both[1], b"/", Last_Event_ID=str(sent[-2]))
        await expect(third, theirs(sent[-1]))
        await peer.send(chunk(theirs(7)) + chunk(b""))
        for each in (client, second, third):
            await expect(each, theirs(7))
            assert await each.read_chunk() == b""
        assert upstream.unexpected == 0


async def test_a_stream_that_was_given_up_is_its_again(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        client, peer, id = await begun(both[0], upstream)
        second = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await peer.send(chunk(b"data: two\n\n"))
        for each in (client, second):
            await expect(each, numbered(id, 2, b"two"))
        both.pause(0)
        await second.read_to_close()
        found = None
        async with asyncio.timeout(GUARD):
            while found is None or found.state != "lost":
                found = await both.store(1).find(id)
                await turns(1)
        await peer.send(chunk(b"data: three\n\n"))
        await expect(client, numbered(id, 3, b"three"))
        await both.go_on(0)
        async with asyncio.timeout(GUARD):
            while found is None or (found.state, found.alive) != ("running", True):
                found = await both.store(1).find(id)
                await turns(1)
        client.close()
        cursor = f"{id.decode()}.1"
        back = [await get(both[n], b"/", Last_Event_ID=cursor) for n in (0, 1)]
        missed = numbered(id, 2, b"two") + numbered(id, 3, b"three")
        for each in back:
            await expect(each, missed)
        await peer.send(chunk(b"data: four\n\n") + chunk(b""))
        for each in back:
            await expect(each, numbered(id, 4, b"four"))
            assert await each.read_chunk() == b""
        assert upstream.unexpected == 0
