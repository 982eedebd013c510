"""path_rewrite: what the rules change, and what stays byte for byte."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.path_rewrite import compile_rules, rewrite_path, upstream_path


def rewritten(rules: dict[str, str], path: bytes) -> bytes:
    return rewrite_path(compile_rules(rules), path)


@pytest.mark.parametrize(
    ("rules", "path", "result"),
    [
        pytest.param({}, b"/sse/x", b"/sse/x", id="no rule"),
        pytest.param({"^/sse": ""}, b"/sse/x?y", b"/x?y", id="prefix taken off"),
        pytest.param({"^/sse": ""}, b"/sse", b"/", id="nothing left: the root"),
        pytest.param({"^/sse": ""}, b"/sse?y=1", b"/?y=1", id="only a query left"),
        pytest.param({"^/sse": ""}, b"/sse?", b"/?", id="only a bare ? left"),
        pytest.param({"^/sse/": ""}, b"/sse/x", b"/x", id="leading slash put back"),
        pytest.param({"^/sse": ""}, b"/sse//x", b"//x", id="two slashes kept"),
        pytest.param({"^/a": "/b"}, b"/a/a/a", b"/b/a/a", id="first match only"),
        pytest.param({"a": "b"}, b"/xaxa", b"/xbxa", id="no anchor: first match only"),
        pytest.param({"^/n": "/x"}, b"/a", b"/a", id="no match"),
        pytest.param({"^/n": "", "^/a": "/b"}, b"/a", b"/b", id="second rule matches"),
        pytest.param(
            {"^/a": "/b", "^/b": "/c"}, b"/a", b"/b", id="only one rule applies"
        ),
        pytest.param(
            {"^/a": "/first", "^/a/b": "/second"}, b"/a/b", b"/first/b", id="in order"
        ),
        pytest.param({"^/a$": "/b"}, b"/a", b"/b", id="anchor at the end"),
        pytest.param({r"\?.*$": ""}, b"/a?b=c", b"/a", id="the query is in the text"),
        pytest.param({"$": "?k=v"}, b"/a", b"/a?k=v", id="a query added"),
        pytest.param(
            {"^/a": "/a"}, b"/a/x", b"/a/x", id="a match that changes nothing"
        ),
        pytest.param({"(?i)^/SSE": ""}, b"/sse/x", b"/x", id="flag in the pattern"),
        pytest.param({"^/a": "*"}, b"/a", b"/*", id="a star is a path too"),
    ],
)
def test_the_first_rule_that_matches_applies_once(
    rules: dict[str, str], path: bytes, result: bytes
) -> None:
    assert rewritten(rules, path) == result


@pytest.mark.parametrize(
    ("replacement", "result"),
    [
        pytest.param("/$1", b"/one/x", id="$1"),
        pytest.param("/$01", b"/one/x", id="$01 is $1"),
        pytest.param("/$2/$1", b"/two/one/x", id="two groups"),
        pytest.param("/$<name>", b"/two/x", id="named group"),
        pytest.param("/b$&", b"/b/a/one/two/x", id="$& is the match"),
        pytest.param("/$$1", b"/$1/x", id="$$ is a dollar"),
        pytest.param("/$", b"/$/x", id="a dollar alone"),
        pytest.param("/$a", b"/$a/x", id="a dollar before a letter"),
        pytest.param("/$0", b"/$0/x", id="$0 is nothing in JavaScript"),
        pytest.param("/$00", b"/$00/x", id="nor is $00"),
        pytest.param("/$10", b"/ten/x", id="$10 with ten groups"),
        pytest.param("/$1a", b"/onea/x", id="a letter behind a group"),
        pytest.param("/$3", b"//x", id="a group that took no part is empty"),
        pytest.param(r"/\1\g<0>\n", rb"/\1\g<0>\n/x", id="backslashes are literal"),
    ],
)
def test_references_are_those_of_javascript(replacement: str, result: bytes) -> None:
    pattern = "^/a/(one)/(?P<name>two)(3)?()()()()()()(|ten)"
    path = b"/a/one/two/x"
    if replacement == "/$10":
        pattern, path = pattern.replace("(|ten)", "/(ten)"), b"/a/one/two/ten/x"
    assert rewritten({pattern: replacement}, path) == result


@pytest.mark.parametrize(
    ("replacement", "result"),
    [
        pytest.param("/你好", b"/%E4%BD%A0%E5%A5%BD/x", id="Chinese"),
        pytest.param("/é", b"/%C3%A9/x", id="in Latin-1, but as UTF-8"),
        pytest.param("/a b", b"/a%20b/x", id="space"),
        pytest.param("/a\r\nb\x7f", b"/a%0D%0Ab%7F/x", id="control characters"),
        pytest.param("/a#b", b"/a%23b/x", id="no fragment, RFC 9112 3.2"),
        pytest.param("/%20%zz%", b"/%20%zz%/x", id="percent signs stay"),
        pytest.param(
            "/!\"%&'()*+,-.:;<=>?@[]^_`{|}~",
            b"/!\"%&'()*+,-.:;<=>?@[]^_`{|}~/x",
            id="visible ASCII stays",
        ),
    ],
)
def test_a_replacement_is_percent_encoded_where_a_target_needs_it(
    replacement: str, result: bytes
) -> None:
    assert rewritten({"^/a": replacement}, b"/a/x") == result


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"/%2F%2f", id="encoded slashes"),
        pytest.param(b"//..//./", id="dots and slashes"),
        pytest.param(b"/%zz%", id="broken percent encoding"),
        pytest.param(b"/a+b?c=%20&&=", id="odd query"),
        pytest.param(b"/?", id="bare question mark"),
        pytest.param(b"/\xe4\xbd\xa0\xff\x80\xa0\xad", id="bytes of 0x80 and above"),
        pytest.param(b"/$1\\g<0>$&", id="what would be a reference"),
    ],
)
def test_what_no_rule_touches_stays_byte_for_byte(rest: bytes) -> None:
    assert rewritten({"^/sse": ""}, b"/sse" + rest) == rest
    assert rewritten({"^/sse": "/a"}, b"/sse" + rest) == b"/a" + rest
    assert rewritten({}, rest) == rest


VISIBLE = st.binary(max_size=30).map(lambda data: bytes(b for b in data if b > 0x20))


@given(VISIBLE)
def test_any_bytes_behind_a_prefix_stay_as_they_are(rest: bytes) -> None:
    assert rewritten({"^/sse": "/a"}, b"/sse" + rest) == b"/a" + rest


@pytest.mark.parametrize(
    ("base", "path", "result"),
    [
        pytest.param(b"", b"/sse/x", b"/x", id="a target without a path"),
        pytest.param(b"/v1", b"/sse/x?y", b"/v1/x?y", id="the target's path first"),
        pytest.param(b"/v1", b"/sse", b"/v1/", id="the target's root"),
        pytest.param(b"/v1", b"/other", b"/v1/other", id="no rule matches"),
        pytest.param(b"/v1", b"*", b"*", id="OPTIONS * has no path"),
        pytest.param(b"", b"*", b"*", id="OPTIONS *"),
    ],
)
def test_the_path_of_the_target_comes_first(
    base: bytes, path: bytes, result: bytes
) -> None:
    rules = compile_rules({"^/sse": "", "^[*]": "/no"})
    assert upstream_path(base, rules, path) == result


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        pytest.param("^/(", "", id="pattern that does not compile"),
        pytest.param("^/a", "/$1", id="group that does not exist"),
        pytest.param("^/(a)", "/$2", id="one group too far"),
        pytest.param("^/(a)", "/$<name>", id="name that does not exist"),
    ],
)
def test_a_wrong_rule_is_found_before_any_request(
    pattern: str, replacement: str
) -> None:
    with pytest.raises((re.error, IndexError)):
        compile_rules({pattern: replacement})
