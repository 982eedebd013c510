"""Calls for one stream each that many requests may need at the same time.

What is asked in one turn of the loop goes to the server in one call; so thousands of
clients that come back at once take one connection, not thousands.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.scripts import Script
from proxy.kept.redis.store_connection import Call, StoreConnection, StoreFault

# That a request waits for an answer. In a process that is busy it may come as late; a
# server that does not answer at all is given up sooner, by the connection.
SECONDS: Final = 5.0
MOST: Final = 500  # in one call


class QuestionsStore(Protocol):
    """The store that it belongs to."""

    connection: StoreConnection

    @property
    def up(self) -> bool:
        """Does it answer?"""

    def failed(self, fault: StoreFault) -> None:
        """A call was in vain."""


Waiting = tuple[Script, Item, asyncio.Future[list[Any]]]


class Questions:
    """See above."""

    def __init__(self, store: QuestionsStore) -> None:
        self.store = store
        self.seconds = SECONDS
        self.waiting: list[Waiting] = []
        self.task: asyncio.Task[None] | None = None

    async def ask(
        self, script: Script, item: Item, seconds: float | None = None
    ) -> list[Any]:
        """Run a script for one stream; its result, if it comes within `seconds`.

        Raises:
            StoreFault: it may have been run or not.
        """
        if not self.store.up:
            raise StoreFault("the store is down")
        if seconds is None:
            seconds = self.seconds
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        self.waiting.append((script, item, answer))
        self.begin()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise StoreFault(f"no answer within {seconds:g} s") from None

    def begin(self) -> None:
        """Ask for those who wait."""
        if self.waiting and self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.work())
            self.task.add_done_callback(self.over)

    def over(self, task: asyncio.Task[None]) -> None:
        """All are answered who waited until now."""
        self.task = None
        self.begin()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            report("asking the store", error)

    async def work(self) -> None:
        """Ask until nobody waits."""
        while self.waiting:
            asked, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
            asked = [each for each in asked if not each[2].done()]
            by_script: dict[Script, list[Waiting]] = {}
            for each in asked:
                by_script.setdefault(each[0], []).append(each)
            calls = [
                Call(script, [item for _, item, _ in those])
                for script, those in by_script.items()
            ]
            try:
                results = await self.store.connection.call(calls) if calls else []
            except StoreFault as fault:
                for _, _, answer in asked:
                    if not answer.done():
                        answer.set_exception(StoreFault(str(fault)))
                self.store.failed(fault)
                continue
            for those, found in zip(by_script.values(), results, strict=True):
                for (_, _, answer), result in zip(those, found, strict=True):
                    if not answer.done():
                        answer.set_result(result)
