"""An HTTP/1.1 client that shows what is on the wire, piece by piece.

Every wait has a guard: a byte that is held fails the test after GUARD seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self, cast

GUARD = 5.0  # seconds; a free stream needs milliseconds


@dataclass(frozen=True)
class Head:
    status: int
    fields: dict[str, str] = field(default_factory=dict)  # lower-case names


class RawClient:
    """One connection. `chunk` and `rest` read a chunked body."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> Self:
        async with asyncio.timeout(GUARD):
            return cls(*await asyncio.open_connection(host, port))

    async def request(
        self,
        target: str,
        *,
        method: str = "GET",
        version: str = "1.1",
        fields: Iterable[str] = (),
    ) -> None:
        lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(GUARD):
            await self.writer.drain()

    async def head(self) -> Head:
        async with asyncio.timeout(GUARD):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = text.split("\r\n")[:-2]
        fields = dict(line.split(": ", 1) for line in lines)
        return Head(
            int(status_line.split()[1]),
            {name.lower(): value for name, value in fields.items()},
        )

    async def chunk(self) -> bytes:
        """The next chunk; b"" is the last one."""
        async with asyncio.timeout(GUARD):
            size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """The body up to the last chunk."""
        body = b""
        while piece := await self.chunk():
            body += piece
        return body

    async def assert_silent(self) -> None:
        """No byte is here. What was sent before a finished exchange would be."""
        try:
            async with asyncio.timeout(0):
                early = await self.reader.read(1)
        except TimeoutError:
            return
        raise AssertionError(f"{early!r} came too early")

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(GUARD):
            return await self.reader.read()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        # A stream's transport is typed as one that only writes.
        return cast("asyncio.Transport", self.writer.transport)

    def leave(self) -> None:
        self.writer.transport.abort()
