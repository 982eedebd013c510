"""`heartbeat_before_head`: a response that begins before the upstream's."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import cast

import pytest

from proxy.exchange.early_response import BODY_BYTES, BodyBeginning, EarlyResponse
from proxy.exchange.exchange import Exchange
from proxy.timeline import Ending
from proxy.transport.request_copy import request_copy
from tests.conftest import InternalErrorLog, ManualClock, StartProxy
from tests.support.faulty import Fault
from tests.support.heartbeats import let_pass
from tests.support.kept import stream_id
from tests.support.messages import id_of
from tests.support.ports import ClosedPort
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy, serving

ASK = b"GET /sse/x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
POST = (
    b"POST /sse/x HTTP/1.1\r\nHost: a\r\nAccept: application/json, text/event-stream"
    b"\r\nContent-Length: 4\r\n\r\nping"
)
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = EVENTS + b"Transfer-Encoding: chunked\r\n\r\n"
BEAT = b":\n"
EVENT = b"id: 1\ndata: one\n\n"
SECONDS = 15


def early_of(exchange: Exchange) -> EarlyResponse:
    return cast("EarlyResponse", exchange.source)


def due(exchange: Exchange, clock: ManualClock, seconds: float = SECONDS) -> None:
    """Let time pass, and then the timer of the response that may begin early ring."""
    clock.advance(seconds)
    early = early_of(exchange)
    assert early.timer is not None
    early.timer.cancel()
    early.rang()


async def waiting(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    request: bytes = ASK,
    **options: object,
) -> tuple[RunningProxy, Peer, Peer, Exchange]:
    """A request that its upstream has, and does not answer."""
    route = {
        "target": upstream.url,
        "heartbeat_seconds": SECONDS,
        "heartbeat_before_head": True,
        **options,
    }
    running = await proxy({"/sse": route}, clock=clock)
    client, server = await running.begin(upstream, request)
    exchange = await running.waiting_for("response head")
    return running, client, server, exchange


async def begun(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    request: bytes = ASK,
    **options: object,
) -> tuple[RunningProxy, Peer, Peer]:
    """A response that has begun; its first beat is read."""
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, request, **options
    )
    if request is POST:
        await server.read(4)
    due(exchange, clock)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    return running, client, server


def told(event: bytes) -> dict[str, object]:
    """The data of a plain error event."""
    assert event.startswith(b"event: error\ndata: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 3
    data: dict[str, object] = json.loads(event[len(b"event: error\ndata: ") :])
    return data


async def test_the_response_begins_after_so_long_and_its_head_is_that_of_events(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, _, exchange = await waiting(
        proxy,
        upstream,
        clock,
        headers={"response": {"set": {"Access-Control-Allow-Origin": "*"}}},
    )
    due(exchange, clock, SECONDS - 0.1)
    assert exchange.timeline.status == 0
    due(exchange, clock, 0.1)
    await client.read_head()
    line, *fields = client.head_lines
    assert line == b"HTTP/1.1 200 OK"
    names = [field.split(b":")[0] for field in fields]
    assert b"Date" in names
    fields = [field for field in fields if not field.startswith(b"Date:")]
    assert fields == [
        b"Content-Type: text/event-stream",
        b"Cache-Control: no-cache, no-transform",
        b"X-Accel-Buffering: no",
        b"Via: 1.1 unbuffered",
        b"Access-Control-Allow-Origin: *",
        b"Transfer-Encoding: chunked",
    ]
    for _ in range(3):
        assert await client.read_chunk() == BEAT
        let_pass(exchange, clock, SECONDS)
    assert exchange.waiting_for == "response head"
    client.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


COMPLETION = (
    b"POST /sse/chat/completions HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)


def completion(body: bytes) -> bytes:
    """A request as OpenAI's clients send it."""
    return COMPLETION % (len(body), body)


