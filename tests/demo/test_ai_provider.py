"""The AI service before a provider: its chunks, its failures, its key."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.demo.conftest import Connect, Serve
from tests.demo.expected import content, error_of
from tests.demo.provider_double import BREAK, DONE, END, ProviderDouble, chunk
from tests.demo.rawclient import RawClient
from upstream_demo.ai import create_ai_app

KEY = "sk-a-secret-that-nobody-may-see"
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
FORMS = pytest.mark.parametrize("target", ["/open", "/open?format=sse"])


@pytest.fixture
def provider() -> ProviderDouble:
    return ProviderDouble()


@pytest.fixture
async def port(serve_app: Serve, provider: ProviderDouble) -> int:
    """The service with a key, for the provider that the test scripts."""
    provider_port = await serve_app(provider.app)
    return await serve_app(
        create_ai_app(
            environ={
                "OPENAI_API_KEY": KEY,
                "OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
                "OPENAI_MODEL": "scripted",
            }
        )
    )


async def test_provider_is_asked_as_the_reference_does(
    port: int, connect: Connect, provider: ProviderDouble
) -> None:
    client = await connect(port)
    await client.request("/open")
    body, authorization = await provider.asked()
    assert body == {
        "model": "scripted",
        "messages": [SYSTEM, {"role": "user", "content": "你是谁?"}],
        "stream": True,
    }
    assert authorization == f"Bearer {KEY}"


async def test_messages_reach_the_provider_unread(
    port: int, session: aiohttp.ClientSession, provider: ProviderDouble
) -> None:
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
    for piece in (chunk("x", "stop"), DONE, END):
        provider.send(piece)
    url = f"http://127.0.0.1:{port}/open"
    async with session.post(url, json={"messages": messages}) as response:
        await response.read()
    body, _ = await provider.asked()
    assert body["messages"] == messages


@FORMS
async def test_each_chunk_arrives_before_the_next_is_sent(
    port: int, connect: Connect, provider: ProviderDouble, target: str
) -> None:
    client = await connect(port)
    await client.request(target)
    await provider.asked()
    provider.send(chunk("one"))
    assert (await client.head()).status == 200
    assert content(await client.chunk()) == "one"
    for text in ("two", "三"):
        provider.send(chunk(text))
        assert content(await client.chunk()) == text
    provider.send(chunk("", "stop"))
    await client.chunk()
    provider.send(DONE)
    provider.send(END)
    assert await client.rest() == (b"data: [DONE]\n\n" if "sse" in target else b"")


@pytest.mark.parametrize("status", [400, 401, 429, 500, 502, 503])
async def test_refusal_of_the_provider_keeps_its_status(
    port: int, session: aiohttp.ClientSession, provider: ProviderDouble, status: int
) -> None:
    error = {"message": "no", "type": "t", "param": "p", "code": "c"}
    provider.refusal = (status, json.dumps({"error": error}))
    provider.refusal_headers = {"Retry-After": "7"}
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
    await provider.asked()
    assert provider.requests.empty()


async def test_refusal_that_is_no_json_is_still_told(
    port: int, session: aiohttp.ClientSession, provider: ProviderDouble
) -> None:
    provider.refusal = (503, "<h1>down</h1>")
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
    ("pieces", "status", "part"),
    [
        pytest.param([BREAK], 502, "closed the connection", id="breaks"),
        pytest.param([END], 502, "without a finish_reason", id="ends"),
        pytest.param([b"data: {\n\n", END], 502, "unreadable response", id="no JSON"),
        pytest.param(
            [b'data: {"error": {"message": "overloaded"}}\n\n', END],
            502,
            "reported: overloaded",
            id="error object",
        ),
    ],
)
async def test_failure_before_the_first_chunk_has_a_status(
    port: int,
    session: aiohttp.ClientSession,
    provider: ProviderDouble,
    pieces: list[bytes | str | None],
    status: int,
    part: str,
) -> None:
    for piece in pieces:
        provider.send(piece)
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == status
        assert part in (await error_of(response))["message"]


@FORMS
@pytest.mark.parametrize(
    ("pieces", "part"),
    [
        pytest.param([BREAK], "closed the connection", id="breaks"),
        pytest.param([END], "without a finish_reason", id="ends too early"),
        pytest.param([DONE, END], "without a finish_reason", id="done too early"),
        pytest.param([b"data: {\n\n", END], "unreadable response", id="no JSON"),
        pytest.param(
            [b'data: {"error": {"message": "overloaded"}}\n\n', END],
            "reported: overloaded",
            id="error object",
        ),
    ],
)
async def test_failure_in_mid_stream_is_the_last_object(
    port: int,
    connect: Connect,
    provider: ProviderDouble,
    target: str,
    pieces: list[bytes | str | None],
    part: str,
) -> None:
    client = await connect(port)
    await client.request(target)
    provider.send(chunk("one"))
    await client.head()
    assert content(await client.chunk()) == "one"
    for piece in pieces:
        provider.send(piece)
    last = await client.rest()
    assert b"[DONE]" not in last
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert part in error["message"]


async def leave_before_the_head(client: RawClient, provider: ProviderDouble) -> None:
    await provider.asked()


async def leave_in_mid_stream(client: RawClient, provider: ProviderDouble) -> None:
    provider.send(chunk("one"))
    await client.head()
    await client.chunk()


@FORMS
@pytest.mark.parametrize("until", [leave_before_the_head, leave_in_mid_stream])
async def test_stop_of_the_client_reaches_the_provider(
    port: int,
    connect: Connect,
    provider: ProviderDouble,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
    until: Callable[[RawClient, ProviderDouble], Awaitable[None]],
    target: str,
) -> None:
    client = await connect(port)
    await client.request(target)
    await until(client, provider)
    client.leave()
    await provider.was_left()
    await status_reaches(port, open_streams=0, left_early=1)


async def test_key_is_in_no_log_and_in_no_answer(
    port: int,
    session: aiohttp.ClientSession,
    provider: ProviderDouble,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.refusal = (
        401,
        json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}),
    )
    answers = []
    for path in ("open", "status", "open?format=sse"):
        async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
            answers.append(await response.text())
    assert "Incorrect API key provided: ***" in answers[0]
    assert KEY not in "".join(answers)
    assert KEY not in caplog.text
    assert caplog.messages  # the client and its HTTP library did log
