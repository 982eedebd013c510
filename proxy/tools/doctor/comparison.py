"""Measurements beside each other: the variants of one request.

Pure. What one recording only makes likely, a second one without the hold
makes certain: the events did exist earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import median

from proxy.quantities import counted, seconds
from proxy.tools.doctor.arrival_pattern import (
    HELD,
    KERNEL,
    PROMPT,
    REGULAR,
    Shape,
    cut_inside,
    delays,
    shape_of,
)
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.events import units_of
from proxy.tools.doctor.fingerprints import in_bursts
from proxy.tools.doctor.hop_comparison import WITH_IT, Comparison
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

SHOWN = 3  # arrivals of one request, while nothing came of another
SAME = 0.8  # of the events have to say the same at two hops
IRREGULAR = 1.6  # times the shortest pause; most of those groups come sooner
OTHERWISE = 0.6  # of the ends of groups; fewer are the same in the other requests
BASE = "as a browser asks"
GROUPED = (Kind.BURSTS, Kind.RHYTHM, Kind.GROUPS)  # several at a time, and apart
ENDED = (Kind.STREAMS, Kind.TOO_FEW)  # all that came was passed on
BY_CHANCE = (Kind.BURSTS, Kind.RHYTHM)  # what groups may look like
HEAD_LATE = 0.3  # seconds; less may be the breath of a back end
HEAD_DIFFERENCES = ("version", "accept-encoding")
OVER_HTTP1 = "over HTTP/1.1"  # the label of a request that the base made by HTTP/2


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement and what it showed. `added`: the hop's own hold."""

    recording: ProbeRecording
    verdict: Verdict
    added: float | None = None
    compared: Comparison | None = None  # with the hop behind it

    @property
    def label(self) -> str:
        return self.recording.label or BASE

    @property
    def hold(self) -> float | None:
        return self.verdict.hold


def case_of(recording: ProbeRecording, slack: float = 0.0) -> Case:
    """A measurement with its verdict."""
    return Case(recording, diagnose(recording, slack))


# -- variants ---------------------------------------------------------------------

DIFFERENCES = {
    "accept-encoding": "only when the client accepts compression",
    "accept": "only with Accept: {value}",
    "method": "only for {value}",
    "version": "only over {value}",
    "sec-websocket-extensions": "only when the client accepts compression",
}


def difference(one: ProbeRecording, other: ProbeRecording) -> str:
    """In what two requests differ: version, method, accept-encoding or accept."""
    if other.label == OVER_HTTP1:
        return "version"
    if one.method != other.method:
        return "method"
    for name in ("accept-encoding", "accept", "sec-websocket-extensions"):
        if one.asked(name) != other.asked(name):
            return name
    return ""


def compare_variants(base: Case, others: Sequence[Case]) -> Verdict:
    """The verdict on a request, with what its variants add to it."""
    verdict = compared(base, others)
    return replace(verdict, evidence=(*verdict.evidence, *ends_alike(base, others)))


def compared(base: Case, others: Sequence[Case]) -> Verdict:
    """The verdict on a request, held against its variants."""
    verdict = base.verdict
    apart = verdict.kind not in GROUPED  # then a sender's groups are free as well
    told = [
        case for case in others if case.verdict.told or (apart and is_grouped(case))
    ]
    free = [
        case
        for case in told
        if not case.verdict.held and (not verdict.held or is_freer(base, case))
    ]
    grouped = next((c.verdict for c in (base, *others) if is_grouped(c)), None)
    if grouped is not None and verdict.kind in GROUPED and not free:
        return compare_unheld(grouped, told)
    if verdict.kind in BY_CHANCE and not free and by_chance(base, told):
        verdict = replace(groups_by_chance(base), hold=None)
        return compare_unheld(verdict, told)
    if is_faint(verdict, told) and not free:
        return compare_unheld(told[0].verdict, told[1:])
    if verdict.kind is Kind.GROUPS and any(is_freer(base, case) for case in free):
        verdict = in_bursts(shape_of(base.recording))
    elif not verdict.held:
        if not (free and kept_all(base, free[0])):
            return late_head(base, others) or compare_unheld(verdict, told)
        verdict = nothing_but(base, free[0], others)
    evidence = list(verdict.evidence)
    reasons = []
    for case in free:
        reasons.append(reason(base.recording, case.recording))
        evidence.append(f"{case.label}: {first_sentence(case.verdict)}")
    alike = [case.label for case in told if case.verdict.held]
    if alike:
        how = "cut" if verdict.kind is Kind.CUT else "held"
        evidence.append(f"{how} in the same request {', '.join(alike)} too")
    hold = verdict.hold
    for case in free:
        late = lateness(base.recording, case.recording)
        if hold is None and late:
            hold = max(late)
    line = verdict.line
    if reasons:
        line = f"{line.rstrip('.')}; {' and '.join(reasons)}."
    return replace(
        verdict,
        line=line,
        evidence=tuple(evidence),
        sure=verdict.sure or bool(free and base.verdict.held),
        hold=hold,
    )


