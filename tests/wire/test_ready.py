"""Readiness, and the time before a drain in which load balancers notice."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from proxy.inspector.wrong_tokens import AT_ONCE
from tests.conftest import ManualClock, StartProxy
from tests.support.http2 import GOAWAY, NO_ERROR, Http2Listener
from tests.support.looking import asked, request
from tests.support.messages import EVENT_STREAM
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy
from tests.support.siblings import siblings

GET = b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READY, LEAVING = (
    {"ready": True, "reasons": []},
    {"ready": False, "reasons": ["draining"]},
)
NODE = "10.1.2.3:8080"  # a kubelet asks from the node, by the address of the pod


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    route = {"target": upstream.url, "upstream_keepalive_seconds": 0}
    return await proxy({"/": route}, clock=clock)


async def ready(
    running: RunningProxy, fields: str = "", host: str = NODE
) -> tuple[int, Any]:
    """Status and content of the answer to a probe."""
    status, body = await asked(running, "ready", fields, host)
    return status, json.loads(body)


async def served(client: Peer, upstream: Upstream) -> bool:
    """Have a request answered; is the connection kept after it?"""
    await client.send(GET)
    server = await upstream.request()
    await server.send(ANSWER)
    head = await client.read_head()
    assert await client.read(2) == b"ok"
    return b"\r\nConnection: close\r\n" not in head


# -- who is told what


@pytest.mark.any_loop
@pytest.mark.both_protocols
@pytest.mark.parametrize(
    ("fields", "host"),
    [
        pytest.param("", NODE, id="from the node"),
        pytest.param("X-Forwarded-For: 1.2.3.4\r\n", "localhost", id="through a proxy"),
        pytest.param("", "example.com", id="by a public name"),
    ],
)
async def test_everybody_is_told_whether_it_is_ready_and_nothing_else(
    running: RunningProxy, fields: str, host: str
) -> None:
    assert await ready(running, fields, host) == (200, READY)
    assert await asked(running, "health", fields, host) == (200, b'{"status":"ready"}')
    running.server.announce(10)
    assert await ready(running, fields, host) == (503, LEAVING)
    draining = b'{"status":"draining"}'
    assert await asked(running, "health", fields, host) == (503, draining)


@pytest.mark.any_loop
async def test_a_probe_by_head_gets_the_status_alone(running: RunningProxy) -> None:
    for status, host in ((b"200", NODE), (b"200", "localhost"), (b"503", NODE)):
        if status == b"503":
            running.server.announce(10)
        client = await running.client()
        await client.send(request("ready", host=host).replace(b"GET", b"HEAD"))
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 %b " % status)
        await client.send(request("health").replace(b"GET", b"HEAD"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 %b " % status)


@pytest.mark.any_loop
async def test_who_may_read_the_metrics_is_told_more(
    running: RunningProxy, upstream: Upstream
) -> None:
    client, server = await running.begin(upstream, GET)
    await server.send(EVENT_STREAM)
    await client.read_head()
    status, told = await ready(running, host="localhost")
    assert status == 200
    assert told == READY | {
        "exchanges": 1,
        "connections": 2,
        "kept_streams": 0,
        "workers": 1,
        "upstreams_down": [],
    }


@pytest.mark.any_loop
async def test_with_a_token_the_details_need_it_and_the_status_does_not(
    proxy: StartProxy, upstream: Upstream
) -> None:
    token = "t0ken-of-the-metrics"
    running = await proxy({"/": {"target": upstream.url}}, metrics={"token": token})
    for fields, host, detailed in (
        ("", "localhost", False),
        ("Authorization: Bearer wrong\r\n", "localhost", False),
        (f"Authorization: Bearer {token}\r\n", NODE, True),
    ):
        status, told = await ready(running, fields, host)
        assert (status, "exchanges" in told) == (200, detailed)


@pytest.mark.any_loop
async def test_guesses_at_a_token_are_counted_there_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    token = "t0ken-of-the-metrics"
    running = await proxy({"/": {"target": upstream.url}}, metrics={"token": token})
    for _ in range(AT_ONCE):
        await ready(running, "Authorization: Bearer wrong\r\n")
    _, told = await ready(running, f"Authorization: Bearer {token}\r\n")
    assert told == READY


@pytest.mark.any_loop
async def test_details_are_of_all_workers(tmp_path: Path, upstream: Upstream) -> None:
    route = {"target": upstream.url, "resume": {}}
    async with siblings(tmp_path, {"/": route}, count=3) as workers:
        for number in (0, 2):
            client, server = await workers[number].begin(upstream, GET)
            await server.send(EVENT_STREAM)
            await client.read_head()
        workers[2].server.announce(10)  # one of them knows before the others
        for number, (status, told) in enumerate(
            [await ready(each, host="localhost") for each in workers.running]
        ):
            assert status == (503 if number == 2 else 200)
            assert told["ready"] is (number != 2)
            counts = ("exchanges", "connections", "kept_streams", "workers")
            # Each probe leaves a connection open.
            assert [told[name] for name in counts] == [2, 3 + number, 2, 3]


@pytest.mark.any_loop
async def test_without_metrics_the_paths_are_those_of_routes(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, metrics={"enabled": False})
    for path in ("ready", "health"):
        client = await running.client()
        await client.send(request(path))
        server = await upstream.request()
        assert server.head_lines[0] == f"GET /_unbuffered/{path} HTTP/1.1".encode()
        client.close()


# -- what is no reason, and what is one


@pytest.mark.any_loop
async def test_an_upstream_that_is_down_is_a_detail(proxy: StartProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        target = f"http://127.0.0.1:{gone.getsockname()[1]}"
    running = await proxy({"/": {"target": target, "connect_retry_seconds": 0}})
    client = await running.client()
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    assert await ready(running) == (200, READY)
    assert (await ready(running, host="localhost"))[1]["upstreams_down"] == [target]


@pytest.mark.any_loop
async def test_a_limit_that_is_reached_is_none(
    proxy: StartProxy, upstream: Upstream
) -> None:
    server = {"max_exchanges": 1, "max_connections": 2}
    running = await proxy({"/": {"target": upstream.url}}, server=server)
    await running.begin(upstream, GET)
    client = await running.client()
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 503 ")
    assert await ready(running) == (200, READY)


@pytest.mark.any_loop
async def test_without_descriptors_it_is_not_ready(
    running: RunningProxy, clock: ManualClock
) -> None:
    """On a connection that there is already: a new one is answered alike."""
    client = await running.client()
    await running.connected(1)
    fd_limit = running.server.admission.fd_limit
    before = fd_limit.low, fd_limit.lowest
    fd_limit.low, fd_limit.lowest = 1, 2**30
    await client.send(request("ready"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 503 ")
    assert b'"ready":false,"reasons":["no file desc' in await client.read_until(b"\n")
    assert (await asked(running, "health"))[0] == 503  # of the refused connection
    fd_limit.low, fd_limit.lowest = before
    await client.send(request("ready"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 503 ")  # one was refused
    await client.read_until(b"\n")
    clock.advance(60)
    running.tick()
    await client.send(request("ready"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


# -- the delay


@pytest.mark.both_protocols
async def test_in_the_delay_all_is_served_as_before(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    kept = await running.client()
    assert await served(kept, upstream)
    old, source = await running.begin(upstream, GET)
    await source.send(EVENT_STREAM)
    await old.read_head()
    delay = running.server.announce(10)
    assert (await ready(running))[0] == 503
    clock.advance(4.9)
    running.tick()
    assert await served(kept, upstream)
    assert await served(await running.client(), upstream)
    client, server = await running.begin(upstream, GET)
    await server.send(EVENT_STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    clock.advance(5.0)
    running.tick()
    for reader, writer in ((old, source), (client, server)):
        await writer.send(chunk(b"data: 2\n\n"))
        assert await reader.read_chunk() == b"data: 2\n\n"
    assert not delay.over.is_set()
    clock.advance(0.1)
    running.tick()
    assert delay.over.is_set()


async def test_in_its_second_half_a_response_is_the_last_on_its_connection(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """An idle one stays open: its client may be sending a request just now."""
    idle = await running.client()
    used = await running.client()
    assert await served(used, upstream)
    waiting, server = await running.begin(upstream, GET)
    running.server.announce(10)
    clock.advance(5)
    running.tick()
    await server.send(ANSWER)
    assert b"\r\nConnection: close\r\n" not in await waiting.read_head()
    assert await waiting.read(2) == b"ok"
    for client in (idle, used, waiting, await running.client()):
        assert not await served(client, upstream)
        await client.closed()


async def test_by_http2_goaway_comes_with_the_drain(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, over: Http2Listener
) -> None:
    """It names the last request that is served: none is lost, and none is in vain."""
    running = await proxy(
        {"/": {"target": upstream.url}}, clock=clock, server=over.server
    )
    http = await over.frames(running)
    running.server.announce(10)
    for number, seconds in ((1, 0.0), (3, 5.0), (5, 4.9)):
        clock.advance(seconds)
        running.tick()
        await http.peer.send(http.request(number))
        server = await upstream.request()
        await server.send(ANSWER)
        assert (await http.head(number))[":status"] == "200"
    assert all(frame.kind != GOAWAY for frame in http.kept)
    drained = running.drain(10)
    assert (await http.next(GOAWAY)).code == NO_ERROR
    http.peer.close()
    assert await drained == 0


async def test_a_drain_cuts_the_delay_short(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    client, server = await running.begin(upstream, GET)
    delay = running.server.announce(10)
    drained = running.drain(10)
    await became(lambda: running.server.draining)
    assert delay.over.is_set()
    await server.send(ANSWER)
    assert b"\r\nConnection: close\r\n" in await client.read_head()
    assert await client.read_to_close() == (b"ok", "fin")
    assert await drained == 0
