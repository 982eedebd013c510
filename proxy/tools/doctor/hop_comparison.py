"""What one hop adds to a stream: it beside the hop behind it. Pure.

Head, events and end are compared each by itself. What comes evenly later is a long way
and no hold: a holder lets go, so that not all that it hands on is late by the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from statistics import fmean, median

from proxy.quantities import counted, seconds
from proxy.tools.doctor import cached_answer
from proxy.tools.doctor.arrival_pattern import HELD, Shape, rhythm, shape_of
from proxy.tools.doctor.fingerprints import fingerprint
from proxy.tools.doctor.pairing import By, Pair, Pairing, joins, pair_events
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind

ALIKE = 0.75  # of the events in each burst at one of two hops
WITH_IT = 0.05  # seconds; the head came with the first event
PAUSES = 5  # times what is no hold yet: two pauses of a busy machine
WANDERS = 0.5  # of von Neumann's ratio; less is a sum of steps
MOST = 0.8  # of the events
CLOSE = 1.0  # seconds between two ends that are the same end


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is this hop's own. Seconds; `cut`: how, in words, "" if it is not.

    `waits`: does each event come with the next one? `cached`: by how much the end was
    here too early, None if it was not.
    """

    by: By
    transit: float  # by which all comes later, or earlier
    events: float | None  # the longest hold of an event; None: not to be told
    held: bool  # are those holds more than a busy machine's breath?
    head: float  # how late the head is
    allowed: float
    cut: str = ""
    sure: bool = True
    same_answer: bool = True  # or another one, with a pace of its own
    cached: float | None = None
    waits: bool = False
    notes: tuple[str, ...] = ()

    @property
    def head_held(self) -> bool:
        return self.head > self.allowed

    @property
    def free(self) -> bool:
        """Does the hop add nothing, as far as it can be told?"""
        return not (self.held or self.head_held or self.cut or self.cached)


def compare(here: ProbeRecording, behind: ProbeRecording) -> Comparison | None:
    """A hop beside the one behind it, None where one of them did not answer."""
    if not (here.answered and behind.answered):
        return None
    if max(here.status, behind.status) >= 300:
        return None
    if (here.status == 101) is not (behind.status == 101):  # a WebSocket
        return None
    one, other = shape_of(here), shape_of(behind)
    pairing = pair_events(one, other)
    allowed = HELD + 2 * ((here.connected or 0.0) + (behind.connected or 0.0))
    if (early := cached_answer.beside(one, other, pairing)) is not None:
        return Comparison(
            pairing.by, 0.0, None, held=False, head=0.0, allowed=allowed, cached=early
        )
    transit = transit_of(one, other, pairing)
    holds, sure = holds_of(one, other, pairing, transit, allowed)
    held = are_held(holds, pairing.pairs, allowed)
    head = head_late(one, other, pairing.by, transit)
    notes = []
    if transit > allowed and not held:
        notes.append(
            f"everything comes evenly {seconds(transit)} later than one hop behind: "
            "a long way, or a back end that began later; no hold"
        )
    notes += counts(one, other, pairing)
    return Comparison(
        pairing.by,
        transit,
        max(holds) if holds else None,
        held,
        head,
        allowed,
        cut_here(one, other, pairing),
        sure,
        pairing.by.same or as_long(one, other, transit, allowed),
        waits=held and wait_for_next(by_burst(pairing.pairs), transit),
        notes=tuple(notes),
    )


# -- events -----------------------------------------------------------------------


def transit_of(here: Shape, there: Shape, pairing: Pairing) -> float:
    """What the way adds to everything; below 0, where the way to the other is longer.

    The head takes the same way. But where another answer is compared, its first event
    may have been later than its head for reasons of its own.
    """
    late = [pair.here - pair.there for pair in pairing.pairs]
    if not late:
        first = (here.first_byte or 0.0) - (there.first_byte or 0.0)
        return max(min(first, head_of(here) - head_of(there)), 0.0)
    least = min(late)
    if least < 0:  # by which the head is earlier, too
        lead = head_of(here) - head_of(there)
        return min(0.0, max(median(late), lead) if pairing.by.same else median(late))
    if pairing.by is By.POSITION:
        return least
    bounds = [least, head_of(here) - head_of(there)]
    if both_complete(here, there):
        bounds.append(here.recording.ended - there.recording.ended)
    return max(min(bounds), 0.0)


def both_complete(here: Shape, there: Shape) -> bool:
    return here.recording.ending == there.recording.ending == "complete"


def head_of(shape: Shape) -> float:
    return shape.recording.head or 0.0


