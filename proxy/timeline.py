"""The account of one exchange: clock marks, holds, gaps, and how it ended.

All times are seconds on a monotonic clock; `Clock` is injected so that tests
run on a clock of their own. Wall-clock time is read here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

from proxy.errors import (
    AgedOut,
    ClientDisconnected,
    ClientError,
    ClientStalled,
    InternalError,
    Overloaded,
    ProxyError,
    RequestTimeout,
    ShuttingDown,
    StreamUncertain,
    UpstreamTimeout,
)

Clock: TypeAlias = Callable[[], float]

monotonic: Clock = time.perf_counter
wall_clock: Clock = time.time  # noqa: TID251 - the one place


class Phase(Enum):
    """Where an exchange is; it only ever moves on."""

    ROUTING = 1
    CONNECTING = 2
    WAITING = 3  # for the response head
    RELAYING = 4
    TUNNEL = 5
    OVER = 6


# By name, since a member of an enumeration takes 0.1 us to look up (CPython before
# 3.12), and every request asks a dozen times.
ROUTING, CONNECTING, WAITING, RELAYING, TUNNEL, OVER = Phase


class Ending(Enum):
    """How an exchange ended; the words of the log."""

    COMPLETE = "complete"
    CLIENT_LEFT = "client left"
    UPSTREAM_BROKE = "upstream broke"
    TIMED_OUT = "timed out"
    REFUSED = "refused"  # by us: a bad request, no route, a limit
    SHUT_DOWN = "shut down"  # by us: the process ends, drain_seconds are over
    AGED_OUT = "aged out"  # by us: max_age_seconds are over; the client reconnects
    INTERNAL_ERROR = "internal error"  # of the proxy; its log has the traceback


COMPLETE = Ending.COMPLETE  # of nearly every exchange


def ending_of(error: ProxyError) -> Ending:
    """How an exchange that failed has ended, in the words of the log."""
    if isinstance(error, UpstreamTimeout | RequestTimeout | ClientStalled):
        return Ending.TIMED_OUT
    if isinstance(error, ClientDisconnected):
        return Ending.CLIENT_LEFT
    if isinstance(error, ClientError | Overloaded | StreamUncertain):
        return Ending.REFUSED
    if isinstance(error, ShuttingDown):
        return Ending.SHUT_DOWN
    if isinstance(error, AgedOut):
        return Ending.AGED_OUT
    if isinstance(error, InternalError):
        return Ending.INTERNAL_ERROR
    return Ending.UPSTREAM_BROKE


class Finish:
    """What an upstream sent after its client had left, until it was let go.

    `left`: when the client left, on the clock. `sent`: bytes of the body until then.
    `ending` and `error`: of the call.
    """

    __slots__ = ("ending", "error", "left", "sent", "unread_bytes")

    def __init__(self, left: float, sent: int) -> None:
        self.left = left
        self.sent = sent
        self.ending = Ending.COMPLETE
        self.error: ProxyError | None = None
        self.unread_bytes = 0


class Visit:
    """One connection to a stream that is kept or shared: from where, and how long.

    `stream`: what may be told of its ID. `way`: by what it was asked for; FIRST: it is
    the request for which the upstream was asked. `begins`: the first byte of the stream
    that the client got. `state`: of the stream, when the client left.
    """

    __slots__ = (
        "began",
        "begins",
        "bytes_sent",
        "client",
        "ended",
        "ending",
        "kept",
        "state",
        "stream",
        "way",
    )

    def __init__(
        self,
        stream: str,
        client: bytes,
        way: str,
        begins: int,
        began: float,
        kept: bool,
    ) -> None:
        self.stream = stream
        self.client = client
        self.way = way
        self.begins = begins
        self.began = began
        self.kept = kept  # can it be resumed, or was it only shared?
        self.ended: float | None = None
        self.ending = COMPLETE
        self.bytes_sent = 0
        self.state = ""


FIRST = "first"


class ModelAnswer:
    """What a stream tells of a model's answer: see `stream.model_answers`.

    Times are those of the clock: of the first token, and of the last piece.
    """

    __slots__ = ("first_token", "input_tokens", "last_piece", "model", "output_tokens")

    def __init__(self) -> None:
        self.model = ""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.first_token: float | None = None
        self.last_piece: float | None = None  # once it has ended

    @property
    def seconds_per_token(self) -> float | None:
        """From the first to the last token, for each after the first."""
        first, last, count = self.first_token, self.last_piece, self.output_tokens
        if first is None or last is None or count is None or count < 2:
            return None
        return (last - first) / (count - 1) if last > first else None

    @property
    def tokens_per_second(self) -> float | None:
        """The same the other way round."""
        seconds = self.seconds_per_token
        return None if seconds is None else 1 / seconds


class CallTimeline:
    """What happened between the proxy and the upstream in one exchange.

    gap: time between two pieces from the upstream.
    """

    __slots__ = (
        "answer",
        "coded",
        "connected",
        "content_type",
        "family",
        "finish",
        "first_byte",
        "head_received",
        "last_piece",
        "longest_gap",
        "pieces",
        "retries",
        "silent_since",
        "sought",
        "upstream",
        "verdict",
    )

    def __init__(self, started: float) -> None:
        self.upstream: str | None = None  # the target that was chosen last
        self.content_type: bytes | None = None  # of the response, as received
        self.coded: tuple[str, ...] = ()  # the content codings that came off
        # What is streamed, and how it ended by its own events: see `stream.families`.
        self.family: str | None = None
        self.verdict: str | None = None
        self.answer: ModelAnswer | None = None  # of a stream that has one
        self.finish: Finish | None = None  # once it goes on without its client
        self.retries = 0  # attempts to reach an upstream that came to nothing
        self.sought: float | None = None  # a new connection, for the first time
        self.connected: float | None = None
        self.head_received: float | None = None
        self.first_byte: float | None = None
        self.last_piece: float | None = None
        self.silent_since = started  # of the upstream; a slow client's time excluded
        self.pieces = 0
        self.longest_gap = 0.0

    def piece_read(self, now: float) -> None:
        """Mark the arrival of a piece of the response body."""
        if self.last_piece is None:
            self.first_byte = now
        elif now - self.last_piece > self.longest_gap:
            self.longest_gap = now - self.last_piece
        self.last_piece = self.silent_since = now
        self.pieces += 1

    def first_byte_since(self, begun: float | None) -> float | None:
        """When the first byte came, for one who waits since then; None: before that."""
        first = self.first_byte
        if first is None or begun is None or first < begun:
            return None
        return first

    def follow(self, other: CallTimeline) -> None:
        """Say of the stream what another account says.

        Pieces, gaps and the first byte are a client's own.
        """
        self.upstream = other.upstream
        self.content_type = other.content_type
        self.coded = other.coded
        self.family = other.family
        self.verdict = other.verdict
        self.answer = other.answer
        self.last_piece = other.last_piece
        self.silent_since = other.silent_since

    def copy(self) -> CallTimeline:
        """The same account up to now, which goes on by itself."""
        other = CallTimeline(self.silent_since)
        other.follow(self)
        other.longest_gap = self.longest_gap
        other.retries = self.retries
        other.sought = self.sought
        other.connected = self.connected
        other.head_received = self.head_received
        other.first_byte = self.first_byte
        other.pieces = self.pieces
        return other


class Timeline:
    """What happened between a client and the proxy in one exchange.

    `call` is the other half, the proxy and the upstream; the access log has both.
    hold: time from the read of a piece to its write to the client.
    """

    __slots__ = (
        "beats",
        "bytes_received",
        "bytes_sent",
        "call",
        "client",
        "ended",
        "ending",
        "error",
        "heads",
        "held_since",
        "host",
        "longest_hold",
        "method",
        "number",
        "peer",
        "request_id",
        "route",
        "scheme",
        "started",
        "status",
        "stream",
        "target",
        "tunnel",
        "version",
        "visit",
    )

    def __init__(
        self,
        started: float,
        client: bytes,
        method: bytes = b"",
        target: bytes = b"",
        version: str = "1.1",
        scheme: bytes = b"http",
    ) -> None:
        # Who is at the other end of the connection, and whose request it is: another
        # address only where a proxy in front is trusted (see `Exchange.believe`).
        self.client = self.peer = client
        # What the client asked for, as far as it is known.
        self.scheme = scheme
        self.host: bytes | None = None
        self.call = CallTimeline(started)
        self.request_id = b""  # nothing: requests have none
        self.route: str | None = None
        # The request line; without one, what came was no request.
        self.method = method
        self.target = target
        self.version = version  # of HTTP
        self.status = 0  # as sent to the client; 0: nothing was sent
        self.number = 0  # given by the inspector to what it shows
        self.stream = False  # as the delivery decision has it, or a tunnel
        self.tunnel = False  # after a 101 of the upstream; to HTTP/2 that is a 200
        # For the inspector, once it has ended: the request's head and plan, the
        # response's head and plan.
        self.heads: object = None
        self.visit: Visit | None = None  # of a stream that is kept or shared
        self.error: ProxyError | None = None
        self.started = started
        self.held_since: float | None = None
        self.ended: float | None = None
        self.ending = COMPLETE
        self.bytes_received = 0  # request body, as the client sent it
        self.bytes_sent = 0  # response body, before transfer coding
        self.longest_hold = 0.0
        # Heartbeats of ours inside the response body: how many, and when the last one.
        self.beats: tuple[int, float] = (0, 0.0)

    def piece_written(self, read: float, now: float) -> None:
        """Mark that the piece read at `read` has been written by `now`."""
        if now - read > self.longest_hold:
            self.longest_hold = now - read

    def beat_sent(self, now: float) -> None:
        """Mark that a heartbeat goes out."""
        self.beats = (self.beats[0] + 1, now)

    @property
    def heartbeats(self) -> int:
        """How many were sent."""
        return self.beats[0]

    @property
    def beat_alone(self) -> float | None:
        """When a heartbeat went out, if nothing of the upstream has since."""
        count, last = self.beats
        piece = self.call.last_piece
        return last if count and (piece is None or piece < last) else None

    def hold_begins(self, now: float) -> None:
        """Mark that bytes of the client wait in the proxy."""
        if self.held_since is None:
            self.held_since = now

    def hold_ends(self, now: float) -> None:
        """Mark that no byte waits any more."""
        if self.held_since is not None:
            self.longest_hold = max(self.longest_hold, now - self.held_since)
            self.held_since = None

    def end(self, now: float, ending: Ending, error: ProxyError | None) -> None:
        """Close the account; a hold that is still open counts up to now."""
        if self.held_since is not None:
            self.hold_ends(now)
        self.ended = now
        self.ending = ending
        self.error = error

    @property
    def sent_bytes(self) -> int:
        """Bytes of the response body so far, without those that nobody reads."""
        finish = self.call.finish
        return self.bytes_sent if finish is None else finish.sent

    @property
    def unread_bytes(self) -> int | None:
        """How many came so far after the client had left, if it has."""
        finish = self.call.finish
        if finish is None or self.ended is not None:
            return None if finish is None else finish.unread_bytes
        return self.bytes_sent - finish.sent

    @property
    def duration(self) -> float:
        """Seconds from the first byte of the request to the end."""
        return (self.ended or self.started) - self.started

    @property
    def first_byte_seconds(self) -> float | None:
        """Until the body began; until the head was here, where there is no body."""
        first = self.call.first_byte or self.call.head_received
        return None if first is None else first - self.started

    @property
    def first_token_seconds(self) -> float | None:
        """Until a model's first token, for one who has waited for it."""
        answer = self.call.answer
        first = None if answer is None else answer.first_token
        return None if first is None or first < self.started else first - self.started


def http_date() -> bytes:
    """The present as IMF-fixdate (RFC 9110 §5.6.7)."""
    return fixdate(int(wall_clock()))


def local_time(moment: float) -> str:
    """A time of the wall clock in milliseconds, with its offset (RFC 3339)."""
    second = int(moment)
    before, offset = local_second(second)
    thousands = 1000 + int((moment - second) * 1000)  # compiled, quicker than `:03d`
    return f"{before}.{str(thousands)[1:]}{offset}"


@lru_cache(maxsize=1)  # many lines of the logs have the same second
def local_second(second: int) -> tuple[str, str]:
    """A second of the wall clock, and its offset."""
    told = datetime.fromtimestamp(second).astimezone().isoformat("T", "seconds")
    return told[:19], told[19:]


@lru_cache(maxsize=1)  # many responses have the same second
def fixdate(second: int) -> bytes:
    """A second of the wall clock as IMF-fixdate."""
    return formatdate(second, usegmt=True).encode("ascii")