LONG = b'{"messages":[{"content":"%b"}],"stream":true,"tools":["%b"]}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"content":"\\"stream\\":false"}],"stream":true}',
        LONG % (b"x" * 70_000, b""),
        LONG % (b"", b"x" * 70_000),
        LONG % (b"x" * 65_515, b""),
    ],
    ids=["short", "at the end", "at the beginning", "where the limit is"],
)
async def test_a_stream_that_only_the_body_asks_for_begins_early_too(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, body: bytes
) -> None:
    running, client, server = await begun(proxy, upstream, clock, completion(body))
    assert await server.read(len(body)) == body
    await server.send(CHUNKED + chunk(EVENT) + b"0\r\n\r\n")
    assert await client.read_payload(len(EVENT)) == EVENT
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","stream":false}',
        b'{"model":"m"}',
        b'{"model":"m","stream":"true"}',
        b'{"messages":[{"stream":true}]}',
        b'["stream",true]',
        b'{"stream":true',
        b'{"x":"%b,\\"stream\\":true"}' % (b"x" * 70_000),
        b'{"x":"%b","stream":trueish}' % (b"x" * 70_000),
    ],
    ids=[
        "false",
        "not said",
        "a string",
        "inside",
        "a list",
        "no JSON",
        "text",
        "word",
    ],
)
async def test_a_body_that_asks_for_no_stream_is_answered_as_the_upstream_answers(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, body: bytes
) -> None:
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, completion(body)
    )
    assert await server.read(len(body)) == body
    due(exchange, clock)
    assert early_of(exchange).timer is None  # nothing will be known later, either
    await server.send(b"HTTP/1.1 429 x\r\nContent-Length: 2\r\n\r\nno")
    assert (await client.read_head()).startswith(b"HTTP/1.1 429 ")
    assert await client.read(2) == b"no"
    await running.ended()


@pytest.mark.parametrize("request_", [ASK, POST], ids=["GET", "POST"])
@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(CHUNKED, chunk(EVENT) + chunk(b""), id="chunked"),
        pytest.param(
            EVENTS + b"Content-Length: %d\r\n\r\n" % len(EVENT), EVENT, id="length"
        ),
        pytest.param(EVENTS + b"\r\n", EVENT, id="until close"),
        pytest.param(
            EVENTS + b"Content-Encoding: gzip\r\nCache-Control: no-transform\r\n"
            b"Content-Length: %d\r\n\r\n" % len(gzip.compress(EVENT)),
            gzip.compress(EVENT),
            id="gzip",
        ),
    ],
)
async def test_an_event_stream_goes_on_in_the_response_that_has_begun(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    request_: bytes,
    head: bytes,
    body: bytes,
) -> None:
    running, client, server = await begun(proxy, upstream, clock, request_)
    await server.send(head + body)
    if b"Content-Length" not in head and b"chunked" not in head:
        server.finish()
    assert await client.read_body() == EVENT
    timeline = await running.ended()
    assert timeline.ending is Ending.COMPLETE
    assert (timeline.status, timeline.bytes_sent) == (200, len(EVENT))
    assert timeline.heartbeats == 1


