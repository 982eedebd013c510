"""POST /_unbuffered/drain: who may begin a drain, and what is told while it lasts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.inspector.drain_endpoint import AGAIN_SECONDS, COUNT_SECONDS
from tests.conftest import ManualClock, StartProxy
from tests.support.certificates import Authority
from tests.support.http2 import Http2Listener
from tests.support.looking import OWN, answer
from tests.support.raw import GUARD, Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def drain(query: str = "", fields: str = OWN, host: str = "localhost") -> bytes:
    """The request."""
    line = f"POST /_unbuffered/drain{query} HTTP/1.1\r\nHost: {host}\r\n"
    return (line + fields + "Content-Length: 0\r\n\r\n").encode()


class Asked:
    """A proxy that is drained when a client asks for it, in 10 s after a delay of 4 s.

    As `process` does it; each step is the test's.
    """

    def __init__(self, running: RunningProxy, clock: ManualClock) -> None:
        self.running = running
        self.clock = clock
        self.times = 0
        running.server.drain_progress.on_asked = self.ask

    def ask(self) -> None:
        self.times += 1

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running.tick()

    async def ended(self, drained: asyncio.Future[int]) -> int:
        async with asyncio.timeout(GUARD):
            cut = await drained
            await self.running.server.drain_progress.end(cut)
        return cut


@pytest.fixture
async def asking(proxy: StartProxy, upstream: Upstream, clock: ManualClock) -> Asked:
    return Asked(await proxy({"/": {"target": upstream.url}}, clock=clock), clock)


async def line(peer: Peer) -> dict[str, Any]:
    """The next line that is told."""
    told = await peer.read_chunk()
    assert told.endswith(b"\n")
    found: dict[str, Any] = json.loads(told)
    return found


def told(state: str, exchanges: int, seconds: float) -> dict[str, Any]:
    return {"state": state, "exchanges": exchanges, "seconds": seconds}


async def test_each_change_is_told_until_the_end(
    asking: Asked, upstream: Upstream
) -> None:
    running = asking.running
    one, first = await running.begin(upstream, GET)
    other, second = await running.begin(upstream, GET)
    watcher = await running.client()
    await watcher.send(drain())
    head = await watcher.read_head()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: application/x-ndjson\r\n" in head
    assert asking.times == 1
    asking.pass_time(0)  # nothing is told before it has begun
    running.server.announce(4)
    assert await line(watcher) == told("delay", 2, 4.0)
    asking.pass_time(1)  # nothing has changed
    third, last = await running.begin(upstream, GET)
    asking.pass_time(1)
    assert await line(watcher) == told("delay", 3, 2.0)
    drained = running.drain(10)
    await became(lambda: running.server.draining)
    asking.pass_time(0)
    assert await line(watcher) == told("draining", 3, 10.0)
    for server, client in ((first, one), (second, other)):
        await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.read_to_close()
    await became(lambda: running.server.under_way == 1)
    asking.pass_time(1)
    assert await line(watcher) == told("draining", 1, 9.0)
    asking.pass_time(AGAIN_SECONDS - 0.5)
    asking.pass_time(0.5)  # once more, that it goes on
    assert await line(watcher) == told("draining", 1, 4.0)
    await last.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await third.read_to_close()
    ended = asyncio.ensure_future(asking.ended(drained))
    while (now := await line(watcher))["state"] == "draining":
        assert now["exchanges"] == 0
    assert now == {"state": "ended", "exchanges": 0, "cut": 0}
    assert await watcher.read_chunk() == b""
    assert await watcher.read_to_close() == (b"", "fin")
    watcher.close()
    assert await ended == 0


async def test_who_watches_is_not_waited_for(asking: Asked) -> None:
    """The end does not wait for the clock: nothing but watches is open."""
    running = asking.running
    watchers = [await running.client() for _ in range(3)]
    for each in watchers:
        await each.send(drain())
        await each.read_head()
    assert asking.times == 3  # each time; what is asked for is the same
    assert await running.drain(10) == 0
    assert running.server.clients
    ended = asyncio.ensure_future(running.server.drain_progress.end(0))
    for each in watchers:
        assert (await each.read_body()).endswith(b'"cut":0}\n')
        each.close()
    await ended


async def test_how_many_were_cut_is_told_last(
    asking: Asked, upstream: Upstream
) -> None:
    client, server = await asking.running.begin(upstream, GET)
    await server.send(HEAD + chunk(b"half"))
    await client.read_head()
    watcher = await asking.running.client()
    await watcher.send(drain())
    await watcher.read_head()
    drained = asking.running.drain(0)
    ended = asyncio.ensure_future(asking.ended(drained))
    body = await watcher.read_body()
    assert json.loads(body.splitlines()[-1]) == {
        "state": "ended",
        "exchanges": 0,
        "cut": 1,
    }
    watcher.close()
    assert await ended == 1


async def test_a_watch_that_leaves_ends_nothing(
    asking: Asked, upstream: Upstream
) -> None:
    running = asking.running
    watcher = await running.client()
    await watcher.send(drain())
    await watcher.read_head()
    await running.connected(1)
    watcher.close()
    await running.connected(0)
    assert not running.server.drain_progress.is_watched
    running.server.announce(4)
    client, server = await running.begin(upstream, GET)
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")


async def test_without_waiting_it_is_answered_once_it_has_begun(asking: Asked) -> None:
    watcher = await asking.running.client()
    await watcher.send(drain("?wait=0"))
    await became(lambda: asking.times == 1)
    asking.pass_time(0)
    asking.running.server.announce(4)
    status, body = await answer(watcher)
    assert (status, json.loads(body)) == (202, told("delay", 0, 4.0))
    assert not asking.running.server.drain_progress.is_watched


async def test_what_does_not_begin_soon_is_told_nevertheless(asking: Asked) -> None:
    brief, watcher = [await asking.running.client() for _ in range(2)]
    await brief.send(drain("?wait=0"))
    await watcher.send(drain())
    await watcher.read_head()
    await became(lambda: asking.times == 2)
    asking.pass_time(COUNT_SECONDS)
    status, body = await answer(brief)
    assert (status, json.loads(body)) == (202, told("serving", 0, 0.0))
    assert await line(watcher) == told("serving", 0, 0.0)
    watcher.close()
    await asking.running.connected(1)


async def test_who_leaves_before_it_has_begun_is_forgotten(asking: Asked) -> None:
    running = asking.running
    for each in ("?wait=0", ""):
        client = await running.client()
        await client.send(drain(each))
        await running.connected(1)
        await became(lambda: asking.times > 0)
        client.close()
        await running.connected(0)
        asking.times = 0
    endpoint = running.server.drain_endpoint
    assert (len(endpoint.brief), len(endpoint.watches)) == (0, 0)
    running.server.announce(4)


async def test_while_it_drains_it_is_told_at_once_how_far_it_is(
    asking: Asked, upstream: Upstream
) -> None:
    running = asking.running
    busy, _ = await running.begin(upstream, GET)
    client = await running.client()
    await client.send(drain()[:20])
    await became(lambda: any(each.ahead for each in running.connections))
    drained = running.drain(10)
    await became(lambda: running.server.draining)
    await client.send(drain()[20:])
    status, body = await answer(client)
    assert (status, json.loads(body)) == (202, told("draining", 1, 10.0))
    busy.close()
    client.close()
    assert await drained == 0


async def test_a_server_that_does_not_end_by_itself_says_so(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(drain())
    status, body = await answer(client)
    assert (status, b"send SIGTERM" in body) == (503, True)


# -- by HTTP/2


async def test_by_http2_the_connection_of_a_watch_is_not_waited_for(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, authority: Authority
) -> None:
    """Nor are those of its requests that have ended; but all others are."""
    over = Http2Listener(authority)
    running = await proxy(
        {"/": {"target": upstream.url}}, clock=clock, server=over.server
    )
    asking = Asked(running, clock)
    http = await over.client(running, name="localhost")
    here = f"localhost:{running.port}"
    busy = await http.ask("/x", authority=here)
    server = await upstream.request()
    watch = await http.ask("/_unbuffered/drain", method="POST", authority=here)
    assert (await http.head(watch))[":status"] == "200"
    assert asking.times == 1
    drained = running.drain(10)
    await became(lambda: running.server.draining)
    asking.pass_time(0)
    while b"draining" not in http.data[watch]:
        await http.pump()
    assert not drained.done()
    await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await http.head(busy))[":status"] == "204"
    asking.pass_time(0.25)
    async with asyncio.timeout(GUARD):
        assert await drained == 0
    ended = asyncio.ensure_future(running.server.drain_progress.end(0))
    assert (await http.body(watch)).endswith(b'"cut":0}\n')
    await http.closed()
    http.peer.close()
    await ended


# -- who may


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param(OWN + "Origin: http://localhost\r\n", b"page", id="a page"),
        pytest.param(
            OWN + "Sec-Fetch-Site: same-origin\r\n", b"page", id="a page of ours"
        ),
        pytest.param("", b"keep-alive", id="a hop that says nothing of itself"),
    ],
)
async def test_who_may_be_anybody_does_not_begin_it(
    asking: Asked, fields: str, words: bytes
) -> None:
    client = await asking.running.client()
    await client.send(drain(fields=fields))
    status, body = await answer(client)
    assert (status, words in body) == (403, True)
    assert asking.times == 0


@pytest.mark.parametrize("enabled", ["loopback", True])
@pytest.mark.parametrize(
    ("fields", "host"),
    [
        pytest.param(OWN + "X-Forwarded-For: 1.2.3.4\r\n", "localhost", id="a hop"),
        pytest.param(OWN, "10.1.2.3:8080", id="another machine"),
        pytest.param(OWN, "evil.example", id="a name that was bent to this machine"),
    ],
)
async def test_who_is_elsewhere_does_not_begin_it(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    enabled: object,
    fields: str,
    host: str,
) -> None:
    """Whoever may read the metrics."""
    table = {"enabled": enabled}
    running = await proxy(
        {"/": {"target": upstream.url}}, inspector=table, metrics=table
    )
    asking = Asked(running, clock)
    client = await running.client()
    await client.send(drain(fields=fields, host=host))
    assert (await answer(client))[0] == 403
    assert asking.times == 0


TOKEN = "t0ken-of-the-inspector"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param(BEARER, 202, id="the token"),
        pytest.param(BEARER.replace("t0", "to"), 401, id="another one"),
        pytest.param("", 401, id="none"),
        pytest.param(BEARER.replace("inspector", "metrics"), 401, id="of the metrics"),
    ],
)
async def test_with_a_token_it_may_be_begun_from_anywhere(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    fields: str,
    status: int,
) -> None:
    """That of the inspector: whoever reads the metrics ends nothing."""
    running = await proxy(
        {"/": {"target": upstream.url}},
        inspector={"token": TOKEN},
        metrics={"token": TOKEN.replace("inspector", "metrics")},
    )
    asking = Asked(running, clock)
    for host, more in (
        ("10.1.2.3", "X-Forwarded-For: 1.2.3.4\r\n"),
        ("localhost", OWN),
    ):
        client = await running.client()
        await client.send(drain("?wait=0", fields + more, host))
        assert (await answer(client))[0] == status
    assert asking.times == (2 if status == 202 else 0)


async def test_only_post_begins_it(asking: Asked) -> None:
    client = await asking.running.client()
    await client.send(drain().replace(b"POST", b"GET"))
    assert (await answer(client))[0] == 405
    assert b"\r\nAllow: POST\r\n" in client.head
    assert asking.times == 0


async def test_switched_off_it_is_a_path_of_a_route(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"enabled": False}
    running = await proxy(
        {"/": {"target": upstream.url}}, inspector=table, metrics=table
    )
    asking = Asked(running, clock)
    client = await running.client()
    await client.send(drain())
    server = await upstream.request()
    assert server.head_lines[0] == b"POST /_unbuffered/drain HTTP/1.1"
    assert asking.times == 0
