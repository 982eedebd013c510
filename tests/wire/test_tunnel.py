"""The tunnel: an upgraded connection is raw, in both directions."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.flood import drained, fill
from tests.support.raw import Peer, Upstream, turns
from tests.support.running import RunningProxy

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Sec-WebSocket-Protocol: chat\r\n\r\n"
)
RAW = bytes(range(256)) + b"\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


def ws(upstream: Upstream) -> dict[str, dict[str, object]]:
    return {"/ws": {"target": upstream.url, "ws": True}}


async def tunnel(running: RunningProxy, upstream: Upstream) -> tuple[Peer, Peer]:
    """An open tunnel."""
    client, server = await running.begin(upstream, ASK)
    await server.send(AGREE)
    await client.read_head()
    return client, server


async def test_the_handshake_passes_as_it_is(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 6455 §4: key, version, sub-protocol and extensions are the peers' own."""
    running = await proxy(ws(upstream))
    client, server = await running.begin(upstream, ASK)
    for line in ASK.split(b"\r\n")[4:8]:
        assert line in server.head_lines
    assert b"Connection: Upgrade" in server.head_lines
    assert b"Upgrade: websocket" in server.head_lines
    await server.send(AGREE)
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 101 Switching Protocols"
    for line in AGREE.split(b"\r\n")[1:5]:
        assert line in client.head_lines
    assert b"Transfer-Encoding" not in client.head


