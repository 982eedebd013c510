"""A response with `write`, `end`, `send` and `json`, as the lessons need it.

The four words mean what they mean in the tutorial's framework. What is wrong
there is an error here, and the error says what to write instead.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from upstream_demo.error_response import json_text
from upstream_demo.streams import start_stream

HTML = "text/html; charset=utf-8"
BYTES = "application/octet-stream"
JSON = "application/json; charset=utf-8"


class LessonError(Exception):
    """A wrong use of the response; the message teaches the right one."""


class NotWritable(LessonError, TypeError):
    """Something that is no text and no bytes."""


class OutOfOrder(LessonError, RuntimeError):
    """A call that comes too late: after `end`, or `send` after `write`."""


class Response:
    """One response to `request`, open until `end`, `send` or `json`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._stream: web.StreamResponse | None = None
        self._ended: asyncio.Future[web.StreamResponse] = asyncio.Future()

    @property
    def ended(self) -> bool:
        return self._ended.done()

    async def write(self, data: str | bytes) -> None:
        """Send a piece of the body; the first one sends the head before it."""
        body = self._writable("write", data)
        stream = self._stream or await self._start(HTML if is_text(data) else BYTES)
        await stream.write(body)

    async def end(self, data: str | bytes = b"") -> None:
        """Complete the body, after a last piece if one is given."""
        body = self._writable("end", data)
        stream = self._stream or await self._start(HTML if is_text(data) else BYTES)
        await self._complete(stream, body)

    async def send(self, data: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Send a whole body; its content type follows from what it is."""
        if isinstance(data, list | dict):
            await self._send_whole("send", json_text(data).encode(), JSON)
        else:
            body = self._writable("send", data)
            await self._send_whole("send", body, HTML if is_text(data) else BYTES)

    async def json(self, value: Any) -> None:
        """Send any JSON value, a number too."""
        await self._send_whole("json", json_text(value).encode(), JSON)

    async def explain(self, error: LessonError) -> None:
        """Show `error` in the body, as far as the body is still open."""
        if self.ended:
            return
        kind = "TypeError" if isinstance(error, TypeError) else "Error"
        body = f"{kind}: {error}\n".encode()
        stream = self._stream or await self._start("text/plain; charset=utf-8", 500)
        await self._complete(stream, body)

    async def wait_ended(self) -> web.StreamResponse:
        """Wait for the end; a lesson that forgets it waits for the client."""
        return await self._ended

    async def _send_whole(self, call: str, body: bytes, content_type: str) -> None:
        self._refuse_after_end(call)
        if self._stream is not None:
            raise OutOfOrder(
                f"{call}() after write(): the response head with the content type "
                "has already been sent. Use write() and end(), or a single send()"
            )
        stream = await self._start(content_type, length=len(body))
        await self._complete(stream, body)

    async def _complete(self, stream: web.StreamResponse, last: bytes) -> None:
        if last:
            await stream.write(last)
        await stream.write_eof()
        self._ended.set_result(stream)

    async def _start(
        self, content_type: str, status: int = 200, length: int | None = None
    ) -> web.StreamResponse:
        headers = {} if length is None else {"Content-Length": str(length)}
        self._stream = await start_stream(
            self._request, content_type, headers, status=status
        )
        return self._stream

    def _writable(self, call: str, data: object) -> bytes:
        self._refuse_after_end(call)
        if isinstance(data, str):
            return data.encode()
        if isinstance(data, bytes):
            return data
        instead = f'{call}("{data}") sends it as text'
        if isinstance(data, list | dict):
            instead = "send() and json() accept lists and objects"
        raise NotWritable(
            f"{call}() accepts text or bytes, not {data!r} ({type(data).__name__}); "
            f"{instead}"
        )

    def _refuse_after_end(self, call: str) -> None:
        if self.ended:
            raise OutOfOrder(
                f"{call}() after end(): the body is complete, and the client has "
                "moved on. Call end() once, as the last call"
            )


def is_text(data: object) -> bool:
    return isinstance(data, str)
