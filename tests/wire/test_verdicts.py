"""What is known of a stream by its own events, and where it is shown."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from proxy.observe.access_log import render_text, to_dict
from proxy.observe.list_row import row
from proxy.observe.metrics import Metrics
from proxy.observe.otel import attributes
from proxy.timeline import Ending, Phase, Timeline
from proxy.transport.family_slot import family_slot
from tests.conftest import InternalErrorLog, ManualClock, StartProxy
from tests.support.messages import EVENT_STREAM, GET_X
from tests.support.raw import Peer, Upstream, chunk
from tests.support.running import RunningProxy, serving

pytestmark = pytest.mark.any_loop

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
CHAT = (
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,'
    b'"delta":{"content":"x"},"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
PLAIN = b"data: one\n\n"
PING = b"event: ping\ndata: {}\n\n"
RPC = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n'
OLLAMA = b'{"model":"m","message":{"content":"x"},"done":false}\n'


def once(upstream: Upstream) -> dict[str, object]:
    """A route whose every request comes on a connection of its own."""
    return {"target": upstream.url, "upstream_keepalive_seconds": 0}


async def begun(
    running: RunningProxy,
    upstream: Upstream,
    *,
    request: bytes = POST,
    head: bytes = EVENT_STREAM,
) -> tuple[Peer, Peer]:
    client, server = await running.begin(upstream, request)
    await server.send(head)
    await client.read_head()
    return client, server


async def streamed(
    running: RunningProxy,
    upstream: Upstream,
    *pieces: bytes,
    request: bytes = POST,
    head: bytes = EVENT_STREAM,
) -> Timeline:
    """The account of a stream of these pieces, well framed."""
    client, server = await begun(running, upstream, request=request, head=head)
    for piece in pieces:
        await server.send(chunk(piece))
        assert await client.read_payload(len(piece)) == piece
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    return await running.ended()


@pytest.fixture
async def running(proxy: StartProxy, upstream: Upstream) -> RunningProxy:
    """Nothing is recorded: what looks at a stream is its family alone."""
    return await proxy({"/": once(upstream)}, inspector={"record": "off"})


@pytest.mark.parametrize(
    ("pieces", "verdict"),
    [
        ([CHAT, CHAT, DONE], "complete"),
        ([CHAT + CHAT, DONE[:6], DONE[6:]], "complete"),
        ([CHAT, ERROR], "error"),
        ([CHAT, ERROR, DONE], "error"),
        ([CHAT, CHAT], "truncated"),
        ([CHAT, DONE[:-1]], "complete"),
        ([CHAT, *[b": ping\n\n"] * 3, DONE, *[b": ping\n\n"] * 9], "complete"),
        ([*[b": ping\n\n"] * 99, CHAT, DONE], "complete"),
        ([CHAT[:7], CHAT[7:] + CHAT], "truncated"),
    ],
)
async def test_a_stream_of_a_known_family_is_judged_by_its_own_events(
    running: RunningProxy, upstream: Upstream, pieces: list[bytes], verdict: str
) -> None:
    timeline = await streamed(running, upstream, *pieces)
    assert timeline.ending is Ending.COMPLETE
    assert (timeline.call.family, timeline.call.verdict) == ("openai-chat", verdict)
    assert timeline.bytes_sent == sum(map(len, pieces))
    assert timeline.call.pieces == len(pieces)


async def test_a_compressed_stream_is_judged_by_what_the_client_gets(
    running: RunningProxy, upstream: Upstream
) -> None:
    head = EVENT_STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    client, server = await begun(running, upstream, head=head)
    await server.send(chunk(gzip.compress(CHAT + DONE)) + b"0\r\n\r\n")
    assert await client.read_payload(len(CHAT + DONE)) == CHAT + DONE
    timeline = await running.ended()
    assert (timeline.call.family, timeline.call.verdict) == ("openai-chat", "complete")


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % len(CHAT), b"X: until"])
async def test_a_stream_of_any_framing_is_judged(
    running: RunningProxy, upstream: Upstream, framing: bytes
) -> None:
    head = EVENT_STREAM.replace(b"Transfer-Encoding: chunked", framing)
    client, server = await begun(running, upstream, head=head)
    await server.send(CHAT)
    server.close()
    read = client.read_payload if framing.startswith(b"X") else client.read
    assert await read(len(CHAT)) == CHAT
    timeline = await running.ended()
    assert timeline.ending is Ending.COMPLETE
    assert (timeline.call.family, timeline.call.verdict) == ("openai-chat", "truncated")


async def test_lines_are_judged(running: RunningProxy, upstream: Upstream) -> None:
    head = EVENT_STREAM.replace(b"text/event-stream", b"application/x-ndjson")
    timeline = await streamed(running, upstream, OLLAMA, head=head)
    assert (timeline.call.family, timeline.call.verdict) == ("ollama", "truncated")
    last = OLLAMA.replace(b"false", b"true")
    timeline = await streamed(running, upstream, OLLAMA, last, head=head)
    assert (timeline.call.family, timeline.call.verdict) == ("ollama", "complete")


async def test_of_a_get_of_json_rpc_nobody_can_tell(
    running: RunningProxy, upstream: Upstream
) -> None:
    """A server sends what it likes on it, and ends it when it likes."""
    timeline = await streamed(running, upstream, RPC, request=GET_X)
    assert (timeline.call.family, timeline.call.verdict) == ("json-rpc", None)
    timeline = await streamed(running, upstream, RPC)
    assert (timeline.call.family, timeline.call.verdict) == ("json-rpc", "truncated")
    timeline = await streamed(running, upstream, b"id: 1\n" + RPC, *[RPC] * 9)
    assert (timeline.call.family, timeline.call.verdict) == ("json-rpc", None)


async def test_a_part_of_a_stream_is_not_judged(
    running: RunningProxy, upstream: Upstream
) -> None:
    head = EVENT_STREAM.replace(b"200 OK", b"206 Partial Content")
    timeline = await streamed(running, upstream, CHAT, head=head)
    assert (timeline.call.family, timeline.call.verdict) == (None, None)


@pytest.mark.parametrize(
    "begins", [PLAIN, b": hello\n\n" + PLAIN, b"id: 1\n\n" + PLAIN]
)
async def test_other_streams_are_left_alone_after_their_first_event(
    running: RunningProxy, upstream: Upstream, begins: bytes
) -> None:
    client, server = await begun(running, upstream)
    await server.send(chunk(begins))
    assert await client.read_payload(len(begins)) == begins
    exchange = await running.exchange()
    pipeline = exchange.response_pipeline
    assert pipeline is not None
    assert pipeline.first is pipeline.sink
    await server.send(chunk(CHAT) + b"0\r\n\r\n")
    assert await client.read_payload(len(CHAT)) == CHAT
    timeline = await running.ended()
    assert (timeline.call.family, timeline.call.verdict) == (None, None)


async def test_a_stream_of_pings_alone_is_not_looked_at_for_ever(
    running: RunningProxy, upstream: Upstream
) -> None:
    client, server = await begun(running, upstream)
    for _ in range(16):
        await server.send(chunk(PING))
        assert await client.read_chunk() == PING
    pipeline = (await running.exchange()).response_pipeline
    assert pipeline is not None
    assert pipeline.first is pipeline.sink
    client.close()
    await running.ended()


async def test_head_has_no_stream(running: RunningProxy, upstream: Upstream) -> None:
    request = b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"
    head = EVENT_STREAM.replace(
        b"\r\n\r\n", b"\r\nX-Vercel-AI-UI-Message-Stream: v1\r\n\r\n"
    )
    await begun(running, upstream, request=request, head=head)
    timeline = await running.ended()
    assert (timeline.call.family, timeline.call.verdict) == (None, None)


@pytest.mark.parametrize(
    ("piece", "verdict"), [(CHAT, None), (DONE, "complete"), (ERROR, "error")]
)
@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_what_is_cut_is_no_truncated_stream(
    running: RunningProxy,
    upstream: Upstream,
    piece: bytes,
    verdict: str | None,
    who: str,
) -> None:
    """Its ending says that it was; what its last event said holds all the same."""
    client, server = await begun(running, upstream)
    await server.send(chunk(CHAT) + chunk(piece))
    assert await client.read_payload(len(CHAT + piece)) == CHAT + piece
    (client if who == "client" else server).close()
    timeline = await running.ended()
    assert timeline.ending is not Ending.COMPLETE
    assert (timeline.call.family, timeline.call.verdict) == ("openai-chat", verdict)


async def test_log_row_metrics_and_span_tell_the_verdict(
    running: RunningProxy, upstream: Upstream
) -> None:
    timeline = await streamed(running, upstream, CHAT)
    assert render_text(timeline, 0).endswith(" complete, openai-chat truncated")
    told = to_dict(timeline, 0)
    assert (told["family"], told["verdict"]) == ("openai-chat", "truncated")
    shown = row(timeline, Phase.OVER, 1, 0, 0)
    assert (shown["family"], shown["verdict"]) == ("openai-chat", "truncated")
    span = attributes(timeline)
    assert span["unbuffered.family"] == "openai-chat"
    assert span["unbuffered.verdict"] == "truncated"
    metrics = Metrics()
    metrics.ended(timeline)
    metrics.ended(timeline)
    (family,) = [
        each
        for each in metrics.families([])
        if each.name == "unbuffered_verdicts_total"
    ]
    (sample,) = family.samples
    assert dict(sample.labels) == {
        "route": "/",
        "family": "openai-chat",
        "verdict": "truncated",
    }
    assert sample.value == 2


async def test_a_plain_stream_has_no_verdict_anywhere(
    running: RunningProxy, upstream: Upstream
) -> None:
    timeline = await streamed(running, upstream, PLAIN)
    assert render_text(timeline, 0).endswith(" complete")
    assert "family" not in to_dict(timeline, 0)
    assert "unbuffered.family" not in attributes(timeline)


async def test_a_truncated_stream_is_a_warning_once_a_minute_and_route(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "unbuffered")
    route = once(upstream)
    running = await proxy({"/": route, "/x": route}, clock=clock)
    other = POST.replace(b"/x", b"/y")

    def told() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    await streamed(running, upstream, CHAT)
    assert told() == [
        f"route /x ({upstream.url}): the upstream ended a stream of OpenAI chat "
        "completions without its end (`data: [DONE]`, or every choice has a "
        "`finish_reason`): most clients take it for complete"
    ]
    await streamed(running, upstream, CHAT)
    assert told() == []
    await streamed(running, upstream, CHAT, request=other)
    assert len(told()) == 1
    for _ in range(2):  # those in between put the next line off no further
        clock.advance(31)
        await streamed(running, upstream, CHAT)
    assert len(told()) == 1
    await streamed(running, upstream, CHAT, DONE)
    assert told() == []


async def test_no_warning_where_warnings_are_off(
    proxy: StartProxy, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, log={"warnings": False})
    await streamed(running, upstream, CHAT)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_fault_of_what_looks_costs_the_verdict_alone(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    async with serving(tmp_path, {"/": once(upstream)}, {}) as running:
        client, server = await begun(running, upstream)
        pipeline = (await running.exchange()).response_pipeline
        assert pipeline is not None
        slot = family_slot(pipeline)
        assert slot is not None
        slot.recent.whole.append("no bytes")  # type: ignore[arg-type]  # the fault
        for piece in (CHAT, DONE):
            await server.send(chunk(piece))
            assert await client.read_chunk() == piece
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
        timeline = await running.ended()
        assert timeline.ending is Ending.COMPLETE
        assert timeline.call.verdict is None
        assert len(internal_errors.told) == 1
