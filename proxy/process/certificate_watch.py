"""The certificates that are served: once a day, those that expire soon are told.

At the start and at each reload the configuration tells of them. This is for a process
that goes on for weeks, and whose certificate nobody has renewed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from proxy.config.certificate_expiry import DAY, expiry_warning
from proxy.config.listen_reader import listening_name
from proxy.server.listener import TLS
from proxy.timeline import Clock, monotonic, wall_clock

log = logging.getLogger("unbuffered")

LOOK_SECONDS = 3600.0  # by the wall clock, which jumps where a machine slept


class CertificateWatch:
    """Looks once an hour. `served`: TLS of `[server]`, and of each `[[listen]]`."""

    def __init__(
        self,
        served: Callable[[], Sequence[TLS]],
        clock: Clock = monotonic,
        wall: Clock = wall_clock,
    ) -> None:
        self.served = served
        self.clock = clock
        self.wall = wall
        self.due = clock() + LOOK_SECONDS
        self.told_at = self.looked_at = wall()

    def on_time(self, now: float) -> None:
        """Look, if it is time for it."""
        if now >= self.due:
            self.due = now + LOOK_SECONDS
            self.look()

    def look(self) -> None:
        """Tell of each once a day, and of one that has expired since the last look."""
        now = self.wall()
        daily = now - self.told_at >= DAY
        for name, expires in expiries(self.served()):
            words = expiry_warning(expires, now)
            if words and (daily or self.looked_at < expires <= now):
                log.warning("%s tls_certificate: %s", name, words)
        if daily:
            self.told_at = now
        self.looked_at = now

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(max(self.due - self.clock(), 0.0))
            self.on_time(self.clock())


def expiries(served: Sequence[TLS]) -> Iterator[tuple[str, float]]:
    """When the certificates expire, each with the table that names it."""
    beside: dict[str, float | None] = {}  # the same for all listeners
    for number, tls in enumerate(served):
        expires = tls["ssl"].expires if tls else None
        if expires is not None:
            yield listening_name(number) if number else "[server]", expires
        beside |= tls["ssl"].beside if tls else {}
    for name, date in beside.items():
        if date is not None:
            yield name, date
