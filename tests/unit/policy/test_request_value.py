from __future__ import annotations

import pytest

from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead, ResponseHead
from proxy.policy.request_value import RequestValue

TRUSTED = {b"10.0.0.1", b"10.0.0.2", b"fd00::1"}


def value(source: str, fields: Fields, *, trusted: bool = True) -> bytes | None:
    head = RequestHead(b"GET", b"/", 1, fields)
    return RequestValue(source).of(head, b"10.0.0.1", trusted, TRUSTED.__contains__)


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        pytest.param("header:X-A", [(b"x-a", b"1")], b"1", id="a field"),
        pytest.param("header:x-a", [(b"X-A", b"1")], b"1", id="in any case"),
        pytest.param("header:x-a", [(b"X-A", b"1"), (b"x-a", b"2")], b"1, 2", id="two"),
        pytest.param("header:x-a", [(b"X-A", b"")], None, id="an empty one"),
        pytest.param("header:x-a", [(b"X-B", b"1")], None, id="another"),
        pytest.param("cookie:a", [(b"Cookie", b"b=1; a=2")], b"2", id="a cookie"),
        pytest.param("cookie:A", [(b"Cookie", b"b=1; a=2")], None, id="case counts"),
        pytest.param("cookie:a", [(b"Cookie", b"a=1; a=2")], b"1", id="the first"),
        pytest.param("cookie:a", [(b"Cookie", b'a="2"')], b"2", id="quotes"),
        pytest.param("cookie:a", [(b"Cookie", b'a="')], b'"', id="one quote"),
        pytest.param("cookie:a", [(b"Cookie", b'a=""')], None, id="empty quotes"),
        pytest.param("cookie:a", [(b"Cookie", b"a=")], None, id="an empty cookie"),
        pytest.param(
            "cookie:a", [(b"Cookie", b"b=1"), (b"Cookie", b"a=2")], b"2", id="by HTTP/2"
        ),
    ],
)
def test_a_field_or_a_cookie(source: str, fields: Fields, expected: bytes) -> None:
    assert value(source, fields) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        pytest.param(b"", b"10.0.0.1", id="none"),
        pytest.param(b"192.0.2.1", b"192.0.2.1", id="one"),
        pytest.param(b"6.6.6.6, 192.0.2.1", b"192.0.2.1", id="a forged one before it"),
        pytest.param(b"192.0.2.1, 10.0.0.2", b"192.0.2.1", id="two trusted proxies"),
        pytest.param(b"10.0.0.2,fd00::1", b"10.0.0.2", id="trusted ones only"),
        pytest.param(b"192.0.2.1:443", b"192.0.2.1", id="with a port"),
        pytest.param(b"[2001:DB8::1]:443", b"2001:db8::1", id="IPv6 with a port"),
        pytest.param(b"2001:DB8:0::1", b"2001:db8::1", id="IPv6"),
        pytest.param(b"::ffff:192.0.2.1", b"192.0.2.1", id="IPv4 in IPv6"),
        pytest.param(b"192.0.2.1, unknown", b"10.0.0.1", id="unknown"),
        pytest.param(b"192.0.2.1, []", b"10.0.0.1", id="brackets"),
        pytest.param(b"192.0.2.1, \xff, 10.0.0.2", b"10.0.0.2", id="no address"),
        pytest.param(b",", b"10.0.0.1", id="nothing"),
    ],
)
@pytest.mark.parametrize("source", ["client", "address"])
def test_the_address_behind_trusted_proxies(
    source: str, forwarded: bytes, expected: bytes
) -> None:
    fields = [(b"X-Forwarded-For", forwarded)]
    assert value(source, fields) == expected
    assert value(source, fields, trusted=False) == b"10.0.0.1"


@pytest.mark.parametrize("name", [b"Authorization", b"proxy-authorization"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"Bearer T t"], b"bearer T t"),
        ([b"bEARER   T t"], b"bearer T t"),
        ([b"Bearer \t T t"], b"bearer T t"),
        ([b"Bearer T t", b"Basic x"], b"bearer T t"),
        ([b"Bearer"], b"bearer"),
        ([b""], None),
        ([b"", b"Bearer t"], None),
    ],
)
def test_credentials_are_the_same_in_every_spelling(
    name: bytes, values: list[bytes], expected: bytes | None
) -> None:
    """RFC 9110 §11.1 and §11.4."""
    fields = [(name, each) for each in values]
    assert value(f"header:{name.decode()}", fields) == expected


def given(source: str, fields: Fields) -> list[bytes]:
    return RequestValue(source).given_by(ResponseHead(200, b"", 1, fields))


def test_what_a_response_hands_out() -> None:
    fields = [
        (b"Set-Cookie", b"a=1; Path=/; HttpOnly"),
        (b"set-cookie", b"b=2"),
        (b"Set-Cookie", b"a=; Max-Age=0"),
        (b"Set-Cookie", b"aa=3; a=4"),
        (b"Set-Cookie", b"a"),
        (b"Set-Cookie", b'a="6"; Path=/'),
        (b"X-A", b"5"),
    ]
    assert given("cookie:a", fields) == [b"1", b"6"]
    assert given("header:x-a", fields) == [b"5"]
    assert given("header:x-b", fields) == []
    assert given("client", fields) == []
