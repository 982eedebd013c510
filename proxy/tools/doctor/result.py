"""The whole outcome: the verdict, what it rests on, and what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from proxy.products.media_types import for_type
from proxy.products.pings import FROM, often_enough
from proxy.products.product import BACK_END, NO_STORE, Cure
from proxy.products.product_table import (
    COLLECTED,
    IDENTITY,
    LENGTH,
    NAMES,
    cures_for,
    cures_for_websocket,
    from_the_back_end,
)
from proxy.products.rate_limits import by_rate
from proxy.products.recognition import Sign
from proxy.tools.doctor.arrival_pattern import shape_of
from proxy.tools.doctor.comparison import (
    DIFFERENCES,
    Case,
    case_of,
    compare_variants,
    first_sentence,
    held_unseen,
)
from proxy.tools.doctor.diagnosis import limits_of_the_whole
from proxy.tools.doctor.hops import (
    compare_hops,
    compare_programs,
    from_the_origin,
    not_reached,
)
from proxy.tools.doctor.old_version import by_old_version
from proxy.tools.doctor.products import PASSING, recognise
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

Mode = Literal["one", "hops", "through"]
STREAMS, HELD, NOT_MEASURED = 0, 1, 2
DOES = {
    Kind.CUT: "cuts it",
    Kind.STORED: "keeps it",
    Kind.NO_UPGRADE: "does not pass it on",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the doctor says. `holder`: the case that the cures are for."""

    mode: Mode
    verdict: Verdict
    cases: tuple[Case, ...]
    holder: Case
    signs: tuple[Sign, ...] = ()
    cures: tuple[Cure, ...] = ()

    @property
    def recognised(self) -> bool:
        """Is a product of the table among the signs?"""
        return any(sign.product for sign in self.signs)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.verdict.held:
            return HELD
        return STREAMS if self.verdict.told else NOT_MEASURED


def judge_one(recordings: list[ProbeRecording], product: str = "") -> Result:
    """A request and its variants, the request itself first."""
    base, *others = [case_of(each) for each in recordings]
    verdict = compare_variants(base, others)
    return with_cures(
        "one", verdict, (base, *others), base, None, product, tuple(others)
    )


def judge_hops(
    recordings: list[ProbeRecording],
    product: str = "",
    older: ProbeRecording | None = None,
    plain: ProbeRecording | None = None,
) -> Result:
    """The same request at each hop, from the browser's side to the back end's.

    `older`: the hop behind the one that holds, asked by HTTP/1.0. `plain`: the one that
    holds, asked for no compression, where not even its head came.
    """
    cases = [case_of(each) for each in recordings]
    verdict, measured, index = compare_hops(cases)
    holder = measured[index or 0]
    behind = None
    if index is not None and index + 1 < len(recordings):
        behind = recordings[index + 1]
        if older is not None:
            verdict = by_old_version(verdict, cases[index + 1], case_of(older))
    beside = () if plain is None else (case_of(plain),)
    return with_cures("hops", verdict, tuple(measured), holder, behind, product, beside)


def judge_through(
    direct: ProbeRecording,
    recordings: list[ProbeRecording],
    product: str = "",
    missed: str = "",
) -> Result:
    """The programs of the test origin, asked through a chain.

    `direct`: one of them without the chain; what is late there is our own.
    `missed`: where the test origin waited, if no request came there.
    """
    slack = max(shape_of(direct).holds, default=0.0)
    cases = tuple(from_the_origin(case_of(each, slack)) for each in recordings)
    verdict = compare_programs(cases)
    # One that runs elsewhere is as good: its events say when they were sent.
    if missed and recordings[0].answered and not verdict.told:
        verdict = not_reached(verdict, missed)
    holder = next((case for case in cases if case.verdict.kind is verdict.kind), None)
    return with_cures("through", verdict, cases, holder or cases[0], None, product)


def with_cures(
    mode: Mode,
    verdict: Verdict,
    cases: tuple[Case, ...],
    holder: Case,
    behind: ProbeRecording | None,
    product: str,
    variants: tuple[Case, ...] = (),
) -> Result:
    """Add who it was, as far as it shows, and what helps there."""
    signs = recognise(holder.recording, verdict, behind)
    if product:
        signs = (Sign(product, "given by --product"),)
    cures: list[Cure] = []
    if verdict.held:
        names = tuple(sign.product for sign in signs if not sign.guess)
        guessed = tuple(sign.product for sign in signs if sign.guess)
        coded = bool(holder.recording.coding)
        if held_unseen(holder, variants):
            coded = True
            if mode == "hops":
                verdict = only_compressed(verdict, variants[0])
        cures = chosen(holder.recording, names, guessed, verdict.kind, coded=coded)
        cures = by_rate(cures, verdict.rate, names)
        if holder.recording.version == "HTTP/2":
            cures = [cure for cure in cures if not cure.http1]
        if verdict.waits and not coded:  # no timer of somebody who does not show
            shown = [cure for cure in cures if not is_named(cure)]
            cures = shown or [from_the_back_end()]
        if verdict.kind is Kind.CUT:
            cures = against_the_cut(cures, holder.recording, names)
        cures = [
            for_type(left, holder.recording.type)
            for cure in cures
            if (left := without_sent(cure, holder.recording, behind)) is not None
        ]
        if any(coded_all_the_same(each) for each in variants):
            cures = [cure for cure in cures if cure.lines != IDENTITY]
        if any(held_all_the_same(each) for each in variants):
            cures = [cure for cure in cures if not is_by_request(cure)]
        if is_relayed(cures, verdict.kind, behind, names) and not coded:
            cures.append(COLLECTED)
        cures = [elsewhere(cure, cures[0], verdict.kind, mode) for cure in cures]
        cures.sort(key=rank)
    elif mode == "hops" and verdict.kind is Kind.GROUPS:
        cures = of_the_last(cases[-1])
    return Result(mode, verdict, cases, holder, signs, tuple(cures))


