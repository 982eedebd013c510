"""Names of kept streams: IDs, cursors, and the fingerprint of who asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import MalformedRequest
from proxy.http1.head import RequestHead
from proxy.policy.stream_identity import (
    MOST_ID_BYTES,
    EventId,
    byte_cursor,
    encoded_values,
    fingerprint,
    last_event_id,
    new_id,
    owner_of,
    parse_event_id,
    path_without_cursor,
    without_cursor,
)
from tests.unit.http1.heads import request

HEX = b"0123456789abcdef" * 2
ID = b"3-" + HEX
SECRET = b"s" * 64


def asked(query: bytes, *lines: bytes) -> RequestHead:
    return request(*lines, start=b"GET /events?%b HTTP/1.1" % query)


# -- without a cursor


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (b"/x", b"/x"),
        (b"/x?", b"/x?"),
        (b"/x?a=1&b", b"/x?a=1&b"),
        (b"/x?lastEventID=1", b"/x"),
        (b"/x?lastEventID", b"/x"),
        (b"/x?a=1&lastEventID=1&b=2", b"/x?a=1&b=2"),
        (b"/x?lastEventID=1&a=1&lastEventID=2", b"/x?a=1"),
        (b"/x?lastEventIDs=1", b"/x?lastEventIDs=1"),
        (b"/lastEventID=1", b"/lastEventID=1"),
    ],
)
def test_a_path_without_its_cursor_is_that_of_the_first_request(
    path: bytes, left: bytes
) -> None:
    assert path_without_cursor(path) == left


def test_a_request_without_its_cursor_is_the_first_one() -> None:
    first = request(b"Host: a", b"X: 1", start=b"GET /x HTTP/1.1")
    assert without_cursor(first) is first
    again = request(
        b"Host: a", b"Last-Event-ID: 5", b"X: 1", start=b"GET /x?lastEventID=5 HTTP/1.1"
    )
    found = without_cursor(again)
    assert (found.method, found.target) == (first.method, first.target)
    assert (found.fields, found.minor) == (first.fields, first.minor)
    assert last_event_id(found) is None


# -- IDs


def test_an_id_says_who_has_the_stream_and_cannot_be_guessed() -> None:
    ids = {new_id(worker) for worker in (0, 7, 7, 7, 12)}
    assert len(ids) == 5
    assert sorted(owner_of(id) or 0 for id in ids) == [0, 7, 7, 7, 12]
    assert all(re.fullmatch(rb"\d+-[0-9a-f]{32}", id) for id in ids)


@pytest.mark.parametrize(
    "id",
    [
        pytest.param(b"", id="empty"),
        pytest.param(HEX, id="no worker"),
        pytest.param(b"-" + HEX, id="an empty worker"),
        pytest.param(b"-3-" + HEX, id="a negative worker"),
        pytest.param(b"+3-" + HEX, id="a sign"),
        pytest.param(b"03-" + HEX, id="a leading zero: one ID, one spelling"),
        pytest.param(b"1234567-" + HEX, id="a worker that nobody has"),
        pytest.param(b"9" * 5000 + b"-" + HEX, id="a huge worker"),
        pytest.param(b"x-" + HEX, id="a worker that is not a number"),
        pytest.param(b"\xd9\xa3-" + HEX, id="a digit of another script"),
        pytest.param(ID.upper(), id="capitals"),
        pytest.param(ID[:-1], id="too short"),
        pytest.param(ID + b"0", id="too long"),
        pytest.param(ID[:-1] + b"g", id="not hexadecimal"),
        pytest.param(b" " + ID, id="a space before it"),
        pytest.param(ID + b"\n", id="a line feed behind it"),
        pytest.param(ID + b"\0", id="NUL"),
        pytest.param(ID + b".1", id="an event id"),
        pytest.param(ID.replace(b"-", b"%2D"), id="percent-encoded"),
        pytest.param(b"\xff" * 34, id="not UTF-8"),
    ],
)
def test_what_is_not_an_id_of_ours_has_no_owner(id: bytes) -> None:
    assert owner_of(id) is None
    assert parse_event_id(id + b".") is None
    if id != ID + b".1":
        assert parse_event_id(id + b".1") is None


@given(st.integers(0, 999_999), st.integers(1, 2**53))
def test_an_event_id_of_ours_is_read_again(worker: int, number: int) -> None:
    stream = new_id(worker)
    assert owner_of(stream) == worker
    assert parse_event_id(b"%b.%d" % (stream, number)) == EventId(stream, number)


NOT_NUMBERS = [
    pytest.param(b"", id="none"),
    pytest.param(b"0", id="zero: events count from one"),
    pytest.param(b"-1", id="negative"),
    pytest.param(b"+1", id="a sign"),
    pytest.param(b"007", id="leading zeros"),
    pytest.param(b"1.5", id="a fraction"),
    pytest.param(b"1e3", id="an exponent"),
    pytest.param(b"0x10", id="hexadecimal"),
    pytest.param(b"1_0", id="as Python writes it"),
    pytest.param(b"one", id="a word"),
    pytest.param(b"1 ,2", id="two"),
    pytest.param(b"\xd9\xa3", id="a digit of another script"),
    pytest.param(b"%31", id="percent-encoded"),
    pytest.param(b"1\xff", id="not UTF-8"),
    pytest.param(b"9007199254740993", id="2^53 + 1"),
    pytest.param(b"9" * 16, id="above 2^53"),
    pytest.param(b"9" * 900, id="huge"),
]


@pytest.mark.parametrize("number", NOT_NUMBERS)
def test_a_cursor_of_ours_that_is_not_valid_is_refused(number: bytes) -> None:
    value = b"%b.%b" % (ID, number)
    assert parse_event_id(value) is None
    quoted = value.replace(b"%", b"%25").replace(b"+", b"%2B").replace(b" ", b"%20")
    for head in (
        request(b"Last-Event-ID: " + value),
        asked(b"lastEventID=" + quoted),
    ):
        with pytest.raises(MalformedRequest, match="not a valid event id") as caught:
            last_event_id(head)
        assert caught.value.status == 400


# -- the last event of a client


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(ID + b".1", id="ours"),
        pytest.param(ID + b".9007199254740992", id="ours, 2^53"),
        pytest.param(b"42", id="a number"),
        pytest.param(b"-1", id="a negative number"),
        pytest.param(b"9" * MOST_ID_BYTES, id="as long as is allowed"),
        pytest.param(b"1700000000000-0", id="of a Redis stream"),
        pytest.param(ID, id="an ID without a dot, which could be a digest"),
        pytest.param(ID + b":7", id="another separator"),
        pytest.param(ID.upper() + b".x", id="capitals"),
        pytest.param(b"x" + ID + b".-1", id="an ID in the middle"),
        pytest.param(b'{"topic":"a, b"}', id="JSON with a comma"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param("日本".encode(), id="UTF-8"),
        pytest.param(b"a\tb", id="a tab"),
        pytest.param(b"%00", id="a percent sign in a field is one"),
    ],
)
def test_an_event_id_is_any_text_of_the_upstreams(value: bytes) -> None:
    assert last_event_id(request(b"last-event-id: " + value)) == value
    query = b"".join(b"%%%02x" % byte for byte in value)
    assert last_event_id(asked(b"a=b&lastEventID=" + query)) == value


@pytest.mark.parametrize(
    ("lines", "query", "value"),
    [
        pytest.param([], b"", None, id="neither"),
        pytest.param([b"Last-Event-ID: 1"], b"lastEventID=2", b"1", id="field wins"),
        pytest.param([b"Last-Event-ID:"], b"", None, id="an empty field"),
        pytest.param([b"Last-Event-ID:"], b"lastEventID=2", b"2", id="empty and query"),
        pytest.param([], b"lastEventID=", None, id="an empty parameter"),
        pytest.param([], b"lastEventID", None, id="without a value"),
        pytest.param([], b"lasteventid=2", None, id="case of the parameter counts"),
        pytest.param([], b"xlastEventID=2", None, id="another parameter"),
        pytest.param([], b"lastEvent%49D=2", b"2", id="an encoded name"),
        pytest.param(
            [b"Last-Event-ID: 1"], b"lastEventID=1&lastEventID=2", b"1", id="not judged"
        ),
        pytest.param([b"X-Last-Event-ID: 1"], b"", None, id="another field"),
    ],
)
def test_the_field_wins_over_the_query(
    lines: list[bytes], query: bytes, value: bytes | None
) -> None:
    assert last_event_id(asked(query, *lines)) == value


@pytest.mark.parametrize(
    ("lines", "query", "words"),
    [
        pytest.param(
            [b"Last-Event-ID: 1", b"last-event-id: 1"],
            b"",
            "Last-Event-ID was sent 2 times; send it once",
            id="field twice",
        ),
        pytest.param(
            [b"Last-Event-ID:", b"Last-Event-ID: 1"],
            b"",
            "Last-Event-ID was sent 2 times; send it once",
            id="once empty",
        ),
        pytest.param(
            [],
            b"lastEventID=1&lastEventID=1&lastEventID",
            "lastEventID was sent 3 times; send it once",
            id="parameter three times",
        ),
        pytest.param(
            [b"Last-Event-ID: " + b"x" * 1025],
            b"",
            "Last-Event-ID has 1025 bytes; at most 1024 are allowed",
            id="too long",
        ),
        pytest.param(
            [],
            b"lastEventID=" + b"%78" * 1025,
            "lastEventID has 1025 bytes; at most 1024 are allowed",
            id="too long when decoded",
        ),
        *(
            pytest.param(
                [], b"lastEventID=a" + byte, "contains a control character", id=id
            )
            for byte, id in (
                (b"%00", "NUL, which no event id has"),
                (b"%0d%0aX-Admin:%201", "a field of its own for the upstream"),
                (b"%0a", "LF"),
                (b"%1f", "another control character"),
                (b"%7f", "DEL"),
            )
        ),
    ],
)
def test_what_cannot_be_an_event_id_is_refused(
    lines: list[bytes], query: bytes, words: str
) -> None:
    with pytest.raises(MalformedRequest, match=re.escape(words)) as caught:
        last_event_id(asked(query, *lines))
    assert caught.value.status == 400


@given(st.binary(max_size=60), st.binary(max_size=60), st.booleans())
def test_any_query_has_a_verdict(before: bytes, after: bytes, ours: bool) -> None:
    value = (ID + b"." if ours else b"").join((before, after))
    query = b"from=%b&lastEventID=%b" % (after, value)
    head = RequestHead(b"GET", b"/?" + query, 1, [])
    for read in (last_event_id, byte_cursor):
        text = verdict(read, head)
        assert text.isprintable()  # shown in a log
        assert len(text) < 500


def verdict(read: Callable[[RequestHead], object], head: RequestHead) -> str:
    try:
        read(head)
    except MalformedRequest as error:
        return str(error)
    return "fine"


# -- from a byte on


@pytest.mark.parametrize(
    ("query", "position"),
    [
        pytest.param(b"", None, id="not asked for"),
        pytest.param(b"from=0", 0, id="the beginning"),
        pytest.param(b"from=17", 17, id="a byte"),
        pytest.param(b"a&from=17&b", 17, id="among others"),
        pytest.param(b"from=%31%37", 17, id="encoded"),
        pytest.param(b"from=" + b"0" * 100 + b"17", 17, id="leading zeros"),
        pytest.param(b"from=9223372036854775807", 2**63 - 1, id="2^63 - 1"),
        pytest.param(b"From=1&xfrom=2", None, id="other names"),
    ],
)
def test_a_position_is_a_number_of_bytes(query: bytes, position: int | None) -> None:
    assert byte_cursor(asked(query)) == position


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(b"from=", id="empty"),
        pytest.param(b"from", id="without a value"),
        pytest.param(b"from=-1", id="negative"),
        pytest.param(b"from=-0", id="negative zero"),
        pytest.param(b"from=%2B1", id="a sign"),
        pytest.param(b"from=+1", id="a space"),
        pytest.param(b"from=1%0a", id="a line feed behind it"),
        pytest.param(b"from=1%00", id="NUL"),
        pytest.param(b"from=1.0", id="a fraction"),
        pytest.param(b"from=1e3", id="an exponent"),
        pytest.param(b"from=0x10", id="hexadecimal"),
        pytest.param(b"from=1_0", id="as Python writes it"),
        pytest.param(b"from=%D9%A3", id="a digit of another script"),
        pytest.param(b"from=%FF", id="not UTF-8"),
        pytest.param(b"from=9223372036854775808", id="2^63"),
        pytest.param(b"from=" + b"9" * 8000, id="huge"),
        pytest.param(b"from=1&from=1", id="twice"),
        pytest.param(b"from=1&f%72om=2", id="twice, one encoded"),
    ],
)
def test_any_other_position_is_refused(query: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"^from(=| was sent 2 times)") as caught:
        byte_cursor(asked(query))
    assert caught.value.status == 400


# -- who asked

NAMES = ["Authorization", "Cookie", "cookie:sid"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([], [b"Authorization:"], id="absent, empty"),
        pytest.param([b"Authorization: a"], [b"Authorization: A"], id="case"),
        pytest.param([b"Authorization: a"], [b"Authorization: ab"], id="longer"),
        pytest.param(
            [b"Authorization: a, b"],
            [b"Authorization: a", b"Authorization: b"],
            id="a list, two fields",
        ),
        pytest.param(
            [b"Authorization: a", b"Authorization: b"],
            [b"Authorization: b", b"Authorization: a"],
            id="order",
        ),
        pytest.param(
            [b"Authorization: a"],
            [b"Authorization: a", b"Authorization: a"],
            id="once, twice",
        ),
        pytest.param([b"Authorization: a"], [b"Cookie: a"], id="in another field"),
        pytest.param([b"Cookie: sid=a"], [b'Cookie: sid="a"'], id="quotes"),
        pytest.param([b"Cookie: sid="], [b"Cookie: sidx="], id="prefix of a name"),
        pytest.param(
            [b"Cookie: sid=a; sid=b"], [b"Cookie: sid=b; sid=a"], id="cookie twice"
        ),
    ],
)
def test_another_value_is_another_client(one: list[bytes], other: list[bytes]) -> None:
    prints = [fingerprint(request(*lines), NAMES, SECRET) for lines in (one, other)]
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("names", "one", "other"),
    [
        pytest.param(
            ["authorization"],
            [b"Authorization: a", b"X: 1"],
            [b"X: 2", b"AUTHORIZATION: a"],
            id="case and place of a field",
        ),
        pytest.param(["Authorization"], [b"X: 1"], [], id="absent from both"),
        pytest.param([], [b"Authorization: a"], [b"Authorization: b"], id="no names"),
        pytest.param(
            ["Cookie"],
            [b"Cookie: a=1; b=2"],
            [b"Cookie: a=1", b"Cookie: b=2"],
            id="crumbs of HTTP/2, RFC 9113 8.2.3",
        ),
        pytest.param(
            ["cookie:sid"],
            [b"Cookie: sid=a; theme=dark"],
            [b"Cookie: theme=light; sid=a"],
            id="other cookies",
        ),
    ],
)
def test_the_same_values_are_the_same_client(
    names: list[str], one: list[bytes], other: list[bytes]
) -> None:
    prints = [fingerprint(request(*lines), names, SECRET) for lines in (one, other)]
    assert prints[0] == prints[1]


def test_the_names_count_but_not_their_case() -> None:
    head = request(b"A: 1", b"Cookie: A=1; a=1")
    assert fingerprint(head, ["A"], SECRET) == fingerprint(head, ["a"], SECRET)
    different = [["A"], ["cookie:A"], ["cookie:a"], ["A", "B"], ["B", "A"], []]
    assert len({fingerprint(head, names, SECRET) for names in different}) == 6


def test_a_fingerprint_shows_nothing_and_depends_on_the_secret() -> None:
    head = request(b"Authorization: Bearer abc")
    one, other = (fingerprint(head, ["Authorization"], key) for key in (SECRET, b"k"))
    assert one != other
    assert len(one) == 32
    assert b"abc" not in one


# Of few letters, which are names as well, so that one set often looks like another.
VALUES = st.lists(st.sampled_from([b"", b"a", b"b", b"1:a", b"ab"]), max_size=3)


@given(
    st.lists(st.sampled_from(["a", "b", "1:a", "ab"]), max_size=3, unique=True),
    st.lists(VALUES, min_size=3, max_size=3),
    st.lists(st.sampled_from(["a", "b", "1:a", "ab"]), max_size=3, unique=True),
    st.lists(VALUES, min_size=3, max_size=3),
)
def test_no_two_sets_of_values_have_the_same_encoding(
    names: list[str],
    values: list[list[bytes]],
    others: list[str],
    their_values: list[list[bytes]],
) -> None:
    sets = [
        tuple((name, tuple(each)) for name, each in zip(*pair, strict=False))
        for pair in ((names, values), (others, their_values))
    ]
    texts = [
        encoded_values(
            RequestHead(
                b"GET",
                b"/",
                1,
                [(name.encode(), value) for name, each in pairs for value in each],
            ),
            [name for name, _ in pairs],
        )
        for pairs in sets
    ]
    assert (texts[0] == texts[1]) is (sets[0] == sets[1])


def test_a_value_cannot_pass_for_a_name() -> None:
    one = encoded_values(request(b"A: b", b"A: x"), ["a"])
    assert one != encoded_values(request(b"B: x"), ["a", "b"])


def test_an_encoding_can_be_read_in_one_way_only() -> None:
    """Values that look like the encoding itself."""
    values = [
        [],
        [b""],
        [b"", b""],
        [b"0:"],
        [b"0:0:"],
        [b"1:b0;"],
        [b"x1:b1;1:x"],
        [b"x", b"1:x"],
        [b"x1:x"],
        [b"2;"],
    ]
    texts = sorted(
        encoded_values(
            RequestHead(b"GET", b"/", 1, [(b"a", each) for each in one]), ["a", "b"]
        )
        for one in values
    )
    assert all(one != other for one, other in pairwise(texts))
    assert not any(other.startswith(one) for one, other in pairwise(texts))
