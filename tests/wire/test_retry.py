"""An upstream that is down: requests fail at once, or wait for it to come back."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from proxy.errors import ConnectTimeout, UpstreamRefused, UpstreamUnavailable
from proxy.exchange.exchange import Exchange
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import GET_NUMBER, OK
from tests.support.ports import BlackHole, ClosedPort
from tests.support.raw import Peer, Upstream, became, idle
from tests.support.running import RunningProxy

POST = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture
def port() -> Iterator[ClosedPort]:
    with ClosedPort() as closed:
        yield closed


async def held(running: RunningProxy) -> Exchange:
    """The exchange that is under way, once it waits for its next attempt."""
    return await running.waiting_for("retry")


async def told(client: Peer) -> tuple[bytes, dict[str, object]]:
    """The head of an answer of the proxy's own, and its error."""
    head = await client.read_head()
    _, _, rest = head.partition(b"Content-Length: ")
    body = await client.read(int(rest.partition(b"\r\n")[0]))
    error: dict[str, object] = json.loads(body)["error"]
    return head, error


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of upstreams."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("upstream ")
    ]


async def test_without_the_key_a_refused_request_fails_at_once(
    proxy: StartProxy, port: ClosedPort
) -> None:
    running = await proxy({"/": {"target": port.url}})
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    head, error = await told(client)
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"Proxy-Status: unbuffered; error=connection_refused\r\n" in head
    assert error["message"] == f"nothing listens at {port.address}"
    assert (error["route"], error["target"]) == ("/", port.url)
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert isinstance(timeline.error, UpstreamRefused)


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        pytest.param(GET_NUMBER % 0, b"", id="GET"),
        pytest.param(POST, b"body", id="POST"),
    ],
)
async def test_a_request_waits_for_an_upstream_that_restarts(
    proxy: StartProxy,
    clock: ManualClock,
    port: ClosedPort,
    request_bytes: bytes,
    body: bytes,
) -> None:
    running = await proxy(
        {"/": {"target": port.url, "connect_retry_seconds": 5}}, clock=clock
    )
    client = await running.client()
    await client.send(request_bytes)
    exchange = await held(running)
    for _ in range(3):  # attempts that come too early
        clock.advance(1.0)
        running.tick()
        assert exchange.waiting_for == "connection"
        await became(lambda: exchange.waiting_for == "retry")
    async with port.upstream() as upstream:
        clock.advance(1.0)
        running.tick()
        server = await upstream.request()
        assert await server.read(len(body)) == body
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await client.read(2) == b"ok"
        assert (await running.ended()).ending is Ending.COMPLETE
        assert upstream.unexpected == 0
        assert running.idle_connections == 1


async def test_no_attempt_begins_before_its_time(
    proxy: StartProxy, clock: ManualClock, port: ClosedPort
) -> None:
    running = await proxy(
        {"/": {"target": port.url, "connect_retry_seconds": 5}}, clock=clock
    )
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    exchange = await held(running)
    for wait in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        clock.advance(wait - 0.01)
        running.tick()
        assert exchange.waiting_for == "retry"
        clock.advance(0.01)
        running.tick()
        assert exchange.waiting_for == "connection"
        await became(lambda: exchange.waiting_for == "retry")


