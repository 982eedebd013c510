"""From one exchange two: that of a client, and that with the upstream."""

from __future__ import annotations

from typing import Protocol

from proxy.exchange.exchange import Exchange, ExchangeOwner
from proxy.exchange.upstream_call import UpstreamCall
from proxy.transport.client_stream import ClientStream


class UpstreamForward(Protocol):
    """The `Forward` that asks the upstream."""

    call: UpstreamCall | None
    exchange: Exchange


def separated(
    first: Exchange,
    forward: UpstreamForward,
    owner: ExchangeOwner,
    client: ClientStream,
) -> Exchange:
    """The exchange with the upstream, whose client is another from now on.

    It has the account of the call, the limits and the failures of the `first`, which
    has no source of its response any more.
    """
    exchange = Exchange(owner, client, first.head)
    timeline = exchange.timeline
    timeline.call = first.timeline.call
    timeline.started = first.timeline.started
    timeline.route = first.timeline.route
    timeline.bytes_received = first.timeline.bytes_received
    exchange.phase, exchange.phase_began = first.phase, first.phase_began
    exchange.route = first.route
    exchange.request_plan = first.request_plan
    exchange.request_pipeline = first.request_pipeline
    exchange.response_head = first.response_head
    exchange.source, first.source = first.source, None
    forward.exchange = exchange
    if forward.call is not None:
        forward.call.client = client
    return exchange
