"""The feed of the list: all exchanges once, then what has changed.

Looks four times a second, on the coarse clock, and at nothing while its client
does not read: a slow inspector gets fewer updates, never more bytes waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Protocol

import msgspec

from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.browser_connections import Browser, added_up, crowded
from proxy.inspector.exchange_history import MOST_OPEN, ExchangeHistory, counted
from proxy.inspector.kept_view import KeptFeed
from proxy.inspector.own_response import EVENT_STREAM, OwnResponse, event
from proxy.inspector.target_warnings import without_repetitions
from proxy.kept.registry import KeptStreams
from proxy.observe.findings import Finding
from proxy.observe.list_row import Row, identity, signature
from proxy.timeline import Phase, Timeline, wall_clock

COMMENT_SECONDS = 15.0  # of silence, after which a comment says that all is well


class ListSource(Protocol):
    """Who knows what the feed tells."""

    history: ExchangeHistory
    browsers: list[Browser]  # as counted at the last look for warnings

    @property
    def registry(self) -> KeptStreams[KeptStream]:
        """The streams that are kept."""

    @property
    def worker(self) -> int:
        """The number of this worker."""

    def state(self) -> object:
        """What is the same for all exchanges."""

    def warnings(self, now: float) -> list[dict[str, object]]:
        """What a person should know."""


def warning(finding: Finding, ids: Iterable[str]) -> dict[str, object]:
    """What is told of a finding, and which exchanges it means."""
    return {"kind": finding.kind, "text": finding.text, "ids": list(ids)}


class ListFeed:
    """One client that looks at the list."""

    def __init__(self, source: ListSource, answer: OwnResponse, *, own: bool) -> None:
        self.source = source
        self.own = own  # asked for by another worker, which adds up
        self.answer = answer
        self.history = source.history
        self.clock = self.history.ticker.clock
        self.kept = KeptFeed(source.registry, self.history, source.worker)
        self.known: dict[Timeline, tuple[object, ...]] = {}
        self.over: set[Timeline] = set()
        self.seen: set[Timeline] = set()
        self.warned: list[dict[str, object]] = []
        self.more = 0  # that are open and not shown
        self.heard = self.clock()
        self.counted: list[Browser] | None = None
        # What other workers have told: warnings, browsers.
        self.others: dict[str, list[Any]] = {}
        self.browsers: dict[str, list[Browser]] = {}

    def start(self) -> None:
        """Send all there is; the rest follows on the clock."""
        answer = self.answer
        answer.on_end = self.stop
        answer.stream(EVENT_STREAM)
        if answer.over:
            return
        self.history.subscribe()
        self.send(b"state", self.source.state())
        self.update(self.clock(), first=True)
        self.history.ticker.add(self)

    def stop(self) -> None:
        """The client is gone, or the proxy is about to."""
        self.history.ticker.discard(self)
        if self.answer.streams:
            self.history.unsubscribe()

    def told_elsewhere(
        self,
        worker: str,
        warnings: list[Any] | None = None,
        browsers: list[Browser] | None = None,
    ) -> None:
        """Another worker has something to say; told at the next look."""
        if warnings is not None:
            self.others[worker] = warnings
        if browsers is not None:
            self.browsers[worker] = browsers

    def check(self, now: float) -> None:
        """Called by the clock."""
        if self.answer.blocked:
            return
        self.update(now)
        if now - self.heard >= COMMENT_SECONDS:
            self.heard = now
            self.answer.write(b": all is well\n\n")

    def crashed(self, place: str, error: Exception) -> None:
        """It could not be told: its client has to ask anew."""
        self.answer.crashed(place, error)

    def update(self, now: float, *, first: bool = False) -> None:
        """Send what has changed since the last time."""
        epoch = wall_clock() - now
        more = self.more
        opened = self.open_rows(now, epoch)
        ended = self.ended_rows(now, epoch)
        gone = self.gone()
        if first or opened or ended or gone or more != self.more:
            self.send(
                b"exchanges",
                {
                    "now": round(now + epoch, 3),
                    "worker": self.source.worker,
                    "open": opened,
                    "ended": ended,
                    "gone": gone,
                    "more": self.more,
                },
            )
        kept = self.kept.changes(now, epoch)
        if kept is not None:
            self.send(b"streams", kept)
        warnings = self.warnings(now)
        if first or warnings != self.warned:
            self.warned = warnings
            self.send(b"warnings", warnings)

    def warnings(self, now: float) -> list[dict[str, object]]:
        """Those of all workers; to another worker ours, and what it adds up."""
        warnings = self.source.warnings(now)
        ours = self.source.browsers
        if self.own:
            if ours != self.counted:
                self.counted = ours
                self.send(b"browsers", ours)
            return warnings
        told = chain(ours, *self.browsers.values())
        return [
            *without_repetitions([*chain(warnings, *self.others.values())]),
            *(warning(found, each.ids) for found, each in crowded(added_up(told))),
        ]

    def open_rows(self, now: float, epoch: float) -> list[Row]:
        rows = []
        self.seen.clear()
        self.more = 0
        shown = len(self.known) - len(self.over)
        for exchange in counted(self.history.exchanges):
            timeline = exchange.timeline
            before = self.known.get(timeline)
            if before is None:
                if shown >= MOST_OPEN:
                    self.more += 1
                    continue
                shown += 1
            self.seen.add(timeline)
            is_now = signature(timeline, exchange.phase)
            if is_now != before:
                self.known[timeline] = is_now
                rows.append(self.row(timeline, exchange.phase, now, epoch))
        return rows

    def ended_rows(self, now: float, epoch: float) -> list[Row]:
        """Those that ended since the last look, the oldest first."""
        fresh = []
        for timeline in self.history.newest_first():
            if timeline in self.over:
                break
            fresh.append(timeline)
        rows = []
        for timeline in reversed(fresh):
            self.over.add(timeline)
            self.known[timeline] = ()
            rows.append(self.row(timeline, Phase.OVER, now, epoch))
        return rows

    def gone(self) -> list[str]:
        """Those of which nothing is told any more, for want of room."""
        gone: set[Timeline] = set()
        history = self.history
        if len(self.over) > len(history.recent) + len(history.recorded):
            gone = self.over.difference(history.newest_first())
        if len(self.known) - len(self.over) > len(self.seen):  # ended, and forgotten
            gone = gone.union(self.known.keys() - self.over - self.seen)
        self.over -= gone
        for timeline in gone:
            del self.known[timeline]
        return [identity(self.source.worker, timeline) for timeline in gone]

    def row(self, timeline: Timeline, phase: Phase, now: float, epoch: float) -> Row:
        return self.history.row(timeline, phase, self.source.worker, now, epoch)

    def send(self, name: bytes, content: object) -> None:
        self.heard = self.clock()
        self.answer.write(event(name, msgspec.json.encode(content)))