def late_head(base: Case, others: Sequence[Case]) -> Verdict | None:
    """A head that is held in all requests of one kind, and in no other one."""
    if base.verdict.kind is not Kind.STREAMS:
        return None
    streaming = [case for case in others if case.verdict.kind is Kind.STREAMS]
    for case in streaming:
        what = difference(base.recording, case.recording)
        if what not in HEAD_DIFFERENCES:
            continue
        alike = [each for each in streaming if is_alike(base, each, what)]
        unlike = [each for each in streaming if each not in alike]
        late = [head_lateness(one, other) for one in (base, *alike) for other in unlike]
        if not alike or min(late) <= HEAD_LATE:
            continue
        only = reason(base.recording, case.recording)
        early = seconds(case.recording.head or 0.0)
        return Verdict(
            Kind.HEAD_LATE,
            "It streams, but the response head is held until the first event: "
            f"{seconds(min(late))} late; {only}.",
            (
                f"{case.label}: the head came after {early}",
                "`onopen` and the promise of fetch() wait for it",
            ),
            sure=True,
            hold=min(late),
        )
    return None


def may_hold_head(cases: Sequence[Case]) -> bool:
    """Was a head late over HTTP/2, once, and not over HTTP/1.1?"""
    base, *others = cases
    return any(
        case.label == OVER_HTTP1
        and case.verdict.kind is base.verdict.kind is Kind.STREAMS
        and head_lateness(base, case) > HEAD_LATE
        for case in others
    )


def is_alike(base: Case, other: Case, what: str) -> bool:
    """Is it the same in what makes the difference?"""
    one, two = base.recording, other.recording
    if what == "version":
        return other.label != OVER_HTTP1
    return one.asked(what) == two.asked(what)


def head_lateness(here: Case, there: Case) -> float:
    """By how much a head is later, and nearer to the first event; 0 if it is not.

    A head that does not come with the first event waits for something else.
    """
    one, other = here.recording, there.recording
    head, early = one.head or 0.0, other.head or 0.0
    own = (shape_of(one).first_byte or 0.0) - head
    lead = (shape_of(other).first_byte or 0.0) - early
    ways = 2 * ((one.connected or 0.0) + (other.connected or 0.0))
    return min(head - early, lead - own) - ways if 0 <= own < WITH_IT else 0.0


def ends_alike(base: Case, others: Sequence[Case]) -> tuple[str, ...]:
    """Does each request end after the same silence, as if it were complete?"""
    cases = (base, *others)
    shapes = [shape_of(case.recording) for case in cases]
    silences = [shape.silence for shape in shapes]
    if not others or base.verdict.kind not in ENDED or min(silences) < 1:
        return ()
    if any(case.recording.ending != "complete" for case in cases):
        return ()
    if any(shape.timed for shape in shapes) or max(silences) - min(silences) > HELD:
        return ()
    return (
        f"each of {len(cases)} requests ended after {seconds(min(silences))} of "
        "silence: the back end ends it so, or a hop has a limit on silence (--through, "
        "or --via down to the back end, shows which)",
    )


def by_chance(base: Case, others: Sequence[Case]) -> bool:
    """Do the groups end at other events in each request, and at no interval?

    No full buffer decides that, since none is cut inside an event, and no timer that
    is the same in each request.
    """
    if base.recording.coding or cut_inside(shape_of(base.recording)):
        return False
    ours, alike = ends_of_groups(base), [case for case in others if is_bursts(case)]
    same = sum(len(ours & ends_of_groups(case)) for case in alike)
    if same >= OTHERWISE * len(ours) * len(alike):
        return False
    gaps = [gap for case in (base, *alike) for gap in pauses_of(case)]
    if not gaps:
        return False
    if min(gaps) < KERNEL:
        return median(gaps) >= IRREGULAR * min(gaps)
    return max(gaps) > REGULAR * min(gaps)


def pauses_of(case: Case) -> list[float]:
    """From each group to the next one, without the last, which the end cuts short."""
    return [gap for gap in shape_of(case.recording).gaps[:-1] if gap >= PROMPT]


def is_bursts(case: Case) -> bool:
    return case.verdict.kind in GROUPED


def ends_of_groups(case: Case) -> set[int]:
    """How many events had come at the end of each group but the last."""
    counts = [len(burst.units) for burst in shape_of(case.recording).bursts]
    return {*accumulate(counts[:-1])}


def groups_by_chance(case: Case) -> Verdict:
    """Several at a time, and others each time it is asked."""
    shape = shape_of(case.recording)
    return Verdict(
        Kind.GROUPS,
        f"The back end sends in groups: {counted(len(shape.shown), shape.noun)} in "
        f"{len(shape.bursts)}, up to {seconds(max(shape.gaps))} apart.",
        (
            "the groups end at other events in each request, at no fixed interval and "
            "never inside an event: no full buffer does that, nor a hop's timer",
            "a hop that holds each group as a whole would not show; --through, or "
            "--via down to the back end, gives a certain answer",
        ),
    )


def is_faint(verdict: Verdict, told: Sequence[Case]) -> bool:
    """Is it a beginning that was late once, by little, and in no other request?"""
    faint = verdict.kind is Kind.FIRST_LATE and not verdict.sure
    return faint and told != [] and not any(case.verdict.held for case in told)


