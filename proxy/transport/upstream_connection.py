"""The upstream's side: one connection to it, from request to request.

Owns the reading of response heads and the end of a connection, whoever
brought it about. Which connections there are is the business of `upstream`, and
how one is made is that of `connector`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar, Protocol

from proxy.errors import (
    MalformedResponse,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamTruncated,
)
from proxy.http1.framing import Body, UntilCloseBody
from proxy.http1.grammar import END_OF_HEAD, stray_byte
from proxy.http1.head import REMEMBERED_BYTES, ResponseHead, parse_response_head
from proxy.internal_errors import report
from proxy.policy.response_plan import ResponsePlanner
from proxy.policy.size_limits import check_response_head
from proxy.transport.connection import joined, keep_alive_probes
from proxy.transport.flow import Receiver
from proxy.transport.lenient_reading import (
    MAY_BE_TAKEN,
    NO_CLOSE_NOTIFY,
    WOULD_BE_TAKEN,
    Reading,
    is_of_old_servers,
    is_whole,
)
from proxy.transport.outlasting_source import OutlastingSource
from proxy.transport.relay import ChunkRelay
from proxy.transport.socket_state import SocketState, how_it_closed

STRICT_HINT = f"; {MAY_BE_TAKEN}"
INTERIM_A_TURN = 64  # 1xx responses that go on in one turn of the loop; 20 µs each


class Requester(Protocol):
    """The exchange that an upstream connection works for."""

    def informational(self, head: ResponseHead) -> None:
        """A 1xx response other than 101."""

    def response(self, head: ResponseHead) -> None:
        """The final response head, or 101; calls `read_body` or `become_tunnel`."""

    def upstream_failed(self, error: UpstreamError) -> None:
        """No response head will come."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: report it, end, and let go of the connection."""


class Taps(Protocol):
    """What sees, or changes, all that comes of an upstream before anything else."""

    def response_to(self, body: Body, receiver: Receiver) -> Receiver:
        """Who gets the response body in place of `receiver`.

        If it is the taps themselves, they read the body, by `begin_body`.
        """

    def resumes(self) -> bool:
        """Is the upstream to be read on? If not, the taps see to it later."""

    def request_to(self, receiver: Receiver) -> Receiver:
        """Who gets the request body in place of `receiver`, or a tunnel's other way."""


