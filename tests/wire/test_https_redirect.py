"""`https_redirect`: 308 to the same place by https, and nowhere else."""

from __future__ import annotations

import pytest

from tests.conftest import StartProxy
from tests.support.certificates import Authority
from tests.support.http2_translated import translated
from tests.support.listening import client_of, listen
from tests.support.messages import OK
from tests.support.raw import Peer, Upstream
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop


async def redirecting(
    proxy: StartProxy, upstream: Upstream, authority: Authority, **server: object
) -> RunningProxy:
    """Plain HTTP, a redirect, and TLS."""
    return await proxy(
        {"/": {"target": upstream.url}},
        server=server,
        **listen({"https_redirect": True}, authority.server),
    )


async def asked(running: RunningProxy, request: bytes) -> Peer:
    client = await client_of(running, 1)
    await client.send(request)
    await client.read_head()
    return client


def field(client: Peer, name: bytes) -> bytes | None:
    """The value of a field that is there once, or not at all."""
    found = [each for each in client.head_lines if each.startswith(name + b": ")]
    assert len(found) <= 1
    return found[0].partition(b": ")[2] if found else None


@pytest.mark.parametrize(
    ("line", "host", "place"),
    [
        pytest.param(b"GET /", b"a.example", b"https://a.example%b/", id="root"),
        pytest.param(
            b"GET /x?y=%20/#", b"a.example", None, id="a fragment is no target"
        ),
        pytest.param(
            b"GET /x/%2F?y=/&z",
            b"A.example",
            b"https://A.example%b/x/%2F?y=/&z",
            id="all",
        ),
        pytest.param(
            b"GET /", b"a.example:80", b"https://a.example%b/", id="its port goes"
        ),
        pytest.param(b"GET /", b"[::1]:80", b"https://[::1]%b/", id="IPv6"),
        pytest.param(
            b"GET //b.example/x",
            b"a.example",
            b"https://a.example%b//b.example/x",
            id="two slashes lead to no other host",
        ),
        pytest.param(
            b"GET /\\b.example",
            b"a.example",
            b"https://a.example%b/%5Cb.example",
            id="nor does a backslash",
        ),
        pytest.param(
            b"GET /\xc3\xa9", b"a.example", b"https://a.example%b/%C3%A9", id="bytes"
        ),
        pytest.param(
            b"GET http://b.example:1/x",
            b"a.example",
            b"https://b.example%b/x",
            id="absolute-form",
        ),
        pytest.param(b"OPTIONS *", b"a.example", b"https://a.example%b", id="*"),
        pytest.param(b"HEAD /x", b"a.example", b"https://a.example%b/x", id="HEAD"),
        pytest.param(
            b"GET /_unbuffered/health",
            b"localhost",
            b"https://localhost%b/_unbuffered/health",
            id="the proxy itself",
        ),
    ],
)
async def test_a_request_is_sent_to_the_same_place_by_https(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    line: bytes,
    host: bytes,
    place: bytes | None,
) -> None:
    running = await redirecting(proxy, upstream, authority)
    client = await asked(running, line + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    if place is None:
        assert client.head.startswith(b"HTTP/1.1 400 ")
        assert field(client, b"Location") is None
        return
    assert client.head.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
    port = running.server.listeners.further.listeners[1].port
    # Of the target `%2F` and the like are no places for the port.
    before, mark, after = place.partition(b"%b")
    assert mark
    assert field(client, b"Location") == before + b":%d" % port + after
    assert field(client, b"Content-Length") == b"0"
    assert field(client, b"Strict-Transport-Security") is None
    timeline = await running.ended()
    assert (timeline.status, timeline.route) == (308, None)
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b" HTTP/1.0\r\n", id="none, as in HTTP/1.0"),
        pytest.param(b" HTTP/1.1\r\n", id="none"),
        pytest.param(b" HTTP/1.1\r\nHost:\r\n", id="empty"),
        pytest.param(b" HTTP/1.1\r\nHost: a\r\nHost: b\r\n", id="two"),
        pytest.param(b" HTTP/1.1\r\nHost: a@b\r\n", id="a user"),
        pytest.param(b" HTTP/1.1\r\nHost: a/b\r\n", id="a path"),
        pytest.param(b" HTTP/1.1\r\nHost: a?b\r\n", id="a query"),
        pytest.param(b" HTTP/1.1\r\nHost: a#b\r\n", id="a fragment"),
        pytest.param(b" HTTP/1.1\r\nHost: a\\b\r\n", id="a backslash"),
        pytest.param(b" HTTP/1.1\r\nHost: a:1:2\r\n", id="two ports"),
        pytest.param(b" HTTP/1.1\r\nHost: a:x\r\n", id="an odd port"),
        pytest.param(b' HTTP/1.1\r\nHost: a"b\r\n', id="a quote"),
        pytest.param(b" HTTP/1.1\r\nHost: a\rSet-Cookie: x\r\n", id="a bare CR"),
        pytest.param(b" HTTP/1.1\r\nHost: a\nSet-Cookie: x\r\n", id="a bare LF"),
        pytest.param(b" HTTP/1.1\r\nHost: a\xff\r\n", id="a byte above ASCII"),
    ],
)
async def test_without_one_valid_host_there_is_no_place(
    proxy: StartProxy, upstream: Upstream, authority: Authority, fields: bytes
) -> None:
    running = await redirecting(proxy, upstream, authority)
    client = await asked(running, b"GET /x" + fields + b"\r\n")
    assert client.head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert field(client, b"Location") is None
    assert upstream.unexpected == 0


