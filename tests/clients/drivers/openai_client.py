"""The openai package for Python, of any release since 2.0."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from line import serve
from openai import AsyncOpenAI, OpenAI

ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def client(url: str) -> OpenAI:
    return OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)


def chat(url: str, got: list[str]) -> bool:
    """create(stream=True); complete: a finish_reason came."""
    finished = False
    for chunk in client(url).chat.completions.create(**ASKED, stream=True):
        for choice in chunk.choices:
            got.append(choice.delta.content or "")
            finished = finished or choice.finish_reason is not None
    return finished


async def chat_async(url: str, got: list[str]) -> bool:
    finished = False
    async with AsyncOpenAI(
        api_key="none", base_url=f"{url}/v1", max_retries=0
    ) as asking:
        async for chunk in await asking.chat.completions.create(**ASKED, stream=True):
            for choice in chunk.choices:
                got.append(choice.delta.content or "")
                finished = finished or choice.finish_reason is not None
    return finished


def chat_helper(url: str, got: list[str]) -> bool:
    """The helper that collects the answer."""
    with client(url).chat.completions.stream(**ASKED) as stream:
        for event in stream:
            if event.type == "content.delta":
                got.append(event.delta)
        (choice,) = stream.get_final_completion().choices
    return choice.finish_reason is not None


def read(events: Iterable[Any], got: list[str]) -> bool:
    completed = False
    for event in events:
        if event.type == "response.output_text.delta":
            got.append(event.delta)
        completed = completed or event.type == "response.completed"
    return completed


def responses(url: str, got: list[str]) -> bool:
    """create(stream=True); complete: response.completed came."""
    events = client(url).responses.create(model="m", input="Hi", stream=True)
    return read(events, got)


async def responses_async(url: str, got: list[str]) -> bool:
    async with AsyncOpenAI(
        api_key="none", base_url=f"{url}/v1", max_retries=0
    ) as asking:
        events = await asking.responses.create(model="m", input="Hi", stream=True)
        return read([event async for event in events], got)


def responses_helper(url: str, got: list[str]) -> bool:
    with client(url).responses.stream(model="m", input="Hi") as stream:
        completed = read(stream, got)
        stream.get_final_response()
    return completed


serve(
    {
        "chat": chat,
        "chat.async": chat_async,
        "chat.helper": chat_helper,
        "responses": responses,
        "responses.async": responses_async,
        "responses.helper": responses_helper,
    }
)
