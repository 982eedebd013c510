"""A request whose stream another worker has: it is asked there, as the client has.

To this worker the other one is the upstream: streaming, back-pressure and the client's
departure are those of every exchange. Nothing is changed on the way, and all that is
decided about the response is decided where the stream is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from proxy.errors import (
    AgedOut,
    ProxyError,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamTruncated,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.exchange import Exchange
from proxy.exchange.forward import Forward
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import Body
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.http1.persistence import stays_in_step
from proxy.policy.delivery import Delivery
from proxy.policy.handed_message import (
    Handed,
    KeptPart,
    handed_request,
    read_response,
    read_trailers,
)
from proxy.policy.request_plan import IDEMPOTENT, RequestPlan, takes_trailers
from proxy.policy.response_plan import STREAM
from proxy.policy.routing import Destination
from proxy.timeline import (
    RELAYING,
    ROUTING,
    CallTimeline,
    Visit,
    ending_of,
    http_date,
)
from proxy.transport.pipeline import CAPTURE, Slot
from proxy.transport.relay import ChunkRelay, ResponseRelay
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection

Declined = Callable[[], None]
Find = Callable[[str], CompiledRoute | None]


class PeerCall(UpstreamCall):
    """The call to the other worker. `last`: it hands the request on to nobody."""

    __slots__ = ("last",)
    last: bool

    def plan_for(self, upstream: Upstream) -> RequestPlan:
        head, client = self.head, self.client
        handed = Handed(
            client.scheme, client.address, head.minor, self.last, self.request_id
        )
        return handed_request(head, self.body, handed)


class HandOver(Forward):
    """A request on its way to the worker that has its stream.

    `declined`: called if that worker cannot be asked. `find`: how a response that comes
    from a route, by its prefix, is treated here.
    """

    __slots__ = ("broken", "declined", "error", "find", "takes_trailers")

    def __init__(self, exchange: Exchange, declined: Declined, find: Find) -> None:
        super().__init__(exchange)
        self.declined: Declined | None = declined
        self.find = find
        self.error: ProxyError | None = None  # by which it failed there
        self.broken = False  # so that no client may take it for complete
        self.takes_trailers = False

    def hand_over(
        self, route: CompiledRoute, where: Destination, body: Body, *, last: bool
    ) -> None:
        """Ask the worker that is the target of `route`."""
        exchange = self.exchange
        exchange.route = route
        exchange.timeline.route = route.prefix
        self.call = call = PeerCall(
            self, exchange, route, where, body, trusted=False, upgrade=False
        )
        call.last = last
        self.begin(call)

    # -- it cannot be asked

    def fail(self, error: ProxyError) -> None:
        """There will be no response head: do without that worker, if that is possible.

        Which it is as long as nobody can have got the request, or it may be repeated.
        """
        call, declined = self.call, self.declined
        if (
            call is None
            or declined is None
            or not isinstance(error, UpstreamError)
            or not self.may_repeat(call, error)
        ):
            self.exchange.fail(error)
            return
        self.declined = None
        self.abort()
        exchange = self.exchange
        exchange.source, exchange.phase = None, ROUTING
        exchange.timeline.call = CallTimeline(exchange.timeline.started)
        declined()

    def may_repeat(self, call: UpstreamCall, error: UpstreamError) -> bool:
        """Can another answer the request?"""
        if call.connection is None:
            return True
        repeatable = call.body.complete and call.head.method in IDEMPOTENT
        return repeatable and isinstance(error, UpstreamDisconnected)

    # -- the response

    def response(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """The response head of the other worker."""
        told, head = read_response(head)
        if told is not None:
            self.error = told.error
            if told.upstream is not None:
                call.account.upstream = told.upstream
            if told.part is not None:
                self.note(told.part)
            route = None if told.route is None else self.find(told.route)
            if route is not None:
                call.route = self.exchange.route = route
                self.exchange.timeline.route = route.prefix
        super().response(call, head, connection)

    def note(self, part: KeptPart) -> None:
        """What the client gets of a kept stream, which is in its account here."""
        timeline, clock = self.exchange.timeline, self.exchange.compiled.clock
        timeline.visit = Visit(
            part.stream, timeline.client, part.way, part.begins, clock(), kept=part.kept
        )

    def deliver(
        self,
        route: CompiledRoute,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        connection: UpstreamConnection,
    ) -> None:
        """Relay the response, and what the other worker says of its end."""
        exchange = self.exchange
        client, timeline = exchange.client, exchange.timeline
        clock = exchange.compiled.clock
        exchange.phase, exchange.phase_began = RELAYING, clock()
        if head.status >= 400 and not client.request_complete:
            client.end_after_response()  # the rest of the upload is not wanted
        timeline.stream = delivery.stream
        plan = connection.planner.final(
            head, body, delivery, route, client.terms, http_date
        )
        exchange.respond(plan)
        relay: ResponseRelay
        if isinstance(body, ChunkedBody) and (sink := client.chunk_sink) is not None:
            relay = connection.chunks = ChunkRelay(
                connection, sink, self.relayed, timeline, clock, body
            )
        else:
            relay = ResponseRelay(connection, client, self.relayed, timeline, clock)
        self.takes_trailers = plan.framing is STREAM and takes_trailers(exchange.head)
        relay.trailers = self.trailers
        relay.insert(LastWord(self))
        exchange.carry_response(relay)
        if delivery.format is not None and not body.complete:
            exchange.begin_stream(head, delivery.format, plan.framing)
        connection.read_body(body, relay, keep_alive=stays_in_step(head))
        client.flush_head()

    def trailers(self, trailers: Fields) -> Fields:
        """What goes on of the trailers; what was told in them is noted."""
        told = read_trailers(trailers)
        if told is not None:
            self.error = told.error or UpstreamTruncated("the response broke off")
            self.broken = not told.whole
            return []
        route = self.exchange.route
        if route is None or not self.takes_trailers:
            return []
        return route.response_rules.trailers(trailers)

    def relayed(self, error: ProxyError | None) -> None:
        """The response has ended, or broken off there or on the way."""
        exchange, failed = self.exchange, self.error
        if error is not None or failed is None or exchange.is_over:
            super().relayed(error)
        elif self.broken:
            stream = exchange.stream
            if isinstance(stream, ResponseStream):
                stream.boundary = None  # what there was to tell in it was told there
            exchange.fail(failed)
        else:
            self.complete(failed)

    def complete(self, error: ProxyError) -> None:
        """All is well here; the failure there is one for the log."""
        exchange, call = self.exchange, self.call
        exchange.compiled.ticker.discard(self)
        self.call = None
        if call is not None:
            call.release(tunnel=False)
        if isinstance(error, AgedOut):
            exchange.client.leave_connection()
        exchange.end(ending_of(error), error)
        exchange.notify()
        exchange.client.finish()


class LastWord(Slot):
    """Holds the end of a response back that broke off where it comes from."""

    __slots__ = ("hand_over",)
    rank: ClassVar[int] = CAPTURE
    witness: ClassVar[bool] = True

    def __init__(self, hand_over: HandOver) -> None:
        super().__init__()
        self.hand_over = hand_over

    def send_end(self, trailers: Fields) -> None:
        if not self.hand_over.broken:
            self.next.send_end(trailers)
