"""TLS with clients: what differs from plain TCP, and what must not."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.observe.access_log import to_dict
from proxy.process.reload import Reloader
from proxy.timeline import Ending
from proxy.transport.client_timeouts import LINGER_SECONDS
from tests.conftest import ManualClock, StartProxy
from tests.support.certificates import Authority
from tests.support.messages import GET_X, OK, STREAM
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy, document

Client = Callable[[RunningProxy], Awaitable[Peer]]


@pytest.fixture
def client(authority: Authority) -> Client:
    """Connect by TLS."""

    async def connected(running: RunningProxy) -> Peer:
        async with asyncio.timeout(GUARD):
            peer = Peer(
                *await asyncio.open_connection(
                    "127.0.0.1", running.port, ssl=authority.context()
                )
            )
        running.clients.append(peer)
        return peer

    return connected


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> RunningProxy:
    return await proxy(
        {"/": {"target": upstream.url, "ws": True}}, server=authority.server
    )


async def test_each_piece_passes_at_once(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    peer = await client(running)
    await peer.send(GET_X)
    server = await upstream.request()
    assert b"X-Forwarded-Proto: https" in server.head_lines
    await server.send(STREAM)
    await peer.read_head()
    for number in range(5):
        await server.send(chunk(b"event %d" % number))
        assert await peer.read_chunk() == b"event %d" % number
    await server.send(b"0\r\n\r\n")
    assert await peer.read_chunk() == b""
    await peer.send(GET_X)  # on the same connection
    await server.read_head()


async def test_a_client_that_leaves_closes_the_upstream(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    peer = await client(running)
    await peer.send(GET_X)
    server = await upstream.request()
    await server.send(STREAM)
    await peer.read_head()
    peer.writer.transport.abort()
    await server.closed()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_a_close_of_tls_closes_the_upstream_too(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    peer = await client(running)
    await peer.send(GET_X)
    server = await upstream.request()
    peer.close()
    await server.closed()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_a_broken_upstream_is_no_clean_end(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    peer = await client(running)
    await peer.send(GET_X)
    server = await upstream.request()
    await server.send(STREAM + chunk(b"half"))
    await peer.read_head()
    assert await peer.read_chunk() == b"half"
    server.close()
    assert await peer.read_rest() == b""
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_where_the_close_is_the_end_tls_is_not_closed(
    running: RunningProxy, upstream: Upstream, authority: Authority
) -> None:
    """RFC 9112 §9.8: a close alert would make the body look complete.

    asyncio's clients take any close for an end: so this one is of sockets.
    """

    def fetch(port: int) -> bytes:
        import socket

        received = b""
        with socket.create_connection(("127.0.0.1", port), GUARD) as plain:
            context = authority.context()
            with context.wrap_socket(
                plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            ) as tls:
                tls.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                while b"half" not in received:
                    received += tls.recv(1000)
                got.set()
                try:
                    received += tls.recv(1000)
                except OSError as error:  # an end without a close alert, or a reset
                    return received + type(error).__name__.encode()
        return received + b" and a clean end"

    import threading

    got = threading.Event()
    fetched = asyncio.ensure_future(asyncio.to_thread(fetch, running.port))
    server = await upstream.request()
    await server.send(STREAM + chunk(b"half"))
    await became(got.is_set)
    server.close()
    async with asyncio.timeout(GUARD):
        received = await fetched
    assert received.endswith((b"SSLEOFError", b"ConnectionResetError"))


async def test_an_early_answer_reaches_a_client_that_still_sends(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    """TLS has no half-close to end the response by."""
    peer = await client(running)
    await peer.send(
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
    )
    server = await upstream.request()
    await server.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    peer.writer.write(b"x" * 100_000)
    assert (await peer.read_head()).startswith(b"HTTP/1.1 413 ")
    assert await peer.read(2) == b"no"
    peer.close()


async def test_a_tunnel_passes(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    peer = await client(running)
    await peer.send(GET_X[:-2] + upgrade)
    server = await upstream.request()
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    await peer.read_head()
    for word in (b"ping", b"pong"):
        await peer.send(word)
        assert await server.read(4) == word
        await server.send(word)
        assert await peer.read(4) == word
    server.finish()
    assert await peer.read_rest() == b""
    peer.close()
    assert (await running.ended()).ending in (Ending.COMPLETE, Ending.CLIENT_LEFT)


async def test_what_is_no_request_is_logged_with_its_scheme(
    running: RunningProxy, client: Client
) -> None:
    peer = await client(running)
    await peer.send(b"GET / HTTP/1.1\r\nno field\r\n\r\n")
    assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")
    timeline = await running.ended()
    assert (timeline.status, timeline.method) == (400, b"")
    assert to_dict(timeline, 0.0)["scheme"] == "https"


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"OPTIONS", b"PATCH"])
async def test_plain_http_on_the_tls_port_is_told_to_use_https(
    running: RunningProxy,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    method: bytes,
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    peer = await running.client()
    await peer.send(GET_X.replace(b"GET", method))
    head = await peer.read_head()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in head
    assert await peer.read(49) == b"This port speaks HTTPS: use https:// in the URL.\n"
    await peer.send(b"more of it" * 1000)  # which is dropped
    peer.finish()
    await peer.read_to_close()
    assert [each.getMessage() for each in caplog.records] == [
        "a client was rejected: plain HTTP on the TLS port: use https:// in the URL"
    ]
    assert upstream.unexpected == 0
    await became(lambda: not running.server.admission.handshakes)


async def test_who_does_not_leave_after_plain_http_has_the_time_of_a_handshake(
    monkeypatch: pytest.MonkeyPatch,
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
) -> None:
    monkeypatch.setattr("proxy.server.listener.HANDSHAKE_SECONDS", 0.2)
    running = await proxy({"/": {"target": upstream.url}}, server=authority.server)
    peer = await running.client()
    await peer.send(GET_X)
    assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")
    await peer.read_to_close()


async def test_garbage_on_the_tls_port_is_one_line_in_the_log(
    running: RunningProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    peer = await running.client()
    await peer.send(b"\0" * 100)
    await peer.read_to_close()
    [line] = [each.getMessage() for each in caplog.records]
    assert line.startswith("a client was rejected: the TLS handshake failed: ")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n", id="1"),
        pytest.param(b"PROXY TCP6 ::1 ::1 1 443\r\n", id="1 by IPv6"),
        pytest.param(b"PROXY UNKNOWN\r\n", id="1 of a check"),
        pytest.param(
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(1, 13)), id="2"
        ),
    ],
)
async def test_the_proxy_protocol_on_the_tls_port_is_named(
    running: RunningProxy, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    peer = await running.client()
    await peer.send(sent)
    await peer.read_to_close()
    [line] = [each.getMessage() for each in caplog.records]
    assert line.startswith("a client was rejected: the PROXY protocol, which is not ")
    assert "trusted_proxies" in line
    await became(lambda: not running.server.admission.handshakes)


async def test_a_server_name_that_is_not_ascii_is_told_without_a_traceback(
    running: RunningProxy,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CPython gives it to `sys.unraisablehook`."""
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    caplog.set_level(logging.INFO, "unbuffered")
    sent = ssl.MemoryBIO()
    tls = authority.context().wrap_bio(
        ssl.MemoryBIO(), sent, server_hostname="name.test"
    )
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    peer = await running.client()
    await peer.send(sent.read().replace(b"name.test", b"\xff\xfe\x80e.test"))
    await became(lambda: bool(caplog.records))
    assert [each.getMessage() for each in caplog.records] == [
        "a client was rejected: the TLS handshake failed: the server name (SNI) is "
        "not ASCII"
    ]
    assert printed == []


