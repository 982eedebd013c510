"""The end of a server: what may still end by itself, and how the rest is ended."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import pytest

from proxy.stream.content_decoder import STEP
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, connect, idle
from tests.support.running import RunningProxy

GET = b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = HEAD % b"text/event-stream"
OTHER = HEAD % b"application/x-ndjson"
EVENT = b"data: one\n\n"
ANSWER = b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'
DONE = b"data: [DONE]\n\n"


class Draining:
    """A server whose stop has begun; its ten seconds are those of the test."""

    def __init__(self, running: RunningProxy, clock: ManualClock) -> None:
        self.running = running
        self.clock = clock
        self.stopped = running.drain(10)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running.tick()

    async def cut(self) -> int:
        """How many clients were left with half a response; it is over."""
        async with asyncio.timeout(GUARD):
            return await self.stopped


Drain = Callable[[RunningProxy], Awaitable[Draining]]


@pytest.fixture
def drain(clock: ManualClock) -> Drain:
    async def begin(running: RunningProxy) -> Draining:
        draining = Draining(running, clock)
        await became(lambda: bool(running.server.last))
        return draining

    return begin


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url, "ws": True}}, clock=clock)


async def begun(
    running: RunningProxy, upstream: Upstream, head: bytes
) -> tuple[Peer, Peer]:
    """An exchange whose client has the response head."""
    client, server = await running.begin(upstream, GET)
    await server.send(head)
    await client.read_head()
    return client, server


async def test_an_exchange_may_end_by_itself(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await running.begin(upstream, GET)
    draining = await drain(running)
    draining.pass_time(9)
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    assert b"\r\nConnection: close\r\n" in await client.read_head()
    assert await client.read(1) == b"o"
    await server.send(b"k")
    assert await client.read_to_close() == (b"k", "fin")
    assert await draining.cut() == 0
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_no_connection_is_accepted(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await begun(running, upstream, OTHER)
    port = running.port
    draining = await drain(running)
    with pytest.raises(ConnectionRefusedError):
        await connect(port)
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    assert await draining.cut() == 0


async def test_idle_connections_are_closed_and_nothing_is_waited_for(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    fresh = await running.client()
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.read_head()
    await became(lambda: running.idle_connections == 1)
    await running.connected(2)
    draining = await drain(running)
    assert await draining.cut() == 0
    assert await fresh.read_to_close() == (b"", "fin")
    assert await client.read_to_close() == (b"", "fin")
    await server.closed()


async def test_a_request_whose_head_has_begun_is_still_served(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client = await running.client()
    await client.send(GET[:20])
    await became(lambda: any(each.ahead for each in running.connections))
    draining = await drain(running)
    await client.send(GET[20:] + GET)  # the second one is not
    server = await upstream.request()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert b"\r\nConnection: close\r\n" in await client.read_head()
    rest, _ = await client.read_to_close()
    assert rest == b"ok"
    client.close()
    assert await draining.cut() == 0
    assert upstream.unexpected == 0


async def test_an_event_stream_ends_between_two_events(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    assert await client.read_chunk() == b""
    assert await client.read_to_close() == (b"", "fin")
    await server.closed()
    assert await draining.cut() == 0
    timeline = await running.ended()
    assert timeline.ending is Ending.SHUT_DOWN
    assert timeline.error is not None
    assert timeline.error.type == "proxy_internal_response"


async def test_clients_that_come_back_do_so_one_after_the_other(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    """Spread over the first half; what has an end of its own has all of the time."""
    readers = [await begun(running, upstream, EVENTS) for _ in range(4)]
    answer, source = await running.begin(upstream, POST % b"")
    await source.send(EVENTS)
    await answer.read_head()
    draining = await drain(running)
    for number in range(4):
        for client, server in readers[number:]:  # whose time has not come
            await server.send(chunk(EVENT))
            assert await client.read_chunk() == EVENT
        if number:
            draining.pass_time(1.25)
        client, server = readers[number]
        assert await client.read_chunk() == b""
        await server.closed()
    await source.send(chunk(EVENT))
    assert await answer.read_chunk() == EVENT
    await source.send(b"0\r\n\r\n")
    assert await answer.read_chunk() == b""
    assert await draining.cut() == 0


async def test_an_event_stream_that_begins_while_draining_ends_alike(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await running.begin(upstream, GET)
    draining = await drain(running)
    await server.send(EVENTS)
    await client.read_head()
    draining.pass_time(10)
    assert await client.read_chunk() == b""
    await server.closed()
    assert await draining.cut() == 0


async def test_one_that_begins_late_ends_as_it_begins(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await running.begin(upstream, GET)
    draining = await drain(running)
    draining.pass_time(7)
    await server.send(EVENTS)
    await client.read_head()
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    draining.pass_time(0.25)
    assert await client.read_chunk() == b""
    await server.closed()
    assert await draining.cut() == 0


POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n%b\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST % b"Accept: text/event-stream\r\n", id="POST to an LLM"),
        pytest.param(POST % b"Accept: */*\r\n", id="POST, any type"),
        pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", id="GET without Accept"),
        pytest.param(
            b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", id="GET, any type"
        ),
    ],
)
@pytest.mark.parametrize("begun_before", [True, False])
@pytest.mark.parametrize("on_upstream_failure", ["abort", "event"])
async def test_an_event_stream_is_cut_if_its_client_does_not_reconnect(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    drain: Drain,
    request_: bytes,
    begun_before: bool,
    on_upstream_failure: str,
) -> None:
    """A clean end would have it take half an answer for the whole."""
    route = {"target": upstream.url, "on_upstream_failure": on_upstream_failure}
    running = await proxy({"/": route}, clock=clock)
    client, server = await running.begin(upstream, request_)
    if begun_before:
        await server.send(EVENTS)
        await client.read_head()
        draining = await drain(running)
    else:
        draining = await drain(running)
        await server.send(EVENTS)
        await client.read_head()
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    draining.pass_time(10)
    if on_upstream_failure == "event":
        assert b'"reason":"the proxy is shutting down' in await client.read_chunk()
    assert await client.read_rest() == b""
    await server.closed()
    assert await draining.cut() == 1
    timeline = await running.ended()
    assert timeline.ending is Ending.SHUT_DOWN
    assert str(timeline.error).endswith("drain_seconds have passed")


async def test_an_event_that_has_begun_is_waited_for(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    await server.send(chunk(EVENT[:6]))
    assert await client.read_chunk() == EVENT[:6]
    draining.pass_time(10)
    await idle()
    await server.send(chunk(EVENT[6:]))
    assert await client.read_chunk() == EVENT[6:]
    assert await client.read_chunk() == b""
    await server.closed()
    assert await draining.cut() == 0


@pytest.mark.parametrize("on_upstream_failure", ["abort", "event"])
async def test_a_stream_that_has_not_begun_has_all_of_the_time(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    drain: Drain,
    on_upstream_failure: str,
) -> None:
    """It may be an answer yet. Then it ends cleanly: nothing of it is lost."""
    route = {"target": upstream.url, "on_upstream_failure": on_upstream_failure}
    running = await proxy({"/": route}, clock=clock)
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    draining.pass_time(9)
    await idle()
    assert running.exchanges.empty()
    draining.pass_time(1)
    assert await client.read_chunk() == b""
    await server.closed()
    assert await draining.cut() == 0


async def test_a_kept_stream_that_has_not_begun_has_all_of_the_time(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, drain: Drain
) -> None:
    running = await proxy({"/": {"target": upstream.url, "resume": True}}, clock=clock)
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    draining.pass_time(9)
    await idle()
    assert running.exchanges.empty()
    await server.send(chunk(ANSWER))
    assert (await client.read_chunk()).startswith(ANSWER[:-1])
    await idle()
    await server.send(chunk(DONE) + chunk(b""))
    assert (await client.read_chunk()).startswith(DONE[:-1])
    assert await client.read_chunk() == b""
    assert await draining.cut() == 0
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("part", [b"", b"data: on"])
async def test_an_event_that_does_not_end_is_cut(
    running: RunningProxy, upstream: Upstream, drain: Drain, part: bytes
) -> None:
    """Of a silent stream it is not known where it stands: so it is cut too."""
    client, server = await begun(running, upstream, EVENTS)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    draining = await drain(running)
    if part:
        await server.send(chunk(part))
        assert await client.read_chunk() == part
    draining.pass_time(10)
    await idle()
    assert not draining.stopped.done()
    draining.pass_time(0.5)
    assert await client.read_rest() == b""
    await server.closed()
    assert await draining.cut() == 1
    assert (await running.ended()).ending is Ending.SHUT_DOWN


async def test_one_that_is_told_inside_an_event_is_counted_once(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, drain: Drain
) -> None:
    route = {"target": upstream.url, "on_upstream_failure": "event"}
    running = await proxy({"/": route}, clock=clock)
    client, server = await running.begin(upstream, POST % b"")
    await server.send(EVENTS + chunk(b"data: on"))
    await client.read_head()
    assert await client.read_chunk() == b"data: on"
    draining = await drain(running)
    draining.pass_time(10)
    await idle()
    assert not draining.stopped.done()
    draining.pass_time(0.5)
    assert await client.read_rest() == b""
    assert await draining.cut() == 1


@pytest.mark.parametrize("on_upstream_failure", ["abort", "event"])
async def test_an_answer_whose_first_event_comes_then_is_not_ended_cleanly(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    drain: Drain,
    on_upstream_failure: str,
) -> None:
    """Until then nobody knew that the stream has an end of its own."""
    route = {"target": upstream.url, "on_upstream_failure": on_upstream_failure}
    running = await proxy({"/": route}, clock=clock)
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    draining.pass_time(5)
    await idle()
    await server.send(chunk(ANSWER))
    assert await client.read_chunk() == ANSWER
    await idle()
    await server.send(chunk(DONE) + b"0\r\n\r\n")
    assert await client.read_chunk() == DONE
    assert await client.read_chunk() == b""
    assert await draining.cut() == 0
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_an_event_stream_may_go_on_and_end_by_itself_after_that(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    """The end of the body comes with the end of the event: one last chunk."""
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    await server.send(chunk(EVENT[:6]))
    assert await client.read_chunk() == EVENT[:6]
    draining.pass_time(10)
    await idle()
    await server.send(chunk(EVENT[6:]) + b"0\r\n\r\n")
    assert await client.read_chunk() == EVENT[6:]
    assert await client.read_chunk() == b""
    assert await client.read_to_close() == (b"", "fin")
    assert await draining.cut() == 0
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_the_end_of_an_event_is_none_if_the_next_one_began_in_the_same_turn(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    """What a decoder makes of one piece may be several, one after the other."""
    coder = zlib.compressobj(wbits=31)

    def coded(data: bytes) -> bytes:
        return chunk(coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH))

    head = EVENTS.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    client, server = await begun(running, upstream, head)
    draining = await drain(running)
    await server.send(coded(b"data: "))
    assert await client.read_payload(6) == b"data: "
    draining.pass_time(10)
    await idle()
    first = b"x" * (STEP - 2) + b"\n\n"
    await server.send(coded(first + b"data: y"))
    assert await client.read_payload(STEP + 7) == first + b"data: y"
    await server.send(coded(b"\n\n"))
    assert await client.read_body() == b"\n\n"
    await server.closed()
    assert await draining.cut() == 0


async def test_an_upstream_that_breaks_meanwhile_is_no_clean_end(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await begun(running, upstream, EVENTS)
    draining = await drain(running)
    await server.send(chunk(EVENT[:6]))
    assert await client.read_chunk() == EVENT[:6]
    server.close()
    assert await client.read_rest() == b""
    assert await draining.cut() == 0
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_any_other_body_is_cut(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await begun(running, upstream, OTHER)
    await server.send(chunk(b"{}\n"))
    assert await client.read_chunk() == b"{}\n"
    draining = await drain(running)
    draining.pass_time(10)
    assert await client.read_rest() == b""
    await server.closed()
    assert await draining.cut() == 1
    timeline = await running.ended()
    assert timeline.ending is Ending.SHUT_DOWN
    assert str(timeline.error).endswith("drain_seconds have passed")


async def test_who_still_waits_for_a_head_gets_503(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client, server = await running.begin(upstream, GET)
    draining = await drain(running)
    draining.pass_time(10)
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in head
    assert b"\r\nConnection: close\r\n" in head
    assert b'"proxy_internal_response"' in await client.read_rest()
    await server.closed()
    assert await draining.cut() == 1
    assert (await running.ended()).status == 503


async def test_a_tunnel_is_cut(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client, server = await running.begin(upstream, GET[:-2] + upgrade)
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    await client.read_head()
    draining = await drain(running)
    draining.pass_time(9)
    await client.send(b"ping")
    assert await server.read(4) == b"ping"
    draining.pass_time(1)
    assert await client.read_rest() == b""
    await server.closed()
    assert await draining.cut() == 1


async def test_without_time_to_drain_all_is_cut_at_once(
    running: RunningProxy, upstream: Upstream
) -> None:
    client, server = await begun(running, upstream, EVENTS)
    waiting, _ = await running.begin(upstream, GET)
    assert await running.server.stop(0) == 2
    assert await client.read_rest() == b""
    assert (await waiting.read_rest()).startswith(b"HTTP/1.1 503 ")
    await server.closed()


async def test_a_client_that_does_not_read_holds_the_end_up_for_a_moment_only(
    running: RunningProxy, upstream: Upstream, drain: Drain
) -> None:
    client = await running.client(receive_bytes=4096)
    await client.send(GET)
    server = await upstream.request()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    size = 16 * 1024 * 1024
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    server.writer.write(b"x" * size)
    await became(lambda: any(each.blocked for each in running.connections))
    draining = await drain(running)
    draining.pass_time(10)
    await idle()
    draining.pass_time(0.5)
    assert await draining.cut() == 1
