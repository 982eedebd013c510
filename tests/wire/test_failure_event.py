"""`on_upstream_failure`: how an event stream ends whose upstream fails."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from proxy.stream.families import named
from proxy.stream.recent_events import RecentEvents
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import id_of
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

GET = b"GET /sse/x HTTP/1.1\r\nHost: a\r\n\r\n"
EVENT_SOURCE = GET.replace(b"\r\n\r\n", b"\r\nAccept: text/event-stream\r\n\r\n")
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


def told(event: bytes) -> dict[str, object]:
    """The data of the error event; it is whole and of one line."""
    lines = event.removesuffix(b"\n\n").split(b"\n")
    assert event.endswith(b"\n\n")
    assert lines[0] == b"event: error"
    assert len(lines) == 2
    data: dict[str, object] = json.loads(lines[1].removeprefix(b"data: "))
    return data


async def test_an_upstream_that_dies_between_two_events_is_told_of(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running, client, server = await stream(proxy, upstream, request=EVENT_SOURCE)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    server.close()
    event = await client.read_chunk()
    reason = "the upstream closed early: the last chunk is missing"
    assert told(event) == {
        "type": "http_response_incomplete",
        "reason": reason,
        "route": "/sse",
        "request_id": id_of(server),
        "error": {
            "message": reason,
            "type": "server_error",
            "code": "http_response_incomplete",
        },
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


async def test_a_client_that_does_not_come_back_gets_no_clean_end_behind_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """It may not know the event, and take a clean end for a complete stream."""
    _, client, server = await stream(proxy, upstream, request=GET)
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    server.close()
    assert told(await client.read_chunk())["type"] == "http_response_incomplete"
    assert await client.read_to_close() == (b"", "fin")


async def test_before_the_first_event_is_between_events(
    proxy: StartProxy, upstream: Upstream
) -> None:
    _, client, server = await stream(proxy, upstream, request=EVENT_SOURCE)
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
        proxy, upstream, request=EVENT_SOURCE, clock=clock, idle_timeout_seconds=30
    )
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    clock.advance(31)
    running.tick()
    data = told(await client.read_chunk())
    assert data["type"] == "http_response_timeout"
    assert "(idle_timeout_seconds)" in str(data["reason"])
    assert await client.read_chunk() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.TIMED_OUT


async def test_bad_framing_is_told_of(proxy: StartProxy, upstream: Upstream) -> None:
    running, client, server = await stream(proxy, upstream, request=EVENT_SOURCE)
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
        request=EVENT_SOURCE,
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
            HEAD.replace(b"Text/Event-Stream", b"application/json-seq"),
            id="a format that has no form for it",
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


@pytest.mark.parametrize("request_", [GET, EVENT_SOURCE])
async def test_an_old_client_gets_the_event_and_the_close(
    proxy: StartProxy, upstream: Upstream, request_: bytes
) -> None:
    """HTTP/1.0: the close is the end of the body, a reset is none."""
    running, client, server = await stream(
        proxy, upstream, request=request_.replace(b"1.1", b"1.0")
    )
    await server.send(chunk(EVENT))
    assert await client.read(len(EVENT)) == EVENT
    server.close()
    rest, how = await client.read_to_close()
    assert told(rest)["route"] == "/sse"
    assert how == ("fin" if request_ is EVENT_SOURCE else "reset")
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


# -- each family in its own form

CHAT = (
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,'
    b'"delta":{"content":"x"},"finish_reason":null}]}\n\n'
)
POST = b"POST /sse/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
NDJSON = HEAD.replace(b"Text/Event-Stream", b"application/x-ndjson")
LINE = b'{"n":1}\n'
OLLAMA = b'{"model":"m","done":false}\n'
ANSWERS = {
    "openai-chat": CHAT,
    "openai-responses": (
        b'event: response.created\ndata: {"type":"response.created",'
        b'"sequence_number":0,"response":{"id":"r1"}}\n\n'
    ),
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    ),
    "gemini": b'data: {"candidates":[{"content":{}}]}\n\n',
    "ai-sdk": b'data: {"type":"start","messageId":"m"}\n\n',
    "ag-ui": b'data: {"type":"RUN_STARTED","threadId":"t"}\n\n',
    "ollama": OLLAMA,
}


@pytest.mark.parametrize("family", ANSWERS)
@pytest.mark.parametrize("how", ["dies", "is silent", "stops"])
async def test_a_failure_is_told_in_the_form_of_the_family(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, family: str, how: str
) -> None:
    head = NDJSON if family == "ollama" else HEAD
    answer = ANSWERS[family]
    running, client, server = await stream(
        proxy,
        upstream,
        request=POST,
        head=head,
        clock=clock,
        idle_timeout_seconds=30,
    )
    await server.send(chunk(answer))
    assert await client.read_chunk() == answer
    stopped = None
    if how == "dies":
        server.close()
        reason = "the upstream closed early"
    elif how == "is silent":
        clock.advance(31)
        running.tick()
        reason = "(idle_timeout_seconds)"
    else:
        stopped = running.drain(10)
        await became(lambda: running.server.draining)
        clock.advance(10)
        running.tick()
        reason = "the proxy is shutting down"
    last = await client.read_chunk()
    assert reason.encode() in last
    recent = RecentEvents(lines=family == "ollama")
    recent.observe(answer)
    assert recent.observe(last)  # it ends between two events
    assert len(recent.items()) == 2
    assert named(family).failed(recent.items()[1])
    if how == "stops" and not named(family).aborts_badly:
        assert await client.read_to_close() == (b"", "fin")
    else:
        assert await client.read_chunk() == b""
    timeline = await running.ended()
    assert timeline.call.family == family
    assert timeline.bytes_sent == len(answer + last)
    if stopped is not None:
        assert await stopped == 1


CALL = (
    b"POST /sse/x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n"
)
RPC = b'data: {"jsonrpc":"2.0","method":"x"}\n\n'


async def called(
    proxy: StartProxy, upstream: Upstream, body: bytes, first: bytes
) -> tuple[RunningProxy, Peer]:
    """A JSON-RPC request whose stream breaks behind its first event."""
    running, client, server = await stream(
        proxy, upstream, request=CALL % len(body) + body
    )
    assert await server.read(len(body)) == body
    await server.send(chunk(first))
    assert await client.read_chunk() == first
    server.close()
    return running, client


async def test_a_json_rpc_request_gets_an_error_as_its_response(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """MCP's client for Node waits for it, whatever becomes of the body."""
    body = b'{"method":"tools/call","params":{"x":1},"jsonrpc":"2.0","id":3}'
    running, client = await called(proxy, upstream, body, RPC)
    name, data, *end = (await client.read_chunk()).split(b"\n")
    assert (name, end) == (b"event: message", [b"", b""])
    told = json.loads(data.removeprefix(b"data: "))
    assert (told["jsonrpc"], told["id"]) == ("2.0", 3)
    assert told["error"]["message"].startswith("the upstream closed early")
    assert await client.read_chunk() == b""
    assert (await running.ended()).call.family == "json-rpc"


