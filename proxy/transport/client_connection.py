"""The client's side: request heads in, responses out, one exchange at a time.

Owns a client connection from accept to close: reads heads under limits,
queues pipelined requests (bounded), notices at once when the client leaves,
and closes so that a last response is not lost. What a request is answered
with is the handler's business.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from proxy.config.model import ServerOptions as Limits
from proxy.errors import ProxyError
from proxy.http1.framing import (
    Body,
    UntilCloseBody,
    check_begun,
    request_body,
)
from proxy.http1.grammar import END_OF_HEAD
from proxy.http1.head import (
    REMEMBERED_BYTES,
    RequestHead,
    check_incomplete_request,
    parse_request_head,
)
from proxy.http1.persistence import wants_keep_alive
from proxy.internal_errors import report
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.response_plan import CLOSE, STREAM, TERMS, ResponsePlan, Terms
from proxy.policy.size_limits import check_request_head, check_target
from proxy.transport.client_host import ClientHandler
from proxy.transport.client_timeouts import (
    EXCHANGE,
    HEAD,
    TUNNEL,
    TimedConnection,
)
from proxy.transport.connection import (
    HEAD_SHARE,
    HEADS_A_TURN,
    HIGH_WATER,
    INHERITS,
    joined,
    keep_alive_probes,
)
from proxy.transport.flow import ChunkedSink, Receiver
from proxy.transport.private_connections import PrivateConnections
from proxy.transport.ticker import Ticker


class ClientConnection(TimedConnection):
    """One accepted connection."""

    side: ClassVar[str] = "request"

    __slots__ = (
        "address",
        "draining",
        "handler",
        "keep_alive",
        "last_head",
        "parsing",
        "planner",
        "private",
        "request",
        "seen",
    )

    def __init__(self, handler: ClientHandler, ticker: Ticker, limits: Limits) -> None:
        super().__init__(ticker, limits)
        self.handler = handler
        self.address = b""
        self.last_head: RequestHead | None = None  # parsed; the next is often the same
        self.request: RequestHead | None = None  # that is being served
        # Set in connection_made, as the transport is.
        self.planner: RequestPlanner = None  # type: ignore[assignment]
        self.keep_alive = True
        self.draining = False  # this request is the last one
        self.parsing = False
        self.private: PrivateConnections | None = None  # to upstreams, if any is
        self.seen = 0  # bytes of an incomplete head that were looked at

    @property
    def protocol(self) -> str:
        return "http/1.1"

    @property
    def connection(self) -> ClientConnection:
        """As `HostedStream`: it is its own connection."""
        return self

    # -- the connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            super().connection_made(transport)
            if not INHERITS:
                keep_alive_probes(self.transport)
            peer = transport.get_extra_info("peername")
            known = isinstance(peer, tuple)
            self.address = address_of(peer[0]) if known else b"unix"
            if transport.get_extra_info("ssl_object") is not None:
                self.scheme = b"https"
            self.planner = RequestPlanner(self.address, self.scheme)
            self.wait(self.limits.head_timeout_seconds)
            self.handler.opened(self)
        except Exception as error:
            self.crashed("opening a client connection", error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.ahead = self.left = b""  # what it asked for is for nobody
        self.ticker.discard(self)
        if self.private is not None:
            self.private.close()
        try:
            self.leave("the client closed the connection")
        except Exception as error:
            report("closing a client connection", error)
        try:
            self.handler.closed(self)
        except Exception as error:
            report("accounting for a client connection", error)

    def eof_received(self) -> bool:
        """The client sent FIN: it has left, unless it is in a tunnel.

        A browser that closes a tab says no more than this, and the upstream of
        an idle stream has to hear of it now (nginx and Caddy read it alike).
        """
        try:
            if self.state is TUNNEL and self.receiver is not None:
                self.receiver.end([])
                return self.transport.can_write_eof()  # TLS has no half-close
            self.leave("the client closed the connection")
            if not self.closed and not self.transport.can_write_eof():
                self.linger()  # the loop sends what waits, and closes TLS
        except Exception as error:
            self.crashed("handling the end of a client's data", error)
        return False

    def wind_down(self) -> None:
        """Close after the response to the next request; stay open until it comes.

        An idle connection that closes loses a request that is under way to it.
        """
        self.draining = True

    def drain(self) -> None:
        """Serve no request after the present one; close now if there is none."""
        self.keep_alive = False
        self.draining = True
        if (
            self.exchange is None
            and self.state is HEAD
            and not self.ahead
            and not self.closed
        ):
            self.hang_up(ended=True)

    # -- bytes in

    def data_received(self, data: bytes) -> None:
        try:
            if self.receiver is not None:
                self.heard = True
                self.feed_body(data)
            elif self.state is HEAD or self.state is EXCHANGE:
                self.ahead = joined(self.ahead, data) if self.ahead else data
                self.read_heads()
                if len(self.ahead) > HIGH_WATER and not self.reads_heads:
                    self.pause_reading()
            else:
                self.heard = True
                self.count_read(data)
        except Exception as error:
            self.crashed("reading from a client", error)

    def read_heads(self) -> None:
        """Begin exchanges from the bytes at hand, one after the other.

        Called, too, by the exchange before them, which is no party to what they do.
        """
        # begin() answered at once and asked for the next, or its turn is used up.
        if self.parsing or self.resting:
            return
        self.parsing = True
        left = HEADS_A_TURN
        try:
            while self.ahead and self.reads_heads:
                size = len(self.ahead)
                if not self.read_head():
                    break
                left -= 1 + (size - len(self.ahead)) // HEAD_SHARE
                if left <= 0:
                    self.rest()
                    break
        except Exception as error:
            self.crashed("starting a request", error)
        finally:
            self.parsing = False
        # Of requests that have to wait, no more than a bounded heap is read.
        if (
            self.paused
            and self.receiver is None
            and (self.reads_heads or len(self.ahead) <= HIGH_WATER)
        ):
            self.resume_reading()

    @property
    def reads_heads(self) -> bool:
        """May the next exchange begin? Not while responses wait to be read.

        Nor for a client that is gone, whatever it has sent before.
        """
        return (
            self.state is HEAD
            and not self.blocked
            and not self.closed
            and not self.transport.is_closing()
        )

    def peer_ready(self) -> None:
        super().peer_ready()
        if self.state is HEAD:
            self.read_heads()

    def go_on(self) -> None:
        super().go_on()
        if self.receiver is None:
            self.read_heads()

    def read_head(self) -> bool:
        """Begin one exchange; False if the head is not complete."""
        data, head = self.ahead, self.last_head
        if head is not None and data.startswith(head.data):  # the same again
            self.ahead = bytes(data[len(head.data) :])
            self.planner.repeated = head
        else:
            head = self.read_new_head(data)
            if head is None:
                return False
        self.head_begun = False
        self.seen = 0
        self.state = EXCHANGE
        self.request = head
        self.keep_alive = wants_keep_alive(head) and not self.draining
        self.close_is_end = False
        self.ticker.discard(self)
        self.handler.begin(self, head)
        return True

    def read_new_head(self, data: bytes | bytearray) -> RequestHead | None:
        """A head that is not that of the last request; None if it is not complete."""
        if data.startswith((b"\r", b"\n")):
            # RFC 9112 §2.2: an empty line before the request line is ignored.
            data = data.removeprefix(b"\r\n").removeprefix(b"\r\n")
            if data in (b"", b"\r"):
                return None
        try:
            stop = data.find(END_OF_HEAD, self.seen and max(self.seen - 3, 0))
            check_request_head(data, stop, self.limits)
            if stop < 0:
                check_incomplete_request(data, self.seen)
                self.seen = len(data)
                self.ahead = data if isinstance(data, bytearray) else bytearray(data)
                if not self.head_begun:
                    self.head_begun = True
                    self.wait(self.limits.head_timeout_seconds)
                return None
            if isinstance(data, bytearray):
                data = bytes(data)
            head = parse_request_head(data[: stop + 4], self.last_head)
            if stop > self.limits.max_target_bytes:  # longer than a target may be
                check_target(head, self.limits)
        except ProxyError as error:
            self.refuse(error)
            return None
        self.last_head = head if stop <= REMEMBERED_BYTES else None
        self.ahead = data[stop + 4 :]
        return head

    def refuse(self, error: ProxyError) -> None:
        """Answer bytes that are no request, for the last time."""
        self.state = EXCHANGE
        self.request = None
        self.ticker.discard(self)
        self.keep_alive = False
        self.ahead = b""
        self.handler.reject(self, error)

    # -- the request that is being served: see `ClientStream`

    def open_body(self) -> Body:
        assert self.request is not None
        body = request_body(self.request)
        if self.ahead:
            check_begun(body, self.ahead)
        self.body = body
        return body

    def read_body(self, receiver: Receiver) -> None:
        """Have the request body handed to `receiver` as it arrives."""
        body = self.body
        assert body is not None
        if body.complete:
            receiver.end([])
            return
        self.receiver = receiver
        if self.limits.body_timeout_seconds:
            self.heard = True  # the clock begins now
            self.ticker.add(self)
        data, self.ahead = bytes(self.ahead), b""
        if data:
            self.feed_body(data)
        if not receiver.blocked:
            self.resume_reading()

    def become_tunnel(self, receiver: Receiver) -> None:
        """Hand raw bytes to `receiver` from now on, those already here first."""
        self.state = TUNNEL
        self.chunked = False
        self.keep_alive = False
        self.body = UntilCloseBody()
        self.read_body(receiver)

    # -- responses out

    @property
    def terms(self) -> Terms:
        request = self.request
        return TERMS[request is None or request.minor >= 1][self.keep_alive]

    def end_after_response(self) -> None:
        self.keep_alive = False

    def leave_connection(self) -> None:
        self.keep_alive = False

    def send_interim(self, plan: ResponsePlan) -> None:
        """Send a 1xx response (RFC 9110 §15.2), which HTTP/1.0 does not know.

        A client that does not read is not sent any more of them: nothing else
        bounds what would wait for it, and an upload must not wait for its reading.
        """
        request = self.request
        if request is not None and request.minor >= 1 and not self.blocked:
            self.transport.write(plan.text)

    def send_plan(self, plan: ResponsePlan) -> None:
        framing = plan.framing
        self.keep_alive = plan.keep_alive
        self.close_is_end = framing is CLOSE
        self.write_head(plan.text, chunked=framing is STREAM)

    def send_aside(self, data: bytes) -> None:
        self.send_piece(data)

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        return self if self.chunked else None

    def detach(self) -> None:
        self.exchange = self.receiver = self.feeder = None

    def finish(self) -> None:
        """The response is complete: go on to the next request, or close."""
        self.exchange = self.receiver = None
        if self.closed:
            return
        try:
            if self.head:
                self.flush_head()
            if not self.keep_alive or not self.request_complete:
                self.close_after_response()
                return
            self.body = self.request = None
            self.state = HEAD
            self.wait(self.limits.keepalive_timeout_seconds)
        except Exception as error:  # none of the exchange that is over
            report("moving on to a client's next request", error)
            self.hang_up(ended=True)  # after the response, which is complete
            return
        if self.ahead or self.paused:
            self.read_heads()


def address_of(host: str) -> bytes:
    """A client's address; of IPv4 through a socket for both, as IPv4 writes it."""
    if host.startswith("::ffff:") and "." in host:
        host = host.removeprefix("::ffff:")
    return host.encode("ascii")