def chosen(
    recording: ProbeRecording,
    names: tuple[str, ...],
    guessed: tuple[str, ...],
    kind: Kind,
    *,
    coded: bool,
) -> list[Cure]:
    """The cures for a kind, of a WebSocket or of a response."""
    if recording.websocket:
        return cures_for_websocket(names, kind, coded=coded, guessed=guessed)
    events = recording.type == "text/event-stream" if recording.answered else None
    return cures_for(names, kind, coded=coded, event_stream=events, guessed=guessed)


def of_the_last(case: Case) -> list[Cure]:
    """What helps if the last hop makes the groups, as a server may."""
    signs = recognise(case.recording, case.verdict)
    names = tuple(sign.product for sign in signs if not sign.guess)
    coded = bool(case.recording.coding)
    kind = case.verdict.kind
    cures = chosen(case.recording, names, (), kind, coded=coded)
    alone = "the application sends its events one by one"
    return [
        replace(cure, when=f"{cure.when} and {alone}" if cure.when else alone)
        for cure in cures
        if cure.measured and cure.where != BACK_END
    ]


def against_the_cut(
    cures: list[Cure], recording: ProbeRecording, names: tuple[str, ...]
) -> list[Cure]:
    """Those that fit how it was cut.

    Neither a broken connection nor a limit on the whole response is one on silence.
    """
    silence = shape_of(recording).silence
    if recording.ending != "cut" or silence >= least_silence(recording):
        return [often_enough(cure, silence) for cure in cures]
    left = [
        cure
        for cure in cures
        if cure.where != FROM and cure.product in names and not cure.idle
    ]
    return [LENGTH, *left] if "Content-Length" in recording.fault else left


def least_silence(recording: ProbeRecording) -> float:
    """The seconds from which on a silence may have been what cut it.

    As long a one was no reason before; and who cuts a whole response may close the
    connection 1 s later.
    """
    times = [each.at for each in recording.arrivals]
    survived = max((after - at for at, after in pairwise(times)), default=0.0)
    late = 1.5 if limits_of_the_whole(recording) else 0.0
    return max(1.0, survived + late)


def without_sent(
    cure: Cure, here: ProbeRecording, behind: ProbeRecording | None
) -> Cure | None:
    """A cure without the fields that the response already has; None: nothing is left.

    They did not help, whoever it was that had to obey them.
    """
    if cure.where != BACK_END:
        return cure
    there = [each for each in (here, behind) if each is not None]
    if any(
        line == NO_STORE and says(each, line)
        for each in there
        for line in cure.lines.splitlines()
    ):
        return None
    lines = [
        line
        for line in cure.lines.splitlines()
        if not any(says(each, line) for each in there)
    ]
    return replace(cure, lines="\n".join(lines)) if lines else None


def says(recording: ProbeRecording, line: str) -> bool:
    """Has a response this field, with the last member of its value?"""
    name, _, value = line.partition(": ")
    sent = (recording.get(name.lower()) or "").lower().split(",")
    return bool(value) and value.split(", ")[-1] in map(str.strip, sent)


def only_compressed(verdict: Verdict, plain: Case) -> Verdict:
    """What a hop holds only where it may compress."""
    said = f"{plain.label}: {first_sentence(plain.verdict)}"
    return replace(
        verdict,
        line=f"{verdict.line.rstrip('.')}; {DIFFERENCES['accept-encoding']}.",
        evidence=(*verdict.evidence, said),
    )


def coded_all_the_same(case: Case) -> bool:
    """Is it compressed though the request accepts no compression?"""
    asked = case.recording.asked("accept-encoding") == "identity"
    return asked and bool(case.recording.coding)


def held_all_the_same(case: Case) -> bool:
    """Is it held though the request accepts no compression, and not compressed?"""
    asked = case.recording.asked("accept-encoding") == "identity"
    return asked and case.verdict.held and not case.recording.coding


def is_by_request(cure: Cure) -> bool:
    """Does it only have the request accept no compression?"""
    return bool(re.search("accept.encoding", cure.lines, re.IGNORECASE))


def is_relayed(
    cures: list[Cure],
    kind: Kind,
    behind: ProbeRecording | None,
    names: tuple[str, ...],
) -> bool:
    """Is it a program that passes on what streams behind it, and collects it?"""
    return (
        kind is Kind.AT_THE_END
        and behind is not None
        and COLLECTED not in cures
        and not any(cure.fact for cure in cures)
        and not {*names} & {*PASSING}
    )


def rank(cure: Cure) -> int:
    """Facts first, then what has an if, then what may help, as the table has it."""
    return int(not cure.fact) + int(not cure.measured)


def is_named(cure: Cure) -> bool:
    """Is it said with an if already that it is this product?"""
    return bool(cure.product) and cure.when.startswith(f"it is {NAMES[cure.product]}")


def elsewhere(cure: Cure, first: Cure, kind: Kind, mode: Mode) -> Cure:
    """Of two products that show, the lines for the second one are no fact.

    Where no hop was measured behind it, what shows may only stand before or behind the
    one that holds.
    """
    doubtful = mode != "hops" or cure.product != first.product
    if cure.measured and cure.product and doubtful and not is_named(cure):
        does = f"{NAMES[cure.product]} {DOES.get(kind, 'holds it')}"
        return replace(cure, when=f"{does} and {cure.when}" if cure.when else does)
    return cure
