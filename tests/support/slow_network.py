"""A network between a client and a server that is slow, or passes nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class SlowNetwork:
    """Passes `piece` bytes at a time, each way, every `pause` seconds.

    While it is `held`, nothing passes, and connections are taken nevertheless.
    """

    def __init__(self, port: int, *, piece: int = 64, pause: float = 0.001) -> None:
        self.target = port
        self.piece = piece
        self.pause = pause
        self.open = asyncio.Event()
        self.open.set()
        self.passed = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.close()
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.target
            )
            with contextlib.suppress(OSError, asyncio.CancelledError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.carry(reader, far_writer))
                    group.create_task(self.carry(far_reader, writer))
        except* OSError:
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One direction."""
        try:
            while piece := await reader.read(self.piece):
                await self.open.wait()
                writer.write(piece)
                await writer.drain()
                self.passed += len(piece)
                await asyncio.sleep(self.pause)
        finally:
            writer.close()
