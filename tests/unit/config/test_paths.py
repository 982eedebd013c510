from __future__ import annotations

import pytest

from proxy.config.paths import check_key_path, check_prefix, normal_path


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
    assert normal_path(prefix) == normal


@pytest.mark.parametrize(
    "path",
    [
        "/api/chat/{key}/stream",
        "/{key}",
        "/chat/{key}/",
        "/chat-{key}.sse",
        "/a/.{key}",
        "/%E4%BD%A0/{key}",
        "/_unbuffered-{key}",
    ],
)
def test_a_path_has_room_for_a_key(path: str) -> None:
    check_key_path(path)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("api/{key}", 'begins with "/", got "api/{key}"', id="no slash"),
        pytest.param("{key}", 'begins with "/"', id="key alone"),
        pytest.param("http://a/{key}", 'begins with "/"', id="an address"),
        pytest.param("/api/stream", "expected {key} exactly once", id="no key"),
        pytest.param("/api/:key", "expected {key} exactly once", id="Express"),
        pytest.param("/api/[key]", "expected {key} exactly once", id="Next.js"),
        pytest.param("/{key}/{key}", "expected {key} exactly once", id="two keys"),
        pytest.param("/{id}", "and no other placeholder", id="other placeholder"),
        pytest.param("/{user}/{key}", "no other placeholder", id="two placeholders"),
        pytest.param("/{{key}}", "no other placeholder", id="doubled braces"),
        pytest.param("/{key", "expected {key} exactly once", id="brace left open"),
        pytest.param("/{Key}", "expected {key} exactly once", id="upper case"),
        pytest.param("/a/*/{key}", "cannot contain wildcards", id="wildcard"),
        pytest.param("/a?id={key}", "cannot contain a query", id="query"),
        pytest.param("/{key}#a", "or fragment", id="fragment"),
        pytest.param("/a b/{key}", "cannot contain spaces", id="space"),
        pytest.param("/{key}\n", "or control characters", id="control character"),
        pytest.param("/你/{key}", '"/%E4%BD%A0/{key}"', id="not percent-encoded"),
        pytest.param("/a/../{key}", "cannot contain dot segments", id="two dots"),
        pytest.param("/%2e/{key}", "cannot contain dot segments", id="encoded dot"),
        pytest.param("/_unbuffered/{key}", "belong to the proxy", id="our own"),
    ],
)
def test_what_is_no_path_with_one_key_is_refused(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_key_path(path)
    assert words in str(caught.value)
