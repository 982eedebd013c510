"""A cure: lines for one product, and the reason for them.

`tested` names the version against which the lines were tried in this project
(`tests/products/`). The others are marked as not tried; `source` is where it
was looked up, and without one it is from memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.tools.doctor.verdict import Kind

HELD = (Kind.AT_THE_END, Kind.BLOCKS, Kind.RHYTHM, Kind.BURSTS, Kind.FIRST_LATE,
        Kind.DELAYED)  # fmt: skip
ANY = (*HELD, Kind.HEAD_LATE)
CUT = (Kind.CUT,)
HEAD = (Kind.HEAD_LATE,)


@dataclass(frozen=True, slots=True)
class Cure:
    """Lines for one product against some kinds of hold.

    `coded`: only where the response is compressed (True) or is not (False).
    """

    product: str
    kinds: tuple[Kind, ...]
    where: str
    lines: str
    reason: str
    coded: bool | None = None
    tested: str = ""
    source: str = ""


FLUSH_HEAD = (
    "Node sends a response head only with the first body byte; this sends it "
    "immediately"
)