def holds_of(
    here: Shape, there: Shape, pairing: Pairing, transit: float, allowed: float
) -> tuple[list[float], bool]:
    """How long each event was held here; is it certain?

    What came here together, and there apart, has waited. What only comes later than
    there was held if the two answers have the same pace.
    """
    pairs = pairing.pairs
    if not pairs:
        first = (here.first_byte or 0.0) - (there.first_byte or 0.0)
        none = here.first_byte is None or there.first_byte is None
        return [] if none else [max(first - transit, 0.0)], False
    late = [max(pair.here - pair.there - transit, 0.0) for pair in pairs]
    alike = same_groups(here, there) and (
        two_answers(here, there) or max(late) <= max(there.gaps, default=0.0)
    )
    if alike and not lets_go(here, there, pairs, transit, allowed):
        return [0.0] * len(pairs), True  # the same bursts, at other moments
    waits = waited(pairs)
    if pairing.by is By.MARKS:
        return [max(both) for both in zip(late, waits, strict=True)], True
    if (
        two_answers(here, there)
        and len(there.shown) >= 1.5 * len(there.bursts)
        and 2 * len(here.bursts) >= len(there.bursts)  # else it collects them
    ):
        return [0.0] * len(pairs), True  # in groups, others for each answer
    if late[-1] > allowed and pairing.by.same and is_clocked(here, there):
        return [max(both) for both in zip(late, waits, strict=True)], True
    if same_pace(here, there, pairing, late, transit, allowed):
        by_waits = are_held(waits, pairs, allowed)
        alone = are_held(late, pairs, allowed) and not by_waits
        if not (alone and strays(pairs, transit, allowed)):
            return [max(both) for both in zip(late, waits, strict=True)], not alone
    if not pairing.by.same:
        return waits, True
    back = pair_events(there, here)
    if are_held(waited(back.pairs), back.pairs, allowed):
        return [0.0] * len(pairs), True  # each has together what is apart in the other
    # That it was held is certain; how long, as far as the paces are the same.
    return [
        max(own, wait) if wait > allowed else wait
        for own, wait in zip(late, waits, strict=True)
    ], True


def waited(pairs: Sequence[Pair]) -> list[float]:
    """By how much the last one of its burst here was later than an event, there.

    But none can have waited for longer than since the request: then it was there that
    the machine paused.
    """
    last: dict[int, float] = {}
    for pair in pairs:
        last[pair.burst] = max(last.get(pair.burst, 0.0), pair.came_there)
    return [
        min(last[pair.burst] - pair.came_there, max(pair.here, 0.0))
        if pair.burst >= 0
        else 0.0
        for pair in pairs
    ]


def same_groups(here: Shape, there: Shape) -> bool:
    """Do events come in groups of the same size at both hops?"""
    one, other = (len(each.shown) / max(len(each.bursts), 1) for each in (here, there))
    several = min(len(here.bursts), len(there.bursts)) > 2
    return several and min(one, other) >= 1.5 and ALIKE <= one / other <= 1 / ALIKE


