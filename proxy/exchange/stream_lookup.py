"""Which kept stream a request takes up, if it does: asked once its route is known.

In this order: the application's path for a key, an event id, an Idempotency-Key, and
the group of those who share. A request that takes up none is forwarded; what comes of
it may be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from proxy.errors import (
    ClientError,
    ProxyError,
    StreamGone,
    StreamStopped,
    StreamUnknown,
)
from proxy.exchange.compiled_routes import CompiledRoute, KeptRules
from proxy.exchange.exchange import Exchange, ExchangeOwner, HandingOver
from proxy.exchange.handed_exchange import HandedExchange
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.separation import UpstreamForward
from proxy.exchange.stream_home import key_worker, other_worker
from proxy.exchange.subscriber import Subscriber
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.kept.registry import EVENTS, GROUP, IDEMPOTENCY_KEY, KEY, KeptStreams, Name
from proxy.policy.delivery import EVENT_STREAM, is_event_source, reconnects
from proxy.policy.error_response import own_plan
from proxy.policy.resumption import is_mcp, mcp_forbids
from proxy.policy.routing import Destination
from proxy.policy.sharing import may_join, share_group
from proxy.policy.stream_identity import (
    fingerprint,
    last_event_id,
    masked_cursor,
    parse_event_id,
    path_without_cursor,
)
from proxy.policy.upgrade import is_upgrade
from proxy.timeline import http_date

# What may be asked for again; other methods have no stream to take up.
METHODS = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE")
MOST_KEY_BYTES = 1024
FAILED = b": the stream of this Last-Event-ID has failed; this is a new one\n"
SAFE = (b"GET", b"HEAD", b"OPTIONS", b"TRACE")
# Names that can be guessed are looked up by these, too, whatever `bind` says.
CREDENTIALS = ("Authorization", "Cookie", "Mcp-Session-Id")

# The ways in which a stream is taken up.
BY_EVENT_ID, BY_UPSTREAM_ID, BY_KEY, BY_IDEMPOTENCY_KEY, BY_SHARING, BY_ADDRESS = (
    "event_id",
    "upstream_event_id",
    "key",
    "idempotency_key",
    "share",
    "stream_id",
)
# Of these, who takes a stream up that was its own.
WAYS = (BY_EVENT_ID, BY_UPSTREAM_ID, BY_KEY, BY_IDEMPOTENCY_KEY, BY_ADDRESS)


class Asking(UpstreamForward, Protocol):
    """The `Forward` of the request."""

    def ask(
        self, route: CompiledRoute, where: Destination, body: Body, *, trusted: bool
    ) -> None:
        """Call one of the route's targets."""


def take_up(
    forward: Asking,
    route: CompiledRoute,
    where: Destination,
    body: Body,
    *,
    trusted: bool,
) -> bool:
    """Answer a request from a kept stream; False: it has to be forwarded.

    Raises:
        ClientError: see `StreamLookup.take_up`.
    """
    rules, owner = route.keeping, forward.exchange.owner
    if rules is None:
        return False
    return StreamLookup(
        owner, forward, route, rules, where, body, trusted=trusted
    ).take_up()


class AskedByKey(NamedTuple):
    """What a path with a key asks: `stops`, to end the stream."""

    route: CompiledRoute
    name: Name
    who: bytes
    stops: bool


