"""The account of one exchange, on a clock of the test's own."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from proxy import timeline as module
from proxy.errors import IdleTimeout
from proxy.timeline import Ending, Phase, Timeline, http_date, monotonic

STARTED = 1000.0


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(STARTED, b"192.0.2.7")


def test_an_account_begins_empty(timeline: Timeline) -> None:
    assert timeline.client == b"192.0.2.7"
    assert timeline.started == timeline.call.silent_since == STARTED
    assert timeline.route is None
    assert timeline.error is None
    assert timeline.ended is None
    assert timeline.call.first_byte is None
    assert (timeline.status, timeline.call.pieces) == (0, 0)
    assert (timeline.bytes_received, timeline.bytes_sent) == (0, 0)
    assert (timeline.method, timeline.target, timeline.version) == (b"", b"", "1.1")
    assert timeline.ending is Ending.COMPLETE
    assert timeline.duration == 0.0


def test_the_request_line_is_noted() -> None:
    timeline = Timeline(STARTED, b"192.0.2.7", b"GET", b"/a?b", "1.0")
    assert (timeline.method, timeline.target, timeline.version) == (
        b"GET",
        b"/a?b",
        "1.0",
    )


# -- pieces and gaps


@pytest.mark.parametrize(
    ("arrivals", "first", "gap"),
    [
        pytest.param([1001.0], 1001.0, 0.0, id="one piece has no gap"),
        pytest.param([1001.0, 1003.0], 1001.0, 2.0, id="two pieces"),
        pytest.param([1001.0, 1003.0, 1008.0, 1009.0], 1001.0, 5.0, id="the longest"),
        pytest.param([1001.0, 1005.0, 1006.0], 1001.0, 4.0, id="not the last"),
        pytest.param([1050.0, 1051.0], 1050.0, 1.0, id="waiting for the first is none"),
        pytest.param([1001.0, 1001.0], 1001.0, 0.0, id="in the same turn"),
    ],
)
def test_a_gap_is_the_time_between_two_pieces(
    timeline: Timeline, arrivals: list[float], first: float, gap: float
) -> None:
    for now in arrivals:
        timeline.call.piece_read(now)
    assert timeline.call.first_byte == first
    assert timeline.call.longest_gap == gap
    assert timeline.call.pieces == len(arrivals)
    assert timeline.call.last_piece == timeline.call.silent_since == arrivals[-1]


# -- holds


@pytest.mark.parametrize(
    ("holds", "longest"),
    [
        pytest.param([], 0.0, id="none"),
        pytest.param([(1.0, 1.5)], 0.5, id="one"),
        pytest.param([(1.0, 1.25), (2.0, 4.0), (5.0, 5.5)], 2.0, id="the longest"),
        pytest.param([(1.0, 1.0)], 0.0, id="written at once"),
    ],
)
def test_a_hold_is_the_time_from_read_to_write(
    timeline: Timeline, holds: list[tuple[float, float]], longest: float
) -> None:
    for read, written in holds:
        timeline.piece_written(read, written)
    assert timeline.longest_hold == longest


def test_a_hold_lasts_while_any_byte_waits(timeline: Timeline) -> None:
    timeline.hold_begins(1010.0)
    timeline.hold_begins(1012.0)  # more bytes: the first still waits
    assert timeline.longest_hold == 0.0
    timeline.hold_ends(1013.0)
    assert (timeline.longest_hold, timeline.held_since) == (3.0, None)


def test_a_shorter_hold_does_not_shorten_the_longest(timeline: Timeline) -> None:
    for begins, ends in ((1010.0, 1015.0), (1020.0, 1021.0)):
        timeline.hold_begins(begins)
        timeline.hold_ends(ends)
    timeline.piece_written(1030.0, 1031.0)
    assert timeline.longest_hold == 5.0


def test_a_hold_that_never_began_does_not_end(timeline: Timeline) -> None:
    timeline.hold_ends(1500.0)
    assert timeline.longest_hold == 0.0


# -- the end


def test_the_end_closes_the_account(timeline: Timeline) -> None:
    error = IdleTimeout("x")
    timeline.end(1007.5, Ending.TIMED_OUT, error)
    assert timeline.duration == 7.5
    assert timeline.ended == 1007.5
    assert timeline.ending is Ending.TIMED_OUT
    assert timeline.error is error


def test_a_hold_that_is_open_at_the_end_counts_up_to_it(timeline: Timeline) -> None:
    """The client that never reads is the one to be seen in the log."""
    timeline.hold_begins(1001.0)
    timeline.end(1061.0, Ending.CLIENT_LEFT, None)
    assert timeline.longest_hold == 60.0
    assert timeline.held_since is None


def test_the_words_of_the_log_are_fixed() -> None:
    assert [ending.value for ending in Ending] == [
        "complete",
        "client left",
        "upstream broke",
        "timed out",
        "refused",
        "shut down",
        "aged out",
        "internal error",
    ]


def test_an_exchange_only_moves_on() -> None:
    order = [
        Phase.ROUTING,
        Phase.CONNECTING,
        Phase.WAITING,
        Phase.RELAYING,
        Phase.TUNNEL,
        Phase.OVER,
    ]
    assert list(Phase) == order
    assert sorted(order, key=lambda phase: phase.value) == order


# -- clocks


def test_times_are_taken_from_a_clock_that_never_goes_back() -> None:
    assert monotonic() <= monotonic()


@pytest.mark.parametrize(
    ("now", "date"),
    [
        (0.0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777.9, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (4102444800.0, b"Fri, 01 Jan 2100 00:00:00 GMT"),
    ],
)
def test_a_date_is_an_imf_fixdate(
    monkeypatch: pytest.MonkeyPatch, now: float, date: bytes
) -> None:
    """RFC 9110 §5.6.7, with its own example."""
    monkeypatch.setattr(module, "wall_clock", lambda: now)
    assert http_date() == date


def test_the_date_is_today() -> None:
    date = parsedate_to_datetime(http_date().decode("ascii"))
    assert abs(date.timestamp() - module.wall_clock()) < 60
