"""The shape of a recording: bursts, gaps, blocks, rhythm, holds. Arithmetic only.

Theory: read boundaries carry no meaning. Practice: what a hop hands over
together arrives together, and what it holds for a full buffer has that
buffer's size. So bursts of reads are what a holder is recognised by.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from statistics import mean, median, pstdev
from typing import Literal

from proxy.tools.doctor.events import Unit, format_of, units_of
from proxy.tools.doctor.record import Arrival, ProbeRecording

TOGETHER = 0.006  # seconds; reads no further apart came together
HELD = 0.1  # seconds; a shorter hold is not told from a busy machine's
PROMPT = 0.075  # seconds; at such intervals models speak of themselves
NEAR = 0.03  # of the bytes of an arrival, by which those of a limit differ
STEADY = 0.15  # of the interval; how far a rhythm may stray
TOO_MANY = 2.0  # standard deviations of events that come by chance
LEAST = 0.25  # of the deviations of chance, where a clock shows none
DRIFT = 1.15  # times the pace of the rest; a sender may have been that much quicker
LARGE = 1.5  # times the largest other group; what is larger is a past
KERNEL = 0.28  # seconds; an acknowledgement takes less, which makes groups by itself
REGULAR = 1.3  # times the shortest pause; a timer, and the way to the next event
SEVERAL = 4  # pauses; fewer show no interval
ALIKE = 3  # groups of the same events; so many do not come about by chance


@dataclass(frozen=True, slots=True)
class Burst:
    """Arrivals that came together, and the events that they completed."""

    at: float
    until: float
    size: int
    units: tuple[Unit, ...]
    ends_between: bool  # two events
    wire: int = 0  # bytes on the connection; 0: not known


@dataclass(frozen=True, slots=True)
class Shape:
    """What the diagnosis looks at. Times are seconds since the request."""

    recording: ProbeRecording
    kind: str
    units: tuple[Unit, ...]
    bursts: tuple[Burst, ...]
    slack: float = 0.0

    @property
    def events(self) -> tuple[Unit, ...]:
        """Units that are no comments."""
        return tuple(each for each in self.units if not each.comment)

    @property
    def shown(self) -> tuple[Unit, ...]:
        """What a verdict counts: events, or comments where nothing else came."""
        return self.events or self.units

    @property
    def noun(self) -> str:
        """What one of them is called."""
        if not self.events and self.units:
            return "comment"
        nouns = {"pieces": "piece", "lines": "line", "lines of JSON": "line",
                 "messages": "message"}  # fmt: skip
        return nouns.get(self.kind, "event")

    @property
    def timed(self) -> bool:
        """Do the events say when they were sent?"""
        return bool(self.holds) and len(self.holds) >= len(self.events) - 1

    @property
    def holds(self) -> tuple[float, ...]:
        """How long each event was held, as far as it says when it was sent."""
        return holds_of(self.units)

    @property
    def transit(self) -> float:
        """What the quickest event took; the way of the request is in it."""
        return min(raw_delays(self.units).values(), default=0.0)

    @property
    def allowed(self) -> float:
        """What is no hold yet: more where the way is long."""
        return HELD + self.slack + 2 * (self.recording.connected or 0.0)

    @property
    def gaps(self) -> tuple[float, ...]:
        """Between two bursts."""
        return tuple(after.at - before.until for before, after in pairwise(self.bursts))

    @property
    def first_byte(self) -> float | None:
        """When content came first; a compressor's own head is none."""
        return self.bursts[0].at if self.bursts else None

    @property
    def silence(self) -> float:
        """From the last byte, or the head, to the end of the recording."""
        arrivals = self.recording.arrivals
        last = arrivals[-1].at if arrivals else self.recording.head or 0.0
        return self.recording.ended - last

    @property
    def merged(self) -> int:
        """Events that came together with another one."""
        counts = [len(burst.units) for burst in self.bursts]
        return sum(count for count in counts if count > 1)

    @property
    def at_once(self) -> bool:
        """Did all come in one go?"""
        if not self.bursts:
            return False
        last = self.bursts[-1].until
        return last - self.bursts[0].at <= max(0.05, 0.02 * last)


