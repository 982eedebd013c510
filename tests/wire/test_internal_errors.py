"""Code of the proxy that raises: whoever it concerns is told, all others served.

Each call of the clock in an exchange raises once, one after the other: in the
request, on the way to a connection, at the response head, at each piece, in the
callbacks of a slow client, at the end.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import force_setattr

from proxy.config.model import Config
from proxy.config.model import ServerOptions as Limits
from proxy.internal_errors import INTERNAL_ERRORS
from proxy.timeline import Ending, monotonic
from tests.conftest import InternalErrorLog
from tests.support.faulty import (
    Fault,
    FaultyClock,
    Unspeakable,
    ask,
    deaf,
    outcome,
    start_origin,
)
from tests.support.memory import CONFIG, MemoryProxy, MemoryTransport
from tests.support.raw import Upstream, became, connect
from tests.support.running import RunningProxy, Table, serving

CLOSE = b"HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
REQUESTS = {
    "stream": b"GET /a/stream " + CLOSE + b"\r\n",
    "plain": b"GET /a/plain " + CLOSE + b"\r\n",
    "new connection": b"GET /new/plain " + CLOSE + b"\r\n",
    "decoded": b"GET /a/gzip " + CLOSE + b"\r\n",
    "heartbeats": b"GET /beat/stream " + CLOSE + b"\r\n",
    "upload": b"POST /a/stream " + CLOSE + b"Content-Length: 4\r\n\r\nping",
    "no route": b"GET /nowhere " + CLOSE + b"\r\n",
    "no request": b"GET /nowhere HTTP/9.9\r\n\r\n",
    "tunnel": b"GET /a/ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
    b"Upgrade: websocket\r\n\r\nping",
    "pipeline": b"GET /a/plain HTTP/1.1\r\nHost: a\r\n\r\n" * 2
    + b"GET /a/plain "
    + CLOSE
    + b"\r\n",
    "inspector": b"GET /_unbuffered/health " + CLOSE + b"\r\n",
}
ROUTE = {"ws": True, "on_upstream_failure": "event"}
SERVER = {"keepalive_timeout_seconds": 0.3}
MOST_CALLS = 200


async def served(port: int, request: bytes) -> str:
    return outcome(await ask(port, request))


def let_go(running: RunningProxy) -> bool:
    """Is nothing open any more, and has all been counted down?"""
    server = running.server
    return (
        not server.clients
        and server.under_way == 0
        and all(upstream.open == 0 for upstream in server.compiled.upstreams)
    )


@pytest.mark.parametrize("name", REQUESTS)
async def test_wherever_it_raises_the_client_is_told_and_the_next_one_served(
    name: str, tmp_path: Path, internal_errors: InternalErrorLog
) -> None:
    clock = FaultyClock()
    plain = REQUESTS["plain"]
    async with start_origin() as url:
        new: Table = {"target": url, "upstream_keepalive_seconds": 0}
        routes = {
            "/a": {"target": url, **ROUTE},
            "/beat": {"target": url, "heartbeat_seconds": 60},
            "/new": new,
        }
        async with serving(tmp_path, routes, {"server": SERVER}, clock) as running:
            usual = await served(running.port, REQUESTS[name])
            for at in range(1, MOST_CALLS):
                internal_errors.told.clear()
                INTERNAL_ERRORS.forget()
                clock.arm(at)
                told = await served(running.port, REQUESTS[name])
                await became(lambda: let_go(running))
                if not clock.disarm():
                    assert told == usual
                    break
                assert told == usual or internal_errors.told, at
                assert await served(running.port, plain) == "whole", at
            else:
                pytest.fail(f"{MOST_CALLS} calls of the clock are not all there are")
            assert at > 1
            await became(lambda: let_go(running))


async def test_an_observer_that_raises_is_no_business_of_the_client(
    tmp_path: Path, internal_errors: InternalErrorLog
) -> None:
    async with start_origin() as url:
        routes: dict[str, Table] = {
            "/a": {"target": url, "ws": True},
            "/beat": {"target": url},
            "/new": {"target": url},
        }
        async with serving(tmp_path, routes, {}) as running:
            running.server.observers = (deaf, *running.server.observers)
            for name, request in REQUESTS.items():
                expected = "refused" if name.startswith("no ") else "whole"
                if name != "inspector":
                    assert await served(running.port, request) == expected, name
            # The observer behind it hears of all of them.
            endings = [(await running.ended()).ending for _ in range(12)]
            assert Counter(endings) == {Ending.COMPLETE: 10, Ending.REFUSED: 2}
            await became(lambda: let_go(running))
            assert len(internal_errors.told) == 1  # of its kind


async def test_a_client_has_its_answer_before_observers_are_told(
    tmp_path: Path, upstream: Upstream
) -> None:
    """Of an observer that never returns the client would notice nothing."""
    waiting: list[int] = []

    def look(timeline: object) -> None:
        client = running.connection
        exchange = client.exchange
        waiting.append(len(client.head) + (exchange is not None))

    routes = {"/a": {"target": upstream.url}}
    async with serving(tmp_path, routes, {}) as running:
        running.server.observers = (look, *running.server.observers)
        for request in (
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
            b"no request\r\n\r\n",
        ):
            client = await running.client()
            await client.send(request)
            await client.read_head()
            await running.ended()
            client.close()
            await running.connected(0)
        client, server = await running.begin(upstream, REQUESTS["plain"])
        server.close()
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
        await running.ended()
        assert waiting == [0, 0, 0]


async def test_a_time_limit_that_raises_ends_its_exchange_with_an_answer(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    """And the time limits of all others are looked at in the same tick."""
    routes = {"/a": {"target": upstream.url, "first_byte_timeout_seconds": 60}}
    async with serving(tmp_path, routes, {}) as running:
        client, _ = await running.begin(upstream, REQUESTS["plain"])
        exchange = await running.exchange()
        assert exchange.route is not None
        force_setattr(exchange.route.route, "max_duration_seconds", "soon")  # the fault
        running.tick()
        assert (await client.read_head()).startswith(b"HTTP/1.1 500 ")
        client.finish()  # or the proxy would linger
        assert b"proxy_internal_error" in await client.read_rest()
        timeline = await running.ended()
        assert (timeline.ending, timeline.status) == (Ending.INTERNAL_ERROR, 500)
        assert len(internal_errors.told) == 1
        await became(lambda: let_go(running))


async def test_a_list_that_cannot_be_shown_stops_no_clock(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    """Issue 10, A5: the inspector's list raised once, and no time limit was left."""
    server = {"head_timeout_seconds": 0.5}
    routes = {"/a": {"target": upstream.url}}
    async with serving(tmp_path, routes, {"server": server}) as running:
        looking = await running.client()
        await looking.send(
            b"GET /_unbuffered/feed HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: keep-alive\r\n\r\n"
        )
        await looking.read_until(b"event: warnings")
        client, peer = await running.begin(upstream, REQUESTS["plain"])
        exchange = await running.exchange()
        exchange.timeline.error = Unspeakable()  # the fault
        exchange.timeline.call.pieces += 1
        rest = await looking.read_rest()  # its feed is broken off
        assert b"0\r\n\r\n" not in rest
        assert len(internal_errors.told) == 1
        slow = await connect(running.port)
        await slow.send(b"GET ")
        assert (await slow.read_head()).startswith(b"HTTP/1.1 408 ")
        slow.close()
        exchange.timeline.error = None
        await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")
    await asyncio.sleep(0)