class Pool(Protocol):
    """Where a connection waits for its next request."""

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for its next request."""

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""


class UpstreamPool(Pool, Protocol):
    """To whom a connection is."""

    def heard(self, connection: UpstreamConnection) -> None:
        """It has read a head that is not the same as its last one."""


class UpstreamConnection(OutlastingSource):
    """One connection to an upstream."""

    side: ClassVar[str] = "response"

    __slots__ = (
        "chunks",
        "idle_since",
        "informational",
        "last_head",
        "lenient",
        "max_head_bytes",
        "owner",
        "planner",
        "pool",
        "requester",
        "reusable",
        "reused",
        "seen",
        "socket_state",
        "taps",
        "tunnelled",
        "whole",
    )

    def __init__(self, pool: UpstreamPool) -> None:
        super().__init__()
        self.pool = pool
        self.planner = ResponsePlanner()
        self.owner: Pool | None = None  # the one client that may use it, if only one
        self.socket_state: SocketState | None = None  # once it has been kept
        self.requester: Requester | None = None
        # The receiver to be, if it may take whole chunks as they are. Set beforehand.
        self.chunks: ChunkRelay | None = None
        self.taps: Taps | None = None  # of the present exchange, where it has any
        self.last_head: ResponseHead | None = None
        self.seen = 0  # bytes of it that were looked at
        self.informational = 0  # 1xx responses of this exchange
        self.whole = False  # the upstream meant the end that came behind `ahead`
        self.lenient: Reading | None = None  # for the present exchange
        self.max_head_bytes = 0  # 0: no limit
        self.reused = False
        self.reusable = False
        self.tunnelled = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        keep_alive_probes(self.transport)

    def expect(self, planner: ResponsePlanner, max_head_bytes: int) -> None:
        """Expect the head that another connection has heard, under that limit.

        An upstream answers many requests with the same head: streams that are open
        together then have one in common.
        """
        self.planner.follow(planner)
        self.last_head = planner.head
        self.max_head_bytes = max_head_bytes

    # -- the request, out

    def serve(
        self, requester: Requester, max_head_bytes: int, lenient: Reading | None = None
    ) -> None:
        """Work for an exchange from now on; its request head comes next."""
        self.requester = requester
        self.lenient = lenient
        # What it is of, the strict reader cannot tell.
        self.body_hint = STRICT_HINT if lenient is None else ""
        if max_head_bytes != self.max_head_bytes:
            self.max_head_bytes = max_head_bytes
            self.last_head = None  # which was judged by another limit
        self.reusable = False
        self.informational = 0

    # -- the response, in

    def data_received(self, data: bytes) -> None:
        try:
            receiver = self.receiver
            if receiver is not None:
                chunks = self.chunks
                if chunks is None or not chunks.passes(data):
                    self.feed_body(data)
            elif self.requester is not None and self.body is None:
                self.ahead = joined(self.ahead, data) if self.ahead else data
                self.read_heads()
            else:
                # Bytes that nobody asked for: whatever they are, they must not
                # become the answer to the next request.
                self.reusable = False
                if self.requester is None:
                    self.forget()
                    self.abort()
        except Exception as error:
            self.crashed("reading from an upstream", error)

    def read_heads(self) -> None:
        """Read 1xx responses and then the final head, if they are here."""
        requester, left = self.requester, INTERIM_A_TURN
        while requester is not None and self.requester is requester:
            try:
                head = self.read_head()
            except MalformedResponse as error:
                if self.lenient is None and is_of_old_servers(self.ahead):
                    error = MalformedResponse(f"{error}; {WOULD_BE_TAKEN}")
                requester.upstream_failed(error)
                self.requester = None
                return
            if head is None:
                return
            if head.status >= 200 or head.status == 101:
                requester.response(head)
                return
            requester.informational(head)
            left -= 1
            if not left:
                self.rest()
                return

    def go_on(self) -> None:
        super().go_on()
        if self.ahead and self.requester is not None and self.body is None:
            self.read_heads()
        if self.closed and not self.resting and not self.left:
            self.go_on_lost()

    def read_head(self) -> ResponseHead | None:
        """One head, None if it is not complete.

        Raises:
            MalformedResponse: the bytes are no head, or too many.
        """
        if self.lenient is not None:
            return self.read_lenient_head(self.lenient)
        data, last = self.ahead, self.last_head
        if last is not None and data.startswith(last.data):  # the same again
            head, stop = last, len(last.data) - len(END_OF_HEAD)
        else:
            stop = data.find(END_OF_HEAD, max(self.seen - 3, 0))
            check_response_head(data, stop, self.max_head_bytes)
            if stop < 0:
                self.keep_begun(data)
                return None
            head = parse_response_head(bytes(data[: stop + 4]))
            self.last_head = head if stop <= REMEMBERED_BYTES else None
            self.pool.heard(self)
        self.seen = 0
        self.ahead = bytes(data[stop + 4 :])
        if head.status < 200:
            self.informational += 1
        return head

    def keep_begun(self, data: bytes | bytearray) -> None:
        """Wait for the rest of a head, if it can still be one.

        Raises:
            MalformedResponse: it cannot.
        """
        if data and not b"HTTP/1.".startswith(data[:7]):
            raise MalformedResponse("the upstream does not speak HTTP/1.1")
        fault = stray_byte(data, max(self.seen - 1, 0))
        if fault is not None:
            raise MalformedResponse(f"malformed response head: {fault}")
        self.seen = len(data)
        self.ahead = data if isinstance(data, bytearray) else bytearray(data)

    def read_lenient_head(self, lenient: Reading) -> ResponseHead | None:
        """As `read_head`, of a head that is put into strict form first."""
        data = self.ahead
        found = lenient.head(data, self.seen)
        if found is None:
            check_response_head(data, -1, self.max_head_bytes)
            if data and not lenient.may_begin(data):
                raise MalformedResponse("the upstream does not speak HTTP/1.1")
            self.seen = len(data)
            self.ahead = data if isinstance(data, bytearray) else bytearray(data)
            return None
        strict, size = found
        check_response_head(strict, len(strict) - 4, self.max_head_bytes)
        self.seen = 0
        head = parse_response_head(strict)
        self.ahead = bytes(data[size:])
        if head.status < 200:
            self.informational += 1
        return head

    def read_body(self, body: Body, receiver: Receiver, *, keep_alive: bool) -> None:
        """Have the response body handed to `receiver` as it arrives."""
        taps = self.taps
        if taps is not None:
            receiver, self.chunks = taps.response_to(body, receiver), None
            reader: object = receiver
            if reader is taps:
                return
        self.begin_body(body, receiver, keep_alive=keep_alive)

    def begin_body(self, body: Body, receiver: Receiver, *, keep_alive: bool) -> None:
        """The same, past all taps."""
        self.body = body
        self.reusable = keep_alive and not isinstance(body, UntilCloseBody)
        data, self.ahead = bytes(self.ahead), b""
        if body.complete:
            self.ahead = data  # which desynchronises: see `release`
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

    def resume_reading(self) -> None:
        if self.taps is None or self.taps.resumes():
            super().resume_reading()

    # -- the end

    def eof_received(self) -> bool:
        """The upstream sent FIN: the end of a body that has no other end."""
        receiver = self.receiver
        try:
            if self.tunnelled and receiver is not None:
                receiver.end([])
                return self.transport.can_write_eof()  # TLS has no half-close
            if receiver is not None and isinstance(self.body, UntilCloseBody):
                self.end_by_close(receiver, whole=is_whole(self.transport))
            elif self.ahead:  # the head of that body may be among it
                self.whole = is_whole(self.transport)
        except Exception as error:
            self.crashed("handling the end of an upstream's data", error)
        # No answer can come any more. A mere close would wait until all of an
        # upload has been taken, and perhaps nobody reads it.
        self.abort()
        return False

    def end_by_close(self, receiver: Receiver, *, whole: bool) -> None:
        """The close ends the body, if it is the one that the upstream meant."""
        self.receiver = None
        if whole or self.lenient is not None:
            receiver.end([])
        else:
            receiver.broken(UpstreamTruncated(NO_CLOSE_NOTIFY))

    def forget(self) -> None:
        """Be kept by nobody."""
        self.pool.forget(self)
        if self.owner is not None:
            self.owner.forget(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        try:
            self.forget()
            in_use = self.requester is not None
            if self.outlasts(broken=exc is not None and in_use):
                self.rest()
                self.lost = partial(self.tell_lost, exc)
                if self.feeder is not None:  # what is sent now is for nobody
                    self.feeder.sink_blocked()
            else:
                self.tell_lost(exc)
        except Exception as error:
            self.crashed("closing an upstream connection", error)

    def tell_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and so is what came before its end."""
        try:
            self.broke_off(exc)
        except Exception as error:
            self.crashed("closing an upstream connection", error)
        self.requester = None

    def broke_off(self, fault: Exception | None) -> None:
        """Tell what is missing now; nothing, if the connection was not in use."""
        how = how_it_closed(fault)
        requester, receiver, body = self.requester, self.receiver, self.body
        self.receiver = None
        if receiver is not None and isinstance(body, UntilCloseBody) and not fault:
            # uvloop tells so of an end that nobody meant.
            self.end_by_close(receiver, whole=self.whole)
        elif receiver is not None and body is not None:
            missing = body.end() or "the connection was lost"
            cut = UpstreamTruncated(f"the upstream {how} early: {missing}")
            cut.by_reset = fault is not None
            receiver.broken(cut)
        elif requester is not None and body is None:
            what = (
                "in the middle of the response head"
                if self.ahead
                else "without a response"
            )
            closed = UpstreamDisconnected(f"the upstream {how} {what}")
            closed.by_reset = fault is not None
            requester.upstream_failed(closed)

    def crashed(self, place: str, error: Exception) -> None:
        requester = self.requester
        if requester is not None:
            requester.crashed(place, error)
        else:
            report(place, error)
        self.abort()

    def release(self) -> None:
        """The exchange is over: keep the connection if it is fit for another."""
        fit = (
            self.reusable
            and not self.closed
            and not self.ahead
            and self.requester is not None
            and self.receiver is None
            # Of a request that was answered early, nothing is left to send.
            and not self.transport.get_write_buffer_size()
        )
        self.requester = self.receiver = self.feeder = self.body = self.chunks = None
        if fit and not self.transport.is_closing():
            if self.paused:
                self.resume_reading()
            (self.pool if self.owner is None else self.owner).keep(self)
        else:
            self.abort()

    def wait(self) -> None:
        """Be ready to tell, when a request comes, whether it is still of use."""
        if self.socket_state is None:
            self.socket_state = SocketState(self.transport)

    def fresh(self) -> bool:
        """May it serve a request after it was idle? Closes if not."""
        if self.closed or self.transport.is_closing():
            return False
        presence = self.socket_state
        if presence is not None and not presence.quiet:  # closed, or out of step
            self.abort()
            return False
        self.reused = True
        return True

    def drop(self) -> None:
        """The exchange is over before its time: close at once."""
        self.requester = self.receiver = self.feeder = self.chunks = None
        self.head = b""
        self.reusable = False
        self.abort()

    def close_tunnel(self) -> None:
        """Both directions have ended; what was written still goes out."""
        self.requester = self.receiver = self.feeder = None
        if self.closed:
            self.abort()
        else:
            self.transport.close()
