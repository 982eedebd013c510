"""The relay of a request body on routes that look at it: a limit, or a copy."""

from __future__ import annotations

from typing import ClassVar, Protocol

from proxy.errors import ProxyError, TooManyStreams
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.stream_limit import Counted, StreamLimit
from proxy.http1.framing import Body, LengthBody
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.policy.delivery import asks_for_events, calls_json_rpc, may_ask_for_stream
from proxy.timeline import Timeline
from proxy.transport.client_stream import ClientStream
from proxy.transport.flow import Sink
from proxy.transport.pipeline import COPY, Slot
from proxy.transport.relay import Done, MeasuredRequestRelay, RequestRelay
from proxy.transport.request_copy import KeyCopy, RequestCopy


class Requesting(Counted, Protocol):
    """The exchange whose request it is."""

    client: ClientStream
    head: RequestHead
    timeline: Timeline

    def fail(self, error: ProxyError) -> None:
        """Answer it with what went wrong."""


def looking_relay(
    exchange: Requesting, route: CompiledRoute, body: Body, sink: Sink, done: Done
) -> RequestRelay:
    """Relay a body that did not say how long it is within its limit.

    Where a failure may have to name the request, or only its body says that a stream
    is wanted, the body is kept.
    """
    client, timeline, options = exchange.client, exchange.timeline, route.route
    if options.max_body_bytes and not isinstance(body, LengthBody):
        relay: RequestRelay = MeasuredRequestRelay(
            client, sink, done, timeline, options.max_body_bytes
        )
    else:
        relay = RequestRelay(client, sink, done, timeline)
    head, early = exchange.head, route.begins_early
    told = early or options.names_requests
    asks = early and not asks_for_events(head) and may_ask_for_stream(head)
    if asks or (told and calls_json_rpc(head)):
        relay.insert(RequestCopy())
    limit = route.stream_limit
    if (
        limit is not None
        and exchange.owns_client
        and exchange.place is None
        and may_ask_for_stream(head)
    ):
        relay.insert(AskedStream(relay, body, exchange, limit))
    resume = options.resume
    if resume is not None and resume.key.startswith("body:"):
        relay.insert(KeyCopy())
    return relay


class AskedStream(Slot):
    """Counts a request whose body asks for a stream, before the end of it goes on.

    So an upstream never gets all of one that is refused. Nothing waits: the end comes
    in the same call as the piece that completes the body, or has not come.
    """

    __slots__ = ("body", "copy", "exchange", "last", "limit", "relay")
    rank: ClassVar[int] = COPY

    def __init__(
        self, relay: RequestRelay, body: Body, exchange: Requesting, limit: StreamLimit
    ) -> None:
        super().__init__()
        self.relay = relay
        self.body = body
        self.exchange = exchange
        self.limit = limit
        self.copy = RequestCopy()
        self.last = b""

    def send_piece(self, piece: bytes) -> None:
        self.copy.keep(piece)
        if self.body.complete:
            self.last += piece
        else:
            self.next.send_piece(piece)

    def send_end(self, trailers: Fields) -> None:
        self.relay.remove(self)  # a stream may run for hours
        try:
            if self.copy.asks_for_stream:
                self.limit.take(self.exchange)
        except TooManyStreams as error:
            self.exchange.fail(error)
            return
        if self.last:
            self.next.send_piece(self.last)
        self.next.send_end(trailers)
