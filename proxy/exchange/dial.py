"""New connections for one call: what was tried, the attempt that runs, the next one.

Up to the moment a connection stands not a byte of the request has been sent. So
until then it may go to another target, or wait for one to come back, whatever its
method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from proxy.errors import ProxyError, UpstreamError
from proxy.exchange.compiled_routes import CompiledRoute
from proxy.policy.load_balancing import Attempts
from proxy.timeline import CallTimeline, Clock
from proxy.transport.upstream import Upstream
from proxy.transport.upstream_connection import UpstreamConnection


class Caller(Protocol):
    """Who needs a connection. Gets one of the two, once."""

    def connected(self, connection: UpstreamConnection) -> None:
        """A connection stands."""

    def connect_failed(self, error: ProxyError) -> None:
        """There will be none."""

    def pick_target(self, upstreams: Sequence[Upstream]) -> None:
        """Ask one of these, by an idle connection or by `connect`."""

    def crashed(self, place: str, error: Exception) -> None:
        """Code of the proxy raised."""


class Dial:
    """The way to a connection. Made only when none was idle."""

    __slots__ = ("account", "again_at", "attempts", "caller", "clock", "route", "task")

    def __init__(
        self, caller: Caller, route: CompiledRoute, account: CallTimeline, clock: Clock
    ) -> None:
        self.caller = caller
        self.route = route
        self.account = account
        self.clock = clock
        self.attempts: Attempts[Upstream] | None = None  # once one has failed
        self.task: asyncio.Task[None] | None = None
        self.again_at: float | None = None  # when the next round begins

    def pick_once(
        self, finding: Coroutine[Any, Any, None], upstreams: Sequence[Upstream]
    ) -> None:
        """Have a target chosen once something has been found out."""
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(self.find(finding, upstreams))

    async def find(
        self, finding: Coroutine[Any, Any, None], upstreams: Sequence[Upstream]
    ) -> None:
        """Find it out; cancelled when the client leaves or time is up."""
        try:
            await finding
            if self.task is asyncio.current_task():
                self.task = None
                self.caller.pick_target(upstreams)
        except Exception as error:
            if self.task is asyncio.current_task():
                self.task = None
            self.caller.crashed("choosing a target", error)

    def connect(self, upstream: Upstream) -> None:
        """Open a connection to a target."""
        self.task = asyncio.get_running_loop().create_task(self.open(upstream))
        if upstream.health.down_since is not None:
            upstream.health.probe(self.task)

    async def open(self, upstream: Upstream) -> None:
        """Open a connection; cancelled when the client leaves or time is up."""
        try:
            try:
                connection = await upstream.connect()
            except UpstreamError as error:
                self.task = None
                self.failed(upstream, error)
            except ProxyError as error:
                self.task = None
                self.caller.connect_failed(error)
            else:
                if self.task is not asyncio.current_task():
                    connection.abort()  # cancelled too late
                    return
                self.task = None
                self.caller.connected(connection)
        except Exception as error:
            if self.task is asyncio.current_task():
                self.task = None
            self.caller.crashed("connecting to an upstream", error)

    def cancel(self) -> None:
        """Give up the attempt that runs."""
        if self.task is not None:
            self.task.cancel()
            self.task = None

    def failed(self, upstream: Upstream, error: UpstreamError) -> None:
        """The target cannot be reached: on to another one, or wait for it."""
        route, now = self.route, self.clock()
        if self.attempts is None:
            self.attempts = Attempts(route.route.connect_retry_seconds, now)
        attempts = self.attempts
        first = attempts.failed(upstream)
        upstream.health.failed(error, route.prefix, now, first=first)
        left = attempts.left(route.upstreams)
        self.again_at = None if left else attempts.again_at(error, now)
        self.account.retries += bool(left) or self.again_at is not None
        if left:
            self.caller.pick_target(left)
        elif self.again_at is None:
            self.caller.connect_failed(attempts.verdict(error, now))

    def check(self, now: float) -> bool:
        """Begin the next round if it is time to; False: it is not."""
        if self.again_at is None or now < self.again_at:
            return False
        self.again_at = None
        self.caller.pick_target(self.route.upstreams)
        return True
