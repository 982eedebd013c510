"""The last events of a stream: however it is cut, in bounded memory."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stream.recent_events import KEPT, MOST_BYTES, Item, RecentEvents

ENDS = st.sampled_from(["\n", "\r", "\r\n"])
DATA = st.text("ab:{}é\u2028 ", min_size=1, max_size=8).filter(str.strip)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """An event stream, and the data of its events."""
    text, events = "", []
    for value in draw(st.lists(DATA, max_size=9)):
        end = draw(ENDS)
        if draw(st.booleans()):
            text += f": comment{end}"
        text += f"data:{value}{end}"
        # CR and LF behind each other are one end of a line.
        text += draw(ENDS) if end != "\r" else draw(st.sampled_from(["\r", "\r\n"]))
        events.append(value.removeprefix(" "))
    return text.encode(), events


@given(streams(), st.lists(st.integers(1, 9), min_size=1))
def test_the_last_events_are_kept_however_they_are_cut(
    stream: tuple[bytes, list[str]], sizes: list[int]
) -> None:
    data, events = stream
    recent = RecentEvents(lines=False)
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        recent.observe(data[at : at + size])
        at += size
    kept = [item.data for item in recent.items()]
    assert len(kept) >= min(len(events), KEPT)
    assert kept == events[-len(kept) :] if kept else not events


@given(st.lists(DATA, max_size=9), st.lists(st.integers(1, 9), min_size=1))
def test_the_last_lines_are_kept_however_they_are_cut(
    lines: list[str], sizes: list[int]
) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    recent = RecentEvents(lines=True)
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        recent.observe(data[at : at + size])
        at += size
    kept = [item.data for item in recent.items()]
    assert len(kept) >= min(len(lines), KEPT)
    assert kept == lines[-len(kept) :] if kept else not lines


def weight(recent: RecentEvents) -> int:
    return sum(map(sys.getsizeof, [*recent.whole, recent.open]))


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("size", [100, 4096, MOST_BYTES + 1, 10 * MOST_BYTES])
@pytest.mark.parametrize("ends", [False, True])
def test_what_is_kept_is_bounded(lines: bool, size: int, ends: bool) -> None:
    """Neither events that never end nor reads that never end with one add up."""
    recent = RecentEvents(lines=lines)
    end = b"\n" if lines else b"\n\n"
    piece = b"data: " + b"x" * (size // 2) + end + b"data: " + b"x" * (size // 2)
    if not ends:
        piece = piece.replace(end, b"")
    for _ in range(3 * MOST_BYTES // min(size, MOST_BYTES) + 5):
        recent.observe(piece)
        assert weight(recent) <= (KEPT + 2) * (MOST_BYTES + size)
    recent.observe(end)
    assert weight(recent) <= (KEPT + 1) * MOST_BYTES


def test_a_long_event_in_short_pieces_is_not_looked_at_for_each() -> None:
    recent = RecentEvents(lines=False)
    looked = 0
    for _ in range(20 * MOST_BYTES // 64):
        before = len(recent.open)
        recent.observe(b"x" * 64)
        looked += len(recent.open) < before
    assert 0 < looked <= 2 * 20 + 1


def test_of_a_long_event_both_ends_are_kept() -> None:
    recent = RecentEvents(lines=False)
    recent.observe(b'event: a\ndata: {"type":"a",')
    for _ in range(2 * MOST_BYTES // 1000):
        recent.observe(b"x" * 1000)
    recent.observe(b'"end":1}\n\n')
    (item,) = recent.items()
    assert item.type == "a"
    assert item.data.startswith('{"type":"a",xx')
    assert item.data.endswith('xx"end":1}')
    assert (item.value, item.whole) == ({"type": "a"}, False)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ('{"a":{"b":1},"c":"x', {"a": {"b": 1}, "c": None}),
        (' { "a" : 1 , "b":{"c":', {"a": 1, "b": None}),
        ('{"a":1,"b', {"a": 1}),
        ('{"a":1 "b":2}', {"a": 1}),
        ('{"a"', {"a": None}),
        ("{1:2}", None),
        ("{" * 100_000, None),
        ("[1,2", None),
        ("hello", None),
    ],
)
def test_of_an_object_that_is_not_whole_the_first_members_are_known(
    text: str, members: object
) -> None:
    recent = RecentEvents(lines=True)
    recent.observe(text.encode() + b"\n")
    (item,) = recent.items()
    assert (item.value, item.whole) == (members, False)


@given(streams(), st.lists(st.integers(1, 9), min_size=1))
def test_comments_push_no_event_out(
    stream: tuple[bytes, list[str]], sizes: list[int]
) -> None:
    """A server sends them for as long as it has nothing to say, and after its end."""
    recent = RecentEvents(lines=False)
    recent.observe(stream[0])
    before = recent.items()
    for size in sizes:
        assert not recent.observe(b":" + b" ping" * size + b"\n\n")
        assert not recent.observe(b": a\r\n")
        assert not recent.observe(b": b\r\n\r\n")
    assert recent.items() == before


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_last_event_of_a_stream_that_ended_needs_no_end(
    lines: bool, missing: int
) -> None:
    recent = RecentEvents(lines=lines)
    whole = b"1\n\n" if lines else b"data: 1\n\n"
    recent.observe(whole)
    recent.observe(whole[: len(whole) - missing])
    assert [item.value for item in recent.items(ended=True)] == [1, 1]
    assert [item.value for item in recent.items(ended=False)] == [1] * (
        1 if missing > lines else 2
    )


def test_the_outline_of_an_event_is_what_is_short_in_it() -> None:
    recent = RecentEvents(lines=False)
    recent.observe(
        b'id: 7\nevent: a\ndata: {"a":1,"b":"x","c":null,"d":[1],"e":"%b","f":NaN,'
        b'"g":1e999,"h":%b,"i":{"j":true,"k":{"l":1}}}\n\n' % (b"x" * 257, b"1" * 99)
    )
    (item,) = recent.items()
    members = {"a": 1, "b": "x", "c": None, "i": {"j": True}}
    assert item.outline == Item("a", "", "7", members)


def test_the_id_of_an_event_is_known_and_data_that_is_no_json_has_no_value() -> None:
    recent = RecentEvents(lines=False)
    recent.observe(b"id: 7\nevent: a\ndata: [1\n\nid\ndata: 2\n\n")
    assert recent.items() == [
        Item("a", "[1", "7", None, whole=False),
        Item("message", "2", "", 2),
    ]
    assert recent.items()[1].members == {}


def test_deep_json_is_no_value() -> None:
    recent = RecentEvents(lines=True)
    recent.observe(b"[" * 20_000 + b"\n")
    assert [item.value for item in recent.items()] == [None]


@pytest.mark.parametrize("lines", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_first(lines: bool) -> None:
    recent = RecentEvents(lines=lines)
    recent.observe(b"\xef\xbb\xbf" + (b'{"a":1}\n' if lines else b'data: {"a":1}\n\n'))
    assert recent.items()[0].members == {"a": 1}
