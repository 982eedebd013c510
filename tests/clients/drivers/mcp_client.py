"""The mcp package for Python: one tool call over Streamable HTTP."""

from __future__ import annotations

from line import serve
from mcp.client.client import Client


async def call(url: str, got: list[str], mode: str) -> bool:
    """Complete: the result of the call came."""
    async with Client(f"{url}/mcp", mode=mode, read_timeout_seconds=4) as session:
        result = await session.call_tool("greet", {})
        got += [getattr(part, "text", "") for part in result.content]
        return not result.is_error


async def legacy(url: str, got: list[str]) -> bool:
    return await call(url, got, "legacy")


async def modern(url: str, got: list[str]) -> bool:
    return await call(url, got, "2026-07-28")


serve({"2025": legacy, "2026": modern})
