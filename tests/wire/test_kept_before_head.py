"""A kept or shared stream before its head is here: who waits, leaves, is declined."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, post, stream_id
from tests.support.messages import OK
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
KEY = {
    "key": "body:id",
    "path": "/chat/{key}/stream",
    "stop": "/chat/{key}/stop",
    "bind": [],
}


async def sharing(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url, "share": True}}, clock=clock)


async def two_that_share(
    running: RunningProxy, upstream: Upstream
) -> tuple[Peer, Peer, Peer]:
    """Both wait for the head: the first, the second, and their upstream."""
    first, peer = await running.begin(upstream, ask())
    second = await running.client()
    await second.send(ask())
    await became(lambda: running.server.kept.counts.shared == 1)
    return first, second, peer


async def test_who_asks_alone_after_all_takes_the_upstream_along_when_it_leaves(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await sharing(proxy, upstream, clock)
    first, second, peer = await two_that_share(running, upstream)
    await peer.send(OK)
    assert (await first.read_head()).startswith(b"HTTP/1.1 200 ")
    alone = await upstream.request()
    second.reset()
    await alone.closed()
    assert {(await running.ended()).ending for _ in range(2)} == {
        Ending.COMPLETE,
        Ending.CLIENT_LEFT,
    }


@pytest.mark.parametrize("answer", [OK, NO_CONTENT], ids=["200", "204"])
async def test_an_answer_that_is_not_kept_ends_when_its_client_has_left(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, answer: bytes
) -> None:
    table = {"target": upstream.url, "resume": True}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, ask())
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await peer.send(answer)
    await peer.closed()
    assert not running.server.ticker.waiting
    assert running.server.compiled.upstreams
    assert all(each.open == 0 for each in running.server.compiled.upstreams)
    assert not running.server.kept.unread  # nor does it count any more


async def test_the_client_for_whom_it_was_asked_counts_while_others_come_and_go(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": KEY}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, post(b"/chat", b'{"id": "c1"}'))
    await peer.read(len(b'{"id": "c1"}'))
    page = await running.client()
    await page.send(ask(b"/chat/c1/stream"))
    await became(lambda: bool(running.server.kept.counts.resumed))
    page.close()
    await running.ended()
    clock.advance(61)
    running.tick()
    again = await running.client()
    await again.send(ask(b"/chat/c1/stream"))
    await became(lambda: running.server.kept.counts.resumed["key"] == 2)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    for each in (client, again):
        assert (await each.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await each.read_chunk() == b"data: one\n\n"


async def test_a_stop_closes_a_stream_that_nobody_waits_for(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": True}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, ask())
    client.close()
    await running.ended()
    await running.stop()
    await peer.closed()
    assert not running.server.ticker.waiting


async def test_those_who_wait_learn_how_the_upstream_failed(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await sharing(proxy, upstream, clock)
    first, second, peer = await two_that_share(running, upstream)
    peer.close()
    for each in (first, second):
        assert (await each.read_head()).startswith(b"HTTP/1.1 502 ")


async def test_those_who_wait_get_the_stream_though_the_one_who_asked_has_left(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await sharing(proxy, upstream, clock)
    first, second, peer = await two_that_share(running, upstream)
    first.reset()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await idle()
    assert upstream.unexpected == 0
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await second.read_head()
    assert await second.read_chunk() == b"data: one\n\n"
    second.close()
    await peer.closed()


async def test_streams_that_nobody_reads_make_room_for_requests(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": True}
    running = await proxy({"/": table}, clock=clock, server={"max_exchanges": 2})
    peers, id = [], b""
    for _ in range(2):
        client, peer = await running.begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        await client.read_chunk()
        id = stream_id(client)
        client.close()
        await running.ended()
        peers.append(peer)
    # Whoever comes back for one takes the place of nobody.
    again = await running.client()
    await again.send(ask(Last_Event_ID=f"{id.decode()}.1"))
    await again.read_head()
    assert len(running.server.kept.streams) == 2
    await running.begin(upstream, ask())
    await peers[0].closed()
    await peers[1].send(chunk(b"data: two\n\n"))
    assert (await again.read_chunk()).startswith(b"data: two\n")
