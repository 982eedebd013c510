"""One exchange: what it holds, and the ways in which it can end.

Every way out of an exchange is here, and every one goes through `over`, once:
after it nothing is left open towards the upstream that should not be, the
client knows what there is to know, and the observers have the account. How
an exchange proceeds until then is in `forward`.
"""

from __future__ import annotations

import asyncio

from proxy.errors import ClientError, ProxyError, UpstreamTimeout
from proxy.http1.head import RequestHead
from proxy.policy.failure import Failure, failure_response
from proxy.policy.limits import exceeded, unlimited
from proxy.prepared import Prepared, PreparedRoute
from proxy.timeline import Ending, Phase, Timeline, http_date
from proxy.transport.client import ClientConnection
from proxy.transport.upstream import UpstreamConnection


class Exchange:
    """One request and its response, from socket to socket."""

    __slots__ = (
        "client",
        "close_is_end",
        "connecting",
        "connection",
        "head",
        "phase",
        "phase_began",
        "prepared",
        "repeatable",
        "request_bytes",
        "route",
        "timeline",
        "upgrade",
    )

    def __init__(
        self, prepared: Prepared, client: ClientConnection, head: RequestHead
    ) -> None:
        self.prepared = prepared
        self.client = client
        self.head = head
        self.phase = Phase.ROUTING
        self.phase_began = prepared.clock()
        self.timeline = Timeline(self.phase_began, client.address)
        self.timeline.request(head.method, head.target, head.minor)
        self.route: PreparedRoute | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.connection: UpstreamConnection | None = None
        self.request_bytes = b""
        self.repeatable = False
        self.upgrade = False
        self.close_is_end = False  # of a response body to an HTTP/1.0 client

    def enter(self, phase: Phase) -> None:
        """Move on to a phase and start its clock."""
        self.phase = phase
        self.phase_began = self.prepared.clock()

    def let_go(self) -> None:
        """Close whatever there is towards the upstream."""
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None
        connection = self.connection
        if connection is not None:
            connection.drop()

    def over(self, ending: Ending, error: ProxyError | None) -> None:
        """Close the account."""
        self.phase = Phase.OVER
        self.prepared.deadlines.discard(self)
        self.timeline.end(self.prepared.clock(), ending, error)
        self.client.exchange = None
        self.client.receiver = None
        self.client.feeder = None
        self.prepared.ended(self.timeline)

    def fail(self, error: ProxyError) -> None:
        """Tell the client: by a status, or once the head is out by an abort."""
        if self.phase is Phase.OVER:
            return
        head_sent = self.phase in (Phase.RELAYING, Phase.TUNNEL)
        if isinstance(error, ClientError):
            ending = Ending.REFUSED
        elif isinstance(error, UpstreamTimeout):
            ending = Ending.TIMED_OUT
        else:
            ending = Ending.UPSTREAM_BROKE
        if not head_sent:
            self.timeline.status = error.status
        self.over(ending, error)
        self.let_go()
        if head_sent:
            self.client.break_off(close_is_end=self.close_is_end)
        else:
            self.answer(error)

    def answer(self, error: ProxyError) -> None:
        """Answer for the upstream with what went wrong."""
        route = self.route
        failure = Failure(
            error=error,
            elapsed=self.timeline.duration,
            route=route.prefix if route else None,
            target=str(route.route.target) if route else None,
            routes=tuple(self.prepared.router.prefixes),
        )
        client = self.client
        if not client.request_complete:
            client.keep_alive = False
        client.send_head(
            failure_response(failure, self.head, client.keep_alive, http_date()),
            chunked=False,
        )
        client.next()

    def client_left(self, error: ClientError) -> None:
        """The client is gone: so is its upstream connection, in every phase."""
        if self.phase is Phase.OVER:
            return
        self.over(Ending.CLIENT_LEFT, error)
        self.let_go()
        self.client.abort()

    def check(self, now: float) -> None:
        """Look at the time limits of the present phase."""
        route, connection = self.route, self.connection
        assert route is not None
        error = exceeded(
            route.route,
            self.phase,
            elapsed=now - self.timeline.started,
            waited=now - self.phase_began,
            silence=now - self.timeline.silent_since,
            # A client that does not read, or that still sends, is not waited for.
            upstream_to_move=(
                not connection.paused
                if self.phase in (Phase.RELAYING, Phase.TUNNEL) and connection
                else self.client.request_complete
            ),
        )
        if error is not None:
            self.fail(error)
        elif self.phase in (Phase.RELAYING, Phase.TUNNEL) and unlimited(route.route):
            self.prepared.deadlines.discard(self)
