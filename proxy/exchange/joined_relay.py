"""An event stream of the upstream that goes into a response which has begun already."""

from __future__ import annotations

from proxy.exchange.exchange import Exchange
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.framing import Body
from proxy.http1.head import ResponseHead
from proxy.http1.persistence import stays_in_step
from proxy.policy.delivery import EVENTS, Delivery
from proxy.policy.request_plan import takes_trailers
from proxy.policy.response_plan import STREAM
from proxy.stream.content_decoder import ContentDecoder
from proxy.timeline import RELAYING
from proxy.transport.pipeline import Slot
from proxy.transport.relay import DecodingRelay, Done, ResponseRelay
from proxy.transport.upstream_connection import UpstreamConnection


def can_join(head: ResponseHead, delivery: Delivery) -> bool:
    """Is it an event stream from its beginning?"""
    whole = 200 <= head.status < 300 and head.status not in (204, 205, 206)
    return whole and delivery.format is EVENTS


def join(
    exchange: Exchange,
    call: UpstreamCall,
    stream: ResponseStream,
    head: ResponseHead,
    body: Body,
    delivery: Delivery,
    connection: UpstreamConnection,
    done: Done,
    first: Slot | None = None,
) -> None:
    """Relay it into the response; `first`: a slot that sees it before all others."""
    client, route, timeline = exchange.client, call.route, exchange.timeline
    clock, plan = exchange.compiled.clock, exchange.response_plan
    exchange.phase, exchange.phase_began = RELAYING, clock()
    timeline.call.coded = delivery.codings
    if delivery.codings:
        decoder = ContentDecoder(delivery.codings, route.route.max_decoding_ratio)
        relay: ResponseRelay = DecodingRelay(
            connection, client, done, timeline, clock, decoder
        )
    else:
        relay = ResponseRelay(connection, client, done, timeline, clock)
    assert plan is not None
    if plan.framing is STREAM and takes_trailers(exchange.head):
        relay.trailers = route.response_rules.trailers
    exchange.carry_response(relay)
    stream.join(head)
    if first is not None:
        relay.insert(first)
    connection.read_body(body, relay, keep_alive=stays_in_step(head))