async def test_events_pass_one_by_one_and_beats_between_them(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    exchange = await running.exchange()
    await server.send(CHUNKED)
    await running.waiting_for("upstream")
    for number in range(3):
        event = b"data: %d\n\n" % number
        await server.send(chunk(event))
        assert await client.read_chunk() == event
        let_pass(exchange, clock, SECONDS)
        assert await client.read_chunk() == BEAT
    await server.send(chunk(b"data: ha"))
    assert await client.read_chunk() == b"data: ha"
    let_pass(exchange, clock, SECONDS)
    await server.send(chunk(b"lf\n\n") + chunk(b""))
    assert await client.read_body() == b"lf\n\n"
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_a_byte_order_mark_behind_the_beats_is_left_out(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    _, client, server = await begun(proxy, upstream, clock)
    await server.send(CHUNKED + chunk(b"\xef\xbb\xbf" + EVENT) + chunk(b""))
    assert await client.read_body() == EVENT


async def test_what_was_not_sent_is_logged(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, client, server = await begun(proxy, upstream, clock)
    with caplog.at_level(logging.DEBUG, "unbuffered"):
        await server.send(EVENTS + b"Set-Cookie: s=1\r\nContent-Length: 0\r\n\r\n")
        assert await client.read_body() == b""
    assert "fields of the upstream were not sent: " in caplog.text
    assert "set-cookie" in caplog.text
    assert "s=1" not in caplog.text


ERROR = b'{"error": {"message": "slow down",\n "code": 429}}'
ANTHROPIC = (
    b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
)


def answer(status: bytes, kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        kind,
        len(body),
        body,
    )


async def refused(running: RunningProxy, server: Peer) -> None:
    """The account of a response that was not taken."""
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.status == 200
    assert timeline.call.content_type == b"text/event-stream"  # what the client has
    assert timeline.error is not None
    assert timeline.error.type == "http_protocol_error"


async def test_of_a_long_type_the_beginning_is_told(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    _, client, server = await begun(proxy, upstream, clock)
    await server.send(answer(b"200 OK", b"text/" + b"a" * 3000, b"no\n"))
    event = await client.read_chunk()
    assert f"200 with text/{'a' * 35}…, when" in str(told(event)["reason"])


async def test_another_status_is_told_by_an_event_with_its_body(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(answer(b"401 Unauthorized", b"text/plain", b"no key\n"))
    event = await client.read_chunk()
    reason = (
        "the upstream answered 401 with text/plain, when the response had begun as an "
        "event stream (heartbeat_before_head)"
    )
    assert told(event) == {
        "type": "http_protocol_error",
        "reason": reason,
        "route": "/sse",
        "request_id": id_of(server),
        "status": 401,
        "body": "no key\n",
        "error": {
            "message": reason,
            "type": "server_error",
            "code": "http_protocol_error",
        },
    }
    assert await client.read_chunk() == b""  # an EventSource, that comes back
    await refused(running, server)


async def test_behind_a_plain_event_any_other_client_finds_the_connection_broken(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock, POST)
    await server.send(answer(b"200 OK", b"application/json", b"{}"))
    rest = await client.read_rest()
    assert b'"status":200,"body":"{}"' in rest
    assert not rest.endswith(b"0\r\n\r\n")
    await refused(running, server)


@pytest.mark.parametrize(
    ("body", "event"),
    [
        pytest.param(
            ERROR,
            b'data: {"error":{"message":"slow down","code":429}}\n\n',
            id="OpenAI, Gemini",
        ),
        pytest.param(
            ANTHROPIC, b"event: error\ndata: " + ANTHROPIC + b"\n\n", id="Anthropic"
        ),
    ],
)
@pytest.mark.parametrize("coded", [False, True], ids=["plain", "gzip"])
async def test_an_error_of_a_models_api_is_told_in_its_form(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    body: bytes,
    event: bytes,
    coded: bool,
) -> None:
    asked = b'{"model":"m","stream":true}'
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, completion(asked)
    )
    assert await server.read(len(asked)) == asked
    due(exchange, clock)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    kind = b"application/json"
    if coded:
        kind += b"\r\nContent-Encoding: gzip"
        body = gzip.compress(body)
    await server.send(answer(b"429 Too Many Requests", kind, body))
    assert await client.read_body() == event
    await refused(running, server)


async def test_a_client_that_is_not_of_a_models_api_finds_the_connection_broken(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """One of AG-UI names the type, and takes a clean end for that of its run."""
    running, client, server = await begun(proxy, upstream, clock, POST)
    await server.send(answer(b"429 x", b"application/json", ANTHROPIC))
    assert await client.read_chunk() == b"event: error\ndata: " + ANTHROPIC + b"\n\n"
    assert await client.read_rest() == b""
    await refused(running, server)


GEMINI = (
    b"POST /sse/v1beta/models/m:streamGenerateContent?alt=sse HTTP/1.1\r\nHost: a\r\n"
    b"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("body", "event"),
    [
        pytest.param(
            b'{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}',
            b'data: {"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}',
            id="its own error",
        ),
        pytest.param(ANTHROPIC, b'data: {"error":{"code":503,', id="another API's"),
        pytest.param(ERROR[:-2], b'data: {"error":{"code":503,', id="a part of one"),
        pytest.param(b"no", b'data: {"error":{"code":503,', id="a text"),
    ],
)
async def test_a_client_of_gemini_waits_by_blank_lines_and_is_told_in_its_form(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, body: bytes, event: bytes
) -> None:
    """It fails on a comment, and skips an event that does not begin with its data."""
    running, client, server, exchange = await waiting(proxy, upstream, clock, GEMINI)
    due(exchange, clock)
    await client.read_head()
    assert await client.read_chunk() == b"\n"
    await server.send(answer(b"429 x", b"application/json", body))
    told = await client.read_body()
    assert told.startswith(event)
    assert told.count(b"\n") == 2
    await refused(running, server)


CALL = b'{"jsonrpc":"2.0","id":7,"method":"tools/call"}'
MCP = (
    b"POST /sse/mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%b"
    % (len(CALL), CALL)
)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(
            b"200 OK", b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}', id="result"
        ),
        pytest.param(
            b"400 Bad Request",
            b'{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"no"}}',
            id="error",
        ),
    ],
)
async def test_a_response_of_json_rpc_goes_on_as_an_event(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    status: bytes,
    body: bytes,
) -> None:
    """A server of MCP may answer in either type (2025-06-18, Transports)."""
    running, client, server, exchange = await waiting(proxy, upstream, clock, MCP)
    assert await server.read(len(CALL)) == CALL
    due(exchange, clock)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    await server.send(answer(status, b"application/json", body))
    assert await client.read_body() == b"data: " + body + b"\n\n"
    await refused(running, server)


async def test_an_error_that_could_not_be_written_again_is_told_as_text(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """1e999 would go out as Infinity, which is not JSON."""
    running, client, server = await begun(proxy, upstream, clock)
    body = b'{"error":{"message":"m","code":1e999}}'
    await server.send(answer(b"429 x", b"application/json", body))
    assert told(await client.read_chunk())["body"] == body.decode()
    await refused(running, server)


@pytest.mark.parametrize("begins", [True, False], ids=["begun", "answered in time"])
@pytest.mark.parametrize(
    ("request_", "failure", "kept"),
    [
        pytest.param(completion(b'{"stream":true}'), "event", (False, False), id="no"),
        pytest.param(MCP, "abort", (True, False), id="before the upstream's head"),
        pytest.param(MCP, "event", (True, True), id="all the time"),
    ],
)
async def test_a_request_is_kept_only_while_a_failure_may_have_to_name_it(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    request_: bytes,
    failure: str,
    kept: tuple[bool, bool],
    begins: bool,
) -> None:
    """A long stream is not to hold 64 KiB that nobody reads again."""
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, request_, on_upstream_failure=failure
    )
    assert request_copy(exchange.request_pipeline) is not None
    if begins:
        due(exchange, clock)
        assert (request_copy(exchange.request_pipeline) is not None) is kept[0]
    await server.send(CHUNKED + chunk(EVENT))
    assert await client.read_until(EVENT)
    assert (request_copy(exchange.request_pipeline) is not None) is kept[1]
    client.close()
    await running.ended()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"no", b"answered 401", id="a text"),
        pytest.param(ANTHROPIC, b"answered 401", id="an error of another API"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"unread"}}',
            b"unread",
            id="an error without its id",
        ),
    ],
)
async def test_a_json_rpc_request_that_fails_gets_its_response(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    body: bytes,
    says: bytes,
) -> None:
    """MCP's client for Node waits for one with its id."""
    running, client, server, exchange = await waiting(proxy, upstream, clock, MCP)
    assert await server.read(len(CALL)) == CALL
    due(exchange, clock)
    await client.read_head()
    assert await client.read_chunk() == BEAT
    await server.send(answer(b"401 Unauthorized", b"application/json", body))
    event = await client.read_chunk()
    assert b'data: {"jsonrpc":"2.0","id":7,"error":{' in event
    assert says in event
    assert await client.read_chunk() == b""
    await refused(running, server)


