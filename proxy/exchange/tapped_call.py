"""A call to an upstream that something looks at, or interferes with.

Taps stand between the upstream's connection and all that the proxy makes of what comes
from it: before decoding, boundaries and heartbeats. They are in a row; the outermost is
the first to hear of anything. Made where a route has any, and nowhere else.
"""

from __future__ import annotations

from typing import Any, Protocol

from proxy.exchange.call_listener import CallListener
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.exchange import Exchange
from proxy.exchange.upstream_call import CallOwner, UpstreamCall
from proxy.http1.framing import Body
from proxy.policy.routing import Destination
from proxy.transport.flow import Receiver
from proxy.transport.upstream_connection import UpstreamConnection


class TappedOwner(CallOwner, Protocol):
    """For whom a call is made that has taps."""

    exchange: Exchange


class CallTap(CallListener):
    """One tap: hears what the call tells, and of both bodies. Passes all on.

    Its owner is the next tap, or who made the call.
    """

    __slots__ = ("call", "forward")

    def __init__(self, call: TappedCall) -> None:
        super().__init__(call.owner)
        self.call = call
        self.forward = call.forward

    @property
    def exchange(self) -> Exchange:
        """Whose call it is; of a stream that is kept that changes."""
        return self.forward.exchange

    def response_to(self, body: Body, receiver: Receiver) -> Receiver:
        """Who gets the response body, or what comes by a tunnel, for `receiver`.

        The outermost tap may be that itself: then it has begun to read the body.
        Of taps in a row the outermost gets it first.
        """
        inner = self.owner
        return inner.response_to(body, receiver) if is_tap(inner) else receiver

    def request_to(self, receiver: Receiver) -> Receiver:
        """Who gets the request body, or what the client sends by a tunnel."""
        inner = self.owner
        return inner.request_to(receiver) if is_tap(inner) else receiver

    def resumes(self) -> bool:
        """The response is read on, after its client was slow: from the upstream, too?

        Not while a tap has something of it left; it reads on by itself then.
        """
        inner = self.owner
        return inner.resumes() if is_tap(inner) else True

    def over(self) -> None:
        """The call is over, whoever ended it. May be told more than once."""
        inner = self.owner
        if is_tap(inner):
            inner.over()


def is_tap(owner: object) -> bool:
    """Is the owner of a tap another one?"""
    return isinstance(owner, CallTap)


class TappedCall(UpstreamCall):
    """A call on a route that has taps."""

    __slots__ = ("forward", "tap")

    def __init__(
        self,
        owner: TappedOwner,
        exchange: Exchange,
        route: CompiledRoute,
        where: Destination,
        body: Body,
        *,
        trusted: bool,
        upgrade: bool,
    ) -> None:
        super().__init__(
            owner, exchange, route, where, body, trusted=trusted, upgrade=upgrade
        )
        self.forward: TappedOwner = owner
        for make in route.taps:
            self.owner = make(self)
        self.tap: Any = self.owner  # the outermost

    def connected(self, connection: UpstreamConnection) -> None:
        connection.taps = self.tap
        super().connected(connection)

    def release(self, *, tunnel: bool) -> None:
        self.let_go()
        super().release(tunnel=tunnel)

    def abort(self) -> None:
        self.let_go()
        super().abort()

    def let_go(self) -> None:
        """The connection may serve others, who have taps of their own."""
        if self.connection is not None:
            self.connection.taps = None
        self.tap.over()
