"""The answer to bytes that are no request: there is no exchange for it."""

from __future__ import annotations

from proxy.errors import ProxyError
from proxy.exchange.compiled_routes import CompiledRoutes
from proxy.policy.error_response import Failure, plan_failure
from proxy.timeline import Clock, Timeline, ending_of, http_date
from proxy.transport.client_host import HostedStream


def rejected(
    compiled: CompiledRoutes, clock: Clock, client: HostedStream, error: ProxyError
) -> tuple[Timeline, bytes]:
    """Send it. What is to be told of it, and the body that the client was sent."""
    version = "2.0" if client.connection.protocol == "h2" else "1.1"
    timeline = Timeline(clock(), client.address, version=version, scheme=client.scheme)
    timeline.status = error.status
    if compiled.request_ids is not None:
        timeline.request_id = compiled.request_ids.new()
    failure = Failure(
        error=error,
        elapsed=0.0,
        request_id=timeline.request_id,
        tells_id=compiled.tells_ids,
        detailed=compiled.error_detail.is_for(client.address, None),
    )
    plan, body = plan_failure(failure, None, client.terms, http_date())
    client.send_plan(plan)
    client.send_piece(body)
    timeline.bytes_sent = len(body)
    timeline.end(clock(), ending_of(error), error)
    return timeline, body
