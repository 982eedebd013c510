"""The limits of a request: what is answered, that it closes, what the upstream saw."""

from __future__ import annotations

import pytest

from proxy.errors import ProxyError
from proxy.timeline import Ending
from proxy.transport.client_connection import ClientConnection
from tests.conftest import ManualClock, StartProxy
from tests.support.flood import fill
from tests.support.messages import GET, OK, STREAM
from tests.support.raw import Peer, Upstream, became, chunk, idle, settled, turns
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

UPLOAD = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def refusal(client: Peer, status: int, *words: bytes) -> None:
    """The client reads a whole answer that says why, and the close."""
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in head
    assert b"\r\nProxy-Status: unbuffered; error=" in head
    body, ending = await client.read_to_close()
    assert ending == "fin"
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    for word in words:
        assert word in body
    client.close()


async def account(running: RunningProxy, ending: Ending, kind: str) -> ProxyError:
    """How the exchange ended."""
    timeline = await running.ended()
    assert timeline.ending is ending
    assert timeline.error is not None
    assert timeline.error.type == kind
    return timeline.error


# -- the size of a head -----------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "request_bytes", "status", "key"),
    [
        pytest.param(
            {"max_target_bytes": 100},
            b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 100),
            414,
            b"max_target_bytes",
            id="a target of one byte too many",
        ),
        pytest.param(
            {},
            b"GET /" + b"x" * 16500,
            414,
            b"max_target_bytes",
            id="a target whose end has not come",
        ),
        pytest.param(
            {},
            b"x" * 16500,
            414,
            b"max_target_bytes",
            id="a request line without end",
        ),
        pytest.param(
            {},
            b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 100_000),
            414,
            b"max_target_bytes",
            id="a target beyond max_head_bytes too",
        ),
        pytest.param(
            {"max_head_bytes": 1024},
            b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 1000),
            431,
            b"max_head_bytes",
            id="a head",
        ),
        pytest.param(
            {"max_head_bytes": 1024},
            b"GET / HTTP/1.1\r\nHost: a\r\nX: %b" % (b"x" * 1000),
            431,
            b"max_head_bytes",
            id="a head whose end has not come",
        ),
        pytest.param(
            {},
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
            431,
            b"max_fields",
            id="201 fields",
        ),
    ],
)
async def test_a_head_that_is_too_large_is_refused(
    proxy: StartProxy,
    upstream: Upstream,
    server: dict[str, object],
    request_bytes: bytes,
    status: int,
    key: bytes,
) -> None:
    """RFC 9112 §3, RFC 9110 §15.5.15, RFC 6585 §5"""
    running = await proxy({"/": {"target": upstream.url}}, server=server)
    client = await running.client()
    await client.send(request_bytes)
    await refusal(client, status, key)
    await account(running, Ending.REFUSED, "http_request_error")
    await running.connected(0)
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    ("server", "request_bytes"),
    [
        pytest.param(
            {"max_target_bytes": 100},
            b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 99),
            id="a target",
        ),
        pytest.param(
            {},
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 199 + b"\r\n",
            id="200 fields",
        ),
        pytest.param(
            {"max_head_bytes": 1024},
            b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 996),
            id="a head",
        ),
        pytest.param(
            {"max_target_bytes": 0, "max_fields": 0},
            b"GET /%b HTTP/1.1\r\nHost: a\r\n" % (b"x" * 30_000)
            + b"X: y\r\n" * 1000
            + b"\r\n",
            id="0 is no limit",
        ),
    ],
)
async def test_a_head_at_its_limit_is_served(
    proxy: StartProxy,
    upstream: Upstream,
    server: dict[str, object],
    request_bytes: bytes,
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server=server)
    client, peer = await running.begin(upstream, request_bytes)
    await peer.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"


# -- the time of a head -----------------------------------------------------------


