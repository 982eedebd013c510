"""One direction of an exchange: from a source, through slots in their order, to a sink.

A slot sees each piece on its way to the sink, as the sink gets it: decoded. Where
it stands is said by its rank, not by when it was put in. With no slot filled a
piece is one call.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from proxy.http1.grammar import Fields
from proxy.transport.flow import Feeder, Sink, Source

# Ranks: a slot stands behind those of a lower rank, nearer to the sink.
GUARD = 0  # holds the first event, where it may not be the next one
COPY = 1  # keeps a short request body
BOUNDARY = 1  # knows where an event ends
FAMILY = 2  # recognises what is streamed
HEARTBEAT = 3  # knows how long nothing was sent
CAPTURE = 9  # shows what goes out, whatever stands before it

Next: TypeAlias = "Slot | Sink"


class Slot:
    """Something in the way of the pieces of one direction."""

    __slots__ = ("next",)
    rank: ClassVar[int] = 0
    # Has it no part in how a piece is sent? Then it may be told of it afterwards.
    witness: ClassVar[bool] = False

    def __init__(self) -> None:
        self.next: Next = NOWHERE

    def send_piece(self, piece: bytes) -> None:
        """Pass a piece on; never empty."""
        self.next.send_piece(piece)

    def passed(self, piece: bytes) -> None:
        """To a witness: a piece has passed by it."""

    def send_end(self, trailers: Fields) -> None:
        """The body is complete."""
        self.next.send_end(trailers)

    def drained(self) -> None:
        """The peer has taken all that waited for it."""

    def over(self) -> None:
        """The exchange has ended: leave nothing that would act later."""


class Pipeline:
    """One direction. `first` gets each piece: a slot, or the sink itself.

    `sent_at`: when the last piece was passed on, where a slot looks at the clock, or a
    witness is there; what they do afterwards holds no piece up.
    """

    __slots__ = ("first", "sent_at", "sink", "source")

    def __init__(self, source: Source, sink: Sink) -> None:
        self.source = source
        self.sink = sink
        self.first: Next = sink
        self.sent_at = 0.0

    def arrival(self) -> float | None:
        """When the piece came that is being sent, on the clock; None: just now."""
        return None

    def insert(self, slot: Slot) -> None:
        """Put a slot into its place; of equal ranks, behind those that are there."""
        before: Slot | None = None
        each = self.first
        while isinstance(each, Slot) and each.rank <= slot.rank:
            before, each = each, each.next
        slot.next = each
        if before is None:
            self.first = slot
        else:
            before.next = slot

    def remove(self, slot: Slot) -> None:
        """Take a slot out, if it is there."""
        before: Slot | None = None
        each = self.first
        while isinstance(each, Slot):
            if each is slot:
                if before is None:
                    self.first = slot.next
                else:
                    before.next = slot.next
                return
            before, each = each, each.next

    def redirect(self, sink: Sink) -> None:
        """Send what comes from now on to another sink."""
        before: Slot | None = None
        each = self.first
        while isinstance(each, Slot):
            before, each = each, each.next
        if before is None:
            self.first = sink
        else:
            before.next = sink
        if self.sink.feeder is self:
            self.sink.feeder = None
        self.sink = sink
        sink.feeder = self

    def tell_drained(self) -> None:
        """Tell the slots that the peer has taken all that waited for it."""
        each = self.first
        while isinstance(each, Slot):
            each.drained()
            each = each.next

    def over(self) -> None:
        """Let go of the slots: the exchange has ended. Some refer to their pipeline."""
        each = self.first
        self.first = self.sink
        while isinstance(each, Slot):
            each.over()
            each = each.next

    def detach(self) -> None:
        """Feed the sink no longer; bytes already written still go out."""
        sink = self.sink
        if sink.feeder is self:
            waits = self.first is not sink and sink.blocked
            sink.feeder = Remainder(self) if waits else None

    def sink_blocked(self) -> None:
        """More bytes wait for the peer than may."""
        self.source.pause_reading()

    def sink_ready(self) -> None:
        """The peer has read on."""
        self.tell_drained()
        self.source.resume_reading()


class Remainder:
    """Waits for the last bytes of a direction that is over, for its slots."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def sink_blocked(self) -> None:
        pass

    def sink_ready(self) -> None:
        self.pipeline.tell_drained()
        if self.pipeline.sink.feeder is self:
            self.pipeline.sink.feeder = None


class Nowhere:
    """What follows a slot that is in no pipeline."""

    feeder: Feeder | None = None
    blocked = False

    def send_piece(self, piece: bytes) -> None:
        pass

    def send_end(self, trailers: Fields) -> None:
        pass


NOWHERE = Nowhere()
