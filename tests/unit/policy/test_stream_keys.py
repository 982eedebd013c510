"""What names a stream to its application: in a head, a body, or a path."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.stream_identity import (
    KeyPath,
    KeyPaths,
    key_of_body,
    key_of_head,
)
from tests.unit.http1.heads import request

# -- in a head


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        pytest.param([b"X-Chat: a"], b"a", id="one"),
        pytest.param([b"x-CHAT: a, b"], b"a, b", id="a comma is of the key"),
        pytest.param([b"X-Chat: %61"], b"%61", id="nothing is decoded"),
        pytest.param([b"X-Chat: \xff"], b"\xff", id="not UTF-8"),
        pytest.param([b"X-Chat: " + b"k" * 1024], b"k" * 1024, id="long"),
        pytest.param([b"X-Chat: " + b"k" * 1025], None, id="too long"),
        pytest.param([b"X-Chat:"], None, id="empty"),
        pytest.param([], None, id="absent"),
        pytest.param([b"X-Chat: a", b"X-Chat: a"], None, id="twice"),
        pytest.param([b"X-Chat-Id: a", b"Chat: a"], None, id="other fields"),
    ],
)
def test_a_field_has_the_key(lines: list[bytes], key: bytes | None) -> None:
    assert key_of_head(request(*lines), "header:X-Chat") == key


@pytest.mark.parametrize(
    ("query", "key"),
    [
        pytest.param(b"id=a", b"a", id="one"),
        pytest.param(b"id=a%2Fb%20c+d", b"a/b c d", id="decoded"),
        pytest.param(b"id=%00%FF", b"\x00\xff", id="any byte"),
        pytest.param(b"id=" + b"%6b" * 1024, b"k" * 1024, id="long"),
        pytest.param(b"id=" + b"%6b" * 1025, None, id="too long"),
        pytest.param(b"id=", None, id="empty"),
        pytest.param(b"x=a", None, id="absent"),
        pytest.param(b"id=a&id=a", None, id="twice"),
        pytest.param(b"id=a&%69d=b", None, id="twice, one encoded"),
    ],
)
def test_a_query_parameter_has_the_key(query: bytes, key: bytes | None) -> None:
    head = request(start=b"GET /chat?%b HTTP/1.1" % query)
    assert key_of_head(head, "query:id") == key


def test_the_key_of_a_body_is_not_in_a_head() -> None:
    head = request(b"id: a", start=b"GET /?id=a HTTP/1.1")
    assert key_of_head(head, "body:id") is None


# -- in a body


@pytest.mark.parametrize(
    ("body", "key"),
    [
        pytest.param(b'{"id":"a"}', b"a", id="a string"),
        pytest.param(b' \r\n{ "id" \t:\n"a" } ', b"a", id="white space"),
        pytest.param(b'{"x":[{"id":"b"}],"id":"a","y":1}', b"a", id="among others"),
        pytest.param(b'{"\\u0069d":"a"}', b"a", id="an escape in the name"),
        pytest.param(b'{"i\\u0064":"a"}', b"a", id="another one"),
        pytest.param(b'{"id":"\\u00e9\\n"}', b"\xc3\xa9\n", id="escapes in the value"),
        pytest.param('{"id":"日"}'.encode(), "日".encode(), id="UTF-8"),
        pytest.param(b'{"id":"\\ud83d\\ude00"}', "😀".encode(), id="two surrogates"),
        pytest.param(b'\xef\xbb\xbf{"id":"a"}', b"a", id="a byte order mark"),
        pytest.param(b'{"id":42}', b"42", id="an integer"),
        pytest.param(b'{"id":-7}', b"-7", id="a negative one"),
        pytest.param(b'{"id":0}', b"0", id="zero"),
        pytest.param(b'{"id":-0}', b"0", id="negative zero, as JavaScript writes it"),
        pytest.param(b'{"id":%b}' % (b"9" * 1024), b"9" * 1024, id="a huge integer"),
        pytest.param(b'{"id":"%b"}' % (b"k" * 1024), b"k" * 1024, id="long"),
        pytest.param(b'{"id":"a","id":"b"}', b"b", id="twice: the last, RFC 8259 4"),
        pytest.param(b'{"id":null,"id":"b"}', b"b", id="first of another kind"),
        pytest.param(
            b'{"n":%b,"id":"a"}' % (b"9" * 9999), b"a", id="behind a huge one"
        ),
        pytest.param(b'{"n":1e999,"id":"a"}', b"a", id="behind an infinite one"),
        pytest.param(b'{"id":"a",5:1}', b"a", id="before a name that is not one"),
        pytest.param(b'{"id":"a"} and more', b"a", id="something behind the object"),
    ],
)
def test_a_member_of_a_json_object_has_the_key(body: bytes, key: bytes) -> None:
    assert key_of_body(body, "id") == key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b'{"x":1}', id="other members"),
        pytest.param(b'{"ID":"a","idx":"a"," id":"a"}', id="other names"),
        pytest.param(b'{"x":{"id":"a"}}', id="in an object inside"),
        pytest.param(b'{"x":[{"id":"a"}],"y":{"z":{"id":"a"}}}', id="further inside"),
        pytest.param(b'[{"id":"a"}]', id="in a list"),
        pytest.param(b'"id"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"{\\"id\\":\\"a\\"}"', id="JSON in a string"),
        pytest.param(b'{"x":"\\",\\"id\\":\\"a\\""}', id="in a string with quotes"),
        pytest.param(b'{"id":""}', id="an empty string"),
        pytest.param(b'{"id":"%b"}' % (b"k" * 1025), id="too long"),
        pytest.param(b'{"id":"%s"}' % ("é" * 513).encode(), id="in bytes"),
        pytest.param(b'{"id":%b}' % (b"9" * 1025), id="an integer that is too long"),
        pytest.param(b'{"id":%b}' % (b"9" * 9999), id="one that Python does not read"),
        pytest.param(b'{"id":null}', id="the value null"),
        pytest.param(b'{"id":true}', id="true, which is 1 in Python"),
        pytest.param(b'{"id":false}', id="false"),
        pytest.param(b'{"id":1.0}', id="a fraction"),
        pytest.param(b'{"id":1e2}', id="an exponent"),
        pytest.param(b'{"id":NaN}', id="not a number"),
        pytest.param(b'{"id":-Infinity}', id="infinite"),
        pytest.param(b'{"id":["a"]}', id="a list"),
        pytest.param(b'{"id":{"id":"a"}}', id="an object"),
        pytest.param(b'{"id":"a","id":null}', id="twice: the last is null"),
        pytest.param(b'{"id":"\\ud800"}', id="half of a surrogate pair"),
        pytest.param(b'{"id":"\\udcff"}', id="the other half"),
        pytest.param(b"{'id':'a'}", id="single quotes"),
        pytest.param(b'{id:"a"}', id="a name without quotes"),
        pytest.param(b'{"id"="a"}', id="an equals sign"),
        pytest.param('{"id"\u00a0:"a"}'.encode(), id="another white space"),
        pytest.param(b'{"x":1 "id":"a"}', id="a comma is missing"),
        pytest.param(b'{"x":"\n","id":"a"}', id="a control character in a string"),
        pytest.param(b'{"x":"\xff","id":"a"}', id="behind bytes that are not UTF-8"),
        pytest.param(b'{"id":"a\xff"}', id="not UTF-8"),
        pytest.param(b'\xff\xfe{\x00"\x00i\x00', id="UTF-16"),
        pytest.param(b'{"x":' + b"[" * 100_000, id="as deep as nobody reads"),
        pytest.param(b"id=a", id="a form"),
        pytest.param(bytes(range(256)), id="anything"),
    ],
)
def test_anything_else_is_not_a_key(body: bytes) -> None:
    assert key_of_body(body, "id") is None


@pytest.mark.parametrize(
    ("body", "key"),
    [
        pytest.param(b'{"id":"a","messages":[{"x":"', b"a", id="behind it"),
        pytest.param(b'{"id":"a",', b"a", id="at a comma"),
        pytest.param(b'{"id":"a"', b"a", id="at its last quote"),
        pytest.param(b'{"id":"a', None, id="in a string"),
        pytest.param(b'{"id":"a\\', None, id="in an escape"),
        pytest.param(b'{"id":"\\u00', None, id="in a longer one"),
        pytest.param(b'{"id":"\xc3', None, id="in a character"),
        pytest.param(b'{"id":"a","x":"\xe6\x97', b"a", id="in a later character"),
        pytest.param(b'{"id":12', None, id="in an integer, perhaps"),
        pytest.param(b'{"id":12.', None, id="in a fraction"),
        pytest.param(b'{"id":12e', None, id="in an exponent"),
        pytest.param(b'{"id":-', None, id="in a sign"),
        pytest.param(b'{"id":12 ', b"12", id="behind an integer"),
        pytest.param(b'{"id":12,', b"12", id="at the comma behind it"),
        pytest.param(b'{"id":nul', None, id="in a word"),
        pytest.param(b'{"id":', None, id="before the value"),
        pytest.param(b'{"id"', None, id="before the colon"),
        pytest.param(b'{"x":{"id":"a"', None, id="in an object inside"),
        pytest.param(b'{"id":"a","id":"b', b"a", id="in the second one"),
    ],
)
def test_a_body_that_is_cut_is_read_as_far_as_it_goes(
    body: bytes, key: bytes | None
) -> None:
    assert key_of_body(body, "id") == key


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8")),
    lambda each: (
        st.lists(each) | st.dictionaries(st.sampled_from(["id", "x", ""]), each)
    ),
    max_leaves=10,
)


def expected_key(value: object) -> bytes | None:
    """The key in a value that a whole body has, as another parser reads it."""
    if not isinstance(value, dict):
        return None
    found = value.get("id")
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found).encode() or None


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_a_whole_body_has_the_key_that_its_json_has(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert key_of_body(body, "id") == expected_key(value)


@given(JSON, st.integers(min_value=0))
def test_a_cut_never_makes_another_key_of_it(value: Any, cut: int) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    assert key_of_body(body[:cut], "id") in (None, expected_key(value))


@given(st.binary() | st.text(alphabet='{}[]":,id \\u0e-1.a').map(str.encode))
def test_any_body_has_a_verdict(body: bytes) -> None:
    key_of_body(body, "id")


# -- in a path

PATHS = KeyPaths(
    [
        ("/api", b"path", "/api/chat/{key}/stream"),
        ("/api", b"stop", "/api/chat/{key}/stop"),
        ("/last", b"path", "/last/{key}"),
        ("/last/", b"stop", "/last/{key}/"),
        ("/first", b"path", "/{key}/x/y"),
        ("/in", b"path", "/in/{key}"),
        ("/in", b"path", "/in/chat-{key}.json"),
        ("/in", b"stop", "/in/chat-{key}.json.stop"),
        ("/off", b"path", ""),
        ("/%7Euser", b"path", "/%7Euser/{key}"),
        ("/ü", b"path", "/ü/{key}"),
    ]
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param(b"/api/chat/a/stream", ("/api", b"path", b"a"), id="path"),
        pytest.param(b"/api/chat/a/stop", ("/api", b"stop", b"a"), id="stop"),
        pytest.param(b"/api/chat/a/stop?b/c", ("/api", b"stop", b"a"), id="query"),
        pytest.param(b"/last/a", ("/last", b"path", b"a"), id="at the end"),
        pytest.param(b"/last/a/", ("/last/", b"stop", b"a"), id="a slash behind it"),
        pytest.param(b"/a/x/y", ("/first", b"path", b"a"), id="at the beginning"),
        pytest.param(b"/in/chat-a.json", ("/in", b"path", b"a"), id="in a segment"),
        pytest.param(
            b"/in/chat-a.json.stop", ("/in", b"stop", b"a"), id="the longer one"
        ),
        pytest.param(
            b"/in/chat-.json", ("/in", b"path", b"chat-.json"), id="a key is not empty"
        ),
        pytest.param(b"/in/chat-", ("/in", b"path", b"chat-"), id="half of it"),
        pytest.param(b"/last/a%2Fb", ("/last", b"path", b"a/b"), id="a slash in it"),
        pytest.param(b"/last/a%2fb%3F", ("/last", b"path", b"a/b?"), id="encoded"),
        pytest.param(b"/last/a+b", ("/last", b"path", b"a+b"), id="a plus is a plus"),
        pytest.param(b"/last/%zz%", ("/last", b"path", b"%zz%"), id="half encoded"),
        pytest.param(b"/last/%00%ff", ("/last", b"path", b"\0\xff"), id="any byte"),
        pytest.param(b"/last/..", ("/last", b"path", b".."), id="dots are a key"),
        pytest.param(b"/%7Euser/a", ("/%7Euser", b"path", b"a"), id="as in routes"),
        pytest.param(
            "/ü/a".encode(), ("/ü", b"path", b"a"), id="compared as UTF-8"
        ),
    ],
)  # fmt: skip
def test_a_path_has_the_key_where_the_template_has_it(
    path: bytes, found: tuple[str, bytes, bytes]
) -> None:
    assert PATHS.match(path) == KeyPath(*found)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"*", id="OPTIONS *"),
        pytest.param(b"/", id="the root"),
        pytest.param(b"/api/chat/a", id="shorter"),
        pytest.param(b"/api/chat/a/stream/", id="a slash more"),
        pytest.param(b"/api/chat/a/b/stream", id="a slash in the key"),
        pytest.param(b"/api/chat//stream", id="an empty key"),
        pytest.param(b"/last/", id="an empty key at the end"),
        pytest.param(b"/last/?a", id="an empty key and a query"),
        pytest.param(b"/api/chat/a/Stream", id="case counts"),
        pytest.param(b"/api/chat/a/streams", id="a longer segment"),
        pytest.param(b"/api/chat/a/strea%6d", id="the same letter, encoded"),
        pytest.param(b"/~user/a", id="the same path, decoded"),
        pytest.param(b"/x/api/chat/a/stream", id="in the middle"),
        pytest.param(b"/?/api/chat/a/stream", id="in the query"),
        pytest.param(b"/off", id="an empty template"),
        pytest.param(b"/last/" + b"k" * 1025, id="too long"),
        pytest.param(b"/" * 60_000, id="nothing but slashes"),
    ],
)
def test_any_other_path_has_none(path: bytes) -> None:
    assert PATHS.match(path) is None


@given(st.binary(min_size=1, max_size=20))
def test_any_key_comes_back_from_its_path(key: bytes) -> None:
    path = b"/api/chat/%b/stream" % quote(key, safe="").encode()
    assert PATHS.match(path) == KeyPath("/api", b"path", key)


def test_a_path_is_not_compared_with_every_route() -> None:
    """By the number of its segments and by all but one of them, it is found at once."""
    many = KeyPaths(
        (f"/r{number}", b"path", f"/r{number}/{{key}}/stream") for number in range(1000)
    )
    assert many.match(b"/r999/a/stream") == KeyPath("/r999", b"path", b"a")
    assert len(many.shapes) == 1
    assert sum(map(len, many.shapes.values())) == 1
    assert {len(segments) for segments in many.table.values()} == {1}
