"""One exchange: a client's request and the response to it, and the ways they can end.

Where the response comes from is its source's affair: a call to an upstream (see
`forward`). Every end does the same in the same order: nothing is left open towards
the source that should not be, the client knows what there is to know, and then the
observers get the account. From `end` on nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from proxy.errors import (
    AgedOut,
    ClientError,
    InternalError,
    ProxyError,
    ShuttingDown,
)
from proxy.exchange.absent_client import goes_on
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.response_stream import NOTHING, ResponseStream
from proxy.exchange.stream_ends import StreamEnds
from proxy.exchange.stream_limit import ClientPlace
from proxy.http1.framing import Body
from proxy.http1.head import VERSIONS, RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.kept.registry import KeptStreams, Name
from proxy.policy.delivery import Delivery, Format
from proxy.policy.error_response import Failure, plan_failure
from proxy.policy.forwarded import public_address
from proxy.policy.request_id import NAME, given
from proxy.policy.request_plan import RequestPlan
from proxy.policy.request_value import client_address
from proxy.policy.response_plan import Framing, ResponsePlan
from proxy.policy.routing import Destination, destination
from proxy.timeline import (
    COMPLETE,
    OVER,
    ROUTING,
    CallTimeline,
    Ending,
    Timeline,
    ending_of,
    http_date,
)
from proxy.transport.capture import Capture, Record
from proxy.transport.client_host import entrance
from proxy.transport.client_stream import ClientStream
from proxy.transport.pipeline import Pipeline


class HandingOver(Protocol):
    """The other workers of the same proxy."""

    @property
    def number(self) -> int:
        """Of this worker."""

    @property
    def count(self) -> int:
        """How many workers there are, this one included."""

    def home(self, name: Name, who: bytes) -> int:
        """The worker at which all meet who ask for the same."""

    def keeper(self, name: Name, who: bytes) -> int:
        """Which worker to ask for a key: that which has it, or knows who has."""

    def stop(self, name: Name, who: bytes) -> None:
        """End the streams of a key that are known, whoever has them."""

    def is_taken(self, name: Name) -> bool:
        """Is it known that another worker has a stream of that key?"""

    def hand_over(
        self,
        exchange: Exchange,
        worker: int,
        route: CompiledRoute | None,
        where: Destination,
        body: Body,
        declined: Callable[[], None],
        *,
        last: bool = False,
    ) -> None:
        """Have another worker answer a request; `declined`: called if it cannot."""


class ExchangeOwner(Protocol):
    """Who serves: the configuration as it is now, and whom the end concerns."""

    @property
    def compiled(self) -> CompiledRoutes:
        """The routes."""

    @property
    def kept(self) -> KeptStreams[Any]:
        """The streams that outlive a connection."""

    @property
    def peers(self) -> HandingOver | None:
        """The other workers, if there are any."""

    def exchange_ended(self, exchange: Exchange) -> None:
        """An exchange is over, and its client served."""

    def stream_truncated(self, exchange: Exchange) -> None:
        """A stream of a known family was well framed, and is not complete."""

    def stream_begun(self, exchange: Exchange) -> None:
        """A response is a stream, of which nothing has come yet: it may be recorded."""

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """The response of an exchange is a kept stream, whose call has this account."""

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """What went wrong was told to the client; `written`: by what, in the body."""

    def answer_ended(self, exchange: Exchange) -> None:
        """The upstream of a kept stream has ended, which was a model's answer."""


class ResponseSource(Protocol):
    """Where the response of an exchange comes from."""

    @property
    def waiting_for(self) -> str:
        """What has to happen next, in a word or two."""

    def abort(self) -> None:
        """Nobody waits for it any more."""

    def go_on_for(self, client: ClientStream) -> None:
        """Work for another client from now on."""


class Keeper(Protocol):
    """The stream that the response is, or may become, if it is kept."""

    def request_sent(self) -> None:
        """All of the request has been sent to the upstream."""

    def judge(self, head: ResponseHead, body: Body, delivery: Delivery) -> None:
        """The response head is here: keep what follows, or let it be."""

    def client_left(self, exchange: Exchange, error: ProxyError) -> bool:
        """A client has left: True if its exchange goes on."""

    def exchange_over(self, exchange: Exchange) -> None:
        """The exchange that may have become it is over."""

    def hand_on(self) -> None:
        """The process ends; other processes may go on with it."""


