"""A client and the time it may take: for its head, its body, its reading.

The clocks stand apart so that none stands in for another: a client that takes
long to read is not late with its next request, and one whose upload waits for
a slow upstream is not late at all. What it is told is decided elsewhere.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from enum import Enum

from proxy.config.model import ServerOptions as Limits
from proxy.errors import (
    ClientDisconnected,
    InternalError,
    ProxyError,
    RequestTimeout,
)
from proxy.http1.framing import LengthBody
from proxy.internal_errors import report
from proxy.transport.client_stream import Served
from proxy.transport.connection import Connection
from proxy.transport.served_client import (
    check_body,
    stalled,
    tell_crashed,
    tell_left,
)
from proxy.transport.socket_state import has_left, unsent
from proxy.transport.ticker import Ticker

# For a client to take some of a response that is complete, where
# write_timeout_seconds says nothing; as nginx (send_timeout).
UNREAD_SECONDS = 60.0
# A response is lost if the socket closes on unread bytes, or if any come once it
# is closed: the kernel sends a reset. So: read on until the client closes too, as
# it does at once on our FIN (RFC 9112 §9.6), or is silent. Many read no answer before
# they have sent all of a long upload; so what comes is bounded by time, not by bytes
# (nginx: lingering_timeout, lingering_time).
LINGER_SECONDS = 2.0  # of silence
LINGER_AT_MOST_SECONDS = 30.0


class State(Enum):
    """Where a client connection is in its life."""

    HEAD = 1  # waiting for a request head, or in the middle of one
    EXCHANGE = 2  # a request is being served
    TUNNEL = 3  # upgraded: raw bytes both ways
    LINGER = 4  # answered for the last time; what still comes is thrown away


# By name: see `proxy.timeline`.
HEAD, EXCHANGE, TUNNEL, LINGER = State


class TimedConnection(Connection):
    """A client's connection, as far as its time goes."""

    __slots__ = (
        "body_deadline",
        "close_is_end",
        "deadline",
        "exchange",
        "head_begun",
        "heard",
        "limits",
        "lingers_until",
        "scheme",
        "state",
        "ticker",
        "unsent",
    )

    def __init__(self, ticker: Ticker, limits: Limits) -> None:
        super().__init__()
        self.ticker = ticker
        self.limits = limits
        self.state = HEAD
        self.scheme = b"http"
        self.close_is_end = False  # of the response body: to an HTTP/1.0 client
        self.exchange: Served | None = None
        self.head_begun = False
        self.deadline = 0.0  # for a head, for the next request, for taking bytes
        self.body_deadline = 0.0
        self.heard = False  # anything of a body, wanted or not, since the last look
        self.lingers_until = 0.0
        self.unsent = 0  # what waited for the client at the last look: see `waiting`

    @abstractmethod
    def refuse(self, error: ProxyError) -> None:
        """Answer bytes that are no request, for the last time."""

    @property
    def is_asked(self) -> bool:
        """Have bytes of a request come that is not answered?"""
        return self.ahead != b""

    @property
    def request_complete(self) -> bool:
        """Has the whole request body been read?"""
        return self.body is not None and self.body.complete

    @property
    def waiting_for(self) -> str:
        """What has to happen next.

        `response` is the exchange's; `request`, `tunnel`, `reading` of the last
        response and `close` are the client's.
        """
        if self.closed or self.has_last_response:
            return "close"
        if self.state is LINGER:
            return "reading"
        return {HEAD: "request", EXCHANGE: "response", TUNNEL: "tunnel"}[self.state]

    @property
    def has_last_response(self) -> bool:
        """Has it got its last response, so that only its FIN has yet to come?"""
        return self.state is LINGER and not self.waiting()[0]

    def leave(self, reason: str) -> None:
        """Tell the exchange, if there is one, that its client is gone."""
        tell_left(self, ClientDisconnected(reason))

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised: end what it ran for, and tell the client."""
        if tell_crashed(self, place, error):
            return
        report(place, error)
        if self.state is HEAD and self.is_asked and not self.closed:
            try:
                self.refuse(InternalError())
            except Exception as again:
                report("answering an internal error", again)
                self.abort()
        else:
            self.abort()

    def wait(self, seconds: float) -> None:
        """Give the client `seconds` for what it has to do next; 0: for ever."""
        if seconds:
            self.deadline = self.ticker.clock() + seconds
            self.ticker.add(self)
        else:
            self.deadline = math.inf
            self.ticker.discard(self)

    def linger(self) -> None:
        """Wait for the client to close, or at least to send no more."""
        self.state = LINGER
        self.heard = False
        self.lingers_until = self.ticker.clock() + LINGER_AT_MOST_SECONDS
        self.wait(LINGER_SECONDS)

    def sends_on(self) -> bool:
        """Has it sent something that is thrown away, and may it go on?"""
        left = self.lingers_until - self.ticker.clock()
        if self.state is not LINGER or not self.heard or left <= 0:
            return False
        self.heard = False
        self.wait(min(LINGER_SECONDS, left))
        return True

    def waiting(self) -> tuple[bool, int]:
        """Do bytes wait for the client? And a number: while it is the same, none went.

        See `unsent`.
        """
        return unsent(self.transport)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait in the proxy because the client does not read."""
        return self.transport.get_write_buffer_size()

    def check(self, now: float) -> None:
        """Look at the time limits, and whether the client left unseen."""
        if self.state not in (EXCHANGE, TUNNEL):
            if now >= self.deadline and not self.resting:
                self.waited()
        elif self.paused and has_left(self.transport):
            self.leave("the client closed the connection")
        else:
            # Each of the three, so that none stands in for another.
            due = [self.paused, self.check_writing(now), self.check_body(now)]
            if not any(due):
                self.ticker.discard(self)

    def waited(self) -> None:
        """The deadline for a head, or for the last response to be read."""
        waits, mark = self.waiting()
        if waits and mark != self.unsent:
            self.unsent = mark  # it still reads the last response
            self.wait(self.limits.write_timeout_seconds or UNREAD_SECONDS)
            return
        if not waits and self.sends_on():
            return
        if self.state is HEAD and self.head_begun and not waits:
            self.refuse(
                RequestTimeout(
                    "the request head was not complete within "
                    f"{self.limits.head_timeout_seconds:g} s (head_timeout_seconds)"
                )
            )
            return
        if waits:  # what a client does not take is kept by no one
            self.reset_on_close()
        elif (
            self.state is LINGER
            and not self.transport.can_write_eof()
            and not self.transport.is_closing()
        ):
            self.wait(LINGER_SECONDS)
            self.transport.close()  # by TLS it has yet to be told that this is the end
            return
        self.ticker.discard(self)
        self.transport.abort()

    def check_writing(self, now: float) -> bool:
        """Does the client take any of what waits for it? False: need not be asked."""
        limit = self.limits.write_timeout_seconds
        if not limit or not self.blocked:
            return False
        _, mark = self.waiting()
        if mark != self.unsent:
            self.unsent = mark
            self.deadline = now + limit
        elif now >= self.deadline and self.exchange is not None:
            waiting = self.transport.get_write_buffer_size()
            self.reset_on_close()  # nor does the kernel keep what it does not take
            tell_left(self, stalled(waiting, limit))
        return True

    def check_body(self, now: float) -> bool:
        """Does the request body come? False: it has, or need not."""
        limit = self.limits.body_timeout_seconds
        if not limit or self.receiver is None or self.state is not EXCHANGE:
            return False
        # While paused or resting, it is not the client's turn.
        its_turn = not (self.paused or self.resting)
        check_body(self, now, limit, its_turn=its_turn)
        return True

    def pause_reading(self) -> None:
        super().pause_reading()
        self.ticker.add(self)

    def peer_blocked(self) -> None:
        super().peer_blocked()
        if self.limits.write_timeout_seconds:
            self.unsent = 0
            self.ticker.add(self)

    # -- the end

    def close_after_response(self) -> None:
        """Close so that the client can read all that was written to it."""
        self.feeder = None
        self.hang_up(ended=self.state is TUNNEL)

    def hang_up(self, *, ended: bool = False) -> None:
        """Send FIN after all that was written; `ended`: do not read on.

        TLS has no half-close: there the end can only wait, where the client is
        known to send on.
        """
        sends_on = not self.request_complete or self.ahead != b""
        self.body = LengthBody(0)
        self.ahead = b""
        self.linger()
        if ended:
            self.transport.close()
        elif self.transport.can_write_eof():
            self.send_fin()
            self.resume_reading()
        elif sends_on:
            self.resume_reading()
        else:
            self.transport.close()

    def break_off(self) -> None:
        """End a response that will never be complete so that the client can tell.

        Bytes already written still go out. Then the missing last chunk, or the
        bytes missing of Content-Length, tell the rest; where the close itself
        is the end of the body, it has to be a reset, without the alert by which
        TLS says that all was sent (RFC 9112 §9.8).
        """
        self.exchange = None
        self.receiver = None
        self.feeder = None
        if self.closed:
            return
        self.flush_head()
        if self.close_is_end:
            self.reset_on_close()
            if self.scheme == b"https":
                self.transport.abort()
                return
        self.hang_up(ended=self.close_is_end or self.state is TUNNEL)
