"""The upload: progress while the body is still on its way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.demo.conftest import Connect
from tests.demo.rawclient import GUARD, RawClient
from upstream_demo.event_service import create_events_app
from upstream_demo.listeners import serve


def progress(line: bytes) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(line)
    return values


async def begin(client: RawClient, fields: list[str]) -> None:
    await client.request("/upload", method="POST", fields=fields)
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-type"] == "application/x-ndjson"


async def test_progress_is_told_before_the_rest_is_sent(
    events_port: int, connect: Connect
) -> None:
    client = await connect(events_port)
    await begin(client, ["Transfer-Encoding: chunked"])
    await client.send(b"5\r\nfirst\r\n")
    assert progress(await client.chunk()) == {"received": 5}
    await client.send(b"6\r\nsecond\r\n")
    assert progress(await client.chunk()) == {"received": 11}
    await client.send(b"0\r\n\r\n")
    assert progress(await client.rest()) == {
        "received": 11,
        "sha256": hashlib.sha256(b"firstsecond").hexdigest(),
        "complete": True,
    }


async def test_long_body_is_told_in_steps(events_port: int, connect: Connect) -> None:
    body = bytes(range(256)) * 4096
    client = await connect(events_port)
    await begin(client, [f"Content-Length: {len(body)}"])
    client.writer.write(body)
    lines = (await client.rest()).splitlines()
    counts = [progress(each)["received"] for each in lines]
    assert counts == sorted(counts)
    steps = [after - before for before, after in pairwise(counts)]
    assert max(steps) <= 64 * 1024
    assert progress(lines[-1])["sha256"] == hashlib.sha256(body).hexdigest()


async def test_body_is_measured_as_it_came(events_port: int, connect: Connect) -> None:
    body = b"not gzip at all"
    client = await connect(events_port)
    await begin(client, [f"Content-Length: {len(body)}", "Content-Encoding: gzip"])
    await client.send(body)
    last = (await client.rest()).splitlines()[-1]
    assert progress(last)["sha256"] == hashlib.sha256(body).hexdigest()


async def test_empty_body_is_complete(events_port: int, connect: Connect) -> None:
    client = await connect(events_port)
    await begin(client, ["Content-Length: 0"])
    assert progress(await client.rest()) == {
        "received": 0,
        "sha256": hashlib.sha256(b"").hexdigest(),
        "complete": True,
    }


async def test_client_that_reads_late_gets_through(tmp_path: Path) -> None:
    """Here all lines together are more than the socket and the service keep.

    A Unix socket keeps little, and each of its directions has its own store.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "upload"))
    listener.listen()
    pieces = 4000
    async with serve(create_events_app(), [listener]):
        client = RawClient(*await asyncio.open_unix_connection(tmp_path / "upload"))
        client.pause_reading()
        await client.request(
            "/upload", method="POST", fields=["Transfer-Encoding: chunked"]
        )
        for _ in range(pieces):
            await client.send(b"1\r\nx\r\n")
            # Turns in which the service reads this piece by itself.
            for _ in range(3):
                await asyncio.sleep(0)
        await client.send(b"0\r\n\r\n")
        client.resume_reading()
        await client.head()
        lines = (await client.rest()).splitlines()
        client.leave()
    assert progress(lines[-1])["received"] == pieces
    # A service that does not look at its output writes one for each piece.
    assert len(lines) < pieces // 4


async def test_client_that_leaves_in_mid_upload_is_counted(
    events_port: int,
    connect: Connect,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client = await connect(events_port)
    await begin(client, ["Content-Length: 100"])
    await client.send(b"begun")
    await client.chunk()
    client.leave()
    async with asyncio.timeout(GUARD):
        await status_reaches(events_port, open_streams=0, left_early=1)
    assert caplog.messages == ["client left after 1 progress lines (POST /upload)"]
