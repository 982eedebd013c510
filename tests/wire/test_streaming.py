"""No hold: event n+1 is sent only once the client has event n."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from proxy.origin.response_text import AnswerFraming
from proxy.origin.stream_origin import StreamOrigin
from tests.conftest import StartProxy
from tests.support.raw import Upstream, chunk

pytestmark = pytest.mark.both_protocols

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GET = b"GET /sse/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
EVENTS = [f"data: event {n} 你好\n\n".encode() for n in range(8)]


def zlib_encoder(wbits: int) -> Callable[[bytes], bytes]:
    stream = zlib.compressobj(wbits=wbits)
    return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


def brotli_encoder() -> Callable[[bytes], bytes]:
    stream = brotli.Compressor(quality=4)
    return lambda data: stream.process(data) + stream.flush()


def zstd_encoder() -> Callable[[bytes], bytes]:
    stream = zstd.ZstdCompressor()
    return lambda data: stream.compress(data, zstd.ZstdCompressor.FLUSH_BLOCK)


def stacked_encoder() -> Callable[[bytes], bytes]:
    inner, outer = zlib_encoder(31), brotli_encoder()
    return lambda data: outer(inner(data))


CODINGS = {
    "identity": lambda: bytes,
    "gzip": lambda: zlib_encoder(31),
    "x-gzip": lambda: zlib_encoder(31),
    "deflate": lambda: zlib_encoder(15),
    "deflate, raw": lambda: zlib_encoder(-15),
    "br": brotli_encoder,
    "zstd": zstd_encoder,
    "gzip, br": stacked_encoder,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "media_type", ["text/event-stream", "application/x-ndjson", "text/html"]
)
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_each_event_arrives_before_the_next_is_sent(
    proxy: StartProxy,
    origin: StreamOrigin,
    coding: str,
    media_type: str,
    framing: AnswerFraming,
) -> None:
    running = await proxy({"/sse": {"target": origin.url}})
    client = await running.client()
    await client.send(GET)
    request = await origin.request("/sse/events")
    header = coding.removesuffix(", raw")
    await request.respond(
        content_type=media_type,
        framing=framing,
        fields=[("Content-Encoding", header)] if header != "identity" else [],
    )

    # The head is here before any byte of the body exists.
    received = (await client.read_head()).lower()
    assert received.startswith(b"http/1.1 200 ok\r\n")
    assert b"content-encoding" not in received
    assert b"x-accel-buffering: no\r\n" in received
    assert b"cache-control: no-transform\r\n" in received

    encode = CODINGS[coding]()
    for event in EVENTS:
        await request.send(encode(event))
        assert await client.read_payload(len(event)) == event
    client.close()
    await request.left()


async def test_a_body_of_known_length_is_not_held_either(
    proxy: StartProxy, origin: StreamOrigin
) -> None:
    running = await proxy({"/": {"target": origin.url}})
    client = await running.client()
    await client.send(b"GET /video HTTP/1.1\r\nHost: a\r\n\r\n")
    request = await origin.request("/video")
    await request.respond(content_type="video/mp4", framing="length", length=6)
    head = await client.read_head()
    assert b"Content-Length: 6\r\n" in head
    assert b"X-Accel-Buffering" not in head
    assert b"Cache-Control" not in head
    for piece in (b"ab", b"cd", b"ef"):
        await request.send(piece)
        assert await client.read(2) == piece
    timeline = await running.ended()
    assert (timeline.call.pieces, timeline.bytes_sent) == (3, 6)


async def test_a_request_body_goes_up_as_it_arrives(
    proxy: StartProxy, origin: StreamOrigin
) -> None:
    running = await proxy({"/": {"target": origin.url}})
    client = await running.client()
    await client.send(
        b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    request = await origin.request("/up", whole=False)
    assert request.field("Transfer-Encoding") == "chunked"
    for piece in (b"one", b"two", b"three"):
        await client.send(chunk(piece))
        assert await request.receive() == piece
    await client.send(b"0\r\n\r\n")
    assert await request.receive() == b""
    await request.respond(204)
    request.finish()
    assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")


async def test_gzip_of_the_whole_body_at_once_is_decoded_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "decode": "unless-no-transform"}}
    )
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server = await upstream.request()
    body = gzip.compress(b"hello " * 1000)
    await server.send(
        b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: "x"\r\n'
        b"Vary: Origin, Accept-Encoding\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    head = await client.read_head()
    assert b'ETag: W/"x"\r\n' in head
    assert b"Vary: Origin\r\n" in head
    assert b"Content-Length" not in head
    assert await client.read_payload(6000) == b"hello " * 1000
    assert await client.read_chunk() == b""


ARCHIVE = gzip.compress(bytes(range(256)) * 1000)
TAR = (
    b"Content-Type: application/x-tar\r\nContent-Encoding: x-gzip\r\n"
    b'ETag: "v1"\r\nAccept-Ranges: bytes\r\nVary: Accept-Encoding\r\n'
)


@pytest.mark.http1
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_download_and_its_resumption_are_bytes_of_the_same_file(
    proxy: StartProxy, upstream: Upstream, framing: str
) -> None:
    """A .tar.gz as Apache labels it, to a client that would take it plain (curl)."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(
        upstream, b"GET /a.tar.gz HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    if framing == "length":
        length = b"Content-Length: %d\r\n\r\n" % len(ARCHIVE)
        await server.send(b"HTTP/1.1 200 OK\r\n" + TAR + length + ARCHIVE)
        head = await client.read_head()
        assert length in head
        received = await client.read(len(ARCHIVE))
    else:
        await server.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            + TAR
            + b"\r\n"
            + chunk(ARCHIVE)
            + chunk(b"")
        )
        head = await client.read_head()
        received = await client.read_body()
    for line in TAR.splitlines():
        assert line in client.head_lines
    await client.send(
        b"GET /a.tar.gz HTTP/1.1\r\nHost: a\r\nRange: bytes=100-\r\n"
        b'If-Range: "v1"\r\n\r\n'
    )
    request = await server.read_head()
    assert b"Range: bytes=100-\r\n" in request
    rest = ARCHIVE[100:]
    await server.send(
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100-%d/%d\r\n%b"
        b"Content-Length: %d\r\n\r\n%b"
        % (len(ARCHIVE) - 1, len(ARCHIVE), TAR, len(rest), rest)
    )
    await client.read_head()
    assert received == ARCHIVE
    assert received[:100] + await client.read(len(rest)) == ARCHIVE


@pytest.mark.http1
async def test_a_signed_accept_encoding_goes_on_and_events_are_free_all_the_same(
    proxy: StartProxy, origin: StreamOrigin
) -> None:
    """AWS SigV4 of rclone and of Terraform covers the field."""
    running = await proxy({"/": {"target": origin.url, "accept_encoding": "client"}})
    client = await running.client()
    await client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=1, br\r\n"
        b"Accept_Encoding: br\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n",
    )
    request = await origin.request()
    names = [name.lower() for name, _ in request.fields]
    assert [name for name in names if name.endswith("encoding")] == ["accept-encoding"]
    assert request.field("Accept-Encoding") == "gzip;q=1, br"
    await request.respond(fields=[("Content-Encoding", "gzip")])
    assert b"Content-Encoding" not in await client.read_head()
    encode = CODINGS["gzip"]()
    for event in EVENTS:
        await request.send(encode(event))
        assert await client.read_payload(len(event)) == event


async def test_a_client_that_names_no_coding_has_identity_asked_for_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "accept_encoding": "client"}})
    _, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"\r\nAccept-Encoding: identity\r\n" in server.head
