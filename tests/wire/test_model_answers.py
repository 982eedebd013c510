"""Answers of models: their figures in the log, the list, the metrics and spans."""

from __future__ import annotations

import json

import pytest

from proxy.observe.access_log import render_json
from proxy.observe.answer_metrics import MOST_MODELS, AnswerMetrics
from proxy.observe.list_row import row
from proxy.observe.otel import attributes
from proxy.observe.prometheus_text import exposition
from proxy.timeline import ModelAnswer, Phase, Timeline
from proxy.transport.family_slot import MOST_BEFORE_TOKEN, family_slot
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask
from tests.support.messages import EVENT_STREAM
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
PING = b"event: ping\ndata: {}\n\n"


def chat(text: str = "", **more: object) -> bytes:
    told = {
        "object": "chat.completion.chunk",
        "model": "gpt-x",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }
    return b"data: %b\n\n" % json.dumps({**told, **more}).encode()


USAGE = chat(choices=[], usage={"prompt_tokens": 12, "completion_tokens": 41})
DONE = b"data: [DONE]\n\n"


async def relayed(server: Peer, client: Peer, *pieces: bytes) -> None:
    """Each piece is with the client before the next is sent."""
    for piece in pieces:
        await server.send(chunk(piece))
        assert await client.read_payload(len(piece)) == piece


async def answered(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> Timeline:
    """A first token after 1.5 s, and 40 more within 2 s, behind a role and a ping."""
    client, server = await running.begin(upstream, POST)
    await server.send(EVENT_STREAM)
    await client.read_head()
    clock.advance(1.0)
    await relayed(server, client, PING, chat())
    clock.advance(0.5)
    await relayed(server, client, chat("Hel"))
    clock.advance(1.0)
    await relayed(server, client, chat("lo"))
    clock.advance(1.0)
    await relayed(server, client, chat("!"), USAGE + DONE)
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    return await running.ended()


FIGURES = {
    "model": "gpt-x",
    "input_tokens": 12,
    "output_tokens": 41,
    "first_token_seconds": 1.5,
    "tokens_per_second": 20.0,
}
SAMPLES = [
    'gen_ai_client_token_usage_sum{route="/",gen_ai_operation_name="chat",'
    'gen_ai_provider_name="openai",gen_ai_response_model="gpt-x",'
    'gen_ai_token_type="input"} 12',
    'gen_ai_client_token_usage_bucket{route="/",gen_ai_operation_name="chat",'
    'gen_ai_provider_name="openai",gen_ai_response_model="gpt-x",'
    'gen_ai_token_type="output",le="64"} 1',
    'gen_ai_server_time_to_first_token_seconds_sum{route="/",'
    'gen_ai_operation_name="chat",gen_ai_provider_name="openai",'
    'gen_ai_response_model="gpt-x"} 1.5',
    'gen_ai_server_time_per_output_token_seconds_sum{route="/",'
    'gen_ai_operation_name="chat",gen_ai_provider_name="openai",'
    'gen_ai_response_model="gpt-x"} 0.05',
]


def metrics(running: RunningProxy) -> list[str]:
    families = running.server.inspector.metrics_endpoint.families()
    return exposition(families).decode().splitlines()


async def test_the_figures_of_an_answer_are_exact_and_everywhere(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    timeline = await answered(running, upstream, clock)
    assert json.loads(render_json(timeline, 0.0))["answer"] == FIGURES
    seen = row(timeline, Phase.OVER, 0, 0.0, 0.0)
    assert seen["request_id"] == timeline.request_id.decode()
    assert seen["answer"] == {
        "model": "gpt-x",
        "first_token": 1.5,
        "input_tokens": 12,
        "output_tokens": 41,
        "tokens_per_second": 20.0,
    }
    told = attributes(timeline)
    assert {name: told[name] for name in told if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-x",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 41,
        "gen_ai.response.time_to_first_chunk": 1.5,
    }
    lines = metrics(running)
    for sample in SAMPLES:
        assert sample in lines


async def test_behind_the_first_token_no_event_is_read(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, POST)
    await server.send(EVENT_STREAM)
    await client.read_head()
    await relayed(server, client, chat())
    exchange = await running.exchange()
    assert exchange.response_pipeline is not None
    slot = family_slot(exchange.response_pipeline)
    assert slot is not None
    looked = [slot.looks]
    await relayed(server, client, chat("a"))
    looked.append(slot.looks)
    assert looked == [True, False]
    answer = exchange.timeline.call.answer
    assert answer is not None
    assert row(exchange.timeline, exchange.phase, 0, 0.0, 0.0)["answer"] is not None
    await relayed(server, client, chat("b", model="other", usage={"prompt_tokens": 1}))
    assert (answer.model, answer.input_tokens) == ("gpt-x", None)


async def test_a_stream_without_a_token_is_not_read_for_ever(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, POST)
    await server.send(EVENT_STREAM)
    await client.read_head()
    await relayed(server, client, *[chat()] * (MOST_BEFORE_TOKEN - 1))
    exchange = await running.exchange()
    assert exchange.response_pipeline is not None
    slot = family_slot(exchange.response_pipeline)
    assert slot is not None
    looked = [slot.looks]
    await relayed(server, client, chat())
    looked.append(slot.looks)
    assert looked == [True, False]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"data: one\n\n"], id="no family"),
        pytest.param(
            [b'data: {"jsonrpc":"2.0","method":"m"}\n\n'], id="a family without answers"
        ),
    ],
)
async def test_what_is_not_an_answer_has_no_figures(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, pieces: list[bytes]
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, POST)
    await server.send(EVENT_STREAM)
    await client.read_head()
    await relayed(server, client, *pieces)
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    timeline = await running.ended()
    assert timeline.call.answer is None
    assert "answer" not in json.loads(render_json(timeline, 0.0))
    assert row(timeline, Phase.OVER, 0, 0.0, 0.0)["answer"] is None
    assert not [line for line in metrics(running) if "gen_ai" in line]


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
async def test_a_shared_answer_counts_once(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, leaves: bool
) -> None:
    """Whoever reads it, and also if nobody does any more."""
    table = {"target": upstream.url, "resume": True, "share": {"replay": 5}}
    running = await proxy({"/": table}, clock=clock)
    first, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(chat("a")))
    await first.read_head()
    await first.read_chunk()
    clock.advance(1.0)
    second = await running.client()
    await second.send(ask())
    await second.read_head()
    await second.read_chunk()
    if leaves:
        for each in (first, second):
            each.close()
            await running.ended()
    await peer.send(chunk(chat("b") + USAGE + DONE) + b"0\r\n\r\n")
    if leaves:
        (stream,) = running.server.kept.streams.values()
        await became(lambda: stream.settled)
    else:
        seen = [await running.ended() for _ in range(2)]
        assert [each.first_token_seconds for each in seen] in ([0.0, None], [None, 0.0])
    counts = [line for line in metrics(running) if "token_usage_count" in line]
    assert [line.rpartition(" ")[2] for line in counts] == ["1", "1"]


def test_names_of_models_as_labels_are_bounded() -> None:
    counted = AnswerMetrics()
    for number in range(MOST_MODELS + 50):
        timeline = Timeline(0.0, b"a")
        timeline.call.family = "openai-chat"
        timeline.call.answer = answer = ModelAnswer()
        answer.model, answer.input_tokens = f"m{number}", 1
        counted.ended(timeline)
    assert len(counted.series) == MOST_MODELS + 1