@pytest.mark.parametrize(
    ("response", "status"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, id="204"),
        pytest.param(
            EVENTS.replace(b"200 OK", b"204 No Content") + b"\r\n",
            204,
            id="204 that names the type",
        ),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, id="304"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
            302,
            id="a redirect",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, id="101"
        ),
        pytest.param(
            EVENTS + b"Content-Encoding: x-own\r\nContent-Length: 1\r\n\r\nx",
            200,
            id="a coding that we do not know",
        ),
        pytest.param(
            CHUNKED.replace(b"200 OK", b"206 Partial Content") + chunk(b""),
            206,
            id="a part",
        ),
    ],
)
async def test_whatever_cannot_be_relayed_is_told_of(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    response: bytes,
    status: int,
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(response)
    assert told(await client.read_chunk())["status"] == status
    assert await client.read_chunk() == b""
    await refused(running, server)


async def test_of_a_long_body_the_beginning_is_told(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """And of a character that is cut, nothing."""
    running, client, server = await begun(proxy, upstream, clock)
    body = b"x" + "你".encode() * 100_000
    await server.send(answer(b"500 Internal Server Error", b"text/html", body)[:50_000])
    data = told(await client.read_chunk())
    assert data["body"] == body[: BODY_BYTES - (BODY_BYTES - 1) % 3].decode()
    assert await client.read_chunk() == b""
    await server.read_rest()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_body_that_does_not_come_is_not_waited_for(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    early = early_of(await running.exchange())
    await server.send(
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 99\r\n\r\nwait"
    )
    await became(lambda: early.timer is not None)
    receiver = (await running.upstream_connection()).receiver
    assert isinstance(receiver, BodyBeginning)
    receiver.done()  # two seconds later
    data = told(await client.read_chunk())
    assert (data["status"], data["body"]) == (503, "wait")
    assert await client.read_chunk() == b""
    await refused(running, server)


async def test_an_upstream_that_dies_in_the_body_is_told_with_what_came(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\nhalf")
    server.close()
    assert told(await client.read_chunk())["body"] == "half"
    assert await client.read_chunk() == b""
    await refused(running, server)


async def test_a_failure_before_the_head_is_told_by_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Whatever on_upstream_failure says: no status can tell of it any more."""
    running, client, server = await begun(proxy, upstream, clock)
    server.close()
    data = told(await client.read_chunk())
    assert (data["type"], data["status"]) == ("connection_terminated", 502)
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_malformed_head_is_told_by_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(EVENTS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")
    assert told(await client.read_chunk())["type"] == "http_protocol_error"
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_a_body_that_cannot_be_framed_is_told_by_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    )
    assert told(await client.read_chunk())["type"] == "http_protocol_error"
    assert await client.read_chunk() == b""
    await refused(running, server)


async def test_a_time_limit_is_told_by_an_event(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(
        proxy, upstream, clock, first_byte_timeout_seconds=60
    )
    clock.advance(60)
    running.tick()
    data = told(await client.read_chunk())
    assert (data["type"], data["status"]) == ("http_response_timeout", 504)
    assert await client.read_chunk() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.TIMED_OUT


async def test_a_failure_behind_the_head_is_as_the_route_has_it(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(CHUNKED + chunk(EVENT))
    assert await client.read_chunk() == EVENT
    server.close()
    assert await client.read_rest() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_an_upstream_that_is_down_is_waited_for(
    proxy: StartProxy, clock: ManualClock
) -> None:
    with ClosedPort() as closed:
        route = {
            "target": closed.url,
            "heartbeat_seconds": SECONDS,
            "heartbeat_before_head": True,
            "connect_retry_seconds": 60,
        }
        running = await proxy({"/sse": route}, clock=clock)
        client = await running.client()
        await client.send(POST)
        exchange = await running.waiting_for("retry")
        due(exchange, clock)
        await client.read_head()
        assert await client.read_chunk() == BEAT
        clock.advance(60)
        running.tick()
        rest = await client.read_rest()
    assert b'"type":"destination_unavailable"' in rest
    assert b'"status":503,"body":""' in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_an_upstream_that_comes_back_gets_the_request_and_its_stream_is_read(
    proxy: StartProxy, clock: ManualClock
) -> None:
    """The body of the request has waited at the client for a connection."""
    with ClosedPort() as closed:
        route = {
            "target": closed.url,
            "heartbeat_seconds": SECONDS,
            "heartbeat_before_head": True,
            "connect_retry_seconds": 60,
        }
        running = await proxy({"/sse": route}, clock=clock)
        client = await running.client()
        await client.send(POST)
        exchange = await running.waiting_for("retry")
        due(exchange, clock)
        await client.read_head()
        assert await client.read_chunk() == BEAT
        async with closed.upstream() as upstream:
            clock.advance(5)
            running.tick()
            server = await upstream.request()
            assert await server.read(4) == b"ping"
            let_pass(exchange, clock, SECONDS)
            assert await client.read_chunk() == BEAT
            await server.send(CHUNKED + chunk(EVENT) + chunk(b""))
            assert await client.read_body() == EVENT
            timeline = await running.ended()
            assert (timeline.ending, timeline.status) == (Ending.COMPLETE, 200)
            assert timeline.bytes_received == 4


async def test_who_waits_for_100_is_not_answered_before_the_upstream(
    proxy: StartProxy, clock: ManualClock
) -> None:
    """A final response in place of 100 would say that the body is not wanted."""
    with ClosedPort() as closed:
        route = {
            "target": closed.url,
            "heartbeat_seconds": SECONDS,
            "heartbeat_before_head": True,
            "connect_retry_seconds": 60,
        }
        running = await proxy({"/sse": route}, clock=clock)
        client = await running.client()
        head = POST.removesuffix(b"\r\n\r\nping")
        await client.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        exchange = await running.waiting_for("retry")
        due(exchange, clock)
        assert exchange.timeline.status == 0
        client.close()
        assert (await running.ended()).heartbeats == 0


async def test_a_head_that_comes_in_time_is_sent_as_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server, exchange = await waiting(proxy, upstream, clock)
    timer = early_of(exchange).timer
    assert timer is not None
    await server.send(answer(b"404 Not Found", b"text/plain", b"no"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    assert await client.read(2) == b"no"
    assert (await running.ended()).ending is Ending.COMPLETE
    assert timer.cancelled()
    assert running.idle_connections == 1


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(ASK.replace(b"text/event-stream", b"*/*"), id="any type"),
        pytest.param(
            ASK.replace(b"text/event-stream", b"text/event-stream;q=0"), id="refused"
        ),
        pytest.param(ASK.replace(b"Accept: text/event-stream\r\n", b""), id="none"),
        pytest.param(ASK.replace(b"GET", b"HEAD"), id="HEAD"),
        pytest.param(
            ASK.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            id="an upgrade",
        ),
    ],
)
async def test_who_does_not_ask_for_events_waits_for_the_upstream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, request_: bytes
) -> None:
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, request_, ws=True
    )
    assert not isinstance(exchange.source, EarlyResponse)
    await server.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
    await running.ended()


async def test_a_client_that_still_sends_its_request_is_not_answered(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun_upload(proxy, upstream, clock)
    exchange = await running.exchange()
    due(exchange, clock)
    due(exchange, clock)
    assert exchange.timeline.status == 0
    await client.send(b"ng")
    assert await server.read(2) == b"ng"
    await became(lambda: exchange.client.request_complete)
    due(exchange, clock)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    client.close()
    await running.ended()


async def begun_upload(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> tuple[RunningProxy, Peer, Peer]:
    """A request half of whose body has been sent."""
    running = await proxy(
        {
            "/sse": {
                "target": upstream.url,
                "heartbeat_seconds": SECONDS,
                "heartbeat_before_head": True,
            }
        },
        clock=clock,
    )
    client, server = await running.begin(upstream, POST.removesuffix(b"ng"))
    assert await server.read(2) == b"pi"
    return running, client, server


async def test_an_interim_response_is_not_sent_behind_the_head(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    await server.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    await server.send(CHUNKED + chunk(EVENT) + chunk(b""))
    assert await client.read_body() == EVENT
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("when", ["before", "begun", "body"])
async def test_a_client_that_leaves_leaves_nothing_behind(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, when: str
) -> None:
    running, client, server, exchange = await waiting(proxy, upstream, clock)
    early = early_of(exchange)
    if when != "before":
        due(exchange, clock)
        await client.read_head()
    if when == "body":
        await server.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n")
        await became(lambda: early.timer is not None)
    client.close()
    await server.closed()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    assert early.timer is None
    stream = early.stream
    assert stream is None or stream.heartbeats is None or not stream.heartbeats.timer


@pytest.mark.parametrize("begins", [True, False], ids=["begun", "not yet"])
async def test_an_upstream_is_read_to_its_end_without_a_client(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, begins: bool
) -> None:
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, on_client_leave="finish"
    )
    early = early_of(exchange)
    if begins:
        due(exchange, clock)
        assert await client.read_until(chunk(BEAT))
    client.close()
    await became(lambda: exchange.is_finishing)
    assert early.timer is None
    await server.send(CHUNKED + chunk(EVENT))
    await running.waiting_for("upstream")
    if begins:  # its timer rings for the last time
        let_pass(exchange, clock, SECONDS)
        assert early.stream is not None
        assert early.stream.heartbeats is not None
        assert early.stream.heartbeats.timer is None
    await server.send(chunk(b""))
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert timeline.heartbeats == begins
    assert timeline.call.finish is not None
    assert timeline.call.finish.ending is Ending.COMPLETE
    assert timeline.call.finish.unread_bytes == len(EVENT)


async def test_a_drain_ends_the_response_of_an_event_source_cleanly(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Not early: nothing of it has come, so it may be an answer of a model."""
    running, client, server = await begun(proxy, upstream, clock)
    exchange = await running.exchange()
    exchange.drain()
    exchange.end_early()
    let_pass(exchange, clock, SECONDS)
    assert await client.read_chunk() == BEAT
    assert exchange.shut_down() is False
    assert await client.read_body() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.SHUT_DOWN


@pytest.mark.parametrize("request_", [ASK, POST], ids=["GET", "POST"])
async def test_the_stop_of_the_proxy_is_told_and_the_connection_broken(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, request_: bytes
) -> None:
    running, client, server = await begun(proxy, upstream, clock, request_)
    (await running.exchange()).cut()
    rest = await client.read_rest()
    assert b"shutting down" in rest
    assert not rest.endswith(b"0\r\n\r\n")
    await server.closed()
    assert (await running.ended()).ending is Ending.SHUT_DOWN


async def test_an_old_client_gets_the_close(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server, exchange = await waiting(
        proxy, upstream, clock, ASK.replace(b"HTTP/1.1", b"HTTP/1.0")
    )
    due(exchange, clock)
    await client.read_head()
    await server.send(CHUNKED + chunk(EVENT) + chunk(b""))
    assert await client.read_to_close() == (BEAT + EVENT, "fin")
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_the_timers_of_the_loop_do_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {
            "/sse": {
                "target": upstream.url,
                "heartbeat_seconds": 0.02,
                "heartbeat_before_head": True,
            }
        }
    )
    client, server = await running.begin(upstream, ASK)
    await client.read_head()
    for _ in range(3):
        assert await client.read_chunk() == BEAT
    await server.send(CHUNKED)
    await server.send(chunk(EVENT))
    while await client.read_chunk() == BEAT:
        pass
    assert await client.read_chunk() == BEAT
    client.close()
    await running.ended()


async def test_it_is_shown_as_what_the_client_has(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock)
    exchange = await running.exchange()
    assert exchange.response_plan is not None
    assert exchange.response_plan.status == 200
    await server.send(CHUNKED.replace(b"\r\n\r\n", b"\r\nX-A: 1\r\n\r\n"))
    await running.waiting_for("upstream")
    assert exchange.response_head is not None
    assert exchange.response_head.get(b"x-a") == b"1"
    client.close()
    await running.ended()


class BrokenClock(ManualClock):
    """A clock that can break."""

    broken = False

    def __call__(self) -> float:
        if self.broken:
            self.broken = False
            raise Fault("the clock")
        return super().__call__()


async def test_one_that_cannot_begin_is_an_internal_error(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    clock = BrokenClock()
    route = {
        "target": upstream.url,
        "heartbeat_seconds": SECONDS,
        "heartbeat_before_head": True,
    }
    async with serving(tmp_path, {"/sse": route}, {}, clock) as running:
        client, server = await running.begin(upstream, ASK)
        exchange = await running.waiting_for("response head")
        early = early_of(exchange)
        clock.broken = True
        due(exchange, clock)
        assert (await client.read_head()).startswith(b"HTTP/1.1 500 ")
        await server.closed()
        assert (await running.ended()).ending is Ending.INTERNAL_ERROR
        assert early.timer is None
        assert len(internal_errors.told) == 1


async def test_a_response_that_began_early_is_kept(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Its client may leave before the upstream answers, and comes back for all."""
    running, client, server = await begun(proxy, upstream, clock, POST, resume=True)
    id = stream_id(client)
    client.close()
    await running.ended()
    again = await running.client()
    await again.send(b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\n\r\n" % id)
    await again.read_head()
    assert stream_id(again) == id
    assert await again.read_chunk() == BEAT
    await server.send(CHUNKED + chunk(EVENT) + chunk(b""))
    assert await again.read_chunk() == EVENT
    assert await again.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    assert upstream.unexpected == 0


async def test_a_kept_response_that_began_early_tells_of_a_refusal(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running, client, server = await begun(proxy, upstream, clock, POST, resume=True)
    await server.send(b"HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\nno key")
    assert told(await client.read_chunk())["status"] == 401
    await client.read_to_close()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
