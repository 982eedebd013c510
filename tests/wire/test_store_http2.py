"""Streams of a store by HTTP/2: many share a connection, each has an end of its own.

A client that comes back to another node does so with all of its streams at once; what
one of them meets there, the others must not notice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.timeline import Ending
from tests.conftest import Complaints, ManualClock
from tests.support.http2 import INTERNAL_ERROR, Http2Client, Http2Listener
from tests.support.kept import EVENT_HEAD, field
from tests.support.nodes import MakeStore, Nodes, nodes
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.shared_streams import (
    ADDRESS,
    followed,
    goes_on,
    in_store,
    keeping,
    numbered,
    theirs,
)

pytestmark = pytest.mark.any_loop

SSE = ("accept", "text/event-stream")


@pytest.fixture
async def each(
    tmp_path: Path,
    upstream: Upstream,
    make_store: MakeStore,
    over: Http2Listener,
    clock: ManualClock,
    complaints: Complaints,
) -> AsyncIterator[Nodes]:
    """Three nodes that speak HTTP/2."""
    tables = {"server": over.server}
    async with nodes(
        tmp_path, keeping(upstream), make_store, tables, count=3, clock=clock
    ) as started:
        yield started


async def begun(
    http: Http2Client, upstream: Upstream, number: int, *, theirs_too: bool = False
) -> tuple[int, Peer, bytes]:
    """One more stream of a connection, with one event: its number, upstream, ID."""
    stream = await http.ask(f"/{number}", [SSE])
    peer = await upstream.request()
    first = theirs(1) if theirs_too else b"data: one\n\n"
    await peer.send(EVENT_HEAD % b"" + chunk(first))
    id = (await http.head(stream))["stream-id"].encode()
    told = first if theirs_too else numbered(id, 1, b"one")
    assert await http.read(stream, len(told)) == told
    return stream, peer, id


async def resumed(
    http: Http2Client, number: int, last: str, *, address: str = ""
) -> int:
    """A stream that goes on behind an event: its number."""
    path = address or f"/{number}"
    stream = await http.ask(path, [SSE, ("last-event-id", last)])
    assert (await http.head(stream))[":status"] == "200"
    return stream


async def test_all_streams_of_a_connection_go_on_at_another_node(
    each: Nodes, upstream: Upstream, over: Http2Listener
) -> None:
    here = await over.client(each[0])
    streams = [await begun(here, upstream, number) for number in range(5)]
    await in_store(each[0])
    here.abort()  # its network has changed
    for _ in streams:
        assert (await each[0].ended()).ending is Ending.CLIENT_LEFT
    there = await over.client(each[1])
    again = [
        await resumed(there, number, f"{id.decode()}.1")
        for number, (_, _, id) in enumerate(streams)
    ]
    for stream, (_, peer, id) in zip(again, streams, strict=True):
        await peer.send(chunk(b"data: two\n\n"))
        told = numbered(id, 2, b"two")
        assert await there.read(stream, len(told)) == told
    # One ends, one is left by its client, one is stopped, one breaks; one goes on.
    await streams[0][1].send(chunk(b""))
    assert await there.body(again[0]) == b""
    await there.reset(again[1])
    stop = await there.ask(ADDRESS.decode() + streams[2][2].decode(), method="DELETE")
    assert (await there.head(stop))[":status"] == "204"
    assert await there.broken(again[2]) == INTERNAL_ERROR
    await streams[2][1].closed()
    streams[3][1].reset()
    assert await there.broken(again[3]) == INTERNAL_ERROR
    await streams[4][1].send(chunk(b"data: three\n\n") + chunk(b""))
    assert await there.body(again[4]) == numbered(streams[4][2], 3, b"three")
    assert there.gone is None
    assert upstream.unexpected == 0
    # Whoever has left may come back to the third one.
    id = streams[1][2]
    await streams[1][1].send(chunk(b"data: three\n\n"))
    third = await over.client(each[2])
    last = await resumed(third, 1, f"{id.decode()}.2")
    told = numbered(id, 3, b"three")
    assert await third.read(last, len(told)) == told
    await streams[1][1].send(chunk(b""))
    assert await third.body(last) == b""


async def test_a_death_resets_the_streams_that_nobody_goes_on_with_and_no_other(
    each: Nodes, upstream: Upstream, over: Http2Listener
) -> None:
    here = await over.client(each[0])
    _, _, lost = await begun(here, upstream, 1)
    await begun(here, upstream, 2, theirs_too=True)
    other = await over.client(each[1])
    own = await other.ask("/3", [SSE])
    owned = await upstream.request()
    await owned.send(EVENT_HEAD % b"" + chunk(b"data: own\n\n"))
    await other.head(own)
    await in_store(each[0])
    first = await resumed(other, 1, f"{lost.decode()}.1")
    second = await resumed(other, 2, "1")
    await each.kill(0)
    assert await other.broken(first) == INTERNAL_ERROR
    peer = await goes_on(upstream, b"1")
    await peer.send(chunk(theirs(2)) + chunk(b""))
    assert await other.body(second) == theirs(2)
    await owned.send(chunk(b""))
    assert (await other.body(own)).startswith(b"data: own\nid: ")
    assert other.gone is None
    # The connection serves what comes next, too: the end that was noted.
    late = await other.ask(ADDRESS.decode() + lost.decode(), [SSE])
    assert (await other.head(late))[":status"] == "200"
    assert await other.broken(late) == INTERNAL_ERROR
    assert other.data[late] == numbered(lost, 1, b"one")


async def test_who_resets_the_last_stream_at_a_node_has_it_unfollow(
    each: Nodes, upstream: Upstream, over: Http2Listener
) -> None:
    here = await over.client(each[0])
    _, peer, id = await begun(here, upstream, 1)
    await in_store(each[0])
    other = await over.client(each[1])
    streams = [await resumed(other, 1, f"{id.decode()}.1") for _ in range(2)]
    (stream,) = followed(each[1])
    await other.reset(streams[0])
    assert (await each[1].ended()).ending is Ending.CLIENT_LEFT
    assert not stream.settled
    await other.reset(streams[1])
    await became(lambda: stream.settled)
    await became(lambda: not followed(each[1]))
    assert other.gone is None
    await peer.send(chunk(b"data: two\n\n"))
    again = await resumed(other, 1, f"{id.decode()}.1")
    told = numbered(id, 2, b"two")
    assert await other.read(again, len(told)) == told
    await peer.send(chunk(b""))
    assert await other.body(again) == b""


async def test_a_drained_owner_sends_the_streams_of_a_connection_elsewhere(
    each: Nodes, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """Each between two events, and the connection closes behind the last of them."""
    here = await over.client(each[0])
    streams = [await begun(here, upstream, number) for number in range(3)]
    await in_store(each[0])
    drained = each[0].drain(60)
    await became(lambda: each[0].server.draining)
    for _ in range(30):
        clock.advance(1)
        each[0].tick()
    for stream, _, _ in streams:
        assert await here.body(stream) == b""
    await here.closed()
    assert here.gone is not None
    assert not drained.done()
    there = await over.client(each[1])
    again = [
        await resumed(there, number, f"{id.decode()}.1")
        for number, (_, _, id) in enumerate(streams)
    ]
    for stream, (_, peer, id) in zip(again, streams, strict=True):
        await peer.send(chunk(b"data: two\n\n") + chunk(b""))
        assert await there.body(stream) == numbered(id, 2, b"two")
    clock.advance(1)
    each[0].tick()
    assert await drained == 0
    assert upstream.unexpected == 0


async def test_a_repeated_post_joins_the_answer_of_another_node(
    each: Nodes, upstream: Upstream, over: Http2Listener
) -> None:
    """While its body is still on the way at the first one."""
    fields = [("content-type", "application/json"), ("idempotency-key", "k1")]
    here = await over.client(each[0])
    first = await here.ask("/chat", fields, method="POST", end=False)
    peer = await upstream.request()
    assert field(peer.head, b"idempotency-key") == b"k1"
    await here.send(first, b"{}", end=True)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    id = (await here.head(first))["stream-id"].encode()
    await in_store(each[0])
    there = await over.client(each[1])
    second = await there.ask("/chat", fields, method="POST", end=False)
    await there.send(second, b"{}", end=True)
    assert (await there.head(second))["stream-id"].encode() == id
    await here.reset(first)
    await peer.send(chunk(b"data: two\n\n") + chunk(b""))
    assert await there.body(second) == b"data: one\n\ndata: two\n\n"
    assert upstream.unexpected == 0
