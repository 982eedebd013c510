"""What recordings hold, and that it is bounded."""

from __future__ import annotations

import pytest

from proxy.observe.capture_buffer import (
    OVERHEAD,
    PER_EXCHANGE,
    SLACK,
    CaptureBudget,
    CaptureBuffer,
)
from proxy.timeline import Ending, Timeline


def recording(budget: CaptureBudget) -> CaptureBuffer:
    return budget.record(Timeline(0.0, b"192.0.2.7"))


def test_the_pieces_of_an_exchange_are_bounded_and_the_newest_stay() -> None:
    budget = CaptureBudget()
    one = recording(budget)
    for number in range(1000):
        one.piece("response", number, number, b"x" * 1024)
    assert one.weight <= PER_EXCHANGE
    assert one.weight == budget.weight
    assert one.first + len(one.pieces) == one.count == 1000
    assert one.dropped_bytes == 1024 * one.first
    assert one.pieces[-1].n == 1000
    assert next(one.since(0)) is one.pieces[0]
    assert list(one.since(999)) == [one.pieces[-1]]
    assert list(one.since(1000)) == []


def test_a_single_piece_that_is_too_large_stays() -> None:
    one = recording(CaptureBudget())
    one.piece("response", 0, 0, bytes(2 * PER_EXCHANGE))
    assert len(one.pieces) == 1


def test_of_all_recordings_the_oldest_piece_goes_first() -> None:
    budget = CaptureBudget(limit=10 * (OVERHEAD + 100))
    idle, busy = recording(budget), recording(budget)
    for number in range(5):
        idle.piece("response", number, number, bytes(100))
    for number in range(5):
        busy.piece("response", number, number, bytes(100))
    busy.piece("response", 5, 5, bytes(100))
    assert (idle.first, busy.first) == (1, 0)
    for number in range(100):
        busy.piece("response", number, number, bytes(100))
    assert len(idle.pieces) == 0
    assert budget.weight <= budget.limit
    assert budget.pieces == len(busy.pieces)


def test_what_is_kept_of_pieces_that_are_gone_is_bounded_too() -> None:
    budget = CaptureBudget()
    idle, busy = recording(budget), recording(budget)
    idle.piece("response", 0, 0, b"x")
    for number in range(50_000):
        busy.piece("response", number, number, b"x")
    assert len(budget.order) <= 2 * budget.pieces + SLACK + 1


def test_a_forgotten_recording_gives_back_its_room() -> None:
    budget = CaptureBudget()
    one = recording(budget)
    one.piece("request", 0, 0, b"hello")
    budget.forget(one.timeline)
    assert (budget.weight, budget.pieces, budget.recordings) == (0, 0, {})
    one.piece("request", 0, 0, b"hello")  # a tap that is about to be taken out
    budget.clear()


def test_a_piece_that_waits_for_its_peer_is_marked_when_it_is_out() -> None:
    one = recording(CaptureBudget())
    one.piece("response", 1.0, None, b"x")
    one.piece("request", 1.0, None, b"y")
    one.sent("response", 3.0)
    assert [piece.sent for piece in one.pieces] == [3.0, None]
    assert [piece.side for piece in one.unsent] == ["request"]


def test_what_waits_for_a_peer_holds_no_bytes_beyond_the_room() -> None:
    one = recording(CaptureBudget())
    for _ in range(4):
        one.piece("response", 1.0, None, b"x" * (PER_EXCHANGE // 2))
    kept = sum(len(piece.data) for piece in {*one.pieces, *one.unsent})
    assert kept <= PER_EXCHANGE
    assert len(one.unsent) == 4
    assert one.unsent[0].size == PER_EXCHANGE // 2


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
    assert [piece.sent for piece in one.pieces] == [sent]
    assert one.unsent == []
