"""The words of a verdict: what kind of holder, how sure, and why."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.products.hold_kind import HOLDS as HOLDS
from proxy.products.hold_kind import Kind as Kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    `sure`: the timing at the origin is known, or another measurement shows it.
    `hold`: the longest hold, in seconds, as far as it is known. `size`: of a
    block, or of the first bytes. `timer`: seconds of a rhythm or of a cut.
    `rate`: bytes a second, where a limit on them shows. `waits`: each event comes when
    the next one is sent, so no timer holds it.
    """

    kind: Kind
    line: str
    evidence: tuple[str, ...] = ()
    sure: bool = False
    hold: float | None = None
    size: int | None = None
    timer: float | None = None
    rate: float | None = None
    waits: bool = False

    @property
    def held(self) -> bool:
        return self.kind in HOLDS

    @property
    def free(self) -> bool:
        """Was each event, or each group of them, passed on when it was sent?"""
        return self.kind in (Kind.STREAMS, Kind.GROUPS)

    @property
    def told(self) -> bool:
        """Could it be told at all?"""
        return self.held or self.kind is Kind.STREAMS
