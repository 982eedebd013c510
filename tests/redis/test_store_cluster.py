"""The same with a cluster: nothing but where things are is different."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from proxy.kept.shared_store import StreamEnd
from tests.redis.conftest import StartNode
from tests.support.redis_server import RedisCluster, needs_redis
from tests.support.store_nodes import NotedOwner, Written, eventually

# redis-py's client of a cluster leaves connections of nodes that are gone to the
# collector, which complains: here, and not in the tests of the next file.
pytestmark = [
    *needs_redis,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


IDS = [b"%d-0123456789abcdef0123456789abcdef" % number for number in range(30)]


@pytest.fixture(scope="module")
def cluster(program: str) -> Iterator[RedisCluster]:
    with RedisCluster(program=program) as cluster:
        yield cluster


async def test_streams_are_shared_by_a_cluster(
    cluster: RedisCluster, start_node: StartNode
) -> None:
    """One node knows all three by the first, the other by the last."""
    one = await start_node(cluster.url, prefix="a")
    two = await start_node(cluster.primaries[2].url, prefix="a")
    all_written = [one.own(id) for id in IDS]
    for written in all_written:
        written.event(b"before")
    await eventually(lambda: not one.store.state().unwritten)
    feeds = [two.follow(id)[0] for id in IDS]
    for number in range(20):
        for written in all_written:
            written.event(b"event %d" % number)
        await asyncio.sleep(0)
    for feed, written in zip(feeds, all_written, strict=True):
        await eventually(lambda f=feed, w=written: f.content == w.content)  # type: ignore[misc]
        written.end()
    for feed in feeds:
        await eventually(lambda feed=feed: feed.told)  # type: ignore[misc]
        assert feed.told == [StreamEnd("complete")]
    for each in cluster.primaries:
        assert each.do("DBSIZE") > 5
    assert one.store.state().outages == two.store.state().outages == 0


async def test_names_messages_and_notes_pass_through_a_cluster(
    cluster: RedisCluster, start_node: StartNode
) -> None:
    one = await start_node(cluster.url, prefix="b")
    two = await start_node(cluster.primaries[1].url, prefix="b")
    for id in IDS[:10]:
        one.store.name(id, "key", "/sse", id, b"who", 60)
        assert await one.store.elect("group", "/sse", id, b"who", id) == id
        one.store.remember("session", id, id, 60)
    await eventually(
        lambda: not one.store.names.writing.task and not one.store.notes.writing.task
    )
    for id in IDS[:10]:
        assert await two.store.find_name("key", "/sse", id, b"who") == [id]
        assert await two.store.elect("group", "/sse", id, b"who", b"x") == id
        assert await two.store.recall("session", id) == id
    by = NotedOwner()
    one.store.announce(IDS[0], by)
    await eventually(lambda: not one.store.announced.writing.task)
    two.store.stop(IDS[0])
    await eventually(lambda: by.stops)


async def test_a_stream_is_taken_up_in_a_cluster(
    cluster: RedisCluster, start_node: StartNode
) -> None:
    one = await start_node(cluster.url, prefix="c")
    two = await start_node(cluster.url, prefix="c")
    written = one.own(IDS[0], ours=False)
    written.send(b"id: 1\ndata: x\n\n")
    await eventually(lambda: one.store.state().written)
    feed, _ = two.follow(IDS[0])
    await eventually(lambda: feed.content)
    one.kill()
    await eventually(lambda: feed.told == [("died", 1)])
    assert await two.store.claim(IDS[0], 1) == len(written.content)
    second = Written(two, IDS[0], ours=False, most=1 << 20, epoch=2)
    second.send(bytes(feed.content))
    second.begin()
    second.send(b"id: 2\ndata: y\n\n")
    late, _ = two.follow(IDS[0])
    await eventually(lambda: late.content == second.content)


async def test_a_fail_over_is_a_short_outage(
    program: str, start_node: StartNode
) -> None:
    with RedisCluster(replicas=True, program=program) as cluster:
        one = await start_node(cluster.primaries[1].url)
        two = await start_node(cluster.primaries[2].url)
        all_written = [one.own(id) for id in IDS]
        for written in all_written:
            written.event(b"before")
        await eventually(lambda: not one.store.state().unwritten)
        feeds = [two.follow(id)[0] for id in IDS]
        for feed, written in zip(feeds, all_written, strict=True):
            await eventually(lambda f=feed, w=written: f.content == w.content)  # type: ignore[misc]
        cluster.primaries[0].kill()
        for written in all_written:
            written.event(b"meanwhile")
        for feed, written in zip(feeds, all_written, strict=True):
            await eventually(lambda f=feed, w=written: f.content == w.content)  # type: ignore[misc]
            assert feed.told == []
