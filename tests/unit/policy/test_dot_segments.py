"""Dot segments that would leave a route, under every reading an upstream may have."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import MalformedRequest
from proxy.policy.dot_segments import MAX_DECODED, check_path, leaves_prefix, readings
from proxy.policy.path_rewrite import check_rewritten, compile_rules
from proxy.policy.routing import Router

ROUTER = Router({"/sse": "/sse", "/sse/deep": "/sse/deep"})
ROOT = Router({"/": "/"})

LEAVES = [
    pytest.param(b"/..", id="plain"),
    pytest.param(b"/../", id="with a slash behind it"),
    pytest.param(b"/../admin", id="with a path behind it"),
    pytest.param(b"/../sse/x", id="and comes back"),
    pytest.param(b"/a/../..", id="one level further than it came"),
    pytest.param(b"/a/../../b/c", id="and goes down elsewhere"),
    pytest.param(b"/./..", id="a single dot is no level"),
    pytest.param(b"//..", id="an empty segment is no level: slashes get merged"),
    pytest.param(b"/a//../..", id="nor is one in the middle"),
    pytest.param(b"/%2e%2e/admin", id="encoded, RFC 3986 6.2.2.2"),
    pytest.param(b"/%2E%2E", id="encoded in capitals"),
    pytest.param(b"/.%2e/", id="second dot encoded"),
    pytest.param(b"/%2e./", id="first dot encoded"),
    pytest.param(b"/%252e%252e/", id="encoded twice"),
    pytest.param(b"/.%252E/", id="half of it, twice"),
    pytest.param(b"/%25252e%25252e/", id="encoded three times"),
    pytest.param(b"/%%32%65%%32%65/", id="the code itself encoded"),
    pytest.param(b"/%2%65%2%65/", id="half of the code encoded"),
    pytest.param(b"/..%2fadmin", id="before an encoded slash"),
    pytest.param(b"/..%2Fadmin", id="in capitals"),
    pytest.param(b"/a%2f..%2f..", id="between encoded slashes"),
    pytest.param(b"/..%252fadmin", id="before a slash encoded twice"),
    pytest.param(b"/%2f..", id="an encoded slash is no level by itself"),
    pytest.param(b"/a%2fb/../..", id="an encoded slash may be a letter"),
    pytest.param(b"/a%252fb%2f..%2f..", id="and be one only after decoding once"),
    pytest.param(b"/..\\admin", id="before a backslash"),
    pytest.param(b"/\\..\\..", id="between backslashes"),
    pytest.param(b"/a\\..\\..", id="one level further than it came"),
    pytest.param(b"/a\\b/../..", id="a backslash may be a letter"),
    pytest.param(b"/..%5cadmin", id="before an encoded backslash"),
    pytest.param(b"/..%5Cadmin", id="in capitals"),
    pytest.param(b"/%2e%2e%255cadmin", id="before one encoded twice"),
    pytest.param(b"/a%2fb%5c..%5c..", id="encoded slash kept, backslash decoded"),
    pytest.param(b"/..;/admin", id="with an empty parameter"),
    pytest.param(b"/..;a=b/admin", id="with a parameter, Tomcat"),
    pytest.param(b"/..;a;b/", id="with two"),
    pytest.param(b"/..%3bx/", id="with an encoded semicolon"),
    pytest.param(b"/%2e%2e;x%2f", id="everything at once"),
    pytest.param(b"/;x/..", id="a parameter alone is no level"),
    pytest.param(b"/a;x/..;y/..;z", id="parameters everywhere"),
    pytest.param(b"/..%00/", id="a NUL ends the text"),
    pytest.param(b"/..%00.txt", id="and what stands behind it"),
]
STAYS = [
    pytest.param(b"", id="the prefix itself"),
    pytest.param(b"/", id="with a slash"),
    pytest.param(b"/a/..", id="back to the prefix"),
    pytest.param(b"/a/../", id="with a slash behind it"),
    pytest.param(b"/a/b/../../c", id="down and up"),
    pytest.param(b"/.", id="a single dot"),
    pytest.param(b"/./a/.", id="several"),
    pytest.param(b"/%2e", id="encoded"),
    pytest.param(b"/...", id="three dots"),
    pytest.param(b"/..a", id="dots and a letter"),
    pytest.param(b"/a..", id="a letter and dots"),
    pytest.param(b"/..%20", id="dots and a space"),
    pytest.param(b"/a..b/..c", id="dots within names"),
    pytest.param(b"/.well-known/x", id="one leading dot"),
    pytest.param(b"/%2e%2e%2e", id="three encoded dots"),
    pytest.param(b"/a%2f..%2fb", id="encoded slashes, down and up"),
    pytest.param(b"/a\\..\\b", id="backslashes, down and up"),
    pytest.param(b"/a;x/..;y", id="parameters, down and up"),
    pytest.param(b"/a;/..", id="a name with an empty parameter"),
    pytest.param(b"/a;x=..", id="dots in a parameter"),
    pytest.param(b"/a/b%2fc/..", id="one level up of two"),
    pytest.param(b"/%", id="a stray percent sign"),
    pytest.param(b"/%zz..", id="an invalid code"),
    pytest.param(b"/%00", id="a NUL"),
    pytest.param(b"/%25", id="an encoded percent sign"),
    pytest.param(b"/%2525252525252e", id="a dot, encoded often"),
    pytest.param(b"/%c0%ae%c0%ae/", id="overlong UTF-8 is no dot"),
    pytest.param(b"/\xff\xfe/a", id="no UTF-8"),
    pytest.param(b"//", id="empty segments"),
    pytest.param(b"/%2f%2f", id="encoded slashes"),
]


@pytest.mark.parametrize("rest", LEAVES)
def test_a_path_that_leaves_its_prefix_is_refused(rest: bytes) -> None:
    assert leaves_prefix(rest)
    for router, prefix in ((ROUTER, b"/sse"), (ROUTER, b"/sse/deep"), (ROOT, b"")):
        with pytest.raises(MalformedRequest, match="leave the prefix of the route"):
            router.match(prefix + rest + b"?a=b")


@pytest.mark.parametrize("rest", STAYS)
def test_any_other_path_is_matched_as_it_came(rest: bytes) -> None:
    assert not leaves_prefix(rest)
    assert ROUTER.match(b"/sse" + rest) == "/sse"
    assert ROUTER.match(b"/sse/deep" + rest + b"?..%2f..") == "/sse/deep"
    assert ROOT.match(rest or b"/") == "/"


@pytest.mark.parametrize("query", [b"?/../..", b"?x=%2e%2e/%2e%2e", b"?..\\..", b"?"])
def test_the_query_is_no_path(query: bytes) -> None:
    assert ROUTER.match(b"/sse" + query) == "/sse"


@pytest.mark.parametrize(
    ("rules", "path", "refused"),
    [
        pytest.param({"^/a/b": ""}, b"/a/b/../x", True, id="what held it is gone"),
        pytest.param({"^/a/b": ""}, b"/a/b/%2e%2e/x", True, id="encoded"),
        pytest.param({"^/a/b": ""}, b"/a/b/c/../x", False, id="something still holds"),
        pytest.param({"^/a/b": "/v1"}, b"/a/b/../x", False, id="the replacement holds"),
        pytest.param({"^/a/b": ""}, b"/a/b?/../x", False, id="in the query"),
        pytest.param({"^/(.)/(.)": "/$1$2"}, b"/./.", True, id="put together"),
        pytest.param({"^/c": ""}, b"/a/b/../..", False, id="no rule matches"),
        pytest.param({}, b"/..", False, id="no rules: the prefix is judged"),
        pytest.param({"^/a": ""}, b"*", False, id="OPTIONS *"),
    ],
)
def test_a_rule_lays_no_dot_segments_bare(
    rules: dict[str, str], path: bytes, refused: bool
) -> None:
    compiled = compile_rules(rules)
    if refused:
        with pytest.raises(MalformedRequest, match="after path_rewrite"):
            check_rewritten(compiled, path)
    else:
        check_rewritten(compiled, path)


def test_a_refusal_names_the_path() -> None:
    with pytest.raises(MalformedRequest) as caught:
        check_path(b"/sse/..;\xff", b"/..;\xff/..", "the prefix of the route")
    assert str(caught.value) == (
        r"dot segments of '/sse/..;\\xff' leave the prefix of the route"
    )
    assert caught.value.status == 400


def test_the_table_of_the_documentation_is_true() -> None:
    page = Path(__file__).parents[3] / "docs" / "routing.md"
    _, _, section = page.read_text("utf-8").partition("## Dot segments")
    rows = re.findall(r"^\| .* \| (`/sse.*`) \| (.*) \|$", section, re.MULTILINE)
    assert len(rows) > 10
    for cell, outcome in rows:
        for path in re.findall("`([^`]*)`", cell):
            if outcome == "refused":
                with pytest.raises(MalformedRequest):
                    ROUTER.match(path.encode())
            else:
                assert ROUTER.match(path.encode()) == "/sse", path


def upstream_readings(path: bytes) -> set[bytes]:
    """What an upstream may make of a path before it resolves dot segments."""
    decoded = [path, unquote_to_bytes(path), unquote_to_bytes(unquote_to_bytes(path))]
    turned = [reading.replace(b"\\", b"/") for reading in decoded]
    bare = [re.sub(rb";[^/]*", b"", reading) for reading in decoded + turned]
    merged = [re.sub(rb"/+", b"/", reading) for reading in bare]
    return {*decoded, *turned, *bare, *merged}


def lowest_level(path: bytes) -> int:
    """How far up a path gets, as RFC 3986 §5.2.4 counts."""
    level = lowest = 0
    for segment in path.removeprefix(b"/").split(b"/"):
        if segment == b"..":
            level -= 1
        elif segment != b".":
            level += 1
        lowest = min(lowest, level)
    return lowest


PARTS = [b"/", b"..", b".", b"a", b"%2e", b"%2f", b"%5c", b"\\", b";", b"%25", b"2e"]


@given(st.lists(st.sampled_from([*PARTS, b"2f", b"5c", b"%3b", b"//"]), max_size=14))
def test_what_passes_stays_below_under_any_reading(parts: list[bytes]) -> None:
    path = b"/" + b"".join(parts)
    if not leaves_prefix(path):
        for reading in upstream_readings(path):
            assert lowest_level(reading) >= 0, reading


@given(st.lists(st.sampled_from(PARTS), max_size=14))
def test_without_a_dot_segment_nothing_is_refused(parts: list[bytes]) -> None:
    path = b"/x" + b"x".join(parts)  # never two dots in a row
    assert not leaves_prefix(path)


def test_a_path_is_decoded_a_bounded_number_of_times() -> None:
    """As many layers as a head has room for must not cost as many passes."""
    assert len([*readings(b"/%" + b"25" * 30_000)]) == 1 + MAX_DECODED
