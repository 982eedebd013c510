"""A response that is a stream which its client can read: of events, or of lines.

What only such a response has: a protocol family and a verdict on its end, boundaries
between its events, heartbeats, and ends between two events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.errors import InternalError, ProxyError, ShuttingDown, UpstreamError
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.graceful_end import GracefulEnd
from proxy.exchange.stream_age import StreamAges
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.policy.delivery import (
    EVENTS,
    LINES,
    Format,
    has_digest,
    reconnects,
    skips_comments,
)
from proxy.policy.error_response import message_of, refusal_event
from proxy.policy.response_plan import LENGTH, Framing
from proxy.stream.families import PLAIN_EVENTS, PLAIN_LINES, of_fields
from proxy.stream.family import TRUNCATED, Told
from proxy.timeline import Ending, Timeline
from proxy.transport.boundary import BoundarySlot
from proxy.transport.client_stream import ClientStream
from proxy.transport.family_slot import FamilySlot, family_slot
from proxy.transport.heartbeat import Heartbeat, HeartbeatSlot
from proxy.transport.pipeline import Pipeline
from proxy.transport.request_copy import request_copy

# What a route may have told inside a stream.
TOLD_INSIDE = (UpstreamError, ShuttingDown, InternalError)
NOTHING = (b"", False)


class Streaming(Protocol):
    """The exchange whose response it is."""

    client: ClientStream
    compiled: CompiledRoutes
    head: RequestHead
    request_pipeline: Pipeline | None
    response_pipeline: Pipeline | None
    route: CompiledRoute | None
    timeline: Timeline

    @property
    def is_over(self) -> bool:
        """Has it ended?"""

    @property
    def has_client(self) -> bool:
        """Is the response that of one client?"""

    @property
    def sees_detail(self) -> bool:
        """Is its client told all of what went wrong?"""

    def heartbeat(self, beat: bytes, now: float) -> None:
        """A beat goes out to the client."""

    def end_stream(self) -> None:
        """End the response as if it were complete."""

    def send_on(self) -> None:
        """The same, and have the client come back by another connection."""

    def cut(self) -> None:
        """End it as it is."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class ResponseStream:
    """One stream. `ours`: where it ends is the proxy's to say.

    `early`: it has begun before the upstream's head (see `early_response`).
    """

    __slots__ = (
        "ages",
        "boundary",
        "early",
        "exchange",
        "heartbeats",
        "kind",
        "old_at",
        "ours",
    )

    def __init__(
        self,
        exchange: Streaming,
        head: ResponseHead,
        kind: Format,
        framing: Framing,
    ) -> None:
        self.exchange = exchange
        self.kind = kind
        self.ours = framing is not LENGTH and head.status != 206
        self.early = False
        self.boundary: BoundarySlot | None = None  # of its events, if that counts
        self.heartbeats: HeartbeatSlot | None = None
        self.ages: StreamAges | None = None  # if it may get too old
        self.old_at = 0
        route = self.route
        self.recognise(head)
        if not self.ours:
            return
        if exchange.client.draining or self.tells_failures:
            self.watch_boundary(at_beginning=True)
        if route.heartbeat is not None and kind is EVENTS and not has_digest(head):
            self.start_heartbeats(route.heartbeat)
        if route.ages is not None:
            self.begin_to_age(route.ages)

    def begin_to_age(self, ages: StreamAges) -> None:
        """End once it is old, if its client comes back then.

        Where its events end has to be known from the beginning: many such streams are
        silent for hours.
        """
        head, has_client = self.exchange.head, self.exchange.has_client
        if has_client and self.kind is EVENTS and reconnects(head):
            self.watch_boundary(at_beginning=True)
            self.ages, self.old_at = ages, ages.add(self)

    def recognise(self, head: ResponseHead) -> None:
        """Find out of which family it is; a part of one (206) tells nothing."""
        if head.status == 206:
            return
        lines = self.kind is LINES
        family = None if lines else of_fields(head.index)
        account, pipeline = self.exchange.timeline.call, self.pipeline
        pipeline.insert(FamilySlot(pipeline, account, lines=lines, family=family))

    def join(self, head: ResponseHead) -> None:
        """The upstream's head is here, and its pipeline that of the exchange."""
        self.early = False
        self.recognise(head)
        if self.boundary is not None:
            self.pipeline.insert(self.boundary)
        if self.heartbeats is not None:
            self.heartbeats.attach(self.pipeline)

    @property
    def pipeline(self) -> Pipeline:
        """The one that it passes through."""
        pipeline = self.exchange.response_pipeline
        assert pipeline is not None
        return pipeline

    @property
    def route(self) -> CompiledRoute:
        """The route of the exchange."""
        route = self.exchange.route
        assert route is not None
        return route

    def watch_boundary(self, *, at_beginning: bool) -> BoundarySlot | None:
        """Know from now on where its events, or lines, end."""
        if self.boundary is None and self.ours:
            self.boundary = BoundarySlot(
                at_beginning=at_beginning, lines=self.kind is LINES
            )
            self.pipeline.insert(self.boundary)
        return self.boundary

    def start_heartbeats(self, heartbeat: Heartbeat) -> None:
        """Keep it alive for its client while the upstream is silent.

        Called before the first piece. A client that checks a digest would take a beat
        for a fault.
        """
        boundary = self.watch_boundary(at_beginning=True)
        if boundary is not None:
            exchange, seconds = self.exchange, heartbeat.seconds
            skips = skips_comments(exchange.head)
            beat = heartbeat.comment if skips else heartbeat.blank_lines
            clock = exchange.compiled.clock
            self.heartbeats = slot = HeartbeatSlot(
                exchange, boundary.boundary, clock, seconds, beat
            )
            slot.begin()
            slot.attach(self.pipeline)

    def over(self) -> None:
        """The exchange has ended: nothing of it acts later."""
        if self.ages is not None:
            self.ages.discard(self, self.old_at)
        self.pipeline.over()

    # -- its end

    def judge(self, ending: Ending) -> bool:
        """Note how a stream of a known family has ended by its own events.

        True if it was truncated: well framed, but without what completes it.
        """
        try:
            slot = family_slot(self.pipeline)
            if slot is None or slot.family is None:
                return False
            if self.exchange.head.method == b"GET" and not slot.family.ends_get:
                return False
            verdict = slot.verdict(whole=ending is Ending.COMPLETE)
            if verdict is not None:
                self.exchange.timeline.call.verdict = verdict.value
        except Exception as error:
            report("judging a stream", error)
            return False
        return verdict is TRUNCATED

    @property
    def tells_failures(self) -> bool:
        """Is a failure told inside it, if it can be?

        One that would have had a status of its own is.
        """
        return self.early or self.route.route.on_upstream_failure == "event"

    def last_event(self, error: ProxyError) -> tuple[bytes, bool]:
        """What tells its client of a failure, in the form of its family.

        And whether the response may end cleanly behind it: if whoever reads it
        raises, or comes back, and the proxy is not about to stop. Often nothing: only
        between two events, since to end an event that is not complete would have the
        client take it for complete.
        """
        boundary = self.boundary
        if (
            not self.tells_failures
            or not isinstance(error, TOLD_INSIDE)
            or boundary is None
            or not boundary.reached
            or self.exchange.client.closed
        ):
            return NOTHING
        try:
            return self.failure(error)
        except Exception as fault:
            report("telling of a failure inside a stream", fault)
            return NOTHING

    def failure(
        self, error: ProxyError, *, detailed: bool | None = None
    ) -> tuple[bytes, bool]:
        """See `last_event`. `detailed`: for another client than the exchange's."""
        copy = request_copy(self.exchange.request_pipeline)
        request = None if copy is None else copy.value
        if detailed is None:
            detailed = self.exchange.sees_detail
        reason = message_of(error, detailed=detailed)
        prefix = self.route.prefix if detailed else ""
        request_id = self.exchange.timeline.request_id.decode("ascii")
        told = Told(error.type, reason, prefix, request, request_id)
        if self.early:
            head = self.exchange.head
            written, raises = refusal_event(error, told, head)
            raises = raises or reconnects(head)
            return written, raises and not isinstance(error, ShuttingDown)
        slot = family_slot(self.pipeline)
        family, first, last = None, None, []
        if slot is not None:
            family, first, last = slot.family, slot.first, slot.recent.items()
        if family is None:
            family = PLAIN_LINES if self.kind is LINES else PLAIN_EVENTS
        written = family.failure(told, first, last) or b""
        comes_back = family is PLAIN_EVENTS and reconnects(self.exchange.head)
        stops = isinstance(error, ShuttingDown) and not family.aborts_badly
        return written, (family.raises or comes_back) and not stops and written != b""

    # -- the process ends: see `server.drain`

    @property
    def comes_back(self) -> bool:
        """Does its client take the end of the stream for the sign to reconnect?

        An EventSource does; but not if the stream has an end of its own, as answers
        of models have: another request would be another answer.
        """
        if self.kind is not EVENTS or not self.ours:
            return False
        slot = family_slot(self.pipeline)
        ends = slot is not None and slot.family is not None and slot.family.ends_get
        return not ends and reconnects(self.exchange.head)

    def drain(self) -> None:
        """It has until the shutdown."""
        if self.comes_back:
            self.watch_boundary(at_beginning=False)

    @property
    def has_begun(self) -> bool:
        """Has anything of it come?"""
        return self.exchange.timeline.call.pieces > 0

    def end_early(self) -> None:
        """End at the next boundary, if the client comes back."""
        self.end_at_boundary(self.send_away)

    def end_at_boundary(self, way: Callable[[], None]) -> None:
        """End that way at the next boundary, if the client comes back.

        But behind its first event: until then it may be an answer of a model that
        thinks.
        """
        boundary = self.boundary
        if boundary is not None and self.comes_back:
            end = GracefulEnd(self.exchange, boundary, way)
            if self.has_begun:
                end.begin()
            else:
                boundary.at_boundary = end.begin

    def send_away(self) -> None:
        """End it, if its client still comes back: an answer may have begun by now."""
        if self.comes_back:
            self.exchange.end_stream()

    # -- it gets old: see `stream_age`

    def grown_old(self) -> None:
        """It has reached its age."""
        self.end_at_boundary(self.send_on)

    def send_on(self) -> None:
        """Have its client go to another process, if it still comes back."""
        if self.comes_back:
            self.exchange.send_on()

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it ended."""
        self.exchange.crashed(place, error)

    # -- the time is over

    def shut_down(self) -> bool:
        """The time is over. True if the client is left with half a response.

        If its client comes back, it ends at its next boundary. If it tells of
        failures, it has as long to reach one; else it is cut.
        """
        exchange, boundary = self.exchange, self.boundary
        if boundary is not None and self.comes_back:
            if self.has_begun:
                self.end_early()
            else:
                exchange.end_stream()
            return False
        if boundary is not None and self.tells_failures:
            GracefulEnd(exchange, boundary, exchange.cut).begin()
        else:
            exchange.cut()
        return True
