"""The slot that recognises a stream by its first event and keeps its last ones.

It stays on streams of a known family and takes itself out of all others, so that
these do not pay for it after their first event. Passes on first and looks then.
"""

from __future__ import annotations

from typing import ClassVar

from proxy.internal_errors import report
from proxy.stream.families import of_event
from proxy.stream.family import ProtocolFamily, StreamVerdict
from proxy.stream.recent_events import Item, RecentEvents
from proxy.timeline import CallTimeline
from proxy.transport.pipeline import FAMILY, Pipeline, Slot

# A family shows by the first event that says anything; what comes before are pings.
# Comments are not counted: they cost nothing to speak of.
MOST_BEFORE = 16  # pieces


class FamilySlot(Slot):
    """The family of the stream that passes through, and its last events."""

    __slots__ = ("account", "family", "first", "looked", "pipeline", "recent")
    rank: ClassVar[int] = FAMILY
    witness: ClassVar[bool] = True

    def __init__(
        self,
        pipeline: Pipeline,
        account: CallTimeline,
        *,
        lines: bool,
        family: ProtocolFamily | None,
    ) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.account = account
        self.recent = RecentEvents(lines=lines)
        self.first: Item | None = None  # its outline
        self.looked = 0  # times, without having found an event
        self.family: ProtocolFamily | None = None
        if family is not None:
            self.known(family)

    def known(self, family: ProtocolFamily) -> None:
        """The family is known."""
        self.family = family
        self.account.family = family.name

    def send_piece(self, piece: bytes) -> None:
        self.next.send_piece(piece)
        self.passed(piece)

    def passed(self, piece: bytes) -> None:
        try:
            if self.recent.observe(piece) and self.first is None:
                self.look()
        except Exception as error:
            self.pipeline.remove(self)
            report("recognising a stream", error)

    def look(self) -> None:
        """Recognise the stream by its first event, or leave it alone."""
        for item in self.recent.items():
            if "ping" in (item.type, item.members.get("type")):
                continue
            self.first = item.outline
            if self.family is None:
                family = of_event(item, lines=self.recent.lines)
                if family is None:
                    self.pipeline.remove(self)
                else:
                    self.known(family)
            return
        self.looked += 1
        if self.looked == MOST_BEFORE and self.family is None:
            self.pipeline.remove(self)

    def verdict(self, *, whole: bool) -> StreamVerdict | None:
        """How the stream ended; None: nobody can tell.

        `whole`: the response was well framed to its end.
        """
        family = self.family
        if family is None:
            return None
        return family.verdict(self.first, self.recent.items(ended=whole), whole=whole)


def family_slot(pipeline: Pipeline) -> FamilySlot | None:
    """The slot of a direction, if it has one."""
    each = pipeline.first
    while isinstance(each, Slot):
        if isinstance(each, FamilySlot):
            return each
        each = each.next
    return None
