"""The end of a server inside another program: once, whoever asks for it, how often."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.server.server import Server


class ServerEnd:
    """Drains a server within the shortest time that anybody gives it.

    `stop` is what does so, in a task that no caller's cancellation reaches.
    """

    def __init__(
        self, server: Server, stop: Callable[[float], Coroutine[Any, Any, int]]
    ) -> None:
        self.server = server
        self.stop = stop
        self.task: asyncio.Task[int] | None = None

    @property
    def has_begun(self) -> bool:
        return self.task is not None

    def begin(self, seconds: float) -> asyncio.Task[int]:
        """Begin, if that has not been done."""
        if self.task is None:
            self.task = asyncio.ensure_future(self.stop(seconds))
        return self.task

    async def within(self, seconds: float) -> int:
        """Wait for the end, at most so long; then, or if cancelled, cut what is left.

        Returns how many clients were left with half a response.
        """
        begins, task = not self.has_begun, self.begin(seconds)
        limit = None if begins or math.isinf(seconds) else seconds
        try:
            await asyncio.wait([task], timeout=limit)
        except asyncio.CancelledError:
            self.server.hasten()
            await asyncio.wait([task])  # which takes turns of the loop, and no more
            raise
        self.server.hasten()
        await asyncio.wait([task])
        return 0 if task.cancelled() else task.result()


def check_seconds(what: str, seconds: float) -> None:
    """Is it a time to drain?

    Raises:
        ValueError: it is not a number from 0 on.
    """
    if not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValueError(f"{what}: expected seconds, 0 or more, got {seconds!r}")
