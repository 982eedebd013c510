"""When the store does not answer: since when, why, how often, and what the log says."""

from __future__ import annotations

import logging
from typing import Final

from proxy.timeline import Clock

log = logging.getLogger("unbuffered")

QUIET_SECONDS: Final = 10.0  # between two lines that say that it is down


class Outages:
    """Of one store. `since`: when it went down, or came up."""

    def __init__(self, place: str, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self.reason = "not connected yet"
        self.since = clock()
        self.count = 0
        self.said = ""  # the reason that was said last, while it is down
        self.said_at = -QUIET_SECONDS  # when a line said last that it is down

    def end(self, *, first: bool) -> None:
        """It answers; for the first time, if `first`."""
        self.reason, self.since, self.said = "", self.clock(), ""
        if first and not self.count:
            log.info("store %s: connected", self.place)
        else:
            log.info("store %s: up again", self.place)

    def note(self, reason: str, *, begins: bool) -> None:
        """It does not answer. Each reason is said once, if it lasts.

        There is one line in QUIET_SECONDS, at most.
        """
        now = self.clock()
        if begins or not self.count:
            self.count += 1
            self.since = now
        self.reason = reason
        if reason != self.said and now - self.said_at >= QUIET_SECONDS:
            self.said, self.said_at = reason, now
            log.warning(
                "store %s: %s; streams go on, but new ones cannot be resumed",
                self.place,
                reason,
            )
