"""What is known of a stream while it passes, and the verdict on it at its end."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ProxyError, ShuttingDown
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.policy.delivery import LINES, Format, has_digest, reconnects
from proxy.stream.families import (
    PLAIN_EVENTS,
    PLAIN_LINES,
    TRUNCATED,
    Told,
    of_fields,
)
from proxy.timeline import Ending, Timeline
from proxy.transport.boundary import BoundarySlot
from proxy.transport.client_stream import ClientStream
from proxy.transport.family_slot import FamilySlot, family_slot
from proxy.transport.heartbeat import Heartbeat, HeartbeatSlot
from proxy.transport.pipeline import Pipeline


class Streaming(Protocol):
    """An exchange whose response is a stream."""

    format: Format | None
    head: RequestHead
    response_pipeline: Pipeline | None
    route: CompiledRoute | None
    timeline: Timeline


class Beating(Protocol):
    """An exchange whose client may be sent heartbeats."""

    boundary: BoundarySlot | None
    client: ClientStream
    compiled: CompiledRoutes
    response_pipeline: Pipeline | None

    def heartbeat_sent(self, beat: bytes) -> None:
        """A beat was written to the client."""

    def watch_boundary(self, *, at_beginning: bool) -> None:
        """Know from now on where the events of the response end."""


def watch(exchange: Streaming, head: ResponseHead, kind: Format) -> None:
    """A stream begins that can be read: find out of which family it is."""
    pipeline = exchange.response_pipeline
    assert pipeline is not None
    lines = kind is LINES
    family = None if lines else of_fields(head.index)
    account = exchange.timeline.call
    pipeline.insert(FamilySlot(pipeline, account, lines=lines, family=family))


def start_heartbeats(
    exchange: Beating, head: ResponseHead, heartbeat: Heartbeat
) -> None:
    """Keep the stream alive for its client while the upstream is silent.

    Called before the first piece. A client that checks a digest would take a beat
    for a fault.
    """
    exchange.watch_boundary(at_beginning=True)
    pipeline, boundary = exchange.response_pipeline, exchange.boundary
    if pipeline is None or boundary is None or has_digest(head):
        return
    slot = HeartbeatSlot(exchange, boundary, exchange.compiled.clock, heartbeat)
    pipeline.insert(slot)
    slot.begin()


def stop(exchange: Beating) -> None:
    """The stream is over: nothing of it acts later."""
    exchange.boundary = None
    if exchange.response_pipeline is not None:
        exchange.response_pipeline.over()


def ends_by_itself(pipeline: Pipeline | None) -> bool:
    """Does a stream, asked for by GET, have an end of its own?

    Where that is not known yet, it has none.
    """
    slot = family_slot(pipeline) if pipeline is not None else None
    return slot is not None and slot.family is not None and slot.family.ends_get


def failure_of(exchange: Streaming, error: ProxyError) -> tuple[bytes, bool]:
    """What tells of a failure inside the stream, in the form of its family.

    And whether the response may end cleanly behind it: if whoever reads it raises, or
    comes back, and the proxy is not about to stop. Empty where there is no form.
    """
    pipeline, route = exchange.response_pipeline, exchange.route
    assert pipeline is not None
    assert route is not None
    slot = family_slot(pipeline)
    family, first, last = None, None, []
    if slot is not None:
        family, first, last = slot.family, slot.first, slot.recent.items()
    if family is None:
        family = PLAIN_LINES if exchange.format is LINES else PLAIN_EVENTS
    told = Told(error.type, str(error), route.prefix)
    written = family.failure(told, first, last) or b""
    raises = family.raises or (family is PLAIN_EVENTS and reconnects(exchange.head))
    stops = isinstance(error, ShuttingDown) and not family.aborts_badly
    return written, bool(written) and raises and not stops


def judge(exchange: Streaming, ending: Ending) -> bool:
    """Note how a stream of a known family has ended by its own events.

    True if it was truncated: well framed, but without what completes it.
    """
    try:
        pipeline = exchange.response_pipeline
        slot = family_slot(pipeline) if pipeline is not None else None
        if slot is None or slot.family is None:
            return False
        if exchange.head.method == b"GET" and not slot.family.ends_get:
            return False
        verdict = slot.verdict(whole=ending is Ending.COMPLETE)
        if verdict is not None:
            exchange.timeline.call.verdict = verdict.value
    except Exception as error:
        report("judging a stream", error)
        return False
    return verdict is TRUNCATED
