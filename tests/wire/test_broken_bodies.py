"""Failures after the response head: no client may take the body for complete."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.codings import PACKERS
from tests.support.messages import CHUNKED, GET_X
from tests.support.raw import Upstream, became, chunk, idle, turns

pytestmark = pytest.mark.any_loop


@pytest.mark.parametrize(
    ("framing", "good", "fault", "reason"),
    [
        pytest.param(
            CHUNKED, b"3\r\nabc\r\n", b"", "the last chunk is missing", id="no last"
        ),
        pytest.param(
            CHUNKED, b"3\r\nabc\r\n", b"5\r\nab", "the last chunk is missing", id="cut"
        ),
        pytest.param(
            CHUNKED, b"3\r\nabc\r\n", b"xyz\r\n", "invalid chunk-size", id="size"
        ),
        pytest.param(
            CHUNKED, b"3\r\nabc\r\n", b"1\r\nabc\r\n", "not followed", id="length"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
            b"abc",
            b"",
            "7 bytes of Content-Length are missing",
            id="Content-Length",
        ),
    ],
)
@pytest.mark.parametrize("minor", [b"1", b"0"])
async def test_a_body_that_breaks_reaches_the_client_as_broken(
    proxy: StartProxy,
    upstream: Upstream,
    framing: bytes,
    good: bytes,
    fault: bytes,
    reason: str,
    minor: bytes,
) -> None:
    """RFC 9112 §8; the good bytes arrive, then the end that is none."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X.replace(b"1.1", b"1." + minor))
    await server.send(framing + b"\r\n" + good)
    head = await client.read_head()
    chunked = b"Transfer-Encoding: chunked\r\n" in head
    assert await (client.read_chunk() if chunked else client.read(3)) == b"abc"
    if fault:
        await server.send(fault)
    if reason.endswith("missing"):
        server.close()
    received, how = await client.read_to_close()
    assert not received.endswith(b"0\r\n\r\n")
    # Nothing but a reset tells a client that knows no length and no chunks.
    if minor == b"0" and framing is CHUNKED:
        assert how == "reset"
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert reason in str(timeline.error)
    assert timeline.status == 200
    assert running.idle_connections == 0
    await server.read_rest()


@pytest.mark.parametrize("framing", [CHUNKED, b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("minor", [b"1", b"0"])
async def test_a_reset_in_mid_body_is_no_clean_end(
    proxy: StartProxy, upstream: Upstream, framing: bytes, minor: bytes
) -> None:
    """Of a body that only the close ends, too: FIN is an end, a reset is none."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X.replace(b"1.1", b"1." + minor))
    await server.send(framing + b"\r\n")
    await client.read_head()
    await server.send(chunk(b"abc") if framing is CHUNKED else b"abc")
    good = await (client.read_chunk() if minor == b"1" else client.read(3))
    assert good == b"abc"
    server.reset()
    assert await client.read_to_close() == (b"", "fin" if minor == b"1" else "reset")
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_response_incomplete"


async def test_a_body_up_to_the_close_is_complete_with_the_close(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """RFC 9112 §6.3 rule 8"""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    await server.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    await client.read_head()
    assert await client.read_chunk() == b"abc"
    server.close()
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


# -- content codings

TEXT = b"".join(b"%d " % number for number in range(2000))


def corrupt(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + b"\xff" * 40 + packed[middle + 40 :]


@pytest.mark.parametrize(
    ("coding", "damage"),
    [
        pytest.param("gzip", corrupt, id="corrupt gzip"),
        pytest.param("deflate", corrupt, id="corrupt deflate"),
        pytest.param("zstd", corrupt, id="corrupt zstd"),
        pytest.param("br", lambda _: b"\xff" * 40, id="no br at all"),
        pytest.param("br", lambda packed: packed + b"garbage", id="br and garbage"),
        pytest.param("zstd", lambda packed: packed + b"garbage", id="zstd and garbage"),
    ],
)
async def test_coded_data_that_breaks_reaches_the_client_as_broken(
    proxy: StartProxy,
    upstream: Upstream,
    coding: str,
    damage: Callable[[bytes], bytes],
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    await server.send(
        CHUNKED
        + b"Content-Encoding: %b\r\n\r\n" % coding.encode()
        + chunk(damage(PACKERS[coding](TEXT)))
        + b"0\r\n\r\n"
    )
    await client.read_head()
    received, _ = await client.read_to_close()
    assert not received.endswith(b"0\r\n\r\n")
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_response_content_coding"
    assert running.idle_connections == 0
    await server.closed()


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("missing", [1, 8, 20])
async def test_coded_data_may_end_early_where_the_framing_says_that_it_is_whole(
    proxy: StartProxy, upstream: Upstream, coding: str, missing: int
) -> None:
    """As curl, Node and browsers take it: many a server sends no gzip trailer."""
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    head = CHUNKED + b"Content-Encoding: %b\r\n\r\n" % coding.encode()
    await server.send(head + chunk(PACKERS[coding](TEXT)[:-missing]) + b"0\r\n\r\n")
    await client.read_head()
    received = await client.read_body()
    assert TEXT.startswith(received)
    assert received == TEXT or coding != "gzip" or missing > 8
    assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize("coding", PACKERS)
async def test_coded_data_that_ends_early_stays_broken_where_the_framing_is(
    proxy: StartProxy, upstream: Upstream, coding: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_X)
    packed = PACKERS[coding](TEXT)
    head = CHUNKED + b"Content-Encoding: %b\r\n\r\n" % coding.encode()
    await server.send(head + b"%x\r\n" % len(packed) + packed[:-8])
    server.finish()
    await client.read_head()
    received, _ = await client.read_to_close()
    assert not received.endswith(b"0\r\n\r\n")
    timeline = await running.ended()
    assert timeline.error is not None
    assert timeline.error.type == "http_response_incomplete"


async def test_a_fault_that_comes_with_the_end_is_not_overtaken_by_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """Bytes still wait for the client when the fault and the last chunk arrive."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client(receive_bytes=4096)
    await client.send(GET_X)
    server = await upstream.request()
    await server.send(CHUNKED + b"Content-Encoding: zstd\r\n\r\n")
    own = running.connection
    noise = random.Random(1)
    sent = b""
    while not own.transport.get_write_buffer_size():
        sent += (data := noise.randbytes(8192))
        await server.send(chunk(PACKERS["zstd"](data)))
        await turns(3)
    assert not own.blocked
    await server.send(chunk(b"garbage") + b"0\r\n\r\n")
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
    await client.read_head()
    assert await client.read_payload(len(sent)) == sent
    assert await client.read_to_close() == (b"", "fin")


@pytest.mark.parametrize("still", ["uploading", "pipelining"])
async def test_good_bytes_reach_a_client_that_still_sends(
    proxy: StartProxy, upstream: Upstream, still: str
) -> None:
    """A close on unread bytes would reset, and destroy what is on its way."""
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    upload = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
    await client.send(upload if still == "uploading" else GET_X + upload)
    server = await upstream.request()
    good = bytes(range(256)) * 4096
    await server.send(CHUNKED + b"\r\n")
    own = running.connection
    server.writer.write(chunk(good))
    await idle()
    client.writer.write(bytes(3_000_000))  # more than is read at once
    await became(lambda: len(own.ahead) > 0 or own.paused or still == "uploading")
    server.close()
    assert (await running.ended()).ending is Ending.UPSTREAM_BROKE
    await client.read_head()
    assert await client.read_payload(len(good)) == good
    assert await client.read_to_close() == (b"", "fin")
