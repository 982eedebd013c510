"""What the upstream's exchange of a kept stream has for a client.

Each piece goes into the log and to all who are live. Who does not keep up is fed from
the log, and does not slow the upstream; but where the response has no events, and one
client only, it would be cut off in the middle of what may be a file: there it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from proxy.exchange.audience import Audience
from proxy.exchange.response_stream import NOTHING
from proxy.exchange.stand_in import StandIn
from proxy.http1.grammar import Fields
from proxy.kept.log import StreamLog
from proxy.policy.request_plan import RequestPlanner
from proxy.policy.response_plan import TERMS, Terms
from proxy.stream.event_index import EventIndex
from proxy.transport.client_stream import ClientStream
from proxy.transport.flow import ChunkedSink

SPARE_BYTES = 64 * 1024  # of which it is worth looking whether nobody needs them


class LogSink(StandIn):
    """The way from an upstream into a log.

    `replay`: how many events a newcomer gets, where nothing else needs the log; None:
    all of it is kept.
    """

    __slots__ = (
        "audience",
        "begins",
        "clean",
        "index",
        "last_piece",
        "log",
        "most_behind",
        "over",
        "replay",
        "spare_at",
        "trailers",
    )

    def __init__(self, client: ClientStream) -> None:
        super().__init__(client)
        self.planner = RequestPlanner(self.address, self.scheme)  # not the client's
        self.closed = False
        self.audience = Audience()
        self.log: StreamLog | None = None  # once the head is here
        self.index: EventIndex | None = None
        self.replay: int | None = None
        # Bytes that the only client may lag before the upstream waits; 0: any number.
        self.most_behind = 0
        self.begins = 0  # where the log begins, as of the last look
        self.spare_at = SPARE_BYTES  # the next place to look for what nobody needs
        self.over = False
        # What tells of a failure, and whether the end was clean.
        self.last_piece, self.clean = NOTHING
        self.trailers: Fields = []

    @property
    def terms(self) -> Terms:
        return TERMS[True][True]

    @property
    def is_closing(self) -> bool:
        return False

    def flush_head(self) -> None:
        """The head is complete, and what came with it is in the log."""
        if self.log is not None:
            self.audience.begin()
            self.moved()

    def send_piece(self, piece: bytes) -> None:
        """Keep a piece, and send it to all that are live."""
        log, index = self.log, self.index
        if log is None or self.over:
            self.last_piece += piece
            return
        if index is None:
            log.append(piece, ())
        else:
            piece = index.scan(piece)
            if not piece:  # a part of a byte order mark, which clients do not get
                return
            log.append(piece, index.cuts)
        self.audience.send(piece, None)
        self.look(log)

    def write(self, framed: bytes) -> None:
        """The same for a piece that came as one whole chunk: clients get it as it is.

        Called as a transport's `write` by a relay that passes such chunks on.
        """
        log, index = self.log, self.index
        piece = framed[framed.index(b"\n") + 1 : -2]
        if log is None or index is None or self.over:
            self.send_piece(piece)
            return
        sent = index.scan(piece)
        log.append(sent, index.cuts)
        self.audience.send(sent, framed if sent is piece else None)
        self.look(log)

    @property
    def transport(self) -> asyncio.Transport:
        """As `ChunkedSink`: what a relay of chunks writes to. It does nothing else."""
        return cast("asyncio.Transport", self)

    @property
    def chunk_sink(self) -> ChunkedSink | None:
        return self

    def look(self, log: StreamLog) -> None:
        """Is there anything to do but to send?"""
        audience = self.audience
        if log.first != self.begins:
            self.begins = log.first
            audience.cut_those_behind(log.first)
        if audience.waiting_events and self.between_events:
            audience.tell_between_events()
        if self.replay is not None and log.end > self.spare_at:
            self.spare(log, self.replay)
        if self.most_behind and not self.blocked:
            self.blocked = self.lag(log) > self.most_behind
            if self.blocked and self.feeder is not None:
                self.feeder.sink_blocked()

    def lag(self, log: StreamLog) -> int:
        """How many bytes the client has yet to get, if there is but one."""
        audience = self.audience
        alone = len(audience.subscribers) == 1
        return log.end - audience.behind(log.end) if alone else 0

    def moved(self) -> None:
        """A client has read on, come or left: may the upstream go on?"""
        log = self.log
        if self.blocked and (log is None or self.lag(log) <= self.most_behind // 2):
            self.blocked = False
            if self.feeder is not None:
                self.feeder.sink_ready()

    def spare(self, log: StreamLog, replay: int) -> None:
        """Keep no more than a newcomer, or one who lags, needs."""
        self.spare_at = log.end + SPARE_BYTES
        needed = log.last_events(replay)
        if needed is not None:
            log.trim(self.audience.behind(needed))

    def send_aside(self, data: bytes) -> None:
        """A heartbeat, which is not of the stream."""
        self.audience.send_aside(data)

    def send_end(self, trailers: Fields) -> None:
        """The body is complete, or what was told of its failure."""
        self.trailers = trailers
        self.clean = True

    def detach(self) -> None:
        """The exchange is over; what is still sent tells of its end."""
        self.over = True
        self.audience.changed()

    @property
    def between_events(self) -> bool:
        """Does the stream stand between two events now?"""
        return self.index is not None and self.index.reached

    def call_between_events(self, callback: Callable[[], None]) -> None:
        """Call back, from a turn of the loop, once it does."""
        self.audience.waiting_events.append(callback)
        if self.between_events:
            self.audience.tell_between_events()

    def call_behind_event(self, callback: Callable[[], None]) -> None:
        """The same, but behind an event that has yet to come."""
        self.audience.waiting_events.append(callback)

    def close(self) -> None:
        """Give back what is kept."""
        log, self.log = self.log, None
        self.audience.changed()
        if log is not None:
            log.close()
