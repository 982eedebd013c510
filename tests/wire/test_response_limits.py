"""The limits of a response: beyond them its upstream counts as broken."""

from __future__ import annotations

import gzip

import pytest

from proxy.policy.size_limits import MAX_RESPONSE_FIELDS
from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.messages import GET
from tests.support.raw import Upstream, chunk

pytestmark = pytest.mark.any_loop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        pytest.param(
            HEAD % (b"X: " + b"x" * 2000 + b"\r\n"),
            "max_response_head_bytes",
            id="a head",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2100,
            "max_response_head_bytes",
            id="a head whose end has not come",
        ),
    ],
)
async def test_a_head_that_is_too_large_is_a_broken_upstream(
    proxy: StartProxy, upstream: Upstream, head: bytes, words: str
) -> None:
    running = await proxy(
        {"/": {"target": upstream.url, "max_response_head_bytes": 2000}}
    )
    client, peer = await running.begin(upstream, GET)
    await peer.send(head)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_protocol_error"
    assert words in str(timeline.error)
    await peer.closed()
    assert running.idle_connections == 0


@pytest.mark.parametrize(
    ("count", "status"), [(MAX_RESPONSE_FIELDS - 1, 200), (MAX_RESPONSE_FIELDS, 502)]
)
async def test_fields_are_bounded(
    proxy: StartProxy, upstream: Upstream, count: int, status: int
) -> None:
    """With Content-Length it is one more."""
    running = await proxy({"/": {"target": upstream.url}})
    client, peer = await running.begin(upstream, GET)
    await peer.send(HEAD % (b"X: y\r\n" * count))
    assert (await client.read_head()).startswith(b"HTTP/1.1 %d " % status)


BOMB = gzip.compress(bytes(1 << 22))  # 4 MiB in 4 KiB


@pytest.mark.parametrize(
    ("limit", "passes"),
    [
        pytest.param(100, False, id="beyond"),
        pytest.param(1000, True, id="within, and the first MiB does not count"),
        pytest.param(0, True, id="none"),
    ],
)
async def test_a_piece_yields_so_many_times_its_size(
    proxy: StartProxy, upstream: Upstream, limit: int, passes: bool
) -> None:
    running = await proxy({"/": {"target": upstream.url, "max_decoding_ratio": limit}})
    client, peer = await running.begin(upstream, GET)
    await peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Encoding: gzip\r\n\r\n" + chunk(BOMB) + b"0\r\n\r\n"
    )
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    if passes:
        assert len(await client.read_body()) == 1 << 22
        assert (await running.ended()).ending is Ending.COMPLETE
        return
    received, _ = await client.read_to_close()
    assert len(received) < 2 << 20
    assert not received.endswith(b"0\r\n\r\n")
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    assert timeline.error is not None
    assert timeline.error.type == "http_response_content_coding"
    assert "max_decoding_ratio" in str(timeline.error)
    await peer.closed()
