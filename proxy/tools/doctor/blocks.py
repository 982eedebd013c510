"""Full buffers: the size of what a hop collects before it hands anything on. Pure.

A buffer has in it what was on a connection: of the one to the client that is counted,
chunk frames included. Of the one behind the hop only the content shows here, and each
write there was a chunk, whose frame is estimated.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from proxy.tools.doctor.arrival_pattern import Burst, Shape, cut_inside

KIB = 1024
BLOCKS = (64 * KIB, 32 * KIB, 16 * KIB, 8 * KIB, 4 * KIB, 2 * KIB, KIB)
SLACK = 16  # bytes by which a block may differ: a chunk's own frame
SMALL = 4 * KIB
WHOLE = 4  # events in an arrival, of which as many as there is room for tell a size
HEAD_ROOM = 1024  # bytes; the first buffer holds the head too
WRITES = (0, 1, 2, 3)  # chunks of an event: none, or for its id, its data, its end


class Block(NamedTuple):
    """A buffer of `size` bytes. `counted`: on the connection, not by its content."""

    size: int
    counted: bool


def block_of(shape: Shape) -> Block | None:
    """The buffer that was filled before anything was handed on, None if none was.

    The last burst is what was left, and the first one shared its buffer with
    the head: neither has to fit.
    """
    first, *inner = shape.bursts[:-1] or [None]
    if first is None:
        return None
    if all(burst.wire for burst in (first, *inner)):
        sizes = [burst.wire for burst in (first, *inner)]
        for block in BLOCKS:
            if are_full(first, sizes, block, SLACK):
                return Block(block, counted=True)
    for block in BLOCKS:
        for writes in WRITES:
            sizes = [with_frames(burst, writes) for burst in (first, *inner)]
            if are_full(first, sizes, block, SLACK * (1 + writes)):
                return Block(block, counted=False)
    return None


def block_of_whole_events(shape: Shape) -> int | None:
    """The size of a buffer that has as many whole events as there is room for.

    Such is that of a program that writes what it has when the next one does not fit.
    Groups of one number of events have some such size anyway.
    """
    bursts = shape.bursts[:-1]
    counts = {len(burst.units) for burst in bursts}
    if len(bursts) < 3 or len(counts) == 1 or min(counts) < WHOLE or cut_inside(shape):
        return None
    most = max(burst.size for burst in bursts)
    too_many = min(
        burst.size + size_of_first(following)
        for burst, following in pairwise(shape.bursts)
    )
    return next((block for block in BLOCKS if most <= block < too_many), None)


def size_of_first(burst: Burst) -> float:
    """Of its first event, with the names of its fields."""
    units = burst.units
    around = burst.size - sum(unit.size for unit in units)
    return units[0].size + around / len(units) if units else 0.0


def are_full(first: Burst, sizes: list[int], block: int, slack: int) -> bool:
    """Have all bursts but the last one the size of a buffer? `sizes`: also its own."""
    inner = sizes[1:]
    fitting = sum(fits(size, block, slack) for size in inner)
    if len(inner) >= 2:
        return fitting >= 0.8 * len(inner)
    return fitting == len(inner) and is_headed(first, block - sizes[0], slack)


def fits(size: int, block: int, slack: int) -> bool:
    """Is it that many bytes, or, of a large one, twice as many, with some slack?"""
    if block < SMALL:  # of which nearly any size is some multiple
        return abs(size - block) <= slack
    off = size % block
    return size >= block - slack and min(off, block - off) <= slack


def is_headed(first: Burst, missing: int, slack: int) -> bool:
    """Is it a full buffer that may have had a head in it, cut in an event?"""
    return not first.ends_between and -slack <= missing <= HEAD_ROOM


def with_frames(burst: Burst, writes: int) -> int:
    """Its bytes with their frames, if each event was as many chunks."""
    events = len(burst.units)
    frame = len(f"{burst.size // max(events * writes, 1):x}\r\n\r\n")
    return burst.size + events * writes * frame
