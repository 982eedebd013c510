"""The words of a verdict: what kind of holder, how sure, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a stream looks like; the fingerprints, in the words of the report."""

    STREAMS = "streams"
    AT_THE_END = "all at the end"
    BLOCKS = "in blocks"
    RHYTHM = "in a fixed rhythm"
    BURSTS = "in bursts"
    DELAYED = "every event late"
    HEAD_LATE = "head late"
    FIRST_LATE = "first bytes late"
    CUT = "cut"
    # could not be told
    TOO_FEW = "too few events"
    TOO_QUICK = "too quick to tell"
    SILENT = "nothing came"
    NO_TIMES = "no times"
    NO_STREAM = "no stream"
    NO_ANSWER = "no answer"


HOLDS = (
    Kind.AT_THE_END,
    Kind.BLOCKS,
    Kind.RHYTHM,
    Kind.BURSTS,
    Kind.DELAYED,
    Kind.HEAD_LATE,
    Kind.FIRST_LATE,
    Kind.CUT,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    `sure`: the timing at the origin is known, or another measurement shows it.
    `hold`: the longest hold, in seconds, as far as it is known. `size`: of a
    block, or of the first bytes. `timer`: seconds of a rhythm or of a cut.
    """

    kind: Kind
    line: str
    evidence: tuple[str, ...] = ()
    sure: bool = False
    hold: float | None = None
    size: int | None = None
    timer: float | None = None

    @property
    def held(self) -> bool:
        return self.kind in HOLDS

    @property
    def told(self) -> bool:
        """Could it be told at all?"""
        return self.held or self.kind is Kind.STREAMS
