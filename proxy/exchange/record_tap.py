"""The tap that notes what an upstream was asked and what it sent, with the times.

Each piece is noted as it comes, before anything is done with it, and then passed on. A
tape that raises is left alone from then on; the exchange does not notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from proxy.errors import MalformedResponse, ProxyError, UpstreamClosed
from proxy.exchange.exchange import Exchange
from proxy.exchange.tapped_call import CallTap, TappedCall
from proxy.http1.chunked import ChunkedBody
from proxy.http1.framing import Body, UntilCloseBody
from proxy.http1.grammar import Fields
from proxy.http1.head import ResponseHead
from proxy.internal_errors import report
from proxy.policy.request_plan import RequestPlan
from proxy.timeline import Ending, ending_of
from proxy.transport.flow import Receiver
from proxy.transport.upstream_connection import UpstreamConnection

WITHOUT_BODY = (204, 304)
Side: TypeAlias = Literal["client", "upstream"]


class Tape(Protocol):
    """What one call is noted on. Times are seconds on the clock of the exchange."""

    def asked(self, now: float, plan: RequestPlan) -> None:
        """The request goes out like this."""

    def head(self, now: float, head: ResponseHead, framing: str) -> None:
        """A head came; `framing`: of the body that follows, "" of an interim one."""

    def piece(self, now: float, side: Side, data: bytes) -> None:
        """A piece came from one side."""

    def request_complete(self, now: float) -> None:
        """The client has sent all, or ended its side of a tunnel."""

    def end(
        self,
        now: float,
        end: str,
        trailers: Fields,
        ending: Ending,
        error: ProxyError | None,
    ) -> None:
        """The call is over; `end`: how the upstream's side of it ended, and when."""


