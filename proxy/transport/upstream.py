"""The upstream's side: connections to one target, kept and reused.

Owns connecting (names, addresses, TLS), the connections that wait for their
next request, and the reading of response heads. Translates the errors of
sockets, TLS and name look-ups into ours; nothing else does. There is no limit
on connections: each open stream needs one, and a limit would make the next
client wait for a stream to end.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from proxy.config.model import Route
from proxy.errors import (
    MalformedResponse,
    ProxyError,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamTruncated,
)
from proxy.http1.framing import Body, UntilCloseBody
from proxy.http1.head import END_OF_HEAD, ResponseHead, parse_response_head, stray_byte
from proxy.transport.connecting import Connector
from proxy.transport.connection import Connection, Receiver
from proxy.transport.deadlines import Deadlines

MAX_HEAD_BYTES = 256 * 1024  # of a response; real ones with many cookies: 40 KiB
MAX_INFORMATIONAL = 32  # 1xx responses before the final one


class Requester(Protocol):
    """The exchange that an upstream connection works for."""

    def informational(self, head: ResponseHead) -> None:
        """A 1xx response other than 101."""

    def response(self, head: ResponseHead) -> None:
        """The final response head, or 101; calls `read_body` or `become_tunnel`."""

    def upstream_failed(self, error: UpstreamError) -> None:
        """No response head will come."""


class UpstreamConnection(Connection):
    """One connection to an upstream."""

    __slots__ = (
        "ahead",
        "idle_since",
        "informational",
        "requester",
        "reusable",
        "reused",
        "tunnelled",
        "upstream",
    )

    def __init__(self, upstream: Upstream) -> None:
        super().__init__()
        self.upstream = upstream
        self.requester: Requester | None = None
        self.ahead = b""  # of a response head that is not complete
        self.informational = 0
        self.reused = False
        self.reusable = False
        self.tunnelled = False
        self.idle_since = 0.0

    # -- the request, out

    def send_head(self, head: bytes, *, chunked: bool, requester: Requester) -> None:
        """Write a request head; its body's pieces will follow."""
        self.requester = requester
        self.reusable = False
        self.informational = 0
        self.chunked = chunked
        self.transport.write(head)

    # -- the response, in

    def data_received(self, data: bytes) -> None:
        if self.receiver is not None:
            self.feed_body(data)
        elif self.requester is not None and self.body is None:
            self.ahead = self.ahead + data if self.ahead else data
            self.read_heads()
        else:
            # Bytes that nobody asked for: whatever they are, they must not
            # become the answer to the next request.
            self.reusable = False
            if self.requester is None:
                self.upstream.forget(self)
                self.abort()

    def read_heads(self) -> None:
        """Read 1xx responses and then the final head, if they are here."""
        requester = self.requester
        while requester is not None and self.requester is requester:
            try:
                head = self.read_head()
            except MalformedResponse as error:
                self.requester = None
                requester.upstream_failed(error)
                return
            if head is None:
                return
            if head.status >= 200 or head.status == 101:
                requester.response(head)
                return
            requester.informational(head)

    def read_head(self) -> ResponseHead | None:
        """One head, None if it is not complete.

        Raises:
            MalformedResponse: the bytes are no head, or too many.
        """
        data = self.ahead
        stop = data.find(END_OF_HEAD)
        if (stop if stop >= 0 else len(data)) > MAX_HEAD_BYTES:
            raise MalformedResponse(
                f"response head of more than {MAX_HEAD_BYTES} bytes"
            )
        if stop < 0:
            if data and not b"HTTP/1.".startswith(data[:7]):
                raise MalformedResponse("the upstream does not speak HTTP/1.1")
            fault = stray_byte(data.removesuffix(b"\r"))
            if fault is not None:
                raise MalformedResponse(f"malformed response head: {fault}")
            return None
        head = parse_response_head(data[: stop + 4])
        self.ahead = data[stop + 4 :]
        if head.status < 200:
            self.informational += 1
            if self.informational > MAX_INFORMATIONAL:
                raise MalformedResponse("too many 1xx responses")
        return head

    def read_body(self, body: Body, receiver: Receiver, *, keep_alive: bool) -> None:
        """Have the response body handed to `receiver` as it arrives."""
        self.body = body
        self.reusable = keep_alive and not isinstance(body, UntilCloseBody)
        data, self.ahead = self.ahead, b""
        if body.complete:
            self.after_body(data)
            receiver.end([])
            return
        self.receiver = receiver
        if data:
            self.feed_body(data)

    def become_tunnel(self, receiver: Receiver) -> None:
        """Hand raw bytes to `receiver` from now on, those already here first."""
        self.tunnelled = True
        self.chunked = False
        self.read_body(UntilCloseBody(), receiver, keep_alive=False)

    def after_body(self, excess: bytes) -> None:
        """Bytes after the end of a response desynchronise: never reuse."""
        if excess:
            self.reusable = False

    def framing_error(self, reason: str) -> ProxyError:
        return MalformedResponse(f"malformed response body: {reason}")

    # -- the end

    def eof_received(self) -> bool:
        """The upstream sent FIN: the end of a body that has no other end."""
        receiver = self.receiver
        if self.tunnelled and receiver is not None:
            receiver.end([])
            return True
        if receiver is not None and isinstance(self.body, UntilCloseBody):
            self.receiver = None
            self.body.end()
            receiver.end([])
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.upstream.forget(self)
        cause = f" ({exc})" if exc is not None else ""
        requester, receiver, body = self.requester, self.receiver, self.body
        self.requester = self.receiver = None
        if receiver is not None and body is not None:
            missing = body.end() or "the connection broke"
            receiver.broken(
                UpstreamTruncated(f"the upstream closed early: {missing}{cause}")
            )
        elif requester is not None and body is None:
            what = "inside its response head" if self.ahead else "without a response"
            requester.upstream_failed(
                UpstreamDisconnected(f"the upstream closed {what}{cause}")
            )

    def release(self) -> None:
        """The exchange is over: keep the connection if it is fit for another."""
        fit = (
            self.reusable
            and not self.closed
            and not self.ahead
            and self.requester is not None
            and self.receiver is None
            # Nothing left to read (the end of a body that was decoded late),
            # nothing left to write (of a request that was answered early).
            and not self.paused
            and not self.transport.get_write_buffer_size()
        )
        self.requester = self.receiver = self.feeder = self.body = None
        if fit and not self.transport.is_closing():
            self.upstream.keep(self)
        else:
            self.abort()

    def drop(self) -> None:
        """The exchange is over before its time: close at once."""
        self.requester = self.receiver = self.feeder = None
        self.reusable = False
        self.abort()

    def close_tunnel(self) -> None:
        """Both directions have ended; what was written still goes out."""
        self.requester = self.receiver = self.feeder = None
        if not self.closed:
            self.transport.close()


