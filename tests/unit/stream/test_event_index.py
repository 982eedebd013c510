"""Where events end and which ids they have: against a reader, however they are cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stream.event_index import MAX_ID_BYTES, NO_EVENT, EventIndex
from proxy.stream.event_stream import BOM, Boundary, Event, EventReader

PREFIX = b"1-0123456789abcdef0123456789abcdef."

Found = list[tuple[str, str, str]]


class Client:
    """Reads what an index lets pass, and says what its cuts should have been."""

    def __init__(self) -> None:
        self.reader = EventReader()
        self.boundary = Boundary(at_beginning=True)
        self.sent = b""
        self.events: Found = []

    def read(self, piece: bytes) -> dict[int, str | None]:
        """The events that a piece completes: the byte that does, and the last id."""
        found: dict[int, str | None] = {}
        for at in range(len(piece)):
            byte = piece[at : at + 1]
            for item in self.reader.read(byte):
                if isinstance(item, Event):
                    self.events.append((item.type, item.data, item.id))
                    found[at + 1] = item.id
            self.boundary.observe(byte)
        self.sent += piece
        return found


def check(pieces: Iterable[bytes], prefix: bytes | None) -> tuple[Found, EventIndex]:
    """Let pieces pass and see that the cuts are what a client finds."""
    index = EventIndex(lines=False, prefix=prefix)
    client = Client()
    id = ""
    for piece in pieces:
        returned = index.scan(piece)
        assert prefix is not None or returned is piece
        events = client.read(returned)
        assert index.reached is client.boundary.reached
        previous = 0
        for offset, changed in index.cuts:
            # Blank lines in a row are one cut, so it may stand behind some of them.
            complete = [at for at in events if previous < at <= offset]
            assert len(complete) <= 1
            if complete:
                assert not returned[complete[0] : offset].strip(b"\r\n")
                assert changed != NO_EVENT
            if changed:
                id = changed.decode()
            if complete:
                last = events.pop(complete[0])
                assert last == id or (changed is None and last == "")  # a reset
                id = last
            assert between(returned, offset, client.sent)
            previous = offset
        assert not events
        if index.reached:
            assert index.cuts[-1][0] == len(returned)
        elif index.cuts:
            assert returned[index.cuts[-1][0] :].strip(b"\r\n")
    return client.events, index


def between(piece: bytes, offset: int, sent: bytes) -> bool:
    """Does the stream stand between two events behind `offset` bytes of a piece?"""
    boundary = Boundary(at_beginning=True)
    boundary.observe(sent[: len(sent) - len(piece) + offset])
    return boundary.reached


def in_two(data: bytes) -> Iterable[list[bytes]]:
    """Cut at every byte, and whole."""
    yield [data]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def in_three(data: bytes) -> Iterable[list[bytes]]:
    """Cut at every two bytes."""
    for a, b in combinations(range(1, len(data)), 2):
        yield [data[:a], data[a:b], data[b:]]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


# `~` stands for the end of a line.
SAMPLES = {
    "one event": "data: x~~",
    "two events": "data: x~~data: y~~",
    "blank lines": "~~data: x~~~~data: y~~~",
    "a comment": ": a~~data: x~~:~~",
    "a comment in an event": ": a~data: x~: b~~",
    "several lines": "event: t~data: a~data: b~~",
    "retry": "retry: 10~~data: x~~",
    "an unknown field": "foo~~data: x~~",
    "an id": "id: 7~data: x~~data: y~~",
    "a late id": "data: x~id:7~~data: y~~",
    "two ids": "id: 7~data: x~id: 88~~",
    "an id alone": "id: 7~~data: x~~",
    "an id of a later event": "data: x~~data: y~id: 2~~data: z~~",
    "a reset": "id: 7~data: x~~id~data: y~~id: 8~data: z~~id:~data: w~~",
    "a reset of nothing": "id~data: x~~data: y~~",
    "an id with NUL": "id: 7\0~data: x~~id: 8~data: y~~",
    "NUL after an id": "id: 7~id: 8\0~data: x~~",
    "like an id": "ID: 1~idx: 2~id : 3~ id: 4~i~data: id: 5~: id: 6~~",
    "not UTF-8": "id: \xff~data: x~~",
    "spaces": "id:  7 ~data: x~~",
    "an incomplete event": "data: x~~data: y~id: 9~",
    "marks": "data: \ufeff~~\ufeffdata: y~~data: z~~",
}
ENDS = ["\n", "\r", "\r\n", "mixed"]


def sample(name: str, end: str, *, mark: bool = False) -> bytes:
    """A sample with line ends of one form, or of all in turn."""
    parts = SAMPLES[name].split("~")
    forms = ("\r\n", "\n", "\r") if end == "mixed" else (end,)
    text = "".join(
        part + (forms[at % len(forms)] if at < len(parts) - 1 else "")
        for at, part in enumerate(parts)
    )
    encoded = text.encode().replace("\xff".encode(), b"\xff")
    return (BOM if mark else b"") + encoded


@pytest.mark.parametrize("prefix", [None, PREFIX], ids=["as it is", "numbered"])
@pytest.mark.parametrize("end", ENDS, ids=["LF", "CR", "CRLF", "mixed"])
@pytest.mark.parametrize("name", SAMPLES)
def test_cuts_are_where_a_client_finds_events(
    name: str, end: str, prefix: bytes | None
) -> None:
    """However the stream is cut, whatever its lines end with (§9.2.5, §9.2.6)."""
    for mark in (False, True):
        data = sample(name, end, mark=mark)
        expected, _ = check([data], None)
        for pieces in [*in_two(data), bytewise(data), *short(data)]:
            found, _ = check(pieces, prefix)
            assert [event[:2] for event in found] == [event[:2] for event in expected]


def short(data: bytes) -> Iterable[list[bytes]]:
    """All ways to cut a short one twice."""
    return in_three(data) if len(data) <= 24 else []


@pytest.mark.parametrize(
    ("piece", "ids"),
    [
        pytest.param(b"data: x\n\n", [None], id="plain"),
        pytest.param(b"event: x\ndata: x\n\n", [None], id="with a type"),
        pytest.param(b"data: x\nid: 7\n\n", [b"7"], id="an id"),
        pytest.param(b"data: x\rid: 7\n\n", [b"7"], id="an id behind CR"),
        pytest.param(b"data: x\r\rdata: y\n\n", [None, None], id="CR CR"),
        pytest.param(b"data: x\r\n\r\ndata: y\n\n", [None, None], id="CRLF CRLF"),
        pytest.param(b"data: x\n\rdata: y\n\n", [None, None], id="LF CR"),
        pytest.param(b"data: x\n\ndata: y\n\n", [None, None], id="two"),
        pytest.param(b"data: x\n\n\n", [None], id="a blank line more"),
        pytest.param(b"data: x\n", [], id="half"),
        pytest.param(b"data: x\n\ndata: ", [None], id="one and a half"),
        pytest.param(b"d", [], id="a byte"),
        pytest.param(b":\n\n", [NO_EVENT], id="a comment"),
    ],
)
@pytest.mark.parametrize("prefix", [None, PREFIX], ids=["as it is", "numbered"])
def test_a_piece_is_only_plain_if_it_is_one_event(
    piece: bytes, ids: list[bytes | None], prefix: bytes | None
) -> None:
    index = EventIndex(lines=False, prefix=None)
    index.scan(b"data: 0\n\n")
    index.scan(piece)
    assert [id for _, id in index.cuts] == ids
    check([b"data: 0\n\n", piece, b"\n", b"data: z\n\n", b"\n"], prefix)


TOKENS = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"data: x", b"data:", b":", b" ", BOM, b"\xef", b"id",
     b"id: 7", b"i", b"\0", b"event: e", b"\n\n", b"\ndata: y\n\n"]
)  # fmt: skip
STREAMS = st.lists(TOKENS, max_size=14).map(b"".join)


@given(
    STREAMS, st.lists(st.integers(0, 60), max_size=6), st.sampled_from([None, b"p."])
)
def test_any_stream_is_read_alike_however_it_is_cut(
    data: bytes, places: list[int], prefix: bytes | None
) -> None:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    pieces = [data[a:b] for a, b in pairwise(edges) if a < b]
    check(pieces, prefix)


# -- ids of ours


def returned(*pieces: bytes, prefix: bytes = b"p.") -> bytes:
    index = EventIndex(lines=False, prefix=prefix)
    return b"".join(map(index.scan, pieces))


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [
        pytest.param([b"data: x\n\n"], b"data: x\nid: p.1\n\n", id="LF"),
        pytest.param([b"data: x\r\r"], b"data: x\rid: p.1\n\r", id="CR"),
        pytest.param([b"data: x\r\n\r\n"], b"data: x\r\nid: p.1\n\r\n", id="CRLF"),
        pytest.param([b"data: x\r", b"\n", b"\r", b"\n"],
                     b"data: x\r\nid: p.1\n\r\n", id="CRLF, cut everywhere"),
        pytest.param([b"data: x\n", b"\n"], b"data: x\nid: p.1\n\n", id="cut"),
        pytest.param([b": x\n\n", b"\n\n"], b": x\n\n\n\n", id="comments"),
        pytest.param([BOM, b"data: x\n\n"], BOM + b"data: x\nid: p.1\n\n", id="BOM"),
        pytest.param([b"\xef", b":\n\n"], b"\xef:\nid: p.1\n\n", id="half a BOM"),
        pytest.param([b"id: 5\ndata: x\n\n", b"data: y\n\n"],
                     b"id: 5\ndata: x\n\ndata: y\n\n", id="of the upstream"),
        pytest.param([b"data: x\nid: 5\n", b"\ndata: y\n\n"],
                     b"data: x\nid: 5\n\ndata: y\n\n", id="a late one"),
        pytest.param([b"data: ", b"id: 5\nidx\n\n"],
                     b"data: id: 5\nidx\nid: p.1\n\n", id="within a line"),
        pytest.param([b"id\ndata: x\n\n"], b"id\ndata: x\nid: p.1\n\n", id="reset"),
        pytest.param([b"id: \0\ndata: x\n\n"],
                     b"id: \0\ndata: x\nid: p.1\n\n", id="NUL"),
        pytest.param([b"data: x\n\ndata: y\n\nda", b"ta: z\n\n"],
                     b"data: x\nid: p.1\n\ndata: y\nid: p.2\n\ndata: z\nid: p.3\n\n",
                     id="several"),
    ],
)  # fmt: skip
def test_an_id_is_the_last_line_of_an_event_that_has_none(
    pieces: list[bytes], sent: bytes
) -> None:
    """So that a client that takes it at once has the data, too."""
    assert returned(*pieces) == sent


@pytest.mark.parametrize("size", [MAX_ID_BYTES, MAX_ID_BYTES + 1, 100_000])
@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
def test_a_huge_id_is_one_that_nobody_can_ask_for(size: int, step: int) -> None:
    data = b"data: x\nid: " + b"7" * size + b"\n\ndata: y\n\n"
    index = EventIndex(lines=False, prefix=b"p.")
    ids = []
    for at in range(0, len(data), step):
        assert len(index.scan(data[at : at + step])) == len(data[at : at + step])
        assert len(index.id_line) <= MAX_ID_BYTES + 8
        ids += [id for _, id in index.cuts]
    expected = b"7" * size if size <= MAX_ID_BYTES else None
    assert [id for id in ids if id != NO_EVENT] == [expected, None]
    assert index.numbered
    assert index.upstream_id == (expected or b"")


# -- a further response of the upstream


@pytest.mark.parametrize("cuts", [*in_two(BOM + b"data: y\n\n")])
def test_after_a_restart_the_begun_event_is_forgotten(cuts: list[bytes]) -> None:
    index = EventIndex(lines=False, prefix=None)
    index.scan(b"data: a\n\ndata: x\nid: 7\n")
    index.restart()
    assert index.reached
    assert b"".join(map(index.scan, cuts)) == b"data: y\n\n"
    assert [id for _, id in index.cuts] == [None]
    assert index.reached
    assert index.upstream_id == b""
    assert index.numbered


# -- lines


@given(st.lists(st.sampled_from([b"{}", b"\n", b" ", b"\r\n"]), max_size=12),
       st.lists(st.integers(1, 9), min_size=1))  # fmt: skip
def test_each_line_ends_with_a_line_feed(tokens: list[bytes], sizes: list[int]) -> None:
    data = b"".join(tokens)
    index = EventIndex(lines=True, prefix=b"p.")
    cuts = []
    at = 0
    while at < len(data):
        piece = data[at : at + sizes[at % len(sizes)]]
        assert index.scan(piece) is piece
        cuts += [(at + offset, id) for offset, id in index.cuts]
        at += len(piece)
    start, expected = 0, []
    for line in data.split(b"\n")[:-1]:
        start += len(line) + 1
        expected.append((start, None if line.strip() else NO_EVENT))
    assert cuts == expected
    assert index.reached is (not data or data.endswith(b"\n"))
