"""A stream outlives its connection: it is kept, and taken up again."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field, post, read_chunks, stream_id
from tests.support.messages import OK
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.both_protocols

Resume = dict[str, object]


async def keeping(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, **resume: object
) -> RunningProxy:
    """A proxy that keeps all streams of one route."""
    table = {"target": upstream.url, "resume": resume or True}
    return await proxy({"/": table}, clock=clock)


def numbered(id: bytes, number: int, text: bytes) -> bytes:
    """An event as the client gets it."""
    return b"data: %b\nid: %b.%d\n\n" % (text, id, number)


@pytest.mark.http1
async def test_events_get_ids_and_a_client_comes_back_for_the_rest(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    assert await client.read_chunk() == numbered(id, 1, b"one")
    await peer.send(chunk(b"data: two\n\n"))
    assert await client.read_chunk() == numbered(id, 2, b"two")
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT

    await peer.send(chunk(b"data: three\n\n"))
    again = await running.client()
    await again.send(ask(Last_Event_ID=(id + b".1").decode()))
    await again.read_head()
    assert stream_id(again) == id
    two, three = numbered(id, 2, b"two"), numbered(id, 3, b"three")
    assert await read_chunks(again, len(two + three)) == two + three
    await peer.send(chunk(b"data: four\n\n") + chunk(b""))
    assert await again.read_chunk() == numbered(id, 4, b"four")
    assert await again.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    assert upstream.unexpected == 0

    # Finished and read to its end: an EventSource stops at 204.
    last = await running.client()
    await last.send(ask(Last_Event_ID=(id + b".4").decode()))
    assert (await last.read_head()).startswith(b"HTTP/1.1 204 ")
    # Not read to its end: the rest.
    await last.send(ask(Last_Event_ID=(id + b".3").decode()))
    await last.read_head()
    assert await last.read_chunk() == numbered(id, 4, b"four")
    assert await last.read_chunk() == b""

    clock.advance(61)
    running.tick()
    assert running.server.kept.store.used == 0
    # Expired: a new stream of the upstream, whose client is told.
    await last.send(ask(Last_Event_ID=(id + b".3").decode()))
    peer = await upstream.request()
    assert field(peer.head, b"last-event-id") == id + b".3"
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n") + chunk(b""))
    await last.read_head()
    new = stream_id(last)
    assert new != id
    comment = await last.read_chunk()
    assert comment.startswith(b": ")
    assert comment.endswith(b"\n")
    assert comment.count(b"\n") == 1
    assert await last.read_chunk() == numbered(new, 1, b"new")
    assert await last.read_chunk() == b""


async def test_a_stream_that_nobody_comes_back_for_is_closed(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, keep_seconds=10)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    client.close()
    await running.ended()
    clock.advance(9)
    running.tick()
    await peer.send(chunk(b"data: two\n\n"))
    clock.advance(2)
    running.tick()
    await peer.closed()
    assert running.server.kept.store.used == 0
    assert not running.server.kept.streams


async def test_an_answer_is_replayed_by_the_key_of_its_application(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(
        proxy, upstream, clock,
        key="body:id", path="/chat/{key}/stream", stop="/chat/{key}/stop", bind=[],
    )  # fmt: skip
    page = await running.client()
    await page.send(ask(b"/chat/c1/stream"))
    assert (await page.read_head()).startswith(b"HTTP/1.1 204 ")

    # Registered when the request is complete, not at the first byte.
    client, peer = await running.begin(upstream, post(b"/chat", b'{"id": "c1"}'))
    await peer.read(len(b'{"id": "c1"}'))
    await page.send(ask(b"/chat/c1/stream"))
    client.close()
    await running.ended()  # that of the 204
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await page.read_head()
    assert await page.read_chunk() == b"data: one\n\n"
    page.close()
    await running.ended()
    await peer.send(chunk(b"data: two\n\n"))
    again = await running.client()
    await again.send(ask(b"/chat/c1/stream"))
    await again.read_head()
    assert await read_chunks(again, 22) == b"data: one\n\ndata: two\n\n"
    await peer.send(chunk(b"data: three\n\n") + chunk(b""))
    assert await again.read_chunk() == b"data: three\n\n"
    assert await again.read_chunk() == b""
    await again.send(ask(b"/chat/c1/stream"))
    assert (await again.read_head()).startswith(b"HTTP/1.1 204 ")
    assert upstream.unexpected == 0


async def test_a_repeated_post_joins_the_running_answer(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    request = post(b"/chat", b"{}", Idempotency_Key="k1")
    client, peer = await running.begin(upstream, request)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: one\n\n"
    client.reset()
    await running.ended()
    again = await running.client()
    await again.send(request)
    await again.read_head()
    assert await again.read_chunk() == b"data: one\n\n"
    await peer.send(chunk(b"data: two\n\n") + chunk(b""))
    assert await again.read_chunk() == b"data: two\n\n"
    assert await again.read_chunk() == b""
    assert upstream.unexpected == 0


async def test_by_its_address_a_stream_is_read_told_of_and_stopped(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, post(b"/x", b"{}", Authorization="a"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    other = await running.client()
    assert await peer.read(2) == b"{}"
    at = b"/_unbuffered/streams/" + id
    await other.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    assert (await other.read_head()).startswith(b"HTTP/1.1 404 ")
    other = await running.client()
    await other.send(b"HEAD %b HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\n\r\n" % at)
    head = await other.read_head()
    assert field(head, b"stream-state") == b"running"
    assert field(head, b"stream-bytes") == b"0-11"
    await other.send(
        b"GET %b?from=6 HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\n\r\n" % at
    )
    await other.read_head()
    assert await other.read_chunk() == b"one\n\n"
    third = await running.client()
    await third.send(b"DELETE %b HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\n\r\n" % at)
    assert (await third.read_head()).startswith(b"HTTP/1.1 204 ")
    await peer.closed()
    for each in (client, other):
        rest, _ = await each.read_to_close()
        assert not rest.endswith(chunk(b""))
    await third.send(b"GET %b HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\n\r\n" % at)
    assert (await third.read_head()).startswith(b"HTTP/1.1 410 ")


@pytest.mark.parametrize("replay", [0, 1, 5])
async def test_clients_that_ask_the_same_share_one_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, replay: int
) -> None:
    table = {"target": upstream.url, "share": {"replay": replay}}
    running = await proxy({"/": table}, clock=clock)
    first, peer = await running.begin(upstream, ask())
    second = await running.client()
    await second.send(ask())
    await running.connected(2)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    for each in (first, second):
        await each.read_head()
        assert await each.read_chunk() == b"data: one\n\n"
        assert field(each.head, b"stream-id") is None
    await peer.send(chunk(b"data: tw"))
    third = await running.client()
    await third.send(ask())
    await third.read_head()
    for each in (first, second):
        assert await each.read_chunk() == b"data: tw"
    before = b"data: one\n\n" if replay else b""
    rest = before + b"data: tw"
    assert await read_chunks(third, len(rest)) == rest
    await peer.send(chunk(b"o\n\n"))
    for each in (first, second, third):
        assert await each.read_chunk() == b"o\n\n"
    first.close()
    await running.ended()
    second.close()
    await running.ended()
    await peer.send(chunk(b"data: three\n\n"))
    assert await third.read_chunk() == b"data: three\n\n"
    third.close()
    # Each client's account begins with its own request; of the log it is one piece.
    timeline = await running.ended()
    assert timeline.first_byte_seconds is not None
    assert timeline.first_byte_seconds >= 0
    assert timeline.bytes_sent == len(rest) + len(b"o\n\ndata: three\n\n")
    assert timeline.call.pieces == 3
    await peer.closed()
    assert upstream.unexpected == 0
    assert running.server.kept.store.used == 0


async def test_what_is_not_a_stream_is_not_kept(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(OK)
    head = await client.read_head()
    assert field(head, b"stream-id") is None
    assert await client.read(2) == b"ok"
    assert not running.server.kept.streams


async def test_logs_do_not_have_what_takes_a_stream_up(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    secret = stream_id(client).partition(b"-")[2]
    client.close()
    await running.ended()
    id = stream_id(client).decode()
    cursors = [f"{id}.1", f"{id}.2", f"{id}.-1", f"{id}.x"]
    requests = [
        *(ask(Last_Event_ID=each) for each in cursors),
        *(ask(f"/?lastEventID={each}".encode()) for each in cursors),
        ask(f"/_unbuffered/streams/{id}".encode()),
        ask(f"/_unbuffered/streams/{id}?from=-1".encode()),
        ask(f"/_unbuffered/streams/{id}?from=99".encode()),
        ask(f"/_unbuffered/streams/{id}0".encode()),
    ]
    for request in requests:
        other = await running.client()
        await other.send(request)
        if b".2" in request:  # it never was: a new stream
            again = await upstream.request()
            await again.send(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
        await other.read_head()
        other.close()
        timeline = await running.ended()
        assert secret not in timeline.target
        assert secret.decode() not in str(timeline.error)
