"""Which kept stream a request takes up, if it does: asked once its route is known.

In this order: the application's path for a key, an event id, an Idempotency-Key, and
the group of those who share. A request that takes up none is forwarded; what comes of
it may be kept.
"""

from __future__ import annotations

from functools import partial

from proxy.errors import (
    ClientError,
    StreamGone,
    StreamUncertain,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.cursor_lookup import CursorLookup
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.key_lookup import KeyLookup
from proxy.exchange.published_stream import PublishedStream
from proxy.exchange.store_lookup import Question, StoreLookup, knows
from proxy.exchange.store_word import uncertain
from proxy.exchange.stream_home import other_worker
from proxy.exchange.stream_request import (
    BY_IDEMPOTENCY_KEY,
    BY_SHARING,
    Asking,
    StreamRequest,
    cors_for,
)
from proxy.http1.framing import Body
from proxy.policy.resumption import mcp_forbids
from proxy.policy.routing import Destination
from proxy.policy.sharing import may_join
from proxy.policy.stream_identity import (
    fingerprint,
    last_event_id,
    masked_cursor,
    new_id,
    parse_event_id,
)
from proxy.policy.upgrade import is_upgrade

# What may be asked for again; other methods have no stream to take up.
METHODS = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE")


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
    request = StreamRequest(owner, forward, route, rules, where, body, trusted=trusted)
    return StreamLookup(request).take_up()


class StreamLookup:
    """Looks at all that one request says of a stream."""

    __slots__ = ("request",)

    def __init__(self, request: StreamRequest) -> None:
        self.request = request

    def take_up(self) -> bool:
        """Answer from a kept stream; False: the request has to be forwarded.

        Raises:
            MalformedRequest: its cursor is not one.
            StreamUnknown, StreamGone: it can be answered by no other stream.
            StreamUncertain: it may have one at another process.
        """
        head = self.request.head
        if b"?" in head.target:
            timeline = self.request.exchange.timeline
            timeline.target = masked_cursor(timeline.target)  # no token in it, either
        if (
            self.request.rules.paths is not None
            and KeyLookup(self.request).at_key_path()
        ):
            return True
        if head.method not in METHODS or is_upgrade(head) or mcp_forbids(head):
            return False
        if (
            self.request.exchange.client.private is not None
        ):  # what it gets depends on that
            return False
        peers = self.request.owner.peers
        worker = None if peers is None else other_worker(self.request, peers)
        if peers is None or worker is None:
            return self.take_up_here()
        self.request.hand_over(peers, worker, self.request.route, self.go_on_here)
        return True

    def go_on_here(self) -> None:
        """The other worker cannot be asked."""
        exchange, route = self.request.exchange, self.request.route
        exchange.route, exchange.timeline.route = route, route.prefix
        try:
            taken_up = self.take_up_here()
        except (ClientError, StreamUncertain) as error:
            exchange.fail(error)
            return
        if not taken_up:
            self.request.ask_alone()

    def take_up_here(self) -> bool:
        """Of the streams of this worker; False: the request has to be forwarded.

        Where other machines may have its stream, it waits until that is known.

        Raises:
            MalformedRequest, StreamUnknown, StreamGone, StreamUncertain.
        """
        shared = self.request.registry.shared
        if shared is not None and shared.up:
            lookup = StoreLookup(self.request.exchange, shared)
            question = self.question(lookup)
            if question is not None:
                lookup.ask(question, partial(self.store_answered, lookup))
                return True
        return self.look(None)

    def question(self, lookup: StoreLookup) -> Question | None:
        """What the store is asked, if the stream is not one of this worker.

        Raises:
            MalformedRequest.
        """
        request, registry = self.request, self.request.registry
        cursor = None
        if request.route.route.resume is not None:
            cursor = last_event_id(request.head)
        if cursor is not None:
            ours = parse_event_id(cursor)
            if ours is None:
                if CursorLookup(request).found_by_upstream_id(cursor) is not None:
                    return None
                events, who = request.events_name, request.strict_print
                return partial(lookup.by_name, events, who, knows(cursor))
            return lookup.for_one(ours.stream, knows(cursor), ours.number)
        name, who = request.idempotency_name, request.strict_print
        if name is None:
            name, who = request.group_name, b""
        if name is None or registry.find(name, who) is not None:
            return None
        return partial(lookup.by_election, name, who)

    def store_answered(self, lookup: StoreLookup) -> None:
        """What other machines have is known, or cannot be: go on."""
        exchange = self.request.exchange
        self.request.word = lookup.word
        try:
            taken_up = self.look(lookup.stored)
        except (ClientError, StreamUncertain) as error:
            exchange.fail(error)
            return
        if not taken_up:
            self.request.ask_alone()

    def look(self, stored: PublishedStream | None) -> bool:
        """Among all that are known here. `stored`: what a new one would be.

        Raises:
            MalformedRequest, StreamUnknown, StreamGone, StreamUncertain.
        """
        if (
            CursorLookup(self.request).by_event_id()
            or self.by_idempotency_key()
            or self.by_group()
        ):
            if stored is not None:
                stored.renounce()
            return True
        self.keep(stored)
        return False

    def by_idempotency_key(self) -> bool:
        """The request is a repeated POST: its answer is under way, or just ended.

        Raises:
            StreamGone: its beginning is no longer kept.
            StreamUncertain: another process may answer it already.
        """
        name = self.request.idempotency_name
        if name is None:
            return False
        stream = self.request.registry.find(name, self.request.strict_print)
        if stream is None:
            # A store that is known to be down costs no answer: see docs/scaling.md.
            if self.request.word.silence:
                raise uncertain(self.request.word.silence)
            return False
        if stream.has_log and stream.log.first > 0:
            gone = StreamGone(
                "the beginning of the response to this Idempotency-Key is no longer "
                "kept (resume.max_bytes)"
            )
            gone.fields = cors_for(stream, self.request.head)
            raise gone
        self.request.subscribe(
            stream, 0, BY_IDEMPOTENCY_KEY, declined=self.was_not_kept
        )
        return True

    def was_not_kept(self) -> None:
        """The response that was waited for was not kept: there was no memory for it."""
        self.request.exchange.fail(
            StreamGone("the response to this Idempotency-Key could not be kept")
        )

    def by_group(self) -> bool:
        """Others get the same stream: join them."""
        name = self.request.group_name
        if name is None:
            return False
        stream = self.request.registry.find(name, b"")
        if stream is None:
            return False
        share = self.request.route.route.share
        assert share is not None
        position = 0
        if stream.response_head is not None:
            if not may_join(self.request.head, stream.response_head):
                return False
            beginning = stream.log.last_events(share.replay)
            if beginning is None:  # in the middle of an event that is longer than all
                return False
            position = beginning
        self.request.subscribe(
            stream, position, BY_SHARING, declined=self.request.ask_alone
        )
        return True

    def keep(self, stored: PublishedStream | None) -> None:
        """Have what comes of the request kept, or shared, if it can be."""
        resume, registry = self.request.route.route.resume, self.request.registry
        group = self.request.group_name
        if resume is None and group is None:
            return
        bind = () if resume is None else resume.bind
        stream = KeptStream(
            self.request.owner,
            self.request.exchange,
            self.request.forward,
            self.request.route,
            fingerprint(self.request.head, bind, registry.secret),
            new_id(registry.worker, registry.node) if stored is None else stored.id,
            resumes=resume is not None,
            shares=group is not None,
        )
        if stored is not None:
            stream.replication.store_in(stored)
        address = self.request.exchange.client.address
        stream.retention.belongs_to(self.request.head, address)
        stream.candidacy.prelude = self.request.prelude
        if group is not None:
            registry.name(stream, group, b"")
        if resume is None:
            return
        strict = self.request.strict_print
        registry.name(
            stream,
            self.request.events_name,
            strict,
            alone=False,
        )
        repeated = self.request.idempotency_name
        if repeated is not None:
            stream.candidacy.keeps_all = True
            registry.name(stream, repeated, strict)
        if self.request.body.complete:
            stream.request_sent()
