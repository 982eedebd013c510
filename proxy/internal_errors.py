"""Exceptions that no code expected: logged, counted, and never passed on.

Whoever calls other code on behalf of many (the clock, a callback of the event
loop, a loop over observers) catches what it raises, reports it here and goes on.
A fault in a hot place raises thousands of times: each kind is logged with its
traceback once a minute at most, with the number of those in between.
"""

from __future__ import annotations

import logging
from collections import Counter

from proxy.timeline import Clock, monotonic

log = logging.getLogger("unbuffered")

QUIET_SECONDS = 60.0  # between two tracebacks of the same kind
MOST_KINDS = 100


class InternalErrors:
    """Counts them by place, and logs each kind now and then."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self.clock = clock
        self.counts: Counter[str] = Counter()  # by place
        self.quiet: dict[tuple[str, ...], float] = {}  # until when
        self.unlogged: Counter[tuple[str, ...]] = Counter()

    def report(self, place: str, error: BaseException) -> None:
        """Log what was raised in a place, unless that was logged lately."""
        self.counts[place] += 1
        kind = kind_of(place, error)
        now = self.clock()
        if now < self.quiet.get(kind, now):
            self.unlogged[kind] += 1
            return
        if len(self.quiet) >= MOST_KINDS:
            self.forget()
        self.quiet[kind] = now + QUIET_SECONDS
        before = self.unlogged.pop(kind, 0)
        more = f" (and {before} more since the last report)" if before else ""
        log.error(
            "internal error in %s%s; please report it", place, more, exc_info=error
        )

    def forget(self) -> None:
        """Log every kind anew."""
        self.quiet.clear()
        self.unlogged.clear()


def kind_of(place: str, error: BaseException) -> tuple[str, ...]:
    """Where it was raised and what; the same again is the same kind."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}"
    line = 0 if trace is None else trace.tb_lineno
    return (place, type(error).__name__, f"{where}:{line}")


INTERNAL_ERRORS = InternalErrors()  # of this process
report = INTERNAL_ERRORS.report
