"""HTTP/2 with clients: a piece passes at once, and each stream goes its own way."""

from __future__ import annotations

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.http2 import CANCEL, INTERNAL_ERROR, Http2Listener
from tests.support.messages import EVENT_STREAM, OK, STREAM
from tests.support.raw import Upstream, became, chunk
from tests.support.running import RunningProxy

STREAMS = 100


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url, "ws": True}}, server=over.server)


async def test_a_small_exchange(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask(
        "/x?y=1", [("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")]
    )
    server = await upstream.request()
    assert server.head_lines[0] == b"GET /x?y=1 HTTP/1.1"
    assert b"x-a: 1" in server.head_lines
    assert b"cookie: a=1; b=2" in server.head_lines
    assert b"Via: 2.0 unbuffered" in server.head_lines
    await server.send(OK)
    head = await http.head(number)
    assert head[":status"] == "200"
    assert head["content-length"] == "2"
    assert not {"connection", "keep-alive", "transfer-encoding"} & set(head)
    assert await http.body(number) == b"ok"
    timeline = await running.ended()
    assert (timeline.version, timeline.ending) == ("2.0", Ending.COMPLETE)


async def test_each_piece_passes_at_once(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(STREAM)
    assert (await http.head(number))[":status"] == "200"
    for each in range(5):
        await server.send(chunk(b"event %d" % each))
        assert await http.read(number, 7) == b"event %d" % each
    await server.send(chunk(b""))
    assert await http.body(number) == b""
    again = await http.ask("/x")  # on both connections of before
    await server.read_head()
    await server.send(OK)
    assert await http.body(again) == b"ok"


async def test_a_hundred_streams_in_lock_step(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    open = []
    for each in range(STREAMS):
        number = await http.ask(f"/{each}")
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        await http.head(number)
        open.append((number, server))
    for turn in range(3):
        for number, server in open:
            event = b"data: %d of %d\n\n" % (turn, number)
            await server.send(chunk(event))
            assert await http.read(number, len(event)) == event
    assert len(running.server.clients) == 1
    for number, server in open:
        await server.send(chunk(b""))
        assert await http.body(number) == b""


@pytest.mark.parametrize("way", ["reset", "fin", "lost"])
async def test_a_client_that_leaves_closes_the_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, way: str
) -> None:
    """While an idle stream waits for its next event, and in the same turn."""
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await http.head(number)
    if way == "reset":
        await http.reset(number, CANCEL)
    elif way == "fin":
        http.peer.close()
    else:
        http.abort()
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert timeline.status == 200


async def test_a_reset_of_one_stream_leaves_the_others(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    open = []
    for each in range(3):
        number = await http.ask(f"/{each}")
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        await http.head(number)
        open.append((number, server))
    await http.reset(open[1][0])
    await open[1][1].closed()
    for number, server in (open[0], open[2]):
        await server.send(chunk(b"data: x\n\n"))
        assert await http.read(number, 9) == b"data: x\n\n"


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"", id="in the chunked coding"),
        pytest.param(b"zz\r\n", id="by a chunk that is none"),
    ],
)
async def test_a_broken_upstream_is_a_reset_and_no_end(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, rest: bytes
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(STREAM + chunk(b"some"))
    await http.head(number)
    assert await http.read(number, 4) == b"some"
    await server.send(rest)
    server.close()
    assert await http.broken(number) == INTERNAL_ERROR


async def test_a_body_that_is_too_short_is_a_reset(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    server = await upstream.request()
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome")
    assert await http.read(number, 4) == b"some"
    server.close()
    assert await http.broken(number) == INTERNAL_ERROR


async def test_an_upstream_that_never_answers_is_an_error_of_its_own(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    http = await over.client(running)
    number = await http.ask("/x")
    (await upstream.request()).close()
    head = await http.head(number)
    assert head[":status"] == "502"
    assert b"connection_terminated" in await http.body(number)
    await became(lambda: running.server.under_way == 0)
