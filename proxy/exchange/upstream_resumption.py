"""An upstream that numbers its events and breaks off is asked for the rest.

By `Last-Event-ID`, as an EventSource would; its clients wait, and see no gap. What they
have of an event that was not complete cannot be taken back: those who stand inside one
are cut, and come back for it.

Attempts go on for `connect_retry_seconds`, counted from the last piece; with 0 there is
one.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from proxy.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    MalformedResponse,
    ProxyError,
    UnexpectedResponse,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamRefused,
    UpstreamRepeats,
    UpstreamTruncated,
    UpstreamUnavailable,
)
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.exchange import Exchange
from proxy.exchange.joined_relay import can_join, join
from proxy.exchange.log_sink import LogSink
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.separation import UpstreamForward
from proxy.exchange.tapped_call import TappedCall
from proxy.exchange.upstream_call import UpstreamCall
from proxy.http1.framing import Body, LengthBody, response_body
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.internal_errors import report
from proxy.kept.log import StreamLog
from proxy.policy.delivery import decide
from proxy.policy.request_plan import RequestPlan
from proxy.policy.routing import Destination
from proxy.stream.event_index import NO_EVENT, EventIndex
from proxy.timeline import WAITING
from proxy.transport.client_stream import ClientStream
from proxy.transport.pipeline import GUARD, Slot
from proxy.transport.upstream_connection import UpstreamConnection

log = logging.getLogger("unbuffered")

INTERVAL = 1.0  # seconds between two attempts
FIRST_BYTES = 64 * 1024  # of the first event, which is held until its id is known
# What passes, so that another attempt may go well.
PASSING = (
    UpstreamTruncated,
    UpstreamDisconnected,
    UpstreamRefused,
    UpstreamUnavailable,
    ConnectTimeout,
    FirstByteTimeout,
)


class UpstreamResumption:
    """The attempts to take one stream up again; made once, when that is first due."""

    __slots__ = (
        "again_at",
        "began",
        "error",
        "exchange",
        "forward",
        "pieces",
        "route",
        "sink",
        "trusted",
        "where",
    )

    def __init__(
        self,
        exchange: Exchange,
        forward: UpstreamForward,
        route: CompiledRoute,
        where: Destination,
        sink: LogSink,
        *,
        trusted: bool,
    ) -> None:
        self.exchange = exchange
        self.forward = forward
        self.route = route
        self.where = where
        self.trusted = trusted
        self.sink = sink
        self.error: ProxyError | None = None  # of which the stream fails in the end
        self.began = 0.0
        self.pieces = -1  # when the attempts began; what has come since ends them
        self.again_at: float | None = None

    # -- is it due?

    def takes_up(self, error: ProxyError) -> bool:
        """Is the upstream asked again, and the failure no end?"""
        index, exchange = self.sink.index, self.exchange
        last = b"" if index is None else index.upstream_id
        if index is None or not last or not isinstance(error, PASSING):
            return False
        now, pieces = exchange.compiled.clock(), exchange.timeline.call.pieces
        progress = pieces > self.pieces
        if progress:
            self.began, self.pieces, self.error = now, pieces, error
        elif now - self.began >= self.route.route.connect_retry_seconds:
            return False
        self.leave_call()
        self.stand_between_events(index)
        exchange.phase, exchange.phase_began = WAITING, now
        if progress:
            log.info(
                "route %s: %s; the upstream is asked for the rest of the stream "
                "(resume_upstream)",
                self.route.prefix,
                error,
            )
            self.ask(last)
        else:
            self.wait(now)
        return True

    def leave_call(self) -> None:
        """Nothing is left open of the attempt before."""
        self.stop()
        self.exchange.source = self
        try:
            self.forward.abort()
        except Exception as fault:
            report("ending a call to an upstream", fault)

    def stand_between_events(self, index: EventIndex) -> None:
        """Forget what will never be complete; cut those who have a part of it."""
        kept, exchange = self.sink.log, self.exchange
        last = None if kept is None else kept.last_events(0)
        if index.reached:
            if index.after_cr:  # what was to come may have been the LF of a CRLF
                self.sink.send_piece(b"\n")
            index.restart()
            return
        if kept is None or last is None:
            return
        self.sink.audience.cut_those_beyond(
            last, UpstreamTruncated("the upstream broke off inside an event")
        )
        kept.roll_back()
        index.restart()
        stream = exchange.stream
        if isinstance(stream, ResponseStream) and stream.boundary is not None:
            stream.boundary.boundary.observe(b"\n\n")

    # -- an attempt

    def wait(self, now: float) -> None:
        """Try again, but not at once."""
        self.again_at = now + INTERVAL
        self.exchange.compiled.ticker.add(self)

    def stop(self) -> None:
        """Try no more later."""
        self.again_at = None
        self.exchange.compiled.ticker.discard(self)

    def check(self, now: float) -> None:
        """Is it time? Called by the ticker."""
        index = self.sink.index
        if self.again_at is not None and now >= self.again_at and index is not None:
            self.stop()
            self.ask(index.upstream_id)

    def ask(self, last: bytes) -> None:
        """Ask for what follows an event."""
        exchange, head = self.exchange, self.exchange.head
        fields = [each for each in head.fields if each[0].lower() != b"last-event-id"]
        fields.append((b"Last-Event-ID", last))
        exchange.head = RequestHead(head.method, head.target, head.minor, fields)
        make = TappedCall if self.route.taps else UpstreamCall
        call = make(
            self,
            exchange,
            self.route,
            self.where,
            LengthBody(0),
            trusted=self.trusted,
            upgrade=False,
        )
        self.forward.call = call
        self.forward.begin(call)

    # -- what the call tells: see `CallOwner`

    def connecting(self, now: float) -> None:
        self.forward.connecting(now)

    def connected(self, now: float, plan: RequestPlan) -> None:
        self.forward.connected(now, plan)

    def send_body(self, body: Body, connection: UpstreamConnection) -> None:
        pass

    def interim(self, head: ResponseHead) -> None:
        pass

    def fail(self, error: ProxyError) -> None:
        self.exchange.fail(error)

    def crashed(self, place: str, error: Exception) -> None:
        self.exchange.crashed(place, error)

    def response(
        self, call: UpstreamCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        """The upstream's head is here: the rest of the stream, its end, or neither."""
        exchange, stream = self.exchange, self.exchange.stream
        try:
            body = response_body(head, exchange.head.method)
            if call.route.lenient is not None:
                body = call.route.lenient.body(body)
        except MalformedResponse as error:
            exchange.fail(error)
            return
        delivery = decide(head, body, call.route.route.decode)
        if head.status == 204:  # an EventSource would stop
            self.forward.call = None
            exchange.compiled.ticker.discard(self.forward)
            exchange.source = None
            connection.read_body(body, Nothing(), keep_alive=True)
            call.release(tunnel=False)
            self.sink.send_end([])
            exchange.complete()
        elif isinstance(stream, ResponseStream) and can_join(head, delivery):
            call.answer_to(self.forward)
            exchange.source = self.forward
            kept = self.sink.log
            guard = None if kept is None else RepetitionGuard(exchange, kept)
            join(
                exchange,
                call,
                stream,
                head,
                body,
                delivery,
                connection,
                self.forward.relayed,
                guard,
            )
        else:
            self.refused(head.status)

    def refused(self, status: int) -> None:
        """The upstream has an answer, and it is not the stream."""
        error: UpstreamError = UnexpectedResponse(
            f"the upstream answered {status} when it was asked for the rest of the "
            "stream (resume_upstream)",
            status,
        )
        if status >= 500:
            error = UpstreamUnavailable(str(error))
        self.exchange.fail(error)

    # -- as the source of the exchange: see `ResponseSource`

    @property
    def waiting_for(self) -> str:
        return "upstream" if self.again_at is not None else self.forward.waiting_for

    def abort(self) -> None:
        self.stop()
        self.forward.abort()

    def go_on_for(self, client: ClientStream) -> None:
        """Its client is the log, and stays so."""


