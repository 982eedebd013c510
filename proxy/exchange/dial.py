"""From a route to a connection: which target, and what if it cannot be reached.

Steps 2 and 3 in the life of a request (see `forward`). Up to the moment a
connection stands not a byte of the request has been sent. So until then it
may go to another target, or wait for one to come back, whatever its method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from proxy.errors import ProxyError, UpstreamDisconnected, UpstreamError
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.exchange.graceful_end import Departing
from proxy.policy import messages
from proxy.policy.load_balancing import Attempts
from proxy.timeline import CONNECTING
from proxy.transport.private_connections import PrivateConnections
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection


class Reaching(Departing):
    """An exchange on its way to a connection."""

    __slots__ = ()

    def connected(self, connection: UpstreamConnection) -> None:
        """A connection stands: step 4."""
        raise NotImplementedError

    def choose(self, route: CompiledRoute, upstreams: Sequence[Upstream]) -> None:
        """Take one of the targets and write the head of the request to it."""
        client, where = self.client, self.where
        assert where is not None
        assert client.body is not None
        upstream = None
        if client.private is not None:
            upstream = client.private.among(upstreams)
        if upstream is None:
            upstream = route.choose(upstreams, self.compiled.clock())
        self.use(upstream)
        self.request_bytes = messages.upstream_request(
            self.head,
            route,
            upstream.target,
            where.path,
            where.authority,
            client.body,
            client,
            upgrade=self.upgrade,
            trusted=self.compiled.trusts(route, client.address),
        )
        self.connect(upstream, reuse=True)

    def connect(self, upstream: Upstream, *, reuse: bool) -> None:
        """Take an idle connection, or open one."""
        self.compiled.ticker.add(self)
        connection = self.take(upstream) if reuse else None
        if connection is not None:
            self.connected(connection)
        else:
            self.enter(CONNECTING)
            loop = asyncio.get_running_loop()
            self.connecting = loop.create_task(self.open(upstream))
            if upstream.condition.down_since is not None:
                upstream.condition.probe(self.connecting)

    def take(self, upstream: Upstream) -> UpstreamConnection | None:
        """An idle connection: the client's own, or one that is anybody's."""
        private = self.client.private
        own = private.take(upstream) if private is not None else None
        return upstream.take() if own is None else own

    def bind(self, connection: UpstreamConnection) -> None:
        """Let nobody but this client use a connection from now on."""
        client = self.client
        if client.private is None:
            client.private = PrivateConnections()
        connection.owner = client.private

    async def open(self, upstream: Upstream) -> None:
        """Open a connection; cancelled when the client leaves or time is up."""
        if self.timeline.sought is None:
            self.timeline.sought = self.phase_began
        try:
            try:
                connection = await upstream.connect()
            except UpstreamError as error:
                self.connecting = None
                self.unreached(error)
            except ProxyError as error:
                self.connecting = None
                self.fail(error)
            else:
                if self.connecting is not asyncio.current_task():
                    connection.abort()  # cancelled too late
                    return
                self.connecting = None
                self.connected(connection)
        except Exception as error:
            if self.connecting is asyncio.current_task():
                self.connecting = None
            self.crashed("a connection to an upstream", error)

    def unreached(self, error: UpstreamError) -> None:
        """The target cannot be reached: on to another one, or wait for it."""
        route, upstream, now = self.route, self.upstream, self.compiled.clock()
        assert route is not None
        assert upstream is not None
        if self.attempts is None:
            self.attempts = Attempts(route.route.connect_retry_seconds, now)
        first = self.attempts.failed(upstream)
        upstream.condition.failed(error, route.prefix, now, first=first)
        left = self.attempts.left(route.upstreams)
        again_at = None if left else self.attempts.again_at(error, now)
        self.timeline.retries += bool(left) or again_at is not None
        if left:
            self.choose(route, left)
        elif again_at is not None:
            self.phase_began = again_at
        else:
            self.fail(self.attempts.verdict(error, now))

    def upstream_failed(self, error: UpstreamError) -> None:
        """The upstream broke before its response head was complete.

        A kept connection may have been closed just as the request went out:
        then the request is sent once more on a new one, if it may be repeated
        (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
        """
        connection = self.connection
        assert connection is not None
        if (
            isinstance(error, UpstreamDisconnected)
            and connection.reused
            and not connection.ahead
            and not connection.informational
            and self.repeatable
        ):
            assert self.upstream is not None
            self.connection = None
            self.timeline.retries += 1
            self.connect(self.upstream, reuse=False)
            return
        self.fail(error)

    def check(self, now: float) -> None:
        """Try again when it is time to; else look at the time limits."""
        held = self.phase is CONNECTING and self.connecting is None
        if held and now >= self.phase_began and self.route is not None:
            self.choose(self.route, self.route.upstreams)
        else:
            super().check(now)
