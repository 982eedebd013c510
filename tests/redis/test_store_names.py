"""Names of streams over several nodes, elections, notes, and streams without a head."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.kept.redis.store_connection import Call, Message
from proxy.kept.redis.work_task import MOST
from proxy.kept.shared_store import StoredStream, StreamEnd
from tests.redis.conftest import StartNode
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.store_nodes import NotedOwner, StoreNode, eventually

pytestmark = needs_redis

ONE = b"0-0123456789abcdef0123456789abcdef"
TWO = b"1-0123456789abcdef0123456789abcdef"
KEY = ("key", "/sse", b"chat 7", b"who")
GROUP = ("group", "/sse", b"/sse?all", b"who")


async def named(node: StoreNode, key: tuple[str, str, bytes, bytes]) -> list[bytes]:
    """What has a name, once all changes of this node are written."""
    await eventually(lambda: not node.store.names.changes)
    await eventually(lambda: node.store.names.writing.task is None)
    return await node.store.find_name(*key)


async def test_the_streams_of_a_name_are_found_the_newest_last(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    assert await one.store.find_name(*KEY) == []
    one.store.name(ONE, *KEY, 60)
    assert await named(one, KEY) == [ONE]
    await asyncio.sleep(0.002)  # the server counts milliseconds
    two.store.name(TWO, *KEY, 60)
    assert await named(two, KEY) == [ONE, TWO]
    one.store.names.renew()
    assert await named(one, KEY) == [ONE, TWO]
    assert await one.store.find_name("key", "/sse", b"chat 7", b"other") == []
    one.store.unname(ONE, *KEY)
    assert await named(one, KEY) == [TWO]


async def test_a_newer_stream_takes_a_name_from_those_before_it(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    written = one.own(ONE)
    one.store.name(ONE, *KEY, 60)
    await named(one, KEY)
    await eventually(lambda: not one.store.writer.dirty and not one.store.writer.task)
    await asyncio.sleep(0.002)
    two.store.announce(TWO, NotedOwner())
    two.store.name(TWO, *KEY, 60)
    two.store.supersede(TWO, *KEY)
    await eventually(lambda: written.by.superseded_by)
    assert written.by.superseded_by == [KEY]
    one.store.names.renew()
    assert await named(one, KEY) == [TWO]


async def test_a_name_that_was_taken_without_a_message_is_not_given_again(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    written = one.own(ONE)
    one.store.name(ONE, *KEY, 60)
    await named(one, KEY)
    [key] = server.do("KEYS", "*:name:*")
    server.do("ZADD", key, "9999999999999", "somebody")
    server.do("ZREMRANGEBYRANK", key, 0, 0)
    one.store.names.renew()
    assert await named(one, KEY) == []
    assert written.by.superseded_by == [KEY]


async def test_one_of_many_is_elected(
    server: RedisServer, start_node: StartNode
) -> None:
    nodes = [await start_node(server.url) for _ in range(3)]
    ids = [b"%d-0123456789abcdef0123456789abcdef" % number for number in range(30)]
    winners = await asyncio.gather(
        *(nodes[n % 3].store.elect(*GROUP, id) for n, id in enumerate(ids))
    )
    assert len(set(winners)) == 1
    assert winners[0] in ids


async def test_a_name_of_one_is_free_when_it_is_given_back(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    assert await one.store.elect(*GROUP, ONE) == ONE
    assert await one.store.elect(*GROUP, ONE) == ONE
    assert await two.store.elect(*GROUP, TWO) == ONE
    two.store.unname(TWO, *GROUP)  # which it does not have
    one.store.unname(ONE, *GROUP)
    await named(one, GROUP)
    assert await two.store.elect(*GROUP, TWO) == TWO


async def test_a_dead_node_loses_what_it_was_elected_for(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    assert await one.store.elect(*GROUP, ONE) == ONE
    one.kill()
    await eventually(lambda: not server.do("KEYS", f"*:node:{one.store.node}"))
    assert await two.store.elect(*GROUP, TWO) == TWO


async def test_a_name_stays_with_a_stream_that_has_ended(
    server: RedisServer, start_node: StartNode
) -> None:
    """As that of an `Idempotency-Key`."""
    one, two = await start_node(server.url), await start_node(server.url)
    assert await one.store.elect(*GROUP, ONE) == ONE
    one.store.name(ONE, *GROUP, 30)
    written = one.own(ONE)
    written.event(b"x")
    written.end()
    await eventually(lambda: not one.store.state().owned)
    await named(one, GROUP)
    [key] = server.do("KEYS", "*:only:*")
    assert 25_000 < server.do("PTTL", key) <= 30_000
    one.kill()
    await eventually(lambda: not server.do("KEYS", f"*:node:{one.store.node}"))
    assert await two.store.elect(*GROUP, TWO) == ONE
    assert await two.store.find_name(*GROUP) == [ONE]


# -- before the head


async def test_who_waits_for_a_head_gets_all_of_the_stream(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    assert await one.store.elect(*GROUP, ONE) == ONE
    assert await two.store.elect(*GROUP, TWO) == ONE
    feed, _ = two.follow(ONE)
    await eventually(lambda: feed.caught_up_at == 0)
    by = NotedOwner()
    one.store.announce(ONE, by)
    two.store.stop(ONE)
    await eventually(lambda: by.readers == [1])
    written = one.own(ONE)
    written.event(b"x")
    await eventually(lambda: feed.content == written.content)
    assert written.stream.readers == 1
    assert feed.told == []


async def test_a_stream_without_a_head_is_found_and_stopped(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    by = NotedOwner()
    one.store.announce(ONE, by)
    await eventually(lambda: not one.store.announced.writing.task)
    found = await two.store.find(ONE)
    assert found == StoredStream(None, one.store.node, 1, "waiting", True)
    two.store.stop(ONE)
    await eventually(lambda: by.stops == 1)


async def test_who_waits_for_a_head_hears_that_it_does_not_come(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    by = NotedOwner()
    one.store.announce(ONE, by)
    await eventually(lambda: not one.store.announced.writing.task)
    feed, _ = two.follow(ONE)
    await eventually(lambda: by.readers == [1])
    one.store.renounce(ONE)
    await eventually(lambda: feed.told == ["declined"])
    await eventually(lambda: not one.store.announced.writing.task)
    assert await two.store.find(ONE) is None


async def test_who_waits_for_a_head_hears_that_its_node_has_died(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    one.store.announce(ONE, NotedOwner())
    await one.store.elect(*GROUP, TWO)
    await two.store.elect(*GROUP, b"2-x")
    await eventually(lambda: not one.store.announced.writing.task)
    announced, _ = two.follow(ONE)
    elected, _ = two.follow(TWO)
    await eventually(lambda: announced.caught_up_at == elected.caught_up_at == 0)
    one.kill()
    await eventually(lambda: announced.told and elected.told)
    assert announced.told == elected.told == [("died", 0)]


# -- notes


async def test_what_one_node_notes_another_one_reads(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    assert await two.store.recall("session", b"a") is None
    one.store.remember("session", b"a", b"first", 30)
    assert await one.store.recall("session", b"a") == b"first"
    one.store.remember("session", b"a", b"target 2", 30)
    await eventually(lambda: not one.store.notes.writing.task)
    assert await two.store.recall("session", b"a") == b"target 2"
    assert await two.store.recall("other", b"a") is None
    [key] = server.do("KEYS", "*:note:*")
    assert 25_000 < server.do("PTTL", key) <= 30_000
    assert b"target" not in server.everything()
    two.store.remember("session", b"a", b"", 0)
    await eventually(lambda: not two.store.notes.writing.task)
    assert await one.store.recall("session", b"a") is None


async def test_the_end_of_a_stream_without_a_name_changes_no_name(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    written = one.own(ONE)
    written.stream.end(StreamEnd("complete"), 60)
    await eventually(lambda: not one.store.state().owned)
    assert not server.do("KEYS", "*:name:*")


@pytest.mark.parametrize("what", ["names", "streams without a head"])
async def test_thousands_are_renewed_in_many_calls(
    server: RedisServer, start_node: StartNode, what: str
) -> None:
    """What is sealed for one call is sealed at once, and all clients wait for that."""
    node = await start_node(server.url)
    store, sizes = node.store, list[int]()
    ids = [b"0-%032x" % number for number in range(3 * MOST)]
    call = store.connection.call

    async def noted(
        calls: Sequence[Call], messages: Sequence[Message] = ()
    ) -> list[list[Any]]:
        sizes.append(sum(len(each.items) for each in calls))
        return await call(calls, messages)

    store.connection.call = noted  # type: ignore[method-assign]
    for id in ids:
        if what == "names":
            store.name(id, *KEY[:2], id, b"who", 60)
        else:
            store.announce(id, NotedOwner())
    work = store.names if what == "names" else store.announced
    for _ in range(2):
        await eventually(lambda: not work.changes and work.writing.task is None)
        store.names.renew()
        store.announced.announce_again()
    await eventually(lambda: not work.changes and work.writing.task is None)
    assert sum(sizes) >= 3 * len(ids)
    assert max(sizes) <= MOST


async def test_ten_thousand_changes_that_wait_lose_none(
    server: RedisServer, start_node: StartNode
) -> None:
    """Not even what no renewal would say again: that a name is taken, or stays."""
    node = await start_node(server.url)
    node.store.name(ONE, *KEY, 60)
    assert await named(node, KEY) == [ONE]
    keys = [("key", "/sse", b"%d" % number, b"who") for number in range(10_500)]
    for key in keys:
        node.store.name(TWO, *key, 60)
    node.store.unname(ONE, *KEY)
    node.store.names.ended(TWO)
    assert len(node.store.names.changes) == len(keys) + 1
    assert await named(node, KEY) == []
    for key in (keys[0], keys[-1]):
        assert await node.store.find_name(*key) == [TWO]
