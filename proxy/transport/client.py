"""The client's side: request heads in, responses out, one exchange at a time.

Owns a client connection from accept to close: reads heads under limits,
queues pipelined requests (bounded), notices at once when the client leaves,
and closes so that a last response is not lost. What a request is answered
with is the handler's business.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Protocol

from proxy.errors import (
    ClientDisconnected,
    ClientError,
    MalformedRequest,
    ProxyError,
    RequestHeadTooLarge,
)
from proxy.http1.framing import Body, LengthBody, UntilCloseBody
from proxy.http1.head import END_OF_HEAD, RequestHead, parse_request_head, stray_byte
from proxy.transport.connection import HIGH_WATER, Connection, Receiver
from proxy.transport.deadlines import Deadlines
from proxy.transport.presence import has_left

KEEPALIVE_SECONDS = 75.0  # idle between two requests, as nginx
HEAD_SECONDS = 60.0  # from the first byte of a head to its last, as nginx
# A response to a request whose body was not read in full is lost if the
# socket closes on unread bytes: the kernel sends a reset. So: read on a while
# (RFC 9112 §9.6), bounded by time and by bytes.
LINGER_SECONDS = 2.0
LINGER_BYTES = 4 * 1024 * 1024


class Exchange(Protocol):
    """One request and its response, as the client's connection sees it."""

    def client_left(self, error: ClientError) -> None:
        """The client closed, or its request turned out malformed."""


class Handler(Protocol):
    """What a client connection asks of the proxy."""

    def begin(self, client: ClientConnection, head: RequestHead) -> None:
        """Serve a request; sets `client.exchange` and in the end calls `next`."""

    def reject(self, client: ClientConnection, error: ProxyError) -> None:
        """Answer bytes that are no request; the connection closes after it."""

    def opened(self, client: ClientConnection) -> None:
        """A connection was accepted."""

    def closed(self, client: ClientConnection) -> None:
        """A connection is gone."""


class State(Enum):
    """Where a client connection is in its life."""

    HEAD = 1  # waiting for a request head, or in the middle of one
    EXCHANGE = 2  # a request is being served
    TUNNEL = 3  # upgraded: raw bytes both ways
    LINGER = 4  # answered for the last time; what still comes is thrown away


