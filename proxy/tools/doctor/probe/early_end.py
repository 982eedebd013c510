"""When enough is seen: of one response, of several beside each other, of a chain. Pure.

And whether requests that were made at the same time got in each other's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from proxy.tools.doctor.arrival_pattern import Shape, shape_of
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.verdict import Kind, Verdict

ENOUGH_EVENTS = 40  # that came one by one: it streams, and goes on streaming
ENOUGH_SECONDS = 8.0
SHOWN_EVENTS = 6  # of a request beside one that is held: it is not
SHOWN_SECONDS = 1.5
SILENT_SECONDS = 8.0  # nothing, while another request streams: it is held
AT_ITS_END = 0.05  # seconds; one began as the other ended
WAITED = 0.5  # seconds; a shorter wait for a head is none


def one_by_one(shape: Shape) -> bool:
    """Did each event come by itself?"""
    return len(shape.bursts) >= 0.8 * len(shape.events) and not shape.merged


def enough(recording: ProbeRecording) -> bool:
    """Did so many events come one by one that it streams?"""
    arrivals = recording.arrivals
    if len(arrivals) < ENOUGH_EVENTS or arrivals[-1].at < ENOUGH_SECONDS:
        return False
    return one_by_one(shape_of(recording))


def streams(recording: ProbeRecording) -> bool:
    """Is it certain, so early, that the events of this request are not held?"""
    arrivals = recording.arrivals
    if len(arrivals) < SHOWN_EVENTS:
        return False
    if arrivals[-1].at - arrivals[0].at < SHOWN_SECONDS:
        return False
    shape = shape_of(recording)
    return len(shape.bursts) >= SHOWN_EVENTS and one_by_one(shape)


def shows_the_difference(
    held: ProbeRecording, verdict: Verdict, other: ProbeRecording
) -> bool:
    """Is it certain that another request is not held, where this one is?

    A cut shows only where the other one lives on; and of two answers with other texts
    the one that is not held has twice as many arrivals.
    """
    if verdict.kind in (Kind.CUT, Kind.HEAD_LATE) or not verdict.held:
        return False
    needed = 2 * len(shape_of(held).bursts)
    return len(other.arrivals) > needed and streams(other)


def kept_back(base: ProbeRecording, other: ProbeRecording) -> bool:
    """Does the other one stream, while nothing came of the first for so long?"""
    return not base.size and base.ended >= SILENT_SECONDS and streams(other)


def chain_is_told(recordings: Sequence[ProbeRecording]) -> bool:
    """Does nothing come at a hop of what streams at the hop behind it?

    Where all stream, one of them may still be cut.
    """
    return any(kept_back(here, behind) for here, behind in pairwise(recordings))


def in_the_way(
    one: ProbeRecording, began: float, others: Sequence[tuple[ProbeRecording, float]]
) -> bool:
    """Was this one served only once another had ended, or refused beside it?

    The back end serves one at a time, then. Where a hop holds both to their ends, one
    waits for its head as long as the other did, or has no more to come behind it.
    """
    if one.status >= 400 or one.ending == "no answer":
        return True
    head = one.head
    if head is None or head < WAITED:
        return False
    for other, other_began in others:
        if head < (other.head or 0.0) + WAITED:
            continue
        after = (began + head) - (other_began + other.ended)
        rest = one.ended - head
        if after >= WAITED or (after > -AT_ITS_END and rest > WAITED):
            return True
    return False