async def test_after_the_time_is_up_a_request_is_told_to_come_back(
    proxy: StartProxy, clock: ManualClock, port: ClosedPort
) -> None:
    running = await proxy(
        {"/": {"target": port.url, "connect_retry_seconds": 0.25}}, clock=clock
    )
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    exchange = await held(running)
    clock.advance(0.1)
    running.tick()
    await became(lambda: exchange.waiting_for == "retry")
    clock.advance(0.14)
    running.tick()
    assert exchange.waiting_for == "retry"
    clock.advance(0.01)  # a last one at the end
    running.tick()
    head, error = await told(client)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in head
    assert b"Proxy-Status: unbuffered; error=destination_unavailable\r\n" in head
    assert b"Connection: close" not in head
    assert error["message"] == (
        f"nothing listens at {port.address}, for 0.2 s and 3 attempts "
        "(connect_retry_seconds)"
    )
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert isinstance(timeline.error, UpstreamUnavailable)
    assert timeline.status == 503


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("request_bytes", [GET_NUMBER % 0, POST], ids=["GET", "POST"])
async def test_a_client_that_leaves_while_it_waits_ends_it_at_once(
    proxy: StartProxy,
    clock: ManualClock,
    port: ClosedPort,
    request_bytes: bytes,
    how: str,
) -> None:
    running = await proxy(
        {"/": {"target": port.url, "connect_retry_seconds": 60}}, clock=clock
    )
    client = await running.client()
    await client.send(request_bytes)
    await held(running)
    (target,) = running.server.compiled.upstreams
    assert target.open == 1
    getattr(client, how)()
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert target.open == 0
    async with port.upstream() as upstream:
        clock.advance(60.0)
        running.tick()
        await idle()
        assert upstream.unexpected == 0


async def test_the_whole_exchange_is_bounded_while_it_waits_too(
    proxy: StartProxy, clock: ManualClock, port: ClosedPort
) -> None:
    options = {"connect_retry_seconds": 60, "max_duration_seconds": 0.05}
    running = await proxy({"/": {"target": port.url, **options}}, clock=clock)
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    await held(running)
    clock.advance(0.06)
    running.tick()
    head, error = await told(client)
    assert head.startswith(b"HTTP/1.1 504 ")
    assert "max_duration_seconds" in str(error["message"])
    assert (await running.ended()).ending is Ending.TIMED_OUT


async def test_the_time_between_attempts_is_no_time_of_an_attempt(
    proxy: StartProxy, clock: ManualClock, port: ClosedPort
) -> None:
    options = {"connect_retry_seconds": 60, "connect_timeout_seconds": 0.05}
    running = await proxy({"/": {"target": port.url, **options}}, clock=clock)
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    exchange = await held(running)
    for wait in (0.06, 0.2, 0.3):
        clock.advance(wait)
        running.tick()
        await became(lambda: exchange.waiting_for == "retry")
    async with port.upstream() as upstream:
        clock.advance(1.0)
        running.tick()
        server = await upstream.request()
        await server.send(OK)
        await client.read_head()


async def test_an_attempt_that_hangs_ends_with_its_own_limit(
    proxy: StartProxy, clock: ManualClock
) -> None:
    with BlackHole() as hole:
        running = await proxy(
            {"/": {"target": hole.url, "connect_retry_seconds": 60}}, clock=clock
        )
        client = await running.client()
        await client.send(GET_NUMBER % 0)
        exchange = await running.waiting_for("connection")
        await idle()
        clock.advance(9.9)
        running.tick()
        assert exchange.waiting_for == "connection"
        clock.advance(0.1)
        running.tick()
        head, error = await told(client)
    assert head.startswith(b"HTTP/1.1 504 ")
    assert error["type"] == "connection_timeout"
    assert "connect_timeout_seconds" in str(error["message"])
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert isinstance(timeline.error, ConnectTimeout)


