"""The id of a request: taken from whom one trusts, else made."""

from __future__ import annotations

import pytest

from proxy.http1.head import RequestHead
from proxy.policy.request_id import RequestIds, given


def head(*values: bytes) -> RequestHead:
    return RequestHead(b"GET", b"/", 1, [(b"X-Request-ID", each) for each in values])


def everybody(address: bytes) -> bool:
    return True


def nobody(address: bytes) -> bool:
    return False


TAKEN = [
    pytest.param(b"a", id="the shortest"),
    pytest.param(b"a" * 128, id="the longest"),
    pytest.param(b'5f"0,1;=!~', id="any visible character"),
]


@pytest.mark.parametrize("value", TAKEN)
def test_a_trusted_client_gives_the_id(value: bytes) -> None:
    assert RequestIds().of(head(value), b"192.0.2.7", everybody) == value


@pytest.mark.parametrize("value", TAKEN)
def test_nobody_else_does(value: bytes) -> None:
    ids = RequestIds()
    assert ids.of(head(value), b"192.0.2.7", nobody) == b"%b-1" % ids.prefix


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="none"),
        pytest.param([b""], id="empty"),
        pytest.param([b"a" * 129], id="too long"),
        pytest.param([b"a b"], id="a space"),
        pytest.param([b"a\tb"], id="a tab"),
        pytest.param([b"a\xe9"], id="not ASCII"),
        pytest.param([b"a", b"a"], id="twice the same"),
        pytest.param([b"a", b""], id="a second one that is empty"),
    ],
)
def test_what_is_not_one_valid_id_is_replaced(values: list[bytes]) -> None:
    ids = RequestIds()
    assert given(head(*values)) == b""
    made = ids.of(head(*values), b"192.0.2.7", everybody)
    assert made == b"%b-1" % ids.prefix


def test_no_id_is_made_twice() -> None:
    """Also by two processes: each has a prefix of its own."""
    one, other = RequestIds(), RequestIds()
    made = [ids.new() for ids in (one, other) for _ in range(20)]
    assert len(set(made)) == 40
    assert all(given(head(each)) == each for each in made)
