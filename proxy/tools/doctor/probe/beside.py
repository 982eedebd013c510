"""Requests at the same time: one, and the same in other words beside it.

The others are begun when nothing has come of the first for a while, or when it is held,
and all of them at once. A back end that serves one at a time shows, and is asked again
in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proxy.timeline import Clock, monotonic
from proxy.tools.doctor.probe.early_end import (
    in_the_way,
    kept_back,
    shows_the_difference,
)
from proxy.tools.doctor.probe.fetch import FetchedResponse
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Verdict

SUSPECT = 1.0  # seconds without content
MARGIN = 3.0  # seconds that a variant may take longer
LOOK = 0.2  # seconds between two looks at all that has come


@dataclass(slots=True, eq=False)
class Measurement:
    """A request that is under way."""

    ask: Ask
    clock: Clock = monotonic
    began: float = field(default=0.0, init=False)
    response: FetchedResponse | None = field(default=None, init=False)
    looked: float = field(default=0.0, init=False)

    @property
    def recording(self) -> ProbeRecording:
        """As far as it has come."""
        if self.response is None:
            return ProbeRecording(self.ask.url)
        return self.response.recording()

    @property
    def size(self) -> int:
        return self.response.size if self.response is not None else 0

    @property
    def reads(self) -> int:
        return len(self.response.arrivals) if self.response is not None else 0

    def due(self) -> bool:
        """Is it time to look at all that has come?"""
        now = self.clock()
        if now - self.looked < LOOK:
            return False
        self.looked = now
        return True

    def end(self) -> None:
        """Enough is seen."""
        if self.response is not None:
            self.response.end("stopped" if self.response.head else "no head")


Watch = Callable[[Measurement], bool]
Run = Callable[[Measurement, float, Watch], "asyncio.Future[ProbeRecording]"]


@dataclass(frozen=True, slots=True)
class Variant:
    """`disturbed`: other requests were in its way."""

    ask: Ask
    recording: ProbeRecording
    disturbed: bool


class Beside:
    """The variants of a request. `run` begins one of them."""

    def __init__(
        self, base: Measurement, asks: Sequence[Ask], run: Run, seconds: float
    ) -> None:
        self.base = base
        self.run = run
        self.seconds = seconds
        self.others = [Measurement(ask) for ask in asks]
        self.tasks: list[asyncio.Future[ProbeRecording]] = []
        self.held: tuple[ProbeRecording, Verdict] | None = None  # once it is known
        self.early = False
        self.told = False  # nothing comes of the request of what comes of another

    async def suspect(self) -> None:
        """Begin, if nothing has come of the request for a while."""
        await asyncio.sleep(SUSPECT)
        if not self.base.size and self.held is None:
            self.early = True
            self.begin()

    def begin(self) -> None:
        if not self.tasks:
            self.tasks = [
                self.run(each, self.seconds, self.watch) for each in self.others
            ]

    def watch(self, other: Measurement) -> bool:
        """Is this one told by what has come?"""
        if not other.due():
            return False
        if self.held is not None:
            return shows_the_difference(*self.held, other.recording)
        if kept_back(self.base.recording, other.recording):
            self.told = True
            self.base.end()
        return self.told

    async def measured(self, held: ProbeRecording, verdict: Verdict) -> list[Variant]:
        """All of them, now that the request itself is measured."""
        self.held = held, verdict
        self.begin()
        for each in self.others:
            if self.told or shows_the_difference(held, verdict, each.recording):
                each.end()
        limit = min(held.ended + MARGIN, self.seconds)
        waits = max(each.began for each in self.others) + limit - self.base.clock()
        _, pending = await asyncio.wait(self.tasks, timeout=max(waits, 0))
        if pending:
            for each in self.others:
                each.end()
        found = await asyncio.gather(*self.tasks)
        measured = [*zip(found, (each.began for each in self.others), strict=True)]
        if self.early:
            measured.append((held, self.base.began))
        return [
            Variant(
                each.ask,
                recording,
                in_the_way(recording, each.began, without(measured, recording)),
            )
            for each, recording in zip(self.others, found, strict=True)
        ]

    def broke(self, base: ProbeRecording, found: Sequence[Variant]) -> bool:
        """Was the request cut, and one of those that came beside it was not?

        A back end that keeps one stream for each client, the newest, looks so.
        """
        lived = [each.recording.ending != "cut" for each in found]
        return self.early and base.ending == "cut" and any(lived)

    def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()


def without(
    measured: Sequence[tuple[ProbeRecording, float]], one: ProbeRecording
) -> list[tuple[ProbeRecording, float]]:
    return [each for each in measured if each[0] is not one]
