"""What the log and the banner say of streams that run."""

from __future__ import annotations

import logging

import pytest

from proxy.inspector.detectors import Findings
from proxy.origin.origin_request import OriginRequest
from proxy.origin.stream_origin import StreamOrigin
from tests.conftest import ManualClock, StartProxy
from tests.support.looking import looking
from tests.support.messages import EVENT_STREAM, GET_X
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

BROWSER = GET_X.replace(
    b"\r\n\r\n", b"\r\nSec-Fetch-Mode: cors\r\nUser-Agent: B\r\n\r\n"
)


async def stream(
    running: RunningProxy, origin: StreamOrigin, ask: bytes = GET_X
) -> tuple[Peer, OriginRequest]:
    client = await running.client()
    await client.send(ask)
    request = await origin.request()
    await request.respond()
    await client.read_head()
    return client, request


def look(running: RunningProxy) -> None:
    """What the timer does every few seconds."""
    watch = running.server.inspector.checks
    findings = Findings(watch.clock())
    watch.look(list(running.server.exchanges), findings)
    watch.told.tell(watch.conclude(findings), findings.now)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [
        record.getMessage()
        for record in caplog.records
        if record.name == "unbuffered" and record.levelno >= logging.INFO
    ]
    caplog.clear()
    return found


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "unbuffered")
    return caplog


async def send_burst(client: Peer, request: OriginRequest) -> None:
    events = b"".join(b"data: %d\n\n" % number for number in range(7))
    await request.send(events)
    await client.read_payload(len(events))


@pytest.mark.parametrize("record", ["streams", "on-look"])
async def test_bursts_of_the_upstream_are_told_in_the_log_and_in_the_banner(
    proxy: StartProxy,
    origin: StreamOrigin,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
    record: str,
) -> None:
    inspector = {"record": record}
    routes = {"/": {"target": origin.url}}
    running = await proxy(routes, clock=clock, inspector=inspector)
    client, request = await stream(running, origin)
    look(running)  # puts the probe in
    await send_burst(client, request)
    clock.advance(5)
    await send_burst(client, request)
    look(running)
    verdict = "the upstream itself sends in bursts: 14 events in 2 bursts 5.0 s apart"
    assert said(heard) == [f"route / ({origin.url}): {verdict}"]
    exchange = await running.exchange()
    assert (exchange.capture is None) is (record == "on-look")  # no more is counted
    async with looking(running) as feed:
        known = 1 if record == "streams" else 0  # from what was recorded
        assert len(await feed.next("warnings")) == known
        # From here on somebody looks, and new streams are watched from their start.
        other, its_request = await stream(running, origin)
        await send_burst(other, its_request)
        clock.advance(5)
        await send_burst(other, its_request)
        running.tick()
        (warning,) = await feed.next("warnings")
        assert warning["kind"] == "bursts"
        assert warning["text"] == f"route / ({origin.url}): {verdict}"
        assert len(warning["ids"]) == known + 1


NGINX = (b"Server", b"nginx/1.22.1")


