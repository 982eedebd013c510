"""What peers may have had a hand in obeys no terminal and begins no line."""

from __future__ import annotations

import logging

import pytest

from proxy.line_writer import excerpt, one_line
from proxy.process.event_lines import TextLines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("all is well: ü 漢 …", "all is well: ü 漢 …", id="plain"),
        pytest.param("\x1b[31mred\x07", r"\x1b[31mred\x07", id="escape"),
        pytest.param("a\r\nb\tc", r"a\r\nb\tc", id="ends of lines"),
        pytest.param("\x7f\x9b2J", r"\x7f\x9b2J", id="C1"),
        pytest.param("a\u202eb\u2028", r"a\u202eb\u2028", id="bidi"),
        pytest.param("\udc9b", r"\udc9b", id="a byte that is no text"),
    ],
)
def test_what_cannot_be_seen_is_written_by_its_number(text: str, shown: str) -> None:
    assert one_line(text) == shown
    record = logging.makeLogRecord({"msg": "%s is down", "args": (text,)})
    assert TextLines().format(record).endswith(f" {shown} is down")


def test_an_excerpt_is_short_however_long_the_text_is() -> None:
    assert excerpt("four", 4) == "four"
    assert excerpt("fives", 4) == "five…"
    assert excerpt("\x1b" * 3000, 40) == r"\x1b" * 10 + "…"