class StreamLookup:
    """One request on a route that keeps or shares streams."""

    __slots__ = (
        "body",
        "exchange",
        "forward",
        "owner",
        "prelude",
        "route",
        "rules",
        "trusted",
        "where",
    )

    def __init__(
        self,
        owner: ExchangeOwner,
        forward: Asking,
        route: CompiledRoute,
        rules: KeptRules,
        where: Destination,
        body: Body,
        *,
        trusted: bool,
    ) -> None:
        self.owner = owner
        self.forward = forward
        self.exchange: Exchange = forward.exchange
        self.route = route
        self.rules = rules
        self.where = where
        self.body = body
        self.trusted = trusted
        self.prelude = b""  # of a new stream: what is told of the one before

    @property
    def registry(self) -> KeptStreams[KeptStream]:
        """All streams of this worker."""
        return self.owner.kept

    @property
    def head(self) -> RequestHead:
        """The request."""
        return self.exchange.head

    def take_up(self) -> bool:
        """Answer from a kept stream; False: the request has to be forwarded.

        Raises:
            MalformedRequest: its cursor is not one.
            StreamUnknown, StreamGone: it can be answered by no other stream.
        """
        head = self.head
        if b"?" in head.target:
            self.exchange.timeline.target = masked_cursor(head.target)
        if self.rules.paths is not None and self.at_key_path():
            return True
        if head.method not in METHODS or is_upgrade(head) or mcp_forbids(head):
            return False
        if self.exchange.client.private is not None:  # what it gets depends on that
            return False
        peers = self.owner.peers
        worker = None if peers is None else other_worker(self, peers)
        if peers is None or worker is None:
            return self.take_up_here()
        self.hand_over(peers, worker, self.route, self.go_on_here)
        return True

    def hand_over(
        self,
        peers: HandingOver,
        worker: int,
        route: CompiledRoute,
        declined: Callable[[], None],
    ) -> None:
        """Have another worker answer, which has the stream or will have it."""
        handed = isinstance(self.exchange, HandedExchange)
        peers.hand_over(
            self.exchange,
            worker,
            route,
            self.where,
            self.body,
            declined,
            last=handed,
        )

    def go_on_here(self) -> None:
        """The other worker cannot be asked."""
        exchange, route = self.exchange, self.route
        exchange.route, exchange.timeline.route = route, route.prefix
        try:
            taken_up = self.take_up_here()
        except ClientError as error:
            exchange.fail(error)
            return
        if not taken_up:
            self.ask_alone()

    def take_up_here(self) -> bool:
        """Of the streams of this worker; False: the request has to be forwarded.

        Raises:
            MalformedRequest, StreamUnknown, StreamGone.
        """
        if self.by_event_id() or self.by_idempotency_key() or self.by_group():
            return True
        self.keep()
        return False

    # -- the application's key

    def at_key_path(self) -> bool:
        """`path` is answered here; `stop` is forwarded, too."""
        asked = self.asked_by_key()
        if asked is None:
            return False
        peers = self.owner.peers
        if peers is not None:
            if asked.stops:
                peers.stop(asked.name, asked.who)
            worker = key_worker(self.exchange, peers, asked.name, asked.who)
            if worker is not None:
                route = self.route if asked.stops else asked.route
                self.hand_over(peers, worker, route, partial(self.key_here, asked))
                return True
        return self.by_key(asked)

    def asked_by_key(self) -> AskedByKey | None:
        """Which stream the path of the request asks for, and what of it."""
        paths, head = self.rules.paths, self.head
        assert paths is not None
        found = paths.match(self.where.path)
        if found is None:
            return None
        route = self.owner.compiled.find(found.prefix)
        if route is None or route.route.resume is None:
            return None
        stops = found.kind == b"stop"
        if head.method in SAFE if stops else head.method != b"GET":
            return None
        name = Name(KEY, found.prefix, found.key)
        who = fingerprint(head, route.route.resume.bind, self.registry.secret)
        return AskedByKey(route, name, who, stops)

    def key_here(self, asked: AskedByKey) -> None:
        """The worker that has the stream cannot be asked."""
        exchange, route = self.exchange, self.route
        exchange.route, exchange.timeline.route = route, route.prefix
        try:
            answered = self.by_key(asked)
        except ClientError as error:
            exchange.fail(error)
            return
        if not answered:
            self.ask_alone()

    def by_key(self, asked: AskedByKey) -> bool:
        """Answer by a stream of this worker, or end it."""
        registry, route = self.registry, asked.route
        streams = registry.find_all(asked.name, asked.who)
        if asked.stops:
            for each in tuple(streams):
                each.stop(StreamStopped("the stream was stopped by its client"))
            return False
        self.exchange.route = route
        self.exchange.timeline.route = route.prefix
        stream = streams[-1] if streams else None
        if stream is not None and stream.has_log and stream.log.first:
            raise StreamGone(
                "the beginning of the stream is no longer kept (resume.max_bytes)"
            )
        if stream is None:
            peers = self.owner.peers
            elsewhere = peers is not None and peers.is_taken(asked.name)
            if elsewhere or registry.is_taken(asked.name):
                registry.refused("bind")
                raise StreamUnknown("there is no such stream of this client")
            self.nothing_runs()
        elif stream.settled and stream.read:
            self.nothing_runs()
        else:
            self.subscribe(stream, 0, BY_KEY, declined=self.look_again)
        return True

    def look_again(self) -> None:
        """What was waited for is not kept: the stream before it still has the key."""
        try:
            self.at_key_path()
        except ClientError as error:
            self.exchange.fail(error)

    # -- an event id

    def by_event_id(self) -> bool:
        """The request names the last event that its client has."""
        resume = self.route.route.resume
        if resume is None:
            return False
        cursor = last_event_id(self.head)
        if cursor is None:
            return False
        registry = self.registry
        ours = parse_event_id(cursor)
        if ours is None:
            return self.by_upstream_id(cursor)
        stream = registry.streams.get(ours.stream)
        known = ours.stream in registry.gone
        if stream is not None and not self.may_have(stream, resume.bind):
            stream = None
        if stream is None or not stream.has_log:
            if self.by_upstream_id(cursor):  # of a proxy like this one, further back
                return True
            self.cannot_resume(known=known)
            return False
        position = stream.log.after_id(cursor)
        if position is None:
            return self.behind_gap(stream, ours.number)
        if not self.is_read(stream, position):
            self.subscribe(stream, position, BY_EVENT_ID)
        elif stream.error is None:
            self.has_all(stream)
        else:
            self.prelude = FAILED
            return False
        return True

    def is_read(self, stream: KeptStream, position: int) -> bool:
        """Has the client all that it can make use of?

        An EventSource drops an event that is not complete (WHATWG HTML §9.2.6), and
        would come back for it again and again; and so for a failure. Others learn of
        the failure.
        """
        if not stream.settled:
            return False
        if not reconnects(self.head):
            return stream.error is None and position >= stream.log.end
        last = stream.log.last_events(0)
        return last is None or position >= last

    def may_have(self, stream: KeptStream, bind: Sequence[str]) -> bool:
        """Is it a stream of this route, and of this client?"""
        registry = self.registry
        same = stream.print == fingerprint(self.head, bind, registry.secret)
        if same and stream.route.prefix == self.route.prefix:
            return True
        registry.refused("bind")
        return False

    def by_upstream_id(self, cursor: bytes) -> bool:
        """The upstream numbers its events: its streams to the same request.

        Many number each stream from 1 on. The ids of a GET are those of what it names,
        in whichever stream; of other requests each has a stream of its own, and where
        it is not certain which one is meant, the upstream is asked.
        """
        found: list[tuple[KeptStream, int]] = []
        streams = self.registry.find_all(self.events_name, self.strict_print)
        for stream in reversed(streams):
            if not stream.has_log or not stream.is_numbered:
                continue
            position = stream.log.after_id(cursor)
            if position is None:
                continue
            if stream.settled and (
                position >= stream.log.end or self.is_read(stream, position)
            ):
                continue  # the upstream may have more, or says that it has not
            found.append((stream, position))
        # Who comes back has left one, if the proxy knows of that already.
        left = [each for each in found if not each[0].audience.subscribers]
        if len(found) > 1 and left:
            found = left
        if not found or (len(found) > 1 and not self.names_a_resource):
            return False
        self.subscribe(*found[0], BY_UPSTREAM_ID)
        return True

    def cannot_resume(self, *, known: bool) -> None:
        """The stream is not there. An EventSource gets a new one, and is told.

        Raises:
            StreamUnknown, StreamGone: the client is another.
        """
        if reconnects(self.head):
            what = b"no longer kept" if known else b"not known"
            self.prelude = (
                b": the stream of this Last-Event-ID is %b; this is a new one\n" % what
            )
        elif known:
            raise StreamGone(
                "the stream of this Last-Event-ID is no longer kept "
                "(resume.keep_seconds); send the request without it to start a new one"
            )
        else:
            raise StreamUnknown(
                "there is no stream of this client with this Last-Event-ID; send the "
                "request without it to start a new one"
            )

    def behind_gap(self, stream: KeptStream, number: int) -> bool:
        """Events behind the cursor are no longer kept, or were never there.

        Raises:
            StreamGone: and the client is none that reads of a gap.
        """
        begins = stream.first_number
        if begins is None or number > begins[0]:
            self.cannot_resume(known=False)
            return False
        if not reconnects(self.head):
            raise StreamGone(
                f"events {number + 1} to {begins[0]} of the stream are no longer kept "
                "(resume.max_bytes)"
            )
        gap = b"%b.%d" % (stream.id, begins[0])
        self.subscribe(stream, begins[1], BY_EVENT_ID, gap=gap)
        return True

    def has_all(self, stream: KeptStream) -> None:
        """Nothing is left for the client.

        204 has an EventSource stop. To others it is a fault, and some ask again: what
        they get is an event stream that has ended. Who comes back from a 204 is one of
        them, whatever its request looks like; an EventSource comes back from the other.
        """
        if is_event_source(self.head):
            stream.told_end = not stream.told_end
            if stream.told_end:
                self.nothing_runs()
                return
        fields: Fields = [(b"Content-Type", EVENT_STREAM), (b"Content-Length", b"0")]
        self.answer(200, fields)

    # -- an Idempotency-Key

    def by_idempotency_key(self) -> bool:
        """The request is a repeated POST: its answer is under way, or just ended.

        Raises:
            StreamGone: its beginning is no longer kept.
        """
        name = self.idempotency_name
        if name is None:
            return False
        stream = self.registry.find(name, self.strict_print)
        if stream is None:
            return False
        if stream.has_log and stream.log.first > 0:
            raise StreamGone(
                "the beginning of the response to this Idempotency-Key is no longer "
                "kept (resume.max_bytes)"
            )
        self.subscribe(stream, 0, BY_IDEMPOTENCY_KEY, declined=self.was_not_kept)
        return True

    @property
    def idempotency_name(self) -> Name | None:
        """By what a repetition of the request is known, if it can be."""
        if self.route.route.resume is None or self.head.method != b"POST":
            return None
        key = self.head.get(b"idempotency-key")
        if not key or len(key) > MOST_KEY_BYTES:
            return None
        value = b"%d:%b%b" % (len(self.where.path), self.where.path, key)
        return Name(IDEMPOTENCY_KEY, self.route.prefix, value)

    def was_not_kept(self) -> None:
        """The response that was waited for was not kept: there was no memory for it."""
        self.exchange.fail(
            StreamGone("the response to this Idempotency-Key could not be kept")
        )

    # -- a group

    def by_group(self) -> bool:
        """Others get the same stream: join them."""
        name = self.group_name
        if name is None:
            return False
        stream = self.registry.find(name, b"")
        if stream is None:
            return False
        share = self.route.route.share
        assert share is not None
        position = 0
        if stream.response_head is not None:
            if not may_join(self.head, stream.response_head):
                return False
            beginning = stream.log.last_events(share.replay)
            if beginning is None:  # in the middle of an event that is longer than all
                return False
            position = beginning
        self.subscribe(stream, position, BY_SHARING, declined=self.ask_alone)
        return True

    @property
    def group_name(self) -> Name | None:
        """With whom the request may share, if with anybody."""
        share = self.route.route.share
        if share is None:
            return None
        secret = self.registry.secret
        group = share_group(self.head, self.where.path, share.by, secret)
        return None if group is None else Name(GROUP, self.route.prefix, group)

    def ask_alone(self) -> None:
        """The stream is not to be shared after all, or not where it would be."""
        self.exchange.source = self.forward
        self.forward.ask(self.route, self.where, self.body, trusted=self.trusted)

    # -- what comes of it

    def subscribe(
        self,
        stream: KeptStream,
        position: int,
        way: str,
        *,
        gap: bytes | None = None,
        declined: Callable[[], None] | None = None,
    ) -> None:
        """Have the client served from a stream."""
        registry = self.registry
        if way == BY_SHARING:
            registry.counts.shared += 1
        else:
            registry.resumed(way)
        self.read_body()
        subscriber = Subscriber(self.exchange, stream, position, way, declined)
        subscriber.gap = gap
        stream.subscribe(subscriber)

    def read_body(self) -> None:
        """Read the body of a request that goes no further."""
        if not self.body.complete:
            self.exchange.client.read_body(DROPPED)

    def nothing_runs(self) -> None:
        """204: for an EventSource the end, for useChat that nothing is under way."""
        self.answer(204, [])

    def answer(self, status: int, fields: Fields) -> None:
        """Answer without a body."""
        exchange = self.exchange
        self.read_body()
        fields = [*fields, (b"Cache-Control", b"no-store"), (b"Date", http_date())]
        exchange.send_own(own_plan(status, fields, exchange.client.terms), b"")
        exchange.complete()

    def keep(self) -> None:
        """Have what comes of the request kept, or shared, if it can be."""
        resume, registry = self.route.route.resume, self.registry
        group = self.group_name
        if resume is None and group is None:
            return
        bind = () if resume is None else resume.bind
        stream = KeptStream(
            self.owner,
            self.forward,
            self.route,
            fingerprint(self.head, bind, registry.secret),
            resumes=resume is not None,
            shares=group is not None,
        )
        stream.prelude = self.prelude
        if group is not None:
            registry.name(stream, group, b"")
        if resume is None:
            return
        strict = self.strict_print
        registry.name(
            stream,
            self.events_name,
            strict,
            alone=False,
        )
        repeated = self.idempotency_name
        if repeated is not None:
            stream.keeps_all = True
            registry.name(stream, repeated, strict)
        if self.body.complete:
            stream.request_sent()

    @property
    def strict_print(self) -> bytes:
        """The client, for names that can be guessed."""
        resume = self.route.route.resume
        bind = () if resume is None else resume.bind
        return fingerprint(self.head, (*bind, *CREDENTIALS), self.registry.secret)

    @property
    def names_a_resource(self) -> bool:
        """Are event ids those of what is asked for, not of one answer to it?

        MCP has them unique in a session, and takes streams of POSTs up by GET.
        """
        return self.head.method == b"GET" or is_mcp(self.head)

    @property
    def events_name(self) -> Name:
        """What has to be the same where an upstream numbers its events.

        Of a request with a body also its size, so that few others are taken for it.
        """
        value = self.path_alone
        if not self.names_a_resource:
            size = self.head.get(b"content-length") or b"chunked"
            value = b"%b %b" % (size, value)
        return Name(EVENTS, self.route.prefix, value)

    @property
    def path_alone(self) -> bytes:
        """What is asked for, without the cursor."""
        return path_without_cursor(self.where.path)


class DroppedBody:
    """Takes a request body that nobody needs."""

    blocked = False

    def piece(self, data: bytes) -> None:
        pass

    def end(self, trailers: Fields) -> None:
        pass

    def broken(self, error: ProxyError) -> None:
        pass


DROPPED = DroppedBody()
