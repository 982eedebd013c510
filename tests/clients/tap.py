"""Between client and proxy: passes bytes on, and counts the heartbeats among them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.raw import GUARD, idle

# A chunk that is a comment of one line, or a line feed alone.
HEARTBEAT = re.compile(rb"\r\n[0-9a-f]+\r\n(?::[^\n]*)?\n(?=\r\n)")


class Tap:
    """Listens on a free port; each connection leads to `port`."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.passed = b""  # to the clients
        self.moved = asyncio.Event()
        self.server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await idle()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def beats(self) -> int:
        """How many heartbeats have passed."""
        return len(HEARTBEAT.findall(self.passed))

    async def beaten(self, count: int) -> None:
        """Wait until so many more heartbeats have passed."""
        wanted = self.beats + count
        async with asyncio.timeout(GUARD):
            while self.beats < wanted:
                self.moved.clear()
                await self.moved.wait()

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += (writer, there[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pass_on(reader, there[1]))
            group.create_task(self.pass_on(there[0], writer, self.count))

    def count(self, data: bytes) -> None:
        self.passed += data
        self.moved.set()

    async def pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count: Callable[[bytes], None] | None = None,
    ) -> None:
        """Pass bytes on in one direction, and the end of them."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                if count is not None:
                    count(data)
        writer.close()
