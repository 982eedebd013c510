"""More than the proxy may take: what is open goes on, the rest is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from proxy.server.admission import SURPLUS
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.messages import GET_NUMBER, OK, STREAM
from tests.support.process import GUARD as START
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, connect, turns


async def overloaded(client: Peer, word: str, kind: str) -> None:
    """The client reads a 503 that says when to come back, and why."""
    head = client.head or await client.read_head()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in head
    assert b"\r\nConnection: close\r\n" in head
    assert b"\r\nProxy-Status: unbuffered; error=%b\r\n" % kind.encode() in head
    body, ending = await client.read_to_close()
    assert ending == "fin"
    assert word in json.loads(body)["error"]["message"]
    client.close()


# -- limits of our own ------------------------------------------------------------


async def test_a_request_on_a_connection_too_many_is_answered_503(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"max_connections": 2}
    )
    idle = await running.client()
    client, peer = await running.begin(upstream, GET_NUMBER % 0)
    await peer.send(STREAM)
    surplus = await running.client()
    await surplus.send(GET_NUMBER % 1)
    await overloaded(surplus, "max_connections", "proxy_internal_response")
    timeline = await running.ended()
    assert timeline.ending is Ending.REFUSED
    assert (timeline.status, timeline.target) == (503, b"/1")
    assert upstream.unexpected == 0

    # What is open goes on, and what leaves makes room.
    await peer.send(chunk(b"on"))
    await client.read_head()
    assert await client.read_chunk() == b"on"
    await running.connected(2)
    idle.close()
    await running.connected(1)
    _, peer = await running.begin(upstream, GET_NUMBER % 2)
    await peer.send(OK)


async def test_a_connection_too_many_is_served_if_there_is_room_by_then(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A browser opens connections before it needs them."""
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"max_connections": 1}
    )
    first = await running.client()
    await running.connected(1)
    second = await running.client()
    await running.connected(2)
    first.close()
    await running.connected(1)
    await second.send(GET_NUMBER % 0)
    peer = await upstream.request()
    await peer.send(OK)
    assert (await second.read_head()).startswith(b"HTTP/1.1 200 ")
    assert await second.read(2) == b"ok"

    # From then on it is one of those that are open.
    await running.client()
    await running.connected(2)
    await second.send(GET_NUMBER % 1)
    await peer.read_head()
    await peer.send(OK)
    assert (await second.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_those_that_wait_to_be_told_are_bounded(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server={"max_connections": 1}
    )
    waiting = [await running.client() for _ in range(1 + SURPLUS)]
    await running.connected(1 + SURPLUS)
    await (await running.client()).closed()
    assert len(running.connections) == 1 + SURPLUS
    await waiting[-1].send(GET_NUMBER % 0)
    await overloaded(waiting[-1], "max_connections", "proxy_internal_response")


async def test_an_exchange_too_many_is_answered_503(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "upstream_keepalive_seconds": 0}},
        server={"max_exchanges": 1},
    )
    client, peer = await running.begin(upstream, GET_NUMBER % 0)
    surplus = await running.client()
    await surplus.send(GET_NUMBER % 1)
    await overloaded(surplus, "max_exchanges", "proxy_internal_response")
    assert (await running.ended()).ending is Ending.REFUSED
    assert upstream.unexpected == 0

    await peer.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"
    await running.ended()
    for n in range(3):  # each ends before the next, however it ends
        other, peer = await running.begin(upstream, GET_NUMBER % n)
        other.reset()
        assert (await running.ended()).ending is Ending.CLIENT_LEFT
        await peer.closed()
    assert running.server.under_way == 0


async def test_malformed_bytes_are_no_exchange(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, server={"max_exchanges": 1})
    for _ in range(3):
        client = await running.client()
        await client.send(b"\x16\x03\x01")
        assert (await client.read_head()).startswith(b"HTTP/1.1 400 ")
        client.close()
    assert running.server.under_way == 0
    await running.begin(upstream, GET_NUMBER % 0)


