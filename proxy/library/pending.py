"""What is under way on an event loop, for callers on other loops and on none.

The operation begins with the call. Asynchronous code awaits it, other code asks for
its result; nobody has to do either.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

RESULT_SECONDS = 30.0  # so that a test which waits in vain fails, and does not hang


class Pending(Awaitable[T], Generic[T]):
    """An operation that has begun: `await` it, or wait for it by `result()`.

    It can be awaited on any asyncio event loop, also where the operation itself runs
    on the loop of another thread. To cancel the task that awaits it cancels it.
    """

    __slots__ = ("_future", "_loop", "_seen", "_what")

    def __init__(
        self,
        what: str,
        future: concurrent.futures.Future[T],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._what = what
        self._future = future
        self._loop = loop  # on which it runs
        self._seen = False

    def __await__(self) -> Generator[Any, None, T]:
        self._seen = True
        running = running_loop()
        if running is None:
            self._future.cancel()  # nobody would have what came of it
            raise RuntimeError(
                f"cannot await {self._what}: no asyncio event loop runs in this "
                "thread; call result() instead (with trio: await "
                "trio.to_thread.run_sync(pending.result))"
            )
        return asyncio.wrap_future(self._future, loop=running).__await__()

    def result(self, timeout: float | None = RESULT_SECONDS) -> T:
        """Wait for the end in this thread, and return what came of it.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds, and is cancelled.
        """
        self._seen = True
        if running_loop() is self._loop and not self._future.done():
            raise RuntimeError(
                f"result() of {self._what} would wait for its own event loop: await "
                "it instead"
            )
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            if self._future.done():  # the operation itself raised it
                raise
            self._future.cancel()
            raise TimeoutError(
                f"{self._what} has not ended after {timeout:g} s"
            ) from None

    def done(self) -> bool:
        """Has it ended?"""
        return self._future.done()

    @property
    def is_settled(self) -> bool:
        """Is there nothing more to know of it?"""
        return self._seen or (self.done() and self.missed is None)

    @property
    def missed(self) -> BaseException | None:
        """What it raised, if nobody has asked for it."""
        future = self._future
        if self._seen or not future.done() or future.cancelled():
            return None
        return future.exception()

    def __repr__(self) -> str:
        return f"<Pending {self._what}: {'done' if self.done() else 'under way'}>"


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The asyncio loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
