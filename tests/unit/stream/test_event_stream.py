"""The event stream format: boundaries, and the events themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.stream.event_stream import (
    Boundary,
    Comment,
    Event,
    EventReader,
    Item,
    Retry,
    TooLong,
)

BOM = b"\xef\xbb\xbf"


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The pieces of data that is cut at places; none is empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def boundary(*pieces: bytes, at_beginning: bool = True) -> bool:
    """Is the stream between two events after these pieces?"""
    observed = Boundary(at_beginning=at_beginning)
    for piece in pieces:
        observed.observe(piece)
    return observed.reached


def read(*pieces: bytes, max_line_bytes: int = 1000) -> list[Item]:
    reader = EventReader(max_line_bytes)
    return [item for piece in pieces for item in reader.read(piece)]


STREAMS = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b"data: x",
            b"d",
            b":",
            b" ",
            BOM,
            b"\xef",
            b"id",
            b"\0",
        ]
    ),
    max_size=12,
).map(b"".join)
CUTS = st.lists(st.integers(0, 60), max_size=6)


# -- between two events


@pytest.mark.parametrize(
    ("stream", "reached"),
    [
        pytest.param(b"", True, id="nothing was sent"),
        pytest.param(BOM, True, id="only a byte order mark"),
        pytest.param(BOM[:2], False, id="half a byte order mark"),
        pytest.param(BOM + b"\n", True, id="a blank line after it"),
        pytest.param(BOM + BOM, False, id="a second one begins a line"),
        pytest.param(b"data: " + BOM, False, id="one within a line"),
        pytest.param(b"\n", True, id="a blank line at the start"),
        pytest.param(b"\r\n", True, id="a blank line at the start, CRLF"),
        pytest.param(b"\r", True, id="a blank line at the start, CR"),
        pytest.param(b"d", False, id="one byte"),
        pytest.param(b"data: x", False, id="a line without its end"),
        pytest.param(b"data: x\n", False, id="a line, LF"),
        pytest.param(b"data: x\r\n", False, id="a line, CRLF"),
        pytest.param(b"data: x\r", False, id="a line, CR"),
        pytest.param(b"data: x\n\n", True, id="LF LF"),
        pytest.param(b"data: x\r\n\r\n", True, id="CRLF CRLF"),
        pytest.param(b"data: x\r\r", True, id="CR CR"),
        pytest.param(b"data: x\r\n\r", True, id="half of the last CRLF"),
        pytest.param(b"data: x\n\r", True, id="LF CR"),
        pytest.param(b"data: x\r\n\n", True, id="CRLF LF"),
        pytest.param(b"data: x\n\r\n", True, id="LF CRLF"),
        pytest.param(b"data: x\r\r\n", True, id="CR CRLF"),
        pytest.param(b"data: x\n\nd", False, id="the next event has begun"),
        pytest.param(b": comment\n\n", True, id="a comment"),
    ],
)
def test_an_event_ends_with_a_blank_line(stream: bytes, reached: bool) -> None:
    """WHATWG HTML §9.2.5, in all forms of a line's end."""
    assert boundary(stream or b"") is reached if stream else boundary() is reached
    assert boundary(*bytewise(stream)) is reached


@pytest.mark.parametrize(
    ("stream", "takes"),
    [
        pytest.param(b"", True, id="nothing was sent"),
        pytest.param(b"\xef", False, id="a part of a byte order mark"),
        pytest.param(BOM, True, id="only a byte order mark"),
        pytest.param(b"data: x\n", False, id="inside an event"),
        pytest.param(b"data: x\n\n", True, id="LF LF"),
        pytest.param(b"data: x\r\n\r\n", True, id="CRLF CRLF"),
        pytest.param(b"data: x\r\r", True, id="CR CR"),
        pytest.param(b"data: x\r\n\r", False, id="half of the last CRLF"),
        pytest.param(b"data: x\n\r", False, id="LF CR: an LF may follow"),
    ],
)
def test_a_comment_is_taken_where_it_adds_no_blank_line(
    stream: bytes, takes: bool
) -> None:
    observed = Boundary(at_beginning=True)
    for piece in bytewise(stream):
        observed.observe(piece)
    assert observed.takes_comment is takes


@pytest.mark.parametrize("stream", [b"", b"\n", b"x\n", b"\r\n"])
def test_a_stream_that_is_joined_late_is_between_events_at_no_time_before_a_blank_line(
    stream: bytes,
) -> None:
    assert not boundary(*bytewise(stream), at_beginning=False)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_stream_that_is_joined_late_is_between_events_after_a_blank_line(
    end: bytes,
) -> None:
    assert boundary(b"ta: x" + end, at_beginning=False)
    assert boundary(*bytewise(b"x" + end), at_beginning=False)


def is_between_events(stream: bytes) -> bool:
    """The same by the book: lines, the last of which is blank."""
    if BOM.startswith(stream):
        return stream in (b"", BOM)
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(BOM))
    return lines[-1] == b"" and (len(lines) == 1 or lines[-2] == b"")


@given(STREAMS, CUTS)
@example(b"data: x\r\n\r\n", [9, 10, 11])
@example(b"\r\n", [1])
def test_boundaries_do_not_depend_on_how_a_stream_is_cut(
    stream: bytes, places: list[int]
) -> None:
    observed, seen = Boundary(at_beginning=True), b""
    for piece in cut(stream, places):
        observed.observe(piece)
        seen += piece
        assert observed.reached is is_between_events(seen), seen


def test_a_boundary_is_known_in_constant_memory() -> None:
    observed = Boundary(at_beginning=True)
    observed.observe(b"data: " + b"x" * 1_000_000)
    assert len(observed.tail) == 3


