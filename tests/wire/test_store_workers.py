"""Several machines with several workers each: a stream is found by any of them.

Workers of a machine hand requests over to each other before the store is asked, by what
an ID, a key or a request says: so on each machine one of them follows a stream, and an
ID of a machine with more workers than this one has is not one of a neighbour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.exchange.followed_stream import FollowedStream
from proxy.timeline import Ending
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask, post, stream_id
from tests.support.nodes import MakeStore
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy, Table
from tests.support.shared_streams import (
    ADDRESS,
    expect,
    get,
    goes_on,
    in_store,
    numbered,
    sent,
    theirs,
)
from tests.support.siblings import Siblings, siblings

pytestmark = pytest.mark.any_loop

KEPT: Table = {"resume": True}
KEYED: Table = {
    "resume": {
        "key": "body:id",
        "path": "/chat/{key}/stream",
        "stop": "/chat/{key}/stop",
        "bind": [],
        "ids": True,
    }
}
SHARED: Table = {"share": True}
CHAT = post(b"/chat", b'{"id": "c1"}')


class Machines:
    """The first one with three workers, the second with two."""

    def __init__(self, one: Siblings, two: Siblings) -> None:
        self.one = one
        self.two = two

    @property
    def all(self) -> list[RunningProxy]:
        return [*self.one.running, *self.two.running]

    @property
    def following(self) -> list[FollowedStream]:
        """The streams of others that workers of the second machine read."""
        return [
            each
            for running in self.two.running
            for each in running.server.kept.all_streams()
            if isinstance(each, FollowedStream) and not each.taken
        ]

    def owner(self) -> int:
        """The worker of the first machine that has the only stream."""
        (number,) = (
            number
            for number, running in enumerate(self.one.running)
            if running.server.kept.streams
        )
        return number


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Table:
    """Of the route."""
    return dict(getattr(request, "param", KEPT))


@pytest.fixture
async def machines(
    options: Table,
    upstream: Upstream,
    tmp_path: Path,
    clock: ManualClock,
    make_store: MakeStore,
) -> AsyncIterator[Machines]:
    """Two of them, that share a store."""
    table: Table = {"target": upstream.url, "upstream_keepalive_seconds": 0, **options}
    routes = {"/": table}
    async with AsyncExitStack() as stack:
        made = []
        for name, count in (("a", 3), ("b", 2)):
            folder = tmp_path / name
            folder.mkdir()
            made.append(
                await stack.enter_async_context(
                    siblings(
                        folder, routes, count=count, clock=clock, make_store=make_store
                    )
                )
            )
        yield Machines(*made)


async def begun(
    machines: Machines, upstream: Upstream, path: bytes
) -> tuple[Peer, Peer, bytes]:
    """A stream with one event, asked for at some worker: client, upstream, ID."""
    client, peer = await machines.one[0].begin(upstream, ask(path))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    await expect(client, numbered(id, 1, b"one"))
    await in_store(machines.one[machines.owner()])
    return client, peer, id


@pytest.mark.parametrize("path", [b"/%d" % number for number in range(4)])
async def test_all_workers_find_a_stream_by_its_ids(
    machines: Machines, upstream: Upstream, path: bytes
) -> None:
    """Whichever worker of three has it, also one that the other machine has not."""
    _, peer, id = await begun(machines, upstream, path)
    last = f"{id.decode()}.1"
    clients = [await get(each, path, Last_Event_ID=last) for each in machines.all]
    await peer.send(chunk(b"data: two\n\n"))
    for client in clients:
        await expect(client, numbered(id, 2, b"two"))
    assert len(machines.following) == 1  # for both workers of that machine
    # By its address as well.
    for each in machines.all:
        client = await get(each, ADDRESS + id, Last_Event_ID=last)
        await expect(client, numbered(id, 2, b"two"))
        clients.append(client)
    await peer.send(chunk(b""))
    for client in clients:
        assert await client.read_chunk() == b""
    assert upstream.unexpected == 0


@pytest.mark.parametrize("path", [b"/%d" % number for number in range(3)])
@pytest.mark.parametrize("at", [0, 1])
async def test_any_worker_stops_a_stream_of_another_machine(
    machines: Machines, upstream: Upstream, path: bytes, at: int
) -> None:
    client, peer, id = await begun(machines, upstream, path)
    other = await machines.two[at].client()
    await other.send(b"DELETE %b%b HTTP/1.1\r\nHost: a\r\n\r\n" % (ADDRESS, id))
    assert (await other.read_head()).startswith(b"HTTP/1.1 204 ")
    await peer.closed()
    await client.read_to_close()


@pytest.mark.parametrize("options", [KEYED], indirect=True)
async def test_a_key_is_known_to_all_workers_of_all_machines(
    machines: Machines, upstream: Upstream
) -> None:
    client, peer = await machines.one[2].begin(upstream, CHAT)
    await peer.read(len(b'{"id": "c1"}'))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    await in_store(machines.one[machines.owner()])
    readers = []
    for each in machines.all:
        readers.append(await get(each, b"/chat/c1/stream"))
        await expect(readers[-1], numbered(id, 1, b"one"))
    assert len(machines.following) == 1
    # A new one takes its place, wherever it begins; who reads the old one reads on.
    second, newer = await machines.two[0].begin(upstream, CHAT)
    await newer.read(len(b'{"id": "c1"}'))
    await newer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n"))
    await second.read_head()
    new = stream_id(second)
    await peer.send(chunk(b"data: two\n\n") + chunk(b""))
    for reader in readers:
        await expect(reader, numbered(id, 2, b"two"))
        assert await reader.read_chunk() == b""
    for running in machines.two.running:
        await in_store(running)
    for each in machines.all:
        reader = await get(each, b"/chat/c1/stream")
        await expect(reader, numbered(new, 1, b"new"))
    # And any worker ends it, of whichever machine.
    stop = post(b"/chat/c1/stop", b"{}")
    stopper, asked = await machines.one[1].begin(upstream, stop)
    await asked.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await stopper.read_head()).startswith(b"HTTP/1.1 204 ")
    await newer.closed()


async def test_repeated_posts_at_all_workers_are_one_request(
    machines: Machines, upstream: Upstream
) -> None:
    request = post(b"/x", b"{}", Idempotency_Key="k")
    clients = [await each.client() for each in machines.all]
    for client in clients:
        await client.send(request)
    peer = await upstream.request()
    await peer.read(2)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n") + chunk(b""))
    heads = [await client.read_head() for client in clients]
    assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
    for client in clients:
        await expect(client, b"data: one\n\n")
        assert await client.read_chunk() == b""
    assert len({stream_id(client) for client in clients}) == 1
    assert upstream.unexpected == 0


@pytest.mark.parametrize("options", [SHARED], indirect=True)
async def test_one_upstream_stream_is_shared_by_all_workers(
    machines: Machines, upstream: Upstream
) -> None:
    first, peer = await machines.one[1].begin(upstream, ask(b"/feed"))
    await peer.send(EVENT_HEAD % b"")
    await first.read_head()
    clients = [first, *[await sent(each, ask(b"/feed")) for each in machines.all]]
    await peer.send(chunk(b"data: one\n\n"))
    for client in clients:
        await expect(client, b"data: one\n\n")
    assert len(machines.following) == 1
    for client in clients[:-1]:
        client.close()
    await peer.send(chunk(b"data: two\n\n"))
    await expect(clients[-1], b"data: two\n\n")
    clients[-1].close()
    await peer.closed()
    assert upstream.unexpected == 0


@pytest.mark.parametrize("path", [b"/%d" % number for number in range(3)])
async def test_a_worker_that_dies_is_replaced_by_one_of_another_machine(
    machines: Machines, upstream: Upstream, path: bytes
) -> None:
    """Clients of its neighbours find it there, and so do those that come later."""
    first, peer = await machines.one[0].begin(upstream, ask(path))
    await peer.send(EVENT_HEAD % b"" + chunk(theirs(1)) + chunk(theirs(2)))
    await first.read_head()
    await expect(first, theirs(1) + theirs(2))
    owner = machines.owner()
    await in_store(machines.one[owner])
    there = [await get(each, path, Last_Event_ID="1") for each in machines.two.running]
    here = [
        await get(each, path, Last_Event_ID="1")
        for number, each in enumerate(machines.one.running)
        if number != owner
    ]
    for client in (*there, *here):
        await expect(client, theirs(2))
    await machines.one.kill(owner)
    for client in here:  # they were handed over to it
        await client.read_to_close()
    again = await goes_on(upstream, b"2")
    await again.send(chunk(theirs(3)))
    for client in there:
        await expect(client, theirs(3))
    await machines.one.replace(owner)
    back = [
        await get(each, path, Last_Event_ID="2") for each in machines.one.running[:3]
    ]
    for client in back:
        await expect(client, theirs(3))
    await again.send(chunk(b""))
    for client in (*there, *back):
        assert await client.read_chunk() == b""
    assert upstream.unexpected == 0


async def test_the_worker_that_follows_dies_and_another_one_does(
    machines: Machines, upstream: Upstream
) -> None:
    _, peer, id = await begun(machines, upstream, b"/0")
    last = f"{id.decode()}.1"
    clients = [
        await get(each, b"/0", Last_Event_ID=last) for each in machines.two.running
    ]
    (following,) = machines.following
    (worker,) = (
        number
        for number, each in enumerate(machines.two.running)
        if following in each.server.kept.streams.values()
    )
    await machines.two.kill(worker)
    for client in clients:
        await client.read_to_close()
    await peer.send(chunk(b"data: two\n\n"))
    again = await get(machines.two[1 - worker], b"/0", Last_Event_ID=last)
    await expect(again, numbered(id, 2, b"two"))
    await machines.two.replace(worker)
    late = await get(machines.two[worker], b"/0", Last_Event_ID=last)
    await expect(late, numbered(id, 2, b"two"))
    await peer.send(chunk(b""))
    for client in (again, late):
        assert await client.read_chunk() == b""
    assert upstream.unexpected == 0


async def test_all_workers_of_a_machine_may_drain(
    machines: Machines, upstream: Upstream, clock: ManualClock
) -> None:
    """Clients go on at the other machine; the upstream is read to its end."""
    first, peer, id = await begun(machines, upstream, b"/0")
    drains = [running.drain(60) for running in machines.one.running]
    await became(lambda: all(each.server.draining for each in machines.one.running))
    for _ in range(31):
        clock.advance(1)
        for running in machines.one.running:
            running.tick()
    assert await first.read_chunk() == b""
    last = f"{id.decode()}.1"
    clients = [
        await get(each, b"/0", Last_Event_ID=last) for each in machines.two.running
    ]
    await peer.send(chunk(b"data: two\n\n") + chunk(b""))
    for client in clients:
        await expect(client, numbered(id, 2, b"two"))
        assert await client.read_chunk() == b""
    for running in machines.one.running:
        clock.advance(1)
        running.tick()
    assert await asyncio.gather(*drains) == [0, 0, 0]
    endings = [(await each.ended()).ending for each in machines.two.running]
    assert endings == [Ending.COMPLETE, Ending.COMPLETE]
