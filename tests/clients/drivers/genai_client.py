"""The google-genai package for Python: synchronous, and on aiohttp or httpx."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types
from line import serve


def client(url: str) -> genai.Client:
    options = types.HttpOptions(base_url=url)
    return genai.Client(api_key="none", http_options=options)


def take(chunk: Any, got: list[str]) -> bool:
    got.append(chunk.text or "")
    candidates = chunk.candidates or []
    return any(each.finish_reason is not None for each in candidates)


def generate(url: str, got: list[str]) -> bool:
    """Complete: a finish reason came."""
    finished = False
    asking = client(url)
    for chunk in asking.models.generate_content_stream(model="m", contents="Hi"):
        finished = take(chunk, got) or finished
    return finished


async def generate_async(url: str, got: list[str]) -> bool:
    finished = False
    async with client(url).aio as asking:
        chunks = await asking.models.generate_content_stream(model="m", contents="Hi")
        async for chunk in chunks:
            finished = take(chunk, got) or finished
    return finished


serve({"generate": generate, "generate.async": generate_async})
