"""Recorded, replayed and recorded again, an exchange is the same but for its address.

In lock-step: the clock of the origin, which is that of the proxy too, goes on once
what was due has been noted. So the times are the same to the microsecond.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.exchange.route_taps import fit_taps
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import (
    ExchangeRecord,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
    encode_record,
)
from proxy.record.record_reader import read_record
from proxy.record.record_writer import RecordWriter
from proxy.record.recorder import ExchangeTape, Recorder
from tests.conftest import StartProxy
from tests.support.raw import GUARD, Peer, became, chunk, idle
from tests.support.records import StepTimer, got, head, record, sent, tunnel
from tests.support.thorough import thorough
from tests.support.trace_records import trace_records

EVENTS = [("Content-Type", "text/event-stream")]
KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = [
    ("Host", "a"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
]
# Of a key of ours, so that the origin need not make another one.
AGREED = "ICX+Yqv66kxgM0FcWaLWlFLwTAI="


def with_fields(record: ExchangeRecord, *fields: tuple[str, str]) -> ExchangeRecord:
    request = replace(record.request, fields=[("Host", "a"), *fields])
    return replace(record, request=request)


def websocket(*items: RecordedPiece | RequestComplete, **how: object) -> ExchangeRecord:
    """A WebSocket, from 10 ms on."""
    made = record(tunnel(10_000), *items, **how)  # type: ignore[arg-type]  # of `record`
    return replace(made, request=replace(made.request, fields=UPGRADE))


MADE = {
    "reset": record(
        head(1000, fields=EVENTS), sent(2000, b"data: 1\n\n"), end="reset", at=3000
    ),
    "client-left": record(
        head(1000, fields=EVENTS), sent(2000, b"data: 1\n\n"), end="open", at=3000
    ),
    "trailers": with_fields(
        record(head(1000), sent(2000, b"\xff\xfe"), trailers=[("X-Sum", "1")], at=2000),
        ("TE", "trailers"),
    ),
    "interim": record(
        head(500, framing="", status=103, fields=[("Link", "</a>")]),
        head(1000, "none", 204),
    ),
    "no-response": record(end="fin", at=500),
    "head-request": record(
        head(1000, "none", fields=[("Content-Length", "7")]), at=1000, method="HEAD"
    ),
    "cut": record(head(1000, fields=EVENTS), sent(2000, b"data"), end="fin", at=3000),
    "until-close-reset": record(
        head(1000, "close"), sent(2000, b"abc"), end="reset", at=3000
    ),
    "until-close": record(head(1000, "close"), sent(2000, b"abc"), at=3000),
    "credentials": with_fields(
        record(
            head(
                1000, "length", fields=[("Content-Length", "0"), ("Set-Cookie", "s=1")]
            ),
            target="/a?token=secret&b=1",
        ),
        ("Authorization", "Bearer secret"),
    ),
    "upload": with_fields(
        record(
            *(got(at * 1000, b"\0\xff%d" % at) for at in range(1, 6)),
            RequestComplete(6000),
            head(7000, "length", fields=[("Content-Length", "6")]),
            sent(7000, b"stored"),
            method="PUT",
        ),
        ("Transfer-Encoding", "chunked"),
    ),
    "upload-answered-early": with_fields(
        record(
            got(1000, b"one"),
            head(2000, fields=EVENTS),
            sent(2000, b"data: got 3\n\n"),
            got(3000, b"two"),
            sent(4000, b"data: got 6\n\n"),
            RequestComplete(5000),
            at=6000,
            method="POST",
        ),
        ("Transfer-Encoding", "chunked"),
    ),
    "websocket": websocket(
        sent(20_000, b"\x81\x05hello"),
        got(30_000, b"\x81\x82\0\0\0\0hi"),
        sent(40_000, b"\x82\x02\xff"),
        sent(41_000, b"\xfe"),
        got(50_000, b"\x88\x82\0\0\0\0\x03\xe8"),
        sent(60_000, b"\x88\x02\x03\xe8"),
        RequestComplete(70_000),
        at=60_000,
    ),
    "websocket-reset": websocket(
        sent(20_000, b"\x81\x05hello"), end="reset", at=30_000
    ),
}
TRACES = trace_records()
SOME = list(TRACES) if thorough() else list(TRACES)[::3]
RECORDS = {**{name: TRACES[name] for name in SOME}, **MADE}


class CountingRecorder(Recorder):
    """Knows how much was noted."""

    count = 0

    def noted_on(self, tape: ExchangeTape) -> None:
        super().noted_on(tape)
        self.count += 1


class Trip:
    """Plays one record through a proxy that records it."""

    def __init__(self, proxy: StartProxy, folder: Path) -> None:
        self.proxy = proxy
        self.folder = folder

    async def take(self, played: ExchangeRecord) -> ExchangeRecord:
        """What is recorded of it."""
        timer = StepTimer()
        async with ReplayOrigin([played], timer=timer) as origin:
            table = {"target": origin.url, "ws": True}
            running = await self.proxy(
                {"/": table}, server={"request_id": False}, clock=timer.time
            )
            folder = self.folder / str(origin.port)
            folder.mkdir()
            self.recorder = recorder = CountingRecorder(RecordWriter(folder))
            fit_taps(running.server.compiled, recorder)
            client = await running.client()
            await self.act(played, client, timer)
            await running.ended()
            recorder.finish(GUARD)
            [path] = folder.iterdir()
            found = read_record(path.read_bytes(), path.name)
            return without_address(found, origin.url)

    async def act(self, played: ExchangeRecord, client: Peer, timer: StepTimer) -> None:
        """Do what the client did, when it did it."""
        request, end = played.request, played.end
        assert end is not None
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.fields]
        await client.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        chunked = request.get("transfer-encoding") is not None
        tunnelled, acted = False, True
        for number, item in enumerate(played.items, 1):
            if isinstance(item, RecordedHead):
                tunnelled = tunnelled or item.framing == "tunnel"
            await self.noted(number)  # the request, and each item before this one
            if acted or item.at > end.at:  # the other side has heard of it, too
                await idle()
            timer.advance_to(item.at / 1_000_000)
            acted = True
            if isinstance(item, RecordedPiece) and item.side == "client":
                framed = chunked and not tunnelled
                await client.send(chunk(item.data) if framed else item.data)
            elif isinstance(item, RequestComplete) and tunnelled:
                client.finish()
            elif isinstance(item, RequestComplete) and chunked:
                await client.send(chunk(b""))
            else:
                acted = False
        await self.noted(1 + len(played.items))
        await idle()
        timer.advance_to(end.at / 1_000_000)
        if end.end == "open":
            client.close()

    async def noted(self, count: int) -> None:
        """Wait until so much was noted: what was to happen has happened."""
        await became(lambda: self.recorder.count >= count)


def without_address(record: ExchangeRecord, url: str) -> ExchangeRecord:
    """The same for whatever port, and whenever it began."""
    text = encode_record(replace(record, began="2000-01-01T00:00:00.000000Z"))
    return read_record(
        text.replace(url.removeprefix("http://").encode(), b"origin"), ""
    )


@pytest.mark.parametrize("name", RECORDS)
async def test_what_was_recorded_is_recorded_again(
    proxy: StartProxy, tmp_path: Path, name: str
) -> None:
    played = RECORDS[name]
    trip = Trip(proxy, tmp_path)
    first = await trip.take(played)
    # What was made by hand lacks what the proxy adds, and has its secrets.
    assert list(first.items) == [masked(item) for item in played.items]
    assert first.end is not None
    assert played.end is not None
    assert (first.end.at, first.end.end) == (played.end.at, played.end.end)
    assert first.end.trailers == played.end.trailers
    assert encode_record(await trip.take(first)) == encode_record(first)


def masked(
    item: RecordedHead | RecordedPiece | RequestComplete,
) -> RecordedHead | RecordedPiece | RequestComplete:
    """As a record has it that was not made by hand."""
    if not isinstance(item, RecordedHead):
        return item
    changed = {"Set-Cookie": "s=****", "Sec-WebSocket-Accept": AGREED}
    fields = [(name, changed.get(name, value)) for name, value in item.fields]
    return replace(item, fields=fields)
