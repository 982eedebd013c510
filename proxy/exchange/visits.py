"""The connections that a kept stream has had, for those who look at it."""

from __future__ import annotations

import logging
from typing import Protocol

from proxy.errors import ProxyError
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.policy.stream_identity import shown_id
from proxy.timeline import CallTimeline, Clock, Timeline, Visit

log = logging.getLogger("unbuffered")

MOST_VISITS = 20  # of one stream that are remembered; all are counted


class VisitedStream(Protocol):
    """The stream."""

    account: CallTimeline
    id: bytes
    resumes: bool
    route: CompiledRoute
    state: str
    error: ProxyError | None

    @property
    def bytes_in_all(self) -> int:
        """How long it is."""


class Visits:
    """Of one stream."""

    __slots__ = ("clock", "count", "last", "left")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.count = 0
        self.last: list[Visit] = []
        # When the last client left while the stream went on, unless one came since.
        self.left: float | None = None

    def begin(
        self, stream: VisitedStream, timeline: Timeline, way: str, begins: int
    ) -> None:
        """A client is served from the stream."""
        timeline.visit = visit = Visit(
            shown_id(stream.id),
            timeline.client,
            way,
            begins,
            self.clock(),
            kept=stream.resumes,
        )
        self.left = None
        self.count += 1
        self.last.append(visit)
        if len(self.last) > MOST_VISITS:
            del self.last[0]

    def end(self, stream: VisitedStream, timeline: Timeline) -> None:
        """It is gone, or has all."""
        visit = timeline.visit
        if visit is not None:
            visit.ended = self.clock()
            visit.ending = timeline.ending
            visit.bytes_sent = timeline.bytes_sent
            visit.state = stream.state

    def ended_unread(self, stream: VisitedStream) -> None:
        """The stream has ended, and if nobody was there: say so."""
        if self.left is None:
            return
        account = stream.account
        family = "" if account.verdict is None else f" ({account.family})"
        why = "" if stream.error is None else f", {stream.error}"
        log.info(
            "route %s: stream %s went on for %.1f s without a client and has ended: "
            "%s; %d bytes, %d client%s so far",
            stream.route.prefix,
            shown_id(stream.id),
            self.clock() - self.left,
            stream.state + family + why,
            stream.bytes_in_all,
            self.count,
            "" if self.count == 1 else "s",
        )
