"""Heads that are not complete yet, and what reading a head may cost."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import MalformedRequest, ProxyError, VersionNotSupported
from proxy.http1 import chunked, framing, head
from proxy.http1.grammar import stray_byte
from proxy.http1.head import check_incomplete_request, parse_request_head
from tests.unit.http1.heads import request_bytes

# -- while the head is incomplete


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\tc\r\n", None, id="well-formed so far"),
        pytest.param(b"a\xff", None, id="obs-text may be fine"),
        pytest.param(b"a\r", None, id="CR may be half of CRLF"),
        pytest.param(b"a\rb", "a CR without LF at byte 1", id="CR"),
        pytest.param(b"a\r\r\n", "a CR without LF at byte 1", id="CR CRLF"),
        pytest.param(b"a\nb", "an LF without CR at byte 1", id="LF"),
        pytest.param(b"\n", "an LF without CR at byte 0", id="LF first"),
        pytest.param(b"ab\x1b[0m", "control byte 0x1b at byte 2", id="escape"),
        pytest.param(b"a\r\n\0\x01", "control byte 0x00 at byte 3", id="first of two"),
    ],
)
def test_a_stray_byte_is_named(data: bytes, words: str | None) -> None:
    assert stray_byte(data) == words


def test_a_search_from_the_middle_of_a_crlf_sees_both_bytes() -> None:
    """So that what was searched already need not be searched again."""
    assert stray_byte(b"a\r\nb", 2) is None
    assert stray_byte(b"a\r\nb\n", 2) == "an LF without CR at byte 4"


NASTY = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"A: b", b" ", b":", b"\0", b"\t", b"\xff"]
    ),
    max_size=8,
).map(b"".join)


@given(NASTY)
@example(b"A: b\r\n\r\r\n")
def test_what_is_called_stray_never_parses_however_it_goes_on(lines: bytes) -> None:
    data = request_bytes(lines)
    for cut in range(len(data)):
        if stray_byte(data[:cut]) is not None:
            with pytest.raises(MalformedRequest):
                parse_request_head(data)
            return


@given(st.lists(st.binary(min_size=1, max_size=6), max_size=4))
def test_what_parses_was_never_called_stray(values: list[bytes]) -> None:
    data = request_bytes(*[b"X: " + value for value in values])
    try:
        parse_request_head(data)
    except MalformedRequest:
        return
    for cut in range(len(data)):
        assert stray_byte(data[:cut]) is None


def refused_after(data: bytes, places: Iterable[int]) -> int | None:
    """How many bytes are here when an incomplete head that grows is refused."""
    seen = 0
    for place in [*sorted(places), len(data)]:
        try:
            check_incomplete_request(data[:place], seen)
        except ProxyError:
            return place
        seen = place
    return None


@pytest.mark.parametrize(
    ("data", "place"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nA: b\r\nC", None, id="well-formed so far"),
        pytest.param(b"G(T / HTTP/1.1", None, id="the line may still be anything"),
        pytest.param(b"GET / HTTP/9.9\r", None, id="CR may be half of CRLF"),
        pytest.param(b"GET /\r\nA: b", 7, id="the line is complete and bad"),
        pytest.param(b"GET / HTTP/2.0\r\nA: b", 16, id="or of another version"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\nC", 21, id="bare LF"),
        pytest.param(b"GET / HTTP/1.1\r\nA: b\rC", 22, id="bare CR"),
        pytest.param(b"GET / HTTP/1.1\r\nA: \0b", 20, id="NUL"),
        pytest.param(b"\r\nGET", 2, id="an empty request line"),
        pytest.param(b"\x16\x03\x01", 1, id="TLS"),
    ],
)
def test_a_head_is_refused_with_the_byte_that_spoils_it(
    data: bytes, place: int | None
) -> None:
    assert refused_after(data, range(1, len(data))) == place
    assert (refused_after(data, []) is None) is (place is None)


def test_another_version_gets_its_own_status_even_here() -> None:
    with pytest.raises(VersionNotSupported):
        check_incomplete_request(b"GET / HTTP/2.0\r\n", 0)


@given(NASTY, st.sets(st.integers(1, 40)))
@example(b"A: b\n", {22})
@example(b"A: b\rB", {21, 22})
@example(b"A\r\r\nB", {19})
def test_what_was_looked_at_before_is_not_needed_again(
    lines: bytes, places: set[int]
) -> None:
    data = request_bytes(lines)[:-4]
    earlier = refused_after(data, {place for place in places if place < len(data)})
    assert (earlier is None) is (refused_after(data, []) is None)
    if earlier is not None:
        with pytest.raises(MalformedRequest):
            parse_request_head(data + b"\r\n\r\n")


# -- cost


def repeats(parsed: object) -> Iterator[tuple[str, object]]:
    """Each repetition in a parsed regular expression: how, and up to how often."""
    if isinstance(parsed, tuple) and len(parsed) == 2 and isinstance(parsed[1], tuple):
        name, content = str(parsed[0]), parsed[1]
        if name.endswith("_REPEAT"):
            yield name, content[1]
    parts = getattr(parsed, "data", parsed)
    if isinstance(parts, (list, tuple)):
        for part in parts:
            yield from repeats(part)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")
        for module in (head, chunked, framing)
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    ],
)
def test_no_input_makes_a_pattern_backtrack_far(pattern: re.Pattern[bytes]) -> None:
    """A repetition without an end is possessive; the others end within 20."""
    parser = importlib.import_module("re._parser")
    for name, most in repeats(parser.parse(pattern.pattern)):
        if name != "POSSESSIVE_REPEAT":
            assert isinstance(most, int)
            assert most <= 20


def test_the_search_for_repetitions_finds_them() -> None:
    parser = importlib.import_module("re._parser")
    found = dict(repeats(parser.parse(rb"((?:a|b*)c){1,3}(?:d++)?(e|f+?)")))
    assert set(found) == {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
    assert len(list(repeats(parser.parse(rb"((?:a|b*)c){1,3}(?:d++)?(e|f+?)")))) == 5
