"""Requests that go round, told by how often Via has our name."""

from __future__ import annotations

import pytest

from proxy.policy.loop_detection import passes
from tests.unit.http1.heads import request


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        pytest.param([], 0, id="no Via"),
        pytest.param([b"Via: 1.1 unbuffered"], 1, id="once"),
        pytest.param(
            [b"Via: 1.0 unbuffered, HTTP/1.1 Unbuffered (a comment)"],
            2,
            id="in one line, with what may stand around the name",
        ),
        pytest.param(
            [b"Via: 1.1 unbuffered", b"Via: 1.1 vegur", b"Via: 1.1 unbuffered"],
            2,
            id="in several lines, another proxy between them",
        ),
        pytest.param(
            [b"Via: 1.1 unbuffered.example, 1.1 not (unbuffered), unbuffered"],
            0,
            id="other names",
        ),
        pytest.param([b"Via: , ,"], 0, id="empty members"),
    ],
)
def test_only_our_own_entries_are_counted(lines: list[bytes], count: int) -> None:
    assert passes(request(b"Host: a", *lines)) == count
