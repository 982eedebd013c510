"""The list in a terminal of so many columns: the most useful ones, none too wide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tools.top.columns import COLUMNS
from proxy.tools.top.screen import SORTS, table
from tests.unit.top.test_screen import NOW, row

CHAT = row(
    target="/api/chat/completions?model=unbuffered-demo",
    route="shop.example/api",
    client="203.0.113.177",
    host="shop.example:8443",
    pieces=1234,
    bytes=4_200_000,
)
NARROW = ["AGE", "ST", "METHOD", "TARGET", "ROUTE", "CLIENT", "HOLD", "ENDING"]


def names(width: int, key: str = "n") -> list[str]:
    heading, _ = table([CHAT], NOW, width, color=False, key=key)
    return heading.split()


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        pytest.param(1000, [each.name for each in COLUMNS], id="a pipe"),
        pytest.param(80, NARROW, id="80"),
        pytest.param(
            120,
            [*NARROW[:6], "HOST", "KIND", "PIECES", "HOLD", "ENDING"],
            id="120",
        ),
    ],
)
def test_the_most_useful_columns_are_there(width: int, expected: list[str]) -> None:
    assert names(width) == expected


@pytest.mark.parametrize(
    ("key", "name"), [("p", "PIECES"), ("b", "BYTES"), ("g", "GAP"), ("h", "HOLD")]
)
def test_that_by_which_is_sorted_is_among_them(key: str, name: str) -> None:
    assert name in names(60, key)


def test_who_asked_for_what_is_told() -> None:
    _, line = table([CHAT], NOW, 1000, color=False)
    for text in ("shop.example/api", "203.0.113.177", "shop.example:8443"):
        assert f"  {text}  " in line


def test_room_that_is_left_is_for_what_is_cut() -> None:
    reason = "the upstream closed early: the last chunk is missing"
    _, line = table([row(error=reason, client="::1", route="/")], NOW, 160, color=False)
    assert line.endswith(f"  {reason}")
    _, line = table([{**CHAT, "error": reason}], NOW, 80, color=False)
    assert line.endswith("…")


def test_an_older_proxy_does_not_tell_all_of_it() -> None:
    _, line = table([row()], NOW, 1000, color=False)
    assert " /x      -      -       -     event-stream " in line


@given(
    st.integers(1, 300),
    st.sampled_from(sorted(SORTS)),
    st.dictionaries(
        st.sampled_from(["target", "route", "client", "host", "error", "method"]),
        st.text(max_size=80),
    ),
)
def test_no_line_is_wider_than_the_terminal(
    width: int, key: str, texts: dict[str, str]
) -> None:
    lines = table([{**CHAT, **texts}, CHAT], NOW, width, color=False, key=key)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
