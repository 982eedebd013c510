"""An upstream that numbers its events and breaks off is asked for the rest."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field, post, read_chunks
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import RunningProxy


def event(number: int) -> bytes:
    """An event with an id of the upstream."""
    return b"id: %d\ndata: %d\n\n" % (number, number)


async def begun(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    *,
    resume: object = True,
    **options: object,
) -> tuple[RunningProxy, Peer, Peer]:
    """A stream with one event that has an id."""
    table = {"target": upstream.url, "resume": resume, **options}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(event(1)))
    await client.read_head()
    assert await client.read_chunk() == event(1)
    return running, client, peer


async def test_clients_wait_and_get_the_rest(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, peer = await begun(proxy, upstream, clock)
    peer.close()
    peer = await upstream.request()
    assert field(peer.head, b"last-event-id") == b"1"
    # Its first event is held until its id is known: it may be one that was sent.
    await peer.send(EVENT_HEAD % b"" + chunk(b": ping\n\nid: 2\ndata"))
    await peer.send(chunk(b": 2\n\n") + chunk(event(3)))
    rest = b": ping\n\n" + event(2) + event(3)
    assert await read_chunks(client, len(rest)) == rest
    peer.reset()
    peer = await upstream.request()
    assert field(peer.head, b"last-event-id") == b"3"
    await peer.send(EVENT_HEAD % b"" + chunk(event(4)) + chunk(b""))
    assert await client.read_chunk() == event(4)
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_who_stands_inside_an_event_is_cut_and_comes_back_for_it(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, peer = await begun(proxy, upstream, clock)
    await peer.send(chunk(b"id: 2\ndata: tw"))
    assert await client.read_chunk() == b"id: 2\ndata: tw"
    peer.close()
    rest, _ = await client.read_to_close()
    assert not rest.endswith(chunk(b""))
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
    peer = await upstream.request()
    assert field(peer.head, b"last-event-id") == b"1"
    again = await running.client()
    await again.send(ask(Last_Event_ID="1"))
    await peer.send(EVENT_HEAD % b"" + chunk(event(2)) + chunk(b""))
    await again.read_head()
    assert await again.read_chunk() == event(2)
    assert await again.read_chunk() == b""
    assert upstream.unexpected == 0


async def test_an_upstream_that_says_that_there_is_no_more_ends_the_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, peer = await begun(proxy, upstream, clock)
    peer.close()
    peer = await upstream.request()
    await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("again", [event(1), b"id: 1\r\ndata: other\r\n\r\n"])
async def test_an_upstream_that_begins_anew_fails_the_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, again: bytes
) -> None:
    running, client, peer = await begun(proxy, upstream, clock)
    peer.close()
    peer = await upstream.request()
    await peer.send(EVENT_HEAD % b"" + chunk(again))
    rest, _ = await client.read_to_close()
    assert rest == b""
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert "resume_upstream" in str(timeline.error)
    await peer.closed()


async def test_attempts_are_bounded_by_connect_retry_seconds(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, peer = await begun(proxy, upstream, clock, connect_retry_seconds=5)
    peer.close()
    peer = await upstream.request()
    await peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    await running.waiting_for("upstream")
    clock.advance(1)
    running.tick()
    peer = await upstream.request()
    peer.close()
    await running.waiting_for("upstream")
    clock.advance(5)
    running.tick()
    peer = await upstream.request()
    peer.close()
    await client.read_to_close()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


@pytest.mark.parametrize(
    ("resume", "request_head", "first"),
    [
        ({"resume_upstream": False}, ask(), event(1)),
        (True, ask(), b"data: 1\n\n"),
        (True, post(b"/", b"{}", Accept="text/event-stream"), event(1)),
    ],
    ids=["off", "not numbered", "POST"],
)
async def test_another_stream_fails(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    resume: object,
    request_head: bytes,
    first: bytes,
) -> None:
    table = {"target": upstream.url, "resume": resume, "connect_retry_seconds": 5}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, request_head)
    await peer.send(EVENT_HEAD % b"" + chunk(first))
    await client.read_head()
    await client.read_chunk()
    peer.close()
    await client.read_to_close()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
    assert upstream.unexpected == 0


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r", b"\r\r", b"\r\n\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
async def test_the_rest_follows_whichever_line_end_the_upstream_broke_off_at(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, end: bytes, mark: bytes
) -> None:
    """An LF behind a CR is no line, and a mark behind an event is no mark."""
    _, client, peer = await begun(proxy, upstream, clock)
    second = b"id: 2\rdata: 2" + end
    await peer.send(chunk(second))
    await read_chunks(client, len(second))
    peer.close()
    peer = await upstream.request()
    assert field(peer.head, b"last-event-id") == b"2"
    await peer.send(EVENT_HEAD % b"" + chunk(mark + event(3)) + chunk(b""))
    rest = event(3) if end.endswith(b"\n") else b"\n" + event(3)
    assert await read_chunks(client, len(rest)) == rest
    assert await client.read_chunk() == b""
