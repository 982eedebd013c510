"""A client that comes back to another node has most of its stream already.

Of one that has ended, that node reads no more than the client needs, unless another
one that comes at the same time needs more.
"""

from __future__ import annotations

import pytest

from tests.support.kept import ask, stream_id
from tests.support.nodes import Nodes
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    expect,
    followed,
    get,
    keeping,
    numbered,
)
from tests.wire.conftest import REDIS

pytestmark = pytest.mark.any_loop

TEXTS = (b"one", b"2", b"3", b"4", b"5", b"6")
LAST = len(TEXTS)


def events(id: bytes, first: int) -> bytes:
    """All from one on, as clients get them."""
    behind = enumerate(TEXTS[first - 1 :], first)
    return b"".join(numbered(id, number, text) for number, text in behind)


async def stream(nodes: Nodes, upstream: Upstream) -> tuple[Peer, bytes]:
    """Some events, of which each is written by itself: the upstream, and the ID."""
    client, peer, id = await begun(nodes[0], upstream)
    for number, text in enumerate(TEXTS[1:], 2):
        await became(lambda: not nodes.store(0).state().unwritten)
        await peer.send(chunk(b"data: %b\n\n" % text))
        await expect(client, numbered(id, number, text))
    return peer, id


async def ended(nodes: Nodes, upstream: Upstream) -> bytes:
    """The ID of one that has ended."""
    peer, id = await stream(nodes, upstream)
    await peer.send(chunk(b""))
    await nodes[0].ended()
    await became(lambda: not nodes.store(0).state().owned)
    return id


def come_back(id: bytes, event: int) -> bytes:
    """What a client that has up to an event sends."""
    return ask(Last_Event_ID=f"{id.decode()}.{event}")


@pytest.mark.parametrize("make_store", [REDIS], indirect=True)
@pytest.mark.parametrize("event", range(1, LAST + 1))
async def test_no_more_of_an_ended_stream_is_read_than_its_client_needs(
    start: StartNodes, upstream: Upstream, event: int
) -> None:
    """But for the entry that says that there is no more."""
    async with start(keeping(upstream)) as both:
        id = await ended(both, upstream)
        back = await both[1].client()
        await back.send(come_back(id, event))
        head = await back.read_head()
        if event == LAST:
            assert head.startswith(b"HTTP/1.1 204 ")
        else:
            await expect(back, events(id, event + 1))
            assert await back.read_chunk() == b""
        read = both.store(1).state().read
        assert read == len(events(id, min(event + 1, LAST)))
        assert upstream.unexpected == 0


async def test_all_is_read_of_a_stream_that_may_fail(
    start: StartNodes, upstream: Upstream
) -> None:
    """Its first event says in which form it tells of a failure."""
    async with start(keeping(upstream)) as both:
        peer, id = await stream(both, upstream)
        back = await both[1].client()
        await back.send(come_back(id, LAST - 1))
        await back.read_head()
        await expect(back, events(id, LAST))
        assert both[1].server.kept.streams[id].log.first == 0
        await peer.send(chunk(b""))
        assert await back.read_chunk() == b""


@pytest.mark.parametrize(
    "asked", [[LAST, 1, 3, LAST - 1, 2], [2, LAST, 1], [LAST, LAST - 1, 0]], ids=str
)
async def test_clients_that_come_together_get_each_what_they_need(
    start: StartNodes, upstream: Upstream, asked: list[int]
) -> None:
    """0: one that asks for all, by the address of the stream."""
    async with start(keeping(upstream)) as both:
        id = await ended(both, upstream)
        clients = [await both[1].client() for _ in asked]
        for each, event in zip(clients, asked, strict=True):
            await each.send(come_back(id, event) if event else ask(ADDRESS + id))
        for each, event in zip(clients, asked, strict=True):
            head = await each.read_head()
            if event == LAST:
                assert head.startswith(b"HTTP/1.1 204 ")
                continue
            assert stream_id(each) == id
            await expect(each, events(id, event + 1))
            assert await each.read_chunk() == b""
        assert upstream.unexpected == 0
        await became(lambda: not followed(both[1]))
        later = await get(both[1], ADDRESS + id)
        await expect(later, events(id, 1))
