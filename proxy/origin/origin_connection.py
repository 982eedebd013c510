"""One connection of a client to an origin: HTTP/1.1, byte-exact and piece-exact.

Each piece that is sent is one write, framed by itself. What is answered, and when, is
decided by whoever answers; here is only how that looks on the wire, and how it ends.
A request is read to its end, also while it is being answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol, TypeAlias, cast

from proxy.errors import MalformedRequest, ProxyError, RequestHeadTooLarge
from proxy.http1.chunked import ChunkedBody, chunk, last_chunk
from proxy.http1.framing import Body, LengthBody, request_body, response_body
from proxy.http1.grammar import END_OF_HEAD, Fields
from proxy.http1.head import (
    RequestHead,
    ResponseHead,
    check_incomplete_request,
    parse_request_head,
    parse_response_head,
)
from proxy.http1.head_text import CHUNKED, head_bytes
from proxy.http1.persistence import wants_keep_alive
from proxy.policy.upgrade import accept_value
from proxy.transport.connection import reset_on_close

BodyFraming: TypeAlias = Literal["chunked", "length", "close", "none", "tunnel"]

MOST_HEAD = 64 * 1024  # bytes
MOST_AHEAD = 64 * 1024  # bytes of further requests that wait for their turn
SWITCHING = 101
WITHOUT_BODY = (204, 304)  # RFC 9110 §6.4.1
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answerer(Protocol):
    """What answers one request; its connection calls it."""

    def begin(self) -> None:
        """The head of the request is there."""

    def piece(self, data: bytes) -> None:
        """Bytes of the request body; in a tunnel, of the client."""

    def complete(self) -> None:
        """The request is complete."""

    def half_closed(self) -> None:
        """The client has ended its side of a tunnel."""

    def ready(self) -> None:
        """The client has read on, after a time in which it did not keep up."""

    def client_left(self) -> None:
        """The client has gone before the answer was over."""


class ConnectionOwner(Protocol):
    """Who has the connections and knows who answers."""

    connections: set[OriginConnection]

    def answerer(self, connection: OriginConnection, head: RequestHead) -> Answerer:
        """Who answers this request; it is not begun here."""


class OriginConnection(asyncio.Protocol):
    """Requests in, one after the other; answers out, as they are told."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self.owner = owner
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set in connection_made
        self.ahead = bytearray()  # read, and not used yet
        self.seen = 0  # bytes of an incomplete head that were looked at
        self.paused = False
        self.blocked = False  # the client does not keep up
        self.gone = False
        self.departed = asyncio.Event()  # set with `gone`
        self.closed = asyncio.Event()
        self.fin_sent = False
        self.half_closed = False  # the client has ended its side of a tunnel
        self.held: bytearray | None = None  # for one write
        # the exchange under way
        self.answerer: Answerer | None = None
        self.request: RequestHead | None = None
        self.body: Body | None = None  # of the request, until it is complete
        self.framing: BodyFraming | None = None  # None: no response head is out yet
        self.remaining = 0  # bytes that Content-Length still promises
        self.keep_alive = False
        self.over = False  # the response has ended
        self.resets = False  # as soon as all is written

    # -- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio and uvloop set TCP_NODELAY.
        self.transport = cast("asyncio.Transport", transport)
        self.owner.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.ahead += data
        self.read_on()

    def eof_received(self) -> bool:
        """The client's FIN: it has left, except from a tunnel, which ends by halves."""
        if self.answerer is not None and self.framing == "tunnel" and not self.over:
            self.half_closed = True
            self.answerer.half_closed()
            return True
        self.leave()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.owner.connections.discard(self)
        self.leave()
        self.closed.set()

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        if self.resets:
            self.reset()
        elif self.answerer is not None:
            self.answerer.ready()

    def leave(self) -> None:
        """Tell it once to who answers."""
        self.gone = True
        self.departed.set()
        answerer, self.answerer = self.answerer, None
        if answerer is not None:
            answerer.client_left()

    # -- requests

    def read_on(self) -> None:
        """Use what was read, as far as its turn has come."""
        try:
            while self.ahead and not self.gone and self.step():
                pass
        except ProxyError as fault:
            self.refuse(fault)

    def step(self) -> bool:
        """One step through what was read; False: the rest has to wait.

        Raises:
            ProxyError: the request is not well-formed.
        """
        if self.answerer is None:
            if self.fin_sent:
                self.ahead.clear()  # nobody answers it any more
                return False
            return self.read_head()
        if self.framing == "tunnel":
            data = bytes(self.ahead)
            self.ahead.clear()
            self.answerer.piece(data)
            return False
        if self.body is not None:
            self.read_body(self.body)
            return True
        if len(self.ahead) > MOST_AHEAD and not self.paused:
            self.paused = True
            self.transport.pause_reading()
        return False

    def read_head(self) -> bool:
        """Begin with the next request, once its head is complete."""
        end = self.ahead.find(END_OF_HEAD, max(self.seen - 3, 0))
        if end < 0:
            if len(self.ahead) > MOST_HEAD:
                raise RequestHeadTooLarge(
                    f"the request head is longer than {MOST_HEAD} bytes"
                )
            check_incomplete_request(self.ahead, self.seen)
            self.seen = len(self.ahead)
            return False
        stop = end + len(END_OF_HEAD)
        head = parse_request_head(bytes(self.ahead[:stop]))
        body = request_body(head)
        del self.ahead[:stop]
        self.begin(head, body)
        return True

    def begin(self, head: RequestHead, body: Body) -> None:
        """Have a request answered."""
        self.seen = 0
        self.request, self.framing, self.over = head, None, False
        self.keep_alive = wants_keep_alive(head)
        self.body = None if body.complete else body
        answerer = self.answerer = self.owner.answerer(self, head)
        answerer.begin()
        if body.complete:
            self.request_complete(answerer)

    def read_body(self, body: Body) -> None:
        """Bytes of the request body.

        Raises:
            MalformedRequest
        """
        assert self.answerer is not None
        answerer = self.answerer
        payload = body.feed(bytes(self.ahead))
        self.ahead = bytearray(body.excess)
        if payload:
            answerer.piece(payload)
        if body.error is not None:
            raise MalformedRequest(f"malformed request body: {body.error}")
        if body.complete:
            self.body = None
            self.request_complete(answerer)

    def request_complete(self, answerer: Answerer) -> None:
        answerer.complete()
        if self.over:
            self.end_exchange()

    def refuse(self, fault: ProxyError) -> None:
        """Answer what is not a request, and close."""
        begun = self.framing is not None and not self.over
        self.body = None
        answerer, self.answerer = self.answerer, None
        if answerer is not None:
            answerer.client_left()
        if begun:
            self.transport.abort()
            return
        text = f"{fault}\n".encode()
        fields = [(b"Content-Type", b"text/plain"), (b"Connection", b"close"),
                  (b"Content-Length", b"%d" % len(text))]  # fmt: skip
        self.ahead.clear()
        line = b"HTTP/1.1 %d" % fault.status
        self.write(head_bytes(line + b" Refused", fields) + text)
        self.send_fin()

    # -- the response

    @property
    def accept_fields(self) -> Fields:
        """What a handshake answers to the key of this request (RFC 6455 §4.2.2)."""
        key = None if self.request is None else self.request.get(b"sec-websocket-key")
        return [] if key is None else [(b"Sec-WebSocket-Accept", accept_value(key))]

    def send_interim(self, head: bytes) -> None:
        """A head of 1xx, other than 101."""
        self.write(head)

    def send_continue(self) -> bool:
        """Tell a client to send its body, if it waits for that (RFC 9110 §10.1.1)."""
        request = self.request
        waits = (
            self.body is not None
            and request is not None
            and b"100-continue" in request.members(b"expect")
        )
        if waits:
            self.write(CONTINUE)
        return waits

    def send_head(self, line: bytes, fields: Fields) -> BodyFraming:
        """Send the head of the response; how its body is framed, for its client.

        Raises:
            ProxyError: it is not a well-formed head.
        """
        assert self.request is not None
        fields = self.readable(fields)
        head = parse_response_head(head_bytes(line, fields))
        self.framing, self.remaining = framing_of(head, self.request.method)
        if self.framing == "close" or not wants_keep_alive(head):
            self.keep_alive = False
        self.write(head.data)
        if self.framing == "tunnel" and self.ahead:  # it came with the handshake
            asyncio.get_running_loop().call_soon(self.read_on)
        return self.framing

    def send_raw_head(self, line: bytes, fields: Fields) -> None:
        """Send a head as it is, also one that no client can read. No body follows."""
        self.framing, self.keep_alive = "none", False
        self.write(head_bytes(line, fields))

    def readable(self, fields: Fields) -> Fields:
        """A client of HTTP/1.0 knows no chunks (RFC 9112 §6.1)."""
        if self.request is None or self.request.minor > 0:
            return fields
        return [field for field in fields if field[0].lower() != CHUNKED[0].lower()]

    def send_piece(self, data: bytes) -> None:
        """One piece of the body, in one write."""
        if self.framing == "none" or not data or self.over:
            return
        self.remaining -= len(data)
        self.write(chunk(data) if self.framing == "chunked" else data)

    def finish(self, trailers: Fields) -> None:
        """End the body as it is framed; of one that is too short that is FIN."""
        if self.framing == "chunked":
            self.write(last_chunk(trailers))
        elif self.framing in ("close", "tunnel") or (
            self.framing == "length" and self.remaining > 0
        ):
            self.fin()
            return
        self.over = True
        if self.body is None:
            self.end_exchange()
        elif not self.keep_alive:
            self.send_fin()

    def fin(self) -> None:
        """Send FIN, wherever the body stands."""
        self.over, self.keep_alive = True, False
        self.send_fin()
        if self.body is None and self.framing != "tunnel":
            self.end_exchange()

    def send_fin(self) -> None:
        """What is still coming is read: with it unread, a close is a reset."""
        self.write_held()
        if self.fin_sent or self.gone or self.transport.is_closing():
            return
        self.fin_sent = True
        if self.half_closed:
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # reset by the client, which the loop has yet to tell
            self.transport.abort()

    def reset(self) -> None:
        """Reset the connection, once the kernel has all that was written."""
        self.over = True
        self.write_held()
        if self.gone or self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size():
            self.resets = True
            self.transport.set_write_buffer_limits(high=0)
            return
        reset_on_close(self.transport)
        self.transport.abort()

    def end_exchange(self) -> None:
        """Request and response are over: the next one, or the end."""
        self.answerer = None
        if not self.keep_alive:
            self.send_fin()  # until the client closes, too
            return
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        asyncio.get_running_loop().call_soon(self.read_on)

    def write(self, data: bytes) -> None:
        """To a client that is gone nothing is written."""
        if self.held is not None:
            self.held += data
        elif not self.gone and not self.transport.is_closing():
            self.transport.write(data)

    @contextlib.contextmanager
    def one_write(self) -> Iterator[None]:
        """What is sent in here goes out in one write."""
        self.held = bytearray()
        try:
            yield
        finally:
            self.write_held()

    def write_held(self) -> None:
        """Write what was held together."""
        data, self.held = self.held, None
        if data:
            self.write(bytes(data))


def framing_of(head: ResponseHead, method: bytes) -> tuple[BodyFraming, int]:
    """How a client reads the body behind a head, and how long it is if that is said.

    Raises:
        ProxyError: the client cannot read it.
    """
    if head.status == SWITCHING or (method == b"CONNECT" and 200 <= head.status < 300):
        return "tunnel", 0
    body = response_body(head, method)
    if method == b"HEAD" or head.status in WITHOUT_BODY:
        return "none", 0
    if isinstance(body, ChunkedBody):
        return "chunked", 0
    if isinstance(body, LengthBody):
        return "length", body.remaining
    return "close", 0


def encoded(fields: Iterable[tuple[str, str]]) -> Fields:
    """Fields as text on their way to the wire."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