async def test_bytes_pass_both_ways_as_they_came(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    for _ in range(3):
        await client.send(RAW)
        assert await server.read(len(RAW)) == RAW
        await server.send(RAW[::-1])
        assert await client.read(len(RAW)) == RAW[::-1]
    client.close()
    await server.closed()
    server.close()
    timeline = await running.ended()
    assert (timeline.status, timeline.ending) == (101, Ending.COMPLETE)
    assert (timeline.bytes_received, timeline.bytes_sent) == (3 * len(RAW),) * 2


async def test_bytes_in_the_same_segment_as_the_handshake_arrive(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(ws(upstream))
    client, server = await running.begin(upstream, ASK + b"eager client")
    await server.send(AGREE + b"eager server")
    await client.read_head()
    assert await client.read(12) == b"eager server"
    assert await server.read(12) == b"eager client"


@pytest.mark.parametrize("first", ["client", "upstream"])
async def test_each_direction_ends_by_itself(
    proxy: StartProxy, upstream: Upstream, first: str
) -> None:
    """A half-closed tunnel still carries the other half."""
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    ender, other = (client, server) if first == "client" else (server, client)
    await ender.send(b"last words")
    ender.finish()
    assert await other.read_to_close() == (b"last words", "fin")
    for word in (b"but", b"I", b"go on"):
        await other.send(word)
        assert await ender.read(len(word)) == word
    other.finish()
    assert await ender.read_to_close() == (b"", "fin")
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_an_upstream_that_dies_closes_the_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    await server.send(b"last")
    assert await client.read(4) == b"last"
    server.reset()
    await client.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.status == 101


async def test_an_upstream_that_has_ended_need_not_wait_for_the_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """What the client still says meets a reset: the upstream had said all."""
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    await server.send(b"bye")
    server.close()
    assert await client.read_to_close() == (b"bye", "fin")
    while running.exchanges.empty():
        client.writer.write(b"but")
        await turns(3)
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_client_that_dies_closes_the_upstream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    client.reset()
    await server.closed()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


@pytest.mark.parametrize("slow", ["client", "upstream"])
async def test_who_does_not_read_is_not_sent_more(
    proxy: StartProxy, upstream: Upstream, slow: str
) -> None:
    running = await proxy(ws(upstream))
    client, server = await tunnel(running, upstream)
    sender, reader = (server, client) if slow == "client" else (client, server)
    sent = await fill(sender, bytes)
    await reader.send(b"still here")  # the other direction is free
    assert await sender.read(10) == b"still here"
    assert await drained(reader, sent.size) == sent


async def test_without_ws_the_request_goes_on_as_plain_http(
    proxy: StartProxy, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unbuffered")
    running = await proxy({"/ws": {"target": upstream.url}})
    client, server = await running.begin(upstream, ASK)
    assert b"Upgrade" not in server.head
    assert b"Sec-WebSocket-Version: 13" in server.head_lines
    (line,) = [text for text in caplog.messages if "upgrade" in text]
    assert "/ws" in line
    assert "websocket" in line
    assert "ws = true" in line
    await server.send(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 426 ")


async def test_the_log_line_is_safe_to_print(
    proxy: StartProxy, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """0x9b begins a control sequence in a terminal."""
    caplog.set_level("INFO", "unbuffered")
    running = await proxy({"/ws": {"target": upstream.url}})
    ask = ASK.replace(b"Upgrade: websocket", b"Upgrade: \x9b31m" + b"x" * 9000)
    await running.begin(upstream, ask)
    (line,) = [text for text in caplog.messages if "upgrade" in text]
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request", b"403 Forbidden"])
async def test_an_upgrade_that_is_refused_is_a_response_like_any_other(
    proxy: StartProxy, upstream: Upstream, status: bytes
) -> None:
    running = await proxy(ws(upstream))
    client, server = await running.begin(upstream, ASK)
    await server.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno")
    assert (await client.read_head()).startswith(b"HTTP/1.1 " + status)
    assert await client.read(2) == b"no"
    assert (await running.ended()).ending is Ending.COMPLETE
    await client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"Upgrade" not in await server.read_head()


async def test_frames_sent_before_a_refusal_are_never_a_request(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The upstream has not seen a byte of them when the client goes wrong."""
    running = await proxy(ws(upstream))
    client, server = await running.begin(
        upstream, ASK + b"\x81\x85\x00\x00\x00\x00hello"
    )
    await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert (await client.read_head()).startswith(b"HTTP/1.1 400 ")
    assert await client.read_rest()
    assert upstream.unexpected == 0


@pytest.mark.parametrize(
    ("ask", "agree"),
    [
        pytest.param(
            ASK.replace(b"Upgrade: websocket", b"Upgrade: h2c\r\nHTTP2-Settings: AA"),
            AGREE.replace(b"websocket", b"h2c"),
            id="h2c",
        ),
        pytest.param(
            ASK.replace(b"websocket", b"websocket, h2c"),
            AGREE.replace(b"websocket", b"h2c"),
            id="h2c behind another",
        ),
        pytest.param(ASK, AGREE.replace(b"websocket", b"mqtt"), id="not asked for"),
        pytest.param(ASK, AGREE.replace(b"Upgrade: websocket\r\n", b""), id="unnamed"),
        pytest.param(
            ASK.replace(b"keep-alive, Upgrade", b"keep-alive"), AGREE, id="not ours"
        ),
        pytest.param(ASK.replace(b"HTTP/1.1", b"HTTP/1.0"), AGREE, id="HTTP/1.0"),
        pytest.param(
            ASK.replace(b"GET", b"POST").replace(
                b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"
            ),
            AGREE,
            id="before the request is complete",
        ),
    ],
)
async def test_only_a_switch_that_was_asked_for_becomes_a_tunnel(
    proxy: StartProxy, upstream: Upstream, ask: bytes, agree: bytes
) -> None:
    """RFC 9110 §7.8; h2c would smuggle requests past every rule of the proxy."""
    running = await proxy(ws(upstream))
    client, server = await running.begin(upstream, ask)
    assert b"HTTP2-Settings" not in server.head
    assert b"Upgrade: h2c" not in server.head
    await server.send(agree)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await server.closed()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE


async def test_other_protocols_are_tunnelled_as_well(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(ws(upstream))
    client, server = await running.begin(upstream, ASK.replace(b"websocket", b"tcp/9"))
    await server.send(AGREE.replace(b"websocket", b"TCP/9"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
    await server.send(b"any")
    assert await client.read(3) == b"any"


@pytest.mark.parametrize("first", ["client", "upstream"])
async def test_a_tunnel_through_tls_ends_cleanly_too(
    proxy: StartProxy, tmp_path: Path, first: str
) -> None:
    """TLS has no half-close: the end of one direction is the end of both."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Upstream(tls=context) as upstream:
        table = {
            "target": upstream.url.replace("https", "wss"),
            "ws": True,
            "ca_file": str(tmp_path / "ca.pem"),
        }
        running = await proxy({"/ws": table})
        client, server = await tunnel(running, upstream)
        ender, other = (client, server) if first == "client" else (server, client)
        await ender.send(b"last words")
        ender.close()
        assert await other.read_to_close() == (b"last words", "fin")
        other.close()
        timeline = await running.ended()
        assert timeline.ending is Ending.COMPLETE, timeline.error
