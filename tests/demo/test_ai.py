"""The AI service: each chunk when it comes, errors as errors, stops as stops."""

from __future__ import annotations

import builtins
import io
import json
import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import openai
import pytest

from tests.demo.conftest import Connect, Serve
from tests.demo.gate import Gate
from tests.demo.provider_double import BREAK, DONE, END, ProviderDouble, chunk
from tests.demo.rawclient import RawClient
from upstream_demo.ai import create_ai_app
from upstream_demo.answers import answer_to, split_tokens
from upstream_demo.provider import Provider, choose_provider, explain

KEY = "sk-a-secret-that-nobody-may-see"
# What the errors of the client carry and nobody here reads.
REQUEST: Any = None
REDIRECT: Any = SimpleNamespace(request=REQUEST, status_code=302, headers={})
AT_ONCE = {"UNBUFFERED_DEMO_TOKEN_SECONDS": "0"}
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
FORMS = pytest.mark.parametrize("target", ["/open", "/open?format=sse"])


@pytest.fixture
async def embedded_port(serve_app: Serve) -> int:
    """The service without a key: it asks its own endpoint."""
    return await serve_app(create_ai_app(environ=AT_ONCE))


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


def content(line: bytes) -> str | None:
    """The token in a line or an event of the answer."""
    values = json.loads(line.removeprefix(b"data: "))
    text: str | None = values["choices"][0]["delta"].get("content")
    return text


async def error_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/json"
    error: dict[str, Any] = (await response.json())["error"]
    return error


# -- with the embedded endpoint -----------------------------------------------


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
    assert json.loads(last)["error"]["code"] == "demo_failure"


async def test_busy_prompt_has_its_own_status(
    embedded_port: int, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{embedded_port}/open"
    async with session.post(url, json={"prompt": "[busy]"}) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"
        assert (await error_of(response))["code"] == "rate_limit_exceeded"


# -- with a provider of its own -----------------------------------------------


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
        pytest.param([BREAK], 502, "broke off", id="breaks"),
        pytest.param([END], 502, "without a finish_reason", id="ends"),
        pytest.param([b"data: {\n\n", END], 502, "cannot be read", id="no JSON"),
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
        pytest.param([BREAK], "broke off", id="breaks"),
        pytest.param([END], "without a finish_reason", id="ends too early"),
        pytest.param([DONE, END], "without a finish_reason", id="done too early"),
        pytest.param([b"data: {\n\n", END], "cannot be read", id="no JSON"),
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


# -- what is asked of it ------------------------------------------------------


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
    assert "pip install 'unbuffered[demo]'" in error["message"]
    # The embedded endpoint needs no client to answer.
    async with session.get(f"http://127.0.0.1:{port}/v1/models") as response:
        assert response.status == 200


# -- which provider -----------------------------------------------------------

DASHSCOPE = "https://dashscope.aliyuncs.com/compatible-mode/v1"


@pytest.mark.parametrize(
    ("environ", "name", "model", "base_url"),
    [
        pytest.param({}, "embedded", "unbuffered-demo", None, id="no key"),
        pytest.param(
            {"OPENAI_API_KEY": "", "OPENAI_MODEL": "m"},
            "embedded",
            "unbuffered-demo",
            None,
            id="an empty key is none",
        ),
        pytest.param(
            {"DASHSCOPE_API_KEY": KEY}, "dashscope", "qwen-plus", DASHSCOPE, id="qwen"
        ),
        pytest.param(
            {
                "DASHSCOPE_API_KEY": KEY,
                "DASHSCOPE_MODEL": "qwen-max",
                "DASHSCOPE_BASE_URL": "http://other/v1",
            },
            "dashscope",
            "qwen-max",
            "http://other/v1",
            id="qwen elsewhere",
        ),
        pytest.param(
            {"OPENAI_API_KEY": KEY, "DASHSCOPE_API_KEY": "another"},
            "openai",
            "gpt-4o-mini",
            "https://api.openai.com/v1",
            id="openai comes first",
        ),
        pytest.param(
            {
                "OPENAI_API_KEY": KEY,
                "OPENAI_MODEL": "local",
                "OPENAI_BASE_URL": "http://localhost:1234/v1",
            },
            "openai",
            "local",
            "http://localhost:1234/v1",
            id="openai elsewhere",
        ),
    ],
)
def test_provider_follows_from_the_environment(
    environ: dict[str, str], name: str, model: str, base_url: str | None
) -> None:
    provider = choose_provider(environ)
    assert (provider.name, provider.model) == (name, model)
    assert provider.base_url == base_url


@pytest.mark.parametrize(
    ("error", "status", "part"),
    [
        pytest.param(openai.APITimeoutError(REQUEST), 504, "in time", id="timeout"),
        pytest.param(
            openai.APIConnectionError(request=REQUEST), 502, "broke off", id="broken"
        ),
        pytest.param(
            openai.APIStatusError("no", response=REDIRECT, body=None),
            502,
            "reported: no",
            id="a status that is no error of ours to pass on",
        ),
        pytest.param(
            openai.APIError("no", REQUEST, body="gone fishing"),
            502,
            "with the text 'gone fishing'",
            id="text in place of an error object",
        ),
        pytest.param(ValueError(f"odd {KEY}"), 502, "read: odd ***", id="anything"),
    ],
)
def test_failure_is_explained(error: Exception, status: int, part: str) -> None:
    told = explain(Provider("openai", "m", None, KEY), error)
    assert told.status == status
    assert part in told.message


def test_provider_does_not_show_its_key() -> None:
    assert KEY not in repr(Provider("openai", "m", None, KEY))
