"""The embedded OpenAI-compatible endpoint: `/v1/chat/completions`, `/v1/models`.

Tokens go out at a human pace. Prompts with a marker of `chat_completion` fail, so
that errors can be shown without a provider that has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import JSONDecodeError
from uuid import uuid4

from aiohttp import web

from proxy.timeline import wall_clock
from upstream_demo.chat_completion import (
    BUSY,
    CUT,
    FAIL,
    MODEL,
    MODEL_CREATED,
    Completion,
    Json,
    read_question,
    unknown_model,
)
from upstream_demo.error_response import Refusal, json_text
from upstream_demo.streams import (
    EVENT_STREAM,
    PAUSE,
    Tally,
    break_connection,
    create_tally,
    start_stream,
)

TOKENS_BEFORE_FAULT = 5
TOKEN_SECONDS_VARIABLE = "UNBUFFERED_DEMO_TOKEN_SECONDS"
DEFAULT_TOKEN_SECONDS = 0.04  # 25 a second: as fast as people read along

FIRST_DELTA: Json = {"role": "assistant", "content": ""}

TOKEN_SECONDS: web.AppKey[float] = web.AppKey("token_seconds")
EMBEDDED_TALLY = web.AppKey("embedded_tally", Tally)


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """`POST /v1/chat/completions`."""
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the body is not valid JSON: {error}") from error
    question = read_question(body)
    if BUSY in question.prompt:
        raise Refusal(
            429,
            f"the demo model is busy, because the prompt contains {BUSY}",
            type="requests",
            code="rate_limit_exceeded",
            headers={"Retry-After": "1"},
        )
    completion = Completion(f"chatcmpl-{uuid4().hex}", int(wall_clock()), question)
    with request.app[EMBEDDED_TALLY].follow(request, "tokens") as progress:
        if not question.stream:
            return await answer_whole(request, completion)
        response = await start_stream(request, EVENT_STREAM)
        await response.write(
            event(completion.chunk({"role": "assistant", "content": ""}))
        )
        for token in completion.tokens:
            await request.app[PAUSE](request.app[TOKEN_SECONDS])
            await response.write(event(completion.chunk({"content": token})))
            progress.sent += 1
            if progress.sent == TOKENS_BEFORE_FAULT and fails(question.prompt):
                return await fail(request, response, question.prompt)
        await send_ending(response, completion)
    return response


async def answer_whole(
    request: web.Request, completion: Completion
) -> web.StreamResponse:
    prompt = completion.question.prompt
    pace = request.app[TOKEN_SECONDS]
    if fails(prompt):
        await request.app[PAUSE](pace * TOKENS_BEFORE_FAULT)
        if CUT in prompt:
            break_connection(request)
            return web.Response()
        raise failure()
    await request.app[PAUSE](pace * len(completion.tokens))
    return web.json_response(completion.whole(), dumps=json_text)


async def send_ending(response: web.StreamResponse, completion: Completion) -> None:
    await response.write(event(completion.chunk({}, completion.finish_reason)))
    if completion.question.include_usage:
        await response.write(event(completion.usage_chunk()))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()


async def fail(
    request: web.Request, response: web.StreamResponse, prompt: str
) -> web.StreamResponse:
    """End a stream as a provider in trouble does: told, or simply gone."""
    if CUT in prompt:
        break_connection(request)
    else:
        await response.write(event(failure().error_object()))
        await response.write_eof()
    return response


def fails(prompt: str) -> bool:
    return FAIL in prompt or CUT in prompt


def failure() -> Refusal:
    return Refusal(
        500,
        f"the demo model failed, because the prompt contains {FAIL}",
        type="server_error",
        code="demo_failure",
    )


def event(values: Mapping[str, object]) -> bytes:
    return f"data: {json_text(values)}\n\n".encode()


def model_object() -> Json:
    return {
        "id": MODEL,
        "object": "model",
        "created": MODEL_CREATED,
        "owned_by": "unbuffered",
    }


async def list_models(request: web.Request) -> web.Response:
    """`GET /v1/models`."""
    return web.json_response({"object": "list", "data": [model_object()]})


async def show_model(request: web.Request) -> web.Response:
    """`GET /v1/models/{id}`."""
    model = request.match_info["id"]
    if model != MODEL:
        raise unknown_model(model)
    return web.json_response(model_object())


def read_token_seconds(environ: Mapping[str, str]) -> float:
    """Raises ValueError that names the variable."""
    text = environ.get(TOKEN_SECONDS_VARIABLE) or str(DEFAULT_TOKEN_SECONDS)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60:
        raise ValueError(
            f"{TOKEN_SECONDS_VARIABLE} is {text!r}: it must be seconds from 0 to 60"
        )
    return value


def add_endpoint(app: web.Application, environ: Mapping[str, str]) -> None:
    """Mount the endpoint on a service that already has its clock."""
    app[EMBEDDED_TALLY] = create_tally(app)
    app[TOKEN_SECONDS] = read_token_seconds(environ)
    app.router.add_post("/v1/chat/completions", complete_chat)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{id}", show_model)
