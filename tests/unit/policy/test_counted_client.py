"""By what the streams of a client are counted."""

from __future__ import annotations

import pytest

from proxy.http1.head import RequestHead
from proxy.policy.counted_client import (
    CountedClient,
    client_key,
    counted_client,
    network_of,
)
from proxy.policy.delivery import accepts_only_streams
from proxy.policy.request_value import RequestValue
from proxy.policy.trusted_proxies import TrustedProxies

PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"]).includes
PROXY = b"10.0.0.1"


def head(*fields: tuple[bytes, bytes], target: bytes = b"/") -> RequestHead:
    return RequestHead(b"GET", target, 1, list(fields))


def whose(*fields: tuple[bytes, bytes], by: str = "address") -> CountedClient:
    return counted_client(
        RequestValue(by), head(*fields), PROXY, trusted=True, is_trusted=PROXIES
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"for=192.0.2.1", b"192.0.2.1"),
        (b"for=192.0.2.1;proto=https;by=10.0.0.2", b"192.0.2.1"),
        (b"proto=https; For=192.0.2.1", b"192.0.2.1"),
        (b"for=198.51.100.1, for=192.0.2.1, for=10.0.0.2", b"192.0.2.1"),
        (b'for="[2001:db8::1]:4711"', b"2001:db8::/64"),
        (b'for="192.0.2.1:4711"', b"192.0.2.1"),
        (b'for="a, for=192.0.2.1', b"192.0.2.1"),  # a quote of the client's own
        (b"for=unknown", PROXY),
        (b"for=_hidden, for=10.0.0.2", b"10.0.0.2"),
        (b"proto=https", PROXY),
        (b"", PROXY),
    ],
)
def test_forwarded_names_the_client(value: bytes, found: bytes) -> None:
    """RFC 7239 §4 and §6."""
    assert whose((b"Forwarded", value)) == ("address", found)


def test_forwarded_does_not_count_beside_x_forwarded_for() -> None:
    """A proxy that writes the one passes the other on as its client has sent it."""
    fields = ((b"Forwarded", b"for=9.9.9.9"), (b"X-Forwarded-For", b"192.0.2.1"))
    assert whose(*fields).value == b"192.0.2.1"
    assert whose(fields[0], (b"X-Forwarded-For", b"")).value == PROXY


def test_lines_of_a_field_are_one_list() -> None:
    """HAProxy adds a line of its own."""
    lines = [b"9.9.9.9, 192.0.2.1", b"10.0.0.3"]
    fields = [(b"X-Forwarded-For", line) for line in lines]
    assert whose(*fields).value == b"192.0.2.1"


@pytest.mark.parametrize(
    ("by", "fields", "found"),
    [
        ("header:x-user", [(b"X-User", b"ada")], ("header", b"ada")),
        ("header:X-User", [], ("address", PROXY)),
        ("header:X-User", [(b"X-User", b"")], ("address", PROXY)),
        ("cookie:sid", [(b"Cookie", b"a=b; sid=1")], ("cookie", b"1")),
        ("cookie:sid", [(b"Cookie", b"SID=1")], ("address", PROXY)),
        ("cookie:sid", [(b"Cookie", b'sid="1"')], ("cookie", b"1")),
        ("cookie:sid", [(b"Cookie", b"sid=%31; sid=1")], ("cookie", b"1")),
        ("cookie:sid", [(b"Cookie", b"sid=1; sid=2")], ("address", PROXY)),
        ("cookie:sid", [(b"Cookie", b'sid=""')], ("address", PROXY)),
        ("header:X-User", [(b"X-User", b"a"), (b"x-user", b"a")], ("header", b"a")),
        ("header:X-User", [(b"X-User", b"a"), (b"X-User", b"b")], ("address", PROXY)),
        ("header:X-User", [(b"X-User", b"Ada  B")], ("header", b"Ada  B")),
        *(
            (
                "header:Authorization",
                [(b"Authorization", value)],
                ("header", b"bearer t"),
            )
            for value in (b"Bearer t", b"bearer t", b"BEARER   t", b"Bearer\tt")
        ),
        ("header:Authorization", [(b"Authorization", b"T")], ("header", b"t")),
        (
            "header:Authorization",
            [(b"Authorization", b"Bearer t"), (b"Authorization", b"x0")],
            ("address", PROXY),
        ),
        ("header:authorization", [(b"Authorization", b"")], ("address", PROXY)),
    ],
)
def test_without_its_value_a_request_counts_by_address(
    by: str, fields: list[tuple[bytes, bytes]], found: tuple[str, bytes]
) -> None:
    assert whose(*fields, by=by) == found


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (b"192.0.2.1", b"192.0.2.1"),
        (b"2001:db8:1:2:3:4:5:6", b"2001:db8:1:2::/64"),
        (b"::1", b"::/64"),
        (b"::ffff:192.0.2.1", b"192.0.2.1"),
        (b"fe80::1%eth0", b"fe80::/64"),
        (b"unix", b"unix"),
    ],
)
def test_of_ipv6_the_network_counts(address: bytes, found: bytes) -> None:
    assert network_of(address) == found


def test_keys_differ_by_client_kind_route_and_secret() -> None:
    ada = CountedClient("header", b"ada")
    keys = {
        client_key(ada, "/a", b"x"),
        client_key(ada, "/b", b"x"),
        client_key(ada, "/a", b"y"),
        client_key(CountedClient("cookie", b"ada"), "/a", b"x"),
        client_key(CountedClient("header", b"eve"), "/a", b"x"),
        client_key(CountedClient("header", b""), "/aada", b"x"),
    }
    assert len(keys) == 6
    assert client_key(ada, "/a", b"x") in keys


@pytest.mark.parametrize(
    ("accept", "target", "only"),
    [
        (b"text/event-stream", b"/", True),
        (b"text/event-stream, application/x-ndjson;q=0.5", b"/", True),
        (b"text/event-stream, application/json;q=0", b"/", True),
        (b"application/json, text/event-stream", b"/", False),
        (b"text/event-stream;q=0", b"/", False),
        (b"*/*", b"/", False),
        (b"", b"/", False),
        (None, b"/", False),
        (None, b"/v1beta/models/g:streamGenerateContent?alt=sse", True),
        (None, b"/v1beta/models/g:streamGenerateContent", False),
    ],
)
def test_what_accepts_only_streams(
    accept: bytes | None, target: bytes, only: bool
) -> None:
    fields = [] if accept is None else [(b"Accept", accept)]
    assert accepts_only_streams(head(*fields, target=target)) is only
