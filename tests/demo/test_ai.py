"""The AI service: each chunk when it comes, errors as errors, stops as stops."""

from __future__ import annotations

import builtins
import io
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from proxy.system.install_command import install_command
from tests.demo.conftest import Connect, Serve
from tests.demo.expected import content, error_of
from tests.demo.gate import Gate
from upstream_demo.ai import create_ai_app
from upstream_demo.answers import answer_to, split_tokens

AT_ONCE = {"UNBUFFERED_DEMO_TOKEN_SECONDS": "0"}


@pytest.fixture
async def embedded_port(serve_app: Serve) -> int:
    """The service without a key: it asks its own endpoint."""
    return await serve_app(create_ai_app(environ=AT_ONCE))


async def test_open_is_one_chunk_object_a_line(
    embedded_port: int, connect: Connect
) -> None:
    client = await connect(embedded_port)
    await client.request("/open")
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-type"] == "application/x-ndjson"
    lines = (await client.rest()).splitlines()
    chunks = [json.loads(line) for line in lines]
    assert {each["object"] for each in chunks} == {"chat.completion.chunk"}
    assert "".join(content(line) or "" for line in lines) == answer_to("你是谁?")
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_open_as_events_ends_in_done(
    embedded_port: int, connect: Connect
) -> None:
    client = await connect(embedded_port)
    await client.request("/open?format=sse")
    head = await client.head()
    assert head.fields["content-type"] == "text/event-stream;charset=utf-8"
    *events, last, rest = (await client.rest()).split(b"\n\n")
    assert rest == b""
    assert last == b"data: [DONE]"
    assert "".join(content(event) or "" for event in events) == answer_to("你是谁?")


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        pytest.param({"prompt": "hello"}, "hello", id="prompt"),
        pytest.param(
            {"messages": [{"role": "user", "content": "你好"}]}, "你好", id="messages"
        ),
    ],
)
async def test_post_asks_what_it_brings(
    embedded_port: int,
    session: aiohttp.ClientSession,
    body: dict[str, Any],
    prompt: str,
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    async with session.post(url, json=body) as response:
        assert response.status == 200
        lines = (await response.read()).splitlines()
    assert "".join(content(line) or "" for line in lines) == answer_to(prompt)


async def test_each_token_arrives_before_the_next_is_due(
    serve_app: Serve, connect: Connect, gate: Gate
) -> None:
    port = await serve_app(create_ai_app(pause=gate.pause, environ={}))
    client = await connect(port)
    await client.request("/open")
    await client.head()
    assert content(await client.chunk()) == ""
    for token in split_tokens(answer_to("你是谁?")):
        await gate.release()
        assert content(await client.chunk()) == token


async def test_stop_of_the_client_reaches_the_embedded_endpoint(
    serve_app: Serve,
    connect: Connect,
    gate: Gate,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "upstream_demo")
    port = await serve_app(create_ai_app(pause=gate.pause, environ={}))
    client = await connect(port)
    await client.request("/open")
    await client.head()
    await client.chunk()
    await gate.asked()
    client.leave()
    left = {"open_streams": 0, "left_early": 1}
    status = await status_reaches(port, **left, embedded=left)
    assert status["provider"] == {
        "name": "embedded",
        "model": "unbuffered-demo",
        "base_url": None,
    }
    assert sorted(caplog.messages) == [
        "client left after 0 tokens (POST /v1/chat/completions)",
        "client left after 1 chunks (GET /open)",
    ]


async def test_proxy_in_the_environment_does_not_catch_the_own_endpoint(
    serve_app: Serve,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    port = await serve_app(create_ai_app(environ=AT_ONCE))
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == 200
        await response.read()


async def test_failing_prompt_shows_its_error_last(
    embedded_port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    async with session.post(url, json={"prompt": "[fail]"}) as response:
        assert response.status == 200
        *chunks, last = (await response.read()).splitlines()
    assert len(chunks) == 6
    error = json.loads(last)["error"]
    assert error["code"] == "demo_failure"
    assert error["message"].startswith("provider 'embedded' reported: the demo model")


async def test_busy_prompt_has_its_own_status(
    embedded_port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    async with session.post(url, json={"prompt": "[busy]"}) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"
        assert (await error_of(response))["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param(b"{", None, id="no JSON"),
        pytest.param(b"\xff", None, id="no UTF-8"),
        pytest.param(b"[]", None, id="no object"),
        pytest.param(b"{}", None, id="neither"),
        pytest.param(b'{"prompt": "x", "messages": []}', None, id="both"),
        pytest.param(b'{"prompt": 1}', "prompt", id="prompt is a number"),
        pytest.param(b'{"prompt": " "}', "prompt", id="prompt is blank"),
        pytest.param(b'{"messages": []}', "messages", id="no messages"),
        pytest.param(b'{"messages": {}}', "messages", id="messages is an object"),
        pytest.param(b'{"messages": ["x"]}', "messages[0]", id="message is a text"),
        pytest.param(b'{"messages": [{}]}', "messages[0]", id="no role"),
    ],
)
async def test_bad_body_is_refused(
    embedded_port: int,
    session: aiohttp.ClientSession,
    body: bytes,
    param: str | None,
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    async with session.post(url, data=body) as response:
        assert response.status == 400
        assert (await error_of(response))["param"] == param


async def test_body_beyond_the_limit_is_refused(
    embedded_port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    body = io.BytesIO(b'{"prompt": "%s"}' % (b"x" * 2**20))
    async with session.post(url, data=body) as response:
        assert response.status == 413
        assert "body size" in (await error_of(response))["message"]


async def test_unknown_format_is_refused_by_name(
    embedded_port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open?format=xml"
    async with session.get(url) as response:
        assert response.status == 400
        assert (await error_of(response))["param"] == "format"


async def test_without_openai_installed_the_answer_says_what_to_install(
    serve_app: Serve,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def without_openai(name: str, *rest: Any) -> Any:
        if name == "openai":
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_openai)
    port = await serve_app(create_ai_app(environ=AT_ONCE))
    async with session.get(f"http://127.0.0.1:{port}/open") as response:
        assert response.status == 501
        error = await error_of(response)
    assert error["message"].endswith(f"the package openai: {install_command('demo')}")
    # The embedded endpoint needs no client to answer.
    async with session.get(f"http://127.0.0.1:{port}/v1/models") as response:
        assert response.status == 200
