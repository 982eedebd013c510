"""The life of an HTTP/2 connection: its beginning, its limits, its end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path

import h2.events
import pytest

from proxy.config.load import load
from proxy.timeline import Ending
from proxy.transport.client_timeouts import UNREAD_SECONDS
from proxy.transport.connection import HEADS_A_TURN
from proxy.transport.http2_timeouts import ROUND_TRIP_SECONDS
from proxy.transport.socket_state import unsent
from tests.conftest import Complaints, InternalErrorLog, ManualClock, StartProxy
from tests.support.http2 import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    NO_ERROR,
    PING,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    FramePeer,
    Http2Listener,
    frame,
    settings,
)
from tests.support.messages import EVENT_STREAM, GET_X, OK, STREAM
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, idle, settled
from tests.support.running import RunningProxy, document

LARGEST = 2**31 - 1
EVENT = b"data: x\n\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> RunningProxy:
    return await proxy(
        {"/": {"target": upstream.url, "ws": True}},
        server={**over.server, "write_timeout_seconds": 20},
        clock=clock,
    )


def pass_time(running: RunningProxy, clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    running.tick()


# -- the beginning


async def test_http1_goes_on_beside_it(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    if over.authority is not None:
        context = over.authority.context()
        context.set_alpn_protocols(["http/1.1"])
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=context
        )
        writer.write(GET_X)
        await (await upstream.request()).send(OK)
        assert (await reader.readexactly(17)) == b"HTTP/1.1 200 OK\r\n"
        writer.transport.abort()
        return
    for size in (1, 2, 10):
        client = await running.client()
        await client.send(GET_X[:size])
        await idle()
        await client.send(GET_X[size:])
        server = await upstream.request()
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        server.close()
        await became(lambda: running.idle_connections == 0)


async def test_a_request_that_begins_like_the_preface(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"http2_cleartext": True}
    )
    client = await running.client()
    await client.send(b"P")
    await idle()
    await client.send(b"R")
    await idle()
    await client.send(b"OPFIND / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    server = await upstream.request()
    assert server.head_lines[0] == b"PROPFIND / HTTP/1.1"
    assert await server.read(2) == b"hi"
    await server.send(OK)
    await client.read_head()


async def test_it_is_not_spoken_where_it_is_switched_off(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    server = {**over.server, "http2": False, "http2_cleartext": False}
    running = await proxy({"/": {"target": upstream.url}}, server=server)
    if over.authority is None:
        client = await running.client()
        await client.send(PREFACE)
        assert (await client.read_head()).startswith(b"HTTP/1.1 505 ")
        return
    context = over.authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=context)
    agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    assert agreed == "http/1.1"
    writer.transport.abort()


async def test_something_else_than_a_preface_ends_by_goaway(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=over.server)
    peer = FramePeer(await over.dial(running))
    await peer.peer.send(PREFACE + frame(DATA, 0, 1, b"x"))
    gone = await peer.next(GOAWAY)
    assert gone.code == PROTOCOL_ERROR
    assert (await peer.peer.read_to_close())[1] == "fin"


# -- streams


async def test_more_streams_than_allowed_are_refused(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={**over.server, "http2_max_streams": 2}
    )
    http = await over.frames(running)
    for number in (1, 3, 5):
        await http.peer.send(http.request(number))
    assert (await http.next(RST_STREAM, 5)).code == REFUSED_STREAM
    servers = [await upstream.request(), await upstream.request()]
    await servers[0].send(OK)
    assert (await http.next_data()).number in (1, 3)
    await http.peer.send(http.request(7))
    await servers[0].read_head()
    assert upstream.unexpected == 0


async def test_max_exchanges_counts_streams(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={**over.server, "max_exchanges": 2}
    )
    http = await over.client(running)
    for _ in range(2):
        await http.ask("/x")
        await (await upstream.request()).send(EVENT_STREAM)
    head, body = await http.get("/x")
    assert head[":status"] == "503"
    assert b"max_exchanges" in body
    assert len(running.server.clients) == 1


async def test_max_connections_counts_connections(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={**over.server, "max_connections": 1}
    )
    first = await over.client(running)
    for _ in range(3):
        number = await first.ask("/x")
        await (await upstream.request()).send(EVENT_STREAM)
        await first.head(number)
    second = await over.client(running)
    head, body = await second.get("/x")
    assert head[":status"] == "503"
    assert b"max_connections" in body
    await second.closed()
    assert second.gone is not None
    await running.connected(1)


# -- time


async def test_a_client_that_says_nothing(
    running: RunningProxy, over: Http2Listener, clock: ManualClock
) -> None:
    if over.authority is None:
        peer = await over.dial(running)
        await peer.send(PREFACE)
    else:
        peer = await over.dial(running)
    await running.connected(1)
    if over.authority is None:
        await became(lambda: hasattr(next(iter(running.server.clients)), "session"))
    pass_time(running, clock, 30)
    raw = FramePeer(peer)
    assert (await raw.next(GOAWAY)).code == NO_ERROR
    await peer.read_to_close()


async def test_a_header_block_that_does_not_end(
    running: RunningProxy, over: Http2Listener, clock: ManualClock, upstream: Upstream
) -> None:
    http = await over.frames(running)
    await http.peer.send(http.request(1))
    server = await upstream.request()
    await http.send(HEADERS, END_STREAM, 3, http.block("/y"))
    await became(lambda: running.http2_connection.in_block)
    pass_time(running, clock, 29)
    assert not running.http2_connection.lingers
    pass_time(running, clock, 1)
    assert b"head_timeout_seconds" in (await http.next(GOAWAY)).payload
    await server.closed()


async def test_an_idle_connection_is_closed_after_goaway(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await http.head(number)
    pass_time(running, clock, 1000)  # a stream is open
    assert not running.server.ticker.waiting  # nor is it looked at
    await server.send(chunk(b""))
    await http.body(number)
    pass_time(running, clock, 74)
    assert not running.http2_connection.lingers
    pass_time(running, clock, 1)
    await http.closed()
    assert http.gone is not None
    assert http.gone.error_code == NO_ERROR
    assert http.gone.last_stream_id == number


async def test_an_upload_that_stops_is_told_so(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    http = await over.client(running)
    number = await http.ask("/x", method="POST", end=False)
    server = await upstream.request()
    await http.send(number, b"some")
    assert await server.read_chunk() == b"some"
    running.tick()
    pass_time(running, clock, 59)
    await http.send(number, b"more")
    assert await server.read_chunk() == b"more"
    running.tick()
    pass_time(running, clock, 59)
    assert running.server.under_way == 1
    pass_time(running, clock, 2)
    head = await http.head(number)
    assert head[":status"] == "408"
    assert b"body_timeout_seconds" in await http.body(number)
    reset = await http.next(number, h2.events.StreamReset)
    assert reset.error_code == NO_ERROR
    await server.closed()


async def test_a_stream_that_is_not_read_is_cut_off(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """write_timeout_seconds, for one stream: the others go on."""
    http = await over.frames(running, {INITIAL_WINDOW_SIZE: 10})
    await http.peer.send(http.request(1))
    slow = await upstream.request()
    await http.peer.send(http.request(3))
    other = await upstream.request()
    await slow.send(STREAM + chunk(b"x" * 100))
    await other.send(EVENT_STREAM)
    assert len((await http.next(DATA, 1)).payload) == 10
    await became(lambda: bool(running.server.ticker.waiting))
    running.tick()
    pass_time(running, clock, 19)
    await http.open_window(1, 5)  # it reads a little
    assert len((await http.next(DATA, 1)).payload) == 5
    running.tick()
    pass_time(running, clock, 19)
    assert running.server.under_way == 2
    pass_time(running, clock, 2)
    assert (await http.next(RST_STREAM, 1)).code == CANCEL
    await slow.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert "write_timeout_seconds" in str(timeline.error)
    await other.send(chunk(EVENT))
    assert (await http.next(DATA, 3)).payload == EVENT


async def test_a_complete_response_that_is_not_read_is_not_kept_for_ever(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server=over.server, clock=clock
    )
    http = await over.frames(running, {INITIAL_WINDOW_SIZE: 1})
    await http.peer.send(http.request(1))
    server = await upstream.request()
    await server.send(OK)
    assert (await http.next(DATA, 1)).payload == b"o"
    assert (await running.ended()).ending is Ending.COMPLETE
    running.tick()
    pass_time(running, clock, UNREAD_SECONDS)
    assert (await http.next(RST_STREAM, 1)).code == CANCEL


async def unread(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> Peer:
    """An upstream whose client opens its windows wide, and reads nothing."""
    http = await over.frames(running, {INITIAL_WINDOW_SIZE: LARGEST})
    await http.open_window(0, 2**30)
    await http.peer.send(http.request(1))
    server = await upstream.request()
    http.peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await server.send(STREAM)
    await congest(running, server)
    return server


async def congest(running: RunningProxy, server: Peer) -> None:
    """Have more sent than the client takes."""
    while not running.http2_connection.congested:
        server.writer.write(chunk(b"x" * 65_536))
        await asyncio.sleep(0)


async def test_a_client_that_reads_nothing_at_all_is_cut_off(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """write_timeout_seconds, for the connection: its windows are wide open."""
    server = await unread(running, upstream, over)
    connection = running.http2_connection
    running.tick()
    pass_time(running, clock, 19)
    assert running.server.under_way == 1
    for _ in range(100):  # the kernels still take some of it, for a while, or all
        await congest(running, server)
        await settled(lambda: unsent(connection.transport)[1])
        pass_time(running, clock, 21)
        if not running.server.under_way:
            break
    await running.connected(0)
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert "write_timeout_seconds" in str(timeline.error)


async def test_answers_to_a_client_that_reads_none_do_not_pile_up(
    proxy: StartProxy, over: Http2Listener
) -> None:
    """Heads and answers to its frames have no window: so it is not read either."""
    running = await proxy(
        {"/api": {"target": "http://127.0.0.1:9"}},
        server={**over.server, "http2_max_control_frames_per_second": 0},
    )
    http = await over.frames(running)
    connection = running.http2_connection
    http.peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    ping = frame(PING, 0, 0, b"12345678") * 1000
    for _ in range(3000):
        if connection.paused:
            break
        http.peer.writer.write(ping)
        await asyncio.sleep(0)
    assert connection.paused
    assert connection.transport.get_write_buffer_size() < 2 * 2**20
    http.peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
    await became(lambda: not connection.paused)
    http.peer.writer.transport.abort()
    await running.connected(0)


# -- the drain


async def test_a_drain_says_goaway_twice(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """RFC 9113 §6.8: a request that is on its way at the first is served."""
    http = await over.frames(running)
    await http.peer.send(http.request(1))
    one = await upstream.request()
    stopped = running.drain(10)
    first = await http.next(GOAWAY)
    assert int.from_bytes(first.payload[:4], "big") == LARGEST
    ping = await http.next(PING)
    await http.peer.send(http.request(3))  # was on its way
    two = await upstream.request()
    await http.send(PING, ACK, 0, ping.payload)
    second = await http.next(GOAWAY)
    assert int.from_bytes(second.payload[:4], "big") == 3
    assert second.code == NO_ERROR
    await http.peer.send(http.request(5))  # too late: it is asked elsewhere
    await one.send(OK)
    assert (await http.next(DATA, 1)).ends
    await two.send(OK)
    assert (await http.next(DATA, 3)).ends
    assert (await http.peer.read_to_close())[1] == "fin"
    async with asyncio.timeout(GUARD):
        assert await stopped == 0
    assert upstream.unexpected == 0


async def test_a_client_that_answers_no_ping_is_told_all_the_same(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    http = await over.frames(running)
    stopped = running.drain(10)
    await http.next(GOAWAY)
    pass_time(running, clock, ROUND_TRIP_SECONDS)
    assert (await http.next(GOAWAY)).payload[:4] == bytes(4)
    assert (await http.peer.read_to_close())[1] == "fin"
    async with asyncio.timeout(GUARD):
        assert await stopped == 0


async def test_an_event_stream_ends_between_two_events(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    http = await over.client(running)
    number = await http.ask("/x", [("accept", "text/event-stream")])
    server = await upstream.request()
    await server.send(EVENT_STREAM + chunk(EVENT))
    await http.read(number, len(EVENT))
    stopped = running.drain(10)
    await http.next(0, h2.events.ConnectionTerminated)
    await server.send(chunk(EVENT))
    assert await http.body(number) == EVENT
    await server.closed()
    await http.closed()
    async with asyncio.timeout(GUARD):
        assert await stopped == 0
    assert (await running.ended()).ending is Ending.SHUT_DOWN


async def test_an_old_event_stream_sends_new_requests_elsewhere(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """`max_age_seconds`: the others of its connection go on, each to its own age."""
    table = {"target": upstream.url, "max_age_seconds": 100.0}
    running = await proxy({"/": table}, server=over.server, clock=clock)
    http = await over.client(running)
    accept = [("accept", "text/event-stream")]
    old = await http.ask("/old", accept)
    first = await upstream.request()
    await first.send(EVENT_STREAM + chunk(EVENT))
    await http.read(old, len(EVENT))
    clock.advance(60)  # the oldest age that is drawn is 100 s, the youngest 50
    young = await http.ask("/young", accept)
    second = await upstream.request()
    await second.send(EVENT_STREAM + chunk(EVENT))
    await http.read(young, len(EVENT))
    pass_time(running, clock, 40)
    assert await http.body(old) == b""
    await first.closed()
    assert [gone.error_code for gone in http.goaways] == [NO_ERROR]
    assert (await running.ended()).ending is Ending.AGED_OUT
    await second.send(chunk(EVENT))
    assert await http.read(young, len(EVENT)) == EVENT
    pass_time(running, clock, 60)
    assert await http.body(young) == b""
    await http.closed()
    assert (await running.ended()).ending is Ending.AGED_OUT


async def test_what_does_not_end_is_cut(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(STREAM)
    await http.head(number)
    stopped = running.drain(10)
    await http.next(0, h2.events.ConnectionTerminated)
    pass_time(running, clock, 10)
    assert await http.broken(number) == INTERNAL_ERROR
    await server.closed()
    async with asyncio.timeout(GUARD):
        assert await stopped == 1


async def test_a_stream_that_is_cut_counts_once(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, clock: ManualClock
) -> None:
    """Also if its connection has bytes that nobody reads."""
    await unread(running, upstream, over)
    stopped = running.drain(10)
    for _ in range(2):  # to end by itself, and to get to the end of an event
        await idle()
        pass_time(running, clock, 10)
    async with asyncio.timeout(GUARD):
        assert await stopped == 1


# -- reload


async def test_a_reload_switches_it_on_and_off(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, tmp_path: Path
) -> None:
    off = {"http2": False, "http2_cleartext": False}
    running = await proxy(
        {"/": {"target": upstream.url}}, server={**over.server, **off}
    )
    path = tmp_path / "next.toml"

    async def reload(**keys: object) -> None:
        table = {**over.server, **keys}
        path.write_text(document({"/": {"target": upstream.url}}, {"server": table}))
        config = load(path, {}, {"server.port": 0})
        await running.server.reload(config)

    await reload(http2=True, http2_cleartext=True)
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await http.head(number)
    await reload(**off)
    await server.send(chunk(EVENT))  # what runs goes on
    assert await http.read(number, len(EVENT)) == EVENT
    if over.authority is None:
        client = await running.client()
        await client.send(PREFACE)
        assert (await client.read_head()).startswith(b"HTTP/1.1 505 ")
    else:
        with pytest.raises(AssertionError):
            await over.dial(running)


# -- floods, and faults of the connection


def rapid_reset(http: FramePeer, number: int) -> bytes:
    reset = frame(RST_STREAM, 0, number, CANCEL.to_bytes(4, "big"))
    return http.request(number) + reset


def made_to_reset(http: FramePeer, number: int) -> bytes:
    """MadeYouReset (CVE-2025-8671): a window that is too large by our own count."""
    update = frame(8, 0, number, (2**31 - 1).to_bytes(4, "big"))
    return http.request(number) + update


FLOODS = {
    "rapid reset": (rapid_reset, "http2_max_resets_per_second"),
    "made you reset": (made_to_reset, "http2_max_resets_per_second"),
    "ping": (
        lambda http, number: frame(PING, 0, 0, b"12345678"),
        "http2_max_control_frames_per_second",
    ),
    "settings": (
        lambda http, number: settings(),
        "http2_max_control_frames_per_second",
    ),
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_ends_with_goaway_and_one_line(
    proxy: StartProxy,
    upstream: Upstream,
    over: Http2Listener,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={
            **over.server,
            "http2_max_resets_per_second": 2,
            "http2_max_control_frames_per_second": 2,
        },
    )
    make, key = FLOODS[kind]
    http = await over.frames(running)
    with caplog.at_level(logging.INFO, "unbuffered"):
        for each in range(40):
            http.peer.writer.write(make(http, 2 * each + 1))
        gone = await http.next(GOAWAY)
        await http.peer.read_to_close()
        await running.connected(0)
    assert gone.code == ENHANCE_YOUR_CALM
    assert key.encode() in gone.payload
    lines = [each.getMessage() for each in caplog.records if key in each.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("client 127.0.0.1: HTTP/2 connection ended: 21 ")
    await became(lambda: running.server.under_way == 0)


async def test_a_continuation_flood_ends_at_max_head_bytes(
    running: RunningProxy, over: Http2Listener
) -> None:
    """CVE-2024-27316."""
    http = await over.frames(running)
    await http.send(HEADERS, 0, 1, http.block("/x"))
    for _ in range(20):
        http.peer.writer.write(frame(CONTINUATION, 0, 1, b"\0" * 16_384))
    gone = await http.next(GOAWAY)
    assert gone.code == ENHANCE_YOUR_CALM
    assert b"max_head_bytes" in gone.payload


async def test_many_requests_in_one_read_give_others_their_turn(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.frames(running)
    http.peer.writer.write(b"".join(http.request(2 * each + 1) for each in range(100)))
    under_way = [0]  # as of each turn of the loop
    async with asyncio.timeout(GUARD):
        while under_way[-1] < 100:
            await asyncio.sleep(0)
            under_way.append(running.server.under_way)
    begun = [after - before for before, after in itertools.pairwise(under_way)]
    assert max(begun) == HEADS_A_TURN
    for _ in range(100):
        await upstream.connection()


async def test_code_that_raises_ends_its_stream_and_no_other(
    proxy: StartProxy,
    upstream: Upstream,
    over: Http2Listener,
    internal_errors: InternalErrorLog,
    complaints: Complaints,
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=over.server)
    http = await over.client(running)
    open = []
    for path in ("/1", "/2"):
        number = await http.ask(path, method="POST", end=False)
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        await http.head(number)
        open.append((number, server))
    (broken, one), (sound, two) = open
    stream = next(
        each for each in running.http2_connection.streams if each.number == broken
    )

    class Raising:
        blocked = False

        def piece(self, data: bytes) -> None:
            raise RuntimeError("a fault of ours")

    stream.receiver = Raising()  # type: ignore[assignment]
    await http.send(broken, b"x")
    assert await http.broken(broken) == INTERNAL_ERROR
    await one.closed()
    assert (await running.ended()).ending is Ending.INTERNAL_ERROR
    await two.send(chunk(EVENT))
    assert await http.read(sound, len(EVENT)) == EVENT
    assert len(internal_errors.told) == 1
    complaints.heard.clear()
