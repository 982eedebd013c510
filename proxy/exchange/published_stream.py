"""A stream of this process in the store that several processes share.

What is told of it there, and what other nodes have to say: that they follow it, that a
client of theirs stops it, that another one has it now.
"""

from __future__ import annotations

from typing import Protocol

from proxy.errors import ProxyError, StreamStopped
from proxy.exchange.kept_head import KeptHead
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.kept.registry import EVENTS, IDEMPOTENCY_KEY, KEY, Name
from proxy.kept.shared_store import OwnedStream, SharedStore, StreamEnd, StreamMeta
from proxy.kept.stored_log import StoredLog
from proxy.policy.delivery import reconnects

LEAST_SECONDS = 10.0  # that an end is kept, so that all who follow learn of it


class OwnStream(Protocol):
    """The stream."""

    id: bytes
    names: list[tuple[Name, bytes]]
    print: bytes
    resumes: bool
    shares: bool

    @property
    def prefix(self) -> str:
        """Of its route."""

    def readers_changed(self) -> None:
        """Another number of nodes follows it."""

    def stop(self, error: ProxyError) -> None:
        """A client has asked for its end."""

    def lost(self) -> None:
        """Another node has it now."""

    def loses_name(self, name: Name, who: bytes) -> None:
        """A stream of another node has one of its names now."""


class PublishedStream:
    """Its place in the store. See `OwnedBy`."""

    __slots__ = ("announced", "handle", "id", "over", "shared", "stream")

    def __init__(self, shared: SharedStore, id: bytes) -> None:
        self.shared = shared
        self.id = id
        self.stream: OwnStream | None = None  # once there is one
        self.handle: OwnedStream | None = None  # once its head is here
        self.announced = self.over = False

    # -- what is told of it

    def announce(self) -> None:
        """This node will have it, as long as its head is not here."""
        if not self.announced:
            self.announced = True
            self.shared.announce(self.id, self)

    def renounce(self) -> None:
        """It will not be kept."""
        if self.announced and self.handle is None and not self.over:
            self.shared.renounce(self.id)
        self.close()

    def close(self) -> None:
        """Nothing more is told of it, or heard."""
        self.over = True
        self.stream = None

    def begin(
        self,
        stream: OwnStream,
        request: RequestHead,
        head: KeptHead,
        log: StoredLog,
        keep_seconds: float,
        epoch: int = 1,
    ) -> None:
        """Its head is here: it is written from now on."""
        self.stream = stream
        self.handle = handle = self.shared.own(self.id, self, log, epoch)
        handle.begin(meta_of(stream, request, head), keep_seconds)
        for name, who in stream.names:
            if name.kind in (EVENTS, IDEMPOTENCY_KEY):
                self.name(name, who, keep_seconds)
            elif name.kind == KEY and epoch == 1:
                if not self.announced:
                    self.name(name, who, keep_seconds)
                self.shared.supersede(self.id, name.kind, name.route, name.value, who)

    def name(self, name: Name, who: bytes, seconds: float) -> None:
        """It has a name."""
        self.shared.name(self.id, name.kind, name.route, name.value, who, seconds)

    def unnamed(self, name: Name, who: bytes) -> None:
        """It has a name no longer. Behind its end, names end by themselves."""
        if not self.over:
            self.shared.unname(self.id, name.kind, name.route, name.value, who)

    def ended(
        self,
        state: str,
        error: ProxyError | None,
        trailers: Fields,
        last_piece: bytes,
        clean: bool,
        keep_seconds: float,
    ) -> None:
        """It has ended. Who follows it learns how."""
        handle, stream = self.handle, self.stream
        if self.over:
            return
        if handle is None or stream is None:
            self.renounce()
            return
        kind = "" if error is None else type(error).__name__
        text = "" if error is None else str(error)
        if isinstance(error, StreamStopped):
            for name, who in stream.names:
                self.unnamed(name, who)
        self.close()
        end = StreamEnd(state, kind, text, tuple(trailers), last_piece, clean)
        handle.end(end, max(keep_seconds, LEAST_SECONDS))

    def drop(self) -> None:
        """Nobody can come back for it."""
        if self.handle is not None:
            self.handle.drop()
            self.close()
        else:
            self.renounce()

    def release(self) -> None:
        """Another node may have it: what comes here is not written any more."""
        handle, self.handle = self.handle, None
        self.close()
        if handle is not None:
            handle.release()

    @property
    def is_written(self) -> bool:
        """Is it in the store, and goes it on there?"""
        return self.handle is not None and not self.over

    @property
    def readers(self) -> int:
        """How many nodes follow it."""
        return 0 if self.handle is None or self.over else self.handle.readers

    # -- what is heard of it: see `OwnedBy`

    def readers_changed(self, readers: int) -> None:
        if self.stream is not None:
            self.stream.readers_changed()

    def stop_asked(self) -> None:
        if self.stream is not None:
            self.stream.stop(StreamStopped("the stream was stopped by its client"))

    def lost(self) -> None:
        stream, self.handle = self.stream, None
        self.close()
        if stream is not None:
            stream.lost()

    def superseded(self, kind: str, route: str, value: bytes, who: bytes) -> None:
        if self.stream is not None:
            self.stream.loses_name(Name(kind, route, value), who)


def meta_of(stream: OwnStream, request: RequestHead, head: KeptHead) -> StreamMeta:
    """What other nodes have to know of a stream."""
    kind = head.delivery.format
    return StreamMeta(
        id=stream.id,
        route=stream.prefix,
        resumes=stream.resumes,
        shares=stream.shares,
        print=stream.print,
        names=[(name.kind, name.route, name.value, who) for name, who in stream.names],
        method=request.method,
        target=request.target,
        reconnects=reconnects(request),
        status=head.head.status,
        reason=head.head.reason,
        minor=head.head.minor,
        fields=head.head.fields,
        codings=head.delivery.codings,
        format=None if kind is None else kind.name,
        stream=head.delivery.stream,
        length=head.length,
        ours=head.prefix is not None,
        numbered=False,
    )
