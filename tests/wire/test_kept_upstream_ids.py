"""Streams whose upstream numbers their events, often each of them from 1 on."""

from __future__ import annotations

import pytest

from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, post
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import RunningProxy


def event(number: int, text: bytes) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (number, text)


async def keeping(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url, "resume": True}}, clock=clock)


async def begun(
    running: RunningProxy, upstream: Upstream, request: bytes, text: bytes
) -> tuple[Peer, Peer]:
    """A client that has two events of a stream, and the upstream."""
    client, peer = await running.begin(upstream, request)
    if request.endswith(b"}"):
        await peer.read(len(request.partition(b"\r\n\r\n")[2]))
    both = event(1, text) + event(2, text)
    await peer.send(EVENT_HEAD % b"" + chunk(both))
    await client.read_head()
    assert await client.read_chunk() == both
    return client, peer


async def left(running: RunningProxy, client: Peer) -> None:
    client.close()
    await running.ended()


async def test_an_answer_is_not_gone_on_with_by_another_one(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Both questions are as long as each other."""
    running = await keeping(proxy, upstream, clock)
    first, _ = await begun(running, upstream, post(b"/", b'{"q": "a"}'), b"a")
    second, _ = await begun(running, upstream, post(b"/", b'{"q": "b"}'), b"b")
    await left(running, first)
    # Only one of them has lost its client.
    again = await running.client()
    request = post(b"/", b'{"q": "a"}', Last_Event_ID="1")
    await again.send(request)
    await again.read_head()
    assert await again.read_chunk() == event(2, b"a")
    await left(running, again)
    # Both have: it is not certain which one is meant.
    await left(running, second)
    _, third = await running.begin(upstream, request)
    assert b"\r\nlast-event-id: 1\r\n" in third.head.lower()


@pytest.mark.parametrize("body", [b'{"q": "longer"}', b""])
async def test_another_question_is_another_answer(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, body: bytes
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, _ = await begun(running, upstream, post(b"/", b'{"q": "a"}'), b"a")
    await left(running, client)
    _, peer = await running.begin(upstream, post(b"/", body, Last_Event_ID="1"))
    assert b"\r\nlast-event-id: 1\r\n" in peer.head.lower()


async def test_what_a_get_names_has_the_same_ids_in_each_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    first, peer = await begun(running, upstream, ask(b"/feed"), b"x")
    await begun(running, upstream, ask(b"/feed"), b"x")
    await left(running, first)
    await peer.send(chunk(event(3, b"x")))
    again = await running.client()
    await again.send(ask(b"/feed", Last_Event_ID="2"))
    await again.read_head()
    assert await again.read_chunk() == event(3, b"x")
    assert upstream.unexpected == 0


async def test_mcp_takes_the_stream_of_a_post_up_by_get(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    session = {"Mcp_Session_Id": "s1", "Mcp_Protocol_Version": "2025-11-25"}
    client, _ = await begun(running, upstream, post(b"/mcp", b"{}", **session), b"x")
    await left(running, client)
    again = await running.client()
    await again.send(ask(b"/mcp", Last_Event_ID="1", **session))
    await again.read_head()
    assert await again.read_chunk() == event(2, b"x")
    assert upstream.unexpected == 0
