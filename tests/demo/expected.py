"""What the services send, as tests expect it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

EVENTS = [
    "data: 你好\n\n",
    "data: 吃饭了吗\n\n",
    "data: What are you doing?\n\n",
    "data: My name is yy\n\n",
    "data: 8888\n\n",
    "data: hello\n\n",
]


def content(line: bytes) -> str | None:
    """The token in a line or an event of the AI service's answer."""
    values = json.loads(line.removeprefix(b"data: "))
    text: str | None = values["choices"][0]["delta"].get("content")
    return text


async def error_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The error object of a refusal."""
    assert response.content_type == "application/json"
    error: dict[str, Any] = (await response.json())["error"]
    return error
