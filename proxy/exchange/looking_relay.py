"""The relay of a request body on routes that look at it: a limit, or a copy."""

from __future__ import annotations

from typing import Protocol

from proxy.exchange.compiled_routes import CompiledRoute
from proxy.http1.framing import Body, LengthBody
from proxy.http1.head import RequestHead
from proxy.policy.delivery import asks_for_events, calls_json_rpc, may_ask_for_stream
from proxy.timeline import Timeline
from proxy.transport.client_stream import ClientStream
from proxy.transport.flow import Sink
from proxy.transport.relay import Done, MeasuredRequestRelay, RequestRelay
from proxy.transport.request_copy import KeyCopy, RequestCopy


class Requesting(Protocol):
    """The exchange whose request it is."""

    client: ClientStream
    head: RequestHead
    timeline: Timeline


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
    told = early or options.on_upstream_failure == "event"
    asks = early and not asks_for_events(head) and may_ask_for_stream(head)
    if asks or (told and calls_json_rpc(head)):
        relay.insert(RequestCopy())
    resume = options.resume
    if resume is not None and resume.key.startswith("body:"):
        relay.insert(KeyCopy())
    return relay
