"""The time limits of an exchange, looked at while it waits: whose turn is it?

Which limit has passed is said by `policy.timeouts`, of the clocks that are kept here.
"""

from __future__ import annotations

from proxy.errors import ConnectTimeout
from proxy.exchange.exchange import Exchange
from proxy.exchange.upstream_call import UpstreamCall
from proxy.policy.timeouts import exceeded, unlimited
from proxy.timeline import CONNECTING, RELAYING, TUNNEL, WAITING
from proxy.transport.relay import DecodingRelay


def check_limits(exchange: Exchange, call: UpstreamCall, now: float) -> bool:
    """End what has lasted too long; False: no limit of it can pass any more."""
    client, timeline, phase = exchange.client, exchange.timeline, exchange.phase
    if call.dial is not None and call.dial.check(now):
        return True
    moved = is_at_work(exchange, call)
    if phase in (WAITING, RELAYING) and call.takes_upload(timeline.bytes_received):
        moved = moved or phase is WAITING or client.paused
    if moved and phase is WAITING:
        exchange.phase_began = now
    elif moved and phase is not CONNECTING:
        timeline.call.silent_since = now
    limits = call.route.route
    error = exceeded(
        limits,
        phase,
        elapsed=now - timeline.started,
        waited=0.0 if call.waits else now - exchange.phase_began,
        silence=now - timeline.call.silent_since,
        upstream_to_move=upstream_to_move(exchange),
        untaken=call.untaken,
    )
    if isinstance(error, ConnectTimeout):
        call.connect_timed_out(error)
    elif error is not None:
        exchange.fail(error)
    elif phase in (RELAYING, TUNNEL) and unlimited(limits):
        return False
    return True


def is_at_work(exchange: Exchange, call: UpstreamCall) -> bool:
    """Has the proxy bytes of the upstream that it has yet to handle?"""
    connection, relay = call.connection, exchange.response_pipeline
    if connection is not None and connection.resting:
        return True
    return isinstance(relay, DecodingRelay) and (relay.resting or relay.ended)


def upstream_to_move(exchange: Exchange) -> bool:
    """Is it the upstream that is waited for? Not while its client is slow."""
    client, phase = exchange.client, exchange.phase
    if phase is TUNNEL:
        return not client.blocked
    if phase is RELAYING:
        # An upload may still run, and either side may wait for it.
        uploading = not client.request_complete and not client.paused
        return not client.blocked and not uploading
    return client.request_complete or client.paused
