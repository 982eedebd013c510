"""The tap that plays an upstream with faults: see `policy.fault_engine`.

It reads the body of the upstream itself, as that is framed. What the faults make of it
is handed on as the head has it framed that the owner of the call gets. So whoever makes
something of the response has an upstream with these faults before it.

While it waits, or the client is slow, the upstream is not read: what the queue holds is
of one read, beside what the engine may hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import MalformedResponse, ProxyError, UpstreamTruncated
from proxy.exchange.tapped_call import CallTap, TappedCall
from proxy.http1.framing import Body, LengthBody, UntilCloseBody, response_body
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.http1.persistence import stays_in_step
from proxy.policy.fault_engine import FaultEngine, FaultSource
from proxy.policy.fault_steps import (
    Complete,
    Fin,
    HeadSteps,
    Reset,
    Send,
    Step,
    StepQueue,
    Wait,
)
from proxy.policy.request_plan import RequestPlan
from proxy.transport.flow import Receiver
from proxy.transport.request_copy import request_copy
from proxy.transport.upstream_connection import UpstreamConnection

STEPS_A_TURN = 64
ON_PURPOSE = "a fault of this route"


class FaultTap(CallTap):
    """The faults of one call. Without an engine it lets all pass."""

    __slots__ = (
        "body",
        "connection",
        "engine",
        "failure",
        "given",
        "head",
        "made",
        "pumping",
        "queue",
        "real",
        "receiver",
        "source",
        "stalled",
        "started",
        "timer",
        "trailers",
    )

    def __init__(self, call: TappedCall, source: FaultSource) -> None:
        super().__init__(call)
        self.source: FaultSource | None = source  # until the request is sent
        self.engine: FaultEngine | None = None
        self.queue = StepQueue()
        self.timer: asyncio.Handle | None = None  # of a wait
        # The upstream's response, as it is.
        self.connection: UpstreamConnection | None = None
        self.head: ResponseHead | None = None
        self.real: Body | None = None
        self.started = False  # its body is being read
        self.trailers: Fields = []
        self.failure: ProxyError | None = None
        # The response with its faults.
        self.made: HeadSteps | None = None
        self.given = False  # its head was
        self.body: Body | None = None
        self.receiver: Receiver | None = None
        self.pumping = self.stalled = False

    # -- what the call tells

    def connected(self, now: float, plan: RequestPlan) -> None:
        source, self.source = self.source, None
        if source is not None:  # else the same request is sent once more
            self.engine = source.next()
        super().connected(now, plan)

    def response(
        self, call: TappedCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        engine, real = self.engine, self.real_body(call, head)
        if engine is None or real is None:
            self.engine = None
            super().response(call, head, connection)
            return
        copy = request_copy(self.exchange.request_pipeline)
        engine.request = None if copy is None else copy.value
        has_body = call.head.method != b"HEAD"
        made = engine.head(head.status, head.fields, has_body=has_body)
        self.connection, self.head, self.real, self.made = connection, head, real, made
        self.queue.add(made.steps)
        if made.wait:
            self.begin_reading()
            self.hold()
            self.wait(made.wait)
        else:
            self.give_head()

    def real_body(self, call: TappedCall, head: ResponseHead) -> Body | None:
        """The body of the upstream's response; None: malformed, as others will say."""
        if head.status == 101:
            return UntilCloseBody()
        try:
            body = response_body(head, call.head.method)
            return body if call.route.lenient is None else call.route.lenient.body(body)
        except MalformedResponse:
            return None

    def give_head(self) -> None:
        """The head of the response, as its faults have it, is here."""
        head, made, connection = self.head, self.made, self.connection
        assert head is not None
        assert made is not None
        assert connection is not None
        self.given = True
        call = self.call
        call.account.head_received = call.account.silent_since = call.clock()
        if made.replaces or made.fields is not head.fields:
            reason = made.reason or head.reason
            head = ResponseHead(made.status, reason, 1, made.fields)
        super().response(call, head, connection)

    # -- the upstream's body, in

    def response_to(self, body: Body, receiver: Receiver) -> Receiver:
        inner = super().response_to(body, receiver)
        if self.engine is None:
            return inner
        self.body, self.receiver = body, inner
        self.begin_reading()
        self.go_on()
        return self

    def begin_reading(self) -> None:
        """Read the body of the upstream, as it is."""
        connection, head, real = self.connection, self.head, self.real
        if self.started or connection is None or real is None or head is None:
            return
        self.started = True
        if head.status == 101:
            connection.tunnelled = True
        connection.begin_body(real, self, keep_alive=stays_in_step(head))

    @property
    def blocked(self) -> bool:
        return bool(self.queue) or self.timer is not None

    def piece(self, data: bytes) -> None:
        assert self.engine is not None
        self.queue.add(self.engine.piece(data))
        self.go_on()

    def end(self, trailers: Fields) -> None:
        assert self.engine is not None
        self.trailers = trailers
        self.queue.add(self.engine.end())
        self.go_on()

    def broken(self, error: ProxyError) -> None:
        assert self.engine is not None
        self.failure = error
        self.queue.add(self.engine.end(whole=False))
        self.go_on()

    # -- the steps, out

    def go_on(self) -> None:
        """Take the steps that are due."""
        if not self.pumping:
            self.pumping = True
            try:
                self.take_steps()
            finally:
                self.pumping = False
        self.hold()

    def take_steps(self) -> None:
        """Take steps until one of them waits, or the client is slow."""
        left = STEPS_A_TURN
        while self.timer is None and not self.stalled:
            receiver = self.receiver
            if receiver is None:  # not yet, or no longer
                return
            if receiver.blocked and self.queue:
                return  # until `resumes`
            if not left:
                self.wait(0)
                return
            left -= 1
            step = self.queue.take()
            if step is None:
                self.taken(receiver)
                return
            self.do(step, receiver)

    def do(self, step: Step, receiver: Receiver) -> None:
        """Take one step."""
        if isinstance(step, Send):
            self.send(step.data, receiver)
        elif self.is_whole:
            self.finish(receiver)
        elif isinstance(step, Wait):
            self.wait(step.seconds)
        elif isinstance(step, Complete):
            self.finish(receiver)
        elif isinstance(step, Fin):
            self.close(receiver)
        elif isinstance(step, Reset):
            self.break_off(receiver, by_reset=True)
        else:
            self.stalled = True

    def send(self, data: bytes, receiver: Receiver) -> None:
        """A piece of the body, as the head says that it is framed."""
        body = self.body
        if not isinstance(body, LengthBody):
            receiver.piece(data)
            return
        payload = body.feed(data) if not body.complete else b""
        if payload:
            receiver.piece(payload)
        if body.complete and self.is_claimed:
            self.finish(receiver)

    @property
    def is_whole(self) -> bool:
        """Has the client all that Content-Length says? Then nothing can break."""
        return isinstance(self.body, LengthBody) and self.body.complete

    @property
    def is_claimed(self) -> bool:
        """Is Content-Length that of the faults, not of the upstream?"""
        return self.made is not None and self.made.framing == "length"

    def taken(self, receiver: Receiver) -> None:
        """No step is left, for now or for good."""
        failure, connection = self.failure, self.connection
        if failure is not None:
            self.receiver = None
            receiver.broken(failure)
        elif connection is not None and connection.paused and not receiver.blocked:
            connection.resume_reading()

    def finish(self, receiver: Receiver) -> None:
        """The body is complete."""
        trailers = [] if self.is_claimed else self.trailers
        self.receiver = None
        self.queue.clear()
        receiver.end(trailers)

    def close(self, receiver: Receiver) -> None:
        """The upstream closes; where that ends the body, or a tunnel, all is well."""
        if isinstance(self.body, UntilCloseBody):
            self.finish(receiver)
        else:
            self.break_off(receiver, by_reset=False)

    def break_off(self, receiver: Receiver, *, by_reset: bool) -> None:
        """The body will never be complete."""
        missing = None if self.body is None else self.body.end()
        how = "reset the connection" if by_reset else "closed"
        missing = missing or "the connection was lost"
        error = UpstreamTruncated(f"the upstream {how} early: {missing} ({ON_PURPOSE})")
        error.by_reset = by_reset
        self.receiver = None
        self.queue.clear()
        receiver.broken(error)

    # -- time, and who is slow

    def hold(self) -> None:
        """Read no more of the upstream while something waits here."""
        connection = self.connection
        if connection is not None and (self.queue or self.timer or self.stalled):
            connection.pause_reading()

    def resumes(self) -> bool:
        if self.engine is None or not self.started:
            return super().resumes()
        self.go_on()
        return not (self.queue or self.timer or self.stalled)

    def wait(self, seconds: float) -> None:
        """Go on after so many seconds; 0: in the next turn of the loop."""
        loop = asyncio.get_running_loop()
        if seconds:
            self.timer = loop.call_later(seconds, self.rang)
        else:
            self.timer = loop.call_soon(self.rang)

    def rang(self) -> None:
        """The time of a wait is over. Called by the loop."""
        self.timer = None
        try:
            if self.given:
                self.go_on()
            else:
                self.give_head()
        except Exception as error:
            self.crashed("playing a fault", error)

    def over(self) -> None:
        super().over()
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        self.receiver = self.connection = None
        self.queue.clear()


def fault_taps(source: FaultSource) -> Callable[[TappedCall], FaultTap]:
    """Makes a tap for each call."""

    def make(call: TappedCall) -> FaultTap:
        return FaultTap(call, source)

    return make
