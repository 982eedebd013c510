"""What is open and what was: found when somebody asks, kept in bounded memory.

Of ended exchanges the last accounts are kept, which exist anyway. Of open ones
nothing is. Exchanges are captured only while somebody looks, and a little longer, so
that a page may be reloaded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias

from proxy.exchange.exchange import Exchange
from proxy.exchange.subscriber import Subscriber
from proxy.inspector.shown_heads import size_of
from proxy.internal_errors import report
from proxy.observe.capture_buffer import CaptureBudget, CaptureBuffer
from proxy.observe.list_row import Row, has_failed, row
from proxy.policy.error_detail import ErrorDetail
from proxy.policy.error_response import advice_on
from proxy.timeline import Phase, Timeline
from proxy.transport.ticker import Ticker

Found: TypeAlias = tuple[Timeline, Exchange | None]  # None: it has ended

MOST_OPEN = 1000
MOST_RECENT = 500
# Of so many ended exchanges the heads are kept though nobody looked: what a
# person opens the inspector for has often just happened.
WITH_HEADS = 50
LINGER_SECONDS = 10.0
MOST_HEADS = 64 * 1024  # bytes of the heads of an ended exchange, to be kept


def counted(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Exchanges that run, with their accounts up to date.

    Those of the clients of a kept stream are not kept piece by piece.
    """
    for exchange in exchanges:
        source = exchange.source
        if isinstance(source, Subscriber):
            source.count()
        yield exchange


class ExchangeHistory:
    """All exchanges of one server, as far as they can be shown."""

    def __init__(self, exchanges: Collection[Exchange], ticker: Ticker) -> None:
        self.exchanges = exchanges  # under way
        self.ticker = ticker
        self.recent: deque[Timeline] = deque()  # the newest last
        self.with_heads: deque[Timeline] = deque()
        self.budget = CaptureBudget()
        self.count = 0
        self.numbering = threading.Lock()  # a host may look from a thread of its own
        self.lookers = 0
        self.capturing = False
        self.until = 0.0
        self.error_detail: ErrorDetail | None = None  # the rule of the configuration

    # -- what was

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over."""
        recent, with_heads = self.recent, self.with_heads
        recent.append(timeline)
        gone = recent.popleft() if len(recent) > MOST_RECENT else None
        if self.budget.recordings:
            self.keep_recordings(timeline, gone)
        with_heads.append(timeline)
        if len(with_heads) > WITH_HEADS:
            with_heads.popleft().heads = None

    def keep_recordings(self, timeline: Timeline, gone: Timeline | None) -> None:
        """Of one that is over and was captured: keep its heads, too."""
        if gone is not None:
            self.budget.forget(gone)
        recording = self.budget.recordings.get(timeline)
        if recording is not None and size_of(timeline.heads) <= MOST_HEADS:
            recording.heads = timeline.heads

    # -- what is

    def number(self, timeline: Timeline) -> int:
        """The number of an exchange: given when it is first shown."""
        if not timeline.number:
            with self.numbering:
                if not timeline.number:
                    self.count += 1
                    timeline.number = self.count
        return timeline.number

    def find(self, number: int) -> Found | None:
        """An exchange by its number."""
        return self.newest(lambda timeline: timeline.number == number)

    def of_request(self, id: bytes) -> Found | None:
        """The newest exchange that has a request id."""
        found = self.newest(lambda timeline: timeline.request_id == id)
        if found is not None:
            self.number(found[0])
        return found

    def newest(self, is_meant: Callable[[Timeline], bool]) -> Found | None:
        """The newest exchange that is meant."""
        for exchange in reversed(tuple(self.exchanges)):
            if is_meant(exchange.timeline):
                return exchange.timeline, next(counted((exchange,)))
        for timeline in reversed(self.recent):
            if is_meant(timeline):
                return timeline, None
        return None

    def row(
        self, timeline: Timeline, phase: Phase, worker: int, now: float, epoch: float
    ) -> Row:
        """What is shown of an exchange, with the advice on its failure."""
        self.number(timeline)
        recording = self.budget.recordings.get(timeline)
        return row(
            *(timeline, phase, worker, now, epoch),
            advice=self.advice(timeline),
            recorded=recording is not None and bool(recording.pieces),
        )

    def advice(self, timeline: Timeline) -> str:
        """What to do about its failure: the same as in the error page."""
        error, rule = timeline.error, self.error_detail
        if error is None or not has_failed(timeline):
            return ""
        hint = "" if rule is None else rule.hint(error, timeline.target, detailed=True)
        return hint or advice_on(error)

    # -- who looks

    def subscribe(self) -> None:
        """Somebody looks: from now on new exchanges are captured."""
        self.lookers += 1
        self.capturing = True

    def unsubscribe(self) -> None:
        """Somebody looks no longer."""
        self.lookers -= 1
        if not self.lookers:
            self.until = self.ticker.clock() + LINGER_SECONDS
            self.ticker.add(self)

    def check(self, now: float) -> None:
        """Called by the clock while nobody looks: is it time to end all captures?"""
        if self.lookers:
            self.ticker.discard(self)
        elif now >= self.until:
            self.let_go()

    def crashed(self, place: str, error: Exception) -> None:
        """Some captures go on until somebody has looked again."""
        report(place, error)

    def let_go(self) -> None:
        """End all captures and forget what they recorded."""
        self.ticker.discard(self)
        self.capturing = False
        for exchange in self.exchanges:
            exchange.stop_capture()
        self.budget.clear()

    def close(self) -> None:
        """The server is stopping."""
        self.ticker.discard(self)
        self.capturing = False
        self.budget.clear()

    # -- captures

    def begun(self, exchange: Exchange) -> None:
        """An exchange begins while somebody looks."""
        if len(self.budget.recordings) < MOST_OPEN + MOST_RECENT:
            self.capture(exchange).whole = True

    def capture(self, exchange: Exchange) -> CaptureBuffer:
        """The recording of an exchange; from now on, if it runs already."""
        recording = self.budget.record(exchange.timeline)
        if exchange.capture is not None and exchange.capture.record is not recording:
            exchange.stop_capture()  # a mere probe
        if exchange.capture is None and not exchange.is_over:
            exchange.start_capture(recording)
        return recording
