"""A stream that outlives its connection: one upstream response, any number of clients.

It takes the place of the client in the exchange that asks the upstream, so time limits,
decoding, families, heartbeats and failures are those of every exchange. What it is sent
goes into a log, and from there to the subscribers, each of which is an exchange of its
own.

    1 KeptStream      a request that may be kept   -> names, by which it is found
    2 judge           the response head            -> keep it, or let it be
    3 part            the client's exchange is one -> the upstream's another
    4 send_piece      each piece                   -> log, live clients
    5 subscribe       another client               -> replay, then live
    6 leave           the last client              -> keep_seconds begin
    7 settle          the upstream's end           -> all have it, keep_seconds begin
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import ClientDisconnected, ClientError, ProxyError
from proxy.exchange.audience import Audience
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.exchange import Exchange, ExchangeOwner, HandingOver
from proxy.exchange.keep_timer import KeepTimer
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.log_sink import LogSink
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.separation import UpstreamExchange, UpstreamForward, separated
from proxy.exchange.subscriber import Subscriber
from proxy.exchange.upstream_resumption import UpstreamResumption
from proxy.exchange.visits import Visits
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.kept.log import StreamLog
from proxy.kept.registry import GROUP, IDEMPOTENCY_KEY, KEY, KeptStreams, Name
from proxy.policy.delivery import Delivery, reconnects
from proxy.policy.response_plan import (
    ResponsePlan,
)
from proxy.policy.resumption import may_keep
from proxy.policy.sharing import may_share
from proxy.policy.stream_identity import key_of_body, key_of_head, new_id
from proxy.timeline import COMPLETE, FIRST, CallTimeline, Timeline
from proxy.transport.request_copy import key_copy

# How a stream stands, as it is told.
NO_HEAD, RUNNING, ENDED, TRUNCATED, FAILED, LOST = (
    "waiting",
    "running",
    "complete",
    "truncated",
    "error",
    "lost",
)
SPARE_BYTES = 64 * 1024  # of which it is worth looking whether nobody needs them
SHARED_BYTES = 1024 * 1024  # that a client of a stream that is only shared may lag


class KeptStream:
    """One stream. `first` is the exchange for which it was asked."""

    __slots__ = (
        "account",
        "closing",
        "error",
        "first",
        "forward",
        "head",
        "id",
        "keeps_all",
        "names",
        "owner",
        "prelude",
        "print",
        "read",
        "resumes",
        "resumption",
        "route",
        "settled",
        "shares",
        "sink",
        "state",
        "timer",
        "told_end",
        "upstream",
        "visits",
    )

    def __init__(
        self,
        owner: ExchangeOwner,
        forward: UpstreamForward,
        route: CompiledRoute,
        owner_print: bytes,
        *,
        resumes: bool,
        shares: bool,
    ) -> None:
        first = forward.exchange
        self.owner = owner
        self.forward = forward
        self.first: Exchange = first  # with the upstream
        self.route = route
        self.print = owner_print  # of the fields that bind it to a client
        self.resumes = resumes
        self.shares = shares
        self.keeps_all = False  # whatever the response is: an Idempotency-Key asks so
        self.id = new_id(owner.kept.worker)
        self.names: list[tuple[Name, bytes]] = []
        self.state = NO_HEAD
        self.upstream: UpstreamExchange | None = (
            None  # once it is not that of the client
        )
        self.account: CallTimeline = first.timeline.call
        self.prelude = b""  # a comment for the first client
        self.head: KeptHead | None = None
        self.resumption: UpstreamResumption | None = None
        self.sink = LogSink(first.client)  # the client of the upstream's exchange
        self.settled = self.closing = self.read = False
        self.told_end = False  # by 204, to a client that has all
        self.error: ProxyError | None = None
        self.timer = KeepTimer(first.compiled.ticker)
        self.visits = Visits(first.compiled.clock)
        if resumes and route.route.resume is not None:
            self.timer.seconds = route.route.resume.keep_seconds
        first.kept = self

    # -- the owner of the exchange with the upstream

    @property
    def compiled(self) -> CompiledRoutes:
        """As `ExchangeOwner`."""
        return self.first.compiled

    @property
    def kept(self) -> KeptStreams[KeptStream]:
        """As `ExchangeOwner`."""
        return self.owner.kept

    @property
    def peers(self) -> HandingOver | None:
        """As `ExchangeOwner`."""
        return self.owner.peers

    def stream_truncated(self, exchange: Exchange) -> None:
        """As `ExchangeOwner`."""
        self.owner.stream_truncated(exchange)

    def exchange_ended(self, exchange: Exchange) -> None:
        """The exchange with the upstream is over."""
        self.settle(exchange)

    # -- before the head

    def request_sent(self) -> None:
        """The request is complete: its key is known, and so is what it is called."""
        resume, registry = self.route.route.resume, self.kept
        if resume is None or not resume.key or not self.resumes or self.settled:
            return
        source, _, member = resume.key.partition(":")
        if source == "body":
            key = None
            pipeline = self.first.request_pipeline
            copy = key_copy(pipeline)
            if pipeline is not None and copy is not None:
                key = key_of_body(copy.body, member)
                pipeline.remove(copy)  # a stream may run for hours
        else:
            key = key_of_head(self.first.head, resume.key)
        if key is not None:
            name = Name(KEY, self.route.prefix, key)
            registry.name(self, name, self.print, alone=False)

    def subscribe(self, subscriber: Subscriber) -> None:
        """One more client; it begins now, or when the head is here."""
        subscriber.exchange.kept = self
        self.kept.unread.pop(self, None)
        self.audience.add(subscriber)
        if self.head is not None:
            self.audience.begin()
            self.sink.moved()

    def exchange_over(self, exchange: Exchange) -> None:
        """An exchange is over: the first one, if there was no head for it to keep."""
        if exchange is self.first and self.upstream is None and not self.settled:
            self.settled = True
            self.kept.remove(self)
            error = exchange.timeline.error
            ours = error is None or isinstance(error, ClientError)
            self.audience.turn_away(None if ours else error)

    def client_left(self, exchange: Exchange, error: ProxyError) -> bool:
        """The client left by `error`: True if the exchange goes on without it.

        Which it does before the head only: behind that, its client is a subscriber.
        """
        if exchange is not self.first or self.upstream is not None:
            return False
        if self.may_go_on(error):
            self.go_on_without_first()
        else:
            self.decline()
        return False

    def may_go_on(self, error: ProxyError) -> bool:
        """Is somebody left who waits for the response, or may come for it?"""
        first = self.first
        return (
            isinstance(error, ClientError)
            and not self.kept.closing
            and first.client.request_complete
            and first.client.private is None
            and first.stream is None  # it has not begun early
            and (bool(self.audience.waiting) or (self.resumes and bool(self.names)))
        )

    def go_on_without_first(self) -> None:
        """Ask on, for those who wait or will come."""
        first = self.first
        if first.source is not None:
            first.source.go_on_for(self.sink)
        self.separate()
        first.source = None
        if not self.audience.subscribers:
            self.nobody_left()

    def decline(self) -> None:
        """It will not be kept: those who wait for it are told."""
        self.timer.stop()
        self.kept.remove(self)
        self.settled = True
        self.first.kept = None
        self.audience.turn_away(None)
        self.end_upstream("no client waits for the response")

    # -- the head

    def judge(self, head: ResponseHead, body: Body, delivery: Delivery) -> None:
        """The response head is here: take the client's place, or let it be."""
        exchange = self.forward.exchange
        request, client = exchange.head, self.first.client
        sent = self.upstream is not None or client.request_complete
        if not sent or client.private is not None:
            self.decline()
            return
        self.open_log(request, head, body, delivery)
        if self.sink.log is None:
            self.decline()
            return
        self.account.coded = delivery.codings
        self.state = RUNNING
        self.kept.add(self)
        self.kept.supersede(self, KEY)
        if self.upstream is None:
            first = self.first
            self.separate()
            subscriber = Subscriber(first, self, 0, FIRST)
            if self.head is not None and self.head.takes_comments:
                subscriber.prelude = self.prelude
            first.kept = self
            self.audience.add_first(subscriber)

    def open_log(
        self, request: RequestHead, head: ResponseHead, body: Body, delivery: Delivery
    ) -> None:
        """Open a log for the response, if it may be kept or shared."""
        route, store = self.route.route, self.kept.store
        share, resume = route.share, route.resume
        if share is None or not may_share(request, head, delivery, share.by):
            self.shares = False
        if resume is None or not (
            self.keeps_all or may_keep(request, head, body, delivery)
        ):
            self.resumes = False
            self.timer.seconds = 0.0
        if not self.resumes and not self.shares:
            return
        id = self.id if self.resumes else None
        self.head = kept = KeptHead(request, head, body, delivery, self.route, id)
        sink, most = self.sink, SHARED_BYTES
        sink.index = kept.index
        if self.resumes and resume is not None:
            most = resume.max_bytes
        elif share is not None:
            sink.replay = share.replay
        if kept.index is None:
            sink.most_behind = most // 2
        sink.log = store.open(most, kept.prefix)
        if sink.log is None:
            self.head = None
            self.kept.refused("memory")

    def separate(self) -> None:
        """Have an exchange of its own with the upstream, whose client is the log."""
        self.upstream = separated(self.first, self.forward, self, self.sink)
        self.upstream.kept = self
        self.upstream.again = self.takes_up_again
        self.first = self.upstream  # the client's is kept by nobody but its client

    def takes_up_again(self, error: ProxyError) -> bool:
        """The upstream failed by `error`: is it asked for the rest of the stream?"""
        resume, head, upstream = self.route.route.resume, self.head, self.upstream
        if (
            resume is None
            or not resume.resume_upstream
            or not self.resumes
            or self.kept.closing
            or head is None
            or not head.takes_comments
            or upstream is None
            or upstream.head.method != b"GET"
        ):
            return False
        try:
            if self.resumption is None:
                forward = self.forward
                if forward.call is None:
                    return False
                self.resumption = UpstreamResumption(
                    upstream, forward, forward.call, self.sink
                )
            return self.resumption.takes_up(error)
        except Exception as fault:
            report("asking an upstream for the rest of a stream", fault)
            return False

    # -- as what is subscribed to: see `Subscribed`

    @property
    def audience(self) -> Audience:
        """All of its clients."""
        return self.sink.audience

    @property
    def log(self) -> StreamLog:
        """What has come of it, as far as it is kept."""
        log = self.sink.log
        assert log is not None
        return log

    @property
    def has_log(self) -> bool:
        """Is anything kept, or about to be?"""
        return self.sink.log is not None

    @property
    def trailers(self) -> Fields:
        """Behind the body."""
        return self.sink.trailers

    @property
    def stream(self) -> ResponseStream | None:
        """Its family and boundaries, until it ends."""
        upstream = self.upstream
        found = None if upstream is None else upstream.stream
        return found if isinstance(found, ResponseStream) else None

    @property
    def is_numbered(self) -> bool:
        """Does the upstream number its events?"""
        index = self.sink.index
        return index is not None and index.numbered

    @property
    def first_number(self) -> tuple[int, int] | None:
        """The first of our event ids behind which all is kept, and where that is.

        None: there is none.
        """
        index, log = self.sink.index, self.log
        if index is None or not index.count:
            return None
        low, high = 1, index.count
        while low < high:
            middle = (low + high) // 2
            if log.after_id(b"%b.%d" % (self.id, middle)) is None:
                low = middle + 1
            else:
                high = middle
        position = log.after_id(b"%b.%d" % (self.id, low))
        return None if position is None else (low, position)

    @property
    def between_events(self) -> bool:
        """Does it stand between two events now?"""
        return self.sink.between_events

    @property
    def waiting_for(self) -> str:
        """What has to happen next."""
        exchange = self.upstream if self.upstream is not None else self.first
        return exchange.waiting_for

    def plan_for(self, subscriber: Subscriber) -> ResponsePlan:
        """The head of a client's response."""
        assert self.head is not None
        whole = subscriber.position == 0 and not subscriber.prelude
        terms = subscriber.exchange.client.terms
        return self.head.plan(terms, whole=whole, behind=subscriber.gap)

    @property
    def response_head(self) -> ResponseHead | None:
        """The head of the response, once it is here."""
        return None if self.head is None else self.head.head

    def moved(self) -> None:
        """A client has read on, come or left."""
        self.sink.moved()

    def read_to_end(self) -> None:
        """A client has all of it."""
        self.read = True

    def beat_for(self, head: RequestHead) -> bytes:
        """What a newcomer is sent to show that the stream is alive, if anything."""
        stream = self.stream
        slot = None if stream is None else stream.heartbeats
        if slot is None or not slot.boundary.takes_comment:
            return b""
        return slot.comment

    def last_words(self, head: RequestHead) -> tuple[bytes, bool]:
        """What tells of its failure; may a response end cleanly behind that?

        Where that depends on whether the client comes back, all of them have to.
        """
        same = head.method == self.first.head.method
        back = reconnects(head) or not reconnects(self.first.head)
        return self.sink.last_piece, self.sink.clean and same and back

    def call_between_events(self, callback: Callable[[], None]) -> None:
        """Call back, from a turn of the loop, once it stands between two events."""
        self.sink.call_between_events(callback)

    # -- clients come and leave

    def visited(self, timeline: Timeline, way: str, begins: int) -> None:
        """A client is served from it."""
        self.visits.begin(self, timeline, way, begins)

    @property
    def bytes_in_all(self) -> int:
        """How many it has had so far."""
        log = self.sink.log
        return 0 if log is None else log.end

    def leave(self, subscriber: Subscriber) -> None:
        """A client is gone, or has all."""
        self.audience.remove(subscriber)
        subscriber.exchange.kept = None
        self.visits.end(self, subscriber.exchange.timeline)
        self.sink.moved()
        # Before the head the first client is there, and not among them.
        if not self.audience.subscribers and self.upstream is not None:
            self.nobody_left()

    def nobody_left(self) -> None:
        """The last client has left: the upstream is read on, or closed."""
        if self.settled:
            if self.closing:
                self.let_go()
        elif self.timer.seconds and not self.kept.closing and not self.closing:
            self.visits.left = self.compiled.clock()
            self.kept.unread[self] = None
            self.timer.start(self.nobody_came)
        else:
            self.end_upstream("the last client left")

    def nobody_came(self) -> None:
        """Nobody came back while the upstream went on."""
        if not self.audience.subscribers:
            seconds = self.timer.seconds
            self.end_upstream(f"no client came back for {seconds:g} s (keep_seconds)")
            self.kept_long_enough()

    def kept_long_enough(self) -> None:
        """It has ended, and was kept for those who may come back."""
        if self.visits.left is not None:
            self.kept.counts.expired += 1
        self.expire()

    # -- the end

    def settle(self, exchange: Exchange) -> None:
        """The upstream's exchange is over: all clients have the same end."""
        if self.settled:
            return
        self.settled = True
        self.kept.unread.pop(self, None)
        timeline = exchange.timeline
        self.error = timeline.error
        if timeline.ending is not COMPLETE and self.error is None:
            self.error = ClientDisconnected("the stream has ended")
        self.state = self.state_of(exchange)
        registry = self.kept
        for name, owner in tuple(self.names):
            # An answer that is not complete is asked for again.
            failed = self.state != ENDED or not self.succeeded
            if name.kind == GROUP or (name.kind == IDEMPOTENCY_KEY and failed):
                registry.unname(self, name, owner)
        self.timer.stop()
        self.visits.ended_unread(self)
        if self.head is not None:
            self.audience.begin()
        self.audience.end(self.error)
        if self.head is None or not self.timer.seconds or registry.closing:
            self.expire()
        else:
            self.timer.start(self.kept_long_enough)

    @property
    def succeeded(self) -> bool:
        """Does the head say that the request was done (RFC 9110 §15.3)?"""
        return self.head is not None and 200 <= self.head.head.status < 300

    def state_of(self, exchange: Exchange) -> str:
        """How it has ended."""
        if exchange.timeline.ending is not COMPLETE:
            return LOST if isinstance(self.error, ClientError) else FAILED
        verdict = self.account.verdict
        return verdict if verdict is not None else ENDED

    @property
    def is_ended(self) -> bool:
        """Has its upstream ended?"""
        return self.settled

    def stop(self, error: ProxyError) -> None:
        """A client has asked for its end."""
        if self.upstream is not None and not self.upstream.is_over:
            self.upstream.fail(error)
        elif self.upstream is None and not self.first.is_over:
            self.first.fail(error)
        self.expire()

    def superseded(self) -> None:
        """Another stream has one of its names now. Those who read it read on."""
        if not self.audience.subscribers and self.upstream is not None:
            self.end_upstream("another request has the same key")
            self.expire()

    def expire(self) -> None:
        """Be found no more. Those who read it read on."""
        self.timer.stop()
        self.kept.remove(self)
        self.closing = True
        if not self.audience.subscribers:
            self.end_upstream("nobody can come back")
            self.let_go()

    def let_go(self) -> None:
        """Nobody needs it any more: refer to nothing that refers to it."""
        self.sink.close()
        upstream, self.upstream, self.resumption = self.upstream, None, None
        if upstream is not None:
            upstream.owner, upstream.again = self.owner, None

    def end_upstream(self, reason: str) -> None:
        """Close the upstream, if it has not ended."""
        upstream = self.upstream
        if upstream is not None and not upstream.is_over:
            upstream.client_left(ClientDisconnected(reason))

    def close(self) -> None:
        """The process ends: nobody can come back."""
        if not self.audience.subscribers:
            self.end_upstream("the proxy stops")
        if self.settled:
            self.expire()
