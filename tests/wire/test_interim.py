"""Before the final response: 100 and 103, refusals before the body, upgrades."""

from __future__ import annotations

import pytest

from proxy.policy.size_limits import INTERIM_BURST
from proxy.timeline import Ending
from proxy.transport.connection import HIGH_WATER
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import OK
from tests.support.raw import Upstream, idle

EXPECT = (
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)


async def test_the_upstream_says_when_the_body_may_come(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9110 §10.1.1: end to end; the proxy answers nothing for the upstream."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, EXPECT)
    assert b"Expect: 100-continue" in server.head_lines
    await server.send(CONTINUE)
    assert await client.read_head() == CONTINUE
    await client.send(b"hello")
    assert await server.read(5) == b"hello"
    await server.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 1


async def test_a_refusal_arrives_without_the_body(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """CVE-2024-24791 (Go): nor does the upstream's connection serve again."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, EXPECT)
    await server.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"\r\nConnection: close\r\n" in head
    assert await client.read_to_close() == (b"no", "fin")
    await server.closed()
    assert (await running.ended()).ending is Ending.COMPLETE
    assert running.idle_connections == 0


async def test_early_hints_arrive_before_the_response_is_there(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 8297 §2, in lock-step."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for number in range(3):
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n" % number
        await server.send(hints)
        assert await client.read_head() == hints
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert await client.read(2) == b"ok"


async def test_progress_may_be_told_for_hours(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await running.begin(upstream, EXPECT)
    progress = b"HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: %d\r\n\r\n"
    for number in range(200):
        clock.advance(0.1)
        await server.send(progress % number)
        assert await client.read_head() == progress % number
    await client.send(b"hello")
    await server.read(5)
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("rate", "count", "status"),
    [
        pytest.param(20, INTERIM_BURST, 200, id="a burst"),
        pytest.param(20, INTERIM_BURST + 1, 502, id="one more"),
        pytest.param(0, 20 * INTERIM_BURST, 200, id="no limit"),
    ],
)
async def test_more_at_once_than_the_rate_is_a_502(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    rate: int,
    count: int,
    status: int,
) -> None:
    table = {"target": upstream.url, "max_interim_per_second": rate}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * count + OK)
    while (await client.read_head()).startswith(b"HTTP/1.1 103 "):
        """As many as are let through."""
    assert client.head.startswith(b"HTTP/1.1 %d " % status)
    if status == 502:
        assert b"(max_interim_per_second)" in await client.read_until(b"\n}\n")


async def test_a_client_that_does_not_read_is_not_kept_interim_responses_for(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Nor does its upload wait for it to read them."""
    table = {"target": upstream.url, "max_interim_per_second": 0}
    running = await proxy({"/": table})
    client = await running.client(receive_bytes=4096)
    await client.send(EXPECT)
    server = await upstream.request()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 16000)
    own = running.connection
    sent = 0
    for _ in range(2000):  # 32 MB
        await server.send(hints)
        sent += len(hints)
        assert own.transport.get_write_buffer_size() <= 2 * HIGH_WATER
    assert own.blocked
    await client.send(b"hello")
    assert await server.read(5) == b"hello"
    await server.send(OK)
    taken = 0
    while (await client.read_head()).startswith(b"HTTP/1.1 103 "):
        taken += len(client.head)
    assert client.head.startswith(b"HTTP/1.1 200 ")
    assert 0 < taken < sent


# -- upgrades


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SWITCH.replace(b"websocket", b"other"), id="another protocol"),
        pytest.param(
            SWITCH.replace(b"websocket", b"websocket, h2c"), id="one more protocol"
        ),
        pytest.param(
            b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", id="no protocol"
        ),
    ],
)
async def test_only_a_protocol_that_was_asked_for_is_tunnelled(
    proxy: StartProxy, upstream: Upstream, answer: bytes
) -> None:
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    client, server = await running.begin(upstream, UPGRADE)
    await server.send(answer + b"secret")
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_protocol_error"


async def test_nothing_is_switched_within_a_request(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9110 §7.8: the rest of the body would become bytes of the tunnel."""
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    client, server = await running.begin(
        upstream, UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhel")
    )
    assert await server.read(3) == b"hel"
    await server.send(SWITCH)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await server.closed()


async def test_bytes_that_come_before_101_wait_for_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """CVE-2026-2833 (Pingora), nginx: proxy_upgrade.t"""
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    client, server = await running.begin(upstream, UPGRADE + b"early")
    await idle()
    await server.send(SWITCH + b"reply")
    assert await server.read(5) == b"early"
    assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
    assert await client.read(5) == b"reply"
    client.close()
    await server.closed()


async def test_bytes_after_a_refused_upgrade_are_the_next_request(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """CVE-2026-2833 (Pingora): judged as any other, not passed on unread."""
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    client, server = await running.begin(
        upstream, UPGRADE + b"GET /next HTTP/1.1\r\nHost : a\r\n\r\n"
    )
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert await client.read(2) == b"ok"
    assert (await client.read_head()).startswith(b"HTTP/1.1 400 ")
    await running.server.stop()
    await server.closed()
