"""From what arrived to a verdict. Pure: no socket, no clock.

Two ways to know a hold. Events of the test origin say when they were sent,
and what is late is late. Of any other stream only the shape is seen: a hold
is then likely, and certain only beside a measurement without it
(`comparison.py`).
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from statistics import median
from urllib.parse import parse_qsl, urlsplit

from proxy.quantities import counted, seconds
from proxy.tools.doctor.arrival_pattern import (
    HELD,
    PROMPT,
    Shape,
    rhythm,
    shape_of,
)
from proxy.tools.doctor.blocks import block_of
from proxy.tools.doctor.cached_answer import by_times
from proxy.tools.doctor.events import Unit
from proxy.tools.doctor.fingerprints import fingerprint
from proxy.tools.doctor.inconclusive import (
    ENOUGH,
    document,
    few,
    nothing_came,
    too_quick,
    unanswered,
    without_times,
)
from proxy.tools.doctor.record import ProbeRecording
from proxy.tools.doctor.test_streams import ProgramError, chosen
from proxy.tools.doctor.verdict import Kind, Verdict

OVERDUE = 5.0  # seconds; what is later than that does not come
DELAYED_ACK = 0.04  # seconds; that of Linux
SEEN = 3  # events with a mark; the quickest is the measure of the others
SOON = 0.01  # seconds by which clocks may differ, and an event be early
PAGE = re.compile(rb"\s*<(!doctype|html)\b", re.IGNORECASE)
# After so many seconds products give up by default: the whole response …
WHOLE = {
    15: "the route timeout of Envoy is 15 s, counted from the request",
    16: "the route timeout of Envoy is 15 s, counted from the request; it closes the "
    "connection 1 s later",
    29: "AWS API Gateway ends every request after 29 s",
    30: "sync workers of gunicorn are killed 30 s after the request",
}
# … or its silence.
TIMERS = {
    30: "Next.js rewrites time out after 30 s",
    55: "the router of Heroku waits 55 s",
    60: "nginx (proxy_read_timeout), Apache, AWS ALB and many others wait 60 s",
    100: "Cloudflare waits 100 s",
    120: "IIS/ARR waits 120 s",
    300: "Envoy's stream_idle_timeout is 300 s",
}


def diagnose(recording: ProbeRecording, slack: float = 0.0) -> Verdict:
    """The verdict on one recording.

    `slack`: seconds by which events were late without any hop between; a busy
    machine's own.
    """
    shape = shape_of(recording, slack)
    return (
        unanswered(recording)
        or ended_early(shape)
        or without_times(recording)
        or judged(shape)
    )


def judged(shape: Shape) -> Verdict:
    """A stream that was answered and not cut."""
    if not shape.units:
        return nothing_came(shape)
    if shape.timed and len(shape.holds) >= SEEN:
        return by_times(shape) or by_known_times(shape)
    return by_shape(shape)


# -- what ended before its end --------------------------------------------------


def ended_early(shape: Shape) -> Verdict | None:
    """Cut: the body is not complete, or events of the origin are missing."""
    recording = shape.recording
    last = next((unit for unit in reversed(shape.units) if unit.of), None)
    missing = last is not None and last.number is not None and last.number < last.of
    page = appended_page(shape)
    cut = recording.ending == "cut" or page is not None
    silence = shape.silence if page is None else page
    stays_open = missing and recording.ending == "stopped"
    if stays_open and last is not None and silence > pause_behind(recording, last):
        return left_open(shape, last)
    if not cut and not (missing and recording.ending == "complete"):
        return None
    evidence = [recording.fault] if recording.fault else []
    if page is not None:
        evidence.append("the body ends with an HTML page: a hop's own, of an error")
    if not cut:
        evidence.append(
            "the end looks clean: a client cannot tell that the response is incomplete"
        )
    if missing and last is not None:
        evidence.append(f"{last.number} of {last.of} events arrived")
    evidence.append(f"the whole response took {seconds(recording.ended)}")
    quiet = [who for timer, who in TIMERS.items() if near(silence, timer)]
    whole = limits_of_the_whole(recording)
    how, timer = "aborted", None
    if quiet or (silence >= 1 and not is_of_the_whole(recording, silence, whole)):
        how, timer = f"cut after {seconds(silence)} of silence", silence
    elif whole or silence >= 1:
        how = f"cut {seconds(recording.ended)} after the request"
        if silence >= 1 and not whole:  # a limit on it may be imprecise
            how += f", after {seconds(silence)} of silence"
        timer = recording.ended
    return Verdict(
        Kind.CUT,
        f"Cut: the stream was {how}, {counted(len(shape.shown), shape.noun)} in.",
        (*evidence, *quiet, *whole),
        sure=missing,
        timer=timer,
    )


def appended_page(shape: Shape) -> float | None:
    """The silence before a page that a hop appended to what is no page, None if none.

    Apache does so, where the server behind it gives up.
    """
    arrivals = shape.recording.arrivals
    if len(arrivals) < 2 or shape.kind == "pieces":
        return None
    if not PAGE.match(arrivals[-1].data):
        return None
    return arrivals[-1].at - arrivals[-2].at


def pause_behind(recording: ProbeRecording, last: Unit) -> float:
    """The seconds in which the test origin has surely sent the next event."""
    parts = urlsplit(recording.url)
    try:
        program = chosen(parts.path, dict(parse_qsl(parts.query)))
    except ProgramError:
        program = None
    if program is None or last.number is None or program.count != last.of:
        return math.inf
    return program.pause_before(last.number + 1) + OVERDUE


def left_open(shape: Shape, last: Unit) -> Verdict:
    """Nothing more comes of a stream that does not end: the client waits for ever."""
    return Verdict(
        Kind.CUT,
        f"Cut: nothing came after {counted(len(shape.shown), shape.noun)}, though the "
        "response stayed open.",
        (
            f"{last.number} of {last.of} events arrived, and nothing for "
            f"{seconds(shape.silence)} after them",
        ),
        sure=True,
    )


def limits_of_the_whole(recording: ProbeRecording) -> list[str]:
    """Whose limit on a whole response it is by default, if it is anybody's."""
    by_nearness = sorted(WHOLE, key=lambda timer: abs(recording.ended - timer))
    return [WHOLE[timer] for timer in by_nearness if near(recording.ended, timer)][:1]


