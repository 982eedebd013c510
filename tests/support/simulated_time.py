"""A loop whose time goes on only when nothing is left to do.

What waits for seconds takes none, over real sockets, and a busy machine changes no
moment. It is for peers that are all in this one loop: for others it does not wait.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

SETTLED = 0.004  # seconds in which what was written comes out on the other side

T = TypeVar("T")


class HastySelector(selectors.DefaultSelector):
    """Waits for the sockets only; for a timer it sets the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(SETTLED)
        if not found:
            self.now += timeout
        return found


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`time` is that of its selector."""

    def __init__(self) -> None:
        self.hasty = HastySelector()
        super().__init__(self.hasty)

    def time(self) -> float:
        return self.hasty.now


def run_simulated(main: Coroutine[object, object, T]) -> T:
    """As `asyncio.run`, in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
