"""The anthropic package for Python."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from line import serve

ASKED: Any = {
    "model": "m",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
}


def client(url: str) -> Anthropic:
    return Anthropic(api_key="none", base_url=url, max_retries=0)


def take(event: Any, got: list[str]) -> bool:
    if event.type == "content_block_delta":
        got.append(event.delta.text)
    return bool(event.type == "message_stop")


def messages(url: str, got: list[str]) -> bool:
    """create(stream=True); complete: message_stop came."""
    stopped = False
    for event in client(url).messages.create(**ASKED, stream=True):
        stopped = take(event, got) or stopped
    return stopped


async def messages_async(url: str, got: list[str]) -> bool:
    stopped = False
    async with AsyncAnthropic(api_key="none", base_url=url, max_retries=0) as asking:
        async for event in await asking.messages.create(**ASKED, stream=True):
            stopped = take(event, got) or stopped
    return stopped


def messages_helper(url: str, got: list[str]) -> bool:
    """The helper that collects the answer."""
    with client(url).messages.stream(**ASKED) as stream:
        for text in stream.text_stream:
            got.append(text)
        return stream.get_final_message().stop_reason is not None


serve(
    {
        "messages": messages,
        "messages.async": messages_async,
        "messages.helper": messages_helper,
    }
)