async def test_a_challenge_of_acme_is_served(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    """RFC 8555 §8.3: its certificate may be what is asked for."""
    running = await redirecting(proxy, upstream, authority)
    client = await client_of(running, 1)
    request = b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: a\r\n\r\n"
    await client.send(request)
    server = await upstream.request()
    assert server.head.startswith(b"GET /.well-known/acme-challenge/token ")
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("trusted", [True, False])
async def test_what_came_by_https_to_a_trusted_proxy_does_not_go_round(
    proxy: StartProxy, upstream: Upstream, authority: Authority, trusted: bool
) -> None:
    running = await redirecting(
        proxy, upstream, authority, trusted_proxies=["127.0.0.1"] if trusted else []
    )
    client = await client_of(running, 1)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n")
    if trusted:
        server = await upstream.request()
        await server.send(OK)
    await client.read_head()
    assert client.head.startswith(b"HTTP/1.1 200" if trusted else b"HTTP/1.1 308")


async def test_a_connection_goes_on_but_behind_a_body_that_is_not_read(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await redirecting(proxy, upstream, authority)
    client = await asked(running, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.send(b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
    await client.read_head()
    assert client.head.startswith(b"HTTP/1.1 308 ")
    assert field(client, b"Connection") == b"close"
    client.finish()
    assert await client.read_rest() == b""
    assert upstream.unexpected == 0


async def test_a_request_of_http2_is_redirected_by_its_authority(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}},
        **listen({"https_redirect": True, "http2_cleartext": True}, authority.server),
    )
    first, second = running.server.listeners.further.listeners
    client = await translated(first.port, 0)
    running.clients.append(client)
    await client.send(b"GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n")
    await client.read_head()
    assert client.head.startswith(b"HTTP/1.1 308")
    place = b"https://a.example:%d/x" % second.port
    assert place in client.head


async def test_a_token_in_a_target_is_in_no_log(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    token = "0123456789abcdef0123"
    running = await proxy(
        {"/": {"target": upstream.url}},
        inspector={"token": token},
        **listen({"https_redirect": True}, authority.server),
    )
    target = f"/_unbuffered/?token={token}"
    client = await asked(running, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (field(client, b"Location") or b"").endswith(target.encode())
    assert token not in str((await running.ended()).target)


@pytest.mark.parametrize("said", [True, "response"])
async def test_the_id_of_a_request_is_told_where_that_is_asked_for(
    proxy: StartProxy, upstream: Upstream, authority: Authority, said: bool | str
) -> None:
    running = await redirecting(proxy, upstream, authority, request_id=said)
    client = await asked(running, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    timeline = await running.ended()
    assert timeline.status == 308
    told = timeline.request_id if said == "response" else None
    assert field(client, b"X-Request-Id") == told


async def test_the_log_names_the_client_behind_a_trusted_proxy(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await redirecting(
        proxy, upstream, authority, trusted_proxies=["127.0.0.1"]
    )
    fields = b"Host: a.example\r\nX-Forwarded-For: 203.0.113.7\r\n"
    await asked(running, b"GET / HTTP/1.1\r\n%b\r\n" % fields)
    timeline = await running.ended()
    assert (timeline.client, timeline.peer) == (b"203.0.113.7", b"127.0.0.1")
    assert timeline.host == b"a.example"