def same_pace(
    here: Shape,
    there: Shape,
    pairing: Pairing,
    late: Sequence[float],
    transit: float,
    allowed: float,
) -> bool:
    """Was the answer here as quick as the one there, so that late is held?

    A back end that has paused, or is slower for this request, is late from there on
    and to the end; a holder lets go.
    """
    third = max(len(late) // 3, 1)
    drift = abs(median(late[-third:]) - median(late[:third]))
    if drift <= max(allowed, median(late)) / 2 and pairing.by is not By.POSITION:
        return True
    end = here.recording.ended - there.recording.ended - transit
    if pairing.by is By.POSITION and len(here.shown) != len(there.shown):
        return False
    if both_complete(here, there):
        return end <= allowed
    return min(late[-third:]) <= allowed / 2


def by_burst(pairs: Sequence[Pair]) -> list[Pair]:
    """One pair for each burst here: the last one of it."""
    return list(
        {
            pair.burst if pair.burst >= 0 else -1 - place: pair
            for place, pair in enumerate(pairs)
        }.values()
    )


def strays(pairs: Sequence[Pair], transit: float, allowed: float) -> bool:
    """Does the delay change by and by, as between two paces by chance?

    What a hop adds is always about the same, or another for each burst. Of two paces
    each gap adds its part: the delay changes little from one burst to the next, and
    much in the end. The measure is von Neumann's ratio: 2 by chance, near 0 for sums.
    """
    bursts = by_burst(pairs)
    late = [pair.here - pair.there for pair in bursts]
    ordered, tenth = sorted(late), len(late) // 10
    if ordered[-1 - tenth] - ordered[tenth] <= allowed / 2:
        return False
    if wait_for_next(bursts, transit):
        return False
    middle = fmean(late)
    spread = fsum((each - middle) ** 2 for each in late)
    steps = fsum((after - before) ** 2 for before, after in pairwise(late))
    return steps < WANDERS * spread


def wait_for_next(bursts: Sequence[Pair], transit: float) -> bool:
    """Does each burst come when the next one has come one hop behind?"""
    with_next = sum(
        abs(one.here - transit - following.there) < WITH_IT
        for one, following in pairwise(bursts)
    )
    return len(bursts) > 2 and with_next > MOST * (len(bursts) - 1)


def is_clocked(here: Shape, there: Shape) -> bool:
    """Has only this hop a clock, or full buffers, as a limit on the rate has?"""
    if two_answers(here, there) or fingerprint(there) is not None:
        return False
    found = fingerprint(here)
    clocked = rhythm(here) is not None or (found and found.kind is Kind.BLOCKS)
    return found is not None and bool(clocked)


def two_answers(here: Shape, there: Shape) -> bool:
    """Had one more events than the other, though both came to their ends?"""
    return both_complete(here, there) and len(here.shown) != len(there.shown)


def lets_go(
    here: Shape, there: Shape, pairs: Sequence[Pair], transit: float, allowed: float
) -> bool:
    """Are the groups evenly late though the end, and the last of them, is not?

    A sender that began later is late to the end; a holder hands on at the end what
    it has.
    """
    *late, last = (pair.here - pair.there - transit for pair in by_burst(pairs))
    end = here.recording.ended - there.recording.ended - transit
    in_time = both_complete(here, there) and max(abs(end), last) <= allowed / 2
    return in_time and min(late) > allowed and max(late) - min(late) <= allowed / 2


def as_long(here: Shape, there: Shape, transit: float, allowed: float) -> bool:
    """Had both as many events, and the same end?

    Or pieces that are several of the other one, here at least.
    """
    end = here.recording.ended - there.recording.ended - transit
    one, other = len(here.shown), len(there.shown)
    as_many = (
        one < other and joins(here, there) if here.kind == "pieces" else one == other
    )
    return both_complete(here, there) and abs(end) <= allowed and as_many


def are_held(holds: Sequence[float], pairs: Sequence[Pair], allowed: float) -> bool:
    """Are they more than a busy machine's breath?"""
    if not holds:
        return False
    late = sum(hold > allowed for hold in holds)
    few = late <= len(holds) // 4 and max(holds) <= 3 * allowed
    if few or late <= len(holds) // 20:
        return False
    return not are_of_few_moments(holds, pairs, allowed)


def are_of_few_moments(
    holds: Sequence[float], pairs: Sequence[Pair], allowed: float
) -> bool:
    """Did the machine pause once or twice, with many events on their way?

    All that was due in a pause comes at its end, in one burst. A holder holds most
    bursts, or the first one.
    """
    if not pairs or max(holds) > PAUSES * allowed:
        return False
    late = {
        pair.burst for hold, pair in zip(holds, pairs, strict=True) if hold > allowed
    }
    bursts = {pair.burst for pair in pairs}
    return min(bursts) not in late and len(late) <= len(bursts) // 4


# -- head and end -----------------------------------------------------------------


def head_late(here: Shape, there: Shape, by: By, transit: float) -> float:
    """How much later the head is here, and nearer to the first event.

    Of another answer the first event may be at any time: only a head that comes with
    it was held for it.
    """
    late = head_of(here) - head_of(there) - max(transit, 0.0)
    if there.first_byte is None or here.first_byte is None:
        return 0.0
    lead = there.first_byte - head_of(there)
    own = here.first_byte - head_of(here)
    if not by.same and own > WITH_IT:
        return 0.0
    return max(min(late, lead - own), 0.0)


def cut_here(here: Shape, there: Shape, pairing: Pairing) -> str:
    """How the stream ends too early at this hop, "" where it does not."""
    one, other = here.recording, there.recording
    came = counted(len(here.shown), here.noun)
    earlier = other.ended - one.ended
    if one.ending == "cut" and (
        other.ending != "cut" or earlier > CLOSE + max(-pairing_transit(pairing), 0.0)
    ):
        return f"{came} and {seconds(one.ended)} in, while it went on behind it"
    alike = pairing.by.same and in_step(pairing, here.allowed)
    missing = pairing.missing if alike else 0
    if one.ending == "complete" and missing:
        return (
            f"it ended after {came} as if it were complete, and "
            f"{counted(missing, 'more ' + there.noun)} came at the hop behind it"
        )
    left = one.ending == "stopped" and other.ending == "complete" and missing
    if left and -earlier > CLOSE + max(pairing_transit(pairing), 0.0):
        return (
            f"nothing came after {came}, though it stayed open, and "
            f"{counted(missing, 'more ' + there.noun)} and the end came at the hop "
            "behind it"
        )
    return ""


def in_step(pairing: Pairing, allowed: float) -> bool:
    """Did most events come at the same moments, so that it was one pace?"""
    if strays(pairing.pairs, pairing_transit(pairing), allowed):
        return False
    late = [pair.here - pair.there for pair in pairing.pairs]
    middle = median(late)
    near = sum(abs(each - middle) <= 2 * HELD for each in late)
    return near >= MOST * len(late)


def pairing_transit(pairing: Pairing) -> float:
    return min((pair.here - pair.there for pair in pairing.pairs), default=0.0)


def counts(here: Shape, there: Shape, pairing: Pairing) -> list[str]:
    """Numbers that differ, where it cannot be told whether something is missing."""
    one, other = len(here.shown), len(there.shown)
    if not both_complete(here, there) or one == other or here.kind != there.kind:
        return []
    said = f"{counted(one, here.noun)} here, {other} at the hop behind it"
    if not pairing.by.same:
        return [f"{said}: their texts differ, so these may be two answers"]
    lost = other - pairing.missing - len(pairing.pairs)
    return [f"{said}: {lost} in the middle did not come"] if lost > 0 else []