def raw_delays(units: tuple[Unit, ...]) -> dict[int, float]:
    """From the sending of each event to its arrival, by its number."""
    return {
        unit.number: unit.at - unit.sent
        for unit in units
        if unit.sent is not None and unit.number is not None
    }


def delays(units: tuple[Unit, ...]) -> dict[int, float]:
    """How long each event was held, by its number.

    The origin counts from the arrival of the request, which had a way of its
    own. But a holder lets go at the end: the quickest event was not held, and
    what it took is the way there and back.
    """
    raw = raw_delays(units)
    quickest = min(raw.values(), default=0.0)
    return {number: delay - quickest for number, delay in raw.items()}


def holds_of(units: tuple[Unit, ...]) -> tuple[float, ...]:
    return tuple(delays(units).values())


def shape_of(recording: ProbeRecording, slack: float = 0.0) -> Shape:
    """The shape of a recording."""
    units = units_of(recording)
    bursts = bursts_of(recording, units)
    return Shape(recording, format_of(recording), units, bursts, slack)


def bursts_of(recording: ProbeRecording, units: tuple[Unit, ...]) -> tuple[Burst, ...]:
    """Arrivals that came together."""
    by_arrival: dict[int, list[Unit]] = {}
    for unit in units:
        by_arrival.setdefault(unit.arrival, []).append(unit)
    bursts: list[tuple[list[Arrival], list[Unit]]] = []
    for index, each in enumerate(recording.arrivals):
        if not each.data:
            continue
        if not bursts or each.at - bursts[-1][0][-1].at > TOGETHER:
            bursts.append(([], []))
        arrivals, inside = bursts[-1]
        arrivals.append(each)
        inside += by_arrival.get(index, ())
    return tuple(
        Burst(
            arrivals[0].at,
            arrivals[-1].at,
            sum(each.size for each in arrivals),
            tuple(inside),
            arrivals[-1].data.endswith((b"\n", b"\r")),
            sum(each.wire for each in arrivals) if all_counted(arrivals) else 0,
        )
        for arrivals, inside in bursts
    )


def all_counted(arrivals: list[Arrival]) -> bool:
    """Is it known what they took on the connection?"""
    return all(each.wire for each in arrivals)


def after_backlog(shape: Shape, soon: float) -> tuple[Burst, ...]:
    """The bursts without what was there at once: a back end's history, no hold."""
    bursts = shape.bursts
    return bursts[1:] if bursts and bursts[0].at < soon else bursts


def pauses(shape: Shape) -> tuple[Burst, ...]:
    """The bursts behind which nothing came for a while.

    Not each is: a large event takes several reads, with no more between them
    than the way takes.
    """
    return tuple(
        burst
        for burst, gap in zip(shape.bursts, shape.gaps, strict=False)
        if gap >= PROMPT
    )


def cut_inside(shape: Shape) -> int:
    """How many pauses there are in the middle of an event."""
    return sum(not burst.ends_between for burst in pauses(shape))


def too_early(shape: Shape) -> bool:
    """Had more events come with the first burst than a hold can have collected?

    Theory: a hop passes on late what it got, and never early. Behind a sender
    that sends one by one, at the rate at which all came, it has as many at any
    time as were sent until then. Who gets a whole group before its time is up
    has a sender of groups, or of a past.
    """
    first, *rest = groups_of(shape)
    passed = sum(len(group.units) for group in rest)
    if not passed:
        return False
    waited = max(first.until - (shape.recording.connected or 0.0), 0.0)
    due = waited * passed / (rest[-1].at - first.at)
    return len(first.units) > 1 + DRIFT * due + TOO_MANY * sqrt(due) * variation(rest)


def variation(groups: list[Burst]) -> float:
    """How far their distances vary: 1 for what comes by chance, less for a clock."""
    apart = [after.at - before.at for before, after in pairwise(groups)]
    if len(apart) < 4:
        return 1.0
    return min(max(pstdev(apart) / mean(apart), LEAST), 1.0)


