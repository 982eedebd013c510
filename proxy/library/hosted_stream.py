"""One request that a host application hands over, and the way back: a `ClientStream`.

Neither socket nor framing is known here. What the host has read comes by
`data_received`, when `may_read` is set; how a response gets to it: `hosted_sending`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from proxy.errors import (
    ClientDisconnected,
    MalformedRequest,
    ProxyError,
    ShuttingDown,
)
from proxy.http1.framing import Body, LengthBody, UntilCloseBody, content_length
from proxy.http1.head import RequestHead
from proxy.internal_errors import report
from proxy.library.hosted_sending import HostedSending, HostRefused, Outlet
from proxy.policy.request_plan import RequestPlanner
from proxy.server.server import Server
from proxy.transport.client_stream import Served
from proxy.transport.flow import Receiver
from proxy.transport.private_connections import PrivateConnections
from proxy.transport.served_client import (
    check_body,
    stalled,
    tell_crashed,
    tell_left,
)
from proxy.transport.socket_state import has_left

log = logging.getLogger("unbuffered")


class Intake(Protocol):
    """Where a host gives a request."""

    async def read(self, stream: EmbeddedStream) -> None:
        """Hand all that comes to `stream`, until its client has left."""


class EmbeddedStream(HostedSending):
    """One request; towards the proxy it is a connection of its own."""

    def __init__(
        self,
        server: Server,
        request: RequestHead | None,
        address: bytes,
        scheme: bytes,
        *,
        complete: bool,
        transport: asyncio.Transport | None = None,
        sized: bool = True,
    ) -> None:
        """`complete`: it has no body. `sized`: its Content-Length counts what comes."""
        super().__init__(server, request)
        self.limits = server.config.server
        self.address = address
        self.scheme = scheme
        # Without one nothing is known of the connection: `get_extra_info` says so.
        self.transport = asyncio.Transport() if transport is None else transport
        self.planner = RequestPlanner(address, scheme)
        self.private: PrivateConnections | None = None  # to upstreams, if any is
        self.exchange: Served | None = None
        self.refused: ProxyError | None = None
        self.draining = self.aborted = self.left = False
        self.body: Body | None = None
        self.sized = sized
        self.receiver: Receiver | None = None
        self.paused = False
        self.ended = complete
        self.fault: MalformedRequest | None = None  # why there is no more of the body
        self.unread = bytearray()  # came, and nobody has taken it yet
        self.heard = False  # anything of the body, since the last look
        self.body_deadline = 0.0
        self.may_read = asyncio.Event()
        self.hold: Callable[[bool], object] | None = None  # stops what only comes
        self.allow_reading()

    # -- as a connection: see `ClientHost`

    @property
    def connection(self) -> EmbeddedStream:
        return self

    @property
    def protocol(self) -> str:
        return "hosted"

    @property
    def has_last_response(self) -> bool:
        return self.closed

    @property
    def unsent_bytes(self) -> int:
        return self.queued

    def wind_down(self) -> None:
        self.last = True

    def drain(self) -> None:
        self.draining = self.last = True

    def refuse(self, error: ProxyError) -> None:
        self.refused = error

    def crashed(self, place: str, error: Exception) -> None:
        if not tell_crashed(self, place, error):
            report(place, error)
            self.abort()

    # -- what the host's side tells

    async def serve(self, intake: Intake, outlet: Outlet) -> None:
        """Have the request served; returns when it is over, or its client gone.

        If it is not `complete` then, the client must not take it for complete.
        """
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self.read_from(intake))
                self.writer = group.create_task(self.write_to(outlet))
                self.begin()
                await asyncio.wait([self.writer])
                reader.cancel()
        except asyncio.CancelledError:
            self.leave("the host application ended the request")
            raise
        finally:
            self.writer = None

    def begin(self) -> None:
        """Have the request served."""
        server, request = self.server, self.request
        if server.draining and self.refused is None:
            self.refused = ShuttingDown("the application is shutting down")
        server.opened(self)
        if self.closed:  # there is no room for it, nor for an answer
            return
        if self.refused is not None or request is None:
            server.reject(self, self.refused or MalformedRequest("malformed request"))
        else:
            server.begin(self, request)

    async def read_from(self, intake: Intake) -> None:
        """Read until the client has left, or the response is over."""
        try:
            await intake.read(self)
        except OSError:
            self.leave("the client closed the connection")
        except Exception as error:
            self.crashed("reading from the host", error)

    def data_received(self, data: bytes) -> None:
        """Content of the request, or bytes of a tunnel."""
        try:
            self.heard = True
            if self.over or self.closed or not data:
                return
            if self.receiver is None or self.paused or self.unread:
                self.unread += data
            else:
                self.pass_on(data)
        except Exception as error:
            self.crashed("reading from a client", error)

    def request_ended(self) -> None:
        """There is no more of the request."""
        self.ended = True
        try:
            self.read_on()
        except Exception as error:
            self.crashed("handling the end of a client's data", error)
        self.allow_reading()

    def request_broken(self, fault: MalformedRequest) -> None:
        """The rest of the request cannot be read."""
        self.fault = fault
        self.unread.clear()
        self.request_ended()

    def refused_by_host(self, error: HostRefused) -> None:
        reason = f"the host application refused a part of the response: {error}"
        log.warning(reason)
        exchange = self.exchange
        self.conclude()
        self.let_go()
        if exchange is not None:
            exchange.client_left(ClientDisconnected(reason))

    def leave(self, reason: str) -> None:
        """The client is gone."""
        if self.closed:
            return
        self.left = True
        self.let_go()
        tell_left(self, ClientDisconnected(reason))

    # -- the request: see `ClientStream`

    @property
    def request_complete(self) -> bool:
        return self.body is not None and self.body.complete

    def open_body(self) -> Body:
        request = self.request
        assert request is not None
        length = request.index.get(b"content-length") if self.sized else None
        if b"transfer-encoding" in request.index:
            length = None  # the host has gone by the coding (RFC 9112 §6.3)
        if self.ended and not self.unread and self.fault is None:
            self.body = LengthBody(0)
        elif length is None:
            self.body = UntilCloseBody()
        else:
            try:
                self.body = LengthBody(content_length(length))
            except ValueError as fault:
                raise MalformedRequest(str(fault)) from None
        return self.body

    def read_body(self, receiver: Receiver) -> None:
        body = self.body
        assert body is not None
        if body.complete:
            receiver.end([])
            return
        self.receiver = receiver
        self.heard = True  # the clock begins now
        self.server.ticker.add(self)
        if not receiver.blocked:
            self.paused = False
        self.read_on()
        self.allow_reading()

    def become_tunnel(self, receiver: Receiver) -> None:
        self.body = UntilCloseBody()
        self.ended = False
        self.read_body(receiver)

    def pause_reading(self) -> None:
        self.paused = True
        self.may_read.clear()
        self.server.ticker.add(self)  # its client may leave unseen
        if self.hold is not None:
            self.hold(True)

    def resume_reading(self) -> None:
        if self.paused:
            self.paused = False
            self.read_on()
            self.allow_reading()
            if self.hold is not None:
                self.hold(False)

    def allow_reading(self) -> None:
        """Have the host read on, if there is somebody to take it.

        Behind the body nothing comes but the client's departure.
        """
        wanted = self.receiver is not None and not self.paused
        if wanted or (self.ended and not self.unread) or self.over or self.closed:
            self.may_read.set()
        else:
            self.may_read.clear()

    def read_on(self) -> None:
        """Pass on what has come, as far as it is taken."""
        if self.unread and self.receiver is not None and not self.paused:
            piece = bytes(self.unread)
            self.unread.clear()
            self.pass_on(piece)
        if self.ended and not self.unread and self.receiver is not None:
            self.end_body()

    def pass_on(self, data: bytes) -> None:
        """Hand a piece on in the call in which it came."""
        body, receiver = self.body, self.receiver
        assert body is not None
        assert receiver is not None
        receiver.piece(body.feed(data))
        if body.complete and self.receiver is receiver:
            self.receiver = None
            receiver.end([])

    def end_body(self) -> None:
        """All of the request has been passed on."""
        body, receiver = self.body, self.receiver
        assert body is not None
        assert receiver is not None
        self.receiver = None
        if self.fault is not None:
            receiver.broken(self.fault)
            return
        fault = body.end() if isinstance(body, LengthBody | UntilCloseBody) else None
        if fault is None:
            receiver.end([])
        else:
            receiver.broken(MalformedRequest(f"incomplete request body: {fault}"))

    def detach(self) -> None:
        self.exchange = self.receiver = self.feeder = None

    # -- time passes

    def check(self, now: float) -> None:
        """Look at the time limits. Called by the ticker."""
        if self.paused and has_left(self.transport):
            self.leave("the client closed the connection")
            return
        due = [self.paused, self.check_body(now), self.check_writing(now)]
        if not any(due):
            self.server.ticker.discard(self)

    def check_body(self, now: float) -> bool:
        """Does the request body come? False: it has, or need not."""
        limit = self.limits.body_timeout_seconds
        if not limit or self.receiver is None or self.is_tunnel:
            return False
        check_body(self, now, limit, its_turn=not self.paused)
        return True

    def check_writing(self, now: float) -> bool:
        """Does the host take any of what waits for it?"""
        limit = self.limits.write_timeout_seconds
        if not limit or not self.blocked or self.closed:
            return False
        if not self.taken_by:
            self.taken_by = now + limit
        elif now >= self.taken_by:
            error, exchange = stalled(self.queued, limit), self.exchange
            self.abort()  # which lets go of the exchange, too
            if exchange is not None:
                exchange.client_left(error)
        return True

    @property
    def is_tunnel(self) -> bool:
        """Do raw bytes go both ways?"""
        request = self.request
        return (
            request is not None
            and b"upgrade" in request.index
            and isinstance(self.body, UntilCloseBody)
        )

    # -- the end

    def finish(self) -> None:
        """The response is complete, as soon as what waits is gone."""
        self.conclude()
        self.ends = True
        self.wake.set()

    def break_off(self) -> None:
        """What waits still goes out; then the client sees that there was more."""
        self.conclude()
        self.broken = True
        self.wake.set()

    def conclude(self) -> None:
        """The exchange is over; the rest of the request is not wanted."""
        self.exchange = self.receiver = self.feeder = None
        self.over = True
        self.unread.clear()
        self.allow_reading()

    def abort(self) -> None:
        """Let go of the client at once; the host may be waiting for it to read."""
        if self.closed:
            return
        self.aborted = True
        self.conclude()
        self.let_go()
        if self.writer is not None:
            self.writer.cancel()

    def let_go(self) -> None:
        """Nothing goes either way any more."""
        if self.closed:
            return
        self.closed = True
        self.plan = None
        self.pieces.clear()
        self.interims.clear()
        self.unread.clear()
        self.queued = 0
        self.server.ticker.discard(self)
        if self.private is not None:
            self.private.close()
        self.allow_reading()
        self.wake.set()
        try:
            self.server.closed(self)
        except Exception as error:
            report("accounting for a client connection", error)
