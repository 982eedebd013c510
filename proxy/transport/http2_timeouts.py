"""An HTTP/2 connection and the time its client may take, up to the last FIN.

As on HTTP/1.1 the clocks stand apart: for a header block, for the next request, for
reading. What a stream has of its own, its stream looks at.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from abc import abstractmethod

from proxy.config.model import ServerOptions as Limits
from proxy.http2.frames import HEADER_BYTES
from proxy.http2.session import Session
from proxy.transport.client_timeouts import (
    LINGER_AT_MOST_SECONDS,
    LINGER_SECONDS,
    UNREAD_SECONDS,
)
from proxy.transport.connection import reset_on_close
from proxy.transport.http2_stream import Http2Stream
from proxy.transport.served_client import stalled, tell_left
from proxy.transport.socket_state import has_left, unsent
from proxy.transport.ticker import Ticker

GONE = "the client closed the connection"
ROUND_TRIP_SECONDS = 1.0  # for a client to answer the ping of a drain
# What may wait in the kernel before it takes no more: what has gone there has its
# order, and an event would wait behind all of a download.
UNSENT_BYTES = 128 * 1024


class TimedHttp2Connection(asyncio.Protocol):
    """A connection, as far as its time goes."""

    __slots__ = (
        "closed",
        "congested",
        "deadline",
        "draining",
        "heard",
        "in_block",
        "limits",
        "lingers",
        "lingers_until",
        "mark",
        "paused",
        "session",
        "streams",
        "taken_by",
        "ticker",
        "told",
        "transport",
    )

    session: Session

    def __init__(self, ticker: Ticker, limits: Limits) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set in connection_made
        self.ticker = ticker
        self.limits = limits
        self.streams: dict[Http2Stream, None] = {}  # that are served, or wait to be
        self.closed = False
        self.congested = False  # the transport takes no bytes for now
        self.paused = False  # the client is not read: it reads nothing
        self.draining = False  # no request is taken after those that come now
        self.told = False  # and the client knows which are the last
        # For what the client has to do next, while it has no stream.
        self.deadline = math.inf
        self.in_block = False
        self.taken_by = 0.0  # when it has to read some of what waits; 0: not known
        self.mark = 0  # see `unsent`
        self.lingers = False  # answered for the last time; what comes is thrown away
        self.lingers_until = 0.0
        self.heard = False  # anything that is thrown away, since the last look

    @abstractmethod
    def go_away(self, reason: str = "") -> None:
        """Say which requests are served yet; close once they are."""

    @abstractmethod
    def leave_all(self, reason: str) -> None:
        """The client is gone from all streams."""

    @abstractmethod
    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: end what it ran for, and tell the client."""

    @property
    def has_last_response(self) -> bool:
        """Has it got its last response, so that only its FIN has yet to come?"""
        return self.lingers and not unsent(self.transport)[0]

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait in the proxy because the client does not read."""
        queued = sum(stream.queued for stream in self.streams)
        return queued + self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close at once; bytes that wait are dropped."""
        if not self.closed:
            self.transport.abort()

    def watch(self) -> None:
        """Have time limits looked at."""
        self.ticker.add(self)

    def wait(self, seconds: float) -> None:
        """Give the client `seconds` for what it has to do next; 0: for ever."""
        self.deadline = self.ticker.clock() + seconds if seconds else math.inf
        if seconds:
            self.watch()

    def wait_for_round_trip(self) -> None:
        """Give it a moment to hear that we go away."""
        self.wait(ROUND_TRIP_SECONDS)

    def note_block(self) -> None:
        """A header block holds up all that comes behind it."""
        # A part of a frame's header is none yet: it may be one of content.
        session = self.session
        in_block = session.in_block or len(session.begun) >= HEADER_BYTES
        if in_block and not self.in_block:
            self.wait(self.limits.head_timeout_seconds)
        self.in_block = in_block

    def check(self, now: float) -> None:
        """Look at the time limits, and whether the client left unseen."""
        if self.lingers:
            self.check_lingering(now)
            return
        if now >= self.deadline and self.is_due():
            return
        if self.paused and has_left(self.transport):
            self.leave_all(GONE)
        due = [
            self.check_writing(now),
            self.check_streams(now),
            self.waits_for_client,
            self.paused,
        ]
        if not any(due) and not self.lingers:
            self.ticker.discard(self)

    @property
    def waits_for_client(self) -> bool:
        """Is there a deadline for what it has to do?"""
        return self.deadline < math.inf and (
            self.in_block
            or not self.streams
            or not self.session.settings_received
            or (self.draining and not self.told)
        )

    def is_due(self) -> bool:
        """The deadline has passed. True if that ends the connection."""
        if not self.waits_for_client:
            self.deadline = math.inf
            return False
        if self.draining and not self.told:
            self.deadline = math.inf
            self.go_away()
        elif self.in_block or not self.session.settings_received:
            self.deadline = math.inf
            self.leave_all(
                "a request head was not complete within "
                f"{self.limits.head_timeout_seconds:g} s (head_timeout_seconds)"
            )
            self.go_away("head_timeout_seconds")
        else:
            self.go_away("keepalive_timeout_seconds")
        return self.lingers

    def check_streams(self, now: float) -> bool:
        """Is there any time limit of a stream to look at?"""
        due = [stream.check(now, self.limits) for stream in tuple(self.streams)]
        return any(due)

    def check_writing(self, now: float) -> bool:
        """Does the client read any of what waits for it?"""
        if not self.congested:
            self.taken_by = 0.0
            return False
        limit = self.limits.write_timeout_seconds
        if not limit and not any(each.exchange for each in self.streams):
            limit = UNREAD_SECONDS
        if not limit:
            return False
        _, mark = unsent(self.transport)
        if mark != self.mark or not self.taken_by:
            self.mark = mark
            self.taken_by = now + limit
        elif now >= self.taken_by:
            self.stalled(limit)
        return True

    def stalled(self, limit: float) -> None:
        """It read nothing for so long that it is not waited for."""
        waiting = self.transport.get_write_buffer_size()
        reset_on_close(self.transport)  # nor does the kernel keep what it does not take
        for stream in tuple(self.streams):
            stream.let_go()
            tell_left(stream, stalled(waiting, limit))
        self.abort()

    # -- the end: see `client_timeouts`

    def hang_up(self) -> None:
        """Send FIN after all that was written, and wait for the client's."""
        self.linger()
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # reset by the peer, which the loop has yet to tell
                self.abort()
        else:
            self.transport.close()

    def linger(self) -> None:
        """Wait for the client to close, or at least to send no more."""
        self.lingers = True
        self.heard = False
        self.lingers_until = self.ticker.clock() + LINGER_AT_MOST_SECONDS
        self.wait(LINGER_SECONDS)

    def check_lingering(self, now: float) -> None:
        """Is it still there, and does it read what it was sent?"""
        if now < self.deadline:
            return
        waits, mark = unsent(self.transport)
        if waits and mark != self.mark:
            self.mark = mark
            self.wait(self.limits.write_timeout_seconds or UNREAD_SECONDS)
            return
        left = self.lingers_until - now
        if not waits and self.heard and left > 0:
            self.heard = False
            self.wait(min(LINGER_SECONDS, left))
            return
        if waits:
            reset_on_close(self.transport)
        self.ticker.discard(self)
        self.transport.abort()


def limit_unsent(transport: asyncio.Transport) -> None:
    """Have the kernel take no more than it can send soon, so that turns mean something.

    RFC 9218 §10 knows of no such thing, but every server that goes by priorities does
    it (TCP_NOTSENT_LOWAT).
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    sock: socket.socket | None = transport.get_extra_info("socket")
    if option is None or sock is None:
        return
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
