"""The chunked transfer coding: one verdict, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.http1.chunked import (
    CHUNK_LINE,
    MAX_CHUNK_LINE,
    MAX_EXTENSIONS,
    MAX_TRAILERS,
    ChunkedBody,
    chunk,
    last_chunk,
    whole_chunk_lines,
)
from proxy.http1.grammar import Fields

END = b"0\r\n\r\n"


class Outcome(NamedTuple):
    """What became of a body. `excess`: all bytes after its end."""

    payload: bytes
    complete: bool
    broken: bool
    trailers: Fields
    excess: bytes


def outcome(pieces: Iterable[bytes]) -> Outcome:
    body = ChunkedBody()
    payload, excess = b"", b""
    for piece in pieces:
        if body.complete:
            excess += piece
            continue
        payload += body.feed(piece)
        excess += body.excess if body.complete else b""
    return Outcome(
        payload, body.complete, body.error is not None, body.trailers, excess
    )


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(bounds) if a < b]


def line_of(length: int) -> bytes:
    """A chunk-size line of so many bytes, CRLF included, by its extension."""
    return b"1;" + b"x" * (length - 4) + b"\r\n"


def trailers_of(length: int) -> bytes:
    """A trailer section of so many bytes, its empty line included."""
    return b"X: " + b"y" * (length - 7) + b"\r\n\r\n"


def long_lines(count: int, extension: int) -> bytes:
    """Chunks of one byte, with extensions of so many bytes each."""
    return (b"1;" + b"x" * (extension - 1) + b"\r\na\r\n") * count


# wire, payload, trailers, excess
GOOD = {
    "one chunk": (b"5\r\nhello\r\n" + END, b"hello", [], b""),
    "no chunk": (END, b"", [], b""),
    "two chunks": (b"1\r\na\r\n2\r\nbc\r\n" + END, b"abc", [], b""),
    "hex, both cases": (b"0A\r\n0123456789\r\n1a\r\n" + b"x" * 26 + b"\r\n" + END,
                        b"0123456789" + b"x" * 26, [], b""),
    "leading zeros": (b"005\r\nhello\r\n000\r\n\r\n", b"hello", [], b""),
    "CRLF inside the data": (b"4\r\n\r\n\r\n\r\n" + END, b"\r\n\r\n", [], b""),
    "extension, RFC 9112 7.1.1": (b'1;a;b="c; d"\r\nx\r\n' + END, b"x", [], b""),
    "white space before an extension": (b"1 \t; a = b\r\nx\r\n" + END, b"x", [], b""),
    "obs-text in a quoted string": (b'1;a="\xff"\r\nx\r\n' + END, b"x", [], b""),
    "escaped quote in a quoted string": (b'1;a="\\"; \\\\";b\r\nx\r\n' + END, b"x", [],
                                         b""),
    "white space in every place, RFC 9112 7.1.1": (
        b'1 ; a = b\t;\tc = "d" ; e\r\nx\r\n' + END, b"x", [], b""),
    "chunks of one byte": (b"1\r\na\r\n1\r\n1\r\n1\r\n\r\r\n1\r\n\n\r\n" + END,
                           b"a1\r\n", [], b""),
    "chunks of one byte among others": (
        b"1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n1\r\ne\r\n01\r\nf\r\n10\r\n" + b"g" * 16
        + b"\r\n1\r\nh\r\n" + END, b"abcdef" + b"g" * 16 + b"h", [], b""),
    "longest short chunk": (b"f\r\n" + b"a" * 15 + b"\r\nF\r\n" + b"b" * 15 + b"\r\n"
                            + END, b"a" * 15 + b"b" * 15, [], b""),
    "extension of the last chunk": (b"0;end\r\n\r\n", b"", [], b""),
    "longest line": (line_of(MAX_CHUNK_LINE) + b"a\r\n" + END, b"a", [], b""),
    "most extensions": (long_lines(32, MAX_EXTENSIONS // 32) + END, b"a" * 32, [], b""),
    "trailers": (b"1\r\nx\r\n0\r\nA: b\r\nc:\td \r\n\r\n", b"x",
                 [(b"A", b"b"), (b"c", b"d")], b""),
    "longest trailers": (b"0\r\n" + trailers_of(MAX_TRAILERS), b"",
                         [(b"X", b"y" * (MAX_TRAILERS - 7))], b""),
    "next request behind it": (b"1\r\nx\r\n" + END + b"GET / HTTP/1.1\r\n\r\n", b"x",
                               [], b"GET / HTTP/1.1\r\n\r\n"),
    "next request behind trailers": (b"0\r\nA: b\r\n\r\nGET", b"", [(b"A", b"b")],
                                     b"GET"),
    "an empty line behind it": (END + b"\r\n", b"", [], b"\r\n"),
}  # fmt: skip

# wire, payload before the fault, words of the message when fed whole
BAD = {
    "plus sign, aiohttp CVE-2023-47627": (b"+5\r\nhello\r\n", b"", "'+5"),
    "minus sign": (b"-1\r\n", b"", "'-1"),
    "0x, aiohttp CVE-2023-47627": (b"0x5\r\nhello\r\n", b"", "'0x5"),
    "underscore, aiohttp CVE-2023-47627": (b"1_0\r\n", b"", "'1_0"),
    "no digit": (b"\r\nhello", b"", "invalid chunk-size line"),
    "extension without a size": (b";a\r\n", b"", "';a"),
    "leading space": (b" 5\r\nhello\r\n", b"", "' 5"),
    "trailing space": (b"5 \r\nhello\r\n", b"", "'5 "),
    "no hex digit": (b"g\r\n", b"", "'g"),
    "digit of another script, CVE-2025-69224": (b"\xd9\xa5\r\n", b"", "invalid"),
    "size of 2^60": (b"1000000000000000\r\n", b"", "'1000000000000000"),
    "size of 2^64 + 5": (b"10000000000000005\r\nhello", b"", "'10000000000000005"),
    "zeros without end": (b"0" * 16 + b"\r\n\r\n", b"", "'0000000000000000"),
    "LF ends the size line, Go CVE-2025-22871": (b"5\nhello\r\n", b"", "'5"),
    "LF ends an extension": (b"5;a\nhello\r\n", b"", "'5;a"),
    "CR alone ends the size line": (b"5\rhello\r\n", b"", "'5"),
    "unterminated quoted string": (b'1;a="\r\nX\r\n', b"", "'1;a="),
    "a quoted string that ends with a backslash": (b'1;a="b\\\r\nX\r\n', b"", "'1;a="),
    "text behind a quoted string": (b'1;a="b"c\r\n', b"", "'1;a="),
    "quoted string as a name": (b'1;"a"\r\n', b"", "invalid"),
    "quote in a token": (b'1;a=b"c"\r\n', b"", "'1;a=b"),
    "obs-text outside a quoted string": (b"1;\xff\r\n", b"", "'1;"),
    "extension without a name": (b"1;\r\n", b"", "'1;"),
    "extension without a name before another": (b"1;;a\r\n", b"", "'1;;"),
    "extension without a value": (b"1;a=\r\n", b"", "'1;a="),
    "two values": (b"1;a=b=c\r\n", b"", "'1;a=b="),
    "two values, white space between": (b"1;a=b =c\r\n", b"", "'1;a=b ="),
    "value without a name": (b"1;=b\r\n", b"", "'1;="),
    "value without an extension": (b"1=b\r\n", b"", "'1=b"),
    "white space within a name": (b"1;a b\r\n", b"", "'1;a b"),
    "white space after an extension": (b"1;a \r\n", b"", "'1;a "),
    "short chunk with more data": (b"1\r\nab\r\n", b"a", "not followed"),
    "short chunk with less data": (b"2\r\na\r\n" + END, b"a\r", "not followed"),
    "NUL in an extension": (b"5;\0\r\nhello\r\n", b"", "'5;"),
    "CR in an extension": (b"5;a\rb\r\nhello\r\n", b"", "'5;a"),
    "line beyond the bound": (line_of(MAX_CHUNK_LINE + 1) + b"a\r\n", b"",
                              "chunk-size line exceeds the limit"),
    "line without an end": (b"1;" + b"x" * 5000, b"",
                            "chunk-size line exceeds the limit"),
    "many extensions, Go CVE-2023-39326": (
        long_lines(33, MAX_EXTENSIONS // 32), b"a" * 32,
        "chunk extensions exceed the limit"),
    "no CRLF after the data": (b"5\r\nhelloX", b"hello", "not followed by CRLF"),
    "LF after the data": (b"5\r\nhello\n0\r\n\r\n", b"hello", "not followed by CRLF"),
    "CR without LF after the data": (b"5\r\nhello\rX", b"hello", "not followed"),
    "more data than the size": (b"2\r\nabc\r\n", b"ab", "not followed by CRLF"),
    "less data than the size": (b"5\r\nabc\r\n0\r\n\r\n", b"abc\r\n", "not followed"),
    "good chunks, then a bad size": (b"1\r\na\r\n1\r\nb\r\nzz\r\n", b"ab", "'zz"),
    "CR and another byte after the last chunk": (b"0\r\n\rX", b"", "a CR without LF"),
    "CR CRLF after the last chunk": (b"0\r\n\r\r\n\r\n", b"", "a CR without LF"),
    "LF after the last chunk": (b"0\r\n\n", b"", "an LF without CR"),
    "LF ends a trailer": (b"0\r\nA: b\n", b"", "an LF without CR"),
    "LF LF ends the trailers": (b"0\r\nA: b\n\nGET / HTTP/1.1\r\n\r\n", b"",
                                "an LF without CR"),
    "trailer without a colon": (b"0\r\nA\r\n\r\n", b"", "without a colon: 'A'"),
    "folded trailer": (b"0\r\nA: b\r\n c\r\n\r\n", b"", "obsolete line folding"),
    "NUL in a trailer": (b"0\r\nA: \0\r\n\r\n", b"", "control byte 0x00"),
    "trailers exceed the limit": (b"0\r\n" + trailers_of(MAX_TRAILERS + 1), b"",
                                  "trailers exceed the limit"),
    "trailers without end, aiohttp CVE-2026-22815": (
        b"0\r\n" + b"X: y\r\n" * 5000, b"", "trailers exceed the limit"),
}  # fmt: skip

WIRES = [case[0] for case in GOOD.values()] + [case[0] for case in BAD.values()]


@pytest.mark.parametrize(
    ("wire", "payload", "trailers", "excess"), GOOD.values(), ids=GOOD
)
def test_a_well_formed_body_is_read_however_it_is_cut(
    wire: bytes, payload: bytes, trailers: Fields, excess: bytes
) -> None:
    expected = Outcome(payload, True, False, trailers, excess)
    assert outcome([wire]) == expected
    assert outcome(single(wire)) == expected
    for place in range(1, min(len(wire), 200)):
        assert outcome([wire[:place], wire[place:]]) == expected


@pytest.mark.parametrize(("wire", "payload", "words"), BAD.values(), ids=BAD)
def test_a_malformed_body_breaks_after_its_good_payload_however_it_is_cut(
    wire: bytes, payload: bytes, words: str
) -> None:
    expected = Outcome(payload, False, True, [], b"")
    assert outcome([wire]) == expected
    assert outcome(single(wire)) == expected
    for place in range(1, min(len(wire), 200)):
        assert outcome([wire[:place], wire[place:]]) == expected
    body = ChunkedBody()
    body.feed(wire)
    assert words in str(body.error)


@given(st.data())
def test_any_cut_gives_the_same_outcome(data: st.DataObject) -> None:
    wire = data.draw(st.sampled_from(WIRES))
    places = data.draw(st.sets(st.integers(0, len(wire))))
    assert outcome(cut(wire, places)) == outcome([wire])


SCRAPS = st.sampled_from(
    [b"1\r\na\r\n", b"2;x\r\nab\r\n", b"0\r\n", b"\r\n", b"\r", b"\n", b"A: b", b"5",
     b";", b" ", b"\0", b"z", b"X:\r\n", b"1\r\n", b"1\r\nb\r\n", b"=", b'"', b"\\"]
)  # fmt: skip


@given(st.lists(SCRAPS, max_size=8).map(b"".join), st.sets(st.integers(0, 40)))
@example(b"0\r\nA: b\r\r\n\r\n", {9})
@example(b"2 \r\nab\r\n", {2})
def test_any_cut_of_any_bytes_gives_the_same_outcome(
    wire: bytes, places: set[int]
) -> None:
    whole, apart = outcome([wire]), outcome(cut(wire, places & set(range(len(wire)))))
    assert apart == whole
    assert outcome(single(wire)) == whole


COMPLETIONS = [
    b"\n",
    b"\r\n",
    b"x\r\n",
    b'"\r\n',
    b'x"\r\n',
    b"1\r\n",
    b";x\r\n",
    b"1;x\r\n",
]


@given(st.text('1a;= "\\\t\r', max_size=12).map(str.encode))
@example(b'1;a="\\')
@example(b"1;a=b =")
def test_a_size_line_is_awaited_just_as_long_as_it_can_become_one(line: bytes) -> None:
    """RFC 9112 §7.1.1: a line is refused at the first byte that spoils it."""
    body = ChunkedBody()
    body.feed(line)
    can_become_one = any(CHUNK_LINE.fullmatch(line + each) for each in COMPLETIONS)
    assert (body.error is None) == can_become_one


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.lists(st.tuples(st.sampled_from([b"A", b"b-c"]), st.just(b"d e")), max_size=3),
    st.sets(st.integers(0, 400)),
)
def test_what_is_written_is_what_is_read(
    pieces: list[bytes], trailers: Fields, places: set[int]
) -> None:
    wire = b"".join(map(chunk, pieces)) + last_chunk(trailers)
    read = outcome(cut(wire, {place for place in places if place < len(wire)}))
    assert read == Outcome(b"".join(pieces), True, False, trailers, b"")


def test_payload_is_returned_in_the_feed_in_which_it_came() -> None:
    body = ChunkedBody()
    assert body.feed(b"5\r\nhe") == b"he"
    assert body.feed(b"llo") == b"llo"
    assert body.feed(b"\r\n3\r\nabc\r\n2\r\nd") == b"abcd"


def test_a_broken_body_yields_nothing_more() -> None:
    body = ChunkedBody()
    assert body.feed(b"1\r\na\r\nzz\r\n") == b"a"
    error = body.error
    assert error is not None
    assert body.feed(b"1\r\nb\r\n" + END) == b""
    assert (body.error, body.complete) == (error, False)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="in the size line"),
        pytest.param(b"1;", id="in an extension"),
        pytest.param(b"0\r\n", id="in the trailers"),
    ],
)
def test_what_waits_for_its_end_is_bounded(start: bytes) -> None:
    body = ChunkedBody()
    body.feed(start)
    for _ in range(MAX_TRAILERS + 10):
        body.feed(b"A")
        assert len(body.pending) < MAX_TRAILERS
    assert body.error is not None


@pytest.mark.parametrize(
    ("wire", "missing"),
    [
        pytest.param(b"", "the last chunk is missing", id="nothing came"),
        pytest.param(b"5\r\nhe", "the last chunk is missing", id="inside a chunk"),
        pytest.param(b"5\r\nhello\r\n", "the last chunk is missing", id="after one"),
        pytest.param(b"0\r\n", "the last chunk is missing", id="no empty line"),
        pytest.param(b"0\r\nA: b\r\n", "the last chunk is missing", id="in trailers"),
        pytest.param(END, None, id="complete"),
    ],
)
def test_an_early_end_says_what_is_missing(wire: bytes, missing: str | None) -> None:
    body = ChunkedBody()
    body.feed(wire)
    assert body.end() == missing


def test_an_empty_piece_is_no_chunk() -> None:
    """It would read as the last chunk and end the body."""
    with pytest.raises(ValueError, match="an empty piece cannot be sent as a chunk"):
        chunk(b"")


def test_chunks_on_the_wire() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert last_chunk([]) == END
    assert last_chunk([(b"A", b"b"), (b"C", b"")]) == b"0\r\nA: b\r\nC: \r\n\r\n"


def test_a_whole_chunk_is_known_by_its_length() -> None:
    lines = whole_chunk_lines(300)
    whole = {
        len(written): written for n in range(1, 300) if (written := chunk(b"x" * n))
    }
    told = {length: line for length, line in enumerate(lines) if line is not None}
    assert told.keys() == {length for length in whole if length <= 300}
    assert all(whole[length].startswith(line) for length, line in told.items())
    assert [lines[length] for length in (0, 5, 6, 20, 21, 22, 261, 262, 263)] == [
        *(None, None, b"1\r\n", b"f\r\n", None, b"10\r\n"),
        *(b"ff\r\n", None, b"100\r\n"),
    ]
