"""The kinds of hold: what a stream looks like to whoever receives it."""

from __future__ import annotations

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
    OLD_VERSION = "asked by HTTP/1.0"
    CUT = "cut"
    STORED = "from a cache"
    NO_UPGRADE = "no upgrade"  # of a WebSocket
    # a hold cannot have made this, but may be there besides
    GROUPS = "in groups"
    # could not be told
    TOO_FEW = "too few events"
    TOO_QUICK = "too quick to tell"
    SILENT = "nothing came"
    NO_TIMES = "no times"
    NO_STREAM = "no stream"
    NO_ANSWER = "no answer"


# The kinds that a cure is for.
PACED = (Kind.DELAYED, Kind.RHYTHM, Kind.BURSTS)  # by a timer, or by a limit
WHOLE = (Kind.AT_THE_END,)  # by a program that reads a whole body
HELD = (Kind.AT_THE_END, Kind.BLOCKS, Kind.RHYTHM, Kind.BURSTS, Kind.FIRST_LATE,
        Kind.DELAYED)  # fmt: skip
HEAD = (Kind.HEAD_LATE,)
CUT = (Kind.CUT,)
ANY = (*HELD, *HEAD)
UPGRADE = (Kind.NO_UPGRADE,)
STORED = (Kind.STORED,)
OLD = (Kind.OLD_VERSION,)
HOLDS = (*ANY, *OLD, *CUT, *STORED, *UPGRADE)