class Nothing:
    """Takes a body that is empty."""

    blocked = False

    def piece(self, data: bytes) -> None:
        pass

    def end(self, trailers: Fields) -> None:
        pass

    def broken(self, error: ProxyError) -> None:
        pass


class RepetitionGuard(Slot):
    """Holds the first event of an upstream that was asked for the rest.

    Until it is known that the upstream goes on, and does not begin anew: then each
    client would get again what it has.
    """

    __slots__ = ("exchange", "held", "index", "log", "size")
    rank: ClassVar[int] = GUARD

    def __init__(self, exchange: Exchange, log: StreamLog) -> None:
        super().__init__()
        self.exchange = exchange
        self.log = log
        self.index = EventIndex(lines=False, prefix=None)
        self.held: list[bytes] = []
        self.size = 0

    def send_piece(self, piece: bytes) -> None:
        self.held.append(piece)
        self.size += len(piece)
        self.index.scan(piece)
        events = [id for _, id in self.index.cuts if id != NO_EVENT]
        if any(id is not None and self.log.after_id(id) is not None for id in events):
            self.exchange.fail(
                UpstreamRepeats(
                    "the upstream sent events again when it was asked for the rest of "
                    "the stream: it does not heed Last-Event-ID; set resume_upstream = "
                    "false for this route"
                )
            )
        elif events or self.size > FIRST_BYTES:
            self.let_pass()

    def send_end(self, trailers: Fields) -> None:
        following = self.next
        self.let_pass()
        following.send_end(trailers)

    def let_pass(self) -> None:
        """Send what was held, and be gone."""
        pipeline = self.exchange.response_pipeline
        if pipeline is not None:
            pipeline.remove(self)
        held, self.held = b"".join(self.held), []
        if held:
            self.next.send_piece(held)
