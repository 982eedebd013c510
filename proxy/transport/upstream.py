"""One target: where to connect, what is connected already, and whether it is up.

Routes with the same target and the same options for it share one `Upstream`,
and so its idle connections, its open exchanges and its condition. There is no
limit on connections: each open stream needs one, and a limit would make the
next client wait for a stream to end.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Iterator

from proxy.config.route import Route
from proxy.config.route_reader import table_name
from proxy.config.target import Target
from proxy.errors import UpstreamDisconnected, UpstreamError, concerning
from proxy.internal_errors import report
from proxy.policy.health_rule import HealthRule, health_rule
from proxy.policy.load_balancing import longer_rest
from proxy.policy.response_plan import ResponsePlanner
from proxy.transport.connector import Connector
from proxy.transport.health_verdict import HealthVerdict
from proxy.transport.resolver import Resolver
from proxy.transport.ticker import Ticker
from proxy.transport.upstream_connection import UpstreamConnection
from proxy.transport.upstream_tls import trust

log = logging.getLogger("unbuffered")

# A target that accepts every other connection would fill the log with its ups
# and downs: after a line, the next one waits so many seconds.
QUIET_SECONDS = 10.0


class TargetHealth:
    """Whether a target can be reached. Says so in the log when that changes."""

    __slots__ = (
        "down_since",
        "met",
        "name",
        "probes",
        "quiet_until",
        "rest",
        "rests_until",
        "told",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.down_since: float | None = None
        self.probes = 0  # attempts that find out whether it is back
        self.met = 0  # requests that found it down
        self.told = False  # in the log, that it is down
        self.quiet_until = 0.0
        self.rest = 0.0
        self.rests_until = 0.0

    def failed(
        self, error: UpstreamError, route: str, now: float, *, first: bool
    ) -> None:
        """An attempt to connect came to nothing; `first`: of its request."""
        if self.down_since is None:
            self.down_since = now
        self.met += first
        if now >= self.rests_until:  # those that came at the same time count once
            self.rest = longer_rest(self.rest)
            self.rests_until = now + self.rest
        if not self.told and now >= self.quiet_until:
            self.told = True
            self.quiet_until = now + QUIET_SECONDS
            log.warning("upstream %s is down: %s; route %s", self.name, error, route)

    def probe(self, attempt: asyncio.Task[None]) -> None:
        """An attempt to connect begins while it is down."""
        self.probes += 1
        attempt.add_done_callback(self.probed)

    def probed(self, attempt: asyncio.Task[None]) -> None:
        """It has come to an end, whichever."""
        self.probes -= 1

    def reached(self, now: float) -> None:
        """A connection was made."""
        if self.down_since is None:
            return
        if self.told:
            log.info(
                "upstream %s is back after %.1f s; meanwhile %d %s failed, waited "
                "or went to another target",
                self.name,
                now - self.down_since,
                self.met,
                "request" if self.met == 1 else "requests",
            )
        self.down_since = None
        self.told = False
        self.met = 0
        self.rest = self.rests_until = 0.0


class Upstream:
    """One target and its connections."""

    def __init__(
        self,
        target: Target,
        connector: Connector,
        keep: float,
        ticker: Ticker,
        rule: HealthRule | None = None,
    ) -> None:
        self.target = target
        self.connector = connector
        self.keep_seconds = keep
        self.ticker = ticker
        self.health = TargetHealth(str(target))
        # Of its health checks, if it has any; `health` is of what requests have found.
        self.verdict = None if rule is None else HealthVerdict(str(target), rule)
        self.open = 0  # exchanges that have chosen this target
        # What a connection has read last, and the limit that its head has passed.
        self.remembered: tuple[ResponsePlanner, int] | None = None
        self.idle: deque[UpstreamConnection] = deque()  # longest idle first

    @property
    def rests_until(self) -> float:
        """Until then other targets are asked first."""
        return self.health.rests_until

    @property
    def probed(self) -> bool:
        """A request finds out right now whether it can be reached again."""
        return self.health.probes > 0

    @property
    def is_healthy(self) -> bool:
        """Does it pass its health checks, if it has any?"""
        return self.verdict is None or self.verdict.healthy

    def pop_idle(self) -> UpstreamConnection | None:
        """The connection used last, if one is idle: it is the least stale."""
        while self.idle:
            connection = self.idle.pop()
            if connection.fresh():
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Connect anew.

        Raises:
            UpstreamError: not resolved, refused, unreachable, or TLS failed.
            DescriptorsExhausted: this process has none left.
        """
        connection = await self.connector.connect(self.connection)
        if connection.closed or connection.transport.is_closing():
            raise UpstreamDisconnected(
                "the upstream closed the connection before a request was sent"
            )
        try:
            self.health.reached(self.ticker.clock())
        except Exception:
            connection.abort()
            raise
        return connection

    def connection(self) -> UpstreamConnection:
        """A new one, which expects the head that was heard last."""
        made = UpstreamConnection(self)
        if self.remembered is not None:
            made.expect(*self.remembered)
        return made

    def heard(self, connection: UpstreamConnection) -> None:
        """A connection has read a head that is not the same as its last one."""
        self.remembered = (connection.planner, connection.max_head_bytes)

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for its next request."""
        if self.keep_seconds <= 0:
            connection.abort()
            return
        if connection.socket_state is None:
            connection.wait()
        connection.idle_since = self.ticker.clock()
        self.idle.append(connection)
        self.ticker.add(self)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        if connection in self.idle:
            self.idle.remove(connection)

    def check(self, now: float) -> None:
        """Close what has been idle for too long."""
        while self.idle and now - self.idle[0].idle_since >= self.keep_seconds:
            self.idle.popleft().abort()
        if not self.idle:
            self.ticker.discard(self)

    def crashed(self, place: str, error: Exception) -> None:
        """The next connection that is kept has the others looked at again."""
        report(place, error)

    def close(self) -> None:
        """Close what is idle; what is in use closes with its exchange."""
        self.keep_seconds = 0.0
        while self.idle:
            self.idle.popleft().abort()
        self.ticker.discard(self)


class Upstreams:
    """All targets of a configuration, each once.

    After a reload those that are as they were `before` are the same objects:
    their open exchanges count, and their connections go on to be used.
    """

    def __init__(self, ticker: Ticker, before: Upstreams | None = None) -> None:
        self.ticker = ticker
        self.before = before.known if before is not None else {}
        self.resolver: Resolver = before.resolver if before is not None else Resolver()
        self.known: dict[tuple[object, ...], Upstream] = {}
        self.trusts: dict[tuple[bool, str], ssl.SSLContext] = {}

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self.known.values())

    def of(self, route: Route) -> list[Upstream]:
        """The targets of a route, shared with routes that treat them alike."""
        return [self.upstream(target, route) for target in route.targets]

    def upstream(self, target: Target, route: Route) -> Upstream:
        keep = route.upstream_keepalive_seconds
        trusted = (route.verify, route.ca_file) if target.tls else None
        rule = health_rule(route, target)
        key = (target, keep, trusted, rule)
        before = self.before.get(key)
        if before is not None and not route.ca_file:  # which may have changed
            self.known[key] = before
        if key not in self.known:
            with concerning(f"[{table_name(route.prefix)}] ca_file"):
                tls = self.trust(*trusted) if trusted else None
            connector = Connector(target, tls, self.resolver)
            made = Upstream(target, connector, keep, self.ticker, rule)
            if before is not None:
                made.verdict = before.verdict
            self.known[key] = made
        return self.known[key]

    def trust(self, verify: bool, ca_file: str) -> ssl.SSLContext:
        """One context for many targets: the system's authorities take 1 MB."""
        if (verify, ca_file) not in self.trusts:
            self.trusts[verify, ca_file] = trust(verify=verify, ca_file=ca_file)
        return self.trusts[verify, ca_file]

    def close(self, successor: Upstreams | None = None) -> None:
        """Close connections that are not in use, nor of use to a successor."""
        kept = set() if successor is None else set(successor)
        for upstream in self:
            if upstream not in kept:
                upstream.close()
