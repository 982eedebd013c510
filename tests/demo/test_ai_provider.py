"""The AI service before a provider: its chunks, its failures, its key."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from proxy.origin.origin_request import OriginRequest
from proxy.origin.response_text import AnswerEnd, event_bytes
from proxy.origin.stream_origin import StreamOrigin
from tests.demo.conftest import Connect, Serve
from tests.demo.expected import content, error_of
from tests.demo.rawclient import RawClient
from upstream_demo.ai import create_ai_app

KEY = "sk-a-secret-that-nobody-may-see"
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
COMPLETIONS = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"
BAD = b"data: {\n\n"
ERROR = b'data: {"error": {"message": "overloaded"}}\n\n'
CUT, FINISH = OriginRequest.cut, OriginRequest.finish
FORMS = pytest.mark.parametrize("target", ["/open", "/open?format=sse"])


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    """One event of a streamed answer."""
    choice = {
        "index": 0,
        "delta": {"content": content},
        "finish_reason": finish_reason,
    }
    return event_bytes(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
            "choices": [choice],
        }
    )


@pytest.fixture
async def port(serve_app: Serve, origin: StreamOrigin) -> int:
    """The service with a key, for the provider that the test scripts."""
    return await serve_app(
        create_ai_app(
            environ={
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": f"{origin.url}/v1",
                "OPENAI_MODEL": "scripted",
            }
        )
    )


async def test_provider_is_asked_as_the_reference_does(
    port: int, connect: Connect, origin: StreamOrigin
) -> None:
    client = await connect(port)
    await client.request("/open")
    request = await origin.request(COMPLETIONS)
    assert json.loads(request.body) == {
        "model": "scripted",
        "messages": [SYSTEM, {"role": "user", "content": "你是谁?"}],
        "stream": True,
    }
    assert request.field("Authorization") == f"Bearer {KEY}"


async def test_messages_reach_the_provider_unread(
    port: int, session: aiohttp.ClientSession, origin: StreamOrigin
) -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
    origin.answer(COMPLETIONS, [chunk("x", "stop"), DONE])
    url = f"http://127.0.0.1:{port}/open"
    async with session.post(url, json={"messages": messages}) as response:
        await response.read()
    (request,) = origin.requests
    assert json.loads(request.body)["messages"] == messages


@FORMS
async def test_each_chunk_arrives_before_the_next_is_sent(
    port: int, connect: Connect, origin: StreamOrigin, target: str
) -> None:
    client = await connect(port)
    await client.request(target)
    request = await origin.stream(COMPLETIONS)
    await request.send(chunk("one"))
    assert (await client.head()).status == 200
    assert content(await client.chunk()) == "one"
    for text in ("two", "三"):
        await request.send(chunk(text))
        assert content(await client.chunk()) == text
    await request.send(chunk("", "stop"))
    await client.chunk()
    await request.send(DONE)
    request.finish()
    assert await client.rest() == (b"data: [DONE]\n\n" if "sse" in target else b"")


def refuse(origin: StreamOrigin, status: int, text: str) -> None:
    origin.answer(
        COMPLETIONS,
        [text],
        status=status,
        fields=[("Retry-After", "7")],
        content_type="application/json",
    )


@pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503])
async def test_refusal_of_the_provider_keeps_its_status(
    port: int, session: aiohttp.ClientSession, origin: StreamOrigin, status: int
) -> None:
    error = {"message": "no", "type": "t", "param": "p", "code": "c"}
    refuse(origin, status, json.dumps({"error": error}))
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == status
        assert response.headers["Retry-After"] == "7"
        assert await error_of(response) == {
            "message": "provider 'openai' reported: no",
            "type": "t",
            "param": "p",
            "code": "c",
        }
    # Asked once: a second attempt would hide what is being shown.
    assert len(origin.requests) == 1


async def test_refusal_that_is_no_json_is_still_told(
    port: int, session: aiohttp.ClientSession, origin: StreamOrigin
) -> None:
    refuse(origin, 503, "<h1>down</h1>")
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == 503
        assert "down" in (await error_of(response))["message"]


async def test_provider_that_is_not_there_is_502(
    serve_app: Serve, session: aiohttp.ClientSession
) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    port = await serve_app(create_ai_app(environ=environ))
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == 502
        assert "cannot be reached" in (await error_of(response))["message"]


@pytest.mark.parametrize(
    ("pieces", "end", "part"),
    [
        pytest.param([], "fin", "closed the connection", id="breaks"),
        pytest.param([], "complete", "without a finish_reason", id="ends"),
        pytest.param([BAD], "complete", "unreadable response", id="no JSON"),
        pytest.param([ERROR], "complete", "reported: overloaded", id="error object"),
    ],
)
async def test_failure_before_the_first_chunk_has_a_status(
    port: int,
    session: aiohttp.ClientSession,
    origin: StreamOrigin,
    pieces: list[bytes],
    end: AnswerEnd,
    part: str,
) -> None:
    origin.answer(COMPLETIONS, pieces, end=end)
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == 502
        assert part in (await error_of(response))["message"]


@FORMS
@pytest.mark.parametrize(
    ("pieces", "end", "part"),
    [
        pytest.param([], CUT, "closed the connection", id="breaks"),
        pytest.param([], FINISH, "without a finish_reason", id="ends too early"),
        pytest.param([DONE], FINISH, "without a finish_reason", id="done too early"),
        pytest.param([BAD], FINISH, "unreadable response", id="no JSON"),
        pytest.param([ERROR], FINISH, "reported: overloaded", id="error object"),
    ],
)
async def test_failure_in_mid_stream_is_the_last_object(
    port: int,
    connect: Connect,
    origin: StreamOrigin,
    target: str,
    pieces: list[bytes],
    end: Callable[[OriginRequest], None],
    part: str,
) -> None:
    client = await connect(port)
    await client.request(target)
    request = await origin.stream(COMPLETIONS)
    await request.send(chunk("one"))
    await client.head()
    assert content(await client.chunk()) == "one"
    for piece in pieces:
        await request.send(piece)
    end(request)
    last = await client.rest()
    assert b"[DONE]" not in last
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert part in error["message"]


async def leave_before_the_head(client: RawClient, request: OriginRequest) -> None:
    """The provider has sent nothing."""


async def leave_in_mid_stream(client: RawClient, request: OriginRequest) -> None:
    await request.respond()
    await request.send(chunk("one"))
    await client.head()
    await client.chunk()


@FORMS
@pytest.mark.parametrize("until", [leave_before_the_head, leave_in_mid_stream])
async def test_stop_of_the_client_reaches_the_provider(
    port: int,
    connect: Connect,
    origin: StreamOrigin,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
    until: Callable[[RawClient, OriginRequest], Awaitable[None]],
    target: str,
) -> None:
    client = await connect(port)
    await client.request(target)
    request = await origin.request(COMPLETIONS)
    await until(client, request)
    client.leave()
    await request.left()
    await status_reaches(port, open_streams=0, left_early=1)


async def test_key_is_in_no_log_and_in_no_answer(
    port: int,
    session: aiohttp.ClientSession,
    origin: StreamOrigin,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    message = f"Incorrect API key provided: {KEY}"
    refuse(origin, 401, json.dumps({"error": {"message": message}}))
    answers = []
    for path in ("open", "status", "open?format=sse"):
        async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
            answers.append(await response.text())
    assert "Incorrect API key provided: ***" in answers[0]
    assert KEY not in "".join(answers)
    assert KEY not in caplog.text
    assert caplog.messages  # the client and its HTTP library did log
