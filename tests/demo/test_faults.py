"""The faults, as a client sees them on the wire."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.demo.conftest import Connect, Status
from tests.demo.gate import Gate
from tests.demo.rawclient import GUARD, RawClient
from upstream_demo.event_service import create_events_app
from upstream_demo.listeners import serve

FIRST = "data: 你好\n\n".encode()
SECOND = "data: 吃饭了吗\n\n".encode()


async def test_death_in_mid_stream_leaves_out_the_last_chunk(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/faults/die?after=2")
    assert (await client.head()).fields["transfer-encoding"] == "chunked"
    for event in (FIRST, SECOND):
        assert await gate.release() == 1.0
        assert await client.chunk() == event
    assert await client.until_closed() == b""


async def test_death_loses_no_event_before_it(tmp_path: Path) -> None:
    """More events than a Unix socket keeps, for a client that reads late."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "events"))
    listener.listen()
    count = 2000
    async with serve(create_events_app(), [listener]):
        client = RawClient(*await asyncio.open_unix_connection(tmp_path / "events"))
        client.pause_reading()
        await client.request(f"/faults/die?after={count}&interval_ms=0")
        # Turns enough to send all of them and to die, if nothing waited for us.
        for _ in range(2 * count):
            await asyncio.sleep(0)
        client.resume_reading()
        await client.head()
        body = await client.until_closed()
        client.leave()
    assert body.count(b"data:") == count
    assert not body.endswith(b"0\r\n\r\n")


async def test_reset_is_seen_as_a_reset(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/faults/reset?after=1")
    await client.head()
    await gate.release()
    assert await client.chunk() == FIRST
    with pytest.raises(ConnectionResetError):
        await client.until_closed()


async def test_stall_is_silent_until_the_client_leaves(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_of: Status,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    client = await connect(events_port)
    await client.request("/faults/stall")
    await client.head()
    await gate.release()
    assert await client.chunk() == FIRST
    assert await status_of(events_port) == {"open_streams": 1, "left_early": 0}
    assert gate.idle()
    await client.assert_silent()
    client.leave()
    await status_reaches(events_port, open_streams=0, left_early=1)


async def test_late_head_comes_after_the_delay(
    events_port: int, connect: Connect, gate: Gate, status_of: Status
) -> None:
    client = await connect(events_port)
    await client.request("/faults/late?seconds=2.5")
    seconds, release = await gate.asked()
    assert seconds == 2.5
    await status_of(events_port)
    await client.assert_silent()
    release.set()
    assert (await client.head()).status == 200
    assert await client.rest() == FIRST + b"data:end\n\n"


async def test_refusal_closes_before_any_byte(
    events_port: int, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(events_port)
    await client.request("/faults/refuse")
    assert await client.until_closed() == b""
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        ("/faults/die?after=-1", "after"),
        ("/faults/reset?after=x", "after"),
        ("/faults/stall?interval_ms=x", "interval_ms"),
        ("/faults/late?seconds=-1", "seconds"),
        ("/faults/late?seconds=nan", "seconds"),
        ("/faults/late?seconds=3601", "seconds"),
        ("/faults/late?seconds=soon", "seconds"),
    ],
)
async def test_bad_value_is_refused_by_name(
    events_port: int, session: aiohttp.ClientSession, target: str, parameter: str
) -> None:
    async with asyncio.timeout(GUARD):
        async with session.get(f"http://127.0.0.1:{events_port}{target}") as response:
            assert response.status == 400
            assert (await response.json())["error"]["param"] == parameter
