"""Streams of other processes, as the inspector and the metrics tell of them."""

from __future__ import annotations

import pytest

from tests.support.looking import looking
from tests.support.nodes import Nodes
from tests.support.raw import Upstream, became, chunk
from tests.support.shared_streams import (
    StartNodes,
    begun,
    begun_with_ids,
    expect,
    followed,
    get,
    goes_on,
    keeping,
    numbered,
    theirs,
)
from tests.wire.test_metrics import scrape, value

pytestmark = pytest.mark.any_loop


async def told(nodes: Nodes, number: int) -> tuple[object, ...]:
    """Of the only stream of a node: state, whether it is followed, readers; metrics."""
    running = nodes[number]
    async with looking(running) as feed:
        (stream,) = (await feed.next("streams"))["streams"]
    samples = await scrape(running)
    states = [
        dict(labels)["state"]
        for (name, labels), count in samples.items()
        if name == "unbuffered_kept_streams" and count
    ]
    return (
        stream["followed"],
        stream["readers"],
        value(samples, "kept_followed_streams", route="/"),
        value(samples, "kept_readers", route="/"),
        states,
    )


async def test_who_reads_a_stream_and_whose_it_is_can_be_seen(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        client, peer, id = await begun(each[0], upstream)
        assert await told(each, 0) == (False, 0, 0, 0, ["running"])
        last = f"{id.decode()}.1"
        readers = [await get(each[n], b"/", Last_Event_ID=last) for n in (1, 2)]
        (stream,) = each[0].server.kept.streams.values()
        await became(lambda: stream.readers == 2)
        assert await told(each, 0) == (False, 2, 0, 2, ["running"])
        assert await told(each, 1) == (True, 0, 1, 0, ["running"])
        # Its last client here leaves; those of others keep it running.
        client.close()
        await each[0].ended()
        assert await told(each, 0) == (False, 2, 0, 2, ["running"])
        readers[0].close()
        readers[1].close()
        await became(lambda: stream.readers == 0)
        assert await told(each, 0) == (False, 0, 0, 0, ["without client"])
        last = f"{id.decode()}.1"
        again = await get(each[1], b"/", Last_Event_ID=last)
        await peer.send(chunk(b"data: two\n\n") + chunk(b""))
        await expect(again, numbered(id, 2, b"two"))
        assert await again.read_chunk() == b""


async def test_what_was_taken_up_is_a_stream_of_this_process(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        await begun_with_ids(both, upstream)
        second = await get(both[1], b"/", Last_Event_ID="1")
        await expect(second, theirs(2))
        assert (await told(both, 1))[0] is True
        await both.kill(0)
        peer = await goes_on(upstream, b"2")
        assert not [each for each in followed(both[1]) if not each.taken]
        assert await told(both, 1) == (False, 0, 0, 0, ["running"])
        await peer.send(chunk(theirs(3)) + chunk(b""))
        await expect(second, theirs(3))
        assert await second.read_chunk() == b""
