"""Where events end: as a client dispatches them, and the same for any pieces."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stream.event_ends import EventEnds, LineEnds, MessageEnds, PieceEnds
from proxy.stream.event_stream import BOM, Event, EventReader

ALPHABET = [
    b"\n",
    b"\r",
    b"\r\n",
    b"data: a",
    b"data",
    b"dat",
    b"a: ",
    b":",
    b"event: x",
    b"id: 1",
    b"\xe4\xbd\xa0",
]
streams = st.lists(st.sampled_from(ALPHABET), max_size=24).map(b"".join)


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """The stream in pieces, none of them empty."""
    marks = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[a:b] for a, b in pairwise(marks)]


def ends_of(
    finder: EventEnds | LineEnds | MessageEnds, pieces: list[bytes]
) -> list[tuple[int, bool]]:
    """Where things end in the whole stream."""
    found, before = [], 0
    for piece in pieces:
        found += [(before + end.at, end.event) for end in finder.find(piece)]
        before += len(piece)
    last = finder.finish()
    if last is not None:
        found.append((before, last))
    return found


@given(streams, st.booleans(), st.lists(st.integers(0, 200), max_size=12))
def test_the_pieces_do_not_matter(stream: bytes, mark: bool, places: list[int]) -> None:
    stream = BOM * mark + stream
    whole = ends_of(EventEnds(), [stream])
    assert ends_of(EventEnds(), cut(stream, places)) == whole
    assert ends_of(EventEnds(), [bytes([each]) for each in stream]) == whole


@given(streams, st.booleans())
def test_an_event_ends_where_a_client_dispatches_it(stream: bytes, mark: bool) -> None:
    stream = BOM * mark + stream
    reader = EventReader()
    expected = [
        at + 1
        for at in range(len(stream))
        for item in reader.read(stream[at : at + 1])
        if isinstance(item, Event)
    ]
    found = [at for at, event in ends_of(EventEnds(), [stream]) if event]
    # The LF of a CRLF may come behind it: it belongs to the event.
    assert [at - (stream[at - 2 : at] == b"\r\n") for at in found] == [
        at - (stream[at - 2 : at] == b"\r\n") for at in expected
    ]
    assert all(
        0 <= ours - theirs <= 1 for ours, theirs in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [9, 18], id="lf"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [11, 22], id="crlf"),
        pytest.param(b"data: a\r\rdata: b\r\r", [9, 18], id="cr"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [12], id="byte order mark"),
        pytest.param(b": ping\n\ndata\n\n", [14], id="a comment is none"),
        pytest.param(b"retry: 5\n\nid: 3\n\ndata:\n\n", [24], id="only data makes one"),
        pytest.param(b"\n\n\ndata: a\n\n\n\n", [12], id="blank lines"),
        pytest.param(b"datas: a\n\n", [], id="another field"),
    ],
)
def test_events_are_those_with_data(stream: bytes, expected: list[int]) -> None:
    ends = ends_of(EventEnds(), [stream])
    assert [at for at, event in ends if event] == expected


def test_the_last_cr_of_a_crlf_stream_waits_for_its_lf() -> None:
    ends = EventEnds()
    assert ends.find(b"data: a\r\n\r") == []
    assert ends.find(b"\n") == [(1, True)]
    assert ends.find(b"data: b\r\n\r") == []
    assert ends.find(b"data: c\r\r") == [(0, True), (9, True)]


def test_a_cr_alone_ends_an_event_at_once() -> None:
    assert EventEnds().find(b"data: a\r\r") == [(9, True)]


@given(st.text("a \n\r", max_size=30).map(str.encode), st.lists(st.integers(0, 60)))
def test_lines_end_the_same_for_any_pieces(stream: bytes, places: list[int]) -> None:
    whole = ends_of(LineEnds(), [stream])
    assert ends_of(LineEnds(), cut(stream, places)) == whole
    lines = [line for line in stream.split(b"\n") if line.strip()]
    assert sum(event for _, event in whole) == len(lines)


def frame(payload: bytes, first: int = 0x82, *, masked: bool = False) -> bytes:
    """A frame of a WebSocket (RFC 6455 §5.2)."""
    size, mask = len(payload), 0x80 * masked
    key = b"abcd" * masked
    if size < 126:
        return bytes([first, mask | size]) + key + payload
    if size < 65536:
        return bytes([first, mask | 126]) + size.to_bytes(2, "big") + key + payload
    return bytes([first, mask | 127]) + size.to_bytes(8, "big") + key + payload


FRAMES = st.lists(
    st.builds(
        frame,
        st.sampled_from([0, 1, 125, 126, 300, 65535, 65536]).map(bytes),
        st.sampled_from([0x82, 0x81, 0x01, 0x00, 0x80, 0xC1, 0x89, 0x88]),
        masked=st.booleans(),
    ),
    max_size=5,
)


@given(FRAMES, st.lists(st.integers(0, 400_000), max_size=12))
def test_messages_end_with_their_last_frame(
    frames: list[bytes], places: list[int]
) -> None:
    expected, at = [], 0
    for each in frames:
        at += len(each)
        if each[0] & 0x80 and each[0] & 0x0F < 8:
            expected.append((at, True))
    stream = b"".join(frames)
    for pieces in ([stream], cut(stream, places), cut(stream, range(200))):
        assert ends_of(MessageEnds(), pieces) == expected


def test_other_bodies_are_counted_by_pieces() -> None:
    ends = PieceEnds()
    assert ends.find(b"abc") == [(3, True)]
    assert ends.finish() is None
