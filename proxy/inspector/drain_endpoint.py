"""POST /_unbuffered/drain: begins the drain, and tells how far it is.

The response lasts as long as the drain, one JSON object per line: so whoever began it,
a `preStop` of Kubernetes or a script, need not guess a time to sleep. What watches is
not waited for: the drain knows nothing of these answers, and they end after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, Protocol

import msgspec

from proxy.http1.grammar import Fields
from proxy.inspector.own_response import NO_STORE, OwnResponse, refuse
from proxy.transport.client_host import ClientHost
from proxy.transport.http2_connection import Http2Connection
from proxy.transport.ticker import Ticker

NDJSON = b"application/x-ndjson"
LINES: Fields = [
    (b"Content-Type", NDJSON),
    (b"Cache-Control", b"no-store, no-transform"),
    (b"X-Accel-Buffering", b"no"),
]
AT_ONCE = "wait=0"  # in the query: say only that it has begun
AGAIN_SECONDS = 5.0  # without a change, before a line is repeated
COUNT_SECONDS = 1.0  # for all workers to begin, and to say how many exchanges they have
MOST_WATCHES = 32


class DrainState(NamedTuple):
    """How far the end of a process is."""

    state: str  # serving, delay, draining
    exchanges: int  # that are under way, in all workers
    seconds: float  # until that state ends at the latest


class ProgressSource(Protocol):
    """Who knows how far the end is. `on_asked` begins it."""

    on_asked: Callable[[], None] | None

    @property
    def is_counted(self) -> bool:
        """Has the end begun, and is it known what the other workers have?"""

    def now(self) -> DrainState:
        """How far it is in all workers."""


class DrainedServer(Protocol):
    """What is drained."""

    ticker: Ticker

    @property
    def drain_progress(self) -> ProgressSource:
        """How far it is."""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the answer."""

    state: str
    exchanges: int | None = None
    seconds: float | None = None
    cut: int | None = None


class DrainEndpoint:
    """All who watch the drain of one server.

    Nothing is told before it is known of all workers, but for those that do not answer.
    """

    def __init__(self, server: DrainedServer) -> None:
        self.server = server
        self.watches: dict[OwnResponse, None] = {}
        self.brief: dict[OwnResponse, None] = {}  # that get one line only
        self.counted_by = 0.0  # when what is not known by then is told without
        self.last: DrainState | None = None  # that was told
        self.due = 0.0

    def begin(self, answer: OwnResponse, *, at_once: bool) -> None:
        """Answer a request that asks for the drain."""
        source = self.server.drain_progress
        ask = source.on_asked
        if ask is None:
            refuse(answer, 503, "this process does not end by itself: send SIGTERM")
            return
        if len(self.watches) + len(self.brief) >= MOST_WATCHES:
            refuse(answer, 503, f"{MOST_WATCHES} clients already watch this drain")
            return
        drains = source.now().state == "draining"
        self.counted_by = self.server.ticker.clock() + COUNT_SECONDS
        if at_once or drains:  # then nobody waits for this answer any more
            self.brief[answer] = None
            answer.on_end = lambda: self.forget(answer)
        else:
            self.watch(answer)
        if self.watches or self.brief:
            self.server.ticker.add(self)
        ask()  # again, too: it is told who watches
        self.answer_brief(self.server.ticker.clock())

    def watch(self, answer: OwnResponse) -> None:
        """Tell a client how far it is, until the end."""
        connection = answer.client.connection
        answer.stream(LINES)
        if answer.over:
            return
        # Not before: a chunked body has an end that tells it from one that broke off.
        answer.client.end_after_response()
        answer.open.discard(answer)
        self.watches[answer] = None
        answer.on_end = lambda: self.forget(answer)
        if isinstance(connection, Http2Connection):
            connection.drain()  # this request is its last one
        if self.is_known(self.server.ticker.clock()):
            answer.write(line(self.server.drain_progress.now()))

    def forget(self, answer: OwnResponse) -> None:
        """One of them has left, or was told all."""
        self.watches.pop(answer, None)
        self.brief.pop(answer, None)
        if not self.watches and not self.brief:
            self.server.ticker.discard(self)

    def is_known(self, now: float) -> bool:
        """Is there something to tell, or is it waited for no longer?"""
        return self.server.drain_progress.is_counted or now >= self.counted_by

    # -- telling

    def check(self, now: float) -> None:
        """Tell what has changed, or once more that it goes on.

        Called by the clock, and by who knows of a change.
        """
        self.answer_brief(now)
        if self.watches and self.is_known(now):
            progress = self.server.drain_progress.now()
            before = self.last
            if (
                before is None
                or (progress.state, progress.exchanges)
                != (before.state, before.exchanges)
                or now >= self.due
            ):
                self.tell(progress, now)

    def tell(self, progress: DrainState, now: float) -> None:
        """Tell all of them."""
        self.last = progress
        self.due = now + AGAIN_SECONDS
        for answer in tuple(self.watches):
            if not answer.blocked:
                answer.write(line(progress))

    def answer_brief(self, now: float) -> None:
        """Answer those that get one line only."""
        if self.brief and self.is_known(now):
            told = line(self.server.drain_progress.now())
            for answer in tuple(self.brief):
                answer.whole(202, NDJSON, told, [NO_STORE])

    def crashed(self, place: str, error: Exception) -> None:
        """They are told no more of it, but they are of its end."""
        for answer in (*self.watches, *self.brief):
            answer.crashed(place, error)

    def end(self, cut: int) -> None:
        """All has ended: tell how, for the last time."""
        for answer in tuple(self.watches):
            answer.write(encoded(Line("ended", 0, cut=cut)))
            answer.end()

    # -- for the drain

    def only_watches(self, client: ClientHost) -> bool:
        """Is there nothing else on this connection?"""
        if isinstance(client, Http2Connection):
            mine = [stream.exchange in self.watches for stream in client.streams]
            return bool(mine) and all(mine)
        return any(answer.client.connection is client for answer in self.watches)


class Drained(Collection[ClientHost]):
    """The connections that a drain is for: those of all who do more than watch it."""

    def __init__(self, clients: set[ClientHost], endpoint: DrainEndpoint) -> None:
        self.clients = clients
        self.endpoint = endpoint

    def __iter__(self) -> Iterator[ClientHost]:
        watches = self.endpoint.only_watches
        return (each for each in tuple(self.clients) if not watches(each))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __contains__(self, client: object) -> bool:
        return client in self.clients and any(client is each for each in self)


def line(progress: DrainState) -> bytes:
    """What is told of a moment."""
    seconds = round(progress.seconds, 1)
    return encoded(Line(progress.state, progress.exchanges, seconds))


def encoded(told: Line) -> bytes:
    """A line of the answer."""
    return msgspec.json.encode(told) + b"\n"
