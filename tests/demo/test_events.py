"""The event service: the tutorial's bytes, one event at a time."""

from __future__ import annotations

import asyncio
import logging
import sys
import zlib
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.demo.conftest import Connect, Status
from tests.demo.gate import Gate

EVENTS = [
    "data: 你好\n\n",
    "data: 吃饭了吗\n\n",
    "data: What are you doing?\n\n",
    "data: My name is yy\n\n",
    "data: 8888\n\n",
    "data: hello\n\n",
]


async def test_each_event_arrives_before_the_next_is_due(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/events")
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-type"] == "text/event-stream;charset=utf-8"
    assert head.fields["cache-control"] == "no-cache"
    assert head.fields["connection"] == "keep-alive"
    for event in EVENTS:
        assert await gate.release() == 1.0
        assert await client.chunk() == event.encode()
    # The end follows the sixth event without a pause.
    assert await client.chunk() == b"data:end\n\n"
    assert await client.chunk() == b""
    assert gate.idle()


async def test_two_clients_have_a_timer_each(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    first = await connect(events_port)
    await first.request("/events?count=2")
    await first.head()
    await gate.release()
    assert await first.chunk() == EVENTS[0].encode()
    _, first_timer = await gate.asked()

    second = await connect(events_port)
    await second.request("/events?count=1")
    await second.head()
    await gate.release()
    assert await second.rest() == f"{EVENTS[0]}data:end\n\n".encode()

    first_timer.set()
    assert await first.rest() == f"{EVENTS[1]}data:end\n\n".encode()


async def test_texts_come_round_again(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/events?count=8&interval_ms=20")
    await client.head()
    for event in [*EVENTS, *EVENTS[:2]]:
        assert await gate.release() == 0.02
        assert await client.chunk() == event.encode()
    assert await client.rest() == b"data:end\n\n"


async def test_head_request_gets_the_head_alone(
    events_port: int, connect: Connect
) -> None:
    client = await connect(events_port)
    await client.request("/events?compress=br", method="HEAD")
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-encoding"] == "br"
    await client.request("/status")
    assert (await client.head()).status == 200


async def test_http_1_0_client_sees_the_end_by_the_close(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request(
        "/events?count=1", version="1.0", fields=["Connection: keep-alive"]
    )
    head = await client.head()
    assert "transfer-encoding" not in head.fields
    await gate.release()
    assert await client.until_closed() == f"{EVENTS[0]}data:end\n\n".encode()


def brotli_decoder() -> Callable[[bytes], bytes]:
    import brotli

    process: Callable[[bytes], bytes] = brotli.Decompressor().process
    return process


def zstd_decoder() -> Callable[[bytes], bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor().decompress


DECODERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31).decompress,
    "deflate": lambda: zlib.decompressobj(wbits=15).decompress,
    "br": brotli_decoder,
    "zstd": zstd_decoder,
}


@pytest.mark.parametrize("coding", DECODERS)
async def test_compressed_event_can_be_decoded_before_the_next_is_due(
    events_port: int, connect: Connect, gate: Gate, coding: str
) -> None:
    client = await connect(events_port)
    await client.request(f"/events?count=3&compress={coding}")
    head = await client.head()
    assert head.fields["content-encoding"] == coding
    decode = DECODERS[coding]()
    for event in EVENTS[:3]:
        await gate.release()
        assert decode(await client.chunk()).decode() == event
    assert decode(await client.rest()) == b"data:end\n\n"


@pytest.mark.parametrize("coding", ["", *DECODERS])
async def test_held_events_come_with_the_head_at_the_end(
    events_port: int, connect: Connect, gate: Gate, status_of: Status, coding: str
) -> None:
    client = await connect(events_port)
    await client.request(f"/events?hold=true&compress={coding}")
    for _ in EVENTS[:-1]:
        await gate.release()
    _, last = await gate.asked()
    # A whole exchange on another connection: what was sent by now is here.
    await status_of(events_port)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await client.reader.read(1)
    last.set()
    head = await client.head()
    body = await client.reader.readexactly(int(head.fields["content-length"]))
    if coding:
        body = DECODERS[coding]()(body)
    assert body.decode() == "".join([*EVENTS, "data:end\n\n"])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], [1, 2, 3], id="from the start"),
        pytest.param(["Last-Event-ID: 2"], [3], id="after an id"),
        pytest.param(["Last-Event-ID:"], [1, 2, 3], id="an empty id is none"),
        pytest.param(["Last-Event-ID: 3"], [], id="all were seen"),
        pytest.param(["Last-Event-ID: 99"], [], id="beyond the end"),
    ],
)
async def test_ids_continue_after_the_last_one(
    events_port: int,
    connect: Connect,
    gate: Gate,
    fields: list[str],
    expected: list[int],
) -> None:
    client = await connect(events_port)
    await client.request("/events?count=3&ids=true", fields=fields)
    await client.head()
    for number in expected:
        await gate.release()
        event = f"id: {number}\n{EVENTS[number - 1]}"
        assert await client.chunk() == event.encode()
    assert await client.rest() == b"data:end\n\n"