class Exchange:
    """One request and its response."""

    __slots__ = (
        "capture",
        "client",
        "compiled",
        "head",
        "kept",
        "owner",
        "phase",
        "phase_began",
        "place",
        "request_pipeline",
        "request_plan",
        "response_head",
        "response_pipeline",
        "response_plan",
        "route",
        "source",
        "stream",
        "timeline",
    )

    def __init__(
        self, owner: ExchangeOwner, client: ClientStream, head: RequestHead
    ) -> None:
        self.owner = owner
        self.compiled = compiled = owner.compiled
        self.client: ClientStream = client
        self.head = head
        self.phase = ROUTING
        self.phase_began = started = compiled.clock()
        self.timeline = timeline = Timeline(
            started,
            client.address,
            head.method,
            head.target,
            VERSIONS[head.minor],
            client.scheme,
        )
        if (ids := compiled.request_ids) is not None:
            timeline.request_id = ids.of(head, client.address, compiled.is_trusted)
        self.route: CompiledRoute | None = None
        self.source: ResponseSource | None = None
        self.request_plan: RequestPlan | None = None  # as it was sent
        self.response_head: ResponseHead | None = None
        self.response_plan: ResponsePlan | None = None  # as it was sent
        self.stream: StreamEnds | None = None  # if the response is one
        self.kept: Keeper | None = None  # if it may be taken up again, or shared
        self.request_pipeline: Pipeline | None = None
        self.response_pipeline: Pipeline | None = None
        self.capture: Capture | None = None  # while it is recorded
        self.place: ClientPlace | None = None  # if streams of clients are counted

    @property
    def request_id(self) -> bytes:
        """By which all logs on the way speak of it; nothing if requests have none."""
        return self.timeline.request_id

    def believe(self) -> None:
        """Have what a trusted proxy says of the request: its id, whose it is, and
        what its client asked for.
        """
        head, client, timeline = self.head, self.client, self.timeline
        if timeline.request_id:
            timeline.request_id = given(head) or timeline.request_id
        timeline.client = client_address(
            head, client.address, True, self.compiled.is_trusted
        )
        public = public_address(head, client.scheme, True)
        timeline.scheme, timeline.host = public.scheme, public.authority

    def introduce(self) -> None:
        """Note whose request it is, and what for, where no route was looked for."""
        with suppress(ClientError):
            if self.compiled.is_trusted(self.client.address):
                self.believe()
            else:
                self.timeline.host = destination(self.head).authority

    @property
    def is_over(self) -> bool:
        """Has it ended?"""
        return self.phase is OVER

    @property
    def has_client(self) -> bool:
        """Is the response that of one client? Of a kept stream it is not."""
        return True

    @property
    def owns_client(self) -> bool:
        """Is that client on a connection of this worker?"""
        return True

    def leave_place(self) -> None:
        """It is none of the streams that count for its client, or no longer."""
        place, self.place = self.place, None
        if place is not None:
            place.leave()

    @property
    def waiting_for(self) -> str:
        """What has to happen next, in a word or two."""
        if self.phase is OVER or self.source is None:
            return "nothing"
        return "client" if self.client.blocked else self.source.waiting_for

    def respond(self, plan: ResponsePlan) -> None:
        """Send the head of the response."""
        self.response_plan = plan
        self.client.send_plan(plan)
        self.timeline.status = plan.status

    def carry_request(self, pipeline: Pipeline) -> None:
        """The request body begins; what looks at the exchange looks at it too."""
        self.request_pipeline = pipeline
        if self.capture is not None:
            self.capture.attach(pipeline, "request")

    def carry_response(self, pipeline: Pipeline) -> None:
        """The response body begins; what looks at the exchange looks at it too."""
        self.response_pipeline = pipeline
        if self.capture is not None:
            self.capture.attach(pipeline, "response")

    def begin_stream(
        self, head: ResponseHead, kind: Format, framing: Framing
    ) -> ResponseStream:
        """The response is a stream that its client can read."""
        self.stream = stream = ResponseStream(self, head, kind, framing)
        self.owner.stream_begun(self)
        return stream

    def heartbeat(self, beat: bytes, now: float) -> None:
        """A beat of ours goes out to the client."""
        self.timeline.beat_sent(now)
        if self.capture is not None:
            self.capture.heartbeat(beat)

    # -- the ends

    def complete(self) -> None:
        """All went well; the source has been released."""
        self.end(COMPLETE, None)
        self.notify()
        self.client.finish()

    def end(self, ending: Ending, error: ProxyError | None) -> None:
        """Close the account."""
        self.phase = OVER
        if self.place is not None:
            self.leave_place()
        if self.stream is not None and self.stream.judge(ending):
            self.owner.stream_truncated(self)
        try:
            now = self.compiled.clock()
        except Exception as fault:  # nothing may be in the way of an end
            report("the timer of an exchange", fault)
            now = self.phase_began
        if error is not None:  # an account is kept; the frames of its error are not
            error.__traceback__ = None
        self.timeline.end(now, ending, error)
        self.client.detach()

    def abort_source(self) -> None:
        """Leave nothing open towards the source."""
        source, self.source = self.source, None
        if source is not None:
            try:
                source.abort()
            except Exception as fault:
                report("ending a call to an upstream", fault)

    def abort_client(self) -> None:
        """Let go of the client at once."""
        try:
            self.client.abort()
        except Exception as fault:
            report("closing a client connection", fault)

    def notify(self) -> None:
        """Give the observers the account, now that the client is served."""
        self.timeline.heads = (
            self.head,
            self.request_plan,
            self.response_head,
            self.response_plan,
        )
        if self.capture is not None:
            self.capture.over()
        if self.stream is not None:
            self.stream.over()
        # What is over refers to nothing that refers to it: it is freed at once.
        self.source = self.stream = None
        self.request_pipeline = self.response_pipeline = None
        if self.kept is not None:
            kept, self.kept = self.kept, None
            kept.exchange_over(self)
        self.owner.exchange_ended(self)

    def fail(self, error: ProxyError) -> None:
        """Tell the client: by a status, or once the head is out by an abort."""
        if self.phase is OVER:
            return
        client, timeline = self.client, self.timeline
        if self.route is None:
            self.introduce()
        head_sent = timeline.status != 0
        if not head_sent:
            timeline.status = error.status
        stream = self.stream
        last, clean = NOTHING if stream is None else stream.last_event(error)
        timeline.bytes_sent += len(last)
        self.end(ending_of(error), error)
        self.abort_source()
        try:
            if last:
                client.send_piece(last)
            if last and clean:
                client.send_end([])
            elif head_sent:
                client.break_off()
            else:
                last = self.answer(error)
        except Exception as fault:
            report("sending an error response", fault)
            self.abort_client()
        self.owner.exchange_failed(self, last)
        self.notify()
        if clean or not head_sent:
            client.finish()

    def answer(self, error: ProxyError) -> bytes:
        """Answer for the upstream with what went wrong; what the body was."""
        route, client = self.route, self.client
        if client.closed:
            return b""
        detailed, rule = self.sees_detail, self.compiled.error_detail
        failure = Failure(
            error=error,
            elapsed=self.timeline.duration,
            route=route.prefix if route else None,
            target=self.timeline.call.upstream,
            routes=tuple(self.compiled.router.prefixes),
            request_id=self.request_id,
            detailed=detailed,
            hint=rule.hint(error, self.head.target, detailed=detailed),
            record=rule.record_page(client.address, self.head, entrance(client)),
        )
        if not client.request_complete:
            client.end_after_response()
        plan, body = plan_failure(failure, self.head, client.terms, http_date())
        self.send_own(plan, body)
        return body

    @property
    def sees_detail(self) -> bool:
        """Is its client told all of what went wrong ([server] error_detail)?

        What is kept may be read by anybody later.
        """
        head = self.head if self.has_client else None
        return self.compiled.error_detail.is_for(self.client.address, head)

    def send_own(self, plan: ResponsePlan, body: bytes) -> None:
        """Send a response of our own."""
        client = self.client
        if self.compiled.tells_ids and isinstance(plan.content, list):
            plan.content = [*plan.content, (NAME, self.request_id)]
        try:
            self.respond(plan)
            if body:
                client.send_piece(body)
                self.timeline.bytes_sent += len(body)
            client.flush_head()
        except Exception as fault:
            report("sending a response of the proxy itself", fault)
            self.abort_client()

    def client_left(self, error: ClientError | InternalError) -> None:
        """The client is gone, and so is its upstream connection, in every phase.

        Unless its route says that the upstream is read to its end.
        """
        if self.phase is OVER:
            return
        try:
            kept = self.kept
            if kept is None and goes_on(self, error):
                self.leave_place()
                return
            if kept is not None and kept.client_left(self, error):
                return
        except Exception as fault:
            report("going on without a client", fault)
        self.end(ending_of(error), error)
        self.abort_source()
        self.abort_client()
        self.notify()

    def go_on_for(self, client: ClientStream) -> None:
        """Have another client from now on."""
        self.client = client
        if self.source is not None:
            self.source.go_on_for(client)
        pipeline = self.response_pipeline
        if pipeline is not None:
            pipeline.redirect(client)
            pipeline.sink_ready()  # the one before may have been slow

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised while it worked for this exchange."""
        report(place, error)
        try:
            self.fail(InternalError())
        except Exception as again:
            report("ending an exchange", again)
            self.client_left(InternalError())

    # -- the process ends: see `server.drain`

    def drain(self) -> None:
        """The proxy is about to shut down; this exchange has until then."""
        if self.stream is not None:
            self.stream.drain()

    @property
    def comes_back(self) -> bool:
        """Does its client take the end of the stream for the sign to reconnect?"""
        return self.stream is not None and self.stream.comes_back

    def end_early(self) -> None:
        """End the stream at its next boundary, if its client comes back."""
        if self.stream is not None:
            self.stream.end_early()

    @property
    def is_finishing(self) -> bool:
        """Has the client left, and is the upstream read to its end?"""
        return self.timeline.call.finish is not None

    def shut_down(self) -> bool:
        """The time is over. True if the client is left with half a response."""
        finishing = self.is_finishing
        if self.stream is not None:
            return self.stream.shut_down() and not finishing
        self.cut()
        return not finishing

    def cut(self) -> None:
        """End it as it is: a clean end would say that the response is complete."""
        self.fail(
            ShuttingDown("the proxy is shutting down and drain_seconds have passed")
        )

    def end_stream(self) -> None:
        """End the response as if it were complete."""
        self.end_between_events(
            ShuttingDown("the proxy is shutting down: ended between two events")
        )

    def send_on(self) -> None:
        """End a stream that is old, and have its client come by another connection.

        On the one that it has it would come back to this process.
        """
        age = self.compiled.clock() - self.timeline.started
        self.client.leave_connection()
        self.end_between_events(
            AgedOut(
                f"the stream was {age:.1f} s old (max_age_seconds): ended between two "
                "events, so that its client reconnects"
            )
        )

    def end_between_events(self, error: ProxyError) -> None:
        """End the response as if it were complete; `error` is for the log."""
        client = self.client
        self.end(ending_of(error), error)
        self.abort_source()
        try:
            client.send_end([])
        except Exception as fault:
            report("ending a stream at an event boundary", fault)
            self.abort_client()
        self.notify()
        client.finish()

    # -- it is recorded

    def start_capture(self, record: Record) -> None:
        """Note in `record` what passes from now on, in both directions."""
        self.begin_capture(Capture(record, self.compiled.clock))

    def begin_capture(self, capture: Capture) -> None:
        """The same by a capture of another kind."""
        self.capture = capture
        if self.request_pipeline is not None:
            capture.attach(self.request_pipeline, "request")
        if self.response_pipeline is not None:
            capture.attach(self.response_pipeline, "response")

    def stop_capture(self) -> None:
        """Go on as if nothing had been recorded."""
        if self.capture is not None:
            self.capture.remove()
            self.capture = None
