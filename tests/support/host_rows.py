"""What a host gives to the proxy inside it, measured: the rows of docs/embedding.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from h2.events import (
    InformationalResponseReceived,
    StreamEnded,
    TrailersReceived,
)

from proxy.http1.head import parse_request_head
from proxy.library.client_frames import Opcode, client_frame, close_frame, masked
from proxy.policy.upgrade import accept_value
from tests.support.hosts import RunningHost
from tests.support.http2 import Http2Client, dial
from tests.support.raw import Peer, Upstream, chunk

ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"  # the next one has another
EVENTS = (
    ANSWER + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
SHORT = ANSWER + b"Content-Length: 2\r\n\r\nhi"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
MOST_BYTES = 64 * 1024 * 1024  # that any buffers on a way through may hold
STALL_SECONDS = 0.5
LOOKS, LOOK_SECONDS = 100, 0.1  # beyond what any host gives by itself
SPOKEN = ("hypercorn", "granian")  # by which HTTP/2 is spoken without TLS

Row: TypeAlias = Callable[[RunningHost, Upstream], Awaitable[str]]


def request(
    path: str = "/sse/x", *fields: str, method: str = "GET", version: str = "1.1"
) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: app.example", *fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


async def begun(
    host: RunningHost, upstream: Upstream, asked: bytes, answer: bytes = EVENTS
) -> tuple[Peer, Peer]:
    """A request whose response has begun."""
    client = await host.client(asked)
    server = await upstream.request()
    await server.send(answer)
    await client.read_head()
    return client, server


# -- who leaves


async def client_leaves(host: RunningHost, upstream: Upstream) -> str:
    for began in (True, False):
        client = await host.client(request())
        server = await upstream.request()
        if began:
            await server.send(EVENTS + chunk(b"data: 1\n\n"))
            await client.read_until(b"data: 1\n\n")
        client.close()
        await server.closed()
    return "noticed at once"


async def uploader_leaves(host: RunningHost, upstream: Upstream) -> str:
    asked = request("/sse/x", "Content-Length: 100000", method="POST")
    client = await host.client(asked + b"x" * 1000)
    server = await upstream.request()
    await server.read(1000)
    client.close()
    await server.closed()
    return "noticed at once"


# -- what breaks


async def broken(host: RunningHost, upstream: Upstream) -> str:
    client, server = await begun(host, upstream, request())
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_until(b"data: 1\n\n")
    server.close()
    rest, _ = await client.read_to_close()
    chunks = b"0\r\n" not in rest
    sized = ANSWER + b"Content-Length: 100\r\n\r\n"
    client, server = await begun(host, upstream, request(), sized)
    await server.send(b"few")
    await client.read(3)
    server.close()
    rest, _ = await client.read_to_close()
    return "visible" if chunks and not rest else "looks complete"


async def broken_http10(host: RunningHost, upstream: Upstream) -> str:
    client, server = await begun(host, upstream, request(version="1.0"))
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_until(b"data: 1\n\n")
    server.close()
    _, how = await client.read_to_close()
    return "visible" if how == "reset" else "looks complete"


async def by_http2(host: RunningHost) -> Http2Client:
    client = Http2Client(await dial(host.port))
    await client.begin()
    return client


async def http2(host: RunningHost, upstream: Upstream) -> str:
    if host.host.name not in SPOKEN:
        return "no"
    client = await by_http2(host)
    number = await client.ask("/sse/x")
    server = await upstream.request()
    await server.send(EVENTS + chunk(b"data: 1\n\n"))
    await client.head(number)
    await client.read(number, 9)
    await server.send(chunk(b"data: 2\n\n"))
    await client.read(number, 9)
    await client.reset(number)
    await server.closed()
    client.abort()
    return "yes"


async def broken_http2(host: RunningHost, upstream: Upstream) -> str:
    if host.host.name not in SPOKEN:
        return "—"
    client = await by_http2(host)
    number = await client.ask("/sse/x")
    server = await upstream.request()
    await server.send(EVENTS + chunk(b"data: 1\n\n"))
    await client.head(number)
    await client.read(number, 9)
    server.close()
    try:
        await client.broken(number)
    except AssertionError:
        return "looks complete"
    except TimeoutError:
        return "never ends"
    finally:
        client.abort()
    return "visible"


# -- more than a head and a body


async def early_hints(host: RunningHost, upstream: Upstream) -> str:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    client = await host.client(request())
    server = await upstream.request()
    await server.send(hints + SHORT)
    head = await client.read_head()
    if head.startswith(b"HTTP/1.1 103"):
        return "pass"
    if host.host.name not in SPOKEN:
        return "dropped"
    http = await by_http2(host)
    number = await http.ask("/sse/x")
    server = await upstream.request()
    await server.send(hints + SHORT)
    found = await kinds_of_events(http, number)
    return "HTTP/2 only" if InformationalResponseReceived in found else "dropped"


async def trailers(host: RunningHost, upstream: Upstream) -> str:
    ending = chunk(b"data: 1\n\n") + b"0\r\nX-Sum: 5\r\n\r\n"
    asked = request("/sse/x", "TE: trailers", "Connection: TE")
    client, server = await begun(host, upstream, asked)
    await server.send(ending)
    await client.read_until(b"\r\n0\r\n")
    if await client.read_until(b"\r\n") == b"X-Sum: 5\r\n":
        return "pass"
    if host.host.name not in SPOKEN:
        return "dropped"
    http = await by_http2(host)
    number = await http.ask("/sse/x", fields=[("te", "trailers")])
    server = await upstream.request()
    await server.send(EVENTS + ending)
    found = await kinds_of_events(http, number)
    return "HTTP/2 only" if TrailersReceived in found else "dropped"


async def kinds_of_events(client: Http2Client, number: int) -> set[type[object]]:
    """What comes on a stream, up to its end."""
    found: set[type[object]] = set()
    while StreamEnded not in found:
        found.update(type(event) for event in client.events.pop(number, ()))
        if StreamEnded not in found:
            await client.pump()
    client.abort()
    return found


async def expectation(host: RunningHost, upstream: Upstream) -> str:
    fields = ("Content-Length: 3", "Expect: 100-continue")
    client = await host.client(request("/nowhere", *fields, method="POST"))
    head = await client.read_head()
    early = b" 100" in head.split(b"\r\n")[0]
    client.close()
    client = await host.client(request("/sse/x", *fields, method="POST"))
    assert b" 100" in (await client.read_head()).split(b"\r\n")[0]
    await client.send(b"abc")
    server = await upstream.request()
    assert await server.read(3) == b"abc"
    await server.send(SHORT)
    await client.read_head()
    return "at once" if early else "once the upstream is there"


async def open_websocket(
    host: RunningHost, upstream: Upstream
) -> tuple[Peer, Peer, bytes]:
    """A WebSocket that is open on both sides, and the key that the upstream got."""
    client = await host.client(
        request(
            "/sse/ws",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY.decode()}",
            "Sec-WebSocket-Protocol: vite-hmr",
        )
    )
    server = await upstream.request()
    key = parse_request_head(server.head).index[b"sec-websocket-key"]
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Protocol: vite-hmr\r\n"
        b"Sec-WebSocket-Accept: " + accept_value(key) + b"\r\n\r\n\x81\x05hello"
    )
    head = await client.read_head()
    assert b" 101" in head.split(b"\r\n")[0], head
    assert b"vite-hmr" in head
    assert await client.read(7) == b"\x81\x05hello"
    return client, server, key


async def websocket(host: RunningHost, upstream: Upstream) -> str:
    client, server, key = await open_websocket(host, upstream)
    frame = client_frame(Opcode.TEXT, b"back")
    await client.send(frame)
    got = await server.read(len(frame))
    assert got[:2] == frame[:2]
    client.close()
    await server.read_to_close()
    return "bytes" if key == KEY else "messages"


async def websocket_close(host: RunningHost, upstream: Upstream) -> str:
    """What the upstream gets of a close frame of the client: 4002, bye."""
    client, server, _ = await open_websocket(host, upstream)
    await client.send(close_frame(4002, "bye"))
    first, second = await server.read(2)
    assert first == 0x80 | Opcode.CLOSE
    mask, data = await server.read(4), await server.read(second & 0x7F)
    said = masked(data, mask)
    client.close()
    await server.read_to_close()
    code = int.from_bytes(said[:2], "big")
    if code == 4002:
        return "code and reason pass" if said[2:] == b"bye" else "its code passes"
    return f"is {code}"


async def websocket_refusal(host: RunningHost, upstream: Upstream) -> str:
    client = await host.client(
        request(
            "/sse/ws",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY.decode()}",
        )
    )
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    )
    head = await client.read_head()
    assert "internal error" not in host.said()
    if b" 401 " not in head.split(b"\r\n")[0]:
        return "becomes 403"
    await client.read_until(b"no")
    return "passes"


# -- how much waits


async def until_blocked(peer: Peer, piece: bytes) -> bool:
    """Send until the other side takes no more; False: it takes all."""
    sent = 0
    while sent < MOST_BYTES:
        peer.writer.write(piece)
        sent += len(piece)
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await peer.writer.drain()
        except TimeoutError:
            return True
    return False


async def slow_client(host: RunningHost, upstream: Upstream) -> str:
    client = await host.connect(receive_bytes=4096)
    await client.send(request())
    server = await upstream.request()
    await server.send(EVENTS)
    blocked = await until_blocked(server, chunk(b"x" * 65536))
    server.reset()
    client.reset()
    return "slows the upstream" if blocked else "is buffered"


async def slow_upstream(host: RunningHost, upstream: Upstream) -> str:
    asked = request("/sse/x", "Transfer-Encoding: chunked", method="POST")
    client = await host.client(asked + chunk(b"x"))
    server = await upstream.request()
    blocked = await until_blocked(client, chunk(b"x" * 65536))
    client.reset()
    server.reset()
    return "slows the client" if blocked else "is buffered"


# -- what the head becomes


async def reason_phrase(host: RunningHost, upstream: Upstream) -> str:
    answer = b"HTTP/1.1 200 Fine\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    client, _ = await begun(host, upstream, request(), answer)
    return "pass" if client.head.startswith(b"HTTP/1.1 200 Fine\r\n") else "the host's"


async def date_and_server(host: RunningHost, upstream: Upstream) -> str:
    date = b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    answer = ANSWER + date + b"Server: up\r\nContent-Length: 0\r\n\r\n"
    client, _ = await begun(host, upstream, request(), answer)
    lower = client.head.lower()
    assert lower.count(b"\r\ndate: ") == lower.count(b"\r\nserver: ") == 1
    return "pass" if b"server: up" in lower and date in client.head else "the host's"


async def bytes_of_fields(host: RunningHost, upstream: Upstream) -> str:
    answer = ANSWER + b"X-Odd: \xe9\r\nContent-Length: 0\r\n\r\n"
    client, _ = await begun(host, upstream, request(), answer)
    return "pass" if b": \xe9\r\n" in client.head else "become UTF-8"


# -- the end of the host


async def stop(host: RunningHost, upstream: Upstream) -> str:
    asked = request("/sse/x", "Accept: text/event-stream")
    client, server = await begun(host, upstream, asked)
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_until(b"data: 1\n\n\r\n")
    host.process.terminate()
    for _ in range(LOOKS):  # it can end between two events, if there are any
        server.writer.write(chunk(b"data: 2\n\n"))
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                while await client.reader.readuntil(b"\r\n") != b"0\r\n":
                    pass
                return "drains it"
        except TimeoutError:
            continue
        except (asyncio.IncompleteReadError, ConnectionError):
            return "cuts it"
    client.reset()  # else it would not end at all
    return "waits for it"


ROWS: dict[str, Row] = {
    "A client leaves, its stream is idle": client_leaves,
    "A client leaves in the middle of its upload": uploader_leaves,
    "A client that reads slowly": slow_client,
    "An upstream that reads an upload slowly": slow_upstream,
    "A response that breaks": broken,
    "… towards HTTP/1.0": broken_http10,
    "HTTP/2": http2,
    "… a response that breaks": broken_http2,
    "WebSocket passes as": websocket,
    "… closed by its client": websocket_close,
    "… refused by the upstream": websocket_refusal,
    "103 Early Hints": early_hints,
    "Trailers": trailers,
    "100 Continue is sent": expectation,
    "Reason phrases": reason_phrase,
    "`Date` and `Server` of the upstream": date_and_server,
    "Field values that are not UTF-8": bytes_of_fields,
    "SIGTERM, with an event stream open": stop,
}
