"""Work that waits for the server: done in one task at a time, and in few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from proxy.internal_errors import report
from proxy.kept.redis.flush_step import Item
from proxy.kept.redis.scripts import Script
from proxy.kept.redis.store_connection import Call

# Of one call: to seal thousands takes so long that all clients wait.
MOST: Final = 250


class WorkTask:
    """Works off what waits. `is_due`: is there something that can be done now?

    `what`: in a report of what it has raised.
    """

    def __init__(
        self,
        is_due: Callable[[], bool],
        work: Callable[[], Coroutine[Any, Any, None]],
        what: str,
    ) -> None:
        self.is_due = is_due
        self.work = work
        self.what = what
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Do it soon, unless it is being done."""
        if self.task is None and self.is_due():
            self.task = asyncio.get_running_loop().create_task(self.work())
            self.task.add_done_callback(self.over)

    def over(self, task: asyncio.Task[None]) -> None:
        """All was done that waited, or could not be."""
        self.task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            report(self.what, error)
        self.begin()


def calls_of(steps: Iterable[tuple[Script, Item]]) -> list[Call]:
    """Calls in the order of the steps: those of one script that follow are one call."""
    calls: list[Call] = []
    for script, item in steps:
        if calls and calls[-1].script is script:
            calls[-1] = Call(script, [*calls[-1].items, item])
        else:
            calls.append(Call(script, [item]))
    return calls
