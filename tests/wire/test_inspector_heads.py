"""What the inspector says was sent is what was written, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.http1.grammar import parse_fields
from proxy.observe.redaction import masked_fields
from tests.conftest import StartProxy
from tests.support.looking import asked, looking
from tests.support.messages import CHUNKED
from tests.support.raw import Upstream
from tests.support.running import RunningProxy, Table

pytestmark = pytest.mark.any_loop

GET = b"GET /a/x HTTP/1.1\r\nHost: public.example\r\n\r\n"
OLD = b"GET /a/x HTTP/1.0\r\nHost: public.example\r\nConnection: keep-alive\r\n\r\n"
UPGRADE = GET.replace(
    b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

# What the upstream answers, to which request, by which options of the route.
CASES = [
    pytest.param(GET, CHUNKED + b"\r\n", {}, id="a Date of ours"),
    pytest.param(
        GET,
        b"HTTP/1.1 302 Found\r\nContent-Length: 9\r\n"
        b"Location: http://127.0.0.1:%d/login\r\n\r\n",
        {"change_origin": True, "redirect_rewrite": True},
        id="a redirect that is rewritten",
    ),
    pytest.param(
        GET,
        CHUNKED + b"Set-Cookie: theme=dark; Domain=up.example; Path=/x; Secure\r\n\r\n",
        {
            "cookie_domain_rewrite": {"*": ""},
            "cookie_path_rewrite": {"/x": "/a/x"},
            "cookie_secure": "strip",
        },
        id="cookies that are rewritten",
    ),
    pytest.param(GET, CHUNKED + b"\r\n", {"server_timing": True}, id="Server-Timing"),
    pytest.param(
        GET,
        CHUNKED + b"Content-Type: text/event-stream\r\nX-Powered-By: x\r\n\r\n",
        {"headers": {"response": {"set": {"X-A": "b"}, "remove": ["X-Powered-By"]}}},
        id="fields of the route",
    ),
    pytest.param(OLD, CHUNKED + b"\r\n", {}, id="HTTP/1.0"),
    pytest.param(
        UPGRADE,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
        {"ws": True},
        id="a tunnel",
    ),
    pytest.param(
        GET,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n",
        {},
        id="an upgrade that nobody asked for",
    ),
    pytest.param(
        GET,
        CHUNKED + b"Content-Length: 5\r\nSet-Cookie: a=b\r\n\r\n",
        {},
        id="a malformed head",
    ),
]


async def told(running: RunningProxy) -> dict[str, Any]:
    """All that is known of the newest exchange."""
    async with looking(running) as feed:
        found = await feed.next("exchanges")
    ident = [*found["open"], *found["ended"]][-1]["id"]
    status, body = await asked(running, f"exchanges/{ident}")
    assert status == 200
    content: dict[str, Any] = json.loads(body)
    return content


@pytest.mark.parametrize(("ask", "answer", "options"), CASES)
@pytest.mark.parametrize("when", ["before", "while it runs", "after it has ended"])
async def test_the_response_that_was_sent_is_shown(
    proxy: StartProxy,
    upstream: Upstream,
    ask: bytes,
    answer: bytes,
    options: Table,
    when: str,
) -> None:
    running = await proxy({"/a": {"target": upstream.url, **options}})
    if b"%d" in answer:
        answer = answer % upstream.port
    feed = looking(running)
    if when == "before":
        await feed.__aenter__()
    client, server = await running.begin(upstream, ask)
    await server.send(answer)
    await client.read_head()
    if when != "while it runs":
        server.writer.transport.abort()
        client.writer.transport.abort()
        await running.ended()
    shown = (await told(running))["response"]
    line, _, section = client.head.partition(b"\r\n")
    assert shown["sent"] == masked_fields(parse_fields(section[:-2]))
    assert shown["line"].encode() == line
    if when == "before":
        await feed.__aexit__(None, None, None)


async def test_a_stream_that_began_before_a_drain_is_shown_as_it_was_sent(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """To make the head once more would add Connection: close."""
    running = await proxy({"/a": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET)
    await server.send(CHUNKED + b"\r\n")
    await client.read_head()
    connection = running.connection
    connection.drain()
    shown = (await told(running))["response"]["sent"]
    assert "Connection" not in {name for name, _ in shown}


async def test_of_what_never_left_nothing_is_said_to_have_been_sent(
    proxy: StartProxy,
) -> None:
    running = await proxy({"/a": {"target": "http://127.0.0.1:1"}})
    client = await running.client()
    async with looking(running):
        await client.send(GET)
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
        found = await told(running)
    assert found["request"]["sent"] is None
    assert found["response"]["received"] is None
    assert found["response"]["line"] == "HTTP/1.1 502 Bad Gateway"
