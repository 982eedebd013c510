"""For how long a stream is kept that nobody reads, while it runs and afterwards."""

from __future__ import annotations

from typing import Any, Protocol

from proxy.exchange.audience import Audience
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.keep_timer import KeepTimer
from proxy.exchange.visits import Visits
from proxy.http1.head import RequestHead
from proxy.kept.registry import KeptStreams
from proxy.transport.ticker import Ticker


class Retained(Protocol):
    """The stream."""

    closing: bool
    route: CompiledRoute
    settled: bool
    visits: Visits

    @property
    def audience(self) -> Audience:
        """All of its clients."""

    @property
    def compiled(self) -> CompiledRoutes:
        """The clock."""

    @property
    def is_last(self) -> bool:
        """Does the process end, and can nobody come back for it elsewhere?"""

    @property
    def kept(self) -> KeptStreams[Any]:
        """All streams of this worker."""

    @property
    def readers(self) -> int:
        """How many other nodes read it."""

    def end_upstream(self, reason: str) -> None:
        """Close the upstream, if it has not ended."""

    def expire(self) -> None:
        """Be found no more."""

    def let_go(self) -> None:
        """Nobody needs it any more."""


class Retention:
    """Of one stream. `client_key`: whose it is, where clients' streams are counted."""

    __slots__ = ("client_key", "stream", "timer")

    def __init__(self, stream: Retained, ticker: Ticker) -> None:
        self.stream = stream
        self.timer = KeepTimer(ticker)
        self.client_key = b""

    def belongs_to(self, head: RequestHead, address: bytes) -> None:
        """It is asked for by this client."""
        limit = self.stream.route.stream_limit
        if limit is not None:
            self.client_key = limit.key_of(head, address)

    # -- while it runs

    def is_read(self) -> None:
        """Its upstream is not one that goes on without a client, or no longer."""
        stream = self.stream
        stream.kept.unread.pop(stream, None)
        limit = stream.route.stream_limit
        if limit is not None:
            limit.taken_up(self.client_key, stream)

    def read_elsewhere(self) -> None:
        """Other nodes read it."""
        self.timer.stop()
        self.is_read()
        self.stream.visits.left = None

    def nobody_left(self) -> None:
        """The last client has left: the upstream is read on, or closed."""
        stream = self.stream
        if stream.readers and not stream.settled:
            return
        if stream.settled:
            if stream.closing:
                stream.let_go()
        elif self.timer.seconds and not stream.is_last and not stream.closing:
            stream.visits.left = stream.compiled.clock()
            stream.kept.unread[stream] = None
            self.timer.start(self.nobody_came)
            limit = stream.route.stream_limit
            if limit is not None and self.client_key:
                limit.left(self.client_key, stream)
        else:
            stream.end_upstream("the last client left")

    def nobody_came(self) -> None:
        """Nobody came back while the upstream went on."""
        stream = self.stream
        if not stream.audience.subscribers and not stream.readers:
            seconds = self.timer.seconds
            stream.end_upstream(f"no client came back for {seconds:g} s (keep_seconds)")
            self.long_enough()

    # -- once it has ended

    def begin_last(self) -> None:
        """It has ended: keep it for those who may come back."""
        self.timer.start(self.long_enough)

    def long_enough(self) -> None:
        """It was kept for those who may come back."""
        stream = self.stream
        if stream.visits.left is not None:
            stream.kept.counts.expired += 1
        stream.expire()

    def stop(self) -> None:
        """It is kept no longer, or by another node."""
        self.timer.stop()
