"""Routes: where requests go, and what a route changes on the way."""

from __future__ import annotations

import asyncio

import pytest

from proxy.observe.access_log import render_json, render_text
from tests.conftest import StartProxy
from tests.support.messages import OK, lines_without_id
from tests.support.raw import Upstream

pytestmark = pytest.mark.any_loop

SECRET = "s3cr3t-k3y-of-the-upstream"


@pytest.mark.parametrize("change", [True, False])
async def test_host_is_the_clients_or_with_change_origin_the_targets(
    proxy: StartProxy, upstream: Upstream, change: bool
) -> None:
    running = await proxy({"/": {"target": upstream.url, "change_origin": change}})
    _, server = await running.begin(
        upstream, b"GET / HTTP/1.1\r\nHost: front.example\r\n\r\n"
    )
    host = b"127.0.0.1:%d" % upstream.port if change else b"front.example"
    assert server.head_lines[1] == b"Host: " + host
    assert b"X-Forwarded-Host: front.example" in server.head_lines


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/sse/events", b"/base/events"),
        (b"/sse/sse/%2F?a=/sse", b"/base/sse/%2F?a=/sse"),
        (b"/sse", b"/base/"),
        (b"/sse?x=1", b"/base/?x=1"),
    ],
)
async def test_path_rewrite_changes_the_start_and_leaves_the_rest(
    proxy: StartProxy, upstream: Upstream, target: bytes, expected: bytes
) -> None:
    running = await proxy(
        {"/sse": {"target": upstream.url + "/base", "path_rewrite": {"^/sse": ""}}}
    )
    _, server = await running.begin(
        upstream, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert server.head_lines[0] == b"GET " + expected + b" HTTP/1.1"


async def test_a_key_that_the_route_sets_is_in_no_log(
    proxy: StartProxy, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    rules = {
        "request": {
            "set": {"Authorization": f"Bearer {SECRET}", "X-New": "1"},
            "remove": ["cookie"],
        },
        "response": {"set": {"X-Frame-Options": "DENY"}, "remove": ["server"]},
    }
    running = await proxy({"/": {"target": upstream.url, "headers": rules}})
    client, server = await running.begin(
        upstream,
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a\r\nAUTHORIZATION: mine\r\n\r\n",
    )
    assert lines_without_id(server.head)[-2:] == [
        b"Authorization: Bearer " + SECRET.encode(),
        b"X-New: 1",
    ]
    assert b"mine" not in server.head
    assert b"Cookie" not in server.head
    await server.send(
        b"HTTP/1.1 200 OK\r\nServer: x\r\nx-frame-options: no\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    await client.read_head()
    assert b"X-Frame-Options: DENY" in client.head_lines
    assert b"x-frame-options: no" not in client.head_lines
    assert b"Server: x" not in client.head_lines
    told = await running.ended()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.read_head()
    server.reset()
    fresh = await upstream.request()
    fresh.reset()
    failure = await client.read_head() + await client.read_until(b"\n}\n")
    failed = await running.ended()
    for text in (
        render_text(told, 0.0),
        render_json(told, 0.0),
        render_json(failed, 0.0),
        failure.decode(),
    ):
        assert SECRET not in text
    assert SECRET not in caplog.text
    assert SECRET not in repr(running.server.config)


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (b"GET http://real.example:8/p?q HTTP/1.1", b"real.example:8"),
        (b"GET HTTP://real.example:8/p?q HTTP/1.1", b"real.example:8"),
    ],
)
async def test_absolute_form_goes_on_as_a_path_and_its_authority_as_host(
    proxy: StartProxy, upstream: Upstream, line: bytes, host: bytes
) -> None:
    """RFC 9112 §3.2.2: the Host field is ignored."""
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(upstream, line + b"\r\nHost: other\r\n\r\n")
    assert server.head_lines[:2] == [b"GET /p?q HTTP/1.1", b"Host: " + host]
    assert b"X-Forwarded-Host: " + host in server.head_lines


async def test_options_of_the_whole_server_go_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §3.2.4"""
    running = await proxy({"/": {"target": upstream.url}})
    _, server = await running.begin(upstream, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert server.head_lines[0] == b"OPTIONS * HTTP/1.1"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_localhost_is_found_on_either_loopback_address(
    proxy: StartProxy, address: str
) -> None:
    """RFC 6761 §6.3: Node listens on ::1 only, Python on 127.0.0.1 only."""
    async with Upstream(host=address) as upstream:
        running = await proxy({"/": {"target": f"http://localhost:{upstream.port}"}})
        client, server = await running.begin(
            upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        await server.send(OK)
        await client.read_head()
        assert await client.read(2) == b"ok"


async def test_requests_of_one_route_go_to_its_target_only(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The longest prefix that ends on a segment wins."""
    async with Upstream() as other:
        running = await proxy(
            {"/a": {"target": upstream.url}, "/a/b": {"target": other.url}}
        )
        for target, expected in ((b"/a/bc", upstream), (b"/a/b?c", other)):
            _, server = await running.begin(
                expected, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            assert server.head_lines[0] == b"GET " + target + b" HTTP/1.1"
        client = await running.client()
        await client.send(b"GET /ab HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")
        assert b'"/a",\n      "/a/b"' in await client.read_until(b"\n}\n")
        await asyncio.sleep(0)
        assert upstream.unexpected == other.unexpected == 0
