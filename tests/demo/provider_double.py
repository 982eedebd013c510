"""A provider under the control of a test: it sends what the test hands it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from tests.demo.rawclient import GUARD


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    """One event of a streamed answer."""
    choice = {
        "index": 0,
        "delta": {"content": content},
        "finish_reason": finish_reason,
    }
    values = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [choice],
    }
    return f"data: {json.dumps(values)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
END = None  # handed to `send`: a clean end of the response
BREAK = "break"  # handed to `send`: the connection breaks


class ProviderDouble:
    """Answers `POST /v1/chat/completions` with `refusal`, or else as `send` says."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[tuple[dict[str, Any], str]] = asyncio.Queue()
        self.left = asyncio.Event()  # a client went away before the end
        self.refusal: tuple[int, str] | None = None
        self.refusal_headers: dict[str, str] = {}
        self._pieces: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self.app = web.Application()
        self.app.router.add_post("/v1/chat/completions", self._answer)

    def send(self, piece: bytes | str | None) -> None:
        self._pieces.put_nowait(piece)

    async def asked(self) -> tuple[dict[str, Any], str]:
        """Body and Authorization of the next request."""
        async with asyncio.timeout(GUARD):
            return await self.requests.get()

    async def was_left(self) -> None:
        async with asyncio.timeout(GUARD):
            await self.left.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._stream(request)
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.put_nowait((body, request.headers["Authorization"]))
        if self.refusal is not None:
            status, text = self.refusal
            return web.Response(
                status=status,
                text=text,
                content_type="application/json",
                headers=self.refusal_headers,
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while (piece := await self._pieces.get()) is not END:
            if isinstance(piece, str):
                assert request.transport is not None
                request.transport.abort()
                break
            await response.write(piece)
        return response
