"""RFC 9218: the two members that we know of a dictionary of RFC 8941."""

from __future__ import annotations

import pytest

from proxy.http2.priority import DEFAULT, MAX_VALUE, Priority, parse_priority


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        (b"u=0", Priority(0, False)),
        (b"u=7", Priority(7, False)),
        (b"i", Priority(3, True)),
        (b"i=?1", Priority(3, True)),
        (b"u=1, i", Priority(1, True)),
        (b"i,u=5", Priority(5, True)),
        (b"u=5 \t,\t i", Priority(5, True)),
        (b"  u=2  ", Priority(2, False)),
        (b"u=2, u=4", Priority(4, False)),
        (b"i, i=?0", Priority(3, False)),
        (b"u=2;a=1;b, i;c", Priority(2, True)),
        (b'x="a, u=0", u=6', Priority(6, False)),
        (b"x=(1 2;a 3), u=6", Priority(6, False)),
        (b"x=:YQ==:, y=tok/en, z=-1.5, u=1", Priority(1, False)),
    ],
)
def test_a_priority(value: bytes, priority: Priority) -> None:
    assert parse_priority(value) == priority


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="no field"),
        pytest.param(b"", id="empty"),
        pytest.param(b"u=8", id="too great"),
        pytest.param(b"u=-1", id="negative"),
        pytest.param(b"u=10", id="two digits"),
        pytest.param(b"u=1.0", id="no integer"),
        pytest.param(b"u", id="u without a value"),
        pytest.param(b"u=a", id="a token"),
        pytest.param(b"i=1", id="i, but no boolean"),
        pytest.param(b"i=?0", id="not incremental"),
        pytest.param(b"i=?2", id="no boolean at all"),
        pytest.param(b"u=1,", id="a comma at the end"),
        pytest.param(b",u=1", id="a comma at the start"),
        pytest.param(b"u=1,,i", id="nothing between two commas"),
        pytest.param(b"u =1", id="a space in a member"),
        pytest.param(b"U=1", id="upper case"),
        pytest.param(b'u=1, x="', id="a string without an end"),
        pytest.param(b"u=1 i", id="no comma"),
        pytest.param(b"u=1\n", id="a line end"),
        pytest.param(b"u=1, x=(" + b"1 " * 200 + b")", id="too long"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_what_is_not_understood_is_the_default(value: bytes | None) -> None:
    assert parse_priority(value) == DEFAULT


def test_a_long_list_costs_no_more_than_its_bytes() -> None:
    value = b"x=(" + b"a;" * ((MAX_VALUE - 4) // 2)
    assert parse_priority(value) == DEFAULT
