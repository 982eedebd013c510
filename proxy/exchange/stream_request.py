"""A request on a route that keeps or shares streams: its names, and its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.errors import (
    ProxyError,
)
from proxy.exchange.compiled_routes import CompiledRoute, KeptRules
from proxy.exchange.exchange import Exchange, ExchangeOwner, HandingOver
from proxy.exchange.followed_stream import FollowedStream
from proxy.exchange.handed_exchange import HandedExchange
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.store_word import NOT_ASKED, silence_of
from proxy.exchange.subscriber import Subscriber
from proxy.exchange.takeover import Donor, ForwardOfClient
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.kept.registry import EVENTS, GROUP, IDEMPOTENCY_KEY, KeptStreams, Name
from proxy.policy.error_response import own_plan
from proxy.policy.resumption import cors_of, is_mcp
from proxy.policy.routing import Destination
from proxy.policy.sharing import share_group
from proxy.policy.stream_identity import (
    fingerprint,
    of_host,
    path_without_cursor,
    without_cursor,
)
from proxy.timeline import http_date

MOST_KEY_BYTES = 1024
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
# Whose request is that for which the upstream was asked.
ASKS_ALIKE = (BY_EVENT_ID, BY_UPSTREAM_ID, BY_SHARING)
WAYS = (BY_EVENT_ID, BY_UPSTREAM_ID, BY_KEY, BY_IDEMPOTENCY_KEY, BY_ADDRESS)


class Asking(ForwardOfClient, Protocol):
    """The `Forward` of the request."""

    def ask(
        self, route: CompiledRoute, where: Destination, body: Body, *, trusted: bool
    ) -> None:
        """Call one of the route's targets."""


class StreamRequest:
    """One request, before anything is asked for it."""

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
        "word",
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
        self.word = NOT_ASKED  # of the store

    @property
    def registry(self) -> KeptStreams[KeptStream]:
        """All streams of this worker."""
        return self.owner.kept

    @property
    def head(self) -> RequestHead:
        """The request."""
        return self.exchange.head

    @property
    def silence(self) -> str:
        """Why it is not known whether another process has its stream; "": it is."""
        return silence_of(self.registry, self.word)

    # -- what it is called by

    @property
    def strict_print(self) -> bytes:
        """The client, for names that can be guessed."""
        resume = self.route.route.resume
        bind = () if resume is None else resume.bind
        return fingerprint(self.head, (*bind, *CREDENTIALS), self.registry.secret)

    @property
    def idempotency_name(self) -> Name | None:
        """By what a repetition of the request is known, if it can be."""
        if self.route.route.resume is None or self.head.method != b"POST":
            return None
        key = self.head.get(b"idempotency-key")
        if not key or len(key) > MOST_KEY_BYTES:
            return None
        value = b"%d:%b%b" % (len(self.where.path), self.where.path, key)
        route = self.route.prefix
        return Name(IDEMPOTENCY_KEY, route, of_host(route, self.head, value))

    @property
    def group_name(self) -> Name | None:
        """With whom the request may share, if with anybody."""
        share = self.route.route.share
        if share is None:
            return None
        secret = self.registry.secret
        group = share_group(self.head, self.where.path, share.by, secret)
        return None if group is None else Name(GROUP, self.route.prefix, group)

    @property
    def events_name(self) -> Name:
        """What has to be the same where an upstream numbers its events.

        Of a request with a body also its size, so that few others are taken for it.
        """
        value = self.path_alone
        if not self.names_a_resource:
            size = self.head.get(b"content-length") or b"chunked"
            value = b"%b %b" % (size, value)
        route = self.route.prefix
        return Name(EVENTS, route, of_host(route, self.head, value))

    @property
    def names_a_resource(self) -> bool:
        """Are event ids those of what is asked for, not of one answer to it?

        MCP has them unique in a session, and takes streams of POSTs up by GET.
        """
        return self.head.method == b"GET" or is_mcp(self.head)

    @property
    def path_alone(self) -> bytes:
        """What is asked for, without the cursor."""
        return path_without_cursor(self.where.path)

    # -- what it is answered with

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
        if isinstance(stream, FollowedStream) and way in ASKS_ALIKE:
            stream.takeover.donor = self.donor
        stream.subscribe(subscriber)

    @property
    def donor(self) -> Donor | None:
        """By what the upstream can be asked for the rest, should its process die."""
        client, where = self.exchange.client, self.where
        if self.head.method != b"GET" or client.private is not None:
            return None
        return Donor(
            self.forward,
            without_cursor(self.head),
            Destination(self.path_alone, where.authority),
            self.route,
            client.address,
            client.scheme,
            self.trusted,
        )

    def nothing_runs(self, stream: KeptStream | None) -> None:
        """204: for an EventSource the end, for useChat that nothing is under way."""
        self.answer(stream, 204, [])

    def answer(
        self,
        stream: KeptStream | None,
        status: int,
        fields: Fields,
        body: bytes = b"",
    ) -> None:
        """Answer for a stream, if there is one."""
        exchange = self.exchange
        self.read_body()
        cors = [] if stream is None else cors_for(stream, self.head)
        date = http_date()
        fields = [*fields, *cors, (b"Cache-Control", b"no-store"), (b"Date", date)]
        exchange.send_own(own_plan(status, fields, exchange.client.terms), body)
        exchange.complete()

    def read_body(self) -> None:
        """Read the body of a request that goes no further."""
        if not self.body.complete:
            self.exchange.client.read_body(DROPPED)

    def ask_alone(self) -> None:
        """The stream is not to be shared after all, or not where it would be."""
        self.exchange.source = self.forward
        self.forward.ask(self.route, self.where, self.body, trusted=self.trusted)

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


def cors_for(stream: KeptStream, head: RequestHead) -> Fields:
    """Of an answer that speaks of a stream: who may read that may read this, too."""
    stored = stream.response_head
    return [] if stored is None else cors_of(stored, head)


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
