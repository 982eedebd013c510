"""`heartbeat_seconds`: comments of ours in an event stream that is silent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from pathlib import Path

import pytest
import trustme

from proxy.timeline import Ending
from proxy.transport.relay import ChunkRelay
from tests.conftest import InternalErrorLog, ManualClock, StartProxy
from tests.support.faulty import Fault
from tests.support.heartbeats import heartbeat_of, let_pass
from tests.support.raw import Peer, Upstream, became, chunk, idle, turns
from tests.support.running import RunningProxy, serving

pytestmark = pytest.mark.both_protocols

GET = b"GET /sse/x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
BEAT = b":\n"
EVENT = b"id: 1\ndata: one\n\n"
SECONDS = 15


async def stream(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    *,
    request: bytes = GET,
    head: bytes = HEAD,
    **options: object,
) -> tuple[RunningProxy, Peer, Peer]:
    """A proxy with a stream whose head the client has; the first beat is unread."""
    route = {"target": upstream.url, "heartbeat_seconds": SECONDS, **options}
    running = await proxy({"/sse": route}, clock=clock)
    client, server = await running.begin(upstream, request)
    await server.send(head)
    await client.read_head()
    return running, client, server


@pytest.mark.http1
async def test_the_first_beat_follows_the_head_in_the_same_write(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Firefox tells of a response once a byte of its body is here."""
    running = await proxy(
        {"/sse": {"target": upstream.url, "heartbeat_seconds": SECONDS}}, clock=clock
    )
    client, server = await running.begin(upstream, GET)
    written: list[bytes] = []
    transport = running.connection.transport
    running.connection.transport = Noting(transport, written)  # type: ignore[assignment]
    await server.send(HEAD)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    assert len(written) == 1
    assert written[0].endswith(b"\r\n\r\n" + chunk(BEAT))


class Noting:
    """A transport that notes each write."""

    def __init__(self, transport: object, written: list[bytes]) -> None:
        self.transport = transport
        self.written = written

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.transport.write(data)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.transport, name)


