"""A record played by an upstream with faults: the steps that an engine makes of it.

The pieces go into the engine at their recorded times. Its steps are taken one by one,
each in a turn of its own; a wait delays all that follows, and what was due meanwhile
comes right behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.origin.loop_timer import Timer
from proxy.origin.origin_connection import OriginConnection
from proxy.origin.play_plan import Move, PlayPlan
from proxy.origin.playback import Playback
from proxy.policy.fault_engine import FaultEngine
from proxy.policy.fault_steps import (
    Complete,
    Fin,
    HeadSteps,
    Reset,
    Send,
    Stall,
    Step,
    StepQueue,
    Wait,
)
from proxy.record.format import RecordedEnd, RecordedHead, RecordedPiece


class FaultyPlayback(Playback):
    """Plays a record, with faults."""

    def __init__(
        self,
        connection: OriginConnection,
        plan: PlayPlan,
        timer: Timer,
        speed: float | None,
        began: float,
        given: Sequence[int],
        engine: FaultEngine,
    ) -> None:
        super().__init__(connection, plan, timer, speed, began, given)
        self.engine = engine
        self.queue = StepQueue()
        self.not_before = began
        self.late_head: tuple[RecordedHead, HeadSteps] | None = None
        self.break_off: RecordedEnd | None = None  # as recorded, behind the steps
        self.whole = False  # all of the body is behind us: its trailers follow

    def schedule(self) -> None:
        if not (self.queue or self.late_head or self.break_off):
            super().schedule()
        elif self.handle is None and not self.over:
            when = max(self.not_before, self.timer.time())
            self.handle = self.timer.call_at(when, self.take_step, exact=False)

    def due(self, at: int) -> float:
        return max(super().due(at), self.not_before)

    def goes_with(self, before: Move) -> bool:
        """Each step is a write of its own."""
        return False

    # -- moves

    def send_head(self, head: RecordedHead) -> None:
        _, fields = self.plan.final(head, self.connection.accept_fields)
        if head.framing == "unread":
            super().send_head(head)  # no body follows in which a fault could be
            return
        request = self.connection.request
        assert request is not None
        has_body = request.method != b"HEAD"
        steps = self.engine.head(head.status, fields, has_body=has_body)
        if steps.wait:
            self.not_before = self.timer.time() + steps.wait
            self.late_head = head, steps
        else:
            self.send_head_now(head, steps)

    def send_head_now(self, head: RecordedHead, steps: HeadSteps) -> None:
        """The head as the faults have it, then what comes at once behind it."""
        reason = steps.reason or head.reason.encode("latin-1")
        minor = b"0" if head.version == "1.0" and not steps.framing else b"1"
        line = b"HTTP/1.%b %d %b" % (minor, steps.status, reason)
        self.connection.send_head(line, steps.fields)
        self.queue.add(steps.steps)
        if self.connection.framing == "none" and self.plan.has_body:
            self.over = True
            self.connection.finish([])

    def send_piece(self, piece: RecordedPiece) -> None:
        self.queue.add(self.engine.piece(piece.data))

    def end(self, end: RecordedEnd) -> None:
        whole = end.end == "complete"
        self.queue.add(self.engine.end(whole=whole))
        self.whole = whole
        if not whole:
            self.break_off = end

    # -- steps

    def take_step(self) -> None:
        """Called when the next step may be taken."""
        self.handle = None
        if self.over or self.connection.blocked:
            return  # until the client has read on
        if self.late_head is not None:
            late, self.late_head = self.late_head, None
            with self.connection.one_write():
                self.send_head_now(*late)
        elif (step := self.queue.take()) is not None:
            self.do(step)
        elif self.break_off is not None:
            end, self.break_off = self.break_off, None
            super().end(end)
        self.schedule()

    def do(self, step: Step) -> None:
        match step:
            case Send(data):
                self.connection.send_piece(data)
            case Wait(seconds):
                self.not_before = self.timer.time() + seconds
            case Complete():
                self.over = True
                self.connection.finish(self.plan.trailers if self.whole else [])
            case Fin():
                super().end(RecordedEnd(0, "fin"))
            case Reset():
                super().end(RecordedEnd(0, "reset"))
            case Stall():
                super().end(RecordedEnd(0, "open"))