def groups_of(shape: Shape) -> list[Burst]:
    """Bursts, those joined that are much closer than most of them.

    The way spreads what was sent together, and a busy machine does.
    """
    apart = [gap for gap in shape.gaps if gap >= PROMPT]
    near = max(PROMPT / 2, median(apart or [0.0]) / 4)
    groups: list[Burst] = []
    for burst in shape.bursts:
        if groups and burst.at - groups[-1].until < near:
            before = groups.pop()
            burst = replace(
                burst,
                at=before.at,
                size=before.size + burst.size,
                units=before.units + burst.units,
            )
        groups.append(burst)
    return groups


def own_groups(shape: Shape) -> Literal["early", "alike", ""]:
    """Are these the sender's own groups, and by what does it show?

    Never, where an event is cut in two. Early: the first came before a hop could
    have collected it, and is as large as the others. Alike: all are made of the
    same events, as a clock of the sender's says.
    """
    groups = groups_of(shape)
    if shape.timed or cut_inside(shape) or len(groups) < 3:
        return ""
    *counts, _ = (len(group.units) for group in groups)  # the last may be cut
    if too_early(shape):
        middle, most = median(counts[1:]), max(counts[1:])
        if 0.5 * middle <= counts[0] <= LARGE * most:
            return "early"
    return "alike" if made_alike(groups) else ""


def has_own_pace(shape: Shape) -> bool:
    """Are there groups of no one size, at no interval, and none cut in an event?

    No full buffer makes these, no timer, and not the kernel.
    """
    gaps = [gap for gap in shape.gaps[:-1] if gap >= PROMPT]
    inner = shape.bursts[:-1]
    if shape.recording.coding or cut_inside(shape) or len(gaps) < SEVERAL:
        return False
    sizes, counts = [burst.size for burst in inner], {len(b.units) for b in inner}
    return (
        min(gaps) >= KERNEL
        and max(gaps) > REGULAR * min(gaps)
        and len(counts) > 1
        and max(sizes) > LARGE * min(sizes)
    )


def made_alike(groups: list[Burst]) -> bool:
    """Have the groups but the first and the last the same types, in one order?"""
    types = [tuple(unit.type for unit in each.units) for each in groups[1:-1]]
    if len(types) < ALIKE:
        return False
    ((usual, often),) = Counter(types).most_common(1)
    return len({*usual}) > 1 and often >= 0.7 * len(types)


def rhythm(shape: Shape) -> float | None:
    """The interval at which bursts come, if it is always the same."""
    starts = [burst.at for burst in shape.bursts]
    intervals = [after - before for before, after in pairwise(starts)][:-1]
    if len(intervals) < 3:
        return None
    middle = median(intervals)
    strays = sum(abs(each - middle) > STEADY * middle for each in intervals)
    return middle if strays <= len(intervals) // 8 else None


def rate(shape: Shape) -> float | None:
    """The bytes a second of a limit on them: as many in each arrival, at one interval.

    A timer passes on whole events, as many as there are; a limit cuts inside of them.
    """
    inner = shape.bursts[1:-1]
    if len(inner) < 3 or shape.recording.coding or shape.kind == "pieces":
        return None
    if 2 * cut_inside(shape) < len(pauses(shape)):
        return None
    size = median(burst.size for burst in inner)
    interval = median(after.at - before.at for before, after in pairwise(inner))
    strays = sum(abs(burst.size - size) > NEAR * size for burst in inner)
    late = sum(
        abs(after.at - before.at - interval) > STEADY * interval
        for before, after in pairwise(inner)
    )
    if interval < PROMPT or strays + late > len(inner) // 4:
        return None
    return size / interval


def first_late(shape: Shape) -> int | None:
    """Bytes of the first burst, where only what is in it came late."""
    if len(shape.bursts) < 4:
        return None
    first, *rest = shape.bursts
    singles = sum(len(burst.units) <= 1 for burst in rest)
    several = len(first.units)
    if several < 3 or singles < 0.9 * len(rest):
        return None
    # At the distances that follow it would have taken so long to collect them.
    took = (several - 1) * median(shape.gaps[:several])
    return first.size if shape.timed or took > shape.allowed else None