@pytest.mark.parametrize(
    ("body", "first"),
    [
        pytest.param(b"[1]", RPC, id="a batch"),
        pytest.param(b"{", RPC, id="no JSON"),
        pytest.param(
            b'{"id":1,"method":"m","params":"%b"}' % (b"x" * 70_000),
            RPC,
            id="too long to be kept",
        ),
        pytest.param(b'{"id":1,"method":"m"}', b"id: 5\n" + RPC, id="can be resumed"),
    ],
)
async def test_json_rpc_is_aborted_where_no_response_can_be_given(
    proxy: StartProxy, upstream: Upstream, body: bytes, first: bytes
) -> None:
    running, client = await called(proxy, upstream, body, first)
    assert await client.read_rest() == b""
    assert (await running.ended()).call.family == "json-rpc"


async def test_other_lines_end_with_one_that_tells_and_no_clean_end(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running, client, server = await stream(proxy, upstream, request=POST, head=NDJSON)
    await server.send(chunk(LINE))
    assert await client.read_chunk() == LINE
    server.close()
    last = await client.read_chunk()
    assert last.endswith(b"\n")
    assert json.loads(last) == {
        "error": "the upstream closed early: the last chunk is missing",
        "type": "http_response_incomplete",
        "route": "/sse",
        "request_id": id_of(server),
    }
    assert await client.read_to_close() == (b"", "fin")
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


@pytest.mark.parametrize("head", [HEAD, NDJSON])
async def test_inside_a_line_or_event_of_a_family_it_is_aborted(
    proxy: StartProxy, upstream: Upstream, head: bytes
) -> None:
    whole = CHAT if head is HEAD else OLLAMA
    _, client, server = await stream(proxy, upstream, request=POST, head=head)
    await server.send(chunk(whole + whole[:9]))
    assert await client.read_chunk() == whole + whole[:9]
    server.close()
    assert await client.read_rest() == b""


async def test_an_event_source_of_an_answer_is_told_and_not_ended_cleanly(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """It would ask again, and get another answer, where the first looked complete."""
    running, client, server = await stream(
        proxy, upstream, request=EVENT_SOURCE, clock=clock
    )
    await server.send(chunk(CHAT))
    assert await client.read_chunk() == CHAT
    stopped = running.drain(10)
    await became(lambda: running.server.draining)
    clock.advance(9)
    running.tick()
    await server.send(chunk(CHAT))  # it has all of the time
    assert await client.read_chunk() == CHAT
    clock.advance(1)
    running.tick()
    assert (
        b'"error":{"message":"the proxy is shutting down' in await client.read_chunk()
    )
    assert await client.read_to_close() == (b"", "fin")
    assert await stopped == 1