async def test_a_head_that_takes_too_long_is_answered_408(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """A byte now and then is no help: the time is that of the whole head."""
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await running.client()
    await client.send(b"G")
    (connection,) = await accepted(running)
    await became(lambda: connection.head_begun)
    for byte in b"ET / HT":
        clock.advance(4)
        running.tick()
        before = len(connection.ahead)
        await client.send(bytes([byte]))
        await became(lambda before=before: len(connection.ahead) > before)  # type: ignore[misc]
    clock.advance(1.9)
    running.tick()
    assert running.exchanges.empty()
    clock.advance(0.2)
    running.tick()
    await refusal(client, 408, b"head_timeout_seconds", b"30 s")
    await account(running, Ending.TIMED_OUT, "http_request_error")
    await running.connected(0)


async def test_a_connection_that_never_sent_a_byte_is_closed_without_a_word(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await running.client()
    await accepted(running)
    clock.advance(29)
    running.tick()
    await idle()
    assert running.connections
    clock.advance(2)
    running.tick()
    await client.closed()
    assert running.exchanges.empty()


async def test_a_connection_waits_so_long_for_its_next_request(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        clock=clock,
        server={"keepalive_timeout_seconds": 7},
    )
    client, peer = await running.begin(upstream, GET)
    await peer.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    clock.advance(6.9)
    running.tick()
    await idle()
    assert running.connections
    clock.advance(0.2)
    running.tick()
    await client.closed()


async def test_0_waits_for_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    off = ("head_timeout_seconds", "body_timeout_seconds", "keepalive_timeout_seconds")
    running = await proxy(
        {"/": {"target": upstream.url, "first_byte_timeout_seconds": 0}},
        clock=clock,
        server=dict.fromkeys(off, 0),
    )
    client = await running.client()
    await accepted(running)
    await pass_a_day(running, clock)
    await client.send(b"PUT / HTTP/1.1\r\n")
    await pass_a_day(running, clock)
    await client.send(b"Host: a\r\nContent-Length: 2\r\n\r\n")
    peer = await upstream.request()
    await pass_a_day(running, clock)
    await client.send(b"hi")
    assert await peer.read(2) == b"hi"
    await peer.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    await pass_a_day(running, clock)
    await client.send(GET)
    await upstream.request()


async def pass_a_day(running: RunningProxy, clock: ManualClock) -> None:
    await idle()
    clock.advance(86_400)
    running.tick()
    await idle()


async def accepted(running: RunningProxy) -> list[ClientConnection]:
    await running.connected(1)
    return list(running.connections)


# -- the time of a body -----------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes", [UPLOAD % 10, CHUNKED], ids=["sized", "chunked"]
)
async def test_a_client_that_stops_inside_its_body_is_answered_408(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, request_bytes: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, peer = await running.begin(upstream, request_bytes)
    piece = b"ab" if request_bytes != CHUNKED else chunk(b"ab")
    for _ in range(3):
        await client.send(piece)
        await peer.read(len(piece))
        running.tick()
        clock.advance(59)
        running.tick()
    assert running.exchanges.empty()
    clock.advance(2)
    running.tick()
    await refusal(client, 408, b"body_timeout_seconds", b"60 s")
    error = await account(running, Ending.TIMED_OUT, "http_request_error")
    assert error.status == 408
    await peer.closed()
    assert running.idle_connections == 0
    await running.connected(0)


async def test_after_the_response_head_a_silent_upload_is_broken_off(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, peer = await running.begin(upstream, CHUNKED)
    await peer.send(STREAM + chunk(b"so far"))
    await client.read_head()
    assert await client.read_chunk() == b"so far"
    running.tick()
    clock.advance(61)
    running.tick()
    assert (await client.read_to_close())[0] == b""  # no last chunk
    await account(running, Ending.TIMED_OUT, "http_request_error")
    await peer.closed()


async def test_waiting_for_a_slow_upstream_is_not_the_clients_silence(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, peer = await running.begin(upstream, CHUNKED)
    sent = await fill(client)
    for _ in range(10):
        clock.advance(50)
        running.tick()
        await idle()
    assert running.exchanges.empty()
    assert sent.size
    client.reset()
    await peer.read_rest()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


# -- the size of a body -----------------------------------------------------------


async def test_a_length_beyond_the_limit_never_reaches_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9110 §15.5.14"""
    running = await proxy({"/": {"target": upstream.url, "max_body_bytes": 10}})
    client = await running.client()
    await client.send(UPLOAD % 11 + b"x" * 11)
    await refusal(client, 413, b"max_body_bytes")
    await account(running, Ending.REFUSED, "http_request_error")
    assert upstream.unexpected == 0


async def test_a_client_that_uploads_on_can_read_its_413(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Closing on unread bytes would reset the connection, and the answer with it."""
    running = await proxy({"/": {"target": upstream.url, "max_body_bytes": 10}})
    client = await running.client()
    body = bytes(2_000_000)
    await client.send(UPLOAD % len(body) + body)
    await refusal(client, 413, b"max_body_bytes")


async def test_a_chunked_body_is_refused_once_it_is_too_large(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_body_bytes": 10}})
    client, peer = await running.begin(upstream, CHUNKED)
    await client.send(chunk(b"12345") + chunk(b"67890"))
    assert await peer.read_payload(10) == b"1234567890"
    await client.send(chunk(b"!"))
    await refusal(client, 413, b"max_body_bytes")
    await account(running, Ending.REFUSED, "http_request_error")
    await peer.closed()  # without the last chunk: no upstream takes it for whole
    assert running.idle_connections == 0


async def test_after_the_response_head_it_is_broken_off(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_body_bytes": 10}})
    client, peer = await running.begin(upstream, CHUNKED)
    await peer.send(STREAM)
    await client.read_head()
    await client.send(chunk(b"12345678901"))
    assert (await client.read_to_close())[0] == b""
    await account(running, Ending.REFUSED, "http_request_error")
    await peer.closed()


@pytest.mark.parametrize(
    "body", [UPLOAD % 10 + b"x" * 10, CHUNKED + chunk(b"x" * 10) + b"0\r\n\r\n"]
)
async def test_a_body_at_its_limit_passes(
    proxy: StartProxy, upstream: Upstream, body: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_body_bytes": 10}})
    client, peer = await running.begin(upstream, body)
    await peer.read_until(b"x" * 10)
    await peer.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


# -- the client's reading ---------------------------------------------------------


async def stalled(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> tuple[Peer, Peer]:
    """A client that has taken nothing of a stream for a while."""
    client, peer = await running.begin(upstream, GET)
    await peer.send(STREAM)
    await fill(peer)
    running.tick()
    clock.advance(29)
    running.tick()
    await idle()
    assert running.exchanges.empty()
    return client, peer


async def test_a_client_that_takes_nothing_is_cut_off(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        clock=clock,
        server={"write_timeout_seconds": 30},
    )
    client, peer = await stalled(running, upstream, clock)
    clock.advance(2)
    running.tick()
    error = await account(running, Ending.TIMED_OUT, "connection_write_timeout")
    assert "write_timeout_seconds" in str(error)
    assert (await client.read_to_close())[1] == "reset"
    await peer.closed()
    await running.connected(0)


async def test_a_client_that_takes_something_is_not(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        clock=clock,
        server={"write_timeout_seconds": 30},
    )
    client, _ = await stalled(running, upstream, clock)
    connection = running.connection
    for _ in range(3):
        before = connection.transport.get_write_buffer_size()
        while connection.transport.get_write_buffer_size() == before:
            await client.read(65536)
            await turns(5)
        running.tick()
        clock.advance(29)
        running.tick()
        await idle()
        assert running.exchanges.empty()
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_by_default_a_stream_waits_for_its_client_for_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, _ = await stalled(running, upstream, clock)
    await pass_a_day(running, clock)
    assert running.exchanges.empty()
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_a_finished_response_that_nobody_reads_is_given_up(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "max_buffer_bytes": 1 << 26}}, clock=clock
    )
    client = await running.client(receive_bytes=4096)
    await client.send(GET)
    peer = await upstream.request()
    body = bytes(8_000_000)
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + body)
    assert (await running.ended()).ending is Ending.COMPLETE
    for _ in range(4):  # keep-alive, then twice without progress
        clock.advance(76)
        running.tick()
        await idle()
    await running.connected(0)
    assert (await client.read_to_close())[1] == "reset"


@pytest.mark.parametrize("limit", [1024, 1 << 20])
async def test_so_many_bytes_wait_for_a_slow_client(
    proxy: StartProxy, upstream: Upstream, limit: int
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_buffer_bytes": limit}})
    client, peer = await running.begin(upstream, GET)
    await peer.send(STREAM)
    await fill(peer)
    connection = running.connection
    waiting = await settled(connection.transport.get_write_buffer_size)
    assert limit // 8 < waiting < limit + 512 * 1024  # and what one read brought
    client.close()
    await running.ended()


# -- work -------------------------------------------------------------------------


async def test_a_head_byte_by_byte_costs_bounded_work(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Each byte is looked at once: what is put among those before stays unseen."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: xxxxxxxxxxxx")
    (connection,) = await accepted(running)
    await became(lambda: len(connection.ahead) > 20)
    connection.ahead = connection.ahead[:-10] + b"\r\n\r\n\0xxxxx"
    for _ in range(100):
        before = len(connection.ahead)
        await client.send(b"x")
        await became(lambda before=before: len(connection.ahead) > before)  # type: ignore[misc]
    assert running.exchanges.empty()
    assert upstream.unexpected == 0
    await client.send(b"\r\n\r\n")  # the whole is parsed all the same
    await refusal(client, 400)
