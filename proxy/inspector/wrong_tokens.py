"""How often a client may show a wrong token: guessing is slow, and keeps nobody out.

Counted by address, so that a client elsewhere is not concerned. Nor is one that has a
cookie already: it cannot be guessed, and is not counted. The memory is bounded; the
address that was wrong the longest time ago is forgotten first.
"""

from __future__ import annotations

import logging
import math

from proxy.policy.counted_client import network_of
from proxy.timeline import Clock

log = logging.getLogger("unbuffered")

AT_ONCE = 10  # wrong ones
SECONDS = 6.0  # until one more
MOST_ADDRESSES = 1024
TOLD_SECONDS = 60.0  # between two lines of the log


class WrongTokens:
    """The addresses that have shown wrong tokens lately."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        # When none will be held against an address any more; the latest last.
        self.clear_at: dict[bytes, float] = {}
        self.told = -math.inf

    def wait(self, address: bytes) -> int:
        """In how many seconds a token of this client is looked at; 0: now."""
        clear_at = self.clear_at.get(network_of(address), -math.inf)
        over = clear_at - self.clock() - (AT_ONCE - 1) * SECONDS
        return math.ceil(over) if over > 0 else 0

    def note(self, address: bytes) -> None:
        """A client has shown a wrong one."""
        key, now = network_of(address), self.clock()
        before = self.clear_at.pop(key, now)
        self.clear_at[key] = max(before, now) + SECONDS
        if len(self.clear_at) > MOST_ADDRESSES:
            del self.clear_at[next(iter(self.clear_at))]
        if self.wait(address) and now - self.told >= TOLD_SECONDS:
            self.told = now
            log.warning(
                "%s has sent %d wrong tokens to /_unbuffered/; it may try again every "
                "%g s",
                address.decode("ascii", "backslashreplace"),
                AT_ONCE,
                SECONDS,
            )
