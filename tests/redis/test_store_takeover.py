"""A stream whose owner dies, gives it up, or takes something of it back."""

from __future__ import annotations

import asyncio

import pytest

from proxy.kept.redis.claims import GIVE_BACK_SECONDS
from proxy.kept.redis.life import DOUBTFUL_MS
from proxy.kept.redis.store_connection import StoreFault
from proxy.kept.shared_store import StoreUnavailable, StreamEnd
from tests.redis.conftest import StartNode
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.store_nodes import (
    KEEP_SECONDS,
    NotedFeed,
    StoreNode,
    Written,
    eventually,
    meta_of,
)

pytestmark = needs_redis

ID = b"0-0123456789abcdef0123456789abcdef"


async def stream_of(node: StoreNode) -> Written:
    """A stream that is in the store, and whose upstream numbers its events."""
    written = node.own(ID, ours=False)
    for number in range(5):
        written.send(b"id: %d\ndata: x\n\n" % number)
    await eventually(lambda: not node.store.state().unwritten)
    return written


def take_up(node: StoreNode, feed: NotedFeed, epoch: int) -> Written:
    """Go on with a stream as its new owner, with what was read of it."""
    written = Written(node, ID, ours=False, most=1 << 20, epoch=epoch)
    written.send(bytes(feed.content))
    written.begin()
    return written


