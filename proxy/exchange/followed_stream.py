"""A kept stream whose upstream another process has: it is read from the shared store.

To its clients it is a kept stream like any other. The exchange "with the upstream" gets
its pieces from the store, so families, heartbeats, boundaries and failures are those of
every stream; the events have their ids already.

    1 FollowedStream   a client asks for it       -> nothing is known but its ID
    2 changed          the head                   -> log, response pipeline
    3 data             what is in the store       -> as pieces of an upstream
    4 caught_up        all that there was         -> here: it is found, clients begin
    5 become_owner     see `Takeover`             -> the upstream is asked for the rest
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import ProxyError, StreamStopped, UpstreamTruncated
from proxy.exchange.catch_up import CatchUp
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.errand import errand
from proxy.exchange.exchange import Exchange, ExchangeOwner
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.kept_stream import LOST, RUNNING, KeptStream
from proxy.exchange.log_replica import LogReplica, ReplicaGap
from proxy.exchange.published_stream import PublishedStream
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.separation import UpstreamExchange
from proxy.exchange.store_source import StoreSource
from proxy.exchange.subscriber import Subscriber
from proxy.exchange.takeover import DEAD, Donor, Takeover
from proxy.exchange.upstream_resumption import UpstreamResumption
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.internal_errors import report
from proxy.kept.log import StreamLog
from proxy.kept.memory_log import number_of
from proxy.kept.registry import GROUP, IDEMPOTENCY_KEY, KEY, Name
from proxy.kept.shared_store import (
    SharedStore,
    StreamEnd,
    StreamMeta,
)
from proxy.kept.stored_log import StoredLog
from proxy.policy.handed_message import failure
from proxy.policy.request_plan import RequestPlanner
from proxy.timeline import RELAYING
from proxy.transport.client_stream import ClientStream
from proxy.transport.relay import ResponseRelay


class FollowedStream(KeptStream):
    """One stream of another process. `taken`: it is this process's by now."""

    __slots__ = (
        "catch_up",
        "ended_as",
        "relay",
        "replica",
        "shared",
        "skipped",
        "source",
        "stopped",
        "taken",
        "takeover",
    )

    def __init__(
        self,
        owner: ExchangeOwner,
        client: ClientStream,
        route: CompiledRoute,
        shared: SharedStore,
        id: bytes,
    ) -> None:
        head = RequestHead(b"GET", b"/", 1, [])  # until it is known
        upstream = UpstreamExchange(owner, client, head)
        super().__init__(
            owner, upstream, None, route, b"", id, resumes=True, shares=False
        )
        self.shared = shared
        self.upstream.exchange = upstream
        upstream.owner, upstream.client = self.upstream, self.sink
        self.source = StoreSource(self, shared)
        upstream.source = self.source
        upstream.route = route
        upstream.timeline.route = route.prefix
        self.retention.timer.seconds = 0.0
        self.catch_up = CatchUp()
        self.takeover = Takeover(self, shared)
        self.stopped = self.taken = False
        self.ended_as = ""  # its state, if that is not what its failure says
        self.skipped = 0  # what is before the end of that event was not asked for
        self.replica = LogReplica(self.sink)
        self.relay: ResponseRelay | None = None

    def follow(self) -> None:
        """Begin."""
        self.kept.arriving[self.id] = self
        self.compiled.ticker.add(self.takeover)
        self.source.follow(self.skipped)

    # -- who waits for it

    @property
    def is_awaited(self) -> bool:
        """Is a request about to subscribe?"""
        return self.catch_up.awaited > 0

    @property
    def is_coming(self) -> bool:
        """Is it being read, or waits for its turn?"""
        return self.source.is_coming

    @property
    def is_in_doubt(self) -> bool:
        """May its owner be dead? It is soon known, so newcomers wait for that."""
        return not self.settled and not self.taken and self.source.is_doubtful

    def lags(self, has: Callable[[StreamLog], bool]) -> bool:
        """Has a client more of it than has been read here? `has`: what it needs.

        Its owner sends first, and writes to the store behind that.
        """
        log, running = self.sink.log, self.takeover.epoch is None and not self.settled
        return running and not self.taken and (log is None or not has(log))

    @property
    def why_incomplete(self) -> str:
        """Why a client may have more of it than will ever come here, if it may."""
        if self.error is not None:
            return str(self.error)
        return DEAD if self.taken or self.takeover.epoch is not None else ""

    def hold(self) -> None:
        """Do not let go of it, whoever leaves, before `release`."""
        self.catch_up.awaited += 1

    def release(self) -> None:
        """It may go, if nobody waits for it, and nobody reads it."""
        self.catch_up.awaited -= 1
        if self.is_awaited:
            return
        if self.settled:
            if not self.taken:
                self.expire()
        elif self.audience.subscribers:
            return
        elif self.taken:
            self.nobody_left()
        else:
            self.end_upstream("nobody reads it here")

    def no_longer_awaited(self) -> None:
        """A request has subscribed, or has not."""
        self.release()
        if not self.is_awaited and not self.settled:
            self.takeover.go_on()

    def arrive(self) -> None:
        """All that there was is here: it is found from now on."""
        if self.catch_up.here:
            return
        if self.kept.arriving.get(self.id) is self:
            del self.kept.arriving[self.id]
        if self.head is not None and not self.stopped:
            self.be_found()
        self.catch_up.arrive()

    def has_grown(self) -> None:
        """There is something new to know of it."""
        self.catch_up.grow()

    def be_found(self) -> None:
        """By its ID, and by the names that its head came with.

        Not by names if its beginning is not here: who comes by one may need that.
        """
        if not self.skipped or self.id not in self.kept.streams:
            self.kept.take_in(self)

    def named(self, name: Name, who: bytes) -> None:
        """It was found by a name in the store."""
        if (name, who) not in self.names and not self.settled:
            self.kept.name(self, name, who, alone=False)

    # -- what the store tells

    @property
    def is_begun(self) -> bool:
        """Is its head known?"""
        return self.head is not None

    def begin(self, meta: StreamMeta) -> None:
        """Its head is known."""
        upstream, sink = self.upstream.exchange, self.sink
        assert upstream is not None
        route = self.compiled.find(meta.route)
        if route is None:
            self.fail("the stream has no route here")
            return
        fields: Fields = [(b"Host", b"localhost")]
        if meta.reconnects:
            fields.append((b"Accept", b"text/event-stream"))
        upstream.head = RequestHead(meta.method, meta.target, 1, fields)
        upstream.route = self.route = route
        timeline = upstream.timeline
        timeline.route, timeline.method, timeline.target = (
            route.prefix,
            meta.method,
            meta.target,
        )
        self.print, self.resumes, self.shares = meta.print, meta.resumes, meta.shares
        head = KeptHead.restored(meta, route)
        self.use_head(head)
        sink.most_behind = 0  # other clients of it are elsewhere
        if sink.log is None:
            self.fail("there is no memory for the stream (store.max_bytes)")
            return
        clock = upstream.compiled.clock
        self.state = RUNNING
        self.account.coded = head.delivery.codings
        self.account.head_received = clock()
        self.account.content_type = head.head.index.get(b"content-type")
        upstream.response_head = head.head
        upstream.phase, upstream.phase_began = RELAYING, clock()
        timeline.stream = head.delivery.stream
        plan = head.plan(sink.terms, whole=True)
        upstream.respond(plan)
        self.relay = relay = ResponseRelay(
            self.source, sink, self.relayed, timeline, clock
        )
        relay.trailers = unchanged
        upstream.carry_response(relay)
        if head.delivery.format is not None:
            upstream.begin_stream(head.head, head.delivery.format, plan.framing)
        if self.catch_up.here:  # its head was waited for
            self.be_found()
        for kind, name_route, value, who in meta.names:
            name = Name(kind, name_route, value)
            if kind == KEY or self.skipped:
                continue
            if (name, who) not in self.names:
                self.kept.name(self, name, who, alone=False)
        sink.flush_head()

    def take(self, position: int, data: bytes, events: int, at_cut: bool) -> None:
        """What is new; nothing that is here already, and never behind a gap."""
        relay = self.relay
        if relay is None:
            return
        try:
            data = self.replica.new(position, data, events, at_cut=at_cut)
        except ReplicaGap as gap:
            self.fail(str(gap))
            return
        if data:
            relay.piece(data)
            if self.catch_up.growing:
                self.catch_up.grow()

    def conclude(self, end: StreamEnd) -> None:
        """It has ended."""
        upstream, relay = self.upstream.exchange, self.relay
        if upstream is None:
            return
        if end.kind == StreamStopped.__name__:
            self.stopped = True
            self.kept.gone[self.id] = None
        upstream.again = None  # its owner has said that this is the end
        if end.state == LOST:
            self.ended_as = LOST
        if not end.kind and relay is not None:
            relay.end(list(end.trailers))
        else:
            upstream.fail(failure(end.kind, end.text or "the stream has ended"))
        self.arrive()

    def relayed(self, error: ProxyError | None) -> None:
        """It has ended."""
        if self.upstream.exchange is not None:
            self.upstream.exchange.complete()

    def turn_away(self) -> None:
        """It is not kept after all."""
        if self.head is not None:
            self.fail("the process that had the stream does not keep it any more")
            return
        self.settled = True
        self.takeover.over()
        self.kept.lose(self)
        self.audience.turn_away(None)
        self.arrive()
        self.let_go()

    def fail(self, reason: str) -> None:
        """All of its clients fail as if their upstream had broken off."""
        upstream = self.upstream.exchange
        if upstream is not None and not upstream.is_over:
            upstream.again = None
            upstream.fail(UpstreamTruncated(reason))
        self.arrive()

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised, or the ticker's call did."""
        upstream = self.upstream.exchange
        if upstream is not None and not upstream.is_over:
            upstream.again = None
            upstream.crashed(place, error)
        else:
            report(place, error)
        self.arrive()

    def go_on_from(self, position: int) -> None:
        """Another node has it now. What is behind that position is not of it."""
        self.takeover.has_owner()
        index, upstream = self.sink.index, self.upstream.exchange
        if self.sink.log is None or position >= self.replica.end:
            return
        assert index is not None
        assert upstream is not None
        self.sink.audience.cut_those_beyond(
            position, UpstreamTruncated("the upstream broke off inside an event")
        )
        if upstream.is_over:  # the last of them has left
            return
        if not index.reached:
            stream = upstream.stream
            if isinstance(stream, ResponseStream) and stream.boundary is not None:
                stream.boundary.boundary.observe(b"\n\n")
        try:
            self.replica.roll_back(position)
        except ReplicaGap as gap:
            self.fail(str(gap))

    # -- its owner is gone: see `Takeover`

    def bury(self, epoch: int, reason: str) -> None:
        """It has ended: also for those who ask for it later, anywhere."""
        resume = self.route.route.resume
        end = StreamEnd(LOST, UpstreamTruncated.__name__, reason)
        seconds = 0.0 if resume is None else resume.keep_seconds
        self.shared.bury(self.id, epoch, end, seconds)
        self.ended_as = LOST
        self.fail(reason)

    def state_of(self, exchange: Exchange) -> str:
        return self.ended_as or super().state_of(exchange)

    @property
    def owns_upstream(self) -> bool:
        return self.taken

    def settle(self, exchange: Exchange) -> None:
        self.takeover.over()
        super().settle(exchange)
        self.has_grown()

    def become_owner(self, donor: Donor, epoch: int) -> None:
        """It is this process's from that epoch on: ask the upstream for the rest."""
        upstream, kept = self.upstream.exchange, self.sink.log
        stored = PublishedStream(self.shared, self.id)
        if upstream is None or self.head is None or not isinstance(kept, StoredLog):
            return
        self.taken = True
        resume = self.route.route.resume
        if resume is not None:
            self.retention.timer.seconds = resume.keep_seconds
        upstream.head = donor.head
        upstream.timeline.request_id = donor.forward.exchange.request_id
        self.retention.belongs_to(donor.head, donor.address)
        sink = self.sink
        sink.address, sink.scheme = donor.address, donor.scheme
        sink.planner = RequestPlanner(donor.address, donor.scheme)
        self.upstream.forward = forward = donor.forward.another(upstream)
        self.upstream.resumption = UpstreamResumption(
            upstream,
            forward,
            donor.route,
            donor.where,
            self.sink,
            trusted=donor.trusted,
        )
        self.replication.store_in(stored)
        seconds = self.retention.timer.seconds
        stored.begin(self, upstream.head, self.head, kept, seconds, epoch)
        self.take_names()
        upstream.again = self.upstream.takes_up_again
        upstream.fail(UpstreamTruncated("the process that read the stream has died"))

    def take_names(self) -> None:
        """What was elected is held by this process from now on."""
        for name, who in tuple(self.names):
            if name.kind in (GROUP, IDEMPOTENCY_KEY):
                errand(self.take_name(name, who), "holding the name of a stream")

    async def take_name(self, name: Name, who: bytes) -> None:
        """Hold a name that only one stream can have."""
        await self.shared.elect(name.kind, name.route, name.value, who, self.id)

    # -- where it differs from a stream of this process, as long as it is none

    @property
    def is_followed(self) -> bool:
        return not self.taken

    @property
    def is_stored(self) -> bool:
        return super().is_stored if self.taken else not self.settled

    def hand_on(self) -> None:
        if self.taken:
            super().hand_on()

    @property
    def is_numbered(self) -> bool:
        index = self.sink.index
        if index is None or not index.numbered:
            return False
        return not index.upstream_id.startswith(self.id + b".")

    @property
    def count_of_ids(self) -> int:
        index, log = self.sink.index, self.sink.log
        if index is None or not isinstance(log, StoredLog):
            return 0
        # Behind an event that has been dropped already, none need be complete yet.
        return max(number_of(index.upstream_id, self.id + b"."), log.numbered)

    def subscribe(self, subscriber: Subscriber) -> None:
        super().subscribe(subscriber)
        if not self.is_awaited:
            self.takeover.go_on()

    def stop(self, error: ProxyError) -> None:
        if self.taken:
            super().stop(error)
            return
        self.shared.stop(self.id)
        self.kept.gone[self.id] = None
        self.kept.lose(self)

    def superseded(self) -> None:
        if self.taken:
            super().superseded()

    def nobody_left(self) -> None:
        if self.taken or not self.is_awaited:
            super().nobody_left()

    def expire(self) -> None:
        if self.taken:
            super().expire()
            return
        if self.is_awaited:
            return
        self.kept.lose(self)
        self.closing = True
        if not self.audience.subscribers:
            self.end_upstream("nobody reads it here")
            self.let_go()

    def let_go(self) -> None:
        self.relay = None
        super().let_go()

    def leave_store(self) -> None:
        """Nobody reads it here, or it has ended."""
        self.takeover.over()
        if self.kept.arriving.get(self.id) is self:
            del self.kept.arriving[self.id]
        self.source.close()


def unchanged(trailers: Fields) -> Fields:
    """They were judged where the upstream is."""
    return trailers
