"""When targets are asked whether they are well: see `health_path`.

Each process asks for itself, so that none depends on another one; but what one worker
has found holds for all of them: a target that has begun a session by one has to get the
requests that follow by the others. Each target has a
time of its own, and each interval is another one by up to a tenth: many proxies that
were started together do not ask in step. A check is a task beside those of requests,
which wait for none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Protocol

from proxy.internal_errors import report
from proxy.server import health_client
from proxy.transport.health_verdict import HealthVerdict
from proxy.transport.ticker import Ticker
from proxy.transport.upstream import Upstream, Upstreams

FIRST_SECONDS = 1.0  # within which the first checks are made
SPREAD = 0.1  # of an interval, in both directions

Random = Callable[[], float]


class HealthWatcher(Protocol):
    """Who has to know what this process has found."""

    def health_changed(self, check: bytes, *, healthy: bool, reason: str) -> None:
        """A target has become healthy, or unhealthy."""


class TargetCheck:
    """The checks of one target."""

    def __init__(
        self, checks: HealthChecks, upstream: Upstream, verdict: HealthVerdict
    ) -> None:
        self.checks = checks
        self.upstream = upstream
        self.verdict = verdict
        text = b"%b %b" % (upstream.target.identity, repr(verdict.rule).encode())
        self.key = blake2b(text, digest_size=16).digest()  # the same in all workers
        self.due = 0.0
        self.task: asyncio.Task[None] | None = None

    def begin(self, now: float) -> None:
        """Check it from now on."""
        soon = min(self.verdict.rule.interval, FIRST_SECONDS)
        self.due = now + soon * self.checks.random()
        self.checks.ticker.add(self)

    def check(self, now: float) -> None:
        """Called by the ticker: is it time? Never while it is being asked."""
        if now < self.due or self.task is not None:
            return
        spread = 1 + SPREAD * (2 * self.checks.random() - 1)
        self.due = now + self.verdict.rule.interval * spread
        self.task = asyncio.get_running_loop().create_task(self.ask())

    async def ask(self) -> None:
        """Check it once."""
        try:
            before = self.verdict.healthy
            await self.checks.ask(self.upstream, self.verdict)
            self.tell(before)
        except Exception as error:
            report("a health check", error)
        finally:
            self.task = None

    def tell(self, before: bool) -> None:
        """Tell the other workers if it is not as it was before a check."""
        verdict, watcher = self.verdict, self.checks.watcher
        if verdict.healthy != before and watcher is not None:
            watcher.health_changed(
                self.key, healthy=verdict.healthy, reason=verdict.reason
            )

    def crashed(self, place: str, error: Exception) -> None:
        """Go on with the checks: nothing else would notice that the target is back."""
        report(place, error)
        self.checks.ticker.add(self)

    def stop(self) -> asyncio.Task[None] | None:
        """Check it no longer; the check that was under way, and ends now."""
        self.checks.ticker.discard(self)
        task = self.task
        if task is not None:
            task.cancel()
        return task


class HealthChecks:
    """The checks of all targets that have any."""

    def __init__(self, ticker: Ticker, random: Random = random.random) -> None:
        self.ticker = ticker
        self.random = random
        self.checks: dict[Upstream, TargetCheck] = {}
        self.watcher: HealthWatcher | None = None

    def unhealthy(self) -> Iterator[tuple[bytes, str]]:
        """The checks that fail, and why."""
        for each in self.checks.values():
            if not each.verdict.healthy:
                yield each.key, each.verdict.reason

    def hear(self, check: bytes, *, healthy: bool, reason: str) -> None:
        """Another worker has found a target to be healthy, or not."""
        for each in self.checks.values():
            if each.key == check:
                each.verdict.adopt(healthy, reason, self.ticker.clock())

    def configure(self, upstreams: Upstreams) -> None:
        """Check these targets from now on, and no others."""
        wanted = [each for each in upstreams if each.verdict is not None]
        for gone in self.checks.keys() - set(wanted):
            self.checks.pop(gone).stop()
        now = self.ticker.clock()
        for upstream in wanted:
            if upstream not in self.checks and upstream.verdict is not None:
                check = TargetCheck(self, upstream, upstream.verdict)
                self.checks[upstream] = check
                check.begin(now)

    async def ask(self, upstream: Upstream, verdict: HealthVerdict) -> None:
        """Check a target once, and note what was found."""
        try:
            reason = await health_client.ask(upstream, verdict.rule)
        except health_client.Inconclusive:
            return
        now = self.ticker.clock()
        if reason is not None:
            verdict.failed(reason, now)
            return
        verdict.passed(now)
        upstream.health.reached(now)  # requests need not find that out

    async def close(self) -> None:
        """Check no target any more."""
        tasks = [check.stop() for check in self.checks.values()]
        self.checks.clear()
        await asyncio.gather(
            *(each for each in tasks if each is not None), return_exceptions=True
        )
