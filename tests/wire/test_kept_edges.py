"""Kept streams of unusual responses, and for unusual clients."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field, post, stream_id
from tests.support.messages import CHUNKED
from tests.support.raw import Upstream, became, chunk, idle
from tests.support.running import RunningProxy

TWO = b"data: one\n\ndata: two\n\n"
SIZED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
)


async def keeping(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, **route: object
) -> RunningProxy:
    table = {"target": upstream.url, "resume": True, **route}
    return await proxy({"/": table}, clock=clock)


@pytest.mark.parametrize(
    "response",
    [EVENT_HEAD % b"" + chunk(b""), SIZED % 0, CHUNKED + b"\r\n" + chunk(b"")],
    ids=["chunked", "length", "no type"],
)
async def test_an_empty_stream_is_complete(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, response: bytes
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(response)
    await client.read_head()
    if field(client.head, b"content-length") is None:
        assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    at = b"/_unbuffered/streams/" + stream_id(client)
    await client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")


async def test_a_drain_puts_nothing_behind_the_length_of_a_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, on_upstream_failure="event")
    client, peer = await running.begin(upstream, ask())
    await peer.send(SIZED % len(TWO) + TWO[:11])
    await client.read_head()
    assert await client.read(11) == TWO[:11]
    exchange = await running.exchange()
    exchange.cut()
    await client.closed()


async def test_a_stream_with_a_length_breaks_off_for_all(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, on_upstream_failure="event")
    client, peer = await running.begin(upstream, ask())
    await peer.send(SIZED % len(TWO) + TWO[:11])
    await client.read_head()
    at = b"/_unbuffered/streams/" + stream_id(client)
    other = await running.client()
    await other.send(b"GET %b?from=5 HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    await other.read_head()
    assert await other.read_chunk() == TWO[5:11]
    assert await client.read(11) == TWO[:11]
    peer.close()
    await client.closed()
    rest, _ = await other.read_to_close()
    assert not rest.endswith(b"0\r\n\r\n")


async def test_an_old_client_gets_a_stream_to_its_close(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(
        upstream, b"GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n"
    )
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    one = b"data: one\nid: %b.1\n\n" % stream_id(client)
    assert await client.read(len(one)) == one
    old = await running.client()
    at = b"/_unbuffered/streams/" + stream_id(client)
    await old.send(b"GET %b HTTP/1.0\r\n\r\n" % at)
    await old.read_head()
    assert await old.read(len(one)) == one
    await peer.send(chunk(b""))
    await client.closed()
    await old.closed()


async def test_requests_behind_one_for_a_stream_are_answered_in_their_turn(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    await client.read_chunk()
    at = b"/_unbuffered/streams/" + stream_id(client)
    second = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at
    third = b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % at
    await client.send(second + third)
    await idle()
    await peer.send(chunk(b""))
    assert await client.read_chunk() == b""
    await client.read_head()
    assert (await client.read_chunk()).startswith(b"data: one\n")
    assert await client.read_chunk() == b""
    assert field(await client.read_head(), b"stream-state") == b"complete"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
    ids=["both", "two lengths", "unknown coding"],
)
async def test_nothing_is_read_behind_a_body_of_unknown_length(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, framing: bytes
) -> None:
    running = await keeping(proxy, upstream, clock)
    client = await running.client()
    await client.send(
        b"GET /_unbuffered/streams/0-%b HTTP/1.1\r\nHost: a\r\n%b\r\n"
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" % (b"0" * 32, framing)
    )
    head = await client.read_head()
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    rest, _ = await client.read_to_close()
    assert b"HTTP/1.1" not in rest
    assert upstream.unexpected == 0


async def test_a_method_that_a_stream_does_not_take_is_told_which_ones(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    other = await running.client()
    await other.send(post(b"/_unbuffered/streams/" + stream_id(client), b"{}"))
    head = await other.read_head()
    assert head.startswith(b"HTTP/1.1 405 ")
    assert field(head, b"allow") == b"GET, HEAD, DELETE"


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (b"?from=-1", b""),
        (b"?from=1x", b""),
        (b"?from=", b""),
        (b"?from=1&from=2", b""),
        (b"?from=99999999999999999999", b""),
        (b"?from=999", b""),
        (b"", b"Last-Event-ID: %b.0\r\n"),
        (b"", b"Last-Event-ID: %b.-1\r\n"),
        (b"", b"Last-Event-ID: %b.x\r\n"),
        (b"", b"Last-Event-ID: %b.1\r\nLast-Event-ID: %b.1\r\n"),
        (b"?lastEventID=%b.99999999999999999999", b""),
    ],
)
async def test_a_cursor_that_is_not_one_is_a_bad_request(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    target: bytes,
    fields: bytes,
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    for path in (b"/_unbuffered/streams/" + id, b"/"):
        if path == b"/" and b"from" in target:
            continue
        other = await running.client()
        request = b"GET %b HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n%b\r\n"
        await other.send(
            request % (path + target.replace(b"%b", id), fields.replace(b"%b", id))
        )
        assert (await other.read_head()).startswith(b"HTTP/1.1 400 ")
    assert upstream.unexpected == 0


async def test_a_repeated_post_that_expects_100_is_joined(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(
        upstream, post(b"/", b"{}", Idempotency_Key="k1")
    )
    await peer.read(2)
    again = await running.client()
    await again.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nIdempotency-Key: k1\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    await became(lambda: bool(running.server.kept.counts.resumed))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    head = await again.read_head()
    if head.startswith(b"HTTP/1.1 100 "):
        await again.send(b"{}")
        head = await again.read_head()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert await again.read_chunk() == b"data: one\n\n"
    await peer.send(chunk(b""))
    assert await again.read_chunk() == b""
