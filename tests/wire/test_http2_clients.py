"""Clients of HTTP/2 that others have written: curl, nghttp, h2load, Node and httpx."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from proxy.http1.framing import request_body
from proxy.http1.head import parse_request_head
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.http2 import CANCEL, INTERNAL_ERROR, NO_ERROR, Http2Listener
from tests.support.http2_programs import curl_of, node, program, started
from tests.support.messages import EVENT_STREAM, OK, STREAM
from tests.support.raw import GUARD, Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

EVENT = b"data: %d\n\n"
UPLOAD = b"0123456789abcdef" * 200_000  # 3.2 MB: more than all windows of a stream
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url, "ws": True}}, server=over.server)


@pytest.fixture
def url(running: RunningProxy, over: Http2Listener) -> str:
    return f"{over.scheme}://127.0.0.1:{running.port}"


@pytest.fixture
async def httpx_client(
    running: RunningProxy, over: Http2Listener, url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """httpx, for HTTP/2 only."""
    context = over.authority.context() if over.authority is not None else False
    async with httpx.AsyncClient(
        base_url=url, http1=False, http2=True, verify=context, trust_env=False
    ) as client:
        yield client


async def sum_of_upload(server: Peer) -> tuple[int, str]:
    """Read an upload; its size and sum."""
    body = request_body(parse_request_head(server.head))
    data = bytearray()
    while not body.complete:
        piece = body.feed(await server.reader.read(65536))
        assert body.error is None
        data += piece
    return len(data), hashlib.sha256(data).hexdigest()


def switched(server: Peer) -> bytes:
    """The answer to a WebSocket handshake."""
    key = parse_request_head(server.head).get(b"sec-websocket-key")
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
    )


async def answer_all(upstream: Upstream) -> None:
    """Answer each request of each connection."""

    async def answer(server: Peer) -> None:
        while await server.reader.readuntil(b"\r\n\r\n"):
            await server.send(OK)

    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(answer(await upstream.arrived.get()))


@pytest.fixture
async def answering(upstream: Upstream) -> AsyncIterator[None]:
    """An upstream that answers all there is."""
    task = asyncio.ensure_future(answer_all(upstream))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# -- curl


async def test_curl_shows_each_event_before_the_next_is_sent(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, url: str
) -> None:
    how = "-> %{http_version} %{http_code}"
    async with started(*curl_of(over), "--write-out", how, f"{url}/events") as curl:
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        for number in range(5):
            await server.send(chunk(EVENT % number))
            assert await curl.read(9) == EVENT % number
        await server.send(chunk(b""))
        assert await curl.finished() == b"-> 2 200"
    assert (await running.ended()).version == "2.0"


async def test_curl_shows_what_comes_before_and_behind(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, url: str
) -> None:
    """Early hints, and trailers."""
    words = [*curl_of(over), "--include", "--header", "TE: trailers", f"{url}/x"]
    async with started(*words) as curl:
        server = await upstream.request()
        await server.send(HINTS + STREAM + chunk(b"body\n"))
        hints = await curl.until(b"\r\n\r\n")
        assert hints.startswith(b"HTTP/2 103")
        assert b"link: </a.css>; rel=preload\r\n" in hints
        assert (await curl.until(b"\r\n\r\n")).startswith(b"HTTP/2 200")
        await server.send(b"0\r\nchecksum: 7\r\n\r\n")
        assert await curl.finished() == b"body\nchecksum: 7\r\n"


@pytest.mark.parametrize("length", ["known", "unknown"])
async def test_curl_uploads(
    running: RunningProxy,
    upstream: Upstream,
    over: Http2Listener,
    url: str,
    tmp_path: Path,
    length: str,
) -> None:
    file = tmp_path / "upload"
    file.write_bytes(UPLOAD)
    words = [*curl_of(over), "--request", "POST", "--header", "Expect:"]
    if length == "known":
        words += ["--upload-file", str(file)]
    else:
        words = ["sh", "-c", 'exec "$@" <"$0"', str(file), *words, "-T", "-"]
    async with started(*words, f"{url}/upload") as curl:
        server = await upstream.request(30)
        known = f"content-length: {len(UPLOAD)}".encode() in server.head.lower()
        assert known is (length == "known")
        sums = await sum_of_upload(server)
        assert sums == (len(UPLOAD), hashlib.sha256(UPLOAD).hexdigest())
        await server.send(OK)
        assert await curl.finished() == b"ok"


async def test_curl_that_is_killed_closes_the_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, url: str
) -> None:
    async with started(*curl_of(over), f"{url}/events") as curl:
        server = await upstream.request()
        await server.send(EVENT_STREAM + chunk(EVENT % 1))
        await curl.read(9)
        curl.process.kill()
        await server.closed()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT


async def test_curl_says_that_a_response_is_cut(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, url: str
) -> None:
    async with started(*curl_of(over), f"{url}/events") as curl:
        server = await upstream.request()
        await server.send(EVENT_STREAM + chunk(EVENT % 1))
        await curl.read(9)
        server.close()
        _, errors = await curl.process.communicate()
        assert b"INTERNAL_ERROR" in errors
        assert curl.process.returncode == 92  # "stream error in the HTTP/2 framing"


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("over", ["tls"], indirect=True)
async def test_curl_has_many_requests_on_one_connection(
    running: RunningProxy, over: Http2Listener, url: str
) -> None:
    """Not in the clear: there curl 7.88 breaks off, with nginx too."""
    words = [*curl_of(over), "--parallel", "--parallel-max", "50"]
    words += ["--write-out", "%{num_connects} ", f"{url}/[1-100]"]
    async with started(*words) as curl:
        out = (await curl.finished()).replace(b"ok", b"").split()
    assert len(out) == 100
    assert sum(map(int, out)) == 1


# -- nghttp, h2load


async def test_nghttp_sees_no_fault(
    running: RunningProxy, upstream: Upstream, over: Http2Listener, url: str
) -> None:
    """Each frame, as it shows it; with priorities of both kinds."""
    words = [program("nghttp"), "--verbose", "--weight", "200"]
    words += ["--header", "priority: u=1", f"{url}/x"]
    async with started(*words) as nghttp:
        server = await upstream.request()
        await server.send(OK)
        shown = (await nghttp.finished()).decode()
    assert ":status: 200" in shown
    assert "recv SETTINGS frame" in shown
    assert "SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in shown
    assert "recv GOAWAY" not in shown
    assert "RST_STREAM" not in shown


@pytest.mark.usefixtures("answering")
async def test_h2load_has_no_request_that_fails(
    running: RunningProxy, over: Http2Listener, url: str
) -> None:
    words = [program("h2load"), "-n", "2000", "-c", "4", "-m", "50", f"{url}/x"]
    async with started(*words) as load:
        shown = (await load.finished()).decode()
    assert "2000 succeeded, 0 failed, 0 errored" in shown
    await became(lambda: running.server.under_way == 0)


# -- Node


async def test_node_gets_each_event_before_the_next_is_sent(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    async with node(over, running.port) as client:
        open: list[tuple[int, Peer]] = []
        for number in range(30):  # streams on one connection
            asked = await client.ask(f"/{number}")
            server = await upstream.request()
            await server.send(EVENT_STREAM)
            assert (await client.next(asked, "response"))[":status"] == 200
            open.append((asked, server))
        for number in range(3):
            for asked, server in open:
                await server.send(chunk(EVENT % number))
                assert await client.piece(asked) == EVENT % number
        assert len(running.server.clients) == 1
        for asked, server in open:
            await server.send(chunk(b""))
            await client.next(asked, "end")
            assert await client.next(asked, "close") == NO_ERROR


async def test_node_gets_hints_and_trailers(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    async with node(over, running.port) as client:
        asked = await client.ask("/x")
        server = await upstream.request()
        await server.send(HINTS)
        assert (await client.next(asked, "interim"))[":status"] == 103
        await server.send(STREAM + chunk(b"x"))
        assert await client.piece(asked) == b"x"
        await server.send(chunk(b""))
        await client.next(asked, "end")


async def test_node_uploads_and_reads_by_turns(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """Both directions of one request at once."""
    async with node(over, running.port) as client:
        asked = await client.ask("/chat", end=False, method="POST")
        server = await upstream.request()
        await server.send(STREAM)
        for number in range(3):
            await client.tell(asked, "write", f"question {number}")
            assert await server.read_chunk() == b"question %d" % number
            await server.send(chunk(b"answer %d" % number))
            assert await client.piece(asked) == b"answer %d" % number
        await client.tell(asked, "end")
        assert await server.read_chunk() == b""
        await server.send(chunk(b""))
        assert await client.next(asked, "close") == NO_ERROR


async def test_node_that_cancels_closes_just_that_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    async with node(over, running.port) as client:
        open: list[tuple[int, Peer]] = []
        for number in range(2):
            asked = await client.ask(f"/{number}")
            server = await upstream.request()
            await server.send(EVENT_STREAM)
            await client.next(asked, "response")
            open.append((asked, server))
        (cancelled, gone), (other, server) = open
        await client.tell(cancelled, "cancel")
        await gone.closed()
        assert await client.next(cancelled, "close") == CANCEL
        await server.send(chunk(EVENT % 1))
        assert await client.piece(other) == EVENT % 1
        await client.tell(0, "leave")
        await server.closed()


async def test_node_is_told_of_a_broken_upstream(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    async with node(over, running.port) as client:
        asked = await client.ask("/x")
        server = await upstream.request()
        await server.send(EVENT_STREAM + chunk(EVENT % 1))
        assert await client.piece(asked) == EVENT % 1
        server.close()
        assert await client.next(asked, "error") == "ERR_HTTP2_STREAM_ERROR"
        assert await client.next(asked, "close") == INTERNAL_ERROR


async def test_node_finishes_what_it_has_when_the_proxy_drains(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    async with node(over, running.port) as client:
        asked = await client.ask("/x")
        server = await upstream.request()
        await server.send(EVENT_STREAM + chunk(EVENT % 1))
        assert await client.piece(asked) == EVENT % 1
        stopping = asyncio.ensure_future(running.server.stop(drain_seconds=GUARD))
        assert await client.next(0, "goaway") == NO_ERROR
        await server.send(chunk(EVENT % 2) + chunk(b""))
        assert await client.piece(asked) == EVENT % 2
        assert await client.next(asked, "close") == NO_ERROR
        await client.next(0, "close")
        assert await stopping == 0


async def test_node_opens_a_websocket(
    running: RunningProxy, upstream: Upstream, over: Http2Listener
) -> None:
    """By extended CONNECT; what goes through it are raw bytes, both ways."""
    async with node(over, running.port) as client:
        asked = await client.ask(
            "/socket", end=False, method="CONNECT", protocol="websocket"
        )
        server = await upstream.request()
        await server.send(switched(server))
        assert (await client.next(asked, "response"))[":status"] == 200
        await client.tell(asked, "write", "\x81\x02hi")
        assert await server.read(4) == b"\x81\x02hi"
        await server.send(b"\x81\x03you")
        assert await client.piece(asked) == b"\x81\x03you"
        await client.tell(asked, "end")
        await server.closed()
        server.close()
        assert await client.next(asked, "close") == NO_ERROR


# -- httpx


async def test_httpx_reads_each_event_before_the_next_is_sent(
    upstream: Upstream, httpx_client: httpx.AsyncClient
) -> None:
    async def serve() -> Peer:
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        return server

    serving = asyncio.ensure_future(serve())
    async with httpx_client.stream("GET", "/events") as response:
        server = await serving
        assert response.http_version == "HTTP/2"
        pieces = response.aiter_raw()
        for number in range(3):
            await server.send(chunk(EVENT % number))
            assert await anext(pieces) == EVENT % number
        await server.send(chunk(b""))
        assert [piece async for piece in pieces] == []


async def test_httpx_uploads(
    upstream: Upstream, httpx_client: httpx.AsyncClient
) -> None:
    async def serve() -> tuple[int, str]:
        server = await upstream.request()
        sums = await sum_of_upload(server)
        await server.send(OK)
        return sums

    serving = asyncio.ensure_future(serve())
    response = await httpx_client.post("/upload", content=UPLOAD)
    assert response.text == "ok"
    assert await serving == (len(UPLOAD), hashlib.sha256(UPLOAD).hexdigest())


@pytest.mark.usefixtures("answering")
async def test_httpx_has_many_requests_on_one_connection(
    running: RunningProxy, httpx_client: httpx.AsyncClient
) -> None:
    await httpx_client.get("/first")
    responses = await asyncio.gather(*(httpx_client.get(f"/{n}") for n in range(50)))
    assert {response.text for response in responses} == {"ok"}
    assert len(running.server.clients) == 1
