"""Which event at one hop is which at the hop behind it. Pure.

The same URL asked twice may answer twice the same, or with other texts, or with another
number of events. What the two have in common decides what can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, pairwise

from proxy.tools.doctor.arrival_pattern import Shape
from proxy.tools.doctor.events import Unit

SAME = 0.8  # of the events have to be in both
IN_ORDER = 0.9  # of them, where a text comes again: two words at random have 0.8
MOST_ALIGNED = 4000  # events; more are not put in order, which takes their square
LEAST = 3  # pairs, where only their position says that they belong together

Places = tuple[int, int]  # of an event here, and of the same there


class By(Enum):
    """What two events have in common, in the words of the report."""

    MARKS = "the marks of the test origin"
    TEXTS = "their texts"
    BYTES = "their bytes"
    IDS = "their id:"
    POSITION = "their position (their texts differ)"
    FIRST = "their first arrivals (nothing else can be compared)"

    @property
    def same(self) -> bool:
        """Is it the same event, not only one in the same place?"""
        return self not in (By.POSITION, By.FIRST)


@dataclass(frozen=True, slots=True)
class Pair:
    """When an event came here and there; in which burst here. Seconds.

    `here` and `there` count from the request or, by marks, from the sending.
    """

    here: float
    there: float
    came_there: float
    burst: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs in order. `missing`: events there behind the last one here."""

    by: By
    pairs: tuple[Pair, ...] = ()
    missing: int = 0


def pair_events(here: Shape, there: Shape) -> Pairing:
    """The events of two hops, paired by the best that they have in common."""
    if here.kind == there.kind == "pieces":
        return by_bytes(here, there) or Pairing(By.FIRST)
    if "pieces" in (here.kind, there.kind):
        return Pairing(By.FIRST)
    return (
        by_key(here, there, By.MARKS, lambda unit: unit.number)
        or by_key(here, there, By.TEXTS, lambda unit: unit.digest or None)
        or by_key(here, there, By.IDS, lambda unit: unit.id or None)
        or by_position(here, there)
        or Pairing(By.FIRST)
    )


def by_key(
    here: Shape, there: Shape, by: By, key: Callable[[Unit], Hashable | None]
) -> Pairing | None:
    """Pairs that have the same key, in one order; None: too few have."""
    one, other = keyed(here.shown, key), keyed(there.shown, key)
    if by is By.IDS and not all(map(all_different, (here.shown, there.shown))):
        return None
    fewer = min(len(here.shown), len(there.shown))
    places = {each: place for place, each in enumerate(other)}
    matched = [
        (place, places[each]) for place, each in enumerate(one) if each in places
    ]
    if not matched or len(matched) < SAME * fewer:
        return None
    if any(before >= after for (_, before), (_, after) in pairwise(matched)):
        # The same words in another order are another answer.
        matched = aligned([each for each, _ in one], [each for each, _ in other])
        if len(matched) < IN_ORDER * fewer:
            return None
    ours, theirs = [*one.values()], [*other.values()]
    bursts = bursts_by_arrival(here)
    found = [
        pair(ours[place], theirs[twin], bursts, marked=by is By.MARKS)
        for place, twin in matched
    ]
    last = max(twin for _, twin in matched)
    return Pairing(by, tuple(found), len(other) - 1 - last)


def aligned(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Places]:
    """The places of a longest common subsequence, a bit for each of the other ones.

    [] where both are too long for that.
    """
    if max(len(one), len(other)) > MOST_ALIGNED:
        return []
    whole = (1 << len(other)) - 1
    masks: dict[Hashable, int] = {}
    for place, each in enumerate(other):
        masks[each] = masks.get(each, 0) | 1 << place
    rows, bits = [], whole
    for each in one:
        both = bits & masks.get(each, 0)
        bits = (bits + both | bits - both) & whole
        rows.append(bits)
    found: list[Places] = []
    row, column = len(one), len(other)
    while row and column:
        if rows[row - 1] >> column - 1 & 1:
            column -= 1
            continue
        row -= 1
        if not row or rows[row - 1] >> column - 1 & 1:
            column -= 1
            found.append((row, column))
    return found[::-1]


def keyed(
    units: Sequence[Unit], key: Callable[[Unit], Hashable | None]
) -> dict[tuple[Hashable, int], Unit]:
    """Events by their key and by how often it was there before."""
    before: Counter[Hashable] = Counter()
    found: dict[tuple[Hashable, int], Unit] = {}
    for unit in units:
        value = key(unit)
        if value is not None:
            found[value, before[value]] = unit
            before[value] += 1
    return found


def all_different(units: Sequence[Unit]) -> bool:
    """Has each event an id of its own? `id:` stays until it is set again."""
    ids = [unit.id for unit in units if unit.id]
    return len(set(ids)) == len(ids)


def by_position(here: Shape, there: Shape) -> Pairing | None:
    """The nth event here with the nth there."""
    pairs = list(zip(here.shown, there.shown, strict=False))
    if len(pairs) < LEAST:
        return None
    bursts = bursts_by_arrival(here)
    found = [pair(unit, twin, bursts, marked=False) for unit, twin in pairs]
    return Pairing(By.POSITION, tuple(found))


def pair(unit: Unit, twin: Unit, bursts: dict[int, int], *, marked: bool) -> Pair:
    burst = bursts.get(unit.arrival, -1)
    if marked and unit.sent is not None and twin.sent is not None:
        return Pair(unit.at - unit.sent, twin.at - twin.sent, twin.at, burst)
    return Pair(unit.at, twin.at, twin.at, burst)


def bursts_by_arrival(shape: Shape) -> dict[int, int]:
    """In which burst each arrival is that completed an event."""
    return {
        unit.arrival: number
        for number, burst in enumerate(shape.bursts)
        for unit in burst.units
    }


def by_bytes(here: Shape, there: Shape) -> Pairing | None:
    """What came with each read there, and when it was complete here."""
    content, behind = here.recording.content, there.recording.content
    both = min(len(content), len(behind))
    same = content[:both] == behind[:both]
    if not both or not (same or joins(here, there)):
        return None
    ends: list[tuple[int, float, int]] = []  # bytes, when, in which burst
    size = number = 0
    for each in here.recording.arrivals:
        size += len(each.data)
        while each.at > here.bursts[number].until and number + 1 < len(here.bursts):
            number += 1
        ends.append((size, each.at, number))
    pairs, missing, size = [], 0, 0
    for each in there.recording.arrivals:
        size += len(each.data)
        while ends and ends[0][0] < size:
            ends.pop(0)
        if ends:
            pairs.append(Pair(ends[0][1], each.at, each.at, ends[0][2]))
        else:
            missing += 1
    by = By.BYTES if same else By.POSITION
    return Pairing(by, tuple(pairs), missing) if pairs else None


def joins(here: Shape, there: Shape) -> bool:
    """Is each piece here one piece of the other answer, or several, to its end?"""
    ours, theirs = (ends_of_reads(each) for each in (here, there))
    return len(ours) >= LEAST and ours[-1] == theirs[-1] and set(ours) <= set(theirs)


def ends_of_reads(shape: Shape) -> list[int]:
    """Behind how many bytes each read ended."""
    return list(accumulate(len(each.data) for each in shape.recording.arrivals))
