"""The life of a request: READ THIS FIRST.

A `Forward` is one exchange: a request and its response. Its methods stand in
the order in which they happen. Each is called by the loop when its bytes are
there and none waits, so a piece goes out in the turn in which it came in.

    1 start      request head          -> which route?
    2 request    fields, path          -> the upstream request, ready to send
    3 connect    an idle connection    -> or a new one
    4 connected  request head and body -> to the upstream, as they arrive
    5 response   response head         -> which delivery?
    6 deliver    fields, framing       -> head to the client, relay on
    7 complete   last piece            -> keep or close both ends, tell the log

What can go wrong comes in any phase and ends the exchange, once: `fail` (the
upstream, a limit, a malformed request) or `client_left`, both in `exchange`.
"""

from __future__ import annotations

import asyncio
import logging

from proxy.errors import (
    ClientError,
    MalformedResponse,
    MethodNotSupported,
    ProxyError,
    UpstreamDisconnected,
    UpstreamError,
)
from proxy.exchange import Exchange
from proxy.http1.framing import Body, LengthBody, request_body, response_body
from proxy.http1.head import ResponseHead
from proxy.policy import messages
from proxy.policy.delivery import Delivery, decide
from proxy.policy.routing import destination
from proxy.prepared import PreparedRoute
from proxy.stream.decoding import ContentDecoder
from proxy.timeline import Ending, Phase, http_date
from proxy.transport.relay import DecodingRelay, RequestRelay, ResponseRelay
from proxy.transport.tunnel import Tunnel
from proxy.transport.upstream import UpstreamConnection

log = logging.getLogger("unbuffered")


