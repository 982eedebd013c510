"""`on_upstream_failure`: how an event stream ends whose upstream fails."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import RunningProxy

GET = b"GET /sse/x HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = b"id: 1\ndata: one\n\n"


async def stream(
    proxy: StartProxy,
    upstream: Upstream,
    *,
    request: bytes = GET,
    head: bytes = HEAD,
    clock: ManualClock | None = None,
    **options: object,
) -> tuple[RunningProxy, Peer, Peer]:
    """A proxy with a stream whose head the client has."""
    route = {"target": upstream.url, "on_upstream_failure": "event", **options}
    extra = {} if clock is None else {"clock": clock}
    running = await proxy({"/sse": route}, **extra)
    client, server = await running.begin(upstream, request)
    await server.send(head)
    await client.read_head()
    return running, client, server


def told(event: bytes) -> dict[str, str]:
    """The data of the error event; it is whole and of one line."""
    lines = event.removesuffix(b"\n\n").split(b"\n")
    assert event.endswith(b"\n\n")
    assert lines[0] == b"event: error"
    assert len(lines) == 2
    data: dict[str, str] = json.loads(lines[1].removeprefix(b"data: "))
    return data


async def test_an_upstream_that_dies_between_two_events_is_told_of(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running, client, server = await stream(proxy, upstream)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    server.close()
    event = await client.read_chunk()
    assert told(event) == {
        "type": "http_response_incomplete",
        "reason": "the upstream closed early: the last chunk is missing",
        "route": "/sse",
    }
    assert await client.read_chunk() == b""
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_response_incomplete"
    assert timeline.bytes_sent == len(EVENT) + len(event)
    # The response is well framed: the connection serves the next request.
    await client.send(GET)
    await (await upstream.request()).send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert b"204" in await client.read_head()


async def test_before_the_first_event_is_between_events(
    proxy: StartProxy, upstream: Upstream
) -> None:
    _, client, server = await stream(proxy, upstream)
    server.reset()
    assert told(await client.read_chunk())["type"] == "http_response_incomplete"
    assert await client.read_chunk() == b""


@pytest.mark.parametrize(
    "part",
    [b"data: half", b"data: half\n", b"id: 7\r\n", b"\xef\xbb"],
)
async def test_inside_an_event_the_connection_breaks_all_the_same(
    proxy: StartProxy, upstream: Upstream, part: bytes
) -> None:
    """A blank line would have the client take half an event for a whole one."""
    first = b"" if part.startswith(b"\xef") else EVENT
    running, client, server = await stream(proxy, upstream)
    await server.send(chunk(first + part))
    assert await client.read_chunk() == first + part
    server.close()
    assert await client.read_rest() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_abort_is_the_default(proxy: StartProxy, upstream: Upstream) -> None:
    running, client, server = await stream(proxy, upstream, on_upstream_failure="abort")
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    server.close()
    assert await client.read_rest() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_time_limit_is_told_of(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await stream(
        proxy, upstream, clock=clock, idle_timeout_seconds=30
    )
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    clock.advance(31)
    running.tick()
    data = told(await client.read_chunk())
    assert data["type"] == "http_response_timeout"
    assert "(idle_timeout_seconds)" in data["reason"]
    assert await client.read_chunk() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.TIMED_OUT


async def test_bad_framing_is_told_of(proxy: StartProxy, upstream: Upstream) -> None:
    running, client, server = await stream(proxy, upstream)
    await server.send(chunk(EVENT) + b"zz\r\n")
    assert await client.read_chunk() == EVENT
    assert told(await client.read_chunk())["type"] == "http_protocol_error"
    assert await client.read_chunk() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_broken_content_coding_is_told_of(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running, client, server = await stream(
        proxy,
        upstream,
        head=HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
    )
    coder = zlib.compressobj(wbits=31)
    await server.send(chunk(coder.compress(EVENT) + coder.flush(zlib.Z_SYNC_FLUSH)))
    assert await client.read_payload(len(EVENT)) == EVENT
    await server.send(chunk(b"\xff" * 20))
    assert told(await client.read_chunk())["type"] == "http_response_content_coding"
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            HEAD.replace(b"Text/Event-Stream", b"application/x-ndjson"), id="ndjson"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Content-Length: 100\r\n\r\n",
            id="a length that was promised",
        ),
        pytest.param(
            HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: x-own\r\n\r\n"),
            id="a coding that we do not know",
        ),
        pytest.param(
            HEAD.replace(
                b"\r\n\r\n",
                b"\r\nContent-Encoding: gzip\r\nCache-Control: no-transform\r\n\r\n",
            ),
            id="a coding that stays",
        ),
    ],
)
async def test_where_no_event_can_be_written_the_connection_breaks(
    proxy: StartProxy, upstream: Upstream, head: bytes
) -> None:
    running, client, server = await stream(proxy, upstream, head=head)
    body = gzip.compress(EVENT) if b"gzip" in head else EVENT
    await server.send(body if b"Content-Length" in head else chunk(body))
    if b"Content-Length" in head:
        assert await client.read(len(body)) == body
    else:
        assert await client.read_payload(len(body)) == body
    server.close()
    assert await client.read_rest() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_an_old_client_gets_the_event_and_the_close(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """HTTP/1.0: the close is the end of the body."""
    running, client, server = await stream(
        proxy, upstream, request=b"GET /sse/x HTTP/1.0\r\n\r\n"
    )
    await server.send(chunk(EVENT))
    assert await client.read(len(EVENT)) == EVENT
    server.close()
    rest, how = await client.read_to_close()
    assert told(rest)["route"] == "/sse"
    assert how == "fin"
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_before_the_head_it_is_a_status(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "on_upstream_failure": "event"}}
    )
    client, server = await running.begin(
        upstream,
        GET.replace(b"GET", b"POST").replace(
            b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"
        ),
    )
    server.close()
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")


async def test_a_good_end_is_left_alone(proxy: StartProxy, upstream: Upstream) -> None:
    running, client, server = await stream(proxy, upstream)
    await server.send(chunk(EVENT) + b"0\r\n\r\n")
    assert await client.read_body() == EVENT
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1
