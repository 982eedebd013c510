"""The event loop on which something of the library runs: the host's, or its own.

A loop of its own runs in a thread. It works whatever the host does with its threads:
it may have no loop, several, or one of another library, and it may block.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from proxy.library.pending import Pending

T = TypeVar("T")


class HostLoop:
    """A loop that others run. Made in the thread in which it runs."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread_id = threading.get_ident()
        self.pid = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Is this a child of the process that it runs in? Nothing runs here then."""
        return os.getpid() != self.pid

    @property
    def is_here(self) -> bool:
        """Is this the thread in which it runs?"""
        return threading.get_ident() == self.thread_id

    def begin(
        self, what: str, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> Pending[T]:
        """Run a coroutine on it.

        Raises:
            RuntimeError: it does not run any more, or only in a parent process.
        """
        self.check(what)
        future = asyncio.run_coroutine_threadsafe(function(), self.loop)
        return Pending(what, future, self.loop)

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Call a function in its thread and return the result; blocks for a turn.

        Raises:
            RuntimeError: it does not run any more, or only in a parent process.
        """
        self.check(what)
        if self.is_here:
            return function()
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def call() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return Pending(what, future, self.loop).result()

    def check(self, what: str) -> None:
        """Can anything be asked of it?"""
        if self.is_forked:
            raise RuntimeError(
                f"cannot call {what}: this process is a fork of the one that runs it"
            )
        if self.loop.is_closed():
            raise RuntimeError(f"cannot call {what}: its event loop is closed")


class LoopThread(HostLoop):
    """A loop in a thread of its own, from its making until `stop`.

    The thread is a daemon: a program that forgets it can end. It takes no signals and
    sets nothing of the process: neither the event loop policy nor a current loop.
    """

    def __init__(self, name: str) -> None:
        self.pid = os.getpid()
        self.ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.thread = threading.Thread(target=self.run, name=name, daemon=True)
        self.thread.start()
        self.ready.result()

    def run(self) -> None:
        """In the thread: until told to stop; then cancel what is left."""
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(self.main())

    async def main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread_id = threading.get_ident()
        self.stopping = asyncio.Event()
        self.ready.set_result(None)
        await self.stopping.wait()

    def stop(self) -> None:
        """End the loop and the thread, and wait for that. Nothing in a forked child."""
        if self.is_forked or not self.thread.is_alive():
            return
        if self.is_here:
            raise RuntimeError("the thread of an event loop cannot stop itself")
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join()
