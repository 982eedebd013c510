"""A client's HTTP/2 connection: the socket of many streams.

Owns it from accept to close: bytes to the session, requests to the handler, frames out
in their turns, and the end, which the client is told of beforehand (GOAWAY). What
HTTP/2 allows is the session's business, what a request is answered with the handler's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from proxy.config.model import ServerOptions as Limits
from proxy.errors import MalformedRequest, ProxyError
from proxy.http1.head import RequestHead
from proxy.http2.faults import ConnectionFault, StreamFault
from proxy.http2.frames import (
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    LARGEST_NUMBER,
    NO_ERROR,
    code_name,
)
from proxy.http2.limits import Http2Limits
from proxy.http2.priority import DEFAULT, Priority
from proxy.http2.session import Session
from proxy.internal_errors import report
from proxy.policy.request_plan import RequestPlanner
from proxy.transport.client_connection import address_of
from proxy.transport.client_host import Http2Handler
from proxy.transport.connection import (
    FULL_READ,
    FULL_READS,
    HEADS_A_TURN,
    HIGH_WATER,
    INHERITS,
    keep_alive_probes,
)
from proxy.transport.http2_counts import HTTP2_COUNTS
from proxy.transport.http2_sending import SendingStream
from proxy.transport.http2_stream import Http2Stream
from proxy.transport.http2_timeouts import GONE, TimedHttp2Connection, limit_unsent
from proxy.transport.http2_turns import Turns
from proxy.transport.ticker import Ticker

log = logging.getLogger("unbuffered")

BATCH = 64 * 1024  # bytes that are written at once
# Of what a client does not read, what no window bounds: heads, answers to its frames.
# Beyond it, no more is read of the client either.
MOST_UNREAD = 256 * 1024
ROUND_TRIP = b"a drain."  # the data of a ping


class Http2Connection(TimedHttp2Connection):
    """One accepted connection."""

    __slots__ = (
        "address",
        "batch",
        "batched",
        "corked",
        "fresh",
        "full_reads",
        "handler",
        "planner",
        "pumping",
        "resting",
        "scheme",
        "turns",
    )

    def __init__(self, handler: Http2Handler, ticker: Ticker, limits: Limits) -> None:
        super().__init__(ticker, limits)
        self.handler = handler
        self.address = b""
        self.scheme = b"http"
        # Set in connection_made, as the transport is.
        self.planner: RequestPlanner = None  # type: ignore[assignment]
        self.session = Session(self, session_limits(limits), ticker.clock)
        self.fresh: list[Http2Stream] = []  # requests that have yet to begin
        self.full_reads = 0
        self.resting = False  # until the next turn of the loop
        self.turns = Turns()
        self.pumping = False
        self.corked = False
        self.batch: list[bytes] = []
        self.batched = 0

    @property
    def protocol(self) -> str:
        return "h2"

    # -- the connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            # uvloop's transports have the methods without the base class.
            self.transport = cast("asyncio.Transport", transport)
            if not INHERITS:
                keep_alive_probes(self.transport)
            self.transport.set_write_buffer_limits(high=HIGH_WATER)
            limit_unsent(self.transport)
            peer = transport.get_extra_info("peername")
            self.address = address_of(peer[0]) if isinstance(peer, tuple) else b"unix"
            if transport.get_extra_info("ssl_object") is not None:
                self.scheme = b"https"
            self.planner = RequestPlanner(self.address, self.scheme)
            self.session.start()
            self.wait(self.limits.head_timeout_seconds)
            self.handler.opened(self)
        except Exception as error:
            self.crashed("opening a client connection", error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.fresh.clear()
        self.ticker.discard(self)
        self.leave_all(GONE)
        try:
            self.handler.closed(self)
        except Exception as error:
            report("accounting for a client connection", error)

    def eof_received(self) -> bool:
        """The client sent FIN: it has left, and with it all of its streams."""
        try:
            self.leave_all(GONE)
            if not self.closed and not self.transport.can_write_eof():
                self.linger()  # the loop sends what waits, and closes TLS
        except Exception as error:
            self.crashed("handling the end of a client's data", error)
        return False

    def leave_all(self, reason: str) -> None:
        """The client is gone from all streams."""
        for stream in tuple(self.streams):
            try:
                stream.leave(reason)
            except Exception as error:
                report("closing a client connection", error)

    # -- bytes in

    def data_received(self, data: bytes) -> None:
        try:
            if self.lingers:
                self.heard = True
                return
            corked = self.cork()
            try:
                self.session.receive(data)
                self.begin_fresh()
            except ConnectionFault as fault:
                self.end_by(fault)
            finally:
                if corked:
                    self.uncork()
            if len(data) >= FULL_READ:
                self.full_reads += 1
            self.after_reading()
        except Exception as error:
            self.crashed("reading from a client", error)

    def begin_fresh(self) -> None:
        """Begin the requests that have come, as many as a turn of the loop has."""
        fresh = self.fresh
        for _ in range(min(len(fresh), HEADS_A_TURN)):
            stream = fresh.pop(0)
            if stream.closed:  # reset in the same read
                continue
            if stream.error is not None:
                self.handler.reject(stream, stream.error)
            elif stream.request is not None:
                HTTP2_COUNTS.requests += 1
                self.handler.begin(stream, stream.request)

    def after_reading(self) -> None:
        """See to it that others have their turn, and to time limits."""
        if self.closed or self.lingers:
            return
        if self.fresh or self.session.behind or self.full_reads >= FULL_READS:
            self.full_reads = 0
            self.rest()
        self.note_block()
        if self.congested and self.transport.get_write_buffer_size() > MOST_UNREAD:
            self.pause_reading()

    def rest(self) -> None:
        """Give the loop back; what is left of this turn's work is for the next one."""
        if not self.resting:
            self.resting = True
            if not self.paused and not self.transport.is_closing():
                self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.rested)

    def rested(self) -> None:
        """The turn after one that was used up. Called by the loop."""
        self.resting = False
        if self.closed or self.lingers:
            self.resume_transport()
            return
        self.data_received(b"")
        self.resume_transport()

    def resume_transport(self) -> None:
        """Read on, if nothing is in the way."""
        if (
            not self.resting
            and not self.paused
            and not self.closed
            and not self.transport.is_closing()
        ):
            self.transport.resume_reading()

    def pause_reading(self) -> None:
        """Read nothing more of a client that reads nothing."""
        if not self.paused:
            self.paused = True
            if not self.resting:
                self.transport.pause_reading()
            self.watch()

    # -- what the session tells

    def request_received(
        self,
        number: int,
        head: RequestHead,
        protocol: bytes,
        priority: Priority,
        *,
        complete: bool,
    ) -> Http2Stream:
        """A request: it begins when all that was read has been looked at."""
        return self.add(
            Http2Stream(self, number, head, protocol, priority, complete=complete)
        )

    def request_refused(
        self, number: int, error: ProxyError, head: RequestHead | None
    ) -> Http2Stream:
        """One that is answered by a status at once."""
        return self.add(
            Http2Stream(self, number, head, b"", DEFAULT, complete=False, error=error)
        )

    def add(self, stream: Http2Stream) -> Http2Stream:
        """One more stream."""
        self.streams[stream] = None
        self.fresh.append(stream)
        return stream

    def request_malformed(self, number: int, fault: StreamFault) -> None:
        """One that was reset; it is for the log."""
        self.handler.unanswered(self, MalformedRequest(fault.reason))

    def window_opened(self) -> None:
        """The client takes more, of all streams together."""
        self.pump()

    def ping_acked(self, data: bytes) -> None:
        """A round trip: the client knows that we go away."""
        if data == ROUND_TRIP and self.draining:
            self.go_away()

    def going_away(self, code: int, debug: bytes) -> None:
        """The client will ask for nothing more."""
        self.draining = True
        self.told = True
        self.close_if_done()

    # -- bytes out

    def write(self, data: bytes) -> None:
        """Send bytes, in this order with all others."""
        if self.corked:
            self.batch.append(data)
            self.batched += len(data)
            if self.batched >= BATCH:
                self.flush()
        elif not self.closed and not self.lingers:
            self.transport.write(data)

    def cork(self) -> bool:
        """Gather what is written from now on; False: that is done already."""
        if self.corked:
            return False
        self.corked = True
        return True

    def uncork(self) -> None:
        """Send what was gathered."""
        self.corked = False
        if self.batch:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered so far."""
        data = b"".join(self.batch)
        self.batch.clear()
        self.batched = 0
        if data and not self.closed and not self.lingers:
            self.transport.write(data)

    def has_waiting(self, stream: SendingStream) -> None:
        """Bytes of a stream wait: it gets a turn as soon as the client takes some."""
        if stream.send_window <= 0:
            self.watch()
            return
        self.turns.add(stream)
        self.pump()

    def pump(self) -> None:
        """Have streams write by turns, for as long as the client takes it."""
        if self.pumping or self.congested or not self.turns:
            return
        self.pumping = True
        corked = self.cork()
        session, turns = self.session, self.turns
        try:
            while turns and session.send_window > 0 and not self.congested:
                stream = cast("SendingStream", turns.pop())
                stream.take_turn()
                if stream.pieces and stream.send_window > 0 and not stream.in_turn:
                    turns.add(stream)
        finally:
            self.pumping = False
            if corked:
                self.uncork()
        if turns:
            self.watch()

    def pause_writing(self) -> None:
        """Called by the loop: more bytes wait than may."""
        self.congested = True
        self.watch()

    def resume_writing(self) -> None:
        """Called by the loop: the client has read on."""
        self.congested = False
        try:
            if self.paused:
                self.paused = False
                self.resume_transport()
            self.pump()
        except Exception as error:
            self.crashed("resuming writes", error)

    # -- streams end

    def stream_over(self, stream: SendingStream) -> None:
        """All of a response is sent, or the stream is reset."""
        self.turns.remove(stream)
        self.streams.pop(cast("Http2Stream", stream), None)
        if not self.streams and not self.closed:
            self.close_if_done()
            if not self.draining and self.session.settings_received:
                self.wait(self.limits.keepalive_timeout_seconds)

    # -- the end

    def wind_down(self) -> None:
        """Stay as it is: `drain` loses no request."""

    def drain(self) -> None:
        """Say that this is the end, and then, after a round trip, what is served yet.

        RFC 9113 §6.8: a request that is on its way at the first word is served.
        """
        if self.draining or self.closed or self.lingers:
            return
        self.draining = True
        if not self.session.settings_received:
            self.go_away()
            return
        self.session.go_away(NO_ERROR, "", LARGEST_NUMBER)
        self.session.ping(ROUND_TRIP)
        self.wait_for_round_trip()

    def go_away(self, reason: str = "") -> None:
        """Say which requests are served yet; close once they are."""
        if self.told or self.closed:
            return
        self.draining = self.told = True
        self.session.go_away(NO_ERROR, reason)
        self.close_if_done()

    def close_if_done(self) -> None:
        """Close, if nothing is served any more and nothing more will be."""
        if self.told and not self.streams and not self.lingers and not self.closed:
            self.hang_up()

    def hang_up(self) -> None:
        """Send FIN after all that was written, and wait for the client's."""
        self.flush()
        super().hang_up()

    def refuse(self, error: ProxyError) -> None:
        """Serve nothing at all."""
        self.handler.unanswered(self, error)
        self.session.go_away(ENHANCE_YOUR_CALM, str(error))
        self.hang_up()

    def end_by(self, fault: ConnectionFault) -> None:
        """The client broke a rule that holds for all of the connection."""
        level = logging.WARNING if fault.code == ENHANCE_YOUR_CALM else logging.INFO
        log.log(
            level,
            "client %s: HTTP/2 connection ended: %s",
            self.address.decode("ascii", "replace"),
            fault.reason,
        )
        self.give_up(fault.code, fault.reason)

    def give_up(self, code: int, reason: str) -> None:
        """End the connection with all of its streams."""
        HTTP2_COUNTS.ended[code_name(code)] += 1
        self.session.go_away(code, reason)
        self.fresh.clear()
        self.leave_all(f"its HTTP/2 connection was ended: {reason}")
        self.hang_up()

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: end what it ran for, and tell the client."""
        report(place, error)
        try:
            for stream in tuple(self.streams):
                if stream.exchange is not None:
                    stream.exchange.crashed(place, error)
            if not self.lingers and not self.closed:
                self.give_up(INTERNAL_ERROR, "internal error")
        except Exception as again:
            report("answering an internal error", again)
            self.abort()


def session_limits(limits: Limits) -> Http2Limits:
    """What of the configuration a session goes by."""
    return Http2Limits(
        max_streams=limits.http2_max_streams,
        max_resets_per_second=limits.http2_max_resets_per_second,
        max_control_frames_per_second=limits.http2_max_control_frames_per_second,
        max_head_bytes=limits.max_head_bytes,
        max_fields=limits.max_fields,
        max_target_bytes=limits.max_target_bytes,
    )
