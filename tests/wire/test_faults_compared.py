"""A live fault is what an upstream does: the same as one that really has it.

The same record, once replayed with a fault behind a plain route, once as it is behind
a route with that fault. The client must not be able to tell which.
"""

from __future__ import annotations

import gzip
import re
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest

from proxy.config.fault_options import Fault, parse_fault
from proxy.record.format import ExchangeRecord, UpstreamEnd
from tests.conftest import StartProxy
from tests.support.any_fault import AnyFaultOrigin
from tests.support.kept import ask
from tests.support.raw import Peer
from tests.support.records import head, record, sent, tunnel
from tests.support.running import RunningProxy

EVENTS = [("Content-Type", "text/event-stream")]
# An event in two pieces, two in one, a comment, CRLF, a character in three bytes.
PIECES = (
    b"data: 1\r\n\r",
    b"\n: ping\r\n\r\ndata: ",
    "2你\r\n\r\ndata: 3\r\n\r\n".encode(),
    b"data: [DONE]\r\n\r\n",
)
WEBSOCKET = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
SIZE = sum(map(len, PIECES))
ROUTE = re.compile(rb',"route":"[^"]*"')  # an error event names it; a replay has none


def played(
    *pieces: bytes, end: UpstreamEnd = "complete", **fields: str
) -> ExchangeRecord:
    items = [sent(0, piece) for piece in pieces]
    return record(head(fields=[*EVENTS, *fields.items()]), *items, end=end)


def with_length(*pieces: bytes, end: UpstreamEnd = "complete") -> ExchangeRecord:
    length = ("Content-Length", str(SIZE))
    items = [sent(0, piece) for piece in pieces]
    return record(head(framing="length", fields=[*EVENTS, length]), *items, end=end)


def until_close(*pieces: bytes) -> ExchangeRecord:
    items = [sent(0, piece) for piece in pieces]
    return record(head(framing="close", fields=EVENTS), *items)


CODED = gzip.compress(b"".join(PIECES))
RECORDS = {
    "chunked": played(*PIECES),
    "length": with_length(*PIECES),
    "close": until_close(*PIECES),
    "breaks": played(*PIECES[:2], end="fin"),
    "breaks inside a length": with_length(*PIECES[:2], end="reset"),
    "compressed": record(
        head(fields=[*EVENTS, ("Content-Encoding", "gzip")]),
        *(sent(0, CODED[at : at + 9]) for at in range(0, len(CODED), 9)),
    ),
    "lines": record(
        head(fields=[("Content-Type", "application/x-ndjson")]),
        sent(0, b'{"a":1}\n{"a"'),
        sent(0, b":2}\n\n"),
        sent(0, b'{"a":3}'),
    ),
    "websocket": record(
        tunnel(),
        *(
            sent(0, piece)
            for piece in (b"\x01\x01a\x80", b"\x01b\x89\x00", b"\x81\x01c")
        ),
        sent(0, b"\x81\x02de"),
        end="fin",
    ),
    "other": record(
        head(framing="length", fields=[("Content-Length", "6")]),
        *(sent(0, piece) for piece in (b"ab", b"cd", b"ef")),
    ),
    "empty": record(head(framing="length", fields=[("Content-Length", "0")])),
    "204": record(head(framing="none", status=204)),
}
FAULTS = (
    "kind=fin",
    "kind=fin,after=2",
    "kind=fin,after=2,inside=true",
    "kind=fin,after=99",
    "kind=reset,after=1",
    "kind=clean_end,after=2",
    "kind=clean_end,after=2,inside=true",
    "kind=no_terminal",
    "kind=stall,after=2,seconds=0.001",
    "kind=drip,size=5",
    "kind=split",
    "kind=coalesce,size=20",
    "kind=duplicate,after=2",
    "kind=late_head,seconds=0.001",
    "kind=wrong_length,size=5",
    "kind=wrong_length,size=500",
    "kind=status,status=503",
    "kind=status,status=204",
    "kind=error_event,after=1",
    "kind=compress",
    "kind=duplicate,after=1 kind=fin,after=2",
    "kind=compress kind=drip,size=7 kind=fin,after=2",
    "kind=coalesce,size=30 kind=stall,after=2,seconds=0.001",
    "kind=wrong_length,size=30 kind=clean_end,after=2",
    "kind=no_terminal kind=split kind=late_head,seconds=0.001",
    "kind=compress kind=error_event,after=1",
)


class Seen(NamedTuple):
    """What a client gets."""

    status: bytes
    fields: list[bytes]
    body: bytes
    end: str


async def seen(running: RunningProxy, path: str, *, upgrade: bool = False) -> Seen:
    """What one client gets."""
    client = await running.client()
    if upgrade:
        lines = "".join(f"{name}: {value}\r\n" for name, value in WEBSOCKET)
        await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
    else:
        await client.send(ask(path.encode(), Connection="close"))
    status, *fields = (await client.read_head()).split(b"\r\n")
    body, end = await body_of(client)
    fields = [each for each in fields if not each.startswith((b"Date:", b"Via:"))]
    client.close()
    await running.ended()
    return Seen(status, sorted(fields), ROUTE.sub(b"", body), end)


async def body_of(client: Peer) -> tuple[bytes, str]:
    """The body, and whether it is complete."""
    rest, _ = await client.read_to_close()
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", client.head)
    if length is not None:
        return rest, "complete" if len(rest) == int(length[1]) else "broken"
    if b"chunked" not in client.head:
        return rest, "closed"
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, "broken"
        if size == b"0":
            return body, "complete" if rest == b"\r\n" else "broken"
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


# Reads may have other borders than writes, so pieces are not counted alike.
BY_PIECES = ("compressed", "other")
# Behind another status than 101 the client's connection stays open.
WITHOUT_A_TUNNEL = {"websocket": "kind=status"}


@pytest.mark.parametrize("name", RECORDS)
async def test_a_live_fault_is_what_an_upstream_does(
    proxy: StartProxy, name: str
) -> None:
    """Routes `/faulty0`, `/live0` … of one proxy, for each of the faults."""
    left_out = "after" if name in BY_PIECES else WITHOUT_A_TUNNEL.get(name, "none")
    specs = [each for each in FAULTS if left_out not in each]
    routes: dict[str, dict[str, object]] = {}
    async with AsyncExitStack() as origins:

        async def origin(*faults: Fault) -> str:
            made = AnyFaultOrigin([RECORDS[name]], speed=None, faults=faults)
            return (await origins.enter_async_context(made)).url

        sound = await origin()
        for number, spec in enumerate(specs):
            faults = [parse_fault(each) for each in spec.split()]
            tables = [table_of(each) for each in faults]
            routes[f"/live{number}"] = {"target": sound, "fault": tables}
            routes[f"/faulty{number}"] = {"target": await origin(*faults)}
        for prefix, route in routes.items():
            route |= {"path_rewrite": {f"^{prefix}": ""}, "ws": True}
        running = await proxy(routes, server={"allow_faults": True})
        for number, spec in enumerate(specs):
            upgrade = name == "websocket"
            live_one = await seen(running, f"/live{number}/events", upgrade=upgrade)
            real_one = await seen(running, f"/faulty{number}/events", upgrade=upgrade)
            assert (spec, live_one) == (spec, real_one)


def table_of(fault: Fault) -> dict[str, object]:
    """As a file has it."""
    return {
        name: getattr(fault, name)
        for name in fault.__struct_fields__
        if getattr(fault, name) != getattr(Fault(kind="fin"), name) or name == "kind"
    }
