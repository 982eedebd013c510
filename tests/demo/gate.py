"""The clock of a demo service in the hands of a test."""

from __future__ import annotations

import asyncio

from tests.demo.rawclient import GUARD


class Gate:
    """Every pause of a service waits here until the test releases it."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def pause(self, seconds: float) -> None:
        release = asyncio.Event()
        self._asked.put_nowait((seconds, release))
        await release.wait()

    async def asked(self) -> tuple[float, asyncio.Event]:
        """The next pause: its seconds, and what lets it go."""
        async with asyncio.timeout(GUARD):
            return await self._asked.get()

    async def release(self) -> float:
        """Let the next pause go; its seconds."""
        seconds, release = await self.asked()
        release.set()
        return seconds

    def idle(self) -> bool:
        """Whether no pause was asked for that is not released."""
        return self._asked.empty()