@pytest.mark.parametrize(
    ("fields", "said_of_it"),
    [
        pytest.param(
            [NGINX],
            "; it looks like nginx (server: nginx/1.22.1): `proxy_buffering off;` in "
            "nginx.conf, beside proxy_pass in the location of the stream, if it has "
            "proxy_pass, was measured to free it",
            id="a product of the table",
        ),
        pytest.param([(b"Server", b"Own/1")], "", id="another"),
        pytest.param([], "", id="no name"),
    ],
)
async def test_an_upstream_that_holds_is_told_with_what_frees_it(
    fields: list[tuple[bytes, bytes]],
    said_of_it: str,
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await running.client()
    await client.send(GET_X)
    server = await upstream.request()
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    await server.send(EVENT_STREAM[:-2] + lines + b"\r\n")
    await client.read_head()
    look(running)
    for _ in range(2):
        events = b"data: x\n\n" * 7
        await server.send(chunk(events))
        await client.read_payload(len(events))
        clock.advance(5)
    look(running)
    (line,) = said(heard)
    assert line.endswith(f"14 events in 2 bursts 5.0 s apart{said_of_it}")


async def test_bursts_that_the_client_makes_are_held_behind_us(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    """It does not read for a while, so that nothing is read from the upstream."""
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client = await running.client(receive_bytes=4096)
    await client.send(GET_X)
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await client.read_head()
    look(running)
    exchange = await running.exchange()
    piece = chunk(b"data: %b\n\n" % bytes(1000) * 60)

    def held() -> bool:
        if not server.waiting:
            server.writer.write(piece)
        return exchange.timeline.held_since is not None

    for _ in range(3):
        await became(held)
        clock.advance(5)
        while exchange.client.blocked:
            await client.reader.read(64 * 1024)
    await became(held)
    look(running)
    (line,) = said(heard)
    assert line.startswith(
        f"route / ({upstream.url}) is held behind us: client 127.0.0.1 reads "
    )


async def test_a_stream_that_flows_is_not_accused(
    proxy: StartProxy,
    origin: StreamOrigin,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/": {"target": origin.url}}, clock=clock)
    client, request = await stream(running, origin)
    look(running)
    for _ in range(14):
        await request.send_event("1")
        await client.read_chunk()
        clock.advance(1)
    look(running)
    assert said(heard) == []


async def test_a_stall_is_told_once_by_the_key_that_asks_for_it(
    proxy: StartProxy,
    origin: StreamOrigin,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    running = await proxy(
        {"/": {"target": origin.url, "stall_warning_seconds": 30}}, clock=clock
    )
    await stream(running, origin)
    clock.advance(29)
    look(running)
    assert said(heard) == []
    clock.advance(1)
    for _ in range(30):  # while it goes on it is no news
        look(running)
        clock.advance(5)
    assert said(heard) == [
        f"stall: route / ({origin.url}) has sent nothing for more than 30 s "
        "inside a stream (stall_warning_seconds)"
    ]


SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
)
UPGRADE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


@pytest.mark.parametrize(
    ("ask", "head"),
    [
        pytest.param(GET_X, EVENT_STREAM, id="a stream"),
        pytest.param(UPGRADE, SWITCH, id="a tunnel"),
    ],
)
async def test_a_client_that_does_not_read_is_told(
    ask: bytes,
    head: bytes,
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/": {"target": upstream.url, "ws": True}}, clock=clock)
    client = await running.client(receive_bytes=4096)
    await client.send(ask)
    server = await upstream.request()
    await server.send(head)
    await client.read_head()
    exchange = await running.exchange()
    piece = chunk(bytes(64 * 1024))

    def held() -> bool:
        if not server.waiting:
            server.writer.write(piece)
        return exchange.timeline.held_since is not None

    await became(held)
    clock.advance(5)
    look(running)
    (line,) = said(heard)
    assert line.startswith("client 127.0.0.1 is slow to read route / (")
    while exchange.client.blocked:
        await client.reader.read(64 * 1024)
    assert exchange.timeline.longest_hold == 5


async def test_a_browser_without_a_connection_left_is_told(
    proxy: StartProxy,
    origin: StreamOrigin,
    clock: ManualClock,
    heard: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/": {"target": origin.url}}, clock=clock)
    for _ in range(4):
        await stream(running, origin, BROWSER)
    for _ in range(6):
        await stream(running, origin)  # of a program, which has no such limit
    look(running)
    assert said(heard) == []
    for _ in range(2):
        await stream(running, origin, BROWSER)
        look(running)
        look(running)
    five, six = said(heard)
    assert five.startswith("a browser at 127.0.0.1 has 5 requests open to a: browsers")
    assert "so only one is left" in five
    assert six.startswith("a browser at 127.0.0.1 has 6 requests open to a: browsers")
    assert "waits until one of them ends" in six
    async with looking(running) as feed:
        (warning,) = await feed.next("warnings")
        assert (warning["kind"], len(warning["ids"])) == ("connections", 6)