@pytest.mark.parametrize("way", ["died", "released"])
async def test_another_node_takes_a_stream_up(
    server: RedisServer, start_node: StartNode, way: str
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    three = await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    other, _ = three.follow(ID)
    await eventually(lambda: feed.content == other.content == first.content)
    await eventually(lambda: first.stream.readers == 2)
    if way == "died":
        one.kill()
    else:
        first.send(b"id: 5\ndata: the last\n\n")
        first.stream.release()
    await eventually(lambda: feed.told == other.told == [("died", 1)])
    assert feed.content == first.content
    end = await two.store.claim(ID, 1)
    assert end == len(first.content)
    assert two.store.state().followed == 0
    second = take_up(two, feed, 2)
    second.send(b"id: 9\ndata: more\n\n")
    await eventually(lambda: other.content == second.content)
    assert other.told == [("died", 1), ("moved", 2, end)]
    second.end()
    await eventually(lambda: other.told[-1] == StreamEnd("complete"))
    late, _ = three.follow(ID)
    await eventually(lambda: late.told)
    assert late.content == second.content
    found = await three.store.find(ID)
    assert found is not None
    assert (found.owner, found.epoch) == (two.store.node, 2)


async def test_only_one_node_takes_a_stream_up(
    server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node(server.url)
    others = [await start_node(server.url) for _ in range(4)]
    await stream_of(one)
    one.kill()
    ends = await asyncio.gather(*(each.store.claim(ID, 1) for each in others))
    assert sorted(end is not None for end in ends) == [False, False, False, True]
    for node, end in zip(others, ends, strict=True):  # asked again: the same
        assert await node.store.claim(ID, 1) == end


async def test_a_claim_whose_answer_is_lost_may_be_made_again(
    server: RedisServer, start_node: StartNode
) -> None:
    """A server that does not answer in time does later what it was asked."""
    one, two = await start_node(server.url), await start_node(server.url)
    three = await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    other, _ = three.follow(ID)
    await eventually(lambda: feed.content == other.content == first.content)
    one.kill()
    await eventually(lambda: feed.told == other.told == [("died", 1)])
    two.store.questions.seconds = 1.0
    server.do("CLIENT", "PAUSE", "1300", "ALL")
    with pytest.raises(StoreUnavailable):
        await two.store.claim(ID, 1)
    await eventually(lambda: server.do("PING"))
    # It is its own by now, and it is not told that another node has it.
    two.store.reader.look()
    await eventually(lambda: other.told[-1] == ("moved", 2, first.log.end))
    end = await two.store.claim(ID, 1)
    assert end == len(first.content) == feed.end
    assert set(feed.told) <= {("died", 1), ("back", 1)}
    second = take_up(two, feed, 2)
    second.send(b"id: 9\ndata: more\n\n")
    await eventually(lambda: other.content == second.content)
    assert two.store.state().taken == 1


async def test_what_was_claimed_and_is_not_begun_is_given_back(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    three = await start_node(server.url)
    first = await stream_of(one)
    feed, _ = three.follow(ID)
    await eventually(lambda: feed.content == first.content)
    one.kill()
    end = await two.store.claim(ID, 1)
    assert end is not None
    await eventually(lambda: feed.told == [("moved", 2, end)])
    now = asyncio.get_running_loop().time()
    await two.store.claims.give_back(now + GIVE_BACK_SECONDS - 1)
    assert two.store.claims.made
    await two.store.claims.give_back(now + GIVE_BACK_SECONDS + 1)
    assert not two.store.claims.made
    await eventually(lambda: feed.told[1:] == [("died", 2)])
    assert await three.store.claim(ID, 2) == end
    second = take_up(three, feed, 3)
    # Whoever has begun it has it for good.
    await three.store.claims.give_back(now + 2 * GIVE_BACK_SECONDS)
    second.send(b"id: 9\ndata: more\n\n")
    late, _ = two.follow(ID)
    await eventually(lambda: late.content == second.content)
    assert late.told == []


async def test_after_an_outage_a_dead_owner_is_told_again(
    server: RedisServer, start_node: StartNode
) -> None:
    """Nobody knows at first whether it is: it may only have been cut off, too."""
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == first.content)
    one.kill()
    await eventually(lambda: feed.told == [("died", 1)])
    two.store.failed(StoreFault("the connection was closed"))
    with pytest.raises(StoreUnavailable):
        await two.store.claim(ID, 1)
    await eventually(lambda: feed.told[1:] == [("back", 1), ("died", 1)])
    assert await two.store.claim(ID, 1) == len(first.content)


async def test_an_owner_that_is_back_is_not_told_to_be_dead_once_more(
    server: RedisServer, start_node: StartNode
) -> None:
    """What it writes may be read before the next look at all signs of life."""
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == first.content)
    for number in range(1, 4):
        one.kill()
        await eventually(lambda: feed.told[-1:] == [("died", 1)])
        await one.go_on()
        for _ in range(3):
            first.send(b"id: 5\ndata: x\n\n")
            await eventually(lambda: feed.content == first.content)
            two.store.reader.look()
            await eventually(lambda: two.store.reader.task is None)
        assert feed.told == [("died", 1), ("back", 1)] * number


async def test_who_takes_a_stream_up_has_read_all_of_it(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == first.content)
    first.send(b"id: 5\ndata: %b\n\n" % (b"x" * 300_000))
    await one.store.writer.write_all()
    end = await two.store.claim(ID, 1)
    assert end == len(first.content) == feed.end
    assert feed.content == first.content


async def test_the_old_owner_learns_that_another_node_has_its_stream(
    server: RedisServer, start_node: StartNode
) -> None:
    """As one whose machine was stopped for a while, and goes on."""
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == first.content)
    before = bytes(first.content)
    assert await two.store.claim(ID, 1) == len(before)
    second = take_up(two, feed, 2)
    first.send(b"id: 5\ndata: of the old one\n\n")
    await eventually(lambda: first.by.losses)
    second.send(b"id: 5\ndata: of the new one\n\n")
    first.send(b"id: 6\ndata: of the old one\n\n")
    late, _ = one.follow(ID)
    await eventually(lambda: late.content == second.content)
    assert first.by.losses == 1
    assert one.store.state().lost == 1
    assert (one.store.state().owned, two.store.state().taken) == (0, 1)
    [key] = server.do("KEYS", "*:log:*")
    assert key.endswith(b":log:2")


