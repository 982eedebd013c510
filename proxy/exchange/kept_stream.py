"""A stream that outlives its connection: one upstream response, any number of clients.

It takes the place of the client in the exchange that asks the upstream, so time limits,
decoding, families, heartbeats and failures are those of every exchange. What it is sent
goes into a log, and from there to the subscribers, each of which is an exchange of its
own.

    1 Candidacy       a request that may be kept   -> names, by which it is found
    2 judge           the response head            -> keep it, or let it be
    3 KeptUpstream    the client's exchange is one -> the upstream's another
    4 LogSink         each piece                   -> log, live clients
    5 subscribe       another client               -> replay, then live
    6 Retention       the last client leaves       -> keep_seconds begin
    7 Replication     what other nodes have of it  -> they read it, or go on with it
    8 settle          the upstream's end           -> all have it, keep_seconds begin
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import (
    ClientDisconnected,
    ClientError,
    ProxyError,
)
from proxy.exchange.audience import Audience
from proxy.exchange.candidacy import Candidacy
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.exchange import Exchange, ExchangeOwner
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.kept_upstream import KeptUpstream
from proxy.exchange.log_sink import LogSink
from proxy.exchange.replication import Replication
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.retention import Retention
from proxy.exchange.separation import UpstreamForward
from proxy.exchange.subscriber import Subscriber
from proxy.exchange.visits import Visits
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.kept.log import StreamLog
from proxy.kept.registry import GROUP, IDEMPOTENCY_KEY, KEY, KeptStreams, Name
from proxy.policy.delivery import Delivery, reconnects
from proxy.policy.response_plan import (
    ResponsePlan,
)
from proxy.timeline import COMPLETE, FIRST, CallTimeline, Timeline

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
    """One stream: where its parts meet. `first`: the exchange that asked for it."""

    __slots__ = (
        "account",
        "candidacy",
        "closing",
        "error",
        "head",
        "id",
        "names",
        "owner",
        "print",
        "read",
        "replication",
        "resumes",
        "retention",
        "route",
        "settled",
        "shares",
        "sink",
        "state",
        "told_end",
        "upstream",
        "visits",
    )

    def __init__(
        self,
        owner: ExchangeOwner,
        first: Exchange,
        forward: UpstreamForward | None,
        route: CompiledRoute,
        owner_print: bytes,
        id: bytes,
        *,
        resumes: bool,
        shares: bool,
    ) -> None:
        self.owner = owner
        self.route = route
        self.print = owner_print  # of the fields that bind it to a client
        self.resumes = resumes
        self.shares = shares
        self.id = id
        self.names: list[tuple[Name, bytes]] = []
        self.state = NO_HEAD
        self.upstream = KeptUpstream(self, owner, first, forward)
        self.account: CallTimeline = first.timeline.call
        self.candidacy = Candidacy(self)
        self.replication = Replication(self)
        self.head: KeptHead | None = None
        self.sink = LogSink(first.client)  # the client of the upstream's exchange
        self.settled = self.closing = self.read = False
        self.told_end = False  # by 204, to a client that has all
        self.error: ProxyError | None = None
        self.retention = Retention(self, first.compiled.ticker)
        self.visits = Visits(first.compiled.clock)
        if resumes and route.route.resume is not None:
            self.retention.timer.seconds = route.route.resume.keep_seconds
        first.kept = self

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes, and the clock."""
        return self.upstream.first.compiled

    @property
    def kept(self) -> KeptStreams[KeptStream]:
        """All streams of this worker."""
        return self.owner.kept

    # -- before the head

    def request_sent(self) -> None:
        """The request is complete."""
        self.candidacy.request_sent()

    def subscribe(self, subscriber: Subscriber) -> None:
        """One more client; it begins now, or when the head is here."""
        subscriber.exchange.kept = self
        self.retention.is_read()
        self.audience.add(subscriber)
        if self.head is not None:
            self.audience.begin()
            self.sink.moved()

    def exchange_over(self, exchange: Exchange) -> None:
        """An exchange is over: the first one, if there was no head for it to keep."""
        if self.is_of_client(exchange) and not self.settled:
            self.candidacy.fail(exchange.timeline.error)

    def client_left(self, exchange: Exchange, error: ProxyError) -> bool:
        """The client left by `error`: True if the exchange goes on without it.

        Which it does before the head only: behind that, its client is a subscriber.
        """
        if self.is_of_client(exchange):
            self.candidacy.client_left(exchange, error)
        return False

    def is_of_client(self, exchange: Exchange) -> bool:
        """Is it the exchange with the upstream, and still that of a client?"""
        return exchange is self.upstream.first and self.upstream.exchange is None

    # -- the head

    def judge(self, head: ResponseHead, body: Body, delivery: Delivery) -> None:
        """The response head is here: take the client's place, or let it be."""
        first = self.upstream.first
        if not self.candidacy.judge(head, body, delivery):
            self.candidacy.decline()
            return
        self.account.coded = delivery.codings
        self.state = RUNNING
        self.kept.add(self)
        self.kept.supersede(self, KEY)
        self.replication.begin(first.head)
        if self.upstream.exchange is None:
            self.upstream.separate()
            subscriber = Subscriber(first, self, 0, FIRST)
            if self.head is not None and self.head.takes_comments:
                subscriber.prelude = self.candidacy.prelude
            first.kept = self
            self.audience.add_first(subscriber)

    def use_head(self, head: KeptHead) -> None:
        """Open a log for the response with this head."""
        route, sink, store = self.route.route, self.sink, self.kept.store
        share, resume, most = route.share, route.resume, SHARED_BYTES
        sink.index = head.index
        if self.resumes and resume is not None:
            most = resume.max_bytes
        elif share is not None:
            sink.replay = share.replay
        if head.index is None:
            sink.most_behind = most // 2
        opened = store.open if self.kept.shared is None else store.open_stored
        sink.log = opened(most, head.prefix)
        if sink.log is None:
            self.kept.refused("memory")
        else:
            self.head = head

    @property
    def prefix(self) -> str:
        """Of its route."""
        return self.route.prefix

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
        return self.upstream.response

    @property
    def is_numbered(self) -> bool:
        """Does the upstream number its events?"""
        index = self.sink.index
        return index is not None and index.numbered

    @property
    def count_of_ids(self) -> int:
        """How many events have an id of ours."""
        index = self.sink.index
        return 0 if index is None else index.count

    @property
    def between_events(self) -> bool:
        """Does it stand between two events now?"""
        return self.sink.between_events

    @property
    def waiting_for(self) -> str:
        """What has to happen next."""
        return self.upstream.first.waiting_for

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
        shared = self.kept.shared
        if shared is not None and self.settled:
            for name, who in self.names:  # nothing runs by its key any more
                if name.kind == KEY:
                    shared.unname(self.id, KEY, name.route, name.value, who)

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
        asked = self.upstream.first.head
        same = head.method == asked.method
        back = reconnects(head) or not reconnects(asked)
        return self.sink.last_piece, self.sink.clean and same and back

    def call_between_events(self, callback: Callable[[], None]) -> None:
        """Call back, from a turn of the loop, once it stands between two events."""
        self.sink.call_between_events(callback)

    def call_behind_event(self, callback: Callable[[], None]) -> None:
        """The same, but behind an event that has yet to come."""
        self.sink.call_behind_event(callback)

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
        if not self.audience.subscribers and self.upstream.exchange is not None:
            self.nobody_left()

    @property
    def is_followed(self) -> bool:
        """Does another process have its upstream, so that it is read from the store?"""
        return False

    @property
    def readers(self) -> int:
        """How many other nodes read it."""
        return self.replication.readers

    def readers_changed(self) -> None:
        """Other nodes read it, or none does any more."""
        if self.settled or self.upstream.exchange is None:
            return
        if self.readers:
            self.retention.read_elsewhere()
        elif not self.audience.subscribers:
            self.nobody_left()

    def nobody_left(self) -> None:
        """The last client has left."""
        self.retention.nobody_left()

    # -- the end

    @property
    def owns_upstream(self) -> bool:
        """Does this process ask the upstream, and no other?"""
        return True

    def settle(self, exchange: Exchange) -> None:
        """The upstream's exchange is over: all clients have the same end."""
        if self.settled:
            return
        self.settled = True
        self.retention.is_read()
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
        self.retention.stop()
        self.replication.end()
        self.visits.ended_unread(self)
        if self.head is not None:
            self.audience.begin()
        self.audience.end(self.error)
        seconds = self.retention.timer.seconds
        if self.head is None or not seconds or registry.draining:
            self.expire()
        else:
            self.retention.begin_last()

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
        self.upstream.fail(error)
        self.expire()

    def unnamed(self, name: Name, who: bytes) -> None:
        """It has a name no longer."""
        self.replication.unnamed(name, who)

    def loses_name(self, name: Name, who: bytes) -> None:
        """A stream of another node has one of its names now."""
        self.kept.lose_name(name, who, self.id)

    def superseded(self) -> None:
        """Another stream has one of its names now. Those who read it read on."""
        readers = self.audience.subscribers or self.readers
        if not readers and self.upstream.exchange is not None:
            self.end_upstream("another request has the same key")
            self.expire()

    def lost(self) -> None:
        """Another node has it now. Those who read it here read on."""
        self.retention.stop()
        self.kept.lose(self)
        self.closing = True
        if not self.audience.subscribers:
            self.end_upstream("another process has the stream now")
            self.let_go()

    def expire(self) -> None:
        """Be found no more. Those who read it read on."""
        self.retention.stop()
        self.retention.is_read()
        self.kept.remove(self)
        self.closing = True
        if self.state == LOST:
            self.replication.drop()
        if not self.audience.subscribers:
            self.end_upstream("nobody can come back")
            self.let_go()

    def let_go(self) -> None:
        """Nobody needs it any more: refer to nothing that refers to it."""
        self.sink.close()
        self.upstream.let_go()

    def end_upstream(self, reason: str) -> None:
        """Close the upstream, if it has not ended."""
        self.upstream.end(reason)

    @property
    def is_stored(self) -> bool:
        """Can other nodes read it, and go on with it?"""
        return self.replication.is_written

    @property
    def is_last(self) -> bool:
        """Does the process end, and can nobody come back for it elsewhere?"""
        registry = self.kept
        return registry.closing or (registry.draining and not self.is_stored)

    def can_move(self, position: int) -> bool:
        """Can a client that has so much of it go on at another node?"""
        return self.replication.can_move(position)

    @property
    def may_move(self) -> bool:
        """Can a client that has an event of it go on at another node?"""
        return self.replication.may_move

    def hand_on(self) -> None:
        """The process ends: other nodes go on with it, or learn that it has ended."""
        self.replication.hand_on()

    def close(self) -> None:
        """The process ends: nobody can come back."""
        if not self.is_last:
            return
        if self.is_stored and not self.settled:
            self.hand_on()
        if not self.audience.subscribers:
            self.end_upstream("the proxy stops")
        if self.settled:
            self.expire()
