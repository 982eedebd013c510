"""Streams in the store: what one node writes, another one reads."""

from __future__ import annotations

import asyncio

from proxy.kept.redis.log_reader import MOST_NEW, MOST_NEW_ENTRIES
from proxy.kept.shared_store import Following, StoredStream, StreamEnd
from tests.redis.conftest import StartNode
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.store_nodes import NotedFeed, eventually, meta_of

pytestmark = needs_redis

ID = b"0-0123456789abcdef0123456789abcdef"
OTHER_ID = b"0-1123456789abcdef0123456789abcdef"


async def test_a_stream_is_read_by_another_node(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"before")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.content == written.content)
    assert feed.metas == [meta_of(ID)]
    assert feed.first == (0, True)
    for number in range(50):
        written.event(b"event %d" % number)
        await eventually(lambda: feed.content == written.content)
    written.end()
    await eventually(lambda: feed.told)
    assert feed.told == [StreamEnd("complete")]
    await eventually(lambda: one.store.state().owned == 0)
    assert other.store.state().followed == 0
    assert (await other.store.find(ID)) == StoredStream(
        meta_of(ID), one.store.node, 1, "complete", True
    )


async def test_an_ended_stream_is_read_from_its_beginning_and_from_inside(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    for number in range(20):
        written.event(b"event %d" % number)
        await eventually(lambda: not one.store.state().unwritten)
    written.end()
    await eventually(lambda: one.store.state().owned == 0)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.content == written.content
    for position in range(0, len(written.content) + 1, 7):
        part, _ = other.follow(ID, position)
        await eventually(lambda part=part: part.told)  # type: ignore[misc]
        assert part.content == written.content[position:]
        assert part.told == [StreamEnd("complete")]


async def test_a_stream_is_read_from_the_entry_on_whose_event_its_reader_has(
    server: RedisServer, start_node: StartNode
) -> None:
    """Each event is two entries: the second one begins inside of it."""
    one, other = await start_node(server.url), await start_node(server.url)
    written, last = one.own(ID), 40
    for number in range(last):
        for part in (b"data: %d\n" % number, b"data: more\n\n"):
            written.send(part)
            await eventually(lambda: not one.store.state().unwritten)
    written.end()
    await eventually(lambda: one.store.state().owned == 0)
    for event in (0, 1, 2, 17, last - 1, last, last + 1, 10**6):
        feed, _ = other.follow(ID, behind=event)
        await eventually(lambda feed=feed: feed.told)  # type: ignore[misc]
        events = min(event, last - 1)
        assert feed.first == (events, True)
        assert feed.begin is not None
        assert written.content[: feed.begin].count(b"\n\n") == events
        assert feed.content == written.content[feed.begin :]
        assert feed.told == [StreamEnd("complete")]


async def test_all_is_written_of_a_stream_whose_log_closes_at_once(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"all of it")
    written.end()
    written.log.close()
    await eventually(lambda: one.store.state().owned == 0)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.content == written.content
    assert feed.told == [StreamEnd("complete")]


async def test_pieces_that_come_together_are_one_entry(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    written = one.own(ID)
    for number in range(100):
        written.event(b"event %d" % number)
    await eventually(lambda: not one.store.state().unwritten)
    [key] = [key for key in keys(server) if b":log:" in key]
    assert server.do("XLEN", key) == 2  # where it begins, and all of it


async def test_the_store_holds_no_more_of_a_stream_than_its_log_does(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID, most=64 * 1024)
    for number in range(400):
        written.event(b"%d %b" % (number, b"x" * 1000))
        if number % 10 == 0:
            await eventually(lambda: not one.store.state().unwritten)
    await eventually(lambda: not one.store.state().unwritten)
    [key] = [key for key in keys(server) if b":log:" in key]
    assert server.do("MEMORY", "USAGE", key) < 200 * 1024
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.end == len(written.content))
    begin = feed.begin
    assert begin is not None
    assert begin > 0
    assert feed.content == written.content[begin:]
    events = written.content[:begin].count(b"\n\n")
    assert feed.first == (events, True)


async def test_a_long_log_is_written_in_parts_that_end_at_events(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    for number in range(3000):
        written.event(b"%d %b" % (number, b"x" * 1000))
    await eventually(lambda: not one.store.state().unwritten)
    assert entries_begin_at_cuts(server)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.content == written.content)


async def test_who_is_first_to_follow_is_the_first_to_have_all(
    server: RedisServer, start_node: StartNode
) -> None:
    """Many who come back in one moment: in turns, each would wait for all."""
    one, other = await start_node(server.url), await start_node(server.url)
    written = [one.own(b"0-%032x" % number) for number in range(3 * MOST_NEW)]
    for number in range(MOST_NEW_ENTRIES // MOST_NEW + 4):  # more than one read takes
        for each in written:
            each.event(b"event %d" % number)
        await eventually(lambda: not one.store.state().unwritten)
    feeds, followings = list[NotedFeed](), list[Following]()
    begun, behind = list[int](), list[int]()  # whenever one has all

    class CountingFeed(NotedFeed):
        def caught_up(self) -> None:
            super().caught_up()
            begun.append(sum(bool(each.content) for each in feeds))
            behind.append(sum(each.is_behind for each in followings))

    for each in written:
        feeds.append(CountingFeed())
        followings.append(other.store.follow(each.id, None, feeds[-1]))
    await eventually(lambda: len(begun) == len(feeds))
    assert begun[0] == MOST_NEW
    assert behind[0] >= len(feeds) - MOST_NEW
    await eventually(lambda: not any(each.is_behind for each in followings))
    assert [each.content for each in feeds] == [each.content for each in written]


async def test_what_one_read_finds_is_told_as_one_piece(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    for number in range(10):
        written.event(b"event %d" % number)
        await eventually(lambda: not one.store.state().unwritten)
    written.end()
    await eventually(lambda: one.store.state().owned == 0)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.content == written.content
    assert (feed.pieces, feed.first) == (1, (0, True))


async def test_an_event_that_is_longer_than_an_entry_is_written(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"x" * 1_000_000)
    written.event(b"short")
    await eventually(lambda: one.store.state().written == len(written.content))
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.content == written.content)


async def test_a_stream_that_is_not_there_is_not_found(
    server: RedisServer, start_node: StartNode
) -> None:
    node = await start_node(server.url)
    assert await node.store.find(ID) is None
    feed, _ = node.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.told == [("damaged", "it is not in the store")]


async def test_nothing_of_a_dropped_stream_is_left(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    one.store.name(ID, "key", "/sse", b"chat 7", b"who", 60)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.content and written.by.readers == [1])
    written.stream.drop()
    await eventually(lambda: feed.told == ["declined"])
    assert await other.store.find(ID) is None
    await eventually(lambda: not [key for key in keys(server) if b"name:" in key])


async def test_a_change_is_told(server: RedisServer, start_node: StartNode) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID, ours=False)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = other.follow(ID, 0)
    await eventually(lambda: feed.content)
    changed = meta_of(ID, ours=False)._replace(numbered=False)
    written.stream.update(changed)
    await eventually(lambda: len(feed.metas) == 2)
    assert feed.metas[1] == changed


async def test_the_owner_knows_how_many_nodes_follow(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    third = await start_node(server.url)
    written = one.own(ID)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    _, following = other.follow(ID)
    _, again = other.follow(ID)
    await eventually(lambda: written.stream.readers == 1)
    third.follow(ID)
    await eventually(lambda: written.stream.readers == 2)
    following.close()
    again.close()
    again.close()
    await eventually(lambda: written.stream.readers == 1)
    assert written.by.readers == [1, 2, 1]


async def test_a_stop_reaches_the_owner_once(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    other.store.stop(ID)
    await eventually(lambda: written.by.stops)
    other.store.stop(ID)
    await one.store.writer.refresh(0.0)  # it is noted there, too
    assert written.by.stops == 1


async def test_a_stop_that_no_message_told_is_found(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    written = one.own(ID)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    [key] = [key for key in keys(server) if b":meta" in key]
    server.do("HSET", key, "stop", "1")
    await one.store.writer.refresh(0.0)
    assert written.by.stops == 1


async def test_what_runs_stays_and_what_has_ended_expires(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    written = one.own(ID)
    written.event(b"x")
    await eventually(lambda: not one.store.state().unwritten)
    found = [key for key in keys(server) if b"{" in key]
    assert len(found) == 2
    for key in found:
        assert 60_000 < server.do("PTTL", key) <= 120_000
        server.do("PEXPIRE", key, 5000)
    await one.store.writer.refresh(0.0)
    for key in found:
        assert 60_000 < server.do("PTTL", key) <= 120_000
    written.stream.end(StreamEnd("complete"), 30)
    await eventually(lambda: one.store.state().owned == 0)
    for key in found:
        assert 25_000 < server.do("PTTL", key) <= 30_000


async def test_all_keys_of_a_stream_have_one_slot_and_begin_with_the_prefix(
    server: RedisServer, start_node: StartNode
) -> None:
    node = await start_node(server.url, prefix="my.app")
    node.own(ID).event(b"x")
    await eventually(lambda: not node.store.state().unwritten)
    found = keys(server)
    assert all(key.startswith(b"my.app:") for key in found)
    tags = {key.partition(b"{")[2].partition(b"}")[0] for key in found if b"{" in key}
    assert len(tags) == 1


async def test_what_is_closed_is_written(
    server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node(server.url), await start_node(server.url)
    written = one.own(ID)
    written.event(b"x")
    written.end()
    one.store.name(ID, "key", "/sse", b"chat 7", b"who", 60)
    await one.store.close()
    feed, _ = other.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.content == written.content
    assert await other.store.find_name("key", "/sse", b"chat 7", b"who") == [ID]


async def test_many_questions_take_few_connections(
    server: RedisServer, start_node: StartNode
) -> None:
    node = await start_node(server.url)
    node.own(ID).event(b"x")
    await eventually(lambda: not node.store.state().unwritten)
    before = server.do("INFO", "stats")["total_connections_received"]
    found = await asyncio.gather(*(node.store.find(ID) for _ in range(2000)))
    assert all(each is not None and each.alive for each in found)
    stats = server.do("INFO", "stats")
    assert stats["total_connections_received"] - before < 10


def keys(server: RedisServer) -> list[bytes]:
    """All there are."""
    found: list[bytes] = server.do("KEYS", "*")
    return found


def entries_begin_at_cuts(server: RedisServer) -> bool:
    """Does every entry of the only log say so?"""
    [key] = [key for key in keys(server) if b":log:" in key]
    entries = server.do("XRANGE", key, "-", "+")
    return len(entries) > 10 and all(fields[b"c"] == b"1" for _, fields in entries)