async def test_beats_come_by_the_timer_of_the_loop(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/sse": {"target": upstream.url, "heartbeat_seconds": 0.01}})
    client, server = await running.begin(upstream, GET)
    await server.send(HEAD)
    await client.read_head()
    for _ in range(5):
        assert await client.read_chunk() == BEAT
    await server.send(chunk(EVENT))
    while await client.read_chunk() == BEAT:
        pass
    assert await client.read_chunk() == BEAT
    client.close()
    await server.closed()
    assert (await running.ended()).heartbeats >= 6


async def test_a_beat_comes_after_so_long_a_silence_and_not_before(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    assert await client.read_chunk() == BEAT
    exchange = await running.exchange()
    let_pass(exchange, clock, SECONDS - 0.1)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    let_pass(exchange, clock, SECONDS - 0.1)
    assert exchange.timeline.heartbeats == 1
    let_pass(exchange, clock, 0.1)
    assert await client.read_chunk() == BEAT
    let_pass(exchange, clock, SECONDS)
    assert await client.read_chunk() == BEAT


async def test_the_timer_is_set_for_what_is_left(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    await client.read_chunk()
    exchange = await running.exchange()
    waits: list[float] = []
    slot = heartbeat_of(exchange)
    assert slot is not None
    assert slot.timer is not None
    clock.advance(5)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    before = slot.timer
    clock.advance(10)
    slot.timer.cancel()
    slot.rang()
    assert slot.timer is not before
    waits.append(slot.last + slot.seconds - clock())
    assert waits == [5.0]
    assert exchange.timeline.heartbeats == 1


@pytest.mark.http1
async def test_behind_its_first_bytes_a_read_passes_as_without_heartbeats(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """In one call, if it is a whole chunk."""
    running, client, server = await stream(proxy, upstream, clock)
    await server.send(chunk(EVENT))
    assert await client.read_payload(len(BEAT + EVENT)) == BEAT + EVENT
    exchange = await running.exchange()
    relay = exchange.response_pipeline
    assert isinstance(relay, ChunkRelay)
    clock.advance(SECONDS - 1)
    assert relay.passes(chunk(b"data: two\n"))
    assert await client.read_chunk() == b"data: two\n"
    let_pass(exchange, clock, SECONDS)  # inside an event
    assert relay.passes(chunk(b"\n"))
    assert await client.read_chunk() == b"\n"
    let_pass(exchange, clock, SECONDS - 1)
    assert exchange.timeline.heartbeats == 1
    let_pass(exchange, clock, 1)
    assert await client.read_chunk() == BEAT


async def test_padding_fills_the_comment(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    _, client, _ = await stream(proxy, upstream, clock, heartbeat_padding_bytes=2000)
    assert await client.read_chunk() == b":" + b" " * 2000 + b"\n"


@pytest.mark.parametrize("padding", [0, 3])
async def test_a_client_of_gemini_gets_blank_lines(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    padding: int,
) -> None:
    """It would fail on a comment, or drop the event behind it."""
    target = b"/sse/v1beta/models/m:streamGenerateContent?alt=sse"
    request = GET.replace(b"/sse/x", target)
    beat = b"\n" * (1 + padding)
    running, client, server = await stream(
        proxy, upstream, clock, request=request, heartbeat_padding_bytes=padding
    )
    assert await client.read_chunk() == beat
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    let_pass(await running.exchange(), clock, SECONDS)
    assert await client.read_chunk() == beat


@pytest.mark.parametrize(
    "part",
    [
        b"data: half",
        b"data: half\n",
        b"event: x\n",
        b"id: 7\r\n",
        b"data: half\r",
        pytest.param(b"data: x\r\n\r", id="an LF may still come"),
    ],
)
async def test_none_is_sent_inside_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, part: bytes
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    await server.send(chunk(part))
    assert await client.read_payload(len(BEAT + part)) == BEAT + part
    exchange = await running.exchange()
    let_pass(exchange, clock, SECONDS)
    let_pass(exchange, clock, SECONDS)
    await server.send(chunk(b"\n\n"))
    assert await client.read_chunk() == b"\n\n"
    let_pass(exchange, clock, SECONDS)
    assert await client.read_chunk() == BEAT


async def test_a_beat_is_nothing_that_the_upstream_sent(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(
        proxy, upstream, clock, idle_timeout_seconds=40
    )
    exchange = await running.exchange()
    for _ in range(3):
        assert await client.read_chunk() == BEAT
        if exchange.timeline.heartbeats < 3:
            let_pass(exchange, clock, SECONDS)
    call = exchange.timeline.call
    assert (call.pieces, call.first_byte, call.longest_gap) == (0, None, 0.0)
    assert exchange.timeline.bytes_sent == 0
    clock.advance(10)
    running.tick()  # 40 s after the head
    assert await client.read_rest() == b""
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert timeline.longest_hold == 0.0
    assert timeline.heartbeats == 3


@pytest.mark.parametrize(
    ("request_line", "head"),
    [
        pytest.param(
            b"GET",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Content-Length: 17\r\n\r\n",
            id="a length that was promised",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(b"text/event-stream", b"application/x-ndjson"),
            id="no event stream",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: x-own\r\n\r\n"),
            id="a coding that we do not know",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(
                b"\r\n\r\n",
                b"\r\nContent-Encoding: gzip\r\nCache-Control: no-transform\r\n\r\n",
            ),
            id="a coding that stays",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(b"200 OK", b"206 Partial Content"),
            id="a part of a representation",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(b"\r\n\r\n", b"\r\nRepr-Digest: sha-256=:AA==:\r\n\r\n"),
            id="a digest of the body",
        ),
        pytest.param(
            b"GET",
            HEAD.replace(b"\r\n\r\n", b"\r\nTrailer: Content-Digest\r\n\r\n"),
            id="a digest behind the body",
        ),
        pytest.param(b"HEAD", HEAD, id="HEAD"),
        pytest.param(
            b"GET",
            b"HTTP/1.1 204 No Content\r\nContent-Type: text/event-stream\r\n\r\n",
            id="no content",
        ),
    ],
)
async def test_where_no_comment_can_be_written_there_are_none(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    request_line: bytes,
    head: bytes,
) -> None:
    running, client, server = await stream(
        proxy, upstream, clock, request=GET.replace(b"GET", request_line), head=head
    )
    if request_line == b"HEAD" or b" 204 " in head:
        assert (await running.ended()).heartbeats == 0
        await client.send(GET)  # and nothing stands before the next response
        await server.read_head()
        await server.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 304 ")
        return
    exchange = await running.exchange()
    assert heartbeat_of(exchange) is None
    body = EVENT if b"Content-Length" in head else chunk(EVENT)
    await server.send(body)
    assert await client.read(len(body)) == body


async def test_a_coded_stream_is_decoded_and_has_them(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(
        proxy,
        upstream,
        clock,
        head=HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
    )
    assert await client.read_chunk() == BEAT
    coder = zlib.compressobj(wbits=31)
    exchange = await running.exchange()
    for part, beats in ((EVENT, True), (b"data: ha", False), (b"lf\n\n", True)):
        await server.send(chunk(coder.compress(part) + coder.flush(zlib.Z_SYNC_FLUSH)))
        assert await client.read_payload(len(part)) == part
        let_pass(exchange, clock, SECONDS)
        if beats:
            assert await client.read_chunk() == BEAT
    await server.send(chunk(coder.flush()) + b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    timeline = await running.ended()
    assert (timeline.ending, timeline.heartbeats) == (Ending.COMPLETE, 3)


async def test_a_digest_behind_the_body_is_left_out(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """The upstream may send one that its head did not promise."""
    _, client, server = await stream(
        proxy,
        upstream,
        clock,
        request=GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\n\r\n"),
    )
    assert await client.read_chunk() == BEAT
    await server.send(b"0\r\nRepr-Digest: sha-256=:AA==:\r\nX-Sum: 1\r\n\r\n")
    assert await client.read_until(b"\r\n\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"


@pytest.mark.http1
async def test_an_old_client_gets_them_too(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """HTTP/1.0: the close is the end of the body."""
    running, client, server = await stream(
        proxy, upstream, clock, request=b"GET /sse/x HTTP/1.0\r\n\r\n"
    )
    await server.send(chunk(EVENT))
    assert await client.read(len(BEAT + EVENT)) == BEAT + EVENT
    let_pass(await running.exchange(), clock, SECONDS)
    assert await client.read(len(BEAT)) == BEAT
    await server.send(b"0\r\n\r\n")
    assert await client.read_to_close() == (b"", "fin")
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_client_that_does_not_read_is_sent_none(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {
            "/sse": {
                "target": upstream.url,
                "heartbeat_seconds": SECONDS,
                "max_buffer_bytes": 1024,
            }
        },
        clock=clock,
    )
    client = await running.client(receive_bytes=4096)
    await client.send(GET)
    server = await upstream.request()
    await server.send(HEAD)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    exchange = await running.exchange()
    event = b"data: %b\n\n" % (b"x" * 65536)
    sent = 0
    while not exchange.client.blocked:
        await server.send(chunk(event))
        sent += 1
        await turns(5)
    let_pass(exchange, clock, SECONDS)
    let_pass(exchange, clock, SECONDS)
    assert exchange.timeline.heartbeats == 1
    assert await client.read_payload(sent * len(event)) == sent * event
    await became(lambda: not exchange.client.blocked)
    let_pass(exchange, clock, SECONDS - 1)  # since it has taken the last of it
    assert exchange.timeline.heartbeats == 1
    let_pass(exchange, clock, 1)
    assert await client.read_chunk() == BEAT


@pytest.mark.http1
async def test_a_beat_that_blocks_its_client_is_no_hold_and_not_the_upstreams_life(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """One of 64 KiB, to a client that takes 5 s for it each time."""
    padding = 64 << 10
    route = {
        "target": upstream.url,
        "heartbeat_seconds": SECONDS,
        "heartbeat_padding_bytes": padding,
        "idle_timeout_seconds": 60,
        "max_buffer_bytes": 1024,
    }
    running = await proxy({"/sse": route}, clock=clock)
    client = await running.client(receive_bytes=4096)
    await running.connected(1)
    narrow = running.connection.transport.get_extra_info("socket")
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await client.send(GET)
    server = await upstream.request()
    await server.send(HEAD)
    await client.read_head()
    assert len(await client.read_chunk()) == padding + 2
    exchange = await running.exchange()
    await became(lambda: not exchange.client.blocked)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    for _ in range(4):
        let_pass(exchange, clock, SECONDS)
        await became(lambda: exchange.client.blocked)
        clock.advance(5)
        running.tick()
        assert len(await client.read_chunk()) == padding + 2
        await became(lambda: not exchange.client.blocked)
    running.tick()  # 60 s of silence, in which it was read
    assert await client.read_rest() == b""
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert timeline.longest_hold == 0.0


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([BOM + EVENT], id="whole"),
        pytest.param([BOM, EVENT], id="alone"),
        pytest.param([BOM[:1], BOM[1:2], BOM[2:] + EVENT], id="byte by byte"),
    ],
)
async def test_a_byte_order_mark_is_left_out(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, pieces: list[bytes]
) -> None:
    """Behind a comment it would be a part of the first field's name."""
    _, client, server = await stream(proxy, upstream, clock)
    for piece in pieces:
        await server.send(chunk(piece))
        await idle()
    assert await client.read_payload(len(BEAT + EVENT)) == BEAT + EVENT
    await server.send(chunk(BOM + EVENT))  # this one is no mark
    assert await client.read_chunk() == BOM + EVENT


@pytest.mark.http1
async def test_a_mark_is_left_out_behind_a_beat_that_came_late(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """The first one is not sent while bytes before the head still wait."""
    route = {"target": upstream.url, "heartbeat_seconds": SECONDS}
    running = await proxy(
        {"/": {"target": upstream.url}, "/sse": {**route, "max_buffer_bytes": 1024}},
        clock=clock,
    )
    client = await running.client(receive_bytes=4096)
    await client.send(GET.replace(b"/sse", b"/long"))
    server = await upstream.request()
    narrow = running.connection.transport.get_extra_info("socket")
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    body = bytes(48 << 10)
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    await server.send(body)
    await running.ended()
    await client.send(GET)
    await server.read_head()
    await server.send(HEAD)
    exchange = await running.exchange()
    await became(lambda: exchange.stream is not None)
    assert exchange.client.blocked
    assert exchange.timeline.heartbeats == 0
    await client.read_head()
    await client.read(len(body))
    await client.read_head()
    await became(lambda: not exchange.client.blocked)
    let_pass(exchange, clock, SECONDS)
    await server.send(chunk(BOM + EVENT))
    assert await client.read_payload(len(BEAT + EVENT)) == BEAT + EVENT


async def test_what_looks_like_the_beginning_of_a_mark_is_not_lost(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    assert await client.read_chunk() == BEAT
    await server.send(chunk(BOM[:2]))
    await server.send(b"0\r\n\r\n")
    assert await client.read_body() == BOM[:2]
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_failure_is_told_by_an_event_behind_a_beat(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(
        proxy, upstream, clock, on_upstream_failure="event"
    )
    await server.send(chunk(EVENT))
    assert await client.read_payload(len(BEAT + EVENT)) == BEAT + EVENT
    let_pass(await running.exchange(), clock, SECONDS)
    server.close()
    assert await client.read_chunk() == BEAT
    assert (await client.read_chunk()).startswith(b"event: error\ndata: {")
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_heartbeats_alone_have_no_failure_told_by_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    server.close()
    assert await client.read_rest() == chunk(BEAT)
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_drain_ends_a_stream_behind_a_beat(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    exchange = await running.exchange()
    exchange.drain()
    let_pass(exchange, clock, SECONDS)
    assert exchange.shut_down() is False
    assert await client.read_body() == 2 * BEAT
    await server.closed()
    assert (await running.ended()).ending is Ending.SHUT_DOWN


async def test_a_drain_waits_for_the_end_of_an_event_with_heartbeats_too(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    await server.send(chunk(b"data: ha"))
    assert await client.read_payload(10) == BEAT + b"data: ha"
    exchange = await running.exchange()
    exchange.drain()
    assert exchange.shut_down() is False
    let_pass(exchange, clock, SECONDS)
    await server.send(chunk(b"lf\n\n"))
    assert await client.read_body() == b"lf\n\n"
    assert (await running.ended()).heartbeats == 1


@pytest.mark.parametrize("who", ["client", "upstream", "complete", "drain"])
async def test_nothing_rings_after_the_end(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, who: str
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    await client.read_chunk()
    exchange = await running.exchange()
    slot = heartbeat_of(exchange)
    assert slot is not None
    timer = slot.timer
    assert timer is not None
    if who == "client":
        client.close()
    elif who == "upstream":
        server.reset()
    elif who == "drain":
        exchange.cut()
    else:
        await server.send(b"0\r\n\r\n")
    await running.ended()
    assert timer.cancelled()
    assert slot.timer is None


class BrokenClock(ManualClock):
    """A clock that can break."""

    broken = False

    def __call__(self) -> float:
        if self.broken:
            raise Fault("the clock")
        return super().__call__()


async def test_a_beat_that_raises_costs_the_beats_of_its_stream(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    clock = BrokenClock()
    route = {"target": upstream.url, "heartbeat_seconds": SECONDS}
    async with serving(tmp_path, {"/sse": route}, {}, clock) as running:
        client, server = await running.begin(upstream, GET)
        await server.send(HEAD)
        await client.read_head()
        assert await client.read_chunk() == BEAT
        exchange = await running.exchange()
        slot = heartbeat_of(exchange)
        assert slot is not None
        clock.broken = True
        let_pass(exchange, clock, SECONDS)
        clock.broken = False
        assert slot.timer is None
        assert ["a heartbeat" in told for told in internal_errors.told] == [True]
        await server.send(chunk(EVENT) + b"0\r\n\r\n")
        assert await client.read_body() == EVENT
        assert (await running.ended()).ending is Ending.COMPLETE


async def test_they_go_by_tls(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    authority = trustme.CA()
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes()
    )
    running = await proxy(
        {"/sse": {"target": upstream.url, "heartbeat_seconds": 0.01}},
        server={"tls_certificate": str(pem)},
    )
    context = ssl.create_default_context()
    authority.configure_trust(context)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", running.port, ssl=context, server_hostname="localhost"
    )
    client = Peer(reader, writer)
    await client.send(GET)
    server = await upstream.request()
    await server.send(HEAD)
    await client.read_head()
    for _ in range(3):
        assert await client.read_chunk() == BEAT
    client.close()
    await server.closed()


async def test_a_capture_tells_them_from_pieces(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(proxy, upstream, clock)
    await client.read_chunk()
    exchange = await running.exchange()
    noted: list[tuple[str, bytes]] = []

    class Noted:
        def piece(
            self, side: str, arrived: float, sent: float | None, data: bytes
        ) -> None:
            noted.append((side, data))

        def sent(self, side: str, now: float) -> None:
            pass

        def heartbeat(self, now: float, data: bytes) -> None:
            noted.append(("heartbeat", data))

        def over(self, now: float) -> None:
            noted.append(("over", b""))

    exchange.start_capture(Noted())
    let_pass(exchange, clock, SECONDS)
    await server.send(chunk(EVENT))
    await client.read_payload(len(BEAT + EVENT))
    let_pass(exchange, clock, SECONDS)
    await server.send(b"0\r\n\r\n")
    await running.ended()
    assert noted == [
        ("heartbeat", BEAT),
        ("response", EVENT),
        ("heartbeat", BEAT),
        ("over", b""),
    ]
