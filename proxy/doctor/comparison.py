"""Measurements beside each other: variants of one request, hops of one chain.

Pure. What one recording only makes likely, a second one without the hold
makes certain: the events did exist earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.doctor.diagnosis import diagnose
from proxy.doctor.record import Recording
from proxy.doctor.shape import HELD, delays, shape_of
from proxy.doctor.units import units_of
from proxy.doctor.verdict import Kind, Verdict, seconds

SAME = 0.8  # of the events have to say the same at two hops
BASE = "as a browser asks"


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement and what it showed. `added`: the hop's own hold."""

    recording: Recording
    verdict: Verdict
    added: float | None = None

    @property
    def label(self) -> str:
        return self.recording.label or BASE

    @property
    def hold(self) -> float | None:
        return self.verdict.hold


def case_of(recording: Recording, slack: float = 0.0) -> Case:
    """A measurement with its verdict."""
    return Case(recording, diagnose(recording, slack))


# -- variants ---------------------------------------------------------------------

DIFFERENCES = {
    "accept-encoding": "only when the client accepts compression",
    "accept": "only with Accept: {value}",
    "method": "only for {value}",
}


def difference(one: Recording, other: Recording) -> str:
    """In what two requests differ: method, accept-encoding or accept."""
    if one.method != other.method:
        return "method"
    for name in ("accept-encoding", "accept"):
        if one.asked(name) != other.asked(name):
            return name
    return ""


def compare_variants(base: Case, others: Sequence[Case]) -> Verdict:
    """The verdict on a request, with what its variants add to it."""
    verdict = base.verdict
    told = [case for case in others if case.verdict.told]
    if not verdict.held:
        return compare_unheld(verdict, told)
    free = [case for case in told if not case.verdict.held]
    evidence = list(verdict.evidence)
    reasons = []
    for case in free:
        what = difference(base.recording, case.recording)
        value = base.recording.method
        if what == "accept":
            value = base.recording.asked("accept") or ""
        reasons.append(DIFFERENCES.get(what, "not always").format(value=value))
        evidence.append(f"{case.label}: {first_sentence(case.verdict)}")
    alike = [case.label for case in told if case.verdict.held]
    if alike:
        evidence.append(f"held in the same request {', '.join(alike)} too")
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
        sure=verdict.sure or bool(free),
        hold=hold,
    )


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


# -- hops -------------------------------------------------------------------------


def compare_hops(cases: Sequence[Case]) -> tuple[Verdict, list[Case], int | None]:
    """The verdict on a chain; its hops with what each adds; who holds first.

    Hops are given from the browser's side to the back end's. The last one is
    the reference: what it does itself cannot be told from the back end.
    """
    measured = [own_hold(case, cases, index) for index, case in enumerate(cases)]
    unanswered = [case for case in cases if not case.verdict.told]
    holder = next(
        (
            index
            for index in reversed(range(len(measured)))
            if holds_itself(measured, index)
        ),
        None,
    )
    if holder is None:
        return no_holder(cases, unanswered), measured, None
    return held_at(measured, holder), measured, holder


def own_hold(case: Case, cases: Sequence[Case], index: int) -> Case:
    """A hop with its own hold: what came later here than one hop further back."""
    if index == len(cases) - 1:
        return replace(case, added=case.hold)
    late = lateness(case.recording, cases[index + 1].recording)
    return replace(case, added=max(late) if late else None)


def holds_itself(cases: Sequence[Case], index: int) -> bool:
    """Does the hold begin at this hop?"""
    case = cases[index]
    if index == len(cases) - 1:
        return case.verdict.held
    behind = cases[index + 1]
    if not (case.verdict.told and behind.verdict.told):
        return case.verdict.held and not behind.verdict.held
    if case.added is not None and case.verdict.kind not in (Kind.CUT, Kind.HEAD_LATE):
        return case.added > HELD + 2 * (case.recording.connected or 0.0)
    return case.verdict.held and case.verdict.kind is not behind.verdict.kind


