"""Who may say where a request came from."""

from __future__ import annotations

import pytest

from tests.conftest import StartProxy
from tests.support.messages import lines_without_id
from tests.support.raw import Peer, Upstream

pytestmark = pytest.mark.any_loop

FORGED = (
    b"X-Forwarded-For: 10.0.0.1\r\nx-forwarded-proto: https\r\n"
    b"X-Forwarded-Host: shop\r\nX-Forwarded-Port: 443\r\n"
    b"X_Forwarded_For: 10.9.9.9\r\nForwarded: for=10.0.0.1\r\n"
)


def get(fields: bytes = FORGED) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: public:1\r\n%b\r\n" % fields


def told(server: Peer) -> list[bytes]:
    """What the upstream is told of the hops before it."""
    return [line for line in server.head_lines if b"orwarded" in line.lower()]


OURS = [
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: public:1",
    b"X-Forwarded-Port: 1",
]
CONTINUED = [
    b"X-Forwarded-For: 10.0.0.1, 127.0.0.1",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: shop",
    b"X-Forwarded-Port: 443",
    b'Forwarded: for=10.0.0.1, for=127.0.0.1;proto=http;host="public:1";by=_unbuffered',
]


@pytest.mark.parametrize(
    ("proxies", "trust_forwarded", "expected"),
    [
        pytest.param([], False, OURS, id="nobody is trusted"),
        pytest.param(["127.0.0.1"], False, CONTINUED, id="this address is"),
        pytest.param(["127.0.0.0/8", "::1"], False, CONTINUED, id="its network is"),
        pytest.param(["10.0.0.0/8", "::1"], False, OURS, id="another network is"),
        pytest.param([], True, CONTINUED, id="the route trusts all"),
    ],
)
async def test_only_a_trusted_client_tells_of_the_hops_before_it(
    proxy: StartProxy,
    upstream: Upstream,
    proxies: list[str],
    trust_forwarded: bool,
    expected: list[bytes],
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "trust_forwarded": trust_forwarded}},
        server={"trusted_proxies": proxies},
    )
    _, server = await running.begin(upstream, get())
    assert told(server) == expected


async def test_connection_removes_nothing_that_the_proxy_says(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Apache CVE-2022-31813, Go CVE-2021-33197."""
    running = await proxy({"/": {"target": upstream.url}})
    fields = (
        b"Connection: X-Forwarded-For, X-Forwarded-Host, Host, Via, Content-Length\r\n"
        b"Connection: Cookie, Authorization, Accept-Encoding, close-not\r\n"
        b"Cookie: a=b\r\nAuthorization: Basic eA==\r\nContent-Length: 2\r\n"
        b"Via: 1.1 other\r\n" + FORGED
    )
    _, server = await running.begin(upstream, get(fields) + b"hi")
    lines = lines_without_id(server.head)[1:]
    assert lines == [
        b"Host: public:1",
        b"Via: 1.1 other",
        b"Accept-Encoding: identity",
        *OURS,
        b"Via: 1.1 unbuffered",
        b"Content-Length: 2",
    ]
    assert await server.read(2) == b"hi"


async def test_a_twin_of_our_fields_stays_out_and_any_other_odd_name_passes(
    proxy: StartProxy, upstream: Upstream
) -> None:
    rules = {"headers": {"request": {"set": {"X-User": "me"}}}}
    running = await proxy({"/": {"target": upstream.url, **rules}})
    fields = (
        b"X_Forwarded-For: a\r\nX_Forwarded_Port: 9\r\nProxy: http://evil/\r\n"
        b"Content_Length: 9\r\nTransfer_Encoding: chunked\r\n"
        b"X_User: root\r\nX_Custom: 1\r\nx.y: 2\r\n"
    )
    _, server = await running.begin(upstream, get(fields))
    lines = lines_without_id(server.head)[1:]
    assert lines[:3] == [b"Host: public:1", b"X_Custom: 1", b"x.y: 2"]
    assert lines[3:] == [
        b"Accept-Encoding: identity",
        *OURS,
        b"Via: 1.1 unbuffered",
        b"X-User: me",
    ]


async def test_redirects_lead_to_where_the_first_client_was(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A TLS terminator in front says https; the redirect must not fall back."""
    running = await proxy(
        {"/": {"target": upstream.url, "change_origin": True}},
        server={"trusted_proxies": ["127.0.0.1"]},
    )
    client, server = await running.begin(upstream, get())
    await server.send(
        b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nLocation: %b/x\r\n\r\n"
        % upstream.url.encode()
    )
    await client.read_head()
    assert b"Location: https://shop/x" in client.head_lines


async def test_the_forwarded_host_is_that_of_an_absolute_target(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §3.2.2."""
    running = await proxy({"/": {"target": upstream.url}})
    request = b"GET http://asked:9/x HTTP/1.1\r\nHost: other\r\n\r\n"
    _, server = await running.begin(upstream, request)
    assert server.head_lines[:2] == [b"GET /x HTTP/1.1", b"Host: asked:9"]
    assert b"X-Forwarded-Host: asked:9" in server.head_lines
