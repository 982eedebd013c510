from __future__ import annotations

from typing import Any

from proxy.tools.top.columns import Row
from proxy.tools.top.screen import ordered, screen, table

NOW = 2000.0


def row(**changes: Any) -> Row:
    return {
        "id": "0-1",
        "method": "GET",
        "target": "/x",
        "status": 200,
        "phase": "relaying",
        "kind": "event-stream",
        "started": 1990.0,
        "first_byte": 0.003,
        "duration": None,
        "pieces": 3,
        "bytes": 42,
        "longest_gap": 1.0,
        "longest_hold": 0.00005,
        "ending": None,
        "error": None,
        **changes,
    }


def test_a_row_says_all_that_matters() -> None:
    _, line = table([row()], NOW, 200, color=False)
    told = "10.00s 200 GET /x - - - event-stream 3 42 B 3.0ms 1.00s 50µs relaying"
    assert " ".join(line.split()) == told


def test_open_streams_come_first_and_then_the_key_counts() -> None:
    rows = [
        row(id="small", bytes=1),
        row(id="large", bytes=9),
        row(id="over", bytes=99, phase="over", duration=1.0),
    ]
    assert [each["id"] for each in ordered(rows, "b", NOW)] == [
        "large",
        "small",
        "over",
    ]


def test_a_screen_fits_its_terminal() -> None:
    lines = screen(
        [row(id=str(number)) for number in range(100)],
        [{"text": "w" * 300}] * 5,
        "version 1",
        "n",
        NOW,
        (60, 20),
        color=False,
    )
    assert len(lines) == 20
    assert max(map(len, lines)) <= 60


def test_what_a_client_sent_cannot_steer_the_terminal() -> None:
    _, line = table([row(target="/\x1b[2J", error="\x07")], NOW, 200, color=False)
    assert "\x1b" not in line
    assert "\x07" not in line
