"""Who waits until what the store has of a followed stream is here."""

from __future__ import annotations

import asyncio


class CatchUp:
    """Of one stream. `here`: all that there was of it has come.

    As long as it is `awaited`, it is not let go of: a request is about to subscribe.
    """

    __slots__ = ("awaited", "growing", "here", "waiting")

    def __init__(self) -> None:
        self.awaited = 0
        self.here = False
        self.waiting: list[asyncio.Future[None]] = []
        self.growing: list[asyncio.Future[None]] = []

    def wait(self) -> asyncio.Future[None]:
        """Done once it is here."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.awaited += 1
        if self.here:
            future.set_result(None)
        else:
            self.waiting.append(future)
        return future

    def growth(self) -> asyncio.Future[None]:
        """Done once there is more of it, or will be no more."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.growing.append(future)
        return future

    def arrive(self) -> None:
        """All that there was is here."""
        self.here = True
        waiting, self.waiting = self.waiting, []
        tell(waiting)

    def grow(self) -> None:
        """See `growth`."""
        growing, self.growing = self.growing, []
        tell(growing)


def tell(futures: list[asyncio.Future[None]]) -> None:
    """Have those go on that have not given up."""
    for each in futures:
        if not each.done():
            each.set_result(None)
