"""The fingerprints: which shape each kind of holder leaves. Pure.

Each looks at a shape and gives a verdict, or None where it is not its own.
"""

from __future__ import annotations

from statistics import median

from proxy.quantities import buffer_size, counted, seconds
from proxy.tools.doctor.arrival_pattern import (
    PROMPT,
    Shape,
    after_backlog,
    cut_inside,
    first_late,
    has_own_pace,
    own_groups,
    pauses,
    rate,
    rhythm,
    too_early,
)
from proxy.tools.doctor.blocks import block_of, block_of_whole_events
from proxy.tools.doctor.inconclusive import WAIT
from proxy.tools.doctor.verdict import Kind, Verdict

KNEW_THE_LENGTH = (
    "Content-Length was sent: a hop had the whole body before it sent the head, or the "
    "back end knew its length"
)


def fingerprint(shape: Shape) -> Verdict | None:
    """The kind of holder that leaves this shape, None if none does."""
    found = (
        at_the_end(shape) or blocks(shape) or first_bytes(shape) or regular(shape)
        or bursts(shape)
    )  # fmt: skip
    if found is not None and found.kind in (Kind.RHYTHM, Kind.BURSTS):
        return whole_events(shape, found) or found
    return found


def at_the_end(shape: Shape) -> Verdict | None:
    """Everything in one go: a whole body was collected, or a compressor waited."""
    if not shape.at_once or len(shape.shown) < 2:
        return None
    recording = shape.recording
    when = seconds(shape.bursts[0].at)
    evidence = [
        f"nothing for {when}, then {buffer_size(recording.size)} in "
        f"{counted(len(recording.arrivals), 'read')}"
    ]
    if recording.coding:
        evidence.append(
            f"Content-Encoding: {recording.coding}; a compressor without flushing "
            "outputs nothing until its block is full or the body ends"
        )
    elif recording.get("content-length") is not None:
        evidence.append(KNEW_THE_LENGTH)
    return Verdict(
        Kind.AT_THE_END,
        f"Held to the end: all {counted(len(shape.shown), shape.noun)} arrived at "
        f"once, after {when}.",
        tuple(evidence),
        hold=span_of(shape),
    )


def span_of(shape: Shape) -> float | None:
    """The longest hold by the origin's account, None without one."""
    return max(shape.holds) if shape.holds else None


def blocks(shape: Shape) -> Verdict | None:
    """Full buffers: 4 KiB, 8 KiB, 16 KiB."""
    block = block_of(shape)
    if block is None:
        return None
    inside, several = cut_inside(shape), len(pauses(shape))
    coded = bool(shape.recording.coding)
    # Pieces have a size of their sender's, and where an event ends nobody knows.
    if not coded and (shape.kind == "pieces" or 2 * inside < several or not several):
        return None
    # A full buffer of a compressor ends anywhere, a flush behind an event.
    if coded and several and not inside and shape.kind != "pieces":
        return None
    came = counted(len(shape.shown), shape.noun)
    sizes = [burst.wire if block.counted else burst.size for burst in shape.bursts]
    where = "on the connection" if block.counted else "of content"
    return Verdict(
        Kind.BLOCKS,
        f"Held in blocks of {buffer_size(block.size)}: {came} came in "
        f"{counted(len(shape.bursts), 'arrival')}.",
        (
            f"{inside} of {several} pauses are in the middle of an event: a "
            "buffer size decides, not the event",
            f"bytes {where} in each arrival: {listed(sizes)}",
        ),
        size=block.size,
        hold=span_of(shape),
    )  # fmt: skip


def whole_events(shape: Shape, verdict: Verdict) -> Verdict | None:
    """What came several at a time, if a buffer decided how many."""
    size = block_of_whole_events(shape)
    if size is None:
        return None
    sizes = [burst.size for burst in shape.bursts]
    return Verdict(
        Kind.BLOCKS,
        f"Held in blocks of up to {buffer_size(size)}: "
        f"{counted(len(shape.shown), shape.noun)} came in "
        f"{counted(len(shape.bursts), 'arrival')}.",
        (
            "each arrival has as many whole events as such a buffer has room for",
            f"bytes of content in each arrival: {listed(sizes)}",
        ),
        size=size,
        hold=verdict.hold,
    )


def listed(numbers: list[int]) -> str:
    """The first few of some numbers."""
    return ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")


