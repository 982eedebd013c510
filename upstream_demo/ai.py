"""The AI service: a provider's answer, passed on chunk by chunk.

`/open` asks the provider in `provider`, and writes each chunk the moment it
comes. Without a key in the environment the provider is the endpoint in
`openai_endpoint`, mounted on this same service and reached over a real socket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from json import JSONDecodeError
from typing import Any

from aiohttp import web

from upstream_demo.error_response import Refusal, answer_refusals, json_text
from upstream_demo.openai_endpoint import EMBEDDED_TALLY, add_endpoint
from upstream_demo.parameters import choice
from upstream_demo.provider import Message, ProviderClient, choose_provider
from upstream_demo.streams import (
    EVENT_STREAM,
    PAUSE,
    TALLY,
    Pause,
    create_tally,
    local_address,
    start_stream,
)

NDJSON = "application/x-ndjson"
FORMATS = ("ndjson", "sse")
SYSTEM: Message = {"role": "system", "content": "You are a helpful assistant."}
FIRST_PROMPT = "你是谁?"

PROVIDER = web.AppKey("provider", ProviderClient)


async def open_answer(request: web.Request) -> web.StreamResponse:
    """`GET /open`, `POST /open`: the head is sent with the first chunk.

    Before that an error of the provider has its own status; after it, the
    error object is the last line or event, and `[DONE]` does not come.
    """
    shape = choice(request, "format", FORMATS, default="ndjson")
    messages = await read_messages(request)
    answer = request.app[PROVIDER].ask(messages, own_address(request))
    with request.app[TALLY].follow(request, "chunks") as progress:
        async with aclosing(answer):
            first = await anext(answer, None)
            response = await start_stream(
                request, EVENT_STREAM if shape == "sse" else NDJSON
            )
            try:
                async for text in preceded_by(first, answer):
                    await response.write(framed(text, shape))
                    progress.sent += 1
                last = "[DONE]" if shape == "sse" else None
            except Refusal as failure:
                last = json_text(failure.error_object())
            if last is not None:
                await response.write(framed(last, shape))
            await response.write_eof()
    return response


async def preceded_by(
    first: str | None, rest: AsyncIterator[str]
) -> AsyncIterator[str]:
    if first is not None:
        yield first
    async for each in rest:
        yield each


def framed(text: str, shape: str) -> bytes:
    return f"data: {text}\n\n".encode() if shape == "sse" else f"{text}\n".encode()


def own_address(request: web.Request) -> str:
    """Base URL of the embedded endpoint: the address the client came to."""
    host, port = local_address(request)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


async def read_messages(request: web.Request) -> list[Message]:
    """The conversation a POST brings, or the one question of a GET."""
    if request.method != "POST":
        return [SYSTEM, {"role": "user", "content": FIRST_PROMPT}]
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict) or ("prompt" in body) == ("messages" in body):
        raise Refusal(
            400, 'the body must be either {"prompt": "…"} or {"messages": […]}'
        )
    if "prompt" in body:
        return [SYSTEM, {"role": "user", "content": checked_prompt(body["prompt"])}]
    return checked_messages(body["messages"])


def checked_prompt(prompt: Any) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise Refusal(400, "prompt must be a string that is not empty", param="prompt")
    return prompt


def checked_messages(messages: Any) -> list[Message]:
    """What is inside a message is between the client and the provider."""
    if not isinstance(messages, list) or not messages:
        raise Refusal(
            400, "messages must be a list that is not empty", param="messages"
        )
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise Refusal(
                400,
                f"messages[{place}] must be an object with role and content",
                param=f"messages[{place}]",
            )
    return messages


async def report_status(request: web.Request) -> web.Response:
    """`GET /status`: both ends of the call, and never the key."""
    provider = request.app[PROVIDER].provider
    status: dict[str, object] = {
        **request.app[TALLY].status(),
        "provider": {
            "name": provider.name,
            "model": provider.model,
            "base_url": provider.base_url,
        },
        "embedded": request.app[EMBEDDED_TALLY].status(),
    }
    return web.json_response(status, headers={"Cache-Control": "no-store"})


def create_ai_app(
    *, pause: Pause = asyncio.sleep, environ: Mapping[str, str] = os.environ
) -> web.Application:
    """The service on port 3001, with the embedded endpoint under /v1."""
    app = web.Application(middlewares=[answer_refusals])
    app[PAUSE] = pause
    app[TALLY] = create_tally(app)
    add_endpoint(app, environ)
    app[PROVIDER] = ProviderClient(choose_provider(environ))
    app.on_cleanup.append(close_provider)
    app.router.add_get("/open", open_answer, allow_head=False)
    app.router.add_post("/open", open_answer)
    app.router.add_get("/status", report_status)
    return app


async def close_provider(app: web.Application) -> None:
    await app[PROVIDER].close()
