"""A response that begins before the upstream's: `heartbeat_before_head`.

Behind a hop that allows 30 s of silence, a model that thinks for two minutes is kept
alive by a response that says nothing yet: the head of an event stream, and heartbeats.
The upstream's own status and fields can no longer be sent. Its event stream is relayed
into the response; all else becomes an event that tells of an error.

An `EarlyResponse` stands between a call and the `Forward` for which it is made, and is
made only where a route and a request ask for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from proxy.errors import (
    MalformedResponse,
    ProxyError,
    TooManyStreams,
    UnexpectedResponse,
)
from proxy.exchange.exchange import Exchange, ResponseSource
from proxy.exchange.joined_relay import can_join, join
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.upstream_call import CallOwner, UpstreamCall
from proxy.http1.framing import Body, UntilCloseBody, response_body
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.internal_errors import report
from proxy.line_writer import excerpt
from proxy.policy.delivery import (
    EVENT_STREAM,
    EVENTS,
    Delivery,
    asks_for_events,
    calls_json_rpc,
    decide,
    may_ask_for_stream,
    media_type,
)
from proxy.policy.request_plan import RequestPlan
from proxy.policy.response_plan import plan_response
from proxy.policy.upgrade import is_extended_connect
from proxy.stream.content_decoder import ContentDecoder, DecodingError
from proxy.timeline import CONNECTING, http_date
from proxy.transport.client_stream import ClientStream
from proxy.transport.heartbeat import EARLY, Heartbeat
from proxy.transport.pipeline import Pipeline
from proxy.transport.relay import Done
from proxy.transport.request_copy import drop_copy, request_copy
from proxy.transport.upstream_connection import UpstreamConnection

BODY_BYTES = 4096  # of a body that is no event stream, told of in the error event
MOST_TYPE = 40  # characters of a Content-Type in a message
BODY_SECONDS = 2.0  # that it may take to come

log = logging.getLogger("unbuffered")


class Forwarding(CallOwner, ResponseSource, Protocol):
    """The `Forward` that asked for the call."""

    exchange: Exchange

    @property
    def relayed(self) -> Done:
        """Told when the body has ended."""


def begin_early(forward: Forwarding, exchange: Exchange, call: UpstreamCall) -> None:
    """Have the response begin early, if its client wants an event stream."""
    heartbeat = call.route.heartbeat
    if heartbeat is not None and early_reason(call) is None:
        EarlyResponse(forward, exchange, call, heartbeat)


def early_reason(call: UpstreamCall) -> str | None:
    """Why the response to a request may not begin early, if so."""
    if call.head.method == b"HEAD":
        return "the response to HEAD has no body"
    if call.upgrade or is_extended_connect(call.head):
        return "the request asks for an upgrade"
    if not asks_for_events(call.head) and not may_ask_for_stream(call.head):
        return "it does not ask for an event stream, and is not a POST of JSON"
    return None


class EarlyResponse:
    """The response to one request, up to the upstream's response head."""

    def __init__(
        self,
        forward: Forwarding,
        exchange: Exchange,
        call: UpstreamCall,
        heartbeat: Heartbeat,
    ) -> None:
        self.forward = forward
        self.exchange = exchange
        self.call = call
        self.heartbeat = heartbeat
        self.clock = exchange.compiled.clock
        self.asks_for_events = asks_for_events(call.head)
        self.stream: ResponseStream | None = None  # once the response has begun
        self.timer: asyncio.TimerHandle | None = None
        exchange.source = self
        call.answer_to(self)
        self.wait(heartbeat.seconds)

    # -- the head

    def wait(self, seconds: float) -> None:
        self.timer = asyncio.get_running_loop().call_later(seconds, self.rang)

    def rang(self) -> None:
        """Begin the response if it is time to; called by the loop."""
        self.timer = None
        try:
            seconds = self.heartbeat.seconds
            left = self.exchange.timeline.started + seconds - self.clock()
            if left > EARLY:
                self.wait(left)
            elif self.may_begin:
                if self.wants_stream:
                    self.begin()
                self.drop_body(told=self.stream is not None)
            else:
                self.wait(seconds)
        except Exception as error:
            self.exchange.crashed("beginning a response early", error)

    @property
    def may_begin(self) -> bool:
        """Does the client wait for a response, and take one?

        While it sends its request, something passes. What it has yet to send when no
        connection stands is waited for by nobody; but with Expect: 100-continue it
        would take a response for a refusal (RFC 9110 §10.1.1).
        """
        client = self.exchange.client
        if client.blocked or client.closed:
            return False
        if client.request_complete:
            return self.asks_for_events or self.exchange.phase is not CONNECTING
        exchange = self.exchange
        expects = b"expect" in exchange.head.index
        return exchange.phase is CONNECTING and not expects and self.asks_for_events

    @property
    def wants_stream(self) -> bool:
        """Does the client want an event stream, by its Accept or by its body?"""
        if self.asks_for_events:
            return True
        copy = request_copy(self.exchange.request_pipeline)
        return copy is not None and copy.asks_for_stream

    def begin(self) -> None:
        """Send the head of an event stream, and the first heartbeat."""
        fields: Fields = [
            (b"Content-Type", EVENT_STREAM),
            (b"Cache-Control", b"no-cache"),
        ]
        head = ResponseHead(200, b"OK", 1, fields)
        delivery = Delivery(stream=True, codings=(), format=EVENTS)
        limit = self.call.route.stream_limit
        if limit is not None:
            try:
                limit.judge(self.exchange, head, UntilCloseBody())
            except TooManyStreams as error:
                self.exchange.fail(error)
                return
        if self.exchange.kept is not None:  # then the client is no longer this one's
            self.exchange.kept.judge(head, UntilCloseBody(), delivery)
            self.exchange = self.forward.exchange
            if self.exchange.is_over:  # nobody waits for what is not kept
                return
        exchange, client = self.exchange, self.exchange.client
        route, date = self.call.route, http_date()
        plan = plan_response(
            head, UntilCloseBody(), delivery, route, client.terms, date
        )
        exchange.respond(plan)
        exchange.timeline.stream = True
        self.call.account.content_type = EVENT_STREAM
        exchange.response_pipeline = Pipeline(client, client)
        self.stream = stream = exchange.begin_stream(head, EVENTS, plan.framing)
        stream.early = True
        client.flush_head()

    # -- what the call tells

    def connecting(self, now: float) -> None:
        self.forward.connecting(now)

    def connected(self, now: float, plan: RequestPlan) -> None:
        self.forward.connected(now, plan)

    def send_body(self, body: Body, connection: UpstreamConnection) -> None:
        self.forward.send_body(body, connection)

    def interim(self, head: ResponseHead) -> None:
        if self.stream is None:  # no 1xx may follow a final head
            self.forward.interim(head)

    def response(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """The upstream's head is here."""
        self.stop()
        stream, exchange = self.stream, self.exchange
        if stream is None:
            self.leave()
            self.forward.response(call, head, connection)
            return
        exchange.response_head = head
        exchange.phase_began = self.clock()
        call.account.content_type = EVENT_STREAM  # as the client has it
        try:
            body = response_body(head, exchange.head.method)
            if call.route.lenient is not None:
                body = call.route.lenient.body(body)
        except MalformedResponse as error:
            exchange.fail(error)
            return
        # No field says any more that the body is coded: all has to come off.
        delivery = decide(head, body, "always")
        if can_join(head, delivery):
            self.leave()
            self.join(stream, head, body, delivery, connection)
        else:
            self.refuse(head, body, delivery, connection)

    def fail(self, error: ProxyError) -> None:
        self.exchange.fail(error)

    def crashed(self, place: str, error: Exception) -> None:
        self.forward.crashed(place, error)

    # -- the upstream's response

    def join(
        self,
        stream: ResponseStream,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        connection: UpstreamConnection,
    ) -> None:
        """Relay an event stream into the response that has begun."""
        log.debug(
            "route %s: heartbeat_before_head: status %d and the fields of the upstream "
            "were not sent: %s",
            self.call.route.prefix,
            head.status,
            ", ".join(sorted(name.decode("ascii", "replace") for name in head.index)),
        )
        join(
            self.exchange,
            self.call,
            stream,
            head,
            body,
            delivery,
            connection,
            self.forward.relayed,
        )

    def refuse(
        self,
        head: ResponseHead,
        body: Body,
        delivery: Delivery,
        connection: UpstreamConnection,
    ) -> None:
        """Tell of a response that cannot be relayed, and how its body begins."""
        kind = excerpt(media_type(head).decode("latin-1"), MOST_TYPE)
        reason = (
            f"the upstream answered {head.status}{f' with {kind}' if kind else ''}, "
            "when the response had begun as an event stream (heartbeat_before_head)"
        )
        error = UnexpectedResponse(reason, head.status)
        decoder = ContentDecoder(delivery.codings, 1) if delivery.codings else None
        beginning = BodyBeginning(self, error, decoder)
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(BODY_SECONDS, beginning.done)
        connection.read_body(body, beginning, keep_alive=False)

    # -- the end

    def drop_body(self, *, told: bool) -> None:
        """Keep the request's body no longer, unless a failure has to name its id.

        `told`: a failure is told inside the response.
        """
        told = told or self.call.route.route.names_requests
        if not told or not calls_json_rpc(self.call.head):
            drop_copy(self.exchange.request_pipeline)

    def leave(self) -> None:
        """The rest is between the call and its owner."""
        self.exchange.source = self.forward
        self.call.answer_to(self.forward)
        self.drop_body(told=False)

    def stop(self) -> None:
        """Do nothing more later."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def go_on_for(self, client: ClientStream) -> None:
        if self.stream is None:  # nobody is there for whom to begin
            self.stop()
            self.leave()
        self.forward.go_on_for(client)

    @property
    def waiting_for(self) -> str:
        return self.forward.waiting_for

    def abort(self) -> None:
        self.stop()
        self.leave()
        self.forward.abort()


class BodyBeginning:
    """Takes the beginning of a body for an error event, and is done then."""

    blocked = False

    def __init__(
        self,
        early: EarlyResponse,
        error: UnexpectedResponse,
        decoder: ContentDecoder | None,
    ) -> None:
        self.early: EarlyResponse | None = early
        self.error = error
        self.decoder = decoder

    def piece(self, data: bytes) -> None:
        error = self.error
        try:
            for step in (data,) if self.decoder is None else self.decoder.decode(data):
                error.body += step[: BODY_BYTES - len(error.body)]
                if len(error.body) == BODY_BYTES:
                    self.done()
                    return
        except DecodingError:
            self.done()

    def end(self, trailers: Fields) -> None:
        self.done()

    def broken(self, error: ProxyError) -> None:
        self.done()

    def done(self) -> None:
        """That is all; called by the loop, too, when it takes too long."""
        early, self.early = self.early, None
        if early is None:
            return
        try:
            early.stop()
            early.exchange.fail(self.error)
        except Exception as fault:
            report("telling of an unexpected response", fault)
            early.exchange.abort_client()
