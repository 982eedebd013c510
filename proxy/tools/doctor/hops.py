"""A chain: the same stream at each hop, or the test origin's streams through it.

Pure. Hops are compared with their neighbours; the streams of the test origin
with what it says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proxy.quantities import counted, seconds
from proxy.tools.doctor.arrival_pattern import HELD, shape_of
from proxy.tools.doctor.comparison import (
    DIFFERENCES,
    Case,
    first_sentence,
    lateness,
)
from proxy.tools.doctor.verdict import Kind, Verdict

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
    behind = cases[index + 1].recording
    if nothing_here(case, cases[index + 1]):
        return replace(case, added=case.recording.ended - behind.arrivals[0].at)
    late = lateness(case.recording, behind)
    return replace(case, added=max(late) if late else None)


def nothing_here(case: Case, behind: Case) -> bool:
    """Did nothing come here, while events came one hop further back?"""
    arrivals = behind.recording.arrivals
    if case.verdict.kind is not Kind.SILENT or behind.recording.status >= 300:
        return False
    return bool(arrivals) and case.recording.ended - arrivals[0].at > 1.0


def holds_itself(cases: Sequence[Case], index: int) -> bool:
    """Does the hold begin at this hop?"""
    case = cases[index]
    if index == len(cases) - 1:
        return case.verdict.held
    behind = cases[index + 1]
    if nothing_here(case, behind):
        return True
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
            f"The delay starts at {where} or behind it: {first_sentence(case.verdict)}."
        )
        more = ("no hop behind it was measured; add one with --via",)
        return replace(
            case.verdict, line=line, evidence=(*case.verdict.evidence, *more)
        )
    behind = cases[index + 1]
    if nothing_here(case, behind):
        return kept_here(case, behind)
    own = f", {seconds(case.added)} by itself" if case.added else ""
    verdict = case.verdict
    if not behind.verdict.told:
        own = " or behind it"
    if not verdict.held:  # late beside the next hop, though its shape shows nothing
        verdict = Verdict(Kind.DELAYED, f"Held: up to {seconds(case.added or 0)} late.")
    return replace(
        verdict,
        line=f"The delay starts at {where}{own}: {first_sentence(verdict)}.",
        evidence=(
            *verdict.evidence,
            f"{behind.recording.url}, the hop behind it: "
            f"{first_sentence(behind.verdict)}",
        ),
        sure=behind.verdict.told,
        hold=case.added if case.added is not None else verdict.hold,
    )


def kept_here(case: Case, behind: Case) -> Verdict:
    """Nothing came of what came one hop further back."""
    shape = shape_of(behind.recording)
    came = counted(len(shape.shown), shape.noun)
    waited = seconds(case.recording.ended)
    return Verdict(
        Kind.AT_THE_END,
        f"The delay starts at {case.recording.url}: nothing arrived within "
        f"{waited}, while {came} arrived at the hop behind it.",
        (f"{behind.recording.url}: {first_sentence(behind.verdict)}",),
        sure=True,
        hold=case.added,
    )


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
        rest = f"; {len(lost)} could not be measured" if lost else ""
        return Verdict(
            Kind.STREAMS,
            f"It streams: nothing was held in {counted(len(told), 'stream')}, "
            f"{seconds(longest)} at most on the way{rest}.",
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


def from_the_origin(case: Case) -> Case:
    """The case as it is, unless somebody else answered than the test origin."""
    verdict = case.verdict
    marked = any(unit.number is not None for unit in shape_of(case.recording).units)
    if marked or not (verdict.told or case.recording.size):
        return case
    if verdict.kind is Kind.NO_STREAM:
        return case
    line = "Could not measure: the response is not from the test origin."
    return replace(case, verdict=Verdict(Kind.NO_STREAM, line, sure=True))


def not_reached(verdict: Verdict, place: str) -> Verdict:
    """No request came to the test origin: the chain ends somewhere else."""
    line = f"Could not measure: no request reached the test origin at {place}."
    evidence = (
        f"at the end of the chain, the address of the back end must be {place}; "
        "inside a container, use --host 0.0.0.0 and the address of the host",
        f"what the chain answered: {first_sentence(verdict)}",
        *verdict.evidence,
    )
    return Verdict(Kind.NO_STREAM, line, evidence, sure=True)


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