# -- file descriptors -------------------------------------------------------------

LIMIT = 64
KEPT = 8  # of them, for upstreams
TURNS_TO_REFUSE = 5  # a connection that was accepted, in a loop; it takes three


class ScarceProxy:
    """A proxy in a process that may have 64 descriptors."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.port = 0
        self.log: list[str] = []
        self.clients: list[Peer] = []

    async def client(self) -> Peer:
        """One more client."""
        self.clients.append(await connect(self.port))
        return self.clients[-1]

    async def fill(self) -> Peer:
        """Connect clients until one is told that it is too much: that one."""
        while True:
            assert len(self.clients) < LIMIT
            client = await self.client()
            told = asyncio.ensure_future(client.read_head())
            await self.decide(1)
            await turns(3)
            if told.done():
                return client
            told.cancel()

    async def decide(self, count: int) -> None:
        """Have it accept so many that wait, and take or refuse each.

        In every turn of its loop it accepts one, whatever else it does in it.
        """
        for _ in range(count + TURNS_TO_REFUSE):
            await self.pass_time(0)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """What comes in the meantime is there all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def leave(self, clients: list[Peer]) -> None:
        """Have clients go without a word."""
        for client in clients:
            client.writer.transport.abort()

    async def line(self, seconds: float = GUARD) -> str:
        """The next line that it tells us."""
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            return (await self.process.stdout.readline()).decode().strip()

    async def pass_time(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"%f\n" % seconds)
        assert await self.line() == "ticked"

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode().strip())

    def told(self, word: str) -> list[str]:
        return [line for line in self.log if word in line]


@pytest.fixture
async def scarce(upstream: Upstream) -> AsyncIterator[ScarceProxy]:
    async with scarce_proxy(upstream.url) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def scarce_proxy(*arguments: str) -> AsyncIterator[ScarceProxy]:
    kind = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.scarce", kind, str(LIMIT), *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    proxy = ScarceProxy(process)
    reading = asyncio.ensure_future(proxy.read_log())
    try:
        proxy.port = int(await proxy.line(START))
        yield proxy
    finally:
        proxy.leave(proxy.clients)
        assert process.stdin is not None
        process.stdin.close()  # it ends
        try:
            async with asyncio.timeout(START):
                status = await process.wait()
                await reading
        except TimeoutError:
            process.kill()
            raise
    assert status == 0
    assert not proxy.told("Traceback")
    assert not proxy.told("ERROR")


async def test_without_descriptors_what_is_open_goes_on(
    scarce: ScarceProxy, upstream: Upstream
) -> None:
    client = await scarce.client()
    await client.send(GET_NUMBER % 0)
    peer = await upstream.request()
    await peer.send(STREAM + chunk(b"one"))
    await client.read_head()
    assert await client.read_chunk() == b"one"

    idle = [await scarce.client() for _ in range(100)]
    await became(lambda: bool(scarce.told("file descriptors are running out")))
    # The stream goes on; and a client that was accepted is served, since the
    # last descriptors are kept for upstreams.
    await peer.send(chunk(b"two"))
    assert await client.read_chunk() == b"two"
    await idle[0].send(GET_NUMBER % 1)
    other = await upstream.request()
    await other.send(OK)
    assert (await idle[0].read_head()).startswith(b"HTTP/1.1 200 ")
    scarce.leave(idle)
    for _ in range(3):  # it has seen them leave
        await scarce.pass_time(0)

    # It takes new ones as soon as there is room (asyncio's loop looks for it
    # once a second), and says so once.
    again = await scarce.client()
    await again.send(GET_NUMBER % 2)
    await other.read_head()
    await other.send(OK)
    assert (await again.read_head()).startswith(b"HTTP/1.1 200 ")
    await scarce.pass_time(1)
    assert not scarce.told("available again")
    await scarce.pass_time(6)
    await became(lambda: bool(scarce.told("available again")))
    assert len(scarce.told("running out")) == len(scarce.told("available again")) == 1
    assert f" {LIMIT} " in scarce.told("running out")[0]


