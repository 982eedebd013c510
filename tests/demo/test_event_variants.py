"""The parameters of `/events`: codings, holding, ids, and bad values."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

import aiohttp
import pytest

from tests.demo.conftest import Connect, Status
from tests.demo.expected import EVENTS
from tests.demo.gate import Gate


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
    await status_of(events_port)
    await client.assert_silent()
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