class RecordTap(CallTap):
    """Notes one call on a tape."""

    __slots__ = (
        "clock",
        "ended",
        "error",
        "final",
        "final_at",
        "is_over",
        "reached",
        "tape",
        "trailers",
        "upstream_end",
    )

    def __init__(self, call: TappedCall, tape: Tape) -> None:
        super().__init__(call)
        self.clock = call.clock
        self.tape: Tape | None = tape  # None: it has raised, or is at its end
        self.reached = self.is_over = False
        self.final: ResponseHead | None = None  # until it is known what follows it
        self.final_at = 0.0
        # The upstream's end, once it is here.
        self.upstream_end = ""
        self.ended = 0.0
        self.trailers: Fields = []
        self.error: ProxyError | None = None

    # -- what the call tells

    def connected(self, now: float, plan: RequestPlan) -> None:
        self.reached = True
        self.note(lambda tape: tape.asked(now, plan))
        super().connected(now, plan)

    def interim(self, head: ResponseHead) -> None:
        self.note(lambda tape: tape.head(self.clock(), head, ""))
        super().interim(head)

    def response(
        self, call: TappedCall, head: ResponseHead, connection: UpstreamConnection
    ) -> None:
        self.final, self.final_at = head, self.clock()
        super().response(call, head, connection)

    def fail(self, error: ProxyError) -> None:
        self.upstream_ended(self.how_ended(error), [], error)
        super().fail(error)

    # -- both bodies

    def response_to(self, body: Body, receiver: Receiver) -> Receiver:
        self.note_final(body)
        return BodyTap(self, "upstream", super().response_to(body, receiver))

    def request_to(self, receiver: Receiver) -> Receiver:
        return BodyTap(self, "client", super().request_to(receiver))

    def piece(self, side: Side, data: bytes) -> None:
        """A piece came from one side."""
        self.note(lambda tape: tape.piece(self.clock(), side, data))

    def body_ended(self, side: Side, trailers: Fields) -> None:
        """One side has sent all."""
        if side == "upstream":
            self.upstream_ended("complete", trailers, None)
        else:
            self.note(lambda tape: tape.request_complete(self.clock()))

    def body_broken(self, side: Side, error: ProxyError) -> None:
        """Of one side no more comes."""
        if side == "upstream":
            self.upstream_ended(self.how_ended(error), [], error)

    def note_final(self, body: Body | None) -> None:
        """It is known now what follows the final head, if there was one."""
        head, self.final = self.final, None
        if head is None:
            return
        framing = framing_of(head, body, self.call.head.method)
        self.note(lambda tape: tape.head(self.final_at, head, framing))

    # -- the end

    def how_ended(self, error: ProxyError) -> str:
        """What an error says of the upstream's side."""
        if isinstance(error, UpstreamClosed):
            return "reset" if error.by_reset else "fin"
        if isinstance(error, MalformedResponse):
            return "malformed"
        return "open" if self.reached else "unreached"

    def upstream_ended(
        self, end: str, trailers: Fields, error: ProxyError | None
    ) -> None:
        """The upstream has sent its last."""
        if not self.upstream_end:
            self.upstream_end, self.ended = end, self.clock()
            self.trailers, self.error = trailers, error

    def over(self) -> None:
        super().over()
        if self.is_over:
            return
        self.is_over = True
        self.note_final(None)
        ending, error = self.account_of(self.exchange)
        if not self.upstream_end:
            end = "open" if self.reached else "unreached"
            if isinstance(error, MalformedResponse):  # its head contradicts itself
                end = "malformed"
            self.upstream_ended(end, [], None)
        self.note(
            lambda tape: tape.end(
                self.ended, self.upstream_end, self.trailers, ending, error
            )
        )
        self.tape = None

    def account_of(self, exchange: Exchange) -> tuple[Ending, ProxyError | None]:
        """How the exchange ended; of one that is not over, how the call did."""
        timeline = exchange.timeline
        if exchange.is_over:
            finish = timeline.call.finish
            if finish is not None:  # its client had left before
                return finish.ending, finish.error
            return timeline.ending, timeline.error
        error = self.error
        return (Ending.COMPLETE if error is None else ending_of(error)), error

    def note(self, told: Callable[[Tape], None]) -> None:
        """Tell the tape something; one that raises is told nothing more."""
        tape = self.tape
        if tape is None:
            return
        try:
            told(tape)
        except Exception as fault:
            self.tape = None
            report("recording an exchange", fault)


def framing_of(head: ResponseHead, body: Body | None, method: bytes) -> str:
    """How the end of a body is known; `body`: its reader, None if it was not read."""
    if head.status == 101 and body is not None:
        return "tunnel"
    if isinstance(body, ChunkedBody):
        return "chunked"
    if isinstance(body, UntilCloseBody):
        return "close"
    if head.status in WITHOUT_BODY or method == b"HEAD":
        return "none"
    return "unread" if body is None else "length"


class BodyTap:
    """Takes what comes of one side, notes it, and passes it on."""

    __slots__ = ("receiver", "side", "tap")

    def __init__(self, tap: RecordTap, side: Side, receiver: Receiver) -> None:
        self.tap = tap
        self.side: Side = side
        self.receiver = receiver

    @property
    def blocked(self) -> bool:
        return self.receiver.blocked

    def piece(self, data: bytes) -> None:
        self.tap.piece(self.side, data)
        self.receiver.piece(data)

    def end(self, trailers: Fields) -> None:
        self.tap.body_ended(self.side, trailers)
        self.receiver.end(trailers)

    def broken(self, error: ProxyError) -> None:
        self.tap.body_broken(self.side, error)
        self.receiver.broken(error)


class TapeMaker(Protocol):
    """Who has the tapes."""

    def takes(self, prefix: str) -> bool:
        """Are exchanges of that route recorded?"""

    def tape(self, call: TappedCall) -> Tape:
        """One for a call."""


def record_taps(tapes: TapeMaker) -> Callable[[TappedCall], RecordTap]:
    """Makes a tap for each call."""

    def make(call: TappedCall) -> RecordTap:
        return RecordTap(call, tapes.tape(call))

    return make
