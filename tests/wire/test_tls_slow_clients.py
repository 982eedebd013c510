"""TLS and a client that takes its last response slowly: it gets all of it.

What waits for it is in two buffers, of TLS and of the transport below; the clock is
the proxy's own, so that it can stand still.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from proxy.config.load import load
from proxy.server.listener import tls_options
from proxy.timeline import Ending
from proxy.transport.client_connection import ClientConnection
from proxy.transport.client_timeouts import LINGER_SECONDS, UNREAD_SECONDS
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import GET_X
from tests.support.raw import GUARD, Peer, Upstream, became, settled
from tests.support.running import RunningProxy, document

SIZE = 6_000_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)
LAST = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SHARE = 500_000


class Slow:
    """A client that reads only when it is told to, and its proxy."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        self.keys: dict[str, object] = {
            "tls_certificate": str(folder / "cert.pem"),
            "tls_key": str(folder / "key.pem"),
        }
        self.clock = clock
        self.running: RunningProxy
        self.peer: Peer
        self.own: ClientConnection

    async def answered(self, start: StartProxy, upstream: Upstream, ask: bytes) -> None:
        """Have the whole answer in the proxy, none of it read."""
        self.running = await start(
            {"/": {"target": upstream.url, "max_buffer_bytes": SIZE + 2_000_000}},
            server=self.keys,
            clock=self.clock,
        )
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.setblocking(False)
        async with asyncio.timeout(GUARD):
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", self.running.port))
            self.peer = Peer(
                *await asyncio.open_connection(
                    sock=sock, ssl=self.context, server_hostname="127.0.0.1"
                )
            )
        self.running.clients.append(self.peer)
        await self.peer.send(ask)
        await (await upstream.request()).send(ANSWER)
        assert (await self.running.ended()).ending is Ending.COMPLETE
        self.own = self.running.connection
        await settled(lambda: self.own.waiting()[1])
        assert not self.own.has_last_response

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.running.tick()

    async def takes_all(self) -> None:
        """Read in shares, and almost too late each."""
        await self.peer.read_head()
        for _ in range(SIZE // SHARE):
            self.pass_time(UNREAD_SECONDS - 1)
            assert not self.own.closed
            await self.peer.read(SHARE)


@pytest.fixture
def slow(tmp_path: Path, clock: ManualClock) -> Slow:
    return Slow(tmp_path, clock)


async def test_the_last_response_waits_as_long_as_the_client_takes_some(
    proxy: StartProxy, upstream: Upstream, slow: Slow
) -> None:
    await slow.answered(proxy, upstream, LAST)
    await slow.takes_all()
    assert await slow.peer.read_to_close() == (b"", "fin")


async def test_so_it_does_where_a_drain_closes(
    proxy: StartProxy, upstream: Upstream, slow: Slow
) -> None:
    await slow.answered(proxy, upstream, GET_X)
    slow.own.drain()
    assert slow.own.waiting_for == "reading"
    await slow.takes_all()
    assert await slow.peer.read_to_close() == (b"", "fin")


async def test_a_client_that_takes_none_is_not_waited_for(
    proxy: StartProxy, upstream: Upstream, slow: Slow
) -> None:
    await slow.answered(proxy, upstream, LAST)
    slow.pass_time(LINGER_SECONDS)
    slow.pass_time(UNREAD_SECONDS)
    await became(lambda: slow.own.closed)
    assert len(await slow.peer.read_rest()) < SIZE


async def test_the_loops_do_not_close_tls_before_the_proxy_does(
    slow: Slow, tmp_path: Path
) -> None:
    """They count from its close on, not from the last byte that was taken."""
    path = tmp_path / "config.toml"
    route = {"target": "http://127.0.0.1:1"}
    path.write_text(document({"/": route}, {"server": slow.keys}), "utf-8")
    options = tls_options(load(path, {}).server)
    assert options["ssl_shutdown_timeout"] > 100 * UNREAD_SECONDS