@pytest.mark.parametrize("followed", [True, False])
async def test_what_is_taken_back_is_taken_back_in_the_store(
    server: RedisServer, start_node: StartNode, followed: bool
) -> None:
    """As an event that the upstream has not completed, and sends again."""
    one, two = await start_node(server.url), await start_node(server.url)
    written = await stream_of(one)
    complete = len(written.content)
    written.send(b"id: 5\ndata: not compl")
    await eventually(lambda: not one.store.state().unwritten)
    feed = NotedFeed()
    if followed:
        feed, _ = two.follow(ID)
        await eventually(lambda: feed.content == written.content)
    assert written.log.roll_back() == complete
    del written.content[complete:]
    written.index.restart()
    written.send(b"id: 5\ndata: complete\n\n")
    if not followed:
        await eventually(lambda: not one.store.state().unwritten)
        feed, _ = two.follow(ID)
    await eventually(lambda: feed.content == written.content)
    assert feed.told == ([("moved", 2, complete)] if followed else [])
    written.send(b"id: 6\ndata: more\n\n")
    written.end()
    await eventually(lambda: feed.told[-1:] == [StreamEnd("complete")])
    assert feed.content == written.content


async def test_a_new_owner_takes_back_what_the_old_one_began(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    three = await start_node(server.url)
    first = await stream_of(one)
    complete = len(first.content)
    first.send(b"id: 5\ndata: not compl")
    await eventually(lambda: not one.store.state().unwritten)
    feed, _ = two.follow(ID)
    other, _ = three.follow(ID)
    await eventually(lambda: feed.content == other.content == first.content)
    one.kill()
    await eventually(lambda: feed.told)
    assert await two.store.claim(ID, 1) == len(first.content)
    second = Written(two, ID, ours=False, most=1 << 20, epoch=2)
    second.send(bytes(feed.content))
    second.begin()
    assert second.log.roll_back() == complete
    del second.content[complete:]
    second.index.restart()
    second.send(b"id: 5\ndata: complete\n\n")
    await eventually(lambda: other.content == second.content)
    assert other.told[-1] in (("moved", 2, complete), ("moved", 3, complete))
    late, _ = three.follow(ID)
    await eventually(lambda: late.content == second.content)


async def test_a_dead_owner_is_told_to_those_who_come_later(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    one.kill()
    await eventually(lambda: not server.do("KEYS", f"*:node:{one.store.node}"))
    found = await two.store.find(ID)
    assert found is not None
    assert found.meta == meta_of(ID, ours=False)
    assert (found.state, found.alive) == ("running", False)
    feed, _ = two.follow(ID)
    await eventually(lambda: feed.told)
    assert feed.caught_up_at == len(first.content)
    assert feed.told == [("died", 1)]


async def test_a_stream_that_has_ended_is_not_taken_up(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    written = await stream_of(one)
    written.stream.end(StreamEnd("error", "UpstreamTruncated", "x"), KEEP_SECONDS)
    await eventually(lambda: not one.store.state().owned)
    assert await two.store.claim(ID, 1) is None


async def test_who_comes_while_an_owner_is_in_doubt_waits_until_it_is_known(
    server: RedisServer, start_node: StartNode
) -> None:
    """Its last sign of life is there still, but two that should follow are not."""
    one, two = await start_node(server.url), await start_node(server.url)
    first = await stream_of(one)
    one.kill()
    server.do("PEXPIRE", f"unbuffered:node:{one.store.node}", DOUBTFUL_MS - 100)
    feed, following = two.follow(ID)
    await eventually(lambda: following.is_doubtful)
    assert feed.caught_up_at is None
    await eventually(lambda: feed.caught_up_at is not None)
    assert feed.told == [("died", 1)]
    assert feed.content == first.content


async def test_who_comes_while_an_owner_is_in_doubt_waits_no_longer_than_that(
    server: RedisServer, start_node: StartNode
) -> None:
    one, two = await start_node(server.url), await start_node(server.url)
    await stream_of(one)
    one.kill()
    server.do("PEXPIRE", f"unbuffered:node:{one.store.node}", DOUBTFUL_MS - 100)
    feed, following = two.follow(ID)
    await eventually(lambda: following.is_doubtful)
    await one.go_on()
    await eventually(lambda: feed.caught_up_at is not None)
    assert not following.is_doubtful
    assert set(feed.told) <= {("died", 1), ("back", 1)}