def is_of_the_whole(
    recording: ProbeRecording, silence: float, whole: list[str]
) -> bool:
    """Was the limit on the whole response, however long its silence was?

    People set limits in whole seconds.
    """
    return bool(whole) or (is_round(recording.ended) and not is_round(silence))


def is_round(time: float) -> bool:
    """Is it a number of seconds, and what a cut takes to arrive?"""
    return time >= 1 and -SOON < time - round(time) < 5 * SOON


def near(seconds: float, timer: int) -> bool:
    """Is it that time-out?"""
    return abs(seconds - timer) < max(0.6, 0.02 * timer)


# -- with known times -------------------------------------------------------------


def by_known_times(shape: Shape) -> Verdict:
    """Events of the test origin: what is late is late."""
    holds, allowed = shape.holds, shape.allowed
    longest = max(holds)
    held = sum(hold > allowed for hold in holds)
    fact = (
        f"each event carries its send time; the fastest took {seconds(shape.transit)}"
    )
    facts = (f"{fact}, the slowest {seconds(longest + shape.transit)}",)
    if is_first_alone(shape):
        return only_the_first(shape, facts, longest)
    # A few late events are a busy machine's breath, not a hop's buffer.
    few_late = held <= len(holds) // 4 and longest <= 3 * allowed
    if few_late or held <= len(holds) // 20:
        return unheld(shape, facts, longest)
    pattern = fingerprint(shape) or Verdict(
        Kind.BURSTS, f"Held: {counted(held, 'event')} of {len(holds)} arrived late."
    )
    if (
        pattern.kind in (Kind.RHYTHM, Kind.BURSTS)
        and len(shape.bursts) > 2
        and (len(shape.events) < 1.5 * len(shape.bursts))
    ):
        pattern = delayed(shape)
    return Verdict(
        pattern.kind,
        f"{pattern.line.rstrip('.')}, up to {seconds(longest)} late.",
        (*pattern.evidence, *facts),
        sure=True,
        hold=longest,
        size=pattern.size,
        timer=pattern.timer,
        rate=pattern.rate,
    )


def unheld(shape: Shape, facts: tuple[str, ...], longest: float) -> Verdict:
    """No event is late; is the head?"""
    head = max((shape.recording.head or 0.0) - shape.transit, 0.0)
    first = shape.units[0]
    if head > shape.allowed and first.sent is not None and first.sent > shape.allowed:
        return Verdict(
            Kind.HEAD_LATE,
            "It streams, but the response head is held until the first event: "
            f"{seconds(head)} late.",
            (*facts, "the origin sent its head immediately; `onopen` and the "
                     "promise of fetch() wait for it"),
            sure=True,
            hold=head,
        )  # fmt: skip
    return Verdict(
        Kind.STREAMS,
        "It streams: every event arrived when it was sent.",
        facts,
        sure=True,
        hold=longest,
    )


