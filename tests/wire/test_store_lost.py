"""A stream that nobody can go on with is lost for all nodes, once one knows of it."""

from __future__ import annotations

import asyncio

import pytest

from proxy.kept.registry import KEY, Name
from tests.support.kept import EVENT_HEAD, ask, field, post, stream_id
from tests.support.nodes import Nodes
from tests.support.raw import GUARD, Upstream, became, chunk, turns
from tests.support.running import RunningProxy
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    begun_with_ids,
    expect,
    get,
    goes_on,
    keeping,
    numbered,
    theirs,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]


async def in_store(nodes: Nodes, number: int, id: bytes) -> None:
    """Wait until another node can read the stream."""
    shared = nodes.store(number)
    async with asyncio.timeout(GUARD):
        while (found := await shared.find(id)) is None or found.meta is None:
            await turns(1)


async def shows_no_life(nodes: Nodes, number: int, id: bytes) -> None:
    """Wait until a node can know that the owner of the stream has died."""
    shared = nodes.store(number)
    async with asyncio.timeout(GUARD):
        while (found := await shared.find(id)) is not None and found.alive:
            await turns(1)


async def has_name(
    nodes: Nodes, number: int, name: Name, who: bytes, id: bytes
) -> None:
    """Wait until another node can find the stream by its name."""
    asked = (name.kind, name.route, name.value, who)
    async with asyncio.timeout(GUARD):
        while id not in await nodes.store(number).find_name(*asked):
            await turns(1)


async def gets_a_new_one(
    running: RunningProxy, upstream: Upstream, id: bytes, number: int
) -> bytes:
    """An EventSource that comes back is told of the failure, and gets a new stream."""
    cursor = f"{id.decode()}.{number}"
    client, peer = await running.begin(upstream, ask(Last_Event_ID=cursor))
    await peer.send(EVENT_HEAD % b"")
    await client.read_head()
    assert stream_id(client) != id
    assert b"has failed" in await client.read_chunk()
    return stream_id(client)


async def standing(running: RunningProxy, id: bytes) -> bytes | None:
    """What HEAD says of a stream."""
    client = await running.client()
    await client.send(b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % (ADDRESS + id))
    return field(await client.read_head(), b"stream-state")


async def test_nobody_is_sent_to_it_again(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        _, _, id = await begun(each[0], upstream)
        await in_store(each, 1, id)
        await each.kill(0)
        await shows_no_life(each, 1, id)
        # Nobody has followed it. The first who asks for it has it found out.
        await gets_a_new_one(each[1], upstream, id, 1)
        await each.start()
        for number in (1, 2, 3):
            await gets_a_new_one(each[number], upstream, id, 1)
            assert await standing(each[number], id) == b"lost"


async def test_who_follows_it_has_all_learn_of_it(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        _, peer, id = await begun(each[0], upstream)
        await in_store(each, 1, id)
        follower = await get(each[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await peer.send(chunk(b"data: two\n\n"))
        await expect(follower, numbered(id, 2, b"two"))
        await each.kill(0)
        await follower.read_to_close()
        for number in (1, 2, 1):
            assert await standing(each[number], id) == b"lost"
            await gets_a_new_one(each[number], upstream, id, 2)
            # Who has not all of it gets the rest, and learns of the failure.
            late = await get(each[number], b"/", Last_Event_ID=f"{id.decode()}.1")
            await expect(late, numbered(id, 2, b"two"))
            rest, _ = await late.read_to_close()
            assert not rest.endswith(b"0\r\n\r\n")


async def test_an_answer_that_is_lost_is_asked_for_again(
    start: StartNodes, upstream: Upstream
) -> None:
    request = post(b"/", b"{}", Idempotency_Key="k")
    async with start(keeping(upstream, ids=True), count=3) as each:
        _, _, id = await begun(each[0], upstream, request)
        await in_store(each, 1, id)
        await each.kill(0)
        await shows_no_life(each, 1, id)
        assert await standing(each[1], id) == b"lost"
        client, peer = await each[2].begin(upstream, request)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: again\n\n"))
        await client.read_head()
        new = stream_id(client)
        assert new != id
        await expect(client, numbered(new, 1, b"again"))
        # It has the key now: a repetition anywhere gets it, too.
        await in_store(each, 1, new)
        repeated = await each[1].client()
        await repeated.send(request)
        await repeated.read_head()
        await expect(repeated, numbered(new, 1, b"again"))
        assert upstream.unexpected == 0


async def test_an_answer_that_died_before_its_head_is_forgotten(
    start: StartNodes, upstream: Upstream
) -> None:
    """A page that is reloaded is told that nothing runs."""
    resume = {"key": "body:id", "path": "/{key}/stream", "bind": ["Cookie"]}
    async with start(keeping(upstream, **resume), count=2) as both:
        request = post(b"/", b'{"id": "chat"}', Cookie="a=1")
        await both[0].begin(upstream, request)
        reload = ask(b"/chat/stream", Cookie="a=1")
        waiting = await both[1].client()
        await became(lambda: bool(both[0].server.kept.named))
        ((name, holders),) = (
            each for each in both[0].server.kept.named.items() if each[0].kind == KEY
        )
        ((who, (stream,)),) = holders.items()
        await has_name(both, 1, name, who, stream.id)
        await waiting.send(reload)
        await became(lambda: bool(both[1].server.kept.named))
        await both.kill(0)
        assert (await waiting.read_head()).startswith(b"HTTP/1.1 502 ")
        for _ in range(2):
            again = await both[1].client()
            await again.send(reload)
            assert (await again.read_head()).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("known", [False, True], ids=["comes first", "reads it"])
async def test_who_has_more_than_was_written_is_told_who_died(
    start: StartNodes, upstream: Upstream, known: bool
) -> None:
    """The owner sends first: it is no fault of the client."""
    async with start(keeping(upstream), count=2) as both:
        _, _, id = await begun(both[0], upstream)
        first = numbered(id, 1, b"one")
        reader = await get(both[1], ADDRESS + id) if known else None
        if reader is not None:
            await expect(reader, first)
        await both.kill(0)
        if reader is not None:
            await reader.read_to_close()
        else:
            await shows_no_life(both, 1, id)
        beyond = ADDRESS + id + b"?from=%d" % (len(first) + 9)
        back = await get(both[1], beyond)
        assert back.head.startswith(b"HTTP/1.1 410 ")
        told = await back.read_until(b"has died")
        assert b"beyond the %d bytes" % len(first) in told
        there = await get(both[1], ADDRESS + id + b"?from=%d" % len(first))
        assert there.head.startswith(b"HTTP/1.1 200 ")


async def test_who_has_more_than_another_process_goes_on_from_is_told_who_died(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=2) as both:
        await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        await both.kill(0)
        peer = await goes_on(upstream, b"2")
        await peer.send(chunk(theirs(3)))
        await expect(second, theirs(3))
        beyond = ADDRESS + stream_id(second) + b"?from=999"
        back = await get(both[1], beyond)
        assert back.head.startswith(b"HTTP/1.1 410 ")
        await back.read_until(b"has died")


async def test_who_has_more_than_a_stream_that_is_whole_is_told_so(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=2) as both:
        _, peer, id = await begun(both[0], upstream)
        await peer.send(chunk(b""))
        await both[0].ended()
        await became(lambda: not both.store(0).state().owned)
        back = await get(both[1], ADDRESS + id + b"?from=999")
        assert back.head.startswith(b"HTTP/1.1 400 ")
