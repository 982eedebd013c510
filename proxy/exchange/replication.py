"""A kept stream at other nodes: what the store has of it, who may go on with it."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ProxyError, ShuttingDown, StreamStopped
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.kept_upstream import KeptUpstream
from proxy.exchange.log_sink import LogSink
from proxy.exchange.published_stream import OwnStream, PublishedStream
from proxy.exchange.retention import Retention
from proxy.http1.head import RequestHead
from proxy.kept.registry import Name
from proxy.kept.stored_log import StoredLog


class Replicated(OwnStream, Protocol):
    """The stream."""

    error: ProxyError | None  # of its end
    head: KeptHead | None
    retention: Retention
    sink: LogSink
    state: str
    upstream: KeptUpstream

    @property
    def is_numbered(self) -> bool:
        """Does the upstream number its events?"""

    @property
    def is_stored(self) -> bool:
        """Can other nodes read it, and go on with it?"""


class Replication:
    """Of one stream. `stored`: its place in the store; None: it has none."""

    __slots__ = ("stored", "stream")

    def __init__(self, stream: Replicated) -> None:
        self.stream = stream
        self.stored: PublishedStream | None = None

    # -- what is told of it

    def store_in(self, stored: PublishedStream) -> None:
        """Other nodes have to do with it."""
        self.stored = stored
        stored.stream = self.stream

    def begin(self, request: RequestHead) -> None:
        """Write it to the store of all nodes, from now on."""
        stream, stored = self.stream, self.stored
        head, log = stream.head, stream.sink.log
        if stored is not None and head is not None and isinstance(log, StoredLog):
            seconds = stream.retention.timer.seconds
            stored.begin(stream, request, head, log, seconds)

    def unnamed(self, name: Name, who: bytes) -> None:
        """It has a name no longer."""
        if self.stored is not None:
            self.stored.unnamed(name, who)

    def renounce(self) -> None:
        """It will not be kept."""
        if self.stored is not None:
            self.stored.renounce()

    def end(self) -> None:
        """Tell the other nodes how it has ended."""
        stored, stream, sink = self.stored, self.stream, self.stream.sink
        if stored is not None:
            stored.ended(
                stream.state,
                stream.error,
                sink.trailers,
                sink.last_piece,
                sink.clean,
                stream.retention.timer.seconds,
            )

    def drop(self) -> None:
        """Nobody could come back for it, and nobody has stopped it."""
        if self.stored is not None and not isinstance(self.stream.error, StreamStopped):
            self.stored.drop()

    # -- who reads it, and who may

    @property
    def is_written(self) -> bool:
        """Is it in the store, and goes it on there?"""
        return self.stored is not None and self.stored.is_written

    @property
    def readers(self) -> int:
        """How many other nodes read it."""
        return 0 if self.stored is None else self.stored.readers

    @property
    def may_move(self) -> bool:
        """Can a client that has an event of it go on at another node?"""
        stream = self.stream
        return (
            stream.is_stored
            and stream.resumes
            and stream.head is not None
            and (stream.head.prefix is not None or stream.is_numbered)
        )

    def can_move(self, position: int) -> bool:
        """Can a client that has so much of it go on at another node?"""
        log = self.stream.sink.log
        return (
            self.may_move
            and isinstance(log, StoredLog)
            and log.events_before(position) > 0
        )

    @property
    def may_be_taken_up(self) -> bool:
        """Can another process ask the upstream for the rest?"""
        return self.stream.upstream.may_resume and self.stream.is_numbered

    def hand_on(self) -> None:
        """The process ends: other nodes go on with it, or learn that it has ended."""
        stored, exchange = self.stored, self.stream.upstream.exchange
        if stored is None or exchange is None or exchange.is_over:
            return
        if self.may_be_taken_up:
            stored.release()
            self.stream.upstream.end("the proxy stops")
        else:
            exchange.again = None
            exchange.fail(
                ShuttingDown("the proxy that reads the stream is shutting down")
            )
