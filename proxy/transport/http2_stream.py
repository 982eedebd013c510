"""One request of an HTTP/2 connection, and the way back: a `ClientStream`."""

from __future__ import annotations

import asyncio

from proxy.config.model import ServerOptions as Limits
from proxy.errors import ClientDisconnected, MalformedRequest, ProxyError
from proxy.http1.framing import Body, UntilCloseBody
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.http2.extended_connect import never_open
from proxy.http2.faults import StreamFault
from proxy.http2.frames import (
    CANCEL,
    HTTP_1_1_REQUIRED,
    INTERNAL_ERROR,
    NO_ERROR,
    code_name,
)
from proxy.http2.priority import Priority
from proxy.http2.request_fields import request_content
from proxy.internal_errors import report
from proxy.policy.connection_auth import asks_to_bind
from proxy.policy.response_plan import ResponsePlan
from proxy.transport.client_stream import Served
from proxy.transport.client_timeouts import LINGER_SECONDS, UNREAD_SECONDS
from proxy.transport.flow import Receiver
from proxy.transport.http2_counts import HTTP2_COUNTS
from proxy.transport.http2_sending import Carrier, SendingStream
from proxy.transport.private_connections import PrivateConnections
from proxy.transport.served_client import (
    check_body,
    stalled,
    tell_crashed,
    tell_left,
)

PIECE = 64 * 1024  # bytes of what waits that are handed on at once
BOUND = "the response authenticates a connection: the client asks by HTTP/1.1"


