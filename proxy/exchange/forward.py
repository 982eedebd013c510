"""The life of a request: READ THIS FIRST.

A `Forward` joins an exchange with a call to an upstream. Its methods stand in the
order in which they happen. Each is called by the loop when its bytes are there and
none waits, so a piece goes out in the turn in which it came in.

    1 start      request head     -> which route?
    2 ask        a route          -> a call to one of its targets: `upstream_call`
    3 send_body  request body     -> to the upstream, piece by piece
    4 response   response head    -> which delivery?
    5 deliver    fields, framing  -> head to the client, relay on
    6 relayed    last piece       -> keep or close both ends

What goes wrong comes in any phase and ends the exchange, once (see `exchange`):

    fail         the upstream, a limit, a malformed request: the client is told
    client_left  nobody is there to be told
    end_stream   the process ends, and the client will connect again
"""

from __future__ import annotations

import logging

from proxy.errors import (
    ClientError,
    MalformedResponse,
    MethodNotAllowed,
    MethodNotSupported,
    ProxyError,
    StreamUncertain,
    TooManyStreams,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.early_response import begin_early
from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_relay import kept_relay
from proxy.exchange.looking_relay import looking_relay
from proxy.exchange.stream_lookup import take_up
from proxy.exchange.tapped_call import TappedCall
from proxy.exchange.time_limits import check_limits, upstream_to_move
from proxy.exchange.upstream_call import UpstreamCall
from proxy.exchange.way import Way, find_way
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import Body, response_body
from proxy.http1.grammar import shown
from proxy.http1.head import ResponseHead
from proxy.http1.persistence import stays_in_step
from proxy.policy.delivery import Delivery
from proxy.policy.error_response import plan_options
from proxy.policy.forwarded import public_address
from proxy.policy.request_id import with_id
from proxy.policy.request_plan import RequestPlan, hops_left, takes_trailers
from proxy.policy.response_plan import STREAM, plan_interim, plan_switch
from proxy.policy.resumption import allow_last_event_id
from proxy.policy.routing import Destination, destination
from proxy.policy.server_timing import with_timing
from proxy.policy.upgrade import (
    check_answer,
    is_agreed,
    is_extended_connect,
    is_upgrade,
)
from proxy.stream.content_decoder import ContentDecoder
from proxy.timeline import CONNECTING, OVER, RELAYING, TUNNEL, WAITING, http_date
from proxy.transport.client_stream import ClientStream
from proxy.transport.relay import ChunkRelay, DecodingRelay, RequestRelay, ResponseRelay
from proxy.transport.tunnel import Tunnel
from proxy.transport.upstream_connection import UpstreamConnection

log = logging.getLogger("unbuffered")


class Forward:
    """An exchange whose response comes from an upstream while it is being made."""

    __slots__ = ("call", "exchange")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.call: UpstreamCall | None = None
        exchange.source = self

    # 1. Which route?

    def start(self) -> None:
        """Check what the request asks for and find its route."""
        exchange = self.exchange
        head, client = exchange.head, exchange.client
        known = client.planner.way
        way = known if isinstance(known, Way) and known.is_that_of(exchange) else None
        try:
            if way is not None:
                where = way.where
            elif head.method == b"CONNECT":
                raise MethodNotSupported(
                    "CONNECT is not supported: this is a reverse proxy, not a "
                    "forward proxy"
                )
            else:
                where = destination(head)
            body = client.open_body()
        except ClientError as error:
            client.end_after_response()  # where the next request begins is unsure
            exchange.fail(error)
            return
        try:
            if way is not None:
                route, trusted = way.take(exchange, body)
            elif hops_left(head) == 0:
                self.last_hop()
                return
            else:
                route, trusted = find_way(exchange, where, body)
            if route.stream_limit is not None:
                route.stream_limit.begin(exchange)
            if route.keeping is not None and take_up(
                self, route, where, body, trusted=trusted
            ):
                return
        except (ClientError, StreamUncertain) as error:
            if error.status == 400:  # nothing that follows it is to be trusted
                client.end_after_response()
            exchange.fail(error)
            return
        self.ask(route, where, body, trusted=trusted)

    def last_hop(self) -> None:
        """Max-Forwards ends the way of OPTIONS or TRACE here (RFC 9110 §7.6.2).

        Raises:
            MethodNotAllowed: TRACE. Its fields are shown to nobody: proxies in front
                of this one may have added what no client is to know.
        """
        exchange = self.exchange
        client = exchange.client
        exchange.introduce()
        if exchange.head.method == b"TRACE":
            raise MethodNotAllowed(
                "TRACE with Max-Forwards: 0 is not supported by this proxy"
            )
        if not client.request_complete:
            client.end_after_response()
        exchange.send_own(plan_options(client.terms, http_date()), b"")
        exchange.complete()

    # 2. Which target?

    def ask(
        self, route: CompiledRoute, where: Destination, body: Body, *, trusted: bool
    ) -> None:
        """Call one of the route's targets."""
        exchange = self.exchange
        upgrade = is_upgrade(exchange.head)
        if upgrade and not route.route.ws:
            upgrade = False
            log.info(
                "route %s: the client asked for an upgrade to %s, forwarded as "
                "plain HTTP; set ws = true on this route to tunnel it",
                route.prefix,
                shown(exchange.head.get(b"upgrade") or b""),
            )
        if route.taps:
            call: UpstreamCall = TappedCall(
                self, exchange, route, where, body, trusted=trusted, upgrade=upgrade
            )
        else:
            call = UpstreamCall(
                self, exchange, route, where, body, trusted=trusted, upgrade=upgrade
            )
        self.call = call
        self.begin(call)

    def another(self, exchange: Exchange) -> Forward:
        """One for another exchange."""
        return Forward(exchange)

    def begin(self, call: UpstreamCall) -> None:
        """Choose a target, connect to it, and send the request."""
        self.exchange.compiled.ticker.add(self)
        if call.route.begins_early:
            begin_early(self, self.exchange, call)
        call.pick_target(call.route.upstreams)

    def connecting(self, now: float) -> None:
        """A new connection is being opened."""
        exchange = self.exchange
        exchange.phase, exchange.phase_began = CONNECTING, now

    def connected(self, now: float, plan: RequestPlan) -> None:
        """A connection stands: the head of the request goes out."""
        exchange = self.exchange
        exchange.phase, exchange.phase_began = WAITING, now
        exchange.request_plan = plan

    # 3. The request body.

    def send_body(self, body: Body, connection: UpstreamConnection) -> None:
        """Send the request body piece by piece as it arrives."""
        exchange = self.exchange
        client, timeline, route = exchange.client, exchange.timeline, exchange.route
        assert route is not None
        client.limit_buffer(route.route.max_buffer_bytes)
        if body.complete:
            if client.paused:  # a client is noticed to leave only while it is read
                client.resume_reading()
            return
        if route.looks_at_requests:
            relay = looking_relay(exchange, route, body, connection, self.body_sent)
        else:
            relay = RequestRelay(client, connection, self.body_sent, timeline)
        exchange.carry_request(relay)
        taps = connection.taps
        client.read_body(relay if taps is None else taps.request_to(relay))

    def body_sent(self, error: ProxyError | None) -> None:
        """The request is complete, or turned out malformed."""
        exchange = self.exchange
        if error is not None:
            exchange.client.end_after_response()
            exchange.fail(error)
            return
        if exchange.phase is WAITING:
            exchange.phase_began = exchange.compiled.clock()
        if exchange.kept is not None:
            exchange.kept.request_sent()

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response on the way to the final one (RFC 9110 §15.2)."""
        self.exchange.client.send_interim(plan_interim(head))

    # 4. Which delivery?

    def response(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """Judge the upstream's response head."""
        exchange, route = self.exchange, call.route
        exchange.response_head = head
        if route.adds_to_head:
            if exchange.compiled.tells_ids:
                head = with_id(head, exchange.request_id)
            if route.route.server_timing:
                head = with_timing(head, exchange.timeline)
        publishing = route.response_rewrite
        if publishing is not None and publishing.concerns(head):
            assert call.upstream is not None
            public = public_address(exchange.head, exchange.client.scheme, call.trusted)
            head = publishing.publish(head, public, call.upstream.target)
        try:
            if is_extended_connect(exchange.head):
                check_answer(exchange.head, head)
            if head.status == 101:
                self.switch(call, head, connection)
                return
            body = response_body(head, exchange.head.method)
            if route.lenient is not None:
                body = route.lenient.body(body)
        except MalformedResponse as error:
            exchange.fail(error)
            return
        if route.stream_limit is not None:
            try:
                route.stream_limit.judge(exchange, head, body)
            except TooManyStreams as error:
                exchange.fail(error)
                return
        delivery = connection.planner.decide(head, body, route)
        if route.keeping is not None:
            head = allow_last_event_id(exchange.head, head)
            if exchange.kept is not None:  # then the client is no longer this one's
                exchange.kept.judge(head, body, delivery)
                if self.exchange.is_over:  # nobody waits for what is not kept
                    return
        self.deliver(route, head, body, delivery, connection)

    # 5. Head to the client, relay on.

    def deliver(
        self,
        route: CompiledRoute,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        connection: UpstreamConnection,
    ) -> None:
        """Send the response head and let the body flow."""
        exchange = self.exchange
        client, timeline = exchange.client, exchange.timeline
        clock = exchange.compiled.clock
        exchange.phase, exchange.phase_began = RELAYING, clock()
        if head.status >= 400 and not client.request_complete:
            client.end_after_response()  # the rest of the upload is not wanted
        timeline.stream = delivery.stream
        timeline.call.coded = delivery.codings
        plan = connection.planner.final(
            head, body, delivery, route, client.terms, http_date
        )
        exchange.respond(plan)
        relay: ResponseRelay
        if delivery.codings:
            decoder = ContentDecoder(delivery.codings, route.route.max_decoding_ratio)
            relay = DecodingRelay(
                connection, client, self.relayed, timeline, clock, decoder
            )
        elif isinstance(body, ChunkedBody) and (sink := client.chunk_sink) is not None:
            relay = connection.chunks = (
                ChunkRelay if exchange.kept is None else kept_relay
            )(connection, sink, self.relayed, timeline, clock, body)
        else:
            relay = ResponseRelay(connection, client, self.relayed, timeline, clock)
        if plan.framing is STREAM and takes_trailers(exchange.head):
            relay.trailers = route.response_rules.trailers
        exchange.carry_response(relay)
        if delivery.format is not None and not body.complete:
            exchange.begin_stream(head, delivery.format, plan.framing)
        connection.read_body(body, relay, keep_alive=stays_in_step(head))
        client.flush_head()

    def switch(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """101: become a tunnel, if that is what the client asked for.

        Raises:
            MalformedResponse: the client asked for no upgrade, or another.
        """
        exchange = self.exchange
        client, clock = exchange.client, exchange.compiled.clock
        if not call.upgrade or not is_agreed(exchange.head, head):
            raise MalformedResponse(
                "the upstream switched protocols without being asked"
            )
        if not client.request_complete:  # its rest would become raw bytes
            raise MalformedResponse(
                "the upstream switched protocols before the request was complete "
                "(RFC 9110 §7.8)"
            )
        exchange.phase, exchange.phase_began = TUNNEL, clock()
        exchange.timeline.stream = exchange.timeline.tunnel = True
        exchange.respond(plan_switch(head, call.route, exchange.head))
        client.flush_head()
        tunnel = Tunnel(client, connection, self.relayed, exchange.timeline, clock)
        exchange.carry_request(tunnel.to_upstream)
        exchange.carry_response(tunnel.to_client)
        exchange.owner.stream_begun(exchange)
        taps, receiver = connection.taps, tunnel.to_upstream
        connection.become_tunnel(tunnel.to_client)
        client.become_tunnel(receiver if taps is None else taps.request_to(receiver))

    # 6. The end.

    def relayed(self, error: ProxyError | None) -> None:
        """The response body, or the tunnel, has ended."""
        exchange, call = self.exchange, self.call
        if error is not None:
            exchange.fail(error)
        elif exchange.phase is not OVER:
            exchange.compiled.ticker.discard(self)
            self.call = None
            if call is not None:
                call.release(tunnel=exchange.phase is TUNNEL)
            exchange.complete()

    def fail(self, error: ProxyError) -> None:
        """The upstream, or what is asked of it, fails."""
        self.exchange.fail(error)

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it worked for this exchange."""
        self.exchange.crashed(place, error)

    def abort(self) -> None:
        """Close whatever there is towards the upstream: the exchange is over."""
        self.exchange.compiled.ticker.discard(self)
        call, self.call = self.call, None
        if call is not None:
            call.abort()

    def go_on_for(self, client: ClientStream) -> None:
        """Work for another client from now on: see `absent_client`."""
        if self.call is not None:
            self.call.client = client

    @property
    def waiting_for(self) -> str:
        """`connection`, `retry`, `response head`, `upload` or `upstream`."""
        call = self.call
        if self.exchange.phase is CONNECTING:
            return "retry" if call is not None and call.waits else "connection"
        if not upstream_to_move(self.exchange):
            return "upload"
        return "response head" if self.exchange.phase is WAITING else "upstream"

    # Time passes.

    def check(self, now: float) -> None:
        """Look at the time limits of the present phase. Called by the ticker."""
        exchange, call = self.exchange, self.call
        assert call is not None
        if not check_limits(exchange, call, now):
            exchange.compiled.ticker.discard(self)