def is_first_alone(shape: Shape) -> bool:
    """Was the first event held until the second one came, and no other?"""
    holds = shape.holds
    return (
        holds[0] > shape.allowed
        and all(hold <= shape.allowed for hold in holds[1:])
        and waited_for_next(shape)[0]
    )


def only_the_first(shape: Shape, facts: tuple[str, ...], longest: float) -> Verdict:
    """What some virus scanners and inspecting firewalls do."""
    return Verdict(
        Kind.FIRST_LATE,
        "Held at the beginning: only the first event, until the second one was sent, "
        f"{seconds(longest)} late.",
        ("a hop looks at the first piece and passes it on with the second; a comment "
         "right after the head takes the place of the first", *facts),
        sure=True,
        hold=longest,
        size=shape.bursts[0].size,
    )  # fmt: skip


def waited_for_next(shape: Shape) -> list[bool]:
    """Of each event but the last: did it come when the one behind it was sent?"""
    marked = [unit for unit in shape.units if unit.sent is not None]
    return [
        -SOON <= unit.at - shape.transit - (following.sent or 0.0) < HELD / 2
        for unit, following in pairwise(marked)
    ]


def delayed(shape: Shape) -> Verdict:
    """One by one, in time with each other, and all late."""
    middle = median(shape.holds)
    behind = waited_for_next(shape)
    if middle > HELD and sum(behind) > 0.8 * len(behind):
        return Verdict(
            Kind.DELAYED,
            "Held: each event waits for the next one",
            ("a hop holds the last piece until the next one arrives: a compressor "
             "that is not flushed, or a reader that waits for one more line",),
            timer=middle,
            waits=True,
        )  # fmt: skip
    return Verdict(
        Kind.DELAYED,
        f"Held: every event is delayed by {seconds(middle)}",
        ("a hop waits briefly for more data before it sends: Nagle's algorithm, or "
         "a socket option with the same effect",),
        timer=middle,
    )  # fmt: skip


# -- by the shape alone -----------------------------------------------------------


def by_shape(shape: Shape) -> Verdict:
    """A stream whose timing at the origin nobody knows."""
    if (unfit := document(shape)) is not None:
        return unfit
    if len(shape.shown) < ENOUGH and not is_block_of_bytes(shape):
        return few(shape)
    unfit = too_quick(shape)
    if unfit is not None:
        return unfit
    pattern = fingerprint(shape)
    if pattern is not None:
        return pattern
    return streaming(shape)


def streaming(shape: Shape) -> Verdict:
    """Nothing speaks against it; what is odd is told."""
    fault = shape.recording.fault
    evidence = [*([fault] if fault else []), *together(shape), *limit_reached(shape)]
    head, first = shape.recording.head or 0.0, shape.first_byte or 0.0
    if head > 1.0 and first - head < 0.05:
        evidence.append(
            f"the head arrived with the first event, after {seconds(head)}: either "
            "the back end was silent until then, or a hop held its head (--through "
            "shows which, and --compare all whether only where it may be compressed)"
        )
    return Verdict(
        Kind.STREAMS,
        f"It streams: {came_in(shape)}.",
        tuple(evidence),
    )


def came_in(shape: Shape) -> str:
    """How many came in how many arrivals; pieces are arrivals themselves."""
    count = counted(len(shape.shown), shape.noun)
    if shape.kind == "pieces":
        return f"{count} came over {seconds(shape.bursts[-1].at)}"
    return f"{count} came in {counted(len(shape.bursts), 'arrival')}"


def together(shape: Shape) -> list[str]:
    """What came together too quickly to be called held."""
    interval = rhythm(shape)
    per_burst = len(shape.events) / max(len(shape.bursts), 1)
    if interval is None or interval >= PROMPT or per_burst < 1.5:
        return []
    said = f"about {per_burst:.0f} arrived together every {seconds(interval)}"
    if abs(interval - DELAYED_ACK) < 0.005:
        return [f"{said}: the delay of a TCP delayed ACK (TCP_NODELAY is off "
                "somewhere), or the pace of the back end itself"]  # fmt: skip
    return [
        f"{said}: the pace of the back end itself, or a hop that adds very little delay"
    ]


def limit_reached(shape: Shape) -> list[str]:
    """A clean end, at a moment when products give up by default."""
    recording = shape.recording
    if recording.ending != "complete" or shape.silence < 10:
        return []
    known = [who for timer, who in TIMERS.items() if near(shape.silence, timer)]
    after = f"it ended after {seconds(shape.silence)} of silence"
    return [f"{after}: {who}" for who in known]


def is_block_of_bytes(shape: Shape) -> bool:
    return block_of(shape) is not None
