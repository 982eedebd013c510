"""What health checks of one target have found. Says so in the log when that changes."""

from __future__ import annotations

import logging

from proxy.policy.health_rule import HealthRule

log = logging.getLogger("unbuffered")

# A target that passes every other check would fill the log: after a line, the next one
# waits so many seconds.
QUIET_SECONDS = 10.0


class HealthVerdict:
    """Healthy until proven otherwise: no request waits for the first check."""

    __slots__ = (
        "checks",
        "healthy",
        "in_a_row",
        "lasted",
        "name",
        "quiet_until",
        "reason",
        "rule",
        "since",
        "told",
    )

    def __init__(self, name: str, rule: HealthRule) -> None:
        self.name = name
        self.rule = rule
        self.healthy = True
        self.in_a_row = 0  # checks that say the contrary
        self.checks = 0
        self.reason = ""  # why the last check that failed did
        self.since = 0.0  # when it became unhealthy
        self.lasted = 0.0  # how long it was so
        self.told = True  # what the log says last: is it healthy?
        self.quiet_until = 0.0

    def passed(self, now: float) -> None:
        """A check went well."""
        self.count(self.healthy, self.rule.healthy_after, now)

    def failed(self, reason: str, now: float) -> None:
        """A check did not."""
        self.reason = reason
        self.count(not self.healthy, self.rule.unhealthy_after, now)

    def count(self, confirms: bool, most: int, now: float) -> None:
        """A check confirms what is known of the target, or says the contrary."""
        self.checks += 1
        self.in_a_row = 0 if confirms else self.in_a_row + 1
        if self.in_a_row >= most:
            self.change(now)
        self.tell_if_due(now)

    def adopt(self, healthy: bool, reason: str, now: float) -> None:
        """Another worker has found out; ours are not asked to say it again."""
        if healthy != self.healthy:
            if not healthy:
                self.reason = reason
            self.change(now)
            self.tell_if_due(now)

    def change(self, now: float) -> None:
        """It is the contrary of what it was."""
        self.in_a_row = 0
        self.healthy = not self.healthy
        if self.healthy:
            self.lasted = now - self.since
        else:
            self.since = now

    def tell_if_due(self, now: float) -> None:
        """Write a line if the log says otherwise, and not too often."""
        if self.healthy != self.told and now >= self.quiet_until:
            self.told = self.healthy
            self.quiet_until = now + QUIET_SECONDS
            self.tell()

    def tell(self) -> None:
        """Write a line."""
        if self.healthy:
            log.info(
                "upstream %s is healthy again after %.1f s (%s)",
                self.name,
                self.lasted,
                self.rule.request,
            )
        else:
            log.warning("upstream %s is unhealthy: %s", self.name, self.explained)

    @property
    def explained(self) -> str:
        """What is wrong with it."""
        return f"{self.rule.request}: {self.reason}"