async def test_last_event_id_without_ids_changes_nothing(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/events?count=1", fields=["Last-Event-ID: x"])
    assert (await client.head()).status == 200
    await gate.release()
    assert await client.chunk() == EVENTS[0].encode()


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("count=0", "count"),
        ("count=100001", "count"),
        ("count=six", "count"),
        ("count=", "count"),
        ("count=%2B6", "count"),
        ("count=1_0", "count"),
        ("count=%D9%A3", "count"),
        (f"count={'9' * 5000}", "count"),
        ("interval_ms=-1", "interval_ms"),
        ("interval_ms=60001", "interval_ms"),
        ("interval_ms=0.5", "interval_ms"),
        ("compress=lzma", "compress"),
        ("hold=yes", "hold"),
        ("ids=1", "ids"),
    ],
    ids=lambda text: str(text)[:20],
)
async def test_bad_value_is_refused_by_name(
    events_port: int, session: aiohttp.ClientSession, query: str, parameter: str
) -> None:
    url = f"http://127.0.0.1:{events_port}/events?{query}"
    async with session.get(url) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["param"] == parameter
    assert parameter in error["message"]
    assert len(error["message"]) < 200


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "³"])
async def test_bad_last_event_id_is_refused_by_name(
    events_port: int, session: aiohttp.ClientSession, last: str
) -> None:
    async with session.get(
        f"http://127.0.0.1:{events_port}/events?ids=true",
        headers={"Last-Event-ID": last},
    ) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "Last-Event-ID"


async def test_unknown_parameter_is_left_alone(
    events_port: int, connect: Connect
) -> None:
    client = await connect(events_port)
    await client.request("/events?_=1700000000")
    assert (await client.head()).status == 200


@pytest.mark.parametrize("query", ["", "?hold=true"], ids=["free", "held"])
async def test_client_that_leaves_ends_its_timer(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_of: Status,
    status_reaches: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    query: str,
) -> None:
    caplog.set_level(logging.INFO, "upstream_demo")
    client = await connect(events_port)
    await client.request(f"/events{query}")
    await gate.release()
    await gate.release()
    await gate.asked()
    assert await status_of(events_port) == {"open_streams": 1, "left_early": 0}
    client.leave()
    await status_reaches(events_port, open_streams=0, left_early=1)
    sent = 0 if query else 2
    assert caplog.messages == [f"client left after {sent} events (GET /events)"]
    assert gate.idle()


async def test_client_that_leaves_while_the_end_is_written_is_no_failure(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_reaches: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client = await connect(events_port)
    await client.request("/events?count=1")
    await client.head()
    _, release = await gate.asked()
    # In one turn of the event loop: the service writes before it can notice.
    client.leave()
    release.set()
    await status_reaches(events_port, open_streams=0, left_early=1)
    assert caplog.messages == ["client left after 1 events (GET /events)"]


async def test_complete_stream_is_not_counted_as_left(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_of: Status,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "upstream_demo")
    client = await connect(events_port)
    await client.request("/events?count=1")
    await client.head()
    await gate.release()
    await client.rest()
    client.leave()
    assert await status_of(events_port) == {"open_streams": 0, "left_early": 0}
    assert caplog.messages == []


async def test_unknown_path_is_told_what_there_is(
    events_port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{events_port}/event") as response:
        assert response.status == 404
        message = (await response.json())["error"]["message"]
    assert "/event;" in message
    assert "/events" in message


async def test_wrong_method_is_told_the_right_one(
    events_port: int, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"http://127.0.0.1:{events_port}/events") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