class Upstream:
    """One route's target: where to connect, and what is connected already."""

    def __init__(self, route: Route, deadlines: Deadlines) -> None:
        self.route = route
        self.deadlines = deadlines
        self.connector = Connector(route.target)
        self.idle: deque[UpstreamConnection] = deque()  # longest idle first

    def take(self) -> UpstreamConnection | None:
        """The connection used last, if one is idle: it is the least stale."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.closed and not connection.transport.is_closing():
                connection.reused = True
                return connection
        return None

    async def open(self) -> UpstreamConnection:
        """Connect anew.

        Raises:
            UpstreamError: not resolved, refused, unreachable, or TLS failed.
        """
        return await self.connector.connect(lambda: UpstreamConnection(self))

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for its next request."""
        if self.route.upstream_keepalive_seconds <= 0:
            connection.abort()
            return
        connection.idle_since = self.deadlines.clock()
        self.idle.append(connection)
        self.deadlines.add(self)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        if connection in self.idle:
            self.idle.remove(connection)

    def check(self, now: float) -> None:
        """Close what has been idle for too long."""
        limit = self.route.upstream_keepalive_seconds
        while self.idle and now - self.idle[0].idle_since >= limit:
            self.idle.popleft().abort()
        if not self.idle:
            self.deadlines.discard(self)

    def close(self) -> None:
        """Close what is idle; what is in use closes with its exchange."""
        while self.idle:
            self.idle.popleft().abort()
        self.deadlines.discard(self)
