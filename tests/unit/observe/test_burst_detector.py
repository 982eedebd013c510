"""Arrivals that are held, and arrivals that only look like it."""

from __future__ import annotations

import pytest

from proxy.observe.burst_detector import BurstDetector, events_in

HELD = "14 events in 2 bursts 5.0 s apart"


@pytest.mark.parametrize(
    ("read", "behind"),
    [
        pytest.param([4.9, 9.9], True, id="in each silence"),
        pytest.param([4.9], False, id="in one of two"),
        pytest.param([0.5, 5.5], False, id="soon"),
        pytest.param([], False, id="never"),
    ],
)
def test_a_silence_in_which_the_client_did_not_read_is_its_own(
    read: list[float], behind: bool
) -> None:
    detector = BurstDetector()
    for start in (0.0, 5.0, 10.0):
        detector.piece(start, 7)
        for now in read:
            if start < now < start + 5:
                detector.client_read(now)
    assert detector.verdict() == "21 events in 3 bursts 5.0 s apart"
    assert detector.is_behind_us is behind


@pytest.mark.parametrize(
    ("arrivals", "verdict"),
    [
        pytest.param([(0, 7), (5, 7)], HELD, id="two blocks"),
        pytest.param(
            [(0, 3), (0.01, 4), (5, 3), (5.05, 4)], HELD, id="blocks of several pieces"
        ),
        pytest.param([(0, 14)], None, id="one block says nothing"),
        pytest.param([(n, 1) for n in range(14)], None, id="one by one"),
        pytest.param([(0, 7), (5, 1)], None, id="the second has only begun"),
        pytest.param([(0, 7), (5, 7), (10, 1)], HELD, id="a small one at the end"),
        pytest.param(
            [(0, 7), (5, 7), (10, 1), (15, 7)], None, id="a small one between others"
        ),
        pytest.param([(0, 1), (5, 7)], None, id="a first event alone"),
        pytest.param(
            [(5 * b + n / 20, 1) for b in (0, 1) for n in range(20)],
            None,
            id="a model that pauses and writes on",
        ),
        pytest.param([(0, 7), (0.5, 7)], None, id="too close to tell"),
        pytest.param(
            [(0, 7), (5, 7), (10, 7)], "21 events in 3 bursts 5.0 s apart", id="three"
        ),
    ],
)
def test_verdicts(arrivals: list[tuple[float, int]], verdict: str | None) -> None:
    bursts = BurstDetector()
    for time, events in arrivals:
        bursts.piece(1000 + time, events)
    assert bursts.verdict() == verdict


@pytest.mark.parametrize(
    ("data", "kind", "count"),
    [
        (b"data: 1\n\ndata: 2\n\n", "event-stream", 2),
        (b"data: 1\r\n\r\n: c\r\n\r\ndata", "event-stream", 2),
        (b"data: 1\n", "event-stream", 0),
        (b'{"a":1}\n{"a":2}\n', "ndjson", 2),
    ],
)
def test_events_are_counted(data: bytes, kind: str, count: int) -> None:
    assert events_in(data, kind) == count
