"""The ollama package for Python."""

from __future__ import annotations

from line import serve
from ollama import AsyncClient, Client, Message

ASKED = [Message(role="user", content="Hi")]


def chat(url: str, got: list[str]) -> bool:
    """Complete: `done` was true."""
    done = False
    for part in Client(url).chat("m", ASKED, stream=True):
        got.append(part.message.content or "")
        done = done or bool(part.done)
    return done


async def chat_async(url: str, got: list[str]) -> bool:
    done = False
    async for part in await AsyncClient(url).chat("m", ASKED, stream=True):
        got.append(part.message.content or "")
        done = done or bool(part.done)
    return done


serve({"chat": chat, "chat.async": chat_async})
