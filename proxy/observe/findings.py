"""What a person should know of exchanges that run: the words, and how often.

Pure. The same findings go into the banner of the inspector and into the log;
the log has each once, and then no more often than a person would read it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from proxy.timeline import Timeline

log = logging.getLogger("unbuffered")

Kind: TypeAlias = Literal[
    "bursts", "connections", "held behind us", "slow client", "stall", "truncated"
]
QUIET_SECONDS = 60.0  # between two lines of the log that say the same
MOST_REMEMBERED = 1000
EVENTS = ("truncated",)  # each is one of its own, not a state that goes on
LEVELS: dict[Kind, int] = {"slow client": logging.INFO}  # it is the client's right


@dataclass(slots=True)
class Finding:
    """One thing that is wrong. `key` says what makes it the same thing again."""

    kind: Kind
    key: tuple[str, ...]
    text: str
    timelines: list[Timeline] = field(default_factory=list)


class RecentFindings:
    """What the log has said lately."""

    def __init__(self) -> None:
        self.until: dict[tuple[str, ...], float] = {}

    def tell(self, findings: Iterable[Finding], now: float) -> None:
        """Write what is new, or has not been said for a while."""
        for finding in findings:
            key = (finding.kind, *finding.key)
            if now >= self.until.get(key, now):
                level = LEVELS.get(finding.kind, logging.WARNING)
                fields = {"warning": finding.kind}
                log.log(level, "%s", finding.text, extra={"fields": fields})
            elif finding.kind in EVENTS:
                continue
            # While it goes on it is no news, however long it does.
            self.until[key] = now + QUIET_SECONDS
        if len(self.until) > MOST_REMEMBERED:
            self.until = {k: at for k, at in self.until.items() if at > now}
