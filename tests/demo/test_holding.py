"""The hop that holds, and what makes it let go."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.demo.conftest import Connect, Serve, Status
from tests.demo.expected import EVENTS
from tests.demo.gate import Gate
from upstream_demo.buffering_hop import accepts_gzip
from upstream_demo.pages import create_pages_app

GZIP = ["Accept-Encoding: gzip, deflate, br"]
GZIP_HEAD = 10  # bytes; RFC 1952 §2.3, the only ones zlib gives out at once
NOWHERE = "http://127.0.0.1:9"


def without_transform(port: int) -> web.Application:
    """A hop that adds no-transform to an event stream, as a proxy does."""

    async def fetch(request: web.Request) -> web.StreamResponse:
        path = request.raw_path.removeprefix("/sse")
        url = f"http://127.0.0.1:{port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            response = web.StreamResponse(
                headers={
                    "Content-Type": answer.headers["Content-Type"],
                    "Cache-Control": "no-cache, No-Transform",
                }
            )
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/sse/{path:.*}", fetch)
    return app


@pytest.fixture
async def port(serve_app: Serve, events_port: int) -> int:
    """The page server, with a well-behaved proxy before the event service."""
    proxy_port = await serve_app(without_transform(events_port))
    return await serve_app(
        create_pages_app(
            events_url=f"http://127.0.0.1:{events_port}",
            proxy_url=f"http://127.0.0.1:{proxy_port}",
        )
    )


async def test_nothing_but_heads_comes_out_before_the_end(
    port: int, connect: Connect, gate: Gate, status_of: Status
) -> None:
    client = await connect(port)
    await client.request("/held/events", fields=GZIP)
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-encoding"] == "gzip"
    assert head.fields["vary"] == "Accept-Encoding"
    assert head.fields["content-type"] == "text/event-stream;charset=utf-8"
    assert head.fields["access-control-allow-origin"] == "*"
    for _ in EVENTS[:-1]:
        await gate.release()
    _, last = await gate.asked()
    assert len(await client.chunk()) == GZIP_HEAD
    await status_of(port)
    await client.assert_silent()
    last.set()
    # The first ten bytes said nothing but "gzip": they can be written anew.
    compressed = zlib.compress(b"", wbits=31)[:GZIP_HEAD] + await client.rest()
    body = zlib.decompress(compressed, wbits=31).decode()
    assert body == "".join([*EVENTS, "data:end\n\n"])


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        pytest.param("/held-before/events", GZIP, id="no-transform"),
        pytest.param("/held/events", [], id="no gzip accepted"),
        pytest.param("/held/events", ["Accept-Encoding: gzip;q=0"], id="gzip refused"),
    ],
)
async def test_hop_lets_each_event_through(
    port: int, connect: Connect, gate: Gate, target: str, fields: list[str]
) -> None:
    client = await connect(port)
    await client.request(target, fields=fields)
    head = await client.head()
    assert "content-encoding" not in head.fields
    assert head.fields["access-control-allow-origin"] == "*"
    for event in EVENTS[:-1]:
        await gate.release()
        assert await client.chunk() == event.encode()
    await gate.release()
    assert await client.rest() == f"{EVENTS[-1]}data:end\n\n".encode()


async def test_compressed_response_is_not_compressed_again(
    port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(port)
    await client.request("/held/events?compress=gzip&count=2", fields=GZIP)
    assert (await client.head()).fields["content-encoding"] == "gzip"
    await gate.release()
    decode = zlib.decompressobj(wbits=31).decompress
    assert decode(await client.chunk()).decode() == EVENTS[0]


async def test_query_and_last_event_id_reach_the_service(
    port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(port)
    await client.request("/held/events?count=3&ids=true", fields=["Last-Event-ID: 1"])
    await client.head()
    await gate.release()
    assert await client.chunk() == f"id: 2\n{EVENTS[1]}".encode()


async def test_status_of_the_service_is_passed_on(
    port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(
        f"http://127.0.0.1:{port}/held/events?count=0",
        headers={"Accept-Encoding": "identity"},
    ) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "count"


async def test_client_that_leaves_the_hop_leaves_the_service(
    port: int,
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    client = await connect(port)
    await client.request("/held/events", fields=GZIP)
    await client.head()
    await gate.asked()
    client.leave()
    await status_reaches(port, open_streams=0, left_early=1)
    await status_reaches(events_port, open_streams=0, left_early=1)


async def test_broken_stream_is_broken_behind_the_hop_too(
    port: int, connect: Connect, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(port)
    await client.request("/held/faults/die?after=1")
    await client.head()
    await gate.release()
    assert await client.chunk() == EVENTS[0].encode()
    assert await client.until_closed() == b""
    assert caplog.messages == []


async def test_service_that_is_not_there_is_502(
    serve_app: Serve, session: aiohttp.ClientSession
) -> None:
    port = await serve_app(create_pages_app(events_url=NOWHERE, proxy_url=NOWHERE))
    async with session.get(f"http://127.0.0.1:{port}/held/events") as response:
        assert response.status == 502
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        message = (await response.json())["error"]["message"]
    assert f"cannot fetch {NOWHERE}/events" in message


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("gzip", True),
        ("br, GZIP", True),
        ("gzip;q=0.5", True),
        ("gzip ; q=1", True),
        ("*", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("x-gzip2", False),
    ],
)
def test_gzip_is_accepted_as_the_client_says(text: str, accepted: bool) -> None:
    assert accepts_gzip(text) is accepted
