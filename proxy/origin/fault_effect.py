"""Does a fault change anything of what is played? Else a test of it tests nothing.

The fault engine plays every record once with the fault and once without. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from random import Random

from proxy.config.fault_options import Fault
from proxy.origin.play_plan import PlayPlan
from proxy.policy.fault_engine import FaultEngine
from proxy.policy.fault_steps import StepQueue
from proxy.record.format import RecordedEnd, RecordedHead, RecordedPiece


def has_effect(fault: Fault, plan: PlayPlan) -> bool:
    """Is a record played otherwise with a fault than without it?"""
    pairs = zip_longest(played([fault], plan), played([], plan))
    return any(one != other for one, other in pairs)  # up to the first difference


def played(faults: Sequence[Fault], plan: PlayPlan) -> Iterator[object]:
    """What is sent of a record: its head, then the steps of its body."""
    engine = FaultEngine(faults, Random(0))
    queue = StepQueue()
    for move in plan.moves:
        if isinstance(move, RecordedHead) and move.framing:  # not an interim one
            _, fields = plan.final(move, [])
            head = engine.head(move.status, fields, has_body=plan.has_body)
            yield head.wait, head.status, head.reason, head.fields, head.framing
            queue.add(head.steps)
        elif isinstance(move, RecordedPiece):
            queue.add(engine.piece(move.data))
        elif isinstance(move, RecordedEnd):
            queue.add(engine.end(whole=move.end == "complete"))
        while (step := queue.take()) is not None:
            yield step