# -- the events


YHOO = b"data: YHOO\ndata: +2\ndata: 10\n\n"
STANDARD = [
    pytest.param(YHOO, [Event("message", "YHOO\n+2\n10", "")], id="stock ticker"),
    pytest.param(
        b": test stream\n\ndata: first event\nid: 1\n\n"
        b"data:second event\nid\n\ndata:  third event\n\n",
        [
            Comment("test stream"),
            Event("message", "first event", "1"),
            Event("message", "second event", ""),
            Event("message", " third event", ""),
        ],
        id="ids",
    ),
    pytest.param(
        b"data\n\ndata\ndata\n\ndata:",
        [Event("message", "", ""), Event("message", "\n", "")],
        id="empty data, and an end without a blank line",
    ),
    pytest.param(
        b"data:test\n\ndata: test\n\n",
        [Event("message", "test", ""), Event("message", "test", "")],
        id="one space after the colon does not count",
    ),
    pytest.param(
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        [Event("add", "73857293", ""), Event("remove", "2153", "")],
        id="types",
    ),
]
OTHERS = [
    pytest.param(BOM + b"data: x\n\n", [Event("message", "x", "")], id="BOM"),
    pytest.param(BOM + BOM + b"data: x\n\n", [], id="a second BOM is of the name"),
    pytest.param(b"event: a\n\ndata: b\n\n", [Event("message", "b", "")], id="no data"),
    pytest.param(
        b"id: 1\n\ndata: b\n\n", [Event("message", "b", "1")], id="an id without data"
    ),
    pytest.param(
        b"id: 1\0\ndata: b\n\n", [Event("message", "b", "")], id="an id with NUL"
    ),
    pytest.param(b"retry: 3000\n", [Retry(3000)], id="retry"),
    pytest.param(
        "retry: 3s\nretry: \nretry: -1\nretry: ٣\n".encode(), [], id="no retry"
    ),
    pytest.param(b"Data: x\nother: y\n\n", [], id="unknown fields"),
    pytest.param("data: 你好\n\n".encode(), [Event("message", "你好", "")], id="UTF-8"),
    pytest.param(b"data: \xff\n\n", [Event("message", "\ufffd", "")], id="no UTF-8"),
    pytest.param(
        b"data: a\rdata: b\r\rdata: c\r\n\r\n",
        [Event("message", "a\nb", ""), Event("message", "c", "")],
        id="CR and CRLF",
    ),
]


@pytest.mark.parametrize(("stream", "items"), STANDARD + OTHERS)
def test_events_are_read_whole_and_byte_by_byte(
    stream: bytes, items: list[Item]
) -> None:
    """WHATWG HTML §9.2.6 with its own examples."""
    assert read(stream) == items
    assert read(*bytewise(stream)) == items
    assert read(b"", *(p for byte in bytewise(stream) for p in (byte, b""))) == items


@pytest.mark.parametrize("end", [b"\r", b"\r\n"])
@pytest.mark.parametrize(("stream", "items"), STANDARD)
def test_any_end_of_line_does(stream: bytes, items: list[Item], end: bytes) -> None:
    other = stream.replace(b"\n", end)
    assert read(other) == read(*bytewise(other)) == items


@given(STREAMS, CUTS)
def test_events_do_not_depend_on_how_a_stream_is_cut(
    stream: bytes, places: list[int]
) -> None:
    assert read(*cut(stream, places)) == read(stream)


@given(STREAMS, CUTS)
def test_long_lines_do_not_depend_on_how_a_stream_is_cut(
    stream: bytes, places: list[int]
) -> None:
    whole = read(stream, max_line_bytes=8)
    assert read(*cut(stream, places), max_line_bytes=8) == whole


def test_an_event_is_known_in_the_piece_that_ends_it() -> None:
    """The CR of a CRLF ends the line; nothing waits for the LF."""
    reader = EventReader()
    assert list(reader.read(b"data: x\r\n")) == []
    assert list(reader.read(b"\r")) == [Event("message", "x", "")]
    assert list(reader.read(b"\n")) == []
    assert list(reader.read(b"data: y\n\n")) == [Event("message", "y", "")]


def test_a_line_that_is_too_long_is_told_of_and_its_event_left_out() -> None:
    long = b"data: " + b"x" * 200
    expected = [TooLong("data"), Event("message", "next", "")]
    stream = b"data: a\n" + long + b"\ndata: b\n\ndata: next\n\n"
    assert read(stream, max_line_bytes=50) == expected
    assert read(*bytewise(stream), max_line_bytes=50) == expected


def test_data_that_is_too_long_together_is_told_of_once() -> None:
    stream = b"data: 0123456789\n" * 20 + b"\ndata: next\n\n"
    assert read(stream, max_line_bytes=50) == [
        TooLong("data"),
        Event("message", "next", ""),
    ]


def test_a_comment_that_is_too_long_spoils_no_event() -> None:
    stream = b"data: a\n:" + b"x" * 200 + b"\n\n"
    assert read(stream, max_line_bytes=50) == [TooLong(""), Event("message", "a", "")]


def test_memory_is_bounded_whatever_comes() -> None:
    reader = EventReader(max_line_bytes=1000)
    for _ in range(1000):
        list(reader.read(b"data: " + b"x" * 990))
        assert len(reader.line) <= 1000
    for _ in range(1000):
        list(reader.read(b"\ndata: " + b"x" * 90))
    assert reader.size - sum(map(len, reader.data)) >= 0
    assert sum(map(len, reader.data)) <= 1000
