"""An event loop in which no time limit has to be waited for."""

from __future__ import annotations

import asyncio


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its time goes on to the next timer as soon as nothing else is to be done."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped

    def _run_once(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined] # of asyncio itself
        if scheduled and not self._ready:  # type: ignore[attr-defined] # the same
            self.skipped += max(scheduled[0].when() - self.time(), 0)
        super()._run_once()  # type: ignore[misc] # the same
