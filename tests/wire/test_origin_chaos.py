"""Clients that do anything at any moment: an origin lets go of each of them."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from proxy.config.fault_options import parse_fault
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import RequestComplete
from tests.conftest import Complaints
from tests.support.raw import became, connect
from tests.support.records import got, head, record, sent, tunnel

CLIENTS = 60
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
EVENTS = [sent(100 + 50 * at, b"data: %d\n\n" % at) for at in range(20)]
FRAMES = [sent(100 + 50 * at, b"\x81\x02hi") for at in range(20)]
RECORDS = [
    record(head(50), *EVENTS),
    record(head(50, "close"), *EVENTS, target="/close"),
    record(got(10, b"abc"), RequestComplete(20), head(50), *EVENTS, method="POST"),
    record(tunnel(50), *FRAMES, got(2000, CLOSE), sent(2100, b"\x88\0"), target="/ws"),
    record(tunnel(50), *FRAMES, end="open", target="/ws"),
    record(head(50), end="open", target="/open"),
    record(head(50), sent(60, b"z"), end="reset", target="/reset"),
]
UPLOAD = b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = [
    *(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path
      for path in (b"/events", b"/close", b"/open", b"/reset", b"/none")),
    UPLOAD + b"3\r\nabc\r\n0\r\n\r\n",
    UPLOAD + b"zz",
    b"junk\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
]  # fmt: skip
REQUESTS += REQUESTS[-1:] * 4  # of a WebSocket there is more to go wrong


async def behave(port: int, chance: random.Random) -> None:
    """Ask for something, or for half of it; read some; go in one way or another."""
    client = await connect(port)
    data = b"".join(chance.choices(REQUESTS, k=chance.randint(1, 3)))
    if chance.random() < 0.3:
        data = data[: chance.randint(1, len(data))]
    # The origin may have closed it; and a loop says so in its own way.
    with contextlib.suppress(OSError, RuntimeError):
        while data and not client.writer.transport.is_closing():
            size = chance.randint(1, len(data))
            client.writer.write(data[:size])
            data = data[size:]
            await asyncio.sleep(0)
        for _ in range(chance.randint(0, 12)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.002):
                    await client.reader.read(100)
        closes = chance.random() < 0.3 and not client.writer.transport.is_closing()
        if closes:
            client.writer.write(CLOSE)
        way = chance.random()
        if way < 0.4:
            client.finish()
            await asyncio.sleep(chance.choice([0, 0.005]))
        elif way < 0.7 and not client.writer.transport.is_closing():
            client.reset()
    client.writer.transport.abort()


@pytest.mark.parametrize(
    "fault",
    ["", "drip,size=3", "reset,after=5", "late_head,seconds=0.003", "stall,after=2"],
)
async def test_no_connection_is_left(fault: str, complaints: Complaints) -> None:
    chance = random.Random(f"origin {fault}")
    faults = [parse_fault(f"kind={fault}")] if fault else []
    async with ReplayOrigin(RECORDS, faults=faults) as origin:
        await asyncio.gather(*(behave(origin.port, chance) for _ in range(CLIENTS)))
        await became(lambda: not origin.connections)
        assert origin.requests