def no_holder(cases: Sequence[Case], unanswered: Sequence[Case]) -> Verdict:
    """A chain in which no hop holds, or some could not be measured."""
    if unanswered:
        first = unanswered[0]
        return replace(
            first.verdict, line=f"{first.recording.url}: {first.verdict.line}"
        )
    return Verdict(
        Kind.STREAMS,
        f"It streams through all {len(cases)} hops.",
        sure=all(case.verdict.sure for case in cases),
        hold=max((case.added or 0.0 for case in cases), default=None),
    )


def held_at(cases: Sequence[Case], index: int) -> Verdict:
    """The hold begins here."""
    case = cases[index]
    where = case.recording.url
    if index == len(cases) - 1:
        line = (
            f"The hold begins at {where} or behind it: {first_sentence(case.verdict)}."
        )
        more = ("no hop further back was measured; add one with --via",)
        return replace(
            case.verdict, line=line, evidence=(*case.verdict.evidence, *more)
        )
    behind = cases[index + 1]
    own = f", {seconds(case.added)} by itself" if case.added else ""
    verdict = case.verdict
    if not verdict.held:  # late beside the next hop, though its shape shows nothing
        verdict = Verdict(Kind.DELAYED, f"Held: up to {seconds(case.added or 0)} late.")
    return replace(
        verdict,
        line=f"The hold begins at {where}{own}: {first_sentence(verdict)}.",
        evidence=(
            *verdict.evidence,
            f"{behind.recording.url}, one hop further back: "
            f"{first_sentence(behind.verdict)}",
        ),
        sure=behind.verdict.told,
        hold=case.added if case.added is not None else verdict.hold,
    )


def lateness(here: Recording, there: Recording) -> list[float]:
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
    same = [(unit, twin) for unit, twin in pairs if unit.label == twin.label]
    if len(same) < 3 or len(same) < SAME * min(len(one), len(other)):
        return []
    if shape_of(here).kind == "pieces":
        return []
    return [max(unit.at - twin.at, 0.0) for unit, twin in same]


# -- the programs of the test origin ----------------------------------------------


def compare_programs(cases: Sequence[Case]) -> Verdict:
    """The verdict on a chain through which the test origin was asked."""
    told = [case for case in cases if case.verdict.told]
    if not told:
        return cases[0].verdict
    held = [case for case in told if case.verdict.held]
    lost = [case for case in cases if not case.verdict.told]
    evidence = [f"{case.label}: {first_sentence(case.verdict)}" for case in lost]
    if not held:
        longest = max(case.hold or 0.0 for case in told)
        return Verdict(
            Kind.STREAMS,
            f"It streams: nothing was held in {len(told)} streams, "
            f"{seconds(longest)} at most on the way.",
            tuple(evidence),
            sure=True,
            hold=longest,
        )
    serious = [case for case in held if case.verdict.kind is not Kind.HEAD_LATE]
    worst = max(serious or held, key=lambda case: case.hold or 0.0)
    only = pattern_of(told, serious or held)
    line = worst.verdict.line.rstrip(".")
    return replace(
        worst.verdict,
        line=f"{line}{f'; {only}' if only else ''}.",
        evidence=(
            f"{len(held)} of {len(told)} streams were held",
            *worst.verdict.evidence,
            *evidence,
        ),
        sure=True,
    )


def pattern_of(told: Sequence[Case], held: Sequence[Case]) -> str:
    """What all the held ones have in common and no free one has."""
    free = [case for case in told if case not in held]

    def splits(claim: object) -> bool:
        assert callable(claim)
        return all(map(claim, held)) and free != [] and not any(map(claim, free))

    if splits(lambda case: bool(case.recording.coding)):
        return "only what a hop compresses"
    if splits(lambda case: case.recording.asked("accept-encoding") != "identity"):
        return DIFFERENCES["accept-encoding"]
    for method in ("GET", "POST"):
        if splits(lambda case, m=method: case.recording.method == m):
            return f"only for {method}"
    types = {case.recording.type for case in held}
    if len(types) == 1 and splits(lambda case: case.recording.type in types):
        return f"only for {types.pop()}"
    if splits(lambda case: case.recording.get("content-length") is not None):
        return "only with a Content-Length"
    return ""