class ClientConnection(Connection):
    """One accepted connection."""

    __slots__ = (
        "address",
        "ahead",
        "deadline",
        "deadlines",
        "exchange",
        "handler",
        "head_begun",
        "keep_alive",
        "lingered",
        "max_head_bytes",
        "parsing",
        "scheme",
        "state",
    )

    def __init__(
        self, handler: Handler, deadlines: Deadlines, max_head_bytes: int
    ) -> None:
        super().__init__()
        self.handler = handler
        self.deadlines = deadlines
        self.max_head_bytes = max_head_bytes
        self.address = b""
        self.scheme = b"http"
        self.ahead = b""  # bytes read but not yet used
        self.state = State.HEAD
        self.exchange: Exchange | None = None
        self.keep_alive = True
        self.parsing = False
        self.head_begun = False
        self.lingered = 0
        self.deadline = 0.0

    # -- the connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0].encode("ascii") if isinstance(peer, tuple) else b"unix"
        if transport.get_extra_info("ssl_object") is not None:
            self.scheme = b"https"
        self.handler.opened(self)
        self.wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.deadlines.discard(self)
        self.leave("the client closed the connection")
        self.handler.closed(self)

    def eof_received(self) -> bool:
        """The client sent FIN: it has left, unless it is in a tunnel.

        A browser that closes a tab says no more than this, and the upstream of
        an idle stream has to hear of it now (nginx and Caddy read it alike).
        """
        if self.state is State.TUNNEL and self.receiver is not None:
            self.receiver.end([])
            return True
        self.leave("the client closed the connection")
        return False

    def drain(self) -> None:
        """Serve no further request; close now if none is being served."""
        self.keep_alive = False
        if self.state is State.HEAD and not self.closed:
            self.transport.close()

    def leave(self, reason: str) -> None:
        """Tell the exchange, if there is one, that its client is gone."""
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.client_left(ClientDisconnected(reason))

    def wait(self, seconds: float) -> None:
        """Give the client `seconds` for what it has to do next."""
        self.deadline = self.deadlines.clock() + seconds
        self.deadlines.add(self)

    def check(self, now: float) -> None:
        """Nothing came before the deadline, or the client left unseen."""
        if self.state in (State.EXCHANGE, State.TUNNEL):
            if not self.paused:
                self.deadlines.discard(self)
            elif has_left(self.transport):
                self.leave("the client closed the connection")
        elif now >= self.deadline:
            if self.transport.get_write_buffer_size():
                self.wait(KEEPALIVE_SECONDS)  # it still reads the last response
                return
            self.deadlines.discard(self)
            self.transport.abort()

    def pause_reading(self) -> None:
        super().pause_reading()
        self.deadlines.add(self)

    # -- bytes in

    def data_received(self, data: bytes) -> None:
        if self.receiver is not None:
            self.feed_body(data)
        elif self.state is State.HEAD:
            self.ahead = self.ahead + data if self.ahead else data
            self.read_heads()
        elif self.state is State.EXCHANGE:
            self.ahead += data
            if len(self.ahead) > HIGH_WATER:
                self.pause_reading()
        else:
            self.lingered += len(data)
            if self.lingered > LINGER_BYTES:
                self.transport.abort()

    def read_heads(self) -> None:
        """Begin exchanges from the bytes at hand, one after the other."""
        if self.parsing:  # begin() answered at once and asked for the next
            return
        self.parsing = True
        try:
            while self.state is State.HEAD and self.ahead:
                if not self.read_head():
                    break
        finally:
            self.parsing = False

    def read_head(self) -> bool:
        """Begin one exchange; False if the head is not complete."""
        data = self.ahead
        if data[:1] in b"\r\n":
            # RFC 9112 §2.2: an empty line before the request line is ignored.
            data = data.removeprefix(b"\r\n").removeprefix(b"\r\n")
            if data in (b"", b"\r"):
                return False
        try:
            stop = data.find(END_OF_HEAD)
            size = stop if stop >= 0 else len(data)
            if size > self.max_head_bytes:
                raise RequestHeadTooLarge(
                    f"request head of more than {self.max_head_bytes} bytes "
                    "(max_head_bytes)"
                )
            if stop < 0:
                self.check_incomplete(data)
                if not self.head_begun:
                    self.head_begun = True
                    self.wait(HEAD_SECONDS)
                return False
            head = parse_request_head(data[: stop + 4])
        except ProxyError as error:
            self.refuse(error)
            return False
        self.ahead = data[stop + 4 :]
        self.head_begun = False
        self.state = State.EXCHANGE
        self.deadlines.discard(self)
        self.handler.begin(self, head)
        return True

    def check_incomplete(self, data: bytes) -> None:
        """Refuse at once what cannot become a head, a TLS handshake for one."""
        # A CR at the very end may be half of a CRLF.
        fault = stray_byte(data.removesuffix(b"\r"))
        if fault is not None:
            raise MalformedRequest(f"malformed request head: {fault}")

    def refuse(self, error: ProxyError) -> None:
        """Answer bytes that are no request, for the last time."""
        self.state = State.EXCHANGE
        self.deadlines.discard(self)
        self.keep_alive = False
        self.ahead = b""
        self.handler.reject(self, error)

    def read_body(self, body: Body, receiver: Receiver) -> None:
        """Have the request body handed to `receiver` as it arrives."""
        self.body = body
        if body.complete:
            receiver.end([])
            return
        self.receiver = receiver
        data, self.ahead = self.ahead, b""
        if data:
            self.feed_body(data)
        if not receiver.blocked:
            self.resume_reading()

    def become_tunnel(self, receiver: Receiver) -> None:
        """Hand raw bytes to `receiver` from now on, those already here first."""
        self.state = State.TUNNEL
        self.chunked = False
        self.read_body(UntilCloseBody(), receiver)

    def after_body(self, excess: bytes) -> None:
        self.ahead = excess

    def framing_error(self, reason: str) -> ProxyError:
        return MalformedRequest(f"malformed request body: {reason}")

    @property
    def request_complete(self) -> bool:
        """Has the whole request body been read?"""
        return self.body is not None and self.body.complete

    # -- responses out

    def send_head(self, head: bytes, *, chunked: bool) -> None:
        """Write a response head; the body's pieces will follow."""
        self.chunked = chunked
        self.transport.write(head)

    def send_informational(self, head: bytes) -> None:
        """Write a 1xx response (RFC 9110 §15.2)."""
        self.transport.write(head)

    def next(self) -> None:
        """The response is complete: go on to the next request, or close."""
        self.exchange = None
        self.receiver = None
        if self.closed:
            return
        if not self.keep_alive or not self.request_complete:
            self.close_after_response()
            return
        self.body = None
        self.state = State.HEAD
        self.resume_reading()
        self.wait(KEEPALIVE_SECONDS)
        self.read_heads()

    def close_after_response(self) -> None:
        """Close so that the client can read all that was written to it."""
        self.feeder = None
        if self.state is State.TUNNEL or (self.request_complete and not self.ahead):
            self.transport.close()
            return
        self.state = State.LINGER
        self.body = LengthBody(0)
        self.ahead = b""
        self.wait(LINGER_SECONDS)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.resume_reading()
        else:  # TLS has no half-close
            self.transport.close()

    def break_off(self, *, close_is_end: bool) -> None:
        """End a response that will never be complete so that the client can tell.

        Bytes already written still go out. Then the missing last chunk, or the
        bytes missing of Content-Length, tell the rest; where the close itself
        is the end of the body, it has to be a reset.
        """
        self.exchange = None
        self.receiver = None
        self.feeder = None
        if self.closed:
            return
        self.state = State.LINGER
        if close_is_end:
            self.reset_on_close()
        self.wait(LINGER_SECONDS)
        self.transport.close()