class Forward(Exchange):
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
        except ClientError as error:
            client.keep_alive = False  # where the next request begins is unsure
            self.fail(error)
            return
        client.keep_alive = messages.wants_keep_alive(head)
        client.body = body
        try:
            self.route = self.prepared.router.match(where.path)
        except ClientError as error:
            self.fail(error)
            return
        self.timeline.route = self.route.prefix
        self.request(self.route, where.path, where.authority, body)

    # 2. The upstream request.

    def request(
        self, route: PreparedRoute, path: bytes, host: bytes | None, body: Body
    ) -> None:
        """Write the upstream request's head."""
        head = self.head
        if messages.is_upgrade(head):
            self.upgrade = route.route.ws
            if not self.upgrade:
                log.info(
                    "route %s: the client asked for an upgrade to %s, sent on as "
                    "plain HTTP; set ws = true on this route to tunnel it",
                    route.prefix,
                    (head.get(b"upgrade") or b"").decode("latin-1"),
                )
        self.repeatable = body.complete and head.method in messages.IDEMPOTENT
        self.request_bytes = messages.upstream_request(
            head, route, path, host, body, self.client, upgrade=self.upgrade
        )
        self.connect(reuse=True)

    # 3. A connection to the upstream.

    def connect(self, *, reuse: bool) -> None:
        """Take an idle connection, or open one."""
        assert self.route is not None
        self.enter(Phase.CONNECTING)
        self.prepared.deadlines.add(self)
        connection = self.route.upstream.take() if reuse else None
        if connection is not None:
            self.connected(connection)
        else:
            loop = asyncio.get_running_loop()
            self.connecting = loop.create_task(self.open(self.route))

    async def open(self, route: PreparedRoute) -> None:
        """Open a connection; cancelled when the client leaves or time is up."""
        try:
            connection = await route.upstream.open()
        except UpstreamError as error:
            self.connecting = None
            self.fail(error)
        else:
            self.connecting = None
            self.connected(connection)

    # 4. Head and body go to the upstream.

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the request; its body follows piece by piece as it arrives."""
        client = self.client
        self.connection = connection
        self.timeline.connected = self.prepared.clock()
        self.enter(Phase.WAITING)
        body = client.body
        assert body is not None
        connection.send_head(
            self.request_bytes,
            chunked=not isinstance(body, LengthBody),
            requester=self,
        )
        relay = RequestRelay(client, connection, self.request_sent, self.timeline)
        client.read_body(body, relay)

    def request_sent(self, error: ProxyError | None) -> None:
        """The request is complete, or turned out malformed."""
        if error is not None:
            self.client.keep_alive = False
            self.fail(error)
        elif self.phase is Phase.WAITING:
            self.phase_began = self.prepared.clock()

    def informational(self, head: ResponseHead) -> None:
        """A 1xx response on the way to the final one (RFC 9110 §15.2)."""
        if self.head.minor >= 1:
            self.client.send_informational(messages.informational(head))

    # 5. Which delivery?

    def response(self, head: ResponseHead) -> None:
        """Judge the upstream's response head."""
        route, connection = self.route, self.connection
        assert route is not None
        assert connection is not None
        now = self.prepared.clock()
        self.timeline.head_received = self.timeline.silent_since = now
        try:
            if head.status == 101:
                self.switch(head, route, connection)
                return
            body = response_body(head, self.head.method)
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
        route: PreparedRoute,
        connection: UpstreamConnection,
    ) -> None:
        """Send the response head and let the body flow."""
        client, timeline, clock = self.client, self.timeline, self.prepared.clock
        self.enter(Phase.RELAYING)
        self.request_bytes = b""
        if head.status >= 400 and not client.request_complete:
            client.keep_alive = False  # the rest of the upload is not wanted
        sized = isinstance(body, LengthBody) and not delivery.codings
        chunked = not sized and self.head.minor >= 1
        self.close_is_end = not sized and not chunked
        if self.close_is_end:
            client.keep_alive = False
        timeline.status = head.status
        client.send_head(
            messages.client_response(
                head,
                body,
                delivery,
                route,
                self.head.minor,
                chunked=chunked,
                keep_alive=client.keep_alive,
                date=http_date,
            ),
            chunked=chunked,
        )
        if delivery.codings:
            decoder = ContentDecoder(delivery.codings)
            relay: ResponseRelay = DecodingRelay(
                connection, client, self.relayed, timeline, clock, decoder
            )
        else:
            relay = ResponseRelay(connection, client, self.relayed, timeline, clock)
        connection.read_body(body, relay, keep_alive=messages.wants_keep_alive(head))

    def switch(
        self, head: ResponseHead, route: PreparedRoute, connection: UpstreamConnection
    ) -> None:
        """101: become a tunnel, if that is what the client asked for.

        Raises:
            MalformedResponse: the client asked for no upgrade, or another.
        """
        if not self.upgrade or not messages.is_agreed(self.head, head):
            raise MalformedResponse("the upstream switched protocols unasked")
        self.enter(Phase.TUNNEL)
        self.timeline.status = 101
        self.client.keep_alive = False
        self.client.send_head(messages.switching(head, route), chunked=False)
        Tunnel(
            self.client, connection, self.relayed, self.timeline, self.prepared.clock
        )

    # 7. The end.

    def relayed(self, error: ProxyError | None) -> None:
        """The response body, or the tunnel, has ended."""
        if error is not None:
            self.fail(error)
        elif self.phase is not Phase.OVER:
            self.complete()

    def complete(self) -> None:
        """All went well: both connections may serve again."""
        client, connection = self.client, self.connection
        tunnel = self.phase is Phase.TUNNEL
        self.over(Ending.COMPLETE, None)
        if connection is not None:
            if tunnel:
                connection.close_tunnel()
            elif client.request_complete:
                connection.release()
            else:
                connection.drop()
        client.next()

    def upstream_failed(self, error: UpstreamError) -> None:
        """The upstream broke before its response head was complete.

        A kept connection may have been closed just as the request went out:
        then the request is sent once more on a new one, if it may be repeated
        (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
        """
        connection = self.connection
        assert connection is not None
        if (
            isinstance(error, UpstreamDisconnected)
            and connection.reused
            and not connection.ahead
            and not connection.informational
            and self.repeatable
        ):
            self.connection = None
            self.connect(reuse=False)
            return
        self.fail(error)
