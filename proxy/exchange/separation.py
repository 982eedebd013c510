"""From one exchange two: that of a client, and that with the upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.errors import ProxyError
from proxy.exchange.exchange import Exchange, ExchangeOwner, ResponseSource
from proxy.exchange.upstream_call import CallOwner, UpstreamCall
from proxy.http1.head import RequestHead
from proxy.transport.client_stream import ClientStream
from proxy.transport.relay import Done


class UpstreamForward(CallOwner, ResponseSource, Protocol):
    """The `Forward` that asks the upstream."""

    call: UpstreamCall | None
    exchange: Exchange

    @property
    def relayed(self) -> Done:
        """Told when the body has ended."""

    def begin(self, call: UpstreamCall) -> None:
        """Choose a target, connect to it, and send the request."""

    def check(self, now: float) -> None:
        """Look at the time limits of the present phase."""


class UpstreamExchange(Exchange):
    """An exchange with an upstream that may be asked again before it fails."""

    __slots__ = ("again",)

    def __init__(
        self, owner: ExchangeOwner, client: ClientStream, head: RequestHead
    ) -> None:
        super().__init__(owner, client, head)
        self.again: Callable[[ProxyError], bool] | None = None

    @property
    def has_client(self) -> bool:
        return False

    @property
    def owns_client(self) -> bool:
        return False

    def fail(self, error: ProxyError) -> None:
        if not self.is_over and self.again is not None and self.again(error):
            return
        super().fail(error)

    # -- the process ends: the clients are told, and are exchanges of their own

    def drain(self) -> None:
        pass

    @property
    def comes_back(self) -> bool:
        return False

    @property
    def is_finishing(self) -> bool:
        return not self.is_over

    def end_early(self) -> None:
        pass

    def shut_down(self) -> bool:
        return False

    def cut(self) -> None:
        if self.kept is not None:
            self.kept.hand_on()


def separated(
    first: Exchange,
    forward: UpstreamForward,
    owner: ExchangeOwner,
    client: ClientStream,
) -> UpstreamExchange:
    """The exchange with the upstream, whose client is another from now on.

    It has the account of the call, the limits and the failures of the `first`, which
    has no source of its response any more.
    """
    exchange = UpstreamExchange(owner, client, first.head)
    timeline = exchange.timeline
    timeline.call = first.timeline.call
    first.timeline.call = timeline.call.copy()
    timeline.started = first.timeline.started
    timeline.route = first.timeline.route
    timeline.request_id = first.timeline.request_id
    timeline.bytes_received = first.timeline.bytes_received
    exchange.phase, exchange.phase_began = first.phase, first.phase_began
    exchange.route = first.route
    exchange.request_plan = first.request_plan
    exchange.request_pipeline = first.request_pipeline
    exchange.response_head = first.response_head
    exchange.source, first.source = first.source, None
    forward.exchange = exchange
    if forward.call is not None:
        forward.call.client = client
    return exchange
