"""The slot that recognises a stream by its first event and keeps its last ones.

It stays on streams of a known family and takes itself out of all others, so that
these do not pay for it after their first event. Passes on first and looks then.

Events of a model's answer are read up to its first token, and its last ones at the
end; those in between cost what they cost in any family.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from proxy.internal_errors import report
from proxy.stream.families import of_event
from proxy.stream.family import AnswerReader, ProtocolFamily, StreamVerdict
from proxy.stream.recent_events import Item, RecentEvents, read_items
from proxy.timeline import CallTimeline, ModelAnswer
from proxy.transport.pipeline import FAMILY, Pipeline, Slot

# A family shows by the first event that says anything; what comes before are pings.
# Comments are not counted: they cost nothing to speak of.
MOST_BEFORE = 16  # pieces
MOST_BEFORE_TOKEN = 256  # pieces that are read in search of a model's first token


class FamilySlot(Slot):
    """The family of the stream that passes through, and its last events."""

    __slots__ = (
        "account",
        "family",
        "first",
        "looked",
        "looks",
        "pipeline",
        "recent",
    )
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
        self.looks = True  # is each piece that ends an event read?
        self.looked = 0  # times, without having found what is looked for
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
            if self.recent.observe(piece) and self.looks:
                if self.first is None:
                    self.look()
                if self.first is not None:
                    self.look_for_token()
        except Exception as error:
            self.pipeline.remove(self)
            report("recognising a stream", error)

    def look(self) -> None:
        """Recognise the stream by its first event, or leave it alone."""
        for item in self.recent.items():
            if "ping" in (item.type, item.members.get("type")):
                continue
            self.first = item.outline
            self.looked = 0
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

    def look_for_token(self) -> None:
        """Read the last piece: who answers, and is the first token in it?

        Before the piece by which the family is known there were only pings.
        """
        answer, reader = self.account.answer, self.reader
        if reader is None:
            self.looks = False
            return
        if answer is None:
            answer = self.account.answer = ModelAnswer()
        self.looked += 1
        for item in read_items(self.recent.whole[-1:], lines=self.recent.lines):
            reader.read(item, answer)
            if reader.is_token(item):
                answer.first_token = self.account.last_piece
                self.looks = False
                return
        if self.looked == MOST_BEFORE_TOKEN:
            self.looks = False

    @property
    def reader(self) -> AnswerReader | None:
        """What reads a model's answer, if the stream is one."""
        return None if self.family is None else self.family.answer

    def read_end(self, items: Sequence[Item]) -> None:
        """Note what the last events say of a model's answer."""
        answer, reader = self.account.answer, self.reader
        if answer is None or reader is None:
            return
        for item in items:
            reader.read(item, answer)
        answer.last_piece = self.account.last_piece

    def verdict(self, *, whole: bool) -> StreamVerdict | None:
        """How the stream ended; None: nobody can tell.

        `whole`: the response was well framed to its end.
        """
        family = self.family
        if family is None:
            return None
        items = self.recent.items(ended=whole)
        self.read_end(items)
        return family.verdict(self.first, items, whole=whole)


def family_slot(pipeline: Pipeline) -> FamilySlot | None:
    """The slot of a direction, if it has one."""
    each = pipeline.first
    while isinstance(each, Slot):
        if isinstance(each, FamilySlot):
            return each
        each = each.next
    return None
