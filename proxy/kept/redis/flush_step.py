"""What is written of one stream at a time."""

from __future__ import annotations

from typing import NamedTuple

from proxy.kept.redis.store_connection import Argument

Item = tuple[list[bytes], list[Argument]]


class Step(NamedTuple):
    """What is written of one stream in one flush. `generation`: of which start.

    `parts`: for START, APPEND, CHANGE and FINISH.
    """

    generation: int
    epoch: int
    parts: tuple[Item | None, Item | None, Item | None, Item | None]
    size: int  # bytes of the log
    end: int  # how far the log is written behind that
    version: int  # of the meta that is written by it


class Rest(NamedTuple):
    """What was not written when the log was closed, and what is said of its start."""

    start: int
    data: bytes
    events: int
    cut: int

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.start + len(self.data)
