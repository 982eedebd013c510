"""The way back of one HTTP/2 request: the half of `Http2Stream` that sends.

A piece is written in the call in which it came, where nothing of its stream waits, the
connection takes bytes and both windows are wide enough. Else it waits here, and goes
out when it is the stream's turn (`http2_turns`): a client that does not read one stream
holds up neither the others nor, beyond a bound, memory.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from proxy.http1.grammar import Fields
from proxy.http2.faults import StreamFault
from proxy.http2.frames import NO_ERROR, data_header
from proxy.http2.response_fields import fields_block, response_block
from proxy.http2.session import Session
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.response_plan import LENGTH, TERMS, ResponsePlan, Terms
from proxy.transport.client_host import ClientHost
from proxy.transport.connection import HIGH_WATER
from proxy.transport.flow import ChunkedSink, Feeder

FRAME = 16 * 1024  # bytes in one of ours: every peer takes so many (RFC 9113 §4.2)
KEPT_ALIVE = TERMS[True][True]
ANY_LENGTH = -1  # of a body whose end is told by END_STREAM alone


class Carrier(ClientHost, Protocol):
    """The connection of a stream, as far as that knows it."""

    congested: bool  # it takes no bytes for now
    draining: bool
    planner: RequestPlanner
    scheme: bytes
    session: Session

    def write(self, data: bytes) -> None:
        """Send bytes, in this order with all others."""

    def cork(self) -> bool:
        """Gather what is written from now on; False: that is done already."""

    def uncork(self) -> None:
        """Send what was gathered."""

    def has_waiting(self, stream: SendingStream) -> None:
        """Bytes of a stream wait, and its window is open."""

    def request_malformed(self, number: int, fault: StreamFault) -> None:
        """A request was reset before it began; it is for the log."""

    def watch(self) -> None:
        """Have time limits looked at."""

    def stream_over(self, stream: SendingStream) -> None:
        """All of a response is sent, or the stream is reset."""


class SendingStream:
    """What is sent of one response, and what waits of it."""

    __slots__ = (
        "blocked",
        "buffer_bytes",
        "closed",
        "connection",
        "ends",
        "feeder",
        "in_turn",
        "incremental",
        "left",
        "number",
        "over",
        "pieces",
        "plan",
        "queued",
        "reset_code",
        "send_window",
        "sent",
        "sent_end",
        "session",
        "taken_by",
        "trailers",
        "urgency",
    )

    def __init__(self, connection: Carrier, number: int) -> None:
        self.connection = connection
        self.session = connection.session
        self.number = number
        self.closed = False  # reset, by whomever, or its connection is lost
        self.feeder: Feeder | None = None
        self.blocked = False
        self.buffer_bytes = HIGH_WATER
        self.send_window = self.session.peer_initial_window
        self.plan: ResponsePlan | None = None  # whose head has yet to go out
        self.left = ANY_LENGTH  # bytes of the body that are missing
        self.pieces: list[bytes] = []  # that wait
        self.queued = 0  # bytes in them
        self.sent = 0  # bytes of the first one that are gone
        self.ends = False  # END_STREAM behind what waits
        self.trailers = b""  # with it, as a header block
        self.sent_end = False
        self.over = False  # the exchange is; what waits still goes out
        self.reset_code = NO_ERROR  # another: RST_STREAM behind what waits
        self.taken_by = 0.0  # when the client has to take some of it; 0: not known
        self.in_turn = False
        self.urgency = 3
        self.incremental = True

    # -- the response

    @property
    def terms(self) -> Terms:
        return KEPT_ALIVE

    def limit_buffer(self, size: int) -> None:
        self.buffer_bytes = size

    def end_after_response(self) -> None:
        """Where a request ends is never unsure here."""

    def leave_connection(self) -> None:
        """For all of its requests: the others that run end by themselves."""
        self.connection.drain()

    def send_interim(self, plan: ResponsePlan) -> None:
        if not self.blocked and not self.closed:
            block = response_block(plan)
            self.connection.write(self.session.send_head(self.number, block, end=False))

    def send_plan(self, plan: ResponsePlan) -> None:
        """The head goes out with all of its body that comes in the same call."""
        self.plan = plan
        self.left = ANY_LENGTH if plan.framing is not LENGTH else length_of(plan)

    def send_piece(self, piece: bytes) -> None:
        if self.closed:
            return
        size = len(piece)
        session = self.session
        if (
            self.pieces
            or self.plan is not None
            or size > FRAME
            or size > self.send_window
            or size > session.send_window
            or self.connection.congested
        ):
            self.enqueue(piece, size)
            return
        self.send_window -= size
        session.send_window -= size
        session.data_frames += 1
        if self.left > 0:
            self.left -= size
            if self.left <= 0:
                self.connection.write(data_header(self.number, size, end=True) + piece)
                self.end_sent()
                return
        self.connection.write(data_header(self.number, size, end=False) + piece)

    def send_aside(self, data: bytes) -> None:
        self.send_piece(data)

    def send_end(self, trailers: Fields) -> None:
        if self.left != ANY_LENGTH or self.closed:
            return
        if trailers:
            self.trailers = fields_block(trailers)
        self.send_fin()

    def send_fin(self) -> None:
        """END_STREAM, after all that was written."""
        self.ends = True
        if self.plan is None and not self.pieces:
            self.send_rest()

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        return None

    def flush_head(self) -> None:
        """Send the head, and what has come with it."""
        plan = self.plan
        if plan is None:
            return
        self.plan = None
        if self.closed:
            return
        if len(self.pieces) == 1 and self.fits(self.queued):
            self.send_whole(plan, self.pieces.pop())
            return
        corked = self.connection.cork()
        try:
            bare = self.ends and not self.pieces and not self.trailers
            self.connection.write(
                self.session.send_head(self.number, response_block(plan), end=bare)
            )
            self.sent_end = bare
            if self.pieces:
                self.connection.has_waiting(self)
                self.check_queue()
            else:
                self.send_rest()
        finally:
            if corked:
                self.connection.uncork()

    def fits(self, size: int) -> bool:
        """Can a frame of so many bytes go out now?"""
        return (
            size <= FRAME
            and size <= self.send_window
            and size <= self.session.send_window
            and not self.connection.congested
        )

    def send_whole(self, plan: ResponsePlan, piece: bytes) -> None:
        """Send the head and the piece that has come with it, in one write."""
        session, size = self.session, self.queued
        self.queued = 0
        self.send_window -= size
        session.send_window -= size
        session.data_frames += 1
        last = self.is_last(size)
        head = session.send_head(self.number, response_block(plan), end=False)
        self.connection.write(head + data_header(self.number, size, end=last) + piece)
        if last:
            self.end_sent()
        self.send_rest()

    def is_last(self, size: int) -> bool:
        """Does the body end with these bytes, which go out now?"""
        if self.left > 0:
            self.left -= size
            return self.left <= 0
        return (
            not self.queued and self.ends and not self.trailers and not self.reset_code
        )

    # -- what waits

    def enqueue(self, piece: bytes, size: int) -> None:
        """Keep a piece until its turn comes, which may be now."""
        self.pieces.append(piece)
        self.queued += size
        if self.plan is None and not self.in_turn:
            self.connection.has_waiting(self)
        self.check_queue()

    def check_queue(self) -> None:
        """Does more wait than may?"""
        if self.queued > self.buffer_bytes and not self.blocked:
            self.blocked = True
            if self.feeder is not None:
                self.feeder.sink_blocked()

    def take_turn(self) -> None:
        """Write one frame of what waits."""
        session = self.session
        most = min(FRAME, self.send_window, session.send_window)
        size = min(self.queued, most)
        if size <= 0:
            return
        self.taken_by = 0.0
        parts = self.take(size)
        self.queued -= size
        self.send_window -= size
        session.send_window -= size
        if size == FRAME or not self.queued:
            session.data_frames += 1
        last = self.is_last(size)
        connection = self.connection
        connection.write(data_header(self.number, size, end=last))
        for part in parts:
            connection.write(part)
        if last:
            self.end_sent()
        if not self.queued:
            self.send_rest()
        if self.blocked and self.queued <= self.buffer_bytes >> 2:
            self.blocked = False
            if self.feeder is not None:
                self.tell_ready(self.feeder)

    def tell_ready(self, feeder: Feeder) -> None:
        """The client has read on."""
        try:
            feeder.sink_ready()
        except Exception as error:
            self.crashed("resuming writes", error)

    def take(self, size: int) -> list[bytes]:
        """The first bytes that wait."""
        pieces, sent = self.pieces, self.sent
        parts = []
        while size > 0:
            first = pieces[0]
            rest = len(first) - sent
            if rest > size:
                parts.append(first[sent : sent + size])
                sent += size
                break
            parts.append(first[sent:] if sent else first)
            del pieces[0]
            sent = 0
            size -= rest
        self.sent = sent
        return parts

    def send_rest(self) -> None:
        """Nothing waits any more: send what stands behind it."""
        if self.closed:
            return
        if self.reset_code:
            self.reset(self.reset_code)
            return
        if self.ends and not self.sent_end:
            if self.trailers:
                self.connection.write(
                    self.session.send_head(self.number, self.trailers, end=True)
                )
                self.sent_end = True
            else:
                self.connection.write(data_header(self.number, 0, end=True))
                self.end_sent()
        if self.over and self.sent_end:
            self.conclude()

    def end_sent(self) -> None:
        """Our END_STREAM has gone out."""
        self.sent_end = True
        self.session.ended(self.number)

    # -- what follows

    @abstractmethod
    def conclude(self) -> None:
        """All of the response has gone out."""

    @abstractmethod
    def reset(self, code: int) -> None:
        """End the stream at once."""

    @abstractmethod
    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


def length_of(plan: ResponsePlan) -> int:
    """How many bytes of body a response says it has; looked up once."""
    if plan.length is None:
        plan.length = ANY_LENGTH
        for name, value in plan.fields:
            if name.lower() == b"content-length":
                plan.length = int(value)
    return plan.length
