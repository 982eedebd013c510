"""The embedded endpoint, as the `openai` client and the wire see it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.demo.conftest import Connect, Serve
from tests.demo.gate import Gate
from upstream_demo.ai import create_ai_app
from upstream_demo.answers import answer_to, split_tokens
from upstream_demo.chat_completion import MODEL
from upstream_demo.openai_endpoint import read_token_seconds

AT_ONCE = {"UNBUFFERED_DEMO_TOKEN_SECONDS": "0"}


@pytest.fixture
async def port(serve_app: Serve) -> int:
    return await serve_app(create_ai_app(environ=AT_ONCE))


@pytest.fixture
async def client(port: int) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key="any", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0
    ) as client:
        yield client


def user(prompt: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": prompt}]


async def test_stream_is_role_then_tokens_then_finish(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=user("你是谁?"), stream=True
    )
    chunks = [chunk async for chunk in stream]
    first, *middle, last = chunks
    assert first.choices[0].delta.role == "assistant"
    assert [each.choices[0].delta.content for each in middle] == split_tokens(
        answer_to("你是谁?")
    )
    assert last.choices[0].finish_reason == "stop"
    assert all(each.choices[0].finish_reason is None for each in chunks[:-1])
    assert {each.object for each in chunks} == {"chat.completion.chunk"}
    assert {each.model for each in chunks} == {MODEL}
    assert len({(each.id, each.created) for each in chunks}) == 1
    assert all(each.usage is None for each in chunks)


async def test_usage_comes_last_when_it_is_asked_for(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=user("hello"),
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == 1
    assert last.usage.completion_tokens == len(split_tokens(answer_to("hello")))
    assert last.usage.total_tokens == last.usage.completion_tokens + 1
    assert all(each.usage is None for each in chunks)


async def test_answer_without_stream_is_whole(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model=MODEL, messages=user("hello")
    )
    assert completion.object == "chat.completion"
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].message.content == answer_to("hello")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens > 1


async def test_models_are_listed_and_shown(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]
    assert (await client.models.retrieve(MODEL)).owned_by == "unbuffered"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


async def test_unknown_model_is_an_error_object(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-9", messages=user("hello"))
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("stream", [True, False])
async def test_busy_marker_is_429(client: openai.AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(
            model=MODEL, messages=user("[busy]"), stream=stream
        )
    assert caught.value.response.headers["retry-after"] == "1"


async def test_fail_marker_is_an_error_in_mid_stream(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=user("say [fail] now"), stream=True
    )
    for _ in range(6):
        assert (await anext(stream)).choices[0].delta.content is not None
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)
    assert caught.value.code == "demo_failure"


async def test_cut_marker_breaks_the_connection_in_mid_stream(
    port: int, connect: Connect
) -> None:
    body = json.dumps({"model": MODEL, "messages": user("[cut]"), "stream": True})
    client = await connect(port)
    await client.request(
        "/v1/chat/completions", method="POST", fields=[f"Content-Length: {len(body)}"]
    )
    await client.send(body.encode())
    assert (await client.head()).status == 200
    received = await client.until_closed()
    assert received.count(b"data: ") == 6
    assert not received.endswith(b"0\r\n\r\n")


async def test_fail_marker_without_stream_is_500(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=MODEL, messages=user("[fail]"))
    assert caught.value.code == "demo_failure"


async def test_cut_marker_without_stream_breaks_the_connection(
    client: openai.AsyncOpenAI,
) -> None:
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(model=MODEL, messages=user("[cut]"))


async def test_body_that_is_no_json_is_an_error_object(
    port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    for body in (b"{", b"\xff\xfe\xfd"):
        async with session.post(url, data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["type"] == "invalid_request_error"


async def test_tokens_keep_the_pace_and_stop_with_the_client(
    serve_app: Serve,
    connect: Connect,
    gate: Gate,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    port = await serve_app(create_ai_app(pause=gate.pause, environ={}))
    body = json.dumps({"model": MODEL, "messages": user("hello"), "stream": True})
    client = await connect(port)
    await client.request(
        "/v1/chat/completions", method="POST", fields=[f"Content-Length: {len(body)}"]
    )
    await client.send(body.encode())
    assert (await client.head()).fields["content-type"].startswith("text/event-stream")
    assert b'"role"' in await client.chunk()
    for token in split_tokens(answer_to("hello"))[:3]:
        assert await gate.release() == 0.04
        event = json.loads((await client.chunk()).removeprefix(b"data: "))
        assert event["choices"][0]["delta"] == {"content": token}
    await gate.asked()
    client.leave()
    embedded = {"open_streams": 0, "left_early": 1}
    status = await status_reaches(port, embedded=embedded)
    assert status["left_early"] == 0


async def test_answer_without_stream_takes_its_time(
    serve_app: Serve, session: aiohttp.ClientSession
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    port = await serve_app(create_ai_app(pause=pause, environ={}))
    async with session.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json={"model": MODEL, "messages": user("hello")},
    ) as response:
        answer = await response.json()
    assert pauses == [0.04 * answer["usage"]["completion_tokens"]]


@pytest.mark.parametrize("text", ["fast", "-1", "61", "nan"])
def test_bad_pace_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=f"UNBUFFERED_DEMO_TOKEN_SECONDS is '{text}'"):
        read_token_seconds({"UNBUFFERED_DEMO_TOKEN_SECONDS": text})