def first_bytes(shape: Shape) -> Verdict | None:
    """Only the beginning is held: a buffer that opens once it was full."""
    count = first_late(shape)
    # What is there at once is what the back end had to tell, and no hold.
    if count is None:
        return None
    if not shape.timed and (shape.bursts[0].at < WAIT or too_early(shape)):
        return None
    together = len(shape.bursts[0].units)
    return Verdict(
        Kind.FIRST_LATE,
        f"Held at the beginning: the first {counted(together, shape.noun)} "
        f"({buffer_size(count)}) arrived together, the others one by one.",
        (f"the first data arrived after {seconds(shape.bursts[0].at)}",),
        size=count,
        hold=span_of(shape),
    )


def regular(shape: Shape) -> Verdict | None:
    """A clock decides: a flush at intervals, or delayed acknowledgements."""
    interval = rhythm(shape)
    if interval is None:
        return None
    per_burst = len(shape.events) / len(shape.bursts)
    if not shape.timed:
        late = after_backlog(shape, WAIT)
        several = sum(len(burst.units) > 1 for burst in late)
        if per_burst < 1.5 or 2 * several < len(late) or interval < PROMPT:
            return None
        if own_groups(shape):
            return groups(shape)
    return Verdict(
        Kind.RHYTHM,
        f"Held in a fixed rhythm: every {seconds(interval)} about {per_burst:.0f} "
        f"{shape.noun}s arrive together.",
        limited(shape)
        or (
            "a hop flushes on a timer, waits for TCP ACKs (Nagle), or limits the rate "
            "(nginx limit_rate, Apache mod_ratelimit)",
        ),
        timer=interval,
        hold=span_of(shape),
        rate=rate(shape),
    )


def limited(shape: Shape) -> tuple[str, ...]:
    """What a limit on the rate shows; () where there is none."""
    found = rate(shape)
    if found is None:
        return ()
    return (
        f"each arrival has as many bytes as the one before and ends inside an event: a "
        f"limit on the rate, of {found:.0f} bytes a second, or a full buffer",
    )


def bursts(shape: Shape) -> Verdict | None:
    """Several at a time, by no rule that shows."""
    late = after_backlog(shape, WAIT)
    counts = [len(burst.units) for burst in late]
    merged = sum(count for count in counts if count > 1)
    if len(late) < 2 or 2 * merged < sum(counts) or sum(counts) < 2 * len(late):
        return None
    if not shape.timed:
        several = sum(count > 1 for count in counts)
        if median(shape.gaps) < PROMPT or 2 * several < len(late):
            return None
        if own_groups(shape):
            return groups(shape)
        if has_own_pace(shape):
            return groups_at_no_interval(shape)
    return in_bursts(shape)


def in_bursts(shape: Shape) -> Verdict:
    """Held, several at a time."""
    return Verdict(
        Kind.BURSTS,
        f"Held: {counted(len(shape.shown), shape.noun)} came in "
        f"{counted(len(shape.bursts), 'burst')}, up to {seconds(max(shape.gaps))} "
        "apart.",
        (f"{shape.merged} events arrived together with another one", *limited(shape)),
        hold=span_of(shape),
        rate=rate(shape),
    )


def groups_at_no_interval(shape: Shape) -> Verdict:
    """Several at a time, others each time, whenever the sender has some."""
    return Verdict(
        Kind.GROUPS,
        f"The back end sends in groups: {counted(len(shape.shown), shape.noun)} in "
        f"{len(shape.bursts)}, up to {seconds(max(shape.gaps))} apart.",
        (
            "the groups have no one size, come at no fixed interval, and never end "
            "inside an event: no full buffer does that, nor a hop's timer",
            "a hop that holds each group as a whole would not show; --through, or "
            "--via down to the back end, gives a certain answer",
        ),
    )


def groups(shape: Shape) -> Verdict:
    """Several at a time, as they were sent."""
    count = median(len(burst.units) for burst in shape.bursts)
    came = counted(len(shape.bursts[0].units), shape.noun)
    return Verdict(
        Kind.GROUPS,
        f"The back end sends in groups: about {count:.0f} {shape.noun}s every "
        f"{seconds(median(shape.gaps))}.",
        (
            f"the first group, of {came}, came after {seconds(shape.bursts[0].at)}: "
            "sooner than a hop could have collected it"
            if own_groups(shape) == "early"
            else "each group has the same types of event, in the same order",
            "a hop that holds each group as a whole would not show; --through, or "
            "--via down to the back end, gives a certain answer",
        ),
    )