def stuck() -> None:
    raise Fault("it cannot be closed")


@pytest.mark.parametrize("peer", ["client", "upstream"])
async def test_a_connection_that_cannot_be_closed_does_not_keep_its_exchange(
    peer: str, internal_errors: InternalErrorLog
) -> None:
    """The client leaves; then nothing is under way, and the observers know."""
    memory = MemoryProxy()
    server, client = memory.server, memory.client
    client.receive(REQUESTS["plain"])
    (upstream,) = memory.open_upstreams
    faulty: MemoryTransport = client if peer == "client" else upstream
    faulty.abort = stuck  # type: ignore[method-assign]  # the fault
    client.end(None)
    assert not server.exchanges
    assert [timeline.ending for timeline in memory.timelines] == [Ending.CLIENT_LEFT]
    assert all(target.open == 0 for target in server.compiled.upstreams)
    assert len(internal_errors.told) == 1
    del faulty.abort
    memory.stop()


class NoSocket:
    """Takes no option, as one that was reset takes none on macOS."""

    family = socket.AF_INET

    def setsockopt(self, *_: object) -> None:
        raise Fault("no option")


async def test_a_stalled_client_that_cannot_be_reset_does_not_keep_its_exchange(
    monkeypatch: pytest.MonkeyPatch, internal_errors: InternalErrorLog
) -> None:
    limits = Limits(write_timeout_seconds=1)
    memory = MemoryProxy(Config(routes=CONFIG.routes, server=limits))
    server, client = memory.server, memory.client
    client.receive(REQUESTS["plain"])
    (upstream,) = memory.open_upstreams
    upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nping")
    memory.client_connection.pause_writing()
    monkeypatch.setattr(client, "get_extra_info", lambda _: NoSocket())  # the fault
    monkeypatch.setattr(server.ticker, "clock", lambda: monotonic() + 3600)
    server.ticker.tick()
    assert not server.exchanges
    assert [timeline.ending for timeline in memory.timelines] == [Ending.INTERNAL_ERROR]
    assert len(internal_errors.told) == 1
    memory.stop()
