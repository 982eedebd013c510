"""An exchange that goes on though its client has left (`on_client_leave = "finish"`).

The upstream is read to its end, within bounds, so that its work is not lost and what it
says of it is counted. An `AbsentClient` takes the place of the client's stream; nothing
else in the exchange knows of it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.errors import ClientError, FinishTimeout, FinishTooLarge, ProxyError
from proxy.exchange.compiled_routes import CompiledRoute, CompiledRoutes
from proxy.exchange.stand_in import StandIn
from proxy.http1.head import RequestHead
from proxy.policy.upgrade import is_upgrade
from proxy.timeline import RELAYING, WAITING, Finish, Phase, Timeline, ending_of
from proxy.transport.client_stream import ClientStream


class Left(Protocol):
    """The exchange whose client has left."""

    client: ClientStream
    compiled: CompiledRoutes
    head: RequestHead
    phase: Phase
    route: CompiledRoute | None
    timeline: Timeline

    def fail(self, error: ProxyError) -> None:
        """End it."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""

    def abort_client(self) -> None:
        """Let go of the client at once."""

    def go_on_for(self, client: ClientStream) -> None:
        """Have another client from now on."""


def goes_on(exchange: Left, error: ProxyError) -> bool:
    """Does an exchange go on without its client, who has left by `error`?

    Not if the request is not complete or not sent, and not beyond max_finishing.
    """
    route, client = exchange.route, exchange.client
    if (
        route is None
        or route.route.on_client_leave != "finish"
        or not isinstance(error, ClientError)
        or is_upgrade(exchange.head)
        or exchange.phase not in (WAITING, RELAYING)
        or not client.request_complete
        or client.private is not None  # its connections close with it
        or route.finishing.count >= route.route.max_finishing
    ):
        return False
    exchange.timeline.hold_ends(exchange.compiled.clock())
    client.detach()
    exchange.abort_client()
    exchange.go_on_for(AbsentClient(exchange, route, error))
    return True


class AbsentClient(StandIn):
    """Stands in for a client that has left: what is sent to it goes nowhere."""

    __slots__ = ("count", "error", "exchange", "finish_by", "route", "status")

    def __init__(self, exchange: Left, route: CompiledRoute, error: ProxyError) -> None:
        timeline = exchange.timeline
        super().__init__(exchange.client)
        self.exchange: Left | None = exchange
        self.route = route
        self.error = error
        # What the client was sent, as the log shall have it.
        self.status = timeline.status
        self.count = timeline.bytes_sent
        now = exchange.compiled.clock()
        timeline.call.finish = Finish(now, self.count)
        route.finishing.count += 1
        seconds = route.route.finish_seconds
        self.finish_by = now + seconds
        if seconds:
            exchange.compiled.ticker.add(self)

    # -- the bounds

    def check(self, now: float) -> None:
        """Is it enough? Called by the ticker."""
        exchange = self.exchange
        if exchange is not None and now >= self.finish_by:
            seconds = self.route.route.finish_seconds
            exchange.fail(
                FinishTimeout(
                    f"the upstream had not ended {seconds:g} s after the client left "
                    "(finish_seconds)"
                )
            )

    def crashed(self, place: str, error: Exception) -> None:
        """`check` raised."""
        if self.exchange is not None:
            self.exchange.crashed(place, error)

    def send_piece(self, piece: bytes) -> None:
        exchange, most = self.exchange, self.route.route.max_finish_bytes
        if exchange is None or not most:
            return
        if exchange.timeline.bytes_sent - self.count > most and not self.blocked:
            self.blocked = True
            if self.feeder is not None:
                self.feeder.sink_blocked()
            asyncio.get_running_loop().call_soon(self.too_large)

    def too_large(self) -> None:
        """More has come than shall be read; called by the loop."""
        exchange = self.exchange
        if exchange is None:
            return
        try:
            exchange.fail(
                FinishTooLarge(
                    f"the upstream sent more than {self.route.route.max_finish_bytes} "
                    "bytes after the client left (max_finish_bytes)"
                )
            )
        except Exception as error:
            exchange.crashed("ending an exchange without a client", error)

    # -- the end

    def detach(self) -> None:
        """The exchange is over: to its client it was when that left."""
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        self.route.finishing.count -= 1
        exchange.compiled.ticker.discard(self)
        timeline = exchange.timeline
        finish = timeline.call.finish
        if finish is not None:
            finish.ending, finish.error = timeline.ending, timeline.error
            finish.unread_bytes = timeline.bytes_sent - self.count
        timeline.ending, timeline.error = ending_of(self.error), self.error
        timeline.status, timeline.bytes_sent = self.status, self.count
