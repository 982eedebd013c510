"""Single values in a head: of repeated fields, query parameters and cookies."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.head_values import cookie_values, field_values, query_values
from tests.unit.http1.heads import request


def test_each_value_of_a_repeated_field_is_kept_apart() -> None:
    head = request(b"X-A: 1, 2", b"Y: 3", b"x-a:", b"X-A: 4")
    assert field_values(head, b"x-a") == [b"1, 2", b"", b"4"]
    assert field_values(head, b"y") == [b"3"]
    assert field_values(head, b"x") == []


@pytest.mark.parametrize(
    ("query", "values"),
    [
        pytest.param(b"", [], id="no query"),
        pytest.param(b"?", [], id="empty query"),
        pytest.param(b"?id=a", [b"a"], id="one"),
        pytest.param(b"?id", [b""], id="without a value"),
        pytest.param(b"?id=", [b""], id="empty"),
        pytest.param(b"?id=a=b", [b"a=b"], id="an equals sign in the value"),
        pytest.param(b"?x=1&id=a&y=2", [b"a"], id="among others"),
        pytest.param(b"?id=a&&id=b", [b"a", b"b"], id="twice"),
        pytest.param(b"?xid=a&idx=b&ID=c&i=d", [], id="other names"),
        pytest.param(b"?x=id=a", [], id="the name in a value"),
        pytest.param(b"?id=a%20b+c%2Bd", [b"a b c+d"], id="encoded"),
        pytest.param(b"?%69d=a", [b"a"], id="an encoded name"),
        pytest.param(b"?id=%00%ff%zz%", [b"\x00\xff%zz%"], id="any byte"),
        pytest.param(b"?id=a;id=b", [b"a;id=b"], id="a semicolon separates nothing"),
        pytest.param(b"?id=a?id=b", [b"a?id=b"], id="a second question mark"),
    ],
)
def test_a_query_parameter_is_decoded_as_by_any_server(
    query: bytes, values: list[bytes]
) -> None:
    """WHATWG URL §5.1."""
    for target in (b"/a" + query, b"http://h/id=z" + query):
        assert query_values(target, b"id") == values


@given(
    st.lists(st.tuples(st.sampled_from(["id", "i d", "é"]), st.text())),
    st.sampled_from(["id", "i d", "é"]),
)
def test_what_a_page_encodes_is_read_again(
    pairs: list[tuple[str, str]], name: str
) -> None:
    query = urlencode(pairs, errors="surrogatepass").encode()
    expected = [
        value.encode("utf-8", "surrogatepass") for key, value in pairs if key == name
    ]
    assert query_values(b"/?" + query, name.encode()) == expected


@given(st.text(alphabet="id=&%+69?;a"))
def test_names_and_values_are_found_as_python_finds_them(query: str) -> None:
    theirs = [
        value.encode()
        for key, value in parse_qsl(query, keep_blank_values=True)
        if key == "id"
    ]
    ours = query_values(b"/?" + query.encode(), b"id")
    assert [value.decode("utf-8", "replace").encode() for value in ours] == theirs


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        pytest.param([], [], id="no cookie"),
        pytest.param([b"Cookie:"], [], id="empty"),
        pytest.param([b"Cookie: sid=a"], [b"a"], id="one"),
        pytest.param([b"cookie: x=1; sid=a; y=2"], [b"a"], id="among others"),
        pytest.param([b"Cookie: sid=a; sid=b"], [b"a", b"b"], id="the same name twice"),
        pytest.param([b"Cookie: sid=a", b"Cookie: sid=b"], [b"a", b"b"], id="crumbs"),
        pytest.param([b'Cookie: sid="a b"'], [b'"a b"'], id="quotes are of the value"),
        pytest.param([b'Cookie: x="1; sid=2"'], [b'2"'], id="and hide no semicolon"),
        pytest.param([b"Cookie: xsid=a; sidx=b; SID=c; si=d"], [], id="other names"),
        pytest.param([b"Cookie: x=sid=a"], [], id="the name in a value"),
        pytest.param([b"Cookie: sid=a=b"], [b"a=b"], id="an equals sign in the value"),
        pytest.param([b"Cookie: sid; x=1"], [], id="a cookie without a name"),
        pytest.param([b"Cookie: sid="], [b""], id="no value"),
        pytest.param([b"Cookie: x=1;\tsid =\ta "], [b"a"], id="white space"),
        pytest.param([b"Cookie: sid=\xff%61"], [b"\xff%61"], id="nothing is decoded"),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(
    lines: list[bytes], values: list[bytes]
) -> None:
    """RFC 6265 §4.2."""
    assert cookie_values(request(*lines), b"sid") == values
