"""A request that may become a kept stream, as long as its response head is not here.

Its client is that of an exchange like any other; others may wait for it already, by its
key or by sharing.
"""

from __future__ import annotations

from typing import Any, Protocol

from proxy.errors import ClientError, ProxyError
from proxy.exchange.audience import Audience
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.kept_upstream import KeptUpstream
from proxy.exchange.log_sink import LogSink
from proxy.exchange.published_stream import PublishedStream
from proxy.exchange.replication import Replication
from proxy.exchange.retention import Retention
from proxy.http1.framing import Body
from proxy.http1.head import RequestHead, ResponseHead
from proxy.kept.registry import KEY, KeptStreams, Name
from proxy.policy.delivery import Delivery
from proxy.policy.resumption import may_keep
from proxy.policy.sharing import may_share
from proxy.policy.stream_identity import key_of_body, key_of_head, of_host
from proxy.transport.request_copy import key_copy


class MayBeKept(Protocol):
    """The stream that it may become."""

    id: bytes
    names: list[tuple[Name, bytes]]
    print: bytes
    resumes: bool
    replication: Replication
    retention: Retention
    route: CompiledRoute
    settled: bool
    shares: bool
    sink: LogSink
    upstream: KeptUpstream

    @property
    def audience(self) -> Audience:
        """Those who wait for it."""

    @property
    def is_last(self) -> bool:
        """Does the process end, and can nobody come back for it elsewhere?"""

    @property
    def kept(self) -> KeptStreams[Any]:
        """All streams of this worker."""

    def nobody_left(self) -> None:
        """No client waits for it."""

    def use_head(self, head: KeptHead) -> None:
        """Open a log for the response with this head, if there is room."""


class Candidacy:
    """Of one stream. `keeps_all`: whatever the response is, an Idempotency-Key asks so.

    `prelude`: a comment for the first client.
    """

    __slots__ = ("keeps_all", "prelude", "stream")

    def __init__(self, stream: MayBeKept) -> None:
        self.stream = stream
        self.keeps_all = False
        self.prelude = b""

    def request_sent(self) -> None:
        """The request is complete: its key is known, and so is what it is called."""
        stream = self.stream
        resume, registry = stream.route.route.resume, stream.kept
        if resume is None or not resume.key or not stream.resumes or stream.settled:
            return
        key = self.find_key(resume.key)
        if key is None:
            return
        route = stream.route.prefix
        name = Name(KEY, route, of_host(route, stream.upstream.first.head, key))
        registry.name(stream, name, stream.print, alone=False)
        shared = registry.shared
        if shared is not None and shared.up:
            if stream.replication.stored is None:
                stream.replication.store_in(PublishedStream(shared, stream.id))
            stored = stream.replication.stored
            assert stored is not None
            stored.announce()
            stored.name(name, stream.print, resume.keep_seconds)

    def find_key(self, where: str) -> bytes | None:
        """The application's key of the request, if it has one."""
        first = self.stream.upstream.first
        source, _, member = where.partition(":")
        if source != "body":
            return key_of_head(first.head, where)
        pipeline = first.request_pipeline
        copy = key_copy(pipeline)
        if pipeline is None or copy is None:
            return None
        pipeline.remove(copy)  # a stream may run for hours
        return key_of_body(copy.body, member)

    def judge(self, head: ResponseHead, body: Body, delivery: Delivery) -> bool:
        """The response head is here: is there a log for it?"""
        upstream = self.stream.upstream
        request, client = upstream.first.head, upstream.first.client
        sent = upstream.exchange is not None or client.request_complete
        if not sent or client.private is not None:
            return False
        self.open_log(request, head, body, delivery)
        return self.stream.sink.log is not None

    def open_log(
        self, request: RequestHead, head: ResponseHead, body: Body, delivery: Delivery
    ) -> None:
        """Open a log for the response, if it may be kept or shared."""
        stream = self.stream
        route, shared = stream.route.route, stream.kept.shared
        share, resume = route.share, route.resume
        if share is None or not may_share(request, head, delivery, share.by):
            stream.shares = False
        if (
            resume is None
            or not (self.keeps_all or may_keep(request, head, body, delivery))
            or (shared is not None and not shared.up)
        ):
            stream.resumes = False
            stream.retention.timer.seconds = 0.0
        if not stream.resumes and not stream.shares:
            return
        replication = stream.replication
        if stream.resumes and replication.stored is None and shared is not None:
            replication.store_in(PublishedStream(shared, stream.id))
        id = stream.id if stream.resumes else None
        made = KeptHead.decided(request, head, body, delivery, stream.route, id)
        stream.use_head(made)

    def client_left(self, exchange: Exchange, error: ProxyError) -> None:
        """The client left by `error`: who else waits for the response?"""
        if self.may_go_on(error):
            self.go_on_without_first()
        else:
            self.decline()

    def may_go_on(self, error: ProxyError) -> bool:
        """Is somebody left who waits for the response, or may come for it?"""
        stream, first = self.stream, self.stream.upstream.first
        return (
            isinstance(error, ClientError)
            and not stream.is_last
            and first.client.request_complete
            and first.client.private is None
            and first.stream is None  # it has not begun early
            and (
                bool(stream.audience.waiting) or (stream.resumes and bool(stream.names))
            )
        )

    def go_on_without_first(self) -> None:
        """Ask on, for those who wait or will come."""
        stream, first = self.stream, self.stream.upstream.first
        if first.source is not None:
            first.source.go_on_for(stream.sink)
        stream.upstream.separate()
        first.source = None
        if not stream.audience.subscribers:
            stream.nobody_left()

    def decline(self) -> None:
        """It will not be kept: those who wait for it are told."""
        stream = self.stream
        stream.retention.stop()
        stream.retention.is_read()
        self.withdraw()
        stream.upstream.first.kept = None
        stream.audience.turn_away(None)
        stream.upstream.end("no client waits for the response")

    def fail(self, error: ProxyError | None) -> None:
        """The exchange is over, without a head that could be kept."""
        self.withdraw()
        ours = error is None or isinstance(error, ClientError)
        self.stream.audience.turn_away(None if ours else error)

    def withdraw(self) -> None:
        """Nobody is to find it."""
        stream = self.stream
        stream.settled = True
        stream.kept.remove(stream)
        stream.replication.renounce()