async def test_the_log_says_once_that_an_upstream_is_down_and_once_that_it_is_back(
    proxy: StartProxy,
    clock: ManualClock,
    port: ClosedPort,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    running = await proxy(
        {
            "/now": {"target": port.url},
            "/wait": {"target": port.url, "connect_retry_seconds": 60},
        },
        clock=clock,
    )
    client = await running.client()
    for number in range(3):
        await client.send(GET_NUMBER.replace(b"/%d", b"/now/%d") % number)
        await told(client)
    waiting = await running.client()
    await waiting.send(GET_NUMBER.replace(b"/%d", b"/wait/%d") % 3)
    exchange = await held(running)
    clock.advance(20.0)
    running.tick()
    await became(lambda: exchange.waiting_for == "retry")
    down = f"upstream {port.url} is down: nothing listens at {port.address}; route /now"
    assert lines(caplog) == [down]
    async with port.upstream() as upstream:
        clock.advance(1.5)
        running.tick()
        server = await upstream.request()
        await server.send(OK)
        await waiting.read_head()
        assert lines(caplog) == [
            down,
            f"upstream {port.url} is back after 21.5 s; "
            "meanwhile 4 requests failed, waited or went to another target",
        ]
        # Both routes have the same connections.
        await running.ended()
        await client.send(GET_NUMBER.replace(b"/%d", b"/now/%d") % 4)
        await server.read_head()
        await server.send(OK)
        await client.read_head()
        assert len(lines(caplog)) == 2


async def test_an_upstream_that_comes_and_goes_does_not_fill_the_log(
    proxy: StartProxy, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with ClosedPort() as first:
        number = first.port
        running = await proxy(
            {"/": {"target": first.url, "upstream_keepalive_seconds": 0}}, clock=clock
        )
        client = await running.client()
        await client.send(GET_NUMBER % 0)
        await told(client)
        async with first.upstream() as upstream:
            await client.send(GET_NUMBER % 1)
            await (await upstream.request()).send(OK)
            await client.read_head()
            await client.read(2)
        assert len(lines(caplog)) == 2
    with ClosedPort(port=number):
        await client.send(GET_NUMBER % 2)
        await told(client)
        assert len(lines(caplog)) == 2
        clock.advance(10.0)
        await client.send(GET_NUMBER % 3)
        await told(client)
        assert [line.split(" ")[3] for line in lines(caplog)] == [
            "down:",
            "back",
            "down:",
        ]


@pytest.mark.parametrize("listens", ["127.0.0.1", "::1"])
async def test_every_address_of_a_name_is_tried(
    proxy: StartProxy, clock: ManualClock, listens: str
) -> None:
    """`localhost` is both, and an upstream listens on one of them."""
    with (
        ClosedPort("127.0.0.1") as four,
        ClosedPort("::1", four.port) as six,
    ):
        running = await proxy(
            {
                "/": {
                    "target": f"http://localhost:{four.port}",
                    "connect_retry_seconds": 5,
                }
            },
            clock=clock,
        )
        (target,) = running.server.compiled.upstreams

        resolver = target.connector.resolver
        target.connector.fixed = []  # as if it were the name of another machine

        def know_both() -> None:
            six, four = (
                (socket.AF_INET6, "::1"),
                (socket.AF_INET, "127.0.0.1"),
            )
            resolver.known["localhost"] = (float("inf"), [six, four])

        know_both()
        client = await running.client()
        await client.send(GET_NUMBER % 0)
        await held(running)
        assert "localhost" not in resolver.known  # the name may have moved
        port = four if listens == four.host else six
        async with port.upstream() as upstream:
            know_both()
            clock.advance(1.0)
            running.tick()
            await (await upstream.request()).send(OK)
            assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_stale_connection_to_an_upstream_that_restarts_is_waited_for_too(
    proxy: StartProxy, clock: ManualClock
) -> None:
    async with Upstream() as upstream:
        number = upstream.port
        running = await proxy(
            {"/": {"target": upstream.url, "connect_retry_seconds": 5}}, clock=clock
        )
        client, server = await running.begin(upstream, GET_NUMBER % 0)
        await server.send(OK)
        await client.read_head()
        await client.read(2)
        await client.send(GET_NUMBER % 1)
        await server.read_head()
        assert upstream.server is not None
        upstream.server.close()
        server.close()
        with ClosedPort(port=number) as port:
            await running.ended()
            await held(running)
            async with port.upstream() as fresh:
                clock.advance(1.0)
                running.tick()
                again = await fresh.request()
                assert again.head_lines[0] == b"GET /1 HTTP/1.1"
                await again.send(OK)
                assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_name_that_nobody_knows_is_told_as_that(proxy: StartProxy) -> None:
    running = await proxy({"/": {"target": "http://nothing.invalid"}})
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    head, error = await told(client)
    assert head.startswith(b"HTTP/1.1 502 ")
    assert error["type"] == "dns_error"
    assert "the host name 'nothing.invalid' cannot be resolved" in str(error["message"])
