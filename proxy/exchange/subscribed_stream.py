"""How the response to one client of a kept stream may end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from proxy.errors import FellBehind, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.graceful_end import GracefulEnd
from proxy.exchange.response_stream import NOTHING, TOLD_INSIDE, ResponseStream
from proxy.exchange.stream_age import StreamAges
from proxy.http1.head import RequestHead
from proxy.policy.delivery import reconnects
from proxy.timeline import CallTimeline, Ending


class StreamOfMany(Protocol):
    """The kept stream."""

    account: CallTimeline
    error: ProxyError | None  # of its end

    @property
    def stream(self) -> ResponseStream | None:
        """Its family and boundaries, until it ends."""

    @property
    def may_move(self) -> bool:
        """Can a client that has an event of it go on at another node?"""

    def can_move(self, position: int) -> bool:
        """Can a client that has so much of it go on at another node?"""

    def last_words(self, head: RequestHead) -> tuple[bytes, bool]:
        """What tells of its failure; may a response end cleanly behind that?"""

    def call_behind_event(self, callback: Callable[[], None]) -> None:
        """Call back once an event that has yet to come is complete."""


class StreamClient(Protocol):
    """One of its clients."""

    exchange: Exchange

    @property
    def kept(self) -> StreamOfMany:
        """The stream."""

    @property
    def reached_position(self) -> int:
        """Up to where the client was sent the stream."""

    @property
    def reached(self) -> bool:
        """Does the client stand between two events?"""

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back once it does."""

    def over(self) -> None:
        """Its exchange has ended."""


class SubscribedStream:
    """What `ResponseStream` is for other responses: the ends of one client's."""

    __slots__ = ("ages", "kept", "old_at", "subscriber")

    def __init__(self, subscriber: StreamClient) -> None:
        self.subscriber = subscriber
        self.kept = subscriber.kept
        exchange = subscriber.exchange
        route = exchange.route
        self.ages: StreamAges | None = None  # if its response may get too old
        self.old_at = 0
        if route is not None and route.ages is not None and reconnects(exchange.head):
            self.ages, self.old_at = route.ages, route.ages.add(self)

    def judge(self, ending: Ending) -> bool:
        """The stream itself is judged, once."""
        return False

    def over(self) -> None:
        """The exchange has ended: nothing of it acts later."""
        if self.ages is not None:
            self.ages.discard(self, self.old_at)
        self.subscriber.over()

    def last_event(self, error: ProxyError) -> tuple[bytes, bool]:
        """See `ResponseStream.last_event`."""
        subscriber, kept = self.subscriber, self.kept
        exchange = subscriber.exchange
        if exchange.client.closed:
            return NOTHING
        if error is kept.error:
            return kept.last_words(exchange.head)
        stream = kept.stream
        told = isinstance(error, (*TOLD_INSIDE, FellBehind))
        if stream is None or not told or not stream.tells_failures:
            return NOTHING
        if not stream.ours:  # all that may come is what the upstream has said
            return NOTHING
        if not subscriber.reached:
            return NOTHING
        written, clean = stream.failure(error, detailed=exchange.sees_detail)
        return written, clean and reconnects(exchange.head)

    # -- the process ends: see `ResponseStream`

    @property
    def comes_back(self) -> bool:
        stream, subscriber = self.kept.stream, self.subscriber
        if stream is None or not reconnects(subscriber.exchange.head):
            return False
        return stream.comes_back or self.kept.can_move(subscriber.reached_position)

    def drain(self) -> None:
        """Where events end is known already."""

    def end_early(self) -> None:
        self.end_at_boundary(self.send_away)

    def end_at_boundary(self, way: Callable[[], None]) -> None:
        """End that way at the next boundary, if the client comes back."""
        if self.comes_back:
            subscriber = self.subscriber
            end = GracefulEnd(subscriber.exchange, subscriber, way)
            if not self.kept.account.pieces:
                self.kept.call_behind_event(end.begin)
            elif self.lacks_event:
                self.kept.call_behind_event(partial(self.end_at_boundary, way))
            else:
                end.begin()

    @property
    def lacks_event(self) -> bool:
        """Would its client go on elsewhere, if it had an event to come back by?"""
        kept = self.kept
        return kept.may_move and not kept.can_move(self.subscriber.reached_position)

    def send_away(self) -> None:
        """End it, if its client still comes back."""
        if self.comes_back:
            self.subscriber.exchange.end_stream()

    # -- its response gets old: the stream goes on, and waits for its client

    def grown_old(self) -> None:
        self.end_at_boundary(self.send_on)

    def send_on(self) -> None:
        """Have its client go to another process, if it still comes back."""
        if self.comes_back:
            self.subscriber.exchange.send_on()

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it ended."""
        self.subscriber.exchange.crashed(place, error)

    # -- the time is over

    def shut_down(self) -> bool:
        exchange, stream = self.subscriber.exchange, self.kept.stream
        if self.comes_back:
            if self.kept.account.pieces:
                GracefulEnd(exchange, self.subscriber, self.send_away).begin()
            else:
                exchange.end_stream()
            return False
        if stream is not None and stream.tells_failures and stream.boundary is not None:
            GracefulEnd(exchange, self.subscriber, exchange.cut).begin()
        else:
            exchange.cut()
        return True