async def test_a_tls_hello_on_the_plain_port_is_told_in_our_words(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=authority.context()
        )
    timeline = await running.ended()
    assert str(timeline.error).startswith("TLS on the plain HTTP port")


async def test_old_versions_of_tls_are_refused(
    running: RunningProxy, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 8996."""
    caplog.set_level(logging.INFO, "unbuffered")
    context = authority.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", running.port, ssl=context)
    await became(lambda: bool(caplog.records))
    assert "unsupported protocol" in caplog.records[0].getMessage()


def serial(peer: Peer) -> str:
    """Which certificate a client was shown."""
    found = peer.writer.get_extra_info("peercert")
    assert found is not None
    return str(found["serialNumber"])


@pytest.fixture
def reloader(running: RunningProxy, authority: Authority, tmp_path: Path) -> Reloader:
    path = tmp_path / "config.toml"
    route = {"target": "http://127.0.0.1:1"}
    server = {**authority.server, "port": 0}
    path.write_text(document({"/": route}, {"server": server}), "utf-8")
    return Reloader(running.server, lambda: load(path, {}), lambda config: [])


async def test_a_reload_takes_the_new_certificate_and_refuses_nobody(
    running: RunningProxy,
    upstream: Upstream,
    authority: Authority,
    client: Client,
    reloader: Reloader,
) -> None:
    old = await client(running)
    await old.send(GET_X)
    server = await upstream.request()
    port, seen = running.port, {serial(old)}
    for _ in range(10):
        authority.issue()
        connecting = asyncio.ensure_future(client(running))
        assert await reloader.reload()
        await connecting  # by either certificate
        seen.add(serial(await client(running)))
    assert running.port == port
    assert len(seen) == 11
    await server.send(OK)
    await old.read_head()
    assert await old.read(2) == b"ok"


async def test_a_reload_changes_between_plain_and_tls_on_the_same_port(
    running: RunningProxy,
    client: Client,
    reloader: Reloader,
    tmp_path: Path,
) -> None:
    port = running.port
    path, route = tmp_path / "config.toml", {"target": "http://127.0.0.1:1"}
    with_tls = path.read_text("utf-8")
    path.write_text(document({"/": route}, {"server": {"port": 0}}), "utf-8")
    assert await reloader.reload()
    peer = await running.client()
    await peer.send(GET_X)
    assert (await peer.read_head()).startswith(b"HTTP/1.1 502 ")
    path.write_text(with_tls, "utf-8")
    assert await reloader.reload()
    peer = await client(running)
    await peer.send(GET_X)
    assert (await peer.read_head()).startswith(b"HTTP/1.1 502 ")
    assert running.port == port


async def test_a_drain_closes_idle_connections(
    running: RunningProxy, client: Client
) -> None:
    peer = await client(running)
    await running.connected(1)
    assert await running.drain(10) == 0
    assert await peer.read_rest() == b""


async def test_a_refusal_arrives_while_the_upload_goes_on(
    running: RunningProxy, upstream: Upstream, client: Client
) -> None:
    """TLS has no half-close: to end it would break off what the client sends."""
    peer = await client(running)
    await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
    server = await upstream.request()
    own = running.connection
    await server.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    await became(lambda: own.waiting_for == "close")
    for _ in range(9):
        await peer.send(bytes(10_000))
        await idle()
    assert (await peer.read_head()).startswith(b"HTTP/1.1 413 ")
    assert await peer.read(2) == b"no"
    assert not own.closed
    peer.close()
    await running.connected(0)


async def test_it_ends_in_order_where_the_client_does_not(
    proxy: StartProxy,
    upstream: Upstream,
    authority: Authority,
    client: Client,
    clock: ManualClock,
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url}}, server=authority.server, clock=clock
    )
    peer = await client(running)
    await peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    server = await upstream.request()
    own = running.connection
    await server.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    await became(lambda: own.waiting_for == "close")
    clock.advance(LINGER_SECONDS)
    running.tick()
    await peer.read_head()
    assert await peer.read_to_close() == (b"no", "fin")  # with close_notify
    await running.connected(0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_comes_again_resumes_its_session(
    running: RunningProxy,
    upstream: Upstream,
    authority: Authority,
    version: ssl.TLSVersion,
) -> None:
    """By a ticket: no signature with the key of the certificate is made again.

    By blocking sockets in a thread: streams of asyncio cannot give a session.
    """
    context = authority.context()
    context.minimum_version = context.maximum_version = version

    def visit(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", running.port), GUARD) as plain,
            context.wrap_socket(
                plain, server_hostname="localhost", session=session
            ) as tls,
        ):
            tls.sendall(GET_X)
            assert tls.recv(4096).startswith(b"HTTP/1.1 200")  # tickets come before it
            return bool(tls.session_reused), tls.session

    server: Peer | None = None

    async def serve() -> None:
        nonlocal server
        if server is None:
            server = await upstream.request()
        else:  # on the connection that was kept
            await server.read_head()
        await server.send(OK)

    session = None
    for resumed in (False, True, True):
        (reused, session), _ = await asyncio.gather(
            asyncio.to_thread(visit, session), serve()
        )
        assert reused is resumed
