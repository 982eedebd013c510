"""How the response to one client of a kept stream may end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.errors import FellBehind, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.exchange.graceful_end import GracefulEnd
from proxy.exchange.response_stream import NOTHING, TOLD_INSIDE, ResponseStream
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

    def last_words(self, head: RequestHead) -> tuple[bytes, bool]:
        """What tells of its failure; may a response end cleanly behind that?"""

    def call_between_events(self, callback: Callable[[], None]) -> None:
        """Call back once it stands between two events."""


class StreamClient(Protocol):
    """One of its clients."""

    exchange: Exchange

    @property
    def kept(self) -> StreamOfMany:
        """The stream."""

    @property
    def reached(self) -> bool:
        """Does the client stand between two events?"""

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back once it does."""

    def over(self) -> None:
        """Its exchange has ended."""


class SubscribedStream:
    """What `ResponseStream` is for other responses: the ends of one client's."""

    __slots__ = ("kept", "subscriber")

    def __init__(self, subscriber: StreamClient) -> None:
        self.subscriber = subscriber
        self.kept = subscriber.kept

    def judge(self, ending: Ending) -> bool:
        """The stream itself is judged, once."""
        return False

    def over(self) -> None:
        """The exchange has ended: nothing of it acts later."""
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
        written, clean = stream.failure(error)
        return written, clean and reconnects(exchange.head)

    # -- the process ends: see `ResponseStream`

    @property
    def comes_back(self) -> bool:
        stream = self.kept.stream
        back = reconnects(self.subscriber.exchange.head)
        return stream is not None and stream.comes_back and back

    def drain(self) -> None:
        """Where events end is known already."""

    def end_early(self) -> None:
        if self.comes_back:
            subscriber = self.subscriber
            end = GracefulEnd(subscriber.exchange, subscriber, self.send_away)
            if self.kept.account.pieces:
                end.begin()
            else:
                self.kept.call_between_events(end.begin)

    def send_away(self) -> None:
        """End it, if its client still comes back."""
        if self.comes_back:
            self.subscriber.exchange.end_stream()

    def shut_down(self) -> bool:
        exchange, stream = self.subscriber.exchange, self.kept.stream
        if self.comes_back:
            if self.kept.account.pieces:
                self.end_early()
            else:
                exchange.end_stream()
            return False
        if stream is not None and stream.tells_failures and stream.boundary is not None:
            GracefulEnd(exchange, self.subscriber, exchange.cut).begin()
        else:
            exchange.cut()
        return True
