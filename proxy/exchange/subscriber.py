"""One client of a kept stream: how far it is, and what it gets next.

A live client gets each piece in the turn in which it comes. One that came later, or
does not keep up, is fed from the log until it has all of it; the step from the log to
the live stream is taken in one call, so no piece comes twice and none is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeAlias

from proxy.errors import FellBehind, ProxyError, TooManyStreams
from proxy.exchange.exchange import Exchange
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.subscribed_stream import SubscribedStream
from proxy.http1.framing import UntilCloseBody
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.kept.log import FallenOut, StreamLog
from proxy.policy.request_plan import takes_trailers
from proxy.policy.response_plan import STREAM, ResponsePlan
from proxy.timeline import FIRST, RELAYING, CallTimeline, Timeline
from proxy.transport.client_stream import ClientStream
from proxy.transport.heartbeat import MarkSlot
from proxy.transport.pipeline import Pipeline, Slot

COUNTING = threading.Lock()  # a host may look from a thread of its own
READ_BYTES = 64 * 1024  # of the log, in one write

Write: TypeAlias = Callable[[bytes], None]


class Listeners(Protocol):
    """All clients of the stream."""

    def live_again(self, subscriber: Subscriber) -> None:
        """One has all that there is."""

    def lags(self, subscriber: Subscriber) -> None:
        """One does not keep up."""

    def changed(self) -> None:
        """How they are written to has to be found out again."""


class Subscribed(Protocol):
    """The stream that is subscribed to."""

    account: CallTimeline
    error: ProxyError | None  # of its end
    settled: bool  # has it ended?

    @property
    def log(self) -> StreamLog:
        """What has come of it, as far as it is kept."""

    @property
    def between_events(self) -> bool:
        """Does it stand between two events now?"""

    @property
    def stream(self) -> ResponseStream | None:
        """Its family and boundaries, until it ends."""

    @property
    def waiting_for(self) -> str:
        """What has to happen next."""

    @property
    def trailers(self) -> Fields:
        """Behind the body."""

    @property
    def audience(self) -> Listeners:
        """All of its clients."""

    @property
    def response_head(self) -> ResponseHead | None:
        """The head of the response, once it is here."""

    def plan_for(self, subscriber: Subscriber) -> ResponsePlan:
        """The head of a client's response."""

    def visited(self, timeline: Timeline, way: str, begins: int) -> None:
        """A client is served."""

    def leave(self, subscriber: Subscriber) -> None:
        """A client is gone, or has all."""

    def moved(self) -> None:
        """A client has read on."""

    def read_to_end(self) -> None:
        """A client has all of it."""

    def beat_for(self, head: RequestHead) -> bytes:
        """What a newcomer is sent to show that the stream is alive, if anything."""

    def last_words(self, head: RequestHead) -> tuple[bytes, bool]:
        """What tells of its failure; may a response end cleanly behind that?"""

    def call_between_events(self, callback: Callable[[], None]) -> None:
        """Call back once it stands between two events."""

    def call_behind_event(self, callback: Callable[[], None]) -> None:
        """Call back once an event that has yet to come is complete."""

    def can_move(self, position: int) -> bool:
        """Can a client that has so much of it go on at another node?"""

    @property
    def may_move(self) -> bool:
        """Can a client that has an event of it go on at another node?"""


