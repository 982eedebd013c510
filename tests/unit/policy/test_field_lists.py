"""Lists of fields: rules applied, members merged and removed, written."""

from __future__ import annotations

import pytest

from proxy.config.route import FieldRules
from proxy.http1.grammar import Fields
from proxy.http1.head_text import head_bytes
from proxy.policy.header_fields import (
    Rules,
    merge_member,
    remove_member,
    without,
)


def named(fields: Fields, name: bytes) -> list[bytes]:
    """The values of a field, in order."""
    return [value for each, value in fields if each.lower() == name.lower()]


# -- the rules of a route


def test_without_rules_nothing_changes() -> None:
    fields = [(b"A", b"1"), (b"a", b"2")]
    assert Rules(FieldRules()).apply(fields) == fields


def test_rules_that_only_remove_add_nothing() -> None:
    rules = Rules(FieldRules(remove=["a"]))
    assert rules.apply([(b"A", b"1"), (b"B", b"2")]) == [(b"B", b"2")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"Content-Length", id="framing, aiohttp CVE-2025-53643"),
        pytest.param(b"Transfer-Encoding", id="framing"),
        pytest.param(b"HOST", id="routing"),
        pytest.param(b"authorization", id="authentication"),
        pytest.param(b"Set-Cookie", id="a cookie"),
        pytest.param(b"Content-Encoding", id="what was decoded"),
        pytest.param(b"X-Forwarded-For", id="a forged address"),
        pytest.param(b"Trailer", id="hop-by-hop"),
        pytest.param(b"X-Secret", id="removed by the route"),
        pytest.param(b"X-Ours", id="set by the route"),
    ],
)
def test_a_trailer_says_nothing_that_belongs_into_the_head(name: bytes) -> None:
    """RFC 9110 §6.5.1."""
    rules = Rules(FieldRules(set={"X-Ours": "1"}, remove=["x-secret"]))
    fields = [(b"X-Checksum", b"1"), (name, b"2"), (b"x-checksum", b"3")]
    assert rules.trailers(fields) == [fields[0], fields[2]]


# -- lists of fields


def test_without_looks_at_whole_names_in_any_case() -> None:
    fields = [(b"X-A", b"1"), (b"X-AB", b"2"), (b"x-a", b"3")]
    assert without(fields, frozenset({b"x-a"})) == [(b"X-AB", b"2")]


@pytest.mark.parametrize(
    ("values", "merged"),
    [
        pytest.param([], [b"x"], id="no such field"),
        pytest.param([b""], [b"x"], id="empty field"),
        pytest.param([b"a"], [b"a, x"], id="another member"),
        pytest.param([b"a", b"b"], [b"a", b"b, x"], id="appended to the last"),
        pytest.param([b"x"], [b"x"], id="there"),
        pytest.param([b"a ,\tX"], [b"a ,\tX"], id="there, in another case"),
        pytest.param([b"x", b"a"], [b"x", b"a"], id="there, in the first field"),
        pytest.param([b"xy, x=1"], [b"xy, x=1, x"], id="only part of a member"),
    ],
)
def test_a_member_is_merged_once(values: list[bytes], merged: list[bytes]) -> None:
    fields = [(b"Other", b"x"), *((b"List", value) for value in values)]
    before = list(fields)
    result = merge_member(fields, b"lisT", b"x")
    assert named(result, b"List") == merged
    assert named(result, b"Other") == [b"x"]
    assert fields == before


@pytest.mark.parametrize(
    ("values", "left"),
    [
        pytest.param([], [], id="no such field"),
        pytest.param([b"x"], [], id="an emptied field goes"),
        pytest.param([b",x,"], [], id="empty members are no members"),
        pytest.param([b"a, X,b"], [b"a, b"], id="in the middle, another case"),
        pytest.param([b"x,x", b"a"], [b"a"], id="repeated"),
        pytest.param([b"xy, ax"], [b"xy, ax"], id="only part of a member"),
        pytest.param([b"a,b"], [b"a,b"], id="other members stay as they came"),
    ],
)
def test_a_member_is_removed_everywhere(values: list[bytes], left: list[bytes]) -> None:
    fields = [(b"Other", b"x"), *((b"List", value) for value in values)]
    result = remove_member(fields, b"lisT", b"x")
    assert named(result, b"List") == left
    assert named(result, b"Other") == [b"x"]


def test_a_head_on_the_wire_ends_with_an_empty_line() -> None:
    assert head_bytes(b"GET / HTTP/1.1", []) == b"GET / HTTP/1.1\r\n\r\n"
    written = head_bytes(b"HTTP/1.1 200 OK", [(b"A", b"1"), (b"a", b"")])
    assert written == b"HTTP/1.1 200 OK\r\nA: 1\r\na: \r\n\r\n"
