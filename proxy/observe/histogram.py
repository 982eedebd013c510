"""Histograms with buckets that fit streams: from a millisecond to a day."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from proxy.observe.prometheus_text import Family

# Of what a stream takes all in all; plain requests are at its short end.
DURATIONS = (
    *(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
    *(900.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0),
)
FIRST_BYTES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
GAPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0)
# Of what the proxy itself adds: the short end is where it should be.
HOLDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30)
LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Histogram:
    """Counts of values in buckets, each up to and with its bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def tell(self, family: Family, *labels: tuple[str, str]) -> None:
        """Add the samples of this histogram to its family, if it has counted any."""
        counts = list(accumulate(self.counts))
        if not counts[-1]:
            return
        for bound, count in zip(self.bounds, counts, strict=False):
            family.add(count, *labels, ("le", f"{float(bound):g}"), suffix="_bucket")
        family.add(counts[-1], *labels, ("le", "+Inf"), suffix="_bucket")
        family.add(self.total, *labels, suffix="_sum")
        family.add(counts[-1], *labels, suffix="_count")
