"""A chain: the same stream at each hop, or the test origin's streams through it.

Pure. Hops are compared with their neighbours; the streams of the test origin
with what it says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proxy.quantities import counted, seconds
from proxy.tools.doctor import cached_answer
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.comparison import DIFFERENCES, Case, first_sentence
from proxy.tools.doctor.fingerprints import KNEW_THE_LENGTH
from proxy.tools.doctor.hop_comparison import Comparison, compare
from proxy.tools.doctor.old_version import refused_old, refused_version
from proxy.tools.doctor.pairing import By
from proxy.tools.doctor.verdict import Kind, Verdict

REFUSALS = (401, 403, 407, 429)  # of this client, not of an Upgrade

# -- hops -------------------------------------------------------------------------


def compare_hops(cases: Sequence[Case]) -> tuple[Verdict, list[Case], int | None]:
    """The verdict on a chain; its hops with what each adds; who holds first.

    Hops are given from the browser's side to the back end's. The last one is
    the reference: what it does itself cannot be told from the back end. Of several
    that hold the one nearest to the back end is named, of heads only if nothing else
    is held.
    """
    measured = [beside(case, cases, index) for index, case in enumerate(cases)]
    found = {
        index: verdict
        for index, case in enumerate(measured)
        if (verdict := held_here(case, measured, index)) is not None
    }
    for index, verdict in found.items():
        if not measured[index].verdict.held:
            measured[index] = replace(measured[index], verdict=verdict)
    if not found:
        return no_holder(measured), measured, None
    last = len(cases) - 1
    if last in found and alike_everywhere(measured):
        if len(found) == 1:
            return own_groups(measured), measured, None
        del found[last]  # a head that is held before it is not its own
    holder = max(found, key=lambda index: (weight(found[index]), index))
    others = tuple(
        f"{cases[index].recording.url}: {first_sentence(verdict)}"
        for index, verdict in found.items()
        if index != holder
    )
    verdict = found[holder]
    evidence = (*verdict.evidence, *how_compared(measured), *others)
    return replace(verdict, evidence=evidence), measured, holder


def weight(verdict: Verdict) -> int:
    """What is said first: a hold that was measured, then a shape that may be one."""
    if verdict.kind is Kind.HEAD_LATE:
        return 0
    return 1 if verdict.kind in (Kind.RHYTHM, Kind.BURSTS) and not verdict.sure else 2


def beside(case: Case, cases: Sequence[Case], index: int) -> Case:
    """A hop with its own hold: what came later here than one hop further back."""
    if index == len(cases) - 1:
        return replace(case, added=case.hold)
    behind = cases[index + 1]
    if nothing_here(case, behind):
        arrivals = behind.recording.arrivals
        return replace(case, added=case.recording.ended - arrivals[0].at)
    compared = compare(case.recording, behind.recording)
    shaped = case.verdict.held and case.verdict.kind is not behind.verdict.kind
    if compared is not None and not (compared.same_answer or shaped):
        # Of two answers with paces of their own only a shape that the other one has
        # not is a hold.
        compared = replace(compared, held=False, events=None)
    added = None if compared is None else compared.events
    return replace(case, added=added, compared=compared)


def nothing_here(case: Case, behind: Case) -> bool:
    """Did nothing come here, while events came one hop further back?"""
    arrivals = behind.recording.arrivals
    if case.verdict.kind is not Kind.SILENT or behind.recording.status >= 300:
        return False
    return bool(arrivals) and case.recording.ended - arrivals[0].at > 1.0


def held_here(case: Case, cases: Sequence[Case], index: int) -> Verdict | None:
    """What is held, or cut, at this hop by itself; None: nothing is."""
    if index == len(cases) - 1:
        return held_at_the_last(case) if case.verdict.held else None
    behind, compared = cases[index + 1], case.compared
    if lost_upgrade(case, behind):
        return upgrade_lost_at(case, behind)
    if refused_old(case, behind):
        return refused_version(case, behind)
    if nothing_here(case, behind):
        return kept_here(case, behind)
    if compared is None or (compared.by is By.FIRST and not compared.cut):
        only_here = case.verdict.held and not behind.verdict.held
        return delay_starts(case, behind) if only_here else None
    if compared.cached is not None:
        return cached_at(case, behind, compared.cached)
    if compared.cut:
        return cut_at(case, compared)
    if compared.held:
        return delay_starts(case, behind)
    if compared.head_held:
        return head_at(case, compared)
    return None


def lost_upgrade(case: Case, behind: Case) -> bool:
    """Was a WebSocket opened one hop further back, and none here?"""
    one = case.recording
    if not one.websocket or behind.recording.status != 101:
        return False
    if case.verdict.kind is Kind.NO_UPGRADE:
        return True
    return one.answered and 200 <= one.status < 500 and one.status not in REFUSALS


def upgrade_lost_at(case: Case, behind: Case) -> Verdict:
    """The handshake is a plain request from here on."""
    one = case.recording
    answer = f"it answers the handshake of the WebSocket with {one.status}"
    if not one.answered:
        answer = "it does not answer the handshake of the WebSocket"
    return Verdict(
        Kind.NO_UPGRADE,
        f"The upgrade is lost at {one.url}: {answer}, the hop behind it with 101.",
        (*case.verdict.evidence[:-1], said_behind(behind)),
        sure=True,
    )


def how_compared(cases: Sequence[Case]) -> list[str]:
    """By what the events of neighbours were compared, and what is odd there."""
    found = {each.compared.by for each in cases if each.compared is not None}
    said = [f"hops are compared by {by.value}" for by in By if by in found]
    for case in cases:
        if case.compared is not None:
            said += [f"{case.recording.url}: {note}" for note in case.compared.notes]
    return said


def no_holder(cases: Sequence[Case]) -> Verdict:
    """A chain in which no hop holds, or some could not be measured."""
    evidence = tuple(how_compared(cases))
    unanswered = [c for c in cases if not (c.verdict.told or c.verdict.free)]
    if unanswered:
        first = unanswered[0].verdict
        where = unanswered[0].recording.url
        return replace(
            first, line=f"{where}: {first.line}", evidence=(*first.evidence, *evidence)
        )
    grouped = cases[-1].verdict.kind is Kind.GROUPS
    own = "; the back end itself sends in groups" if grouped else ""
    return Verdict(
        Kind.STREAMS,
        f"It streams through all {len(cases)} hops{own}.",
        evidence,
        sure=all(case.verdict.sure for case in cases),
        hold=max((case.added or 0.0 for case in cases), default=None),
    )


def alike_everywhere(cases: Sequence[Case]) -> bool:
    """Do the same groups come at the last hop, and no later at the others?"""
    *others, last = cases
    likely = last.verdict.kind in (Kind.RHYTHM, Kind.BURSTS) and not last.verdict.sure
    compared = [case.compared for case in others]
    return likely and all(
        each is not None
        and not (each.held or each.cut or each.cached)
        and each.by is not By.FIRST
        for each in compared
    )


def own_groups(cases: Sequence[Case]) -> Verdict:
    """What the last one sends comes through as it is."""
    *others, last = cases
    where = last.recording.url
    through = "the hop" if len(others) == 1 else f"all {len(others)} hops"
    return Verdict(
        Kind.GROUPS,
        f"It streams through {through} in front of {where}, which itself sends in "
        "groups.",
        (
            f"{where}: {first_sentence(last.verdict)}",
            "if that is the back end, these groups are its own; if it is a hop, add "
            "what is behind it with --via",
            *how_compared(cases),
        ),
    )


def held_at_the_last(case: Case) -> Verdict:
    """At the hop that all others are measured by."""
    where = case.recording.url
    what = "The delay starts"
    if case.verdict.kind is Kind.CUT:
        what = "The stream is cut"
    said = first_sentence(case.verdict).removeprefix("cut: ")
    line = f"{what} at {where} or behind it: {said}."
    more = "no hop behind it was measured; add one with --via"
    return replace(case.verdict, line=line, evidence=(*case.verdict.evidence, more))


def delay_starts(case: Case, behind: Case) -> Verdict:
    """Events are held here."""
    own = f", {seconds(case.added)} by itself" if case.added else ""
    if not behind.verdict.told and case.compared is None:
        own = " or behind it"
    verdict = case.verdict
    if not verdict.held or verdict.kind in (Kind.CUT, Kind.HEAD_LATE):
        verdict = only_beside(case)
    return replace(
        verdict,
        line=f"The delay starts at {case.recording.url}{own}: "
        f"{first_sentence(verdict)}.",
        evidence=(*said_here(verdict, behind), said_behind(behind)),
        sure=case.compared.sure if case.compared is not None else behind.verdict.told,
        hold=case.added if case.added is not None else verdict.hold,
    )


def said_here(verdict: Verdict, behind: Case) -> tuple[str, ...]:
    """The evidence of a hop. A Content-Length that was there behind it is no sign."""
    if behind.recording.get("content-length") is None:
        return verdict.evidence
    return tuple(
        "the back end sent the Content-Length" if each == KNEW_THE_LENGTH else each
        for each in verdict.evidence
    )


def only_beside(case: Case) -> Verdict:
    """Late beside the next hop, though its own shape shows nothing."""
    shape = shape_of(case.recording)
    if shape.at_once:
        when = seconds(shape.bursts[0].at)
        line = f"Held to the end: everything arrived at once, after {when}."
        return Verdict(Kind.AT_THE_END, line)
    if case.compared is not None and case.compared.waits:
        line = "Held: each event waits for the next one."
        return Verdict(Kind.DELAYED, line, waits=True)
    return Verdict(Kind.DELAYED, f"Held: up to {seconds(case.added or 0)} late.")


def said_behind(behind: Case) -> str:
    return (
        f"{behind.recording.url}, the hop behind it: {first_sentence(behind.verdict)}"
    )


def cut_at(case: Case, compared: Comparison) -> Verdict:
    """The stream ends here, and not at the hop behind."""
    verdict = case.verdict if case.verdict.kind is Kind.CUT else Verdict(Kind.CUT, "")
    line = f"The stream is cut at {case.recording.url}: {compared.cut}."
    return replace(verdict, line=line, sure=True, hold=None)


def cached_at(case: Case, behind: Case, early: float) -> Verdict:
    """All was here before it came at the hop behind."""
    shape = shape_of(case.recording)
    verdict = case.verdict
    if verdict.kind is not Kind.STORED:
        verdict = cached_answer.verdict_of(shape, (), sure=False)
    return replace(
        verdict,
        line=f"{case.recording.url} answers from a cache: all "
        f"{counted(len(shape.shown), shape.noun)} were there "
        f"{seconds(early)} before the last one came at the hop behind it.",
        evidence=(*verdict.evidence, said_behind(behind)),
        sure=True,
    )


def head_at(case: Case, compared: Comparison) -> Verdict:
    """The head is held here, no event is."""
    return Verdict(
        Kind.HEAD_LATE,
        f"It streams, but {case.recording.url} holds the response head until the "
        f"first event: {seconds(compared.head)} late.",
        ("`onopen` and the promise of fetch() wait for it",),
        sure=compared.by.same,
        hold=compared.head,
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
