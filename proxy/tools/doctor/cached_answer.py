"""Answers from a cache: a past stream, which the back end never sent. Pure.

They show by a field, by events that are there before they were sent, and beside the hop
behind: no hop passes on what it has not got yet.
"""

from __future__ import annotations

import re

from proxy.quantities import counted, seconds
from proxy.tools.doctor.arrival_pattern import HELD, Shape, raw_delays
from proxy.tools.doctor.pairing import Pairing
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

SPREAD = 0.5  # seconds; what takes less behind the cache may be chance
SOME = 4  # events that came too early
HIT = re.compile(r"\bhit\b", re.IGNORECASE)
# Of nginx by `add_header`, the name is its administrator's; that of others begins so.
STATE = re.compile(r"(?!cache-control)([\w-]*-)?cache(-status)?", re.IGNORECASE)
WHY = (
    "a client gets the events of an earlier request, and none that the back end would "
    "send now"
)


def hit(recording: ProbeRecording) -> str:
    """The field by which a cache says that it had the answer, "" where none does.

    Cache-Status (RFC 9211), Age (RFC 9111 §5.1), the second id of X-Varnish, and what
    other caches say of themselves.
    """
    for name, value in recording.fields:
        if STATE.fullmatch(name) and HIT.search(value):
            return f"{name.lower()}: {value}"
    ids = (recording.get("x-varnish") or "").split()
    if len(ids) == 2:
        return f"x-varnish: {' '.join(ids)}"
    age = (recording.get("age") or "").strip()
    return f"age: {age}" if age.isdecimal() and int(age) else ""


def told_by_field(recording: ProbeRecording) -> tuple[str, ...]:
    """What a cache says of an answer of which nothing else can be told."""
    field = hit(recording)
    return (f"the response says {field}: it came from a cache",) if field else ()


def by_field(shape: Shape) -> Verdict | None:
    """All at once, and a cache says why."""
    if not hit(shape.recording) or shape.kind == "pieces":
        return None
    return verdict_of(shape, (), sure=True)


def by_times(shape: Shape) -> Verdict | None:
    """Events that came before the test origin says that it sent them."""
    early = [-delay for delay in raw_delays(shape.units).values()]
    if len([each for each in early if each > HELD]) < SOME or max(early) < SPREAD:
        return None
    said = f"the last ones came {seconds(max(early))} before they could be sent"
    return verdict_of(shape, (said,), sure=True)


def beside(here: Shape, there: Shape, pairing: Pairing) -> float | None:
    """By how much the last event was there too early, None if it was not."""
    if not pairing.by.same or len(pairing.pairs) < SOME:
        return None
    if not here.at_once or there.at_once or here.recording.ending != "complete":
        return None
    early = [pair.there - pair.here for pair in pairing.pairs]
    grows = early[-1] - early[0]
    return early[-1] if grows >= SPREAD and early[-1] >= SPREAD else None


def verdict_of(shape: Shape, evidence: tuple[str, ...], *, sure: bool) -> Verdict:
    when, field = seconds(shape.bursts[-1].until), hit(shape.recording)
    said = (f"the response says {field}",) if field else ()
    return Verdict(
        Kind.STORED,
        f"From a cache: all {counted(len(shape.shown), shape.noun)} were there after "
        f"{when}.",
        (*evidence, *said, WHY),
        sure=sure,
    )
