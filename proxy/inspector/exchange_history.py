"""What is open and what was: found when somebody asks, kept in bounded memory.

Of ended exchanges the last accounts are kept, which exist anyway. Of open ones
nothing is: they are found by walking the clients. Taps are put in only while
somebody looks, and stay a little longer, so that a page may be reloaded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from proxy.exchange.exchange import Exchange
from proxy.exchange.graceful_end import Departing
from proxy.inspector.heads import heads_of, size_of
from proxy.internal_errors import report
from proxy.observe.capture_buffer import Budget, Recording
from proxy.timeline import Phase, Timeline
from proxy.transport.client_connection import ClientConnection
from proxy.transport.tap import Tap
from proxy.transport.ticker import Ticker

MOST_OPEN = 1000
MOST_RECENT = 500
# Of so many ended exchanges the heads are kept though nobody looked: what a
# person opens the inspector for has often just happened.
WITH_HEADS = 50
LINGER_SECONDS = 10.0
MOST_HEADS = 64 * 1024  # bytes of the heads of an ended exchange, to be kept


class Live:
    """All exchanges of one server, as far as they can be shown."""

    def __init__(self, clients: Collection[ClientConnection], ticker: Ticker) -> None:
        self.clients = clients
        self.ticker = ticker
        self.recent: deque[Timeline] = deque()  # the newest last
        self.with_heads: deque[Timeline] = deque()
        self.budget = Budget()
        self.count = 0
        self.lookers = 0
        self.tapping = False
        self.until = 0.0

    # -- what was

    def ended(self, timeline: Timeline) -> None:
        """An exchange is over."""
        self.recent.append(timeline)
        if len(self.recent) > MOST_RECENT:
            gone = self.recent.popleft()
            if self.budget.recordings:
                self.budget.forget(gone)
        self.with_heads.append(timeline)
        if len(self.with_heads) > WITH_HEADS:
            self.with_heads.popleft().heads = None

    # -- what is

    def open(self) -> Iterator[Exchange]:
        """The exchanges that are under way."""
        for client in self.clients:
            exchange = client.exchange
            if isinstance(exchange, Departing):
                yield exchange

    def number(self, timeline: Timeline) -> int:
        """The number of an exchange: given when it is first shown."""
        if not timeline.number:
            self.count += 1
            timeline.number = self.count
        return timeline.number

    def find(self, number: int) -> tuple[Timeline, Exchange | None] | None:
        """An exchange by its number."""
        for exchange in self.open():
            if exchange.timeline.number == number:
                return exchange.timeline, exchange
        for timeline in self.recent:
            if timeline.number == number:
                return timeline, None
        return None

    # -- who looks

    def look(self) -> None:
        """Somebody looks: from now on new exchanges are tapped."""
        self.lookers += 1
        self.tapping = True

    def look_away(self) -> None:
        """Somebody looks no longer."""
        self.lookers -= 1
        if not self.lookers:
            self.until = self.ticker.clock() + LINGER_SECONDS
            self.ticker.add(self)

    def check(self, now: float) -> None:
        """Called by the clock while nobody looks: is it time to take all taps out?"""
        if self.lookers:
            self.ticker.discard(self)
        elif now >= self.until:
            self.let_go()

    def crashed(self, place: str, error: Exception) -> None:
        """Some taps stay in until somebody has looked again."""
        report(place, error)

    def let_go(self) -> None:
        """Take all taps out and forget what they recorded."""
        self.ticker.discard(self)
        self.tapping = False
        for exchange in self.open():
            self.untap(exchange)
        self.budget.clear()

    def close(self) -> None:
        """The server is stopping."""
        self.ticker.discard(self)
        self.tapping = False
        self.budget.clear()

    # -- taps

    def begun(self, exchange: Exchange) -> None:
        """An exchange begins while somebody looks."""
        if len(self.budget.recordings) < MOST_OPEN + MOST_RECENT:
            self.tap(exchange).whole = True

    def tap(self, exchange: Exchange) -> Recording:
        """The recording of an exchange; from now on, if it runs already."""
        recording = self.budget.record(exchange.timeline)
        if exchange.tap is not None and exchange.tap.record is not recording:
            self.untap(exchange)  # a mere probe
        if exchange.tap is None and exchange.phase is not Phase.OVER:
            exchange.tap = Tap(recording, self.ticker.clock)
            exchange.tap.finish = self.finish
            exchange.tap.dial_in(exchange.client, exchange.connection)
        return recording

    def finish(self, exchange: object) -> None:
        """A tapped exchange ends: keep its heads, of which half will be gone."""
        assert isinstance(exchange, Exchange)
        recording = self.budget.recordings.get(exchange.timeline)
        if recording is not None:
            told = heads_of(exchange)
            recording.heads = told if size_of(told) <= MOST_HEADS else None

    def untap(self, exchange: Exchange) -> None:
        """Have an exchange go on as if nobody had looked."""
        if exchange.tap is not None:
            exchange.tap.remove(exchange.client, exchange.connection)
            exchange.tap = None