def is_grouped(case: Case) -> bool:
    """Does it show that the groups are the sender's own?"""
    return case.verdict.kind is Kind.GROUPS


def is_freer(base: Case, other: Case) -> bool:
    """Does the difference show, or is it the breath of a back end?

    Two answers that only just are, and are not, in bursts show nothing; nor do two
    that begin with as large a group.
    """
    here, there = shape_of(base.recording), shape_of(other.recording)
    if base.verdict.kind is Kind.FIRST_LATE and begins_alike(here, there):
        return False
    late = lateness(base.recording, other.recording)
    if late and base.verdict.kind is not Kind.CUT:
        return max(late) > 2 * here.allowed
    return base.verdict.kind not in GROUPED or (
        len(there.bursts) >= 2 * len(here.bursts)
    )


def begins_alike(here: Shape, there: Shape) -> bool:
    """Is the first group there at least half as large as here?"""
    first, other = here.bursts[:1], there.bursts[:1]
    return 2 * sum(len(burst.units) for burst in other) >= sum(
        len(burst.units) for burst in first
    )


def reason(base: ProbeRecording, other: ProbeRecording) -> str:
    """When it is held, where another request is not."""
    what = difference(base, other)
    value = base.method
    if what == "version":
        value = base.version
    elif what == "accept":
        value = base.asked("accept") or ""
    return DIFFERENCES.get(what, "not always").format(value=value)


def kept_all(base: Case, free: Case) -> bool:
    """Did nothing come, or all of it late and at once, while the other streamed?"""
    first = free.recording.arrivals[0].at if free.recording.arrivals else None
    if first is None:
        return False
    if base.verdict.kind is Kind.SILENT:
        return first < base.recording.ended
    shape = shape_of(base.recording)
    late = (shape.first_byte or 0.0) - first > shape.allowed
    return base.recording.status == 200 and shape.at_once and late


def silence_shows(base: Case, free: Case, others: Sequence[Case]) -> bool:
    """Did one request stream while nothing came of this one, nor of any other?

    Where all others stream, the back end may have been slow once.
    """
    if base.verdict.kind is not Kind.SILENT:
        return False
    meanwhile = [
        burst
        for burst in shape_of(free.recording).bursts
        if burst.at < base.recording.ended
    ]
    rest = [case for case in others if case is not free]
    alike = all(case.verdict.kind is Kind.SILENT or case.verdict.held for case in rest)
    return len(meanwhile) >= SHOWN and alike


def held_unseen(base: Case, others: Sequence[Case]) -> bool:
    """Is a response held that is compressed, though not even its head is here?

    Its fields do not say so; another request does, which accepts no compression.
    """
    return not base.recording.answered and any(
        case.verdict.kind is Kind.STREAMS
        and base.recording.asked("accept-encoding") != "identity"
        and difference(base.recording, case.recording) == "accept-encoding"
        for case in others
    )


def nothing_but(base: Case, free: Case, others: Sequence[Case]) -> Verdict:
    """Held to the end, seen only beside a request that is not."""
    recording = base.recording
    when = seconds(recording.ended)
    came = first_sentence(free.verdict).removeprefix("it streams: ")
    if base.verdict.kind is Kind.SILENT:
        line = f"Held: nothing arrived within {when}, while {free.label} {came}."
    else:
        line = f"Held to the end: everything arrived at once, after {when}."
    sure = silence_shows(base, free, others)
    evidence = base.verdict.evidence
    if sure:  # nobody has to ask whether the back end is silent
        evidence = evidence[:-1]
        evidence += tuple(
            f"{case.label}: nothing arrived within {seconds(case.recording.ended)}"
            for case in others
            if case.verdict.kind is Kind.SILENT
        )
    return Verdict(Kind.AT_THE_END, line, evidence, sure=sure)


def compare_unheld(verdict: Verdict, told: Sequence[Case]) -> Verdict:
    """What could not be told may show beside a variant that could."""
    evidence = [
        *verdict.evidence,
        *(f"{case.label}: {first_sentence(case.verdict)}" for case in told),
    ]
    return replace(verdict, evidence=tuple(evidence))


def first_sentence(verdict: Verdict) -> str:
    """A verdict as a part of a sentence."""
    return verdict.line[:1].lower() + verdict.line[1:].rstrip(".")


def lateness(here: ProbeRecording, there: ProbeRecording) -> list[float]:
    """How much later each event came here than there; [] if they differ."""
    one, other = units_of(here), units_of(there)
    held, known = delays(one), delays(other)
    if held:
        return [
            max(hold - known[number], 0.0)
            for number, hold in held.items()
            if number in known
        ]
    pairs = list(zip(one, other, strict=False))
    same = [(unit, twin) for unit, twin in pairs if unit.digest == twin.digest]
    if len(same) < 3 or len(same) < SAME * min(len(one), len(other)):
        return []
    if shape_of(here).kind == "pieces":
        return []
    return [max(unit.at - twin.at, 0.0) for unit, twin in same]
