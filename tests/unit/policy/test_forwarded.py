"""What the upstream is told of the hops before it."""

from __future__ import annotations

import pytest

from proxy.http1.grammar import Fields
from proxy.policy.forwarded import (
    forwarded_element,
    forwarded_fields,
    public_address,
)
from proxy.policy.response_rewrite import Public
from proxy.policy.trusted_proxies import TrustedProxies
from tests.unit.http1.heads import request

CHAIN = b"for=10.0.0.1;proto=https"


def told(*lines: bytes, trust: bool, client: bytes = b"192.0.2.7") -> Fields:
    return forwarded_fields(
        request(b"Host: public", *lines), b"public", client, b"http", trust
    )


OURS = [
    (b"X-Forwarded-For", b"192.0.2.7"),
    (b"X-Forwarded-Proto", b"http"),
    (b"X-Forwarded-Host", b"public"),
    (b"X-Forwarded-Port", b"80"),
]


def test_forwarded_of_a_trusted_client_is_continued_by_our_hop() -> None:
    """RFC 7239 §4: each proxy adds its element."""
    ours = b'for=192.0.2.7;proto=http;host="public";by=_unbuffered'
    assert told(b"Forwarded: " + CHAIN, trust=True) == [
        *OURS,
        (b"Forwarded", CHAIN + b", " + ours),
    ]
    lines = (b"forwarded: for=a", b"FORWARDED: for=b")
    assert told(*lines, trust=True)[-1] == (b"Forwarded", b"for=a, for=b, " + ours)


@pytest.mark.parametrize("lines", [[], [b"Forwarded:"]])
def test_no_chain_is_begun_where_there_is_none(lines: list[bytes]) -> None:
    assert told(*lines, trust=True) == OURS


def test_forwarded_of_anybody_else_is_not_told() -> None:
    assert told(b"Forwarded: " + CHAIN, trust=False) == OURS


@pytest.mark.parametrize(
    ("authority", "scheme", "port"),
    [
        (b"a", b"http", b"80"),
        (b"a", b"https", b"443"),
        (b"a:", b"https", b"443"),
        (b"a:8443", b"https", b"8443"),
        (b"[::1]", b"http", b"80"),
        (b"[::1]:81", b"http", b"81"),
    ],
)
def test_the_forwarded_port_is_that_of_the_address_that_was_asked(
    authority: bytes, scheme: bytes, port: bytes
) -> None:
    for trust in (False, True):
        head = request(b"Host: " + authority)
        fields = forwarded_fields(head, authority, b"192.0.2.7", scheme, trust)
        assert fields[-1] == (b"X-Forwarded-Port", port)


@pytest.mark.parametrize(
    ("lines", "port"),
    [
        pytest.param([b"X-Forwarded-Port: 444"], b"444", id="it says so"),
        pytest.param([b"X-Forwarded-Proto: https"], b"443", id="of its scheme"),
        pytest.param([b"X-Forwarded-Host: shop:81"], b"81", id="of its host"),
        pytest.param([b"X-Forwarded-Port:"], b"80", id="it says nothing"),
    ],
)
def test_the_port_of_a_trusted_client_is_what_its_client_asked(
    lines: list[bytes], port: bytes
) -> None:
    told_of = told(*lines, trust=True)
    ports = [value for name, value in told_of if name.lower() == b"x-forwarded-port"]
    assert ports == [port]


def test_who_names_no_host_has_no_port() -> None:
    head = request(start=b"GET / HTTP/1.0")
    for trust in (False, True):
        fields = forwarded_fields(head, b"", b"192.0.2.7", b"http", trust)
        assert b"X-Forwarded-Port" not in dict(fields)


@pytest.mark.parametrize(
    ("client", "authority", "element"),
    [
        (b"::1", b"a:80", b'for="[::1]";proto=http;host="a:80";by=_unbuffered'),
        (b"fe80::1%eth0", b"", b'for="[fe80::1]";proto=http;by=_unbuffered'),
        (b"unix", b"[::1]", b'for=unknown;proto=http;host="[::1]";by=_unbuffered'),
    ],
)
def test_an_element_quotes_what_is_no_token(
    client: bytes, authority: bytes, element: bytes
) -> None:
    """RFC 7239 §6."""
    assert forwarded_element(authority, client, b"http") == element


@pytest.mark.parametrize(
    ("lines", "trust", "public"),
    [
        pytest.param([], True, Public(b"http", b"own"), id="nothing said"),
        pytest.param(
            [b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop"],
            True,
            Public(b"https", b"shop"),
            id="trusted",
        ),
        pytest.param(
            [b"X-Forwarded-Proto: HTTPS, http", b"X-Forwarded-Host: shop:1, lb"],
            True,
            Public(b"https", b"shop:1"),
            id="the first of several hops",
        ),
        pytest.param(
            [b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop"],
            False,
            Public(b"http", b"own"),
            id="not trusted",
        ),
        pytest.param(
            [b"X-Forwarded-Proto: javascript", b"X-Forwarded-Host: a/b"],
            True,
            Public(b"http", b"own"),
            id="neither a scheme nor a host",
        ),
    ],
)
def test_the_public_address_is_what_the_first_client_asked_for(
    lines: list[bytes], trust: bool, public: Public
) -> None:
    assert public_address(request(b"Host: own", *lines), b"http", trust) == public


def test_the_public_address_is_that_of_an_absolute_target() -> None:
    """RFC 9112 §3.2.2."""
    head = request(b"Host: own", start=b"GET http://asked/ HTTP/1.1")
    assert public_address(head, b"http", False) == Public(b"http", b"asked")
    head = request(start=b"GET / HTTP/1.0")
    assert public_address(head, b"http", False).origin == b""


# -- trusted_proxies


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        (b"10.0.0.0", True),
        (b"10.255.1.2", True),
        (b"11.0.0.1", False),
        (b"192.0.2.1", True),
        (b"192.0.2.2", False),
        (b"::1", True),
        (b"::2", False),
        (b"fd00:1::9", True),
        (b"fe80::1%eth0", True),
        (b"::ffff:10.1.2.3", True),
        (b"::ffff:11.1.2.3", False),
        (b"unix", False),
        (b"", False),
    ],
)
def test_an_address_is_in_a_network_or_it_is_not(address: bytes, trusted: bool) -> None:
    networks = ["10.0.0.0/8", "192.0.2.1", "::1", "fd00::/8", "fe80::/10"]
    includes = TrustedProxies(networks).includes
    assert includes(address) == trusted
    assert includes(address) == trusted  # remembered


def test_without_networks_nobody_is_trusted() -> None:
    assert not TrustedProxies([]).includes(b"127.0.0.1")