class Subscriber(Pipeline):
    """A client of a kept stream, from the beginning or from where it was.

    `way`: how it has asked for the stream, or FIRST. `declined`: called if there
    will be no stream to subscribe to.
    """

    __slots__ = (
        "account",
        "at_boundary",
        "begun",
        "declined",
        "exchange",
        "gap",
        "gap_before",
        "kept",
        "live",
        "live_from",
        "position",
        "prelude",
        "way",
        "write",
    )

    def __init__(
        self,
        exchange: Exchange,
        kept: Subscribed,
        position: int,
        way: str,
        declined: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(exchange.client, exchange.client)
        self.exchange = exchange
        self.kept = kept
        self.position = position  # of the next byte that it gets, unless it is live
        self.account = position  # up to where its bytes are counted
        self.way = way
        self.declined = declined
        self.begun = self.live = False
        self.gap_before = 0.0  # the longest of the stream, when it began
        self.live_from = 0  # of the pieces of the stream, which it gets as they come
        self.gap: bytes | None = None  # the event id behind which it begins, if not its
        self.prelude = b""  # a comment before the first byte
        self.write: Write | None = None  # where a framed piece may go as it is
        # What waits for it to stand between two events, while it is not live.
        self.at_boundary: Callable[[], None] | None = None
        exchange.source = self

    # -- the beginning

    def begin(self) -> None:
        """The head is known: send it, and what there is."""
        kept, exchange, client = self.kept, self.exchange, self.exchange.client
        route = exchange.route
        assert route is not None
        head = kept.response_head
        if route.stream_limit is not None and head is not None:
            try:
                route.stream_limit.judge(exchange, head, UntilCloseBody())
            except TooManyStreams as error:
                exchange.fail(error)
                return
        self.begun = True
        exchange.phase, exchange.phase_began = RELAYING, exchange.compiled.clock()
        timeline = exchange.timeline
        timeline.stream = True
        if self.way != FIRST:
            timeline.call.head_received = exchange.phase_began
            self.gap_before = kept.account.longest_gap
        kept.visited(timeline, self.way, self.position)
        exchange.response_head = kept.response_head
        client.limit_buffer(route.route.max_buffer_bytes)
        plan = kept.plan_for(self)
        exchange.respond(plan)
        client.feeder = self
        exchange.carry_response(self)
        exchange.owner.stream_joined(exchange, kept.account)
        exchange.stream = SubscribedStream(self)
        if plan.framing is STREAM or not self.position:
            self.say_first()
        self.pump()
        if exchange.is_over:
            return
        beat = kept.beat_for(exchange.head) if self.live else b""
        if beat:
            exchange.heartbeat(beat, exchange.compiled.clock())
            client.send_aside(beat)
        client.flush_head()
        self.changed()

    def say_first(self) -> None:
        """What is not of the stream itself, before its first byte."""
        if not self.prelude:
            return
        # Behind it, a byte order mark would be a part of a field's name.
        self.insert(MarkSlot(self))
        self.exchange.client.send_aside(self.prelude)

    # -- pieces

    def pump(self) -> None:
        """Send from the log until there is no more, or the client is slow."""
        kept, sink, exchange = self.kept, self.sink, self.exchange
        log = kept.log
        while not exchange.is_over:
            if self.position >= log.end:
                if kept.settled:
                    self.conclude()
                elif not sink.blocked and not self.live:
                    self.live, self.live_from = True, kept.account.pieces
                    kept.audience.live_again(self)
                    self.look_again()
                return
            if sink.blocked or exchange.client.is_closing:
                return
            try:
                data = log.read(self.position, READ_BYTES)
            except FallenOut:
                self.fell_behind()
                return
            self.position += len(data)
            self.count_piece()
            self.first.send_piece(data)

    def count_piece(self) -> None:
        """A piece from the log goes out."""
        call = self.exchange.timeline.call
        call.pieces += 1
        if call.first_byte is None:
            call.first_byte = self.exchange.compiled.clock()

    def fell_behind(self) -> None:
        """What comes next for this client is no longer kept."""
        kept, exchange = self.kept, self.exchange
        lost = kept.log.first - self.position
        exchange.fail(
            FellBehind(
                f"the client read too slowly: {lost} bytes that it had yet to get are "
                "no longer kept (resume.max_bytes)"
            )
        )

    def sink_blocked(self) -> None:
        """The client does not keep up: it gets the rest from the log."""
        timeline, kept = self.exchange.timeline, self.kept
        timeline.hold_begins(self.exchange.compiled.clock())
        if self.live:
            self.no_longer_live()
            kept.audience.lags(self)

    def no_longer_live(self) -> None:
        """It has all up to now; of what follows it gets what is in the log."""
        self.count()
        self.position = self.kept.log.end
        self.live = False

    def sink_ready(self) -> None:
        self.exchange.timeline.hold_ends(self.exchange.compiled.clock())
        self.tell_drained()
        self.pump()
        self.kept.moved()

    def insert(self, slot: Slot) -> None:
        super().insert(slot)
        self.changed()

    def remove(self, slot: Slot) -> None:
        super().remove(slot)
        self.changed()

    def over(self) -> None:
        super().over()
        self.changed()

    def changed(self) -> None:
        """Find out whether a piece may be written as it is, framed once for all."""
        client = self.exchange.client
        framed = client.chunk_sink if self.begun else None
        if framed is not None and self.first is self.sink:
            self.write = framed.transport.write
        else:
            self.write = None
        self.kept.audience.changed()

    # -- the end

    def stream_ended(self) -> None:
        """The stream has ended: so does this client's response, when it has all."""
        if self.live:
            self.no_longer_live()
        self.pump()

    def conclude(self) -> None:
        """The client has all that there was."""
        kept, exchange = self.kept, self.exchange
        if kept.error is not None:
            exchange.fail(kept.error)
            return
        kept.read_to_end()
        trailers = kept.trailers
        route = exchange.route
        if trailers:
            if route is not None and takes_trailers(exchange.head):
                trailers = route.response_rules.trailers(trailers)
            else:
                trailers = []
        self.first.send_end(trailers)
        self.abort()
        exchange.complete()

    @property
    def reached_position(self) -> int:
        """Up to where the client was sent the stream."""
        return self.kept.log.end if self.live else self.position

    def count(self) -> None:
        """Bring the account of the client up to date."""
        if not self.begun:
            return
        with COUNTING:
            self.count_all()

    def count_all(self) -> None:
        """What was sent since the last time, and what is known of the stream."""
        account, timeline = self.kept.account, self.exchange.timeline
        position, call = self.reached_position, timeline.call
        timeline.bytes_sent += position - self.account
        self.account = position
        call.follow(account)
        if account.longest_gap > self.gap_before:
            call.longest_gap = account.longest_gap
        if call.head_received is None:
            call.head_received = account.head_received
        if self.live and account.pieces > self.live_from:
            call.pieces += account.pieces - self.live_from
            self.live_from = account.pieces
            if call.first_byte is None:  # of those whose stream began before it
                call.first_byte = account.first_byte_since(call.head_received)

    # -- as the source of the exchange: see `ResponseSource`

    @property
    def waiting_for(self) -> str:
        return self.kept.waiting_for

    def abort(self) -> None:
        """Leave the stream; it goes on without this client, or not."""
        if self.live:
            self.no_longer_live()
        else:
            self.count()
        if self.begun:
            self.detach()
        self.kept.leave(self)

    def go_on_for(self, client: ClientStream) -> None:
        """A subscriber has one client; the stream is what goes on."""

    # -- between events: see `GracefulEnd`

    @property
    def reached(self) -> bool:
        """Does the client stand between two events?"""
        kept = self.kept
        return kept.between_events if self.live else kept.log.is_cut(self.position)

    def call_at_boundary(self, callback: Callable[[], None]) -> None:
        """Call back, in a turn of its own, once it does."""
        if self.live or self.reached:
            self.kept.call_between_events(callback)
        else:  # it has to read on first, and the stream may wait for no one
            self.at_boundary = callback

    def look_again(self) -> None:
        """It is live: what waits may be due."""
        callback, self.at_boundary = self.at_boundary, None
        if callback is not None:
            self.call_at_boundary(callback)