class Http2Stream(SendingStream):
    """One request. `error`: what it is answered with, instead of being served."""

    __slots__ = (
        "address",
        "body",
        "body_deadline",
        "ended",
        "error",
        "exchange",
        "heard",
        "owed",
        "paused",
        "planner",
        "private",
        "protocol",
        "receiver",
        "request",
        "scheme",
        "unread",
    )

    def __init__(
        self,
        connection: Carrier,
        number: int,
        request: RequestHead | None,
        protocol: bytes,
        priority: Priority,
        *,
        complete: bool,
        error: ProxyError | None = None,
    ) -> None:
        super().__init__(connection, number)
        self.request = request
        self.protocol = protocol  # that an extended CONNECT asks for
        self.error = error
        self.address = connection.address
        self.scheme = connection.scheme
        self.planner = connection.planner
        self.private: PrivateConnections | None = None  # to upstreams, if any is
        self.exchange: Served | None = None
        self.body: Body | None = None
        self.receiver: Receiver | None = None
        self.paused = False
        # Content that nobody has taken yet: without the cuts of its frames, each of
        # which could be a byte, of a MiB.
        self.unread = bytearray()
        self.owed = 0  # bytes that were passed on, to a receiver that is behind
        self.ended = complete  # END_STREAM has come
        self.heard = False  # anything of the body, since the last look
        self.body_deadline = 0.0
        self.reprioritised(priority)
        if request is not None and b"priority" not in request.index:
            self.incremental = True  # nobody said that it is of no use in parts

    # -- what the session tells

    def data_received(self, data: bytes, size: int) -> None:
        """Content of the request, or bytes of a tunnel."""
        try:
            self.heard = True
            if self.over or self.closed:
                self.session.consumed(self.number, size)
            elif self.receiver is None or self.paused or self.unread:
                self.unread += data
            else:
                self.pass_on(data)
        except Exception as error:
            self.crashed("reading from a client", error)

    def request_ended(self, trailers: Fields) -> None:
        """END_STREAM; trailers of requests go no further than to here."""
        self.ended = True
        try:
            if self.receiver is not None and not self.paused and not self.unread:
                self.end_body()
        except Exception as error:
            self.crashed("handling the end of a client's data", error)

    def reset_received(self, code: int) -> None:
        """The client wants no more of it."""
        HTTP2_COUNTS.resets += 1
        self.leave(f"the client reset the stream ({code_name(code)})")

    def failed(self, fault: StreamFault) -> None:
        """The client broke the rules; nothing can be answered any more."""
        self.let_go()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.fail(MalformedRequest(fault.reason))
        elif not self.over and self.error is None:  # it has yet to begin
            self.connection.request_malformed(self.number, fault)

    def window_opened(self) -> None:
        """The client takes more."""
        if self.pieces and not self.in_turn and self.plan is None:
            self.connection.has_waiting(self)

    def reprioritised(self, priority: Priority) -> None:
        """The client thinks otherwise of how urgent the response is."""
        self.urgency = priority.urgency
        self.incremental = priority.incremental

    def leave(self, reason: str) -> None:
        """The client is gone, from here or altogether."""
        self.let_go()
        tell_left(self, ClientDisconnected(reason))

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: end what it ran for, and tell the client."""
        if not tell_crashed(self, place, error):
            report(place, error)
            self.abort()

    # -- the request: see `ClientStream`

    @property
    def draining(self) -> bool:
        return self.connection.draining

    @property
    def request_complete(self) -> bool:
        return self.body is not None and self.body.complete

    def open_body(self) -> Body:
        assert self.request is not None
        complete = self.ended and not self.unread
        self.body = body = request_content(self.request, complete=complete)
        return body

    def read_body(self, receiver: Receiver) -> None:
        body = self.body
        assert body is not None
        if body.complete:
            receiver.end([])
            return
        self.receiver = receiver
        self.heard = True  # the clock begins now
        self.connection.watch()
        if not receiver.blocked:
            self.paused = False
        self.read_on()

    def become_tunnel(self, receiver: Receiver) -> None:
        self.body = UntilCloseBody()
        self.read_body(receiver)

    def pause_reading(self) -> None:
        """Its window stays as it is, once what is under way is here."""
        self.paused = True

    def resume_reading(self) -> None:
        if self.paused:
            self.paused = False
            self.read_on()

    def read_on(self) -> None:
        """Pass on what has come, as far as it is taken."""
        if self.owed and not self.paused:
            owed, self.owed = self.owed, 0
            self.session.consumed(self.number, owed)
        while self.unread and self.receiver is not None and not self.paused:
            piece = bytes(self.unread[:PIECE])
            del self.unread[:PIECE]  # takes no time: a bytearray moves its start
            self.pass_on(piece)
        if (
            self.ended
            and not self.unread
            and self.receiver is not None
            and not self.paused
        ):
            self.end_body()

    def pass_on(self, data: bytes) -> None:
        """Hand a piece on in the call in which it came."""
        body, receiver = self.body, self.receiver
        assert body is not None
        assert receiver is not None
        receiver.piece(body.feed(data))
        if self.paused:
            self.owed += len(data)  # the window opens when the other side reads
        else:
            self.session.consumed(self.number, len(data))
        if body.complete and self.receiver is receiver:
            self.receiver = None
            receiver.end([])

    def end_body(self) -> None:
        """All of the request has been passed on."""
        body, receiver = self.body, self.receiver
        assert receiver is not None
        self.receiver = None
        if isinstance(body, UntilCloseBody):
            body.complete = True
        receiver.end([])

    def detach(self) -> None:
        self.exchange = self.receiver = self.feeder = None

    # -- the response: see `SendingStream`

    def send_plan(self, plan: ResponsePlan) -> None:
        if self.protocol:
            plan = never_open(plan)
        if plan.status == 401 and asks_to_bind(401, plan.fields):
            self.reset(HTTP_1_1_REQUIRED)  # the client asks again
            asyncio.get_running_loop().call_soon(self.leave, BOUND)
        else:
            super().send_plan(plan)

    # -- time passes

    def check(self, now: float, limits: Limits) -> bool:
        """Look at the time limits; False: there is none to look at."""
        due = [self.check_body(now, limits), self.check_writing(now, limits)]
        return any(due)

    def check_body(self, now: float, limits: Limits) -> bool:
        """Does the request body come?"""
        limit = limits.body_timeout_seconds
        if not limit or self.receiver is None or self.is_tunnel:
            return False
        check_body(self, now, limit, its_turn=not self.paused)
        return True

    def check_writing(self, now: float, limits: Limits) -> bool:
        """Does the client take any of what waits for it?"""
        limit = limits.write_timeout_seconds
        if self.over:
            limit = limit or UNREAD_SECONDS
        if not limit or not self.pieces or self.closed:
            return False
        if self.send_window > 0 and self.session.send_window > 0:
            self.taken_by = 0.0  # it is not the client's turn, but that of others
        elif not self.taken_by:
            self.taken_by = now + limit
        elif now >= self.taken_by:
            error = stalled(self.queued, limit)
            self.reset(CANCEL)
            tell_left(self, error)
        return True

    @property
    def is_tunnel(self) -> bool:
        """Do raw bytes go both ways?"""
        return bool(self.protocol) and isinstance(self.body, UntilCloseBody)

    # -- the end

    @property
    def is_closing(self) -> bool:
        return self.closed or self.connection.transport.is_closing()

    @property
    def half_closes(self) -> bool:
        return True

    def finish(self) -> None:
        """The response is complete, as soon as what waits is gone."""
        self.exchange = self.receiver = None
        self.over = True
        self.drop_unread()
        if self.closed:
            return
        self.ends = True
        if self.plan is not None:
            self.flush_head()
        elif not self.pieces:
            self.send_rest()

    def conclude(self) -> None:
        """All of the response has gone out; the rest of the request is not wanted."""
        if not self.request_complete or (self.protocol and not self.ended):
            self.session.reset(self.number, NO_ERROR)  # RFC 9113 §8.1
        self.close_private()
        self.connection.stream_over(self)

    def send_fin(self) -> None:
        """END_STREAM of a tunnel, which its client may answer by its own.

        Firefox never does so for a WebSocket that was closed.
        """
        super().send_fin()
        loop = asyncio.get_running_loop()
        loop.call_later(LINGER_SECONDS, self.end_tunnel)

    def end_tunnel(self) -> None:
        """The client has had the time to end its side."""
        if not self.ended and not self.closed and not self.connection.closed:
            self.request_ended([])
            self.session.reset(self.number, NO_ERROR)  # RFC 9113 §8.1

    def break_off(self) -> None:
        """What waits still goes out; then RST_STREAM says that there was more."""
        self.exchange = self.receiver = self.feeder = None
        self.over = True
        self.drop_unread()
        if self.closed:
            return
        # A reset of the other connection, RFC 8441 §5
        self.reset_code = CANCEL if self.protocol else INTERNAL_ERROR
        if self.plan is not None:
            self.flush_head()
        elif not self.pieces:
            self.send_rest()

    def abort(self) -> None:
        if not self.closed:
            self.reset(CANCEL if self.connection.draining else INTERNAL_ERROR)

    def reset(self, code: int) -> None:
        """End it at once."""
        self.session.reset(self.number, code)
        self.let_go()

    def drop_unread(self) -> None:
        """Nobody wants what else has come of the request."""
        size = self.owed + len(self.unread)
        self.owed = 0
        self.unread.clear()
        if size:
            self.session.consumed(self.number, size)

    def let_go(self) -> None:
        """It is closed: nothing of it goes either way."""
        if not self.closed:
            self.closed = True
            self.plan = None
            self.close_private()
            self.pieces.clear()
            self.unread.clear()
            self.queued = self.owed = 0
            self.connection.stream_over(self)

    def close_private(self) -> None:
        """What was agreed on for one request is not for the next one."""
        if self.private is not None:
            self.private.close()
