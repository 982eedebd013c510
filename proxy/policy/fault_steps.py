"""The steps that an upstream with faults takes: what is written, when, and how it ends.

Whoever plays that upstream takes them one by one from a `StepQueue`, each when the one
before is done. Values only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from proxy.http1.grammar import Fields


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes; each step is a write of its own."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for so many seconds; 0: until the next turn of the event loop."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Complete:
    """The body is complete, as its framing says it."""


@dataclass(frozen=True, slots=True)
class Fin:
    """Close the connection; the body is not complete."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection."""


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing any more, and leave the connection open."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Bytes in writes of `size`, with a wait behind each; the first is of `first`.

    Only a `StepQueue` sees it.
    """

    data: bytes
    first: int
    size: int
    seconds: float


End: TypeAlias = Complete | Fin | Reset | Stall
Step: TypeAlias = Send | Wait | Complete | Fin | Reset | Stall
MadeStep: TypeAlias = Step | Drip


class StepQueue:
    """The steps that have yet to be taken, one by one; a drip takes no more room."""

    __slots__ = ("at", "left", "steps")

    def __init__(self) -> None:
        self.steps: deque[MadeStep] = deque()
        self.at = 0  # how far a drip has come
        self.left = 0  # bytes of its next write; 0: it has not begun

    def add(self, steps: Sequence[MadeStep]) -> None:
        """These come behind those that wait."""
        self.steps.extend(steps)

    def __len__(self) -> int:
        return len(self.steps)

    def clear(self) -> None:
        """None of them will be taken."""
        self.steps.clear()
        self.at = self.left = 0

    def take(self) -> Step | None:
        """The next step; None: there is none now."""
        if not self.steps:
            return None
        step = self.steps[0]
        if not isinstance(step, Drip):
            self.steps.popleft()
            return step
        if self.left < 0:  # a wait is due
            self.left = step.size
            if self.at == len(step.data):
                self.end_drip()
            return Wait(step.seconds)
        left = self.left or step.first
        data = step.data[self.at : self.at + left]
        self.at += len(data)
        self.left = -1
        if len(data) < left:  # the rest of this write comes with the next piece
            self.end_drip()
        return Send(data)

    def end_drip(self) -> None:
        """All of its bytes were taken."""
        self.steps.popleft()
        self.at = self.left = 0


@dataclass(frozen=True, slots=True)
class HeadSteps:
    """The head, and what comes at once behind it.

    `wait`: before it is sent. `reason`: empty if it stays. `framing`: `chunked`,
    `length` or empty if it stays as it is; the fields say the same.
    """

    wait: float
    status: int
    reason: bytes
    fields: Fields
    framing: str
    steps: list[MadeStep]

    @property
    def replaces(self) -> bool:
        """Is it another response altogether?"""
        return self.reason != b""
