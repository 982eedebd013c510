"""Which kept stream a request takes up, if it does: asked once its route is known.

In this order: the application's path for a key, an event id, an Idempotency-Key, and
the group of those who share. A request that takes up none is forwarded; what comes of
it may be kept.
"""

from __future__ import annotations

from proxy.errors import (
    ClientError,
    StreamGone,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.cursor_lookup import CursorLookup
from proxy.exchange.kept_stream import KeptStream
from proxy.exchange.key_lookup import KeyLookup
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
    masked_cursor,
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
        """
        head = self.request.head
        if b"?" in head.target:
            self.request.exchange.timeline.target = masked_cursor(head.target)
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
        except ClientError as error:
            exchange.fail(error)
            return
        if not taken_up:
            self.request.ask_alone()

    def take_up_here(self) -> bool:
        """Of the streams of this worker; False: the request has to be forwarded.

        Raises:
            MalformedRequest, StreamUnknown, StreamGone.
        """
        if (
            CursorLookup(self.request).by_event_id()
            or self.by_idempotency_key()
            or self.by_group()
        ):
            return True
        self.keep()
        return False

    def by_idempotency_key(self) -> bool:
        """The request is a repeated POST: its answer is under way, or just ended.

        Raises:
            StreamGone: its beginning is no longer kept.
        """
        name = self.request.idempotency_name
        if name is None:
            return False
        stream = self.request.registry.find(name, self.request.strict_print)
        if stream is None:
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

    def keep(self) -> None:
        """Have what comes of the request kept, or shared, if it can be."""
        resume, registry = self.request.route.route.resume, self.request.registry
        group = self.request.group_name
        if resume is None and group is None:
            return
        bind = () if resume is None else resume.bind
        stream = KeptStream(
            self.request.owner,
            self.request.forward,
            self.request.route,
            fingerprint(self.request.head, bind, registry.secret),
            resumes=resume is not None,
            shares=group is not None,
        )
        stream.prelude = self.request.prelude
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
            stream.keeps_all = True
            registry.name(stream, repeated, strict)
        if self.request.body.complete:
            stream.request_sent()
