"""The upstream of a kept stream: the exchange with it, which has no client of its own.

The exchange is at first that of the client who asked. Once the response is kept there
are two, and that with the upstream is owned here.
"""

from __future__ import annotations

from typing import Any, Protocol

from proxy.errors import ClientDisconnected, ProxyError
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.exchange import Exchange, ExchangeOwner, HandingOver, Keeper
from proxy.exchange.kept_head import KeptHead
from proxy.exchange.log_sink import LogSink
from proxy.exchange.response_stream import ResponseStream
from proxy.exchange.separation import UpstreamExchange, UpstreamForward, separated
from proxy.exchange.upstream_resumption import UpstreamResumption
from proxy.internal_errors import report
from proxy.kept.registry import KeptStreams
from proxy.timeline import CallTimeline


class FromUpstream(Keeper, Protocol):
    """The stream."""

    head: KeptHead | None
    resumes: bool
    route: CompiledRoute
    sink: LogSink

    @property
    def is_last(self) -> bool:
        """Does the process end, and can nobody come back for it elsewhere?"""

    @property
    def owns_upstream(self) -> bool:
        """Does this process ask the upstream, and no other?"""

    @property
    def is_numbered(self) -> bool:
        """Does the upstream number its events?"""

    @property
    def kept(self) -> KeptStreams[Any]:
        """All streams of this worker."""

    def settle(self, exchange: Exchange) -> None:
        """The exchange with the upstream is over."""


class KeptUpstream:
    """Of one stream. `exchange`: None as long as it is the client's.

    `first`: the exchange with the upstream, whosever it is.
    """

    __slots__ = (
        "exchange",
        "first",
        "forward",
        "owner",
        "resumption",
        "stream",
    )

    def __init__(
        self,
        stream: FromUpstream,
        owner: ExchangeOwner,
        first: Exchange,
        forward: UpstreamForward | None,
    ) -> None:
        self.stream = stream
        self.owner = owner
        self.first: Exchange = first
        self.forward: UpstreamForward | None = forward
        self.exchange: UpstreamExchange | None = None
        self.resumption: UpstreamResumption | None = None

    # -- as `ExchangeOwner`

    @property
    def compiled(self) -> CompiledRoutes:
        return self.first.compiled

    @property
    def kept(self) -> KeptStreams[Any]:
        return self.stream.kept

    @property
    def peers(self) -> HandingOver | None:
        return self.owner.peers

    def stream_truncated(self, exchange: Exchange) -> None:
        self.owner.stream_truncated(exchange)

    def stream_begun(self, exchange: Exchange) -> None:
        self.owner.stream_begun(exchange)

    def stream_joined(self, exchange: Exchange, account: CallTimeline) -> None:
        """Its client is the log."""

    def exchange_failed(self, exchange: Exchange, written: bytes) -> None:
        """Each client tells of its own end."""

    def answer_ended(self, exchange: Exchange) -> None:
        self.owner.answer_ended(exchange)

    def exchange_ended(self, exchange: Exchange) -> None:
        self.stream.settle(exchange)
        if exchange.timeline.call.answer is not None and self.stream.owns_upstream:
            self.owner.answer_ended(exchange)

    # -- apart from the client

    def separate(self) -> None:
        """Have an exchange of its own, whose client is the log."""
        assert self.forward is not None
        exchange = separated(self.first, self.forward, self, self.stream.sink)
        exchange.kept = self.stream
        exchange.again = self.takes_up_again
        # The client's is kept by nobody but its client.
        self.exchange = self.first = exchange

    def takes_up_again(self, error: ProxyError) -> bool:
        """The upstream failed by `error`: is it asked for the rest of the stream?"""
        exchange = self.exchange
        if self.stream.is_last or not self.may_resume or exchange is None:
            return False
        try:
            if self.resumption is None:
                forward = self.forward
                if forward is None or forward.call is None:
                    return False
                call = forward.call
                self.resumption = UpstreamResumption(
                    exchange,
                    forward,
                    call.route,
                    call.where,
                    self.stream.sink,
                    trusted=call.trusted,
                )
            return self.resumption.takes_up(error)
        except Exception as fault:
            report("asking an upstream for the rest of a stream", fault)
            return False

    @property
    def may_resume(self) -> bool:
        """May it be asked for the rest of the stream?"""
        stream, exchange = self.stream, self.exchange
        resume, head = stream.route.route.resume, stream.head
        return (
            resume is not None
            and resume.resume_upstream
            and stream.resumes
            and head is not None
            and head.takes_comments
            and exchange is not None
            and exchange.head.method == b"GET"
        )

    # -- how it stands

    @property
    def response(self) -> ResponseStream | None:
        """Family and boundaries of its response, until that ends."""
        exchange = self.exchange
        found = None if exchange is None else exchange.stream
        return found if isinstance(found, ResponseStream) else None

    @property
    def runs(self) -> bool:
        """Has it an exchange of its own, that goes on?"""
        return self.exchange is not None and not self.exchange.is_over

    # -- the end

    def fail(self, error: ProxyError) -> None:
        """End it, also if it still is the client's."""
        if not self.first.is_over:
            self.first.fail(error)

    def end(self, reason: str) -> None:
        """Close it, if it has not ended."""
        exchange = self.exchange
        if exchange is not None and not exchange.is_over:
            exchange.client_left(ClientDisconnected(reason))

    def let_go(self) -> None:
        """Refer to nothing that refers to it."""
        exchange, self.exchange, self.resumption = self.exchange, None, None
        if exchange is not None:
            exchange.owner, exchange.again = self.owner, None
