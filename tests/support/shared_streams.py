"""Streams that several nodes share: what their tests send and expect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from proxy.exchange.followed_stream import FollowedStream
from proxy.kept.registry import KEY
from proxy.kept.shared_store import StoreUnavailable
from tests.support.kept import EVENT_HEAD, ask, field, stream_id
from tests.support.nodes import Nodes
from tests.support.raw import Peer, Upstream, chunk, turns
from tests.support.running import RunningProxy, Table

StartNodes = Callable[..., AbstractAsyncContextManager[Nodes]]
ADDRESS = b"/_unbuffered/streams/"
SLOW_GUARD = 20.0  # seconds; that a process is dead takes up to three to find out


def keeping(upstream: Upstream, **resume: object) -> dict[str, Table]:
    return {"/": {"target": upstream.url, "resume": resume or True}}


def numbered(id: bytes, number: int, text: bytes) -> bytes:
    """An event as its clients get it."""
    return b"data: %b\nid: %b.%d\n\n" % (text, id, number)


def theirs(number: int) -> bytes:
    """An event that the upstream has numbered."""
    return b"id: %d\ndata: %d\n\n" % (number, number)


async def sent(running: RunningProxy, request: bytes) -> Peer:
    """A client with the head of its response."""
    client = await running.client()
    await client.send(request)
    await client.read_head()
    return client


async def get(running: RunningProxy, path: bytes, **fields: str) -> Peer:
    return await sent(running, ask(path, **fields))


async def in_store(running: RunningProxy) -> None:
    """Wait until what a node has is known to the others: it is written behind.

    On a busy machine the store may not answer in time: then it is asked once more.
    """
    registry = running.server.kept
    shared = registry.shared
    assert shared is not None

    async def has_head(id: bytes) -> bool:
        with contextlib.suppress(StoreUnavailable):
            found = await shared.find(id)
            return found is not None and found.meta is not None
        return False

    async def has_name(asked: tuple[str, str, bytes, bytes], id: bytes) -> bool:
        with contextlib.suppress(StoreUnavailable):
            return id in await shared.find_name(*asked)
        return False

    async with asyncio.timeout(SLOW_GUARD):
        for id in registry.streams:
            while not await has_head(id):
                await turns(1)
        for name, holders in registry.named.items():
            for who, streams in holders.items():
                if name.kind != KEY:
                    continue
                asked = (name.kind, name.route, name.value, who)
                while not await has_name(asked, streams[-1].id):
                    await turns(1)


async def begun(
    running: RunningProxy, upstream: Upstream, request: bytes | None = None
) -> tuple[Peer, Peer, bytes]:
    """A stream with one event: its client, the upstream, and its ID."""
    client, peer = await running.begin(upstream, request or ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    first = numbered(id, 1, b"one")
    assert await client.read_payload(len(first)) == first
    await in_store(running)
    return client, peer, id


def followed(running: RunningProxy) -> list[FollowedStream]:
    streams = running.server.kept.streams.values()
    return [each for each in streams if isinstance(each, FollowedStream)]


async def expect(client: Peer, data: bytes) -> None:
    """The client gets exactly this next."""
    assert await client.read_payload(len(data)) == data


async def begun_with_ids(nodes: Nodes, upstream: Upstream) -> tuple[Peer, Peer]:
    """A stream of the first node with two events that the upstream has numbered."""
    client, peer = await nodes[0].begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(theirs(1)) + chunk(theirs(2)))
    await client.read_head()
    await expect(client, theirs(1) + theirs(2))
    await in_store(nodes[0])
    return client, peer


async def goes_on(upstream: Upstream, last: bytes) -> Peer:
    """The upstream is asked for what follows an event."""
    peer = await upstream.request(SLOW_GUARD)
    assert field(peer.head, b"last-event-id") == last
    await peer.send(EVENT_HEAD % b"")
    return peer
