"""The life of a request: READ THIS FIRST.

A `Forward` is one exchange: a request and its response. Its methods stand in
the order in which they happen. Each is called by the loop when its bytes are
there and none waits, so a piece goes out in the turn in which it came in.

    1 start      request head          -> which route?
    2 choose     open exchanges        -> which target? its request, ready to send
    3 connect    an idle connection    -> or a new one, or back to 2: `reaching`
    4 connected  request head and body -> to the upstream, as they arrive
    5 response   response head         -> which delivery?
    6 deliver    fields, framing       -> head to the client, relay on
    7 complete   last piece            -> keep or close both ends, tell the log

What can go wrong comes in any phase and ends the exchange, once: `fail` (the
upstream, a limit, a malformed request) or `client_left`, both in `exchange`.
"""

from __future__ import annotations

import logging

from proxy.errors import (
    ClientError,
    MalformedResponse,
    MethodNotAllowed,
    MethodNotSupported,
    ProxyError,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.dial import Reaching
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import (
    Body,
    LengthBody,
    check_begun,
    request_body,
    response_body,
)
from proxy.http1.grammar import shown
from proxy.http1.head import ResponseHead
from proxy.internal_errors import report
from proxy.policy import messages
from proxy.policy.connection_auth import binds_request, binds_response, may_bind
from proxy.policy.delivery import Delivery, decide
from proxy.policy.forwarded import public_address
from proxy.policy.loop_detection import check_loop
from proxy.policy.path_rewrite import check_rewritten
from proxy.policy.routing import destination
from proxy.policy.size_limits import check_body, check_interim
from proxy.policy.webdav_destination import check_destination, moves
from proxy.stream.content_decoder import ContentDecoder
from proxy.timeline import OVER, RELAYING, TUNNEL, WAITING, Ending, http_date
from proxy.transport.relay import (
    ChunkRelay,
    DecodingRelay,
    MeasuredRequestRelay,
    RequestRelay,
    ResponseRelay,
)
from proxy.transport.tunnel import Tunnel
from proxy.transport.upstream_connection import UpstreamConnection

log = logging.getLogger("unbuffered")


class Forward(Reaching):
    """One request and its response, from socket to socket."""

    __slots__ = ()

    # 1. Which route?

    def start(self) -> None:
        """Check what the request asks for and find its route."""
        head, client = self.head, self.client
        try:
            if head.method == b"CONNECT":
                raise MethodNotSupported("CONNECT: this is no forward proxy")
            where = destination(head)
            body = request_body(head)
            check_begun(body, client.ahead)
        except ClientError as error:
            client.keep_alive = False  # where the next request begins is unsure
            self.fail(error)
            return
        client.keep_alive = messages.wants_keep_alive(head) and not client.draining
        client.body = body
        try:
            hops = messages.hops_left(head)
            if hops == 0:
                self.last_hop()
                return
            self.route = route = self.compiled.router.match(where.path)
            self.timeline.route = route.prefix
            check_loop(head, route.route)
            check_rewritten(route.path_rules, where.path)
            check_body(body, route.route)
            if moves(head):
                trust = self.compiled.trusts(route, client.address)
                public = public_address(head, client.scheme, trust)
                check_destination(head, public.authority, route.find)
        except ClientError as error:
            if error.status == 400:  # nothing that follows it is to be trusted
                client.keep_alive = False
            self.fail(error)
            return
        self.where = where
        self.request(route, body)

    def last_hop(self) -> None:
        """Max-Forwards ends the way of OPTIONS or TRACE here (RFC 9110 §7.6.2).

        Raises:
            MethodNotAllowed: TRACE. Its fields are shown to nobody: proxies in front
                of this one may have added what no client is to know.
        """
        client = self.client
        if self.head.method == b"TRACE":
            raise MethodNotAllowed("TRACE with Max-Forwards: 0 is not answered here")
        if not client.request_complete:
            client.keep_alive = False
        self.timeline.status = 200
        answer = messages.options_response(self.head, client.keep_alive, http_date())
        self.over(Ending.COMPLETE, None)
        try:
            client.write_head(answer, chunked=False)
            client.flush_head()
        except Exception as fault:
            report("our own answer to a request", fault)
            client.abort()
        self.notify()
        client.next()

    # 2. Which target?

    def request(self, route: CompiledRoute, body: Body) -> None:
        """Settle what is the same for every target, and choose one."""
        head = self.head
        if messages.is_upgrade(head):
            self.upgrade = route.route.ws
            if not self.upgrade:
                log.info(
                    "route %s: the client asked for an upgrade to %s, sent on as "
                    "plain HTTP; set ws = true on this route to tunnel it",
                    route.prefix,
                    shown(head.get(b"upgrade") or b""),
                )
        self.repeatable = body.complete and head.method in messages.IDEMPOTENT
        self.choose(route, route.upstreams)

    # 3 is in `reaching`: `choose` and what follows. 4. Head and body go out.

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the request; its body follows piece by piece as it arrives."""
        client = self.client
        self.connection = connection
        self.enter(WAITING)
        self.timeline.connected = self.phase_began
        body, route = client.body, self.route
        assert body is not None
        assert route is not None
        if b"authorization" in self.head.index and binds_request(self.head):
            self.bind(connection)
        limits = route.route
        client.limit_buffer(limits.max_buffer_bytes)
        connection.limit_buffer(limits.max_buffer_bytes)
        connection.serve(self, limits.max_response_head_bytes, route.lenient)
        connection.write_head(
            self.request_bytes, chunked=not isinstance(body, LengthBody)
        )
        if body.complete:
            connection.flush_head()
            client.resume_reading()  # only then is it noticed that a client leaves
            return
        sent, timeline = self.request_sent, self.timeline
        if limits.max_body_bytes and not isinstance(body, LengthBody):
            relay: RequestRelay = MeasuredRequestRelay(
                client, connection, sent, timeline, limits.max_body_bytes
            )
        else:
            relay = RequestRelay(client, connection, sent, timeline)
        client.read_body(body, relay if self.tap is None else self.tap.request(relay))
        connection.flush_head()

    def request_sent(self, error: ProxyError | None) -> None:
        """The request is complete, or turned out malformed."""
        if error is not None:
            self.client.keep_alive = False
            self.fail(error)
        elif self.phase is WAITING:
            self.phase_began = self.compiled.clock()

    def informational(self, head: ResponseHead) -> None:
        """A 1xx response on the way to the final one (RFC 9110 §15.2).

        A client that does not read is not sent any more of them: nothing else
        bounds what would wait for it, and an upload must not wait for its reading.
        """
        route, connection, client = self.route, self.connection, self.client
        assert route is not None
        assert connection is not None
        try:
            check_interim(
                connection.informational,
                self.compiled.clock() - (self.timeline.connected or 0.0),
                route.route.max_interim_per_second,
            )
        except MalformedResponse as error:
            self.fail(error)
            return
        if self.head.minor >= 1 and not client.blocked:
            client.send_informational(messages.informational(head))

    # 5. Which delivery?

    def response(self, head: ResponseHead) -> None:
        """Judge the upstream's response head."""
        route, connection = self.route, self.connection
        assert route is not None
        assert connection is not None
        if may_bind(head) and binds_response(head):
            self.bind(connection)
        head = self.answered(head)
        publishing = route.publishing
        if publishing is not None and publishing.concerns(head):
            assert self.upstream is not None
            trust = self.compiled.trusts(route, self.client.address)
            public = public_address(self.head, self.client.scheme, trust)
            head = publishing.publish(head, public, self.upstream.target)
        try:
            if head.status == 101:
                self.switch(head, route, connection)
                return
            body = response_body(head, self.head.method)
            if route.lenient is not None:
                body = route.lenient.body(body)
        except MalformedResponse as error:
            self.fail(error)
            return
        delivery = decide(head, body, route.route.decode)
        self.deliver(head, body, delivery, route, connection)

    # 6. Head to the client, relay on.

    def deliver(
        self,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        route: CompiledRoute,
        connection: UpstreamConnection,
    ) -> None:
        """Send the response head and let the body flow."""
        client, timeline, clock = self.client, self.timeline, self.compiled.clock
        self.enter(RELAYING)
        self.request_bytes = b""
        self.attempts = None
        if head.status >= 400 and not client.request_complete:
            client.keep_alive = False  # the rest of the upload is not wanted
        sized = isinstance(body, LengthBody) and not delivery.codings
        chunked = not sized and self.head.minor >= 1
        self.close_is_end = not sized and not chunked
        if self.close_is_end:
            client.keep_alive = False
        trailers = (
            chunked and not delivery.codings and messages.takes_trailers(self.head)
        )
        timeline.stream = delivery.stream
        timeline.coded = delivery.codings
        self.response_bytes = messages.client_response(
            head,
            body,
            delivery,
            route,
            self.head.minor,
            chunked=chunked,
            keep_alive=client.keep_alive,
            date=http_date,
        )
        client.write_head(self.response_bytes, chunked=chunked)
        timeline.status = head.status
        if delivery.codings:
            decoder = ContentDecoder(delivery.codings, route.route.max_decoding_ratio)
            relay: ResponseRelay = DecodingRelay(
                connection, client, self.relayed, timeline, clock, decoder
            )
        else:
            between = (connection, client, self.relayed, timeline, clock)
            if chunked and isinstance(body, ChunkedBody):
                relay = ChunkRelay(*between, body)
            else:
                relay = ResponseRelay(*between)
            if trailers:
                relay.trailers = route.response_rules.trailers
        self.event_stream = delivery.events and not sized
        if client.draining or route.route.on_upstream_failure == "event":
            self.watch(at_beginning=True)
        receiver = relay if self.tap is None else self.tap.response(relay)
        connection.read_body(body, receiver, keep_alive=messages.stays_in_step(head))
        client.flush_head()

    def switch(
        self, head: ResponseHead, route: CompiledRoute, connection: UpstreamConnection
    ) -> None:
        """101: become a tunnel, if that is what the client asked for.

        Raises:
            MalformedResponse: the client asked for no upgrade, or another.
        """
        if not self.upgrade or not messages.is_agreed(self.head, head):
            raise MalformedResponse("the upstream switched protocols unasked")
        if not self.client.request_complete:  # its rest would become raw bytes
            raise MalformedResponse(
                "the upstream switched protocols within the request (RFC 9110 §7.8)"
            )
        self.enter(TUNNEL)
        self.timeline.stream = True
        self.client.keep_alive = False
        self.response_bytes = messages.switching(head, route)
        self.client.write_head(self.response_bytes, chunked=False)
        self.timeline.status = 101
        self.client.flush_head()
        clock = self.compiled.clock
        Tunnel(self.client, connection, self.relayed, self.timeline, clock, self.tap)

    # 7. The end.

    def relayed(self, error: ProxyError | None) -> None:
        """The response body, or the tunnel, has ended."""
        if error is not None:
            self.fail(error)
        elif self.phase is not OVER:
            self.complete()

    def complete(self) -> None:
        """All went well: both connections may serve again."""
        client, connection = self.client, self.connection
        tunnel = self.phase is TUNNEL
        self.over(Ending.COMPLETE, None)
        if connection is not None:
            try:
                if tunnel:
                    connection.close_tunnel()
                elif client.request_complete:
                    connection.release()
                else:
                    connection.drop()
            except Exception as error:
                report("the return of an upstream's connection", error)
                connection.abort()
        self.notify()
        client.next()