async def test_near_the_limit_a_new_client_is_told(scarce: ScarceProxy) -> None:
    last = await scarce.fill()
    await overloaded(last, f"limit of {LIMIT} file", "proxy_internal_response")


async def served(client: Peer, upstream: Upstream) -> bool:
    """Send a request: does it come to the upstream, or is it answered by the proxy?"""
    await client.send(GET_NUMBER % 1)
    head = asyncio.ensure_future(client.read_head())
    request = asyncio.ensure_future(upstream.request())
    await asyncio.wait({head, request}, return_when=asyncio.FIRST_COMPLETED)
    for each in (head, request):
        each.cancel()
    await asyncio.gather(head, request, return_exceptions=True)
    return not client.head


async def test_a_request_that_no_descriptor_is_left_for_is_a_503(
    scarce: ScarceProxy, upstream: Upstream
) -> None:
    """Streams take two each: those that were accepted use up the reserve."""
    await scarce.fill()
    count = 0
    for client in scarce.clients[:-1]:
        if not await served(client, upstream):
            break
        count += 1
    assert count >= KEPT
    assert client.head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in client.head
    error = json.loads(await client.read_until(b"\n}\n"))["error"]
    assert error["type"] == "connection_limit_reached"
    assert f"limit is {LIMIT} " in error["message"]


# -- before TLS is complete -------------------------------------------------------


class Authority:
    """A certificate of the proxy's, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        self.files = (str(folder / "cert.pem"), str(folder / "key.pem"))
        (chain,) = leaf.cert_chain_pems
        chain.write_to_path(self.files[0])
        leaf.private_key_pem.write_to_path(self.files[1])
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)

    async def client(self, port: int) -> Peer:
        async with asyncio.timeout(GUARD):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=self.context
            )
        return Peer(reader, writer)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_clients_that_never_begin_tls_leave_the_reserve_to_upstreams(
    upstream: Upstream, authority: Authority
) -> None:
    """All come at once: while one is refused, the next ones are accepted already."""
    async with scarce_proxy(upstream.url, *authority.files) as scarce:
        for _ in range(KEPT):
            scarce.clients.append(await authority.client(scarce.port))
        clients = list(scarce.clients)
        with scarce.stopped():
            silent = [await scarce.client() for _ in range(2 * LIMIT)]
        await scarce.decide(len(silent))
        await became(lambda: bool(scarce.told("file descriptors are running out")))
        # One may meet a connection that is accepted, and not refused yet; without the
        # reserve all but one did.
        assert sum([await served(each, upstream) for each in clients]) >= KEPT - 2
        # When they leave there is room again.
        scarce.leave(silent)
        await scarce.pass_time(6)
        async with asyncio.timeout(GUARD):
            while not scarce.told("available again"):
                await scarce.pass_time(6)
        late = await authority.client(scarce.port)
        scarce.clients.append(late)
        assert await served(late, upstream)


async def test_those_that_have_not_begun_tls_count_as_connections(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    certificate, key = authority.files
    running = await proxy(
        {"/": {"target": upstream.url}},
        server={"max_connections": 1, "tls_certificate": certificate, "tls_key": key},
    )
    door = running.server.admission
    silent = [await running.client() for _ in range(1 + SURPLUS)]
    await became(lambda: len(door.handshakes) == 1 + SURPLUS)
    await (await running.client()).closed()
    assert len(door.handshakes) == 1 + SURPLUS
    for each in silent:
        each.reset()
    await became(lambda: not door.handshakes)
    client = await authority.client(running.port)
    running.clients.append(client)
    await client.send(GET_NUMBER % 0)
    await (await upstream.request()).send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert not door.handshakes
