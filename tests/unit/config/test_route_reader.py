from __future__ import annotations

import pytest

from proxy.config.route_reader import check_prefix, check_rule, normal_prefix
from proxy.policy.path_rewrite import compile_rules


@pytest.mark.parametrize(
    "prefix", ["/", "/sse", "/a/b", "/a//b", "/%E4%BD%A0", "/a.b/..c", "/~u/$1;v=1@x:y"]
)
def test_a_path_is_a_prefix(prefix: str) -> None:
    check_prefix(prefix)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        pytest.param("", 'write "/"', id="empty"),
        pytest.param("sse", 'write "/sse"', id="slash forgotten"),
        pytest.param("^/api", 'write "/api"', id="regular expression of Vite"),
        pytest.param("/sse/", 'write "/sse"', id="ends in a slash"),
        pytest.param("//", 'write "/"', id="slashes only"),
        pytest.param("/api/**", "cannot contain wildcards", id="wildcard of webpack"),
        pytest.param("/a?b", "cannot contain a query", id="question mark"),
        pytest.param("/a#b", "or fragment", id="fragment"),
        pytest.param("/a b", "cannot contain spaces", id="space"),
        pytest.param("/a\tb", "or control characters", id="control character"),
        pytest.param("/你", '"/%E4%BD%A0"', id="not percent-encoded"),
        pytest.param("/100%", '"/100%25"', id="percent sign alone"),
        pytest.param("/a\\b", '"/a%5Cb"', id="backslash"),
        pytest.param("/a/../b", "cannot contain dot segments", id="two dots"),
        pytest.param("/a/.", "cannot contain dot segments", id="one dot"),
        pytest.param(
            "/%2e%2E/b", "cannot contain dot segments", id="dots percent-encoded"
        ),
    ],
)
def test_what_no_request_can_match_is_refused(prefix: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_prefix(prefix)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "normal"),
    [
        pytest.param("/%73se", "/sse", id="unreserved characters are decoded"),
        pytest.param("/%e4%bd", "/%E4%BD", id="hexadecimal digits in upper case"),
        pytest.param("/a%2fb", "/a%2Fb", id="an encoded slash is no slash"),
    ],
)
def test_equal_paths_have_one_form(prefix: str, normal: str) -> None:
    """RFC 3986 §6.2.2"""
    assert normal_prefix(prefix) == normal


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        pytest.param("^/sse", "", id="strip a prefix"),
        pytest.param("^/(a)(b)", "/$2$1", id="numbered groups"),
        pytest.param("(?P<v>a)", "$<v>$1", id="named group"),
        pytest.param("a|b", "$&$$", id="match and dollar"),
        pytest.param("", "/x", id="empty pattern"),
        pytest.param("(?i)^/SSE", "", id="flag at the start"),
        pytest.param("a", "$ $x \\ 你", id="dollars and others by themselves"),
    ],
)
def test_rules_that_pass_also_compile(pattern: str, replacement: str) -> None:
    check_rule(pattern, replacement)
    compile_rules({pattern: replacement})


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        pytest.param("(a", "", "is not valid: missing )", id="bracket left open"),
        pytest.param("(?<v>a)", "", "write a named group as (?P<name>…)",
                     id="named group of JavaScript"),
        pytest.param("[[a]", "", "is not valid: Possible", id="ambiguous set"),
        pytest.param("a{9999999999999}", "", "is not valid", id="repeat too large"),
        pytest.param("a", "$1", "$1 in the replacement: the pattern has no groups",
                     id="no group at all"),
        pytest.param("(a)(?P<n>b)", "$3", "the pattern has only $1, $<n>",
                     id="too few groups"),
        pytest.param("(a)", "$10", "$10 in the replacement", id="two digits"),
        pytest.param("(?P<n>a)", "$<m>", "$<m> in the replacement", id="other name"),
        pytest.param("(a)", r"\1", "write $1", id="reference of Python"),
        pytest.param("(?P<n>a)", r"\g<n>", "write $<n>", id="named, of Python"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_apply_is_refused(
    pattern: str, replacement: str, words: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_rule(pattern, replacement)
    assert words in str(caught.value)
