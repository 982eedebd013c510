"""What recordings hold, and that it is bounded."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import pytest

from proxy.observe.capture_buffer import (
    FORGOTTEN,
    OVERHEAD,
    PARTS,
    RECORDING,
    SLACK,
    CaptureBudget,
    CaptureBuffer,
)
from proxy.timeline import Ending, Timeline

LIMIT = 1024 * 1024
EACH = LIMIT // PARTS


def recording(budget: CaptureBudget) -> CaptureBuffer:
    return budget.record(Timeline(0.0, b"192.0.2.7"))


def contents(one: CaptureBuffer) -> list[bytes]:
    return [piece.data for piece in one.since(0)]


def test_the_pieces_of_an_exchange_are_bounded_and_the_newest_stay() -> None:
    budget = CaptureBudget(LIMIT)
    one = recording(budget)
    for number in range(1000):
        one.piece("response", number, number, b"x" * 1024)
    assert EACH - 1024 - OVERHEAD < one.weight <= EACH
    assert budget.weight == one.weight + RECORDING
    assert one.first + one.length == one.count == 1000
    assert one.gone == {"response": one.first}
    assert one.dropped_bytes == 1024 * one.first
    assert next(one.since(0)).arrived == one.first
    assert [piece.arrived for piece in one.since(999)] == [999]
    assert list(one.since(1000)) == []


def test_a_single_piece_that_is_too_large_stays() -> None:
    one = recording(CaptureBudget(LIMIT))
    one.piece("response", 0, 0, bytes(2 * EACH))
    assert one.length == 1


def test_of_all_recordings_the_oldest_piece_goes_first() -> None:
    """Also where pieces of one went out of their turn, for it had too many."""
    weight = OVERHEAD + 100
    budget = CaptureBudget(PARTS * 4 * weight)
    many = [recording(budget) for _ in range(9)]
    budget.resize(PARTS * 4 * weight + 9 * RECORDING)
    budget.each = 4 * weight
    for turn, one in itertools.product(range(6), many[:8]):
        one.piece("response", turn, turn, bytes(100))
    assert [(one.first, one.length) for one in many] == [*8 * [(2, 4)], (0, 0)]
    many[8].piece("response", 6, 6, bytes(100))
    many[8].piece("response", 6, 6, bytes(100))
    assert [one.first for one in many] == [3, 3, 2, 2, 2, 2, 2, 2, 0]
    assert budget.weight == budget.limit


def test_the_heads_of_an_exchange_go_behind_its_pieces_and_then_all_of_it() -> None:
    budget = CaptureBudget(LIMIT)
    old, new = recording(budget), recording(budget)
    old.piece("response", 0, 0, b"x")
    old.timeline.end(1, Ending.COMPLETE, None)
    old.over(1)
    old.keep_heads("heads", 5000)
    budget.each = LIMIT
    while old.length:
        new.piece("response", 2, 2, b"")
    assert (old.heads, old.timeline in budget.recordings) == ("heads", True)
    new.piece("response", 2, 2, bytes(5000))
    assert (old.heads, old.timeline in budget.recordings) == (None, False)
    assert new.timeline in budget.recordings
    assert budget.weight <= LIMIT


def test_what_is_kept_of_pieces_that_are_gone_is_bounded_too() -> None:
    budget = CaptureBudget(LIMIT)
    idle, busy = recording(budget), recording(budget)
    idle.piece("response", 0, 0, b"x")
    for number in range(50_000):
        busy.piece("response", number, number, b"x")
    assert len(budget.order) <= 2 * budget.weight // OVERHEAD + SLACK + 1
    assert len(busy.pieces) <= 2 * busy.length + 64


def test_a_forgotten_recording_gives_back_its_room() -> None:
    budget = CaptureBudget()
    one = recording(budget)
    one.piece("request", 0, 0, b"hello")
    one.keep_heads("heads", 100)
    budget.forget(one.timeline)
    assert (budget.weight, budget.recordings) == (0, {})
    for _ in range(10):
        one.piece("request", 0, 0, b"hello")  # a capture that is about to be removed
    assert (budget.weight, one.length, len(FORGOTTEN.order)) == (0, 1, 1)
    budget.clear()


def test_a_lower_limit_holds_at_once() -> None:
    budget = CaptureBudget(LIMIT)
    one = recording(budget)
    for number in range(50):
        one.piece("response", number, number, bytes(1000))
    budget.resize(20_000)
    budget.shrink()
    assert budget.weight <= 20_000
    assert one.length > 10


def test_only_sizes_are_kept_where_contents_are_not() -> None:
    """But bursts are counted."""
    budget = CaptureBudget()
    budget.contents = False
    one = recording(budget)
    one.timeline.call.content_type = b"text/event-stream"
    for number in range(4):
        one.piece("response", 2.0 * number, 2.0 * number, b"data: a\n\n" * 5)
    assert contents(one) == [b""] * 4
    assert [piece.size for piece in one.since(0)] == [45] * 4
    assert budget.weight == RECORDING + 4 * OVERHEAD
    assert one.bursts is not None
    assert one.bursts.verdict() == "20 events in 4 bursts 2.0 s apart"


def test_bursts_are_found_when_they_are_asked_for() -> None:
    one = recording(CaptureBudget())
    one.timeline.call.content_type = b"text/event-stream"
    assert not one.bursts
    for number in range(4):
        one.piece("response", 2.0 * number, 2.0 * number, b"data: a\n\n" * 5)
        one.piece("request", 2.0 * number + 1, 2.0 * number + 1, b"no event")
    for _ in range(2):
        assert one.bursts is not None
        assert one.bursts.verdict() == "20 events in 4 bursts 2.0 s apart"


def test_the_budget_is_about_what_is_really_used() -> None:
    """Counted by an allocator that knows; times are objects of their own."""
    budget = CaptureBudget(LIMIT)
    times = itertools.count()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for one in [recording(budget) for _ in range(20)]:
            for _ in range(200):
                now = 0.5 + next(times)
                one.piece("response", now, now + 0.25, bytes(bytearray(100)))
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * budget.weight < used < budget.weight


def test_a_piece_that_waits_for_its_peer_is_marked_when_it_is_out() -> None:
    one = recording(CaptureBudget())
    one.piece("response", 1.0, None, b"x")
    one.piece("request", 1.0, None, b"y")
    one.sent("response", 3.0)
    assert [piece.sent for piece in one.since(0)] == [3.0, None]
    assert one.unsent == [1]
    one.sent("request", 4.0)
    assert one.unsent is None


def test_what_waits_for_a_peer_holds_no_bytes_beyond_the_room() -> None:
    one = recording(CaptureBudget(LIMIT))
    for _ in range(4):
        one.piece("response", 1.0, None, b"x" * (EACH // 2 - OVERHEAD))
    assert (one.length, one.is_sent(1), one.is_sent(2)) == (2, None, None)
    one.sent("response", 3.0)
    assert (one.is_sent(1), one.is_sent(2), one.is_sent(3)) == (None, 3.0, 3.0)
    assert one.unsent is None


@pytest.mark.parametrize(
    ("ending", "sent"), [(Ending.COMPLETE, 3.0), (Ending.CLIENT_LEFT, None)]
)
def test_what_waits_at_the_end_went_out_if_the_end_was_a_good_one(
    ending: Ending, sent: float | None
) -> None:
    one = recording(CaptureBudget())
    one.piece("response", 1.0, None, b"x")
    one.timeline.end(3.0, ending, None)
    one.over(3.0)
    assert [piece.sent for piece in one.since(0)] == [sent]
    assert one.unsent is None
