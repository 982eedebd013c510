"""Exchanges are recorded: what the upstream sent, as it came, and when."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.exchange.route_taps import fit_taps
from proxy.http1.head import parse_request_head
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import (
    ExchangeRecord,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
)
from proxy.record.record_counts import RECORD_COUNTS
from proxy.record.record_reader import read_record
from proxy.record.record_writer import RecordWriter, open_file
from proxy.record.recorder import Recorder
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support import raw
from tests.support.http2 import DATA, HEADERS, Http2Listener, frame
from tests.support.kept import EVENT_HEAD, ask, field, post
from tests.support.messages import CHUNKED, OK
from tests.support.raw import GUARD, Upstream, became, chunk
from tests.support.running import RunningProxy
from tests.wire.test_http2_websocket import connect, switch

NOON = 1_764_417_600.25  # 2025-11-29T12:00:00.25Z
STREAM = CHUNKED + b"Content-Type: text/event-stream\r\n\r\n"
OTHER = CHUNKED + b"\r\n"
GET = b"GET /sse/events?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"


class Records:
    """What a proxy has recorded."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.recorders: list[Recorder] = []

    def of(
        self,
        running: RunningProxy,
        *prefixes: str,
        limit: int = 1 << 20,
        open: Callable[[Path, bool], int] = open_file,
    ) -> Recorder:
        """Record all that a proxy does from now on."""
        writer = RecordWriter(self.directory, limit, open)
        recorder = Recorder(writer, prefixes, wall=lambda: NOON)
        running.server.tapes = recorder
        fit_taps(running.server.compiled, recorder)
        self.recorders.append(recorder)
        return recorder

    @property
    def paths(self) -> list[Path]:
        """The files, once all is written."""
        for recorder in self.recorders:
            recorder.finish(GUARD)
        return sorted(self.directory.iterdir())

    @property
    def all(self) -> list[ExchangeRecord]:
        """The records, in the order in which they began."""
        found = [
            (
                int(path.stem.rpartition("-")[2]),
                read_record(path.read_bytes(), str(path)),
            )
            for path in self.paths
        ]
        return [record for _, record in sorted(found, key=lambda each: each[0])]

    @property
    def only(self) -> ExchangeRecord:
        [record] = self.all
        return record


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    folder = tmp_path / "records"
    folder.mkdir()
    made = Records(folder)
    yield made
    for recorder in made.recorders:
        recorder.finish(GUARD)


def pieces(record: ExchangeRecord) -> list[tuple[int, bytes]]:
    """When which piece of the upstream came."""
    return [(piece.at, piece.data) for piece in record.response_pieces]


def ended(record: ExchangeRecord) -> tuple[str, str]:
    assert record.end is not None
    return record.end.end, record.end.ending


@pytest.mark.both_protocols
async def test_each_piece_is_recorded_with_its_time(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/sse": {"target": upstream.url}}, clock=clock)
    records.of(running)
    client, server = await running.begin(upstream, GET)
    clock.advance(0.25)
    await server.send(STREAM)
    await client.read_head()
    for data in ("data: 你好\n\n".encode(), "data: 你".encode()[:-1]):
        clock.advance(1)
        await server.send(chunk(data))
        assert await client.read_chunk() == data
    clock.advance(0.5)
    await server.send(chunk("你".encode()[-1:]) + chunk(b"\n\n") + chunk(b""))
    assert await client.read_body() == "你".encode()[-1:] + b"\n\n"
    await running.ended()

    record = records.only
    assert record.began == "2025-11-29T12:00:00.250000Z"
    assert (record.route, record.target) == ("/sse", upstream.url)
    assert record.request.target == "/sse/events?x=1"
    assert record.head is not None
    assert (record.head.at, record.head.framing) == (250_000, "chunked")
    assert record.head.get("content-type") == "text/event-stream"
    assert pieces(record) == [
        (1_250_000, "data: 你好\n\n".encode()),
        (2_250_000, b"data: \xe4\xbd"),
        (2_750_000, b"\xa0\n\n"),
    ]
    assert record.end is not None
    assert (record.end.at, record.end.end) == (2_750_000, "complete")
    text = records.paths[0].read_text("utf-8")
    assert '"text":"data: 你好\\n\\n"' in text


async def test_the_request_is_recorded_as_it_came_and_as_it_went(
    proxy: StartProxy, upstream: Upstream, records: Records
) -> None:
    table = {
        "target": upstream.url + "/v1",
        "path_rewrite": {"^/api": ""},
        "headers": {"request": {"set": {"X-Api-Key": "k" * 20}}},
    }
    running = await proxy({"/api": table})
    records.of(running)
    client, server = await running.begin(
        upstream, post(b"/api/x?key=secret&a=1", b'{"a":1}', Cookie="sid=secret")
    )
    assert await server.read(7) == b'{"a":1}'
    await server.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 201 Created\r\nSet-Cookie: sid=secret; Path=/\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    await client.read_until(b"ok")
    await running.ended()

    record, text = records.only, records.paths[0].read_text("utf-8")
    assert "secret" not in text
    assert "kkkk" not in text
    assert record.request.method == "POST"
    assert record.request.target == "/api/x?key=****&a=1"
    assert record.request.get("cookie") == "sid=****"
    assert record.sent is not None
    assert record.sent.target == "/v1/x?key=****&a=1"
    assert record.sent.get("x-api-key") == "****"
    assert record.request_body == b'{"a":1}'
    kinds = [type(item) for item in record.items]
    body = [RecordedPiece, RequestComplete]
    assert kinds == [*body, RecordedHead, RecordedHead, RecordedPiece]
    assert record.head is not None
    assert (record.head.status, record.head.framing) == (201, "length")
    assert record.head.get("set-cookie") == "sid=****; Path=/"


async def test_a_coded_body_is_recorded_as_it_was_coded(
    proxy: StartProxy, upstream: Upstream, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    records.of(running)
    client, server = await running.begin(upstream, ask())
    coded = gzip.compress(b"data: 1\n\n")
    await server.send(
        CHUNKED + b"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n"
    )
    assert b"Content-Encoding" not in await client.read_head()
    await server.send(chunk(coded[:12]))
    await server.send(chunk(coded[12:]) + chunk(b""))
    assert await client.read_body() == b"data: 1\n\n"
    await running.ended()
    assert b"".join(data for _, data in pieces(records.only)) == coded


@pytest.mark.both_protocols
async def test_an_upload_is_recorded_piece_by_piece(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    records.of(running)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client, server = await running.begin(upstream, head)
    for data in (b"one", b"\xff\0", b"three"):
        clock.advance(1)
        await client.send(chunk(data))
        assert await server.read_chunk() == data
    await client.send(chunk(b""))
    assert await server.read_chunk() == b""
    await server.send(OK)
    await client.read_until(b"ok")
    await running.ended()
    assert list(records.only.items)[:4] == [
        RecordedPiece(1_000_000, "client", b"one"),
        RecordedPiece(2_000_000, "client", b"\xff\0"),
        RecordedPiece(3_000_000, "client", b"three"),
        RequestComplete(3_000_000),
    ]


async def test_a_websocket_is_recorded_in_both_directions(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url, "ws": True}}, clock=clock)
    records.of(running)
    client, server = await running.begin(
        upstream,
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    )
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
    )
    await client.read_head()
    for seconds, (sender, receiver, data) in enumerate(
        [(client, server, b"\x81\x81\0\0\0\0a"), (server, client, b"\x82\x01\xff")], 1
    ):
        clock.advance(1)
        await sender.send(data)
        assert await receiver.read(len(data)) == data
        assert seconds
    server.reset()
    await running.ended()
    record = records.only
    assert record.is_websocket
    assert list(record.items)[1:] == [
        RecordedPiece(1_000_000, "client", b"\x81\x81\0\0\0\0a"),
        RecordedPiece(2_000_000, "upstream", b"\x82\x01\xff"),
    ]
    assert ended(record) == ("reset", "upstream broke")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        pytest.param("fin", ("fin", "upstream broke"), id="FIN"),
        pytest.param("reset", ("reset", "upstream broke"), id="reset"),
        pytest.param("left", ("open", "client left"), id="the client left"),
    ],
)
async def test_how_a_stream_broke_is_recorded(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    how: str,
    told: tuple[str, str],
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await server.send(STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    if how == "left":
        client.close()
    elif how == "reset":
        server.reset()
    else:
        server.close()
    await running.ended()
    assert ended(records.only) == told
    assert [data for _, data in pieces(records.only)] == [b"data: 1\n\n"]


BOTH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "framing"),
    [
        pytest.param(STREAM + chunk(b"data: 1\n\n") + b"ZZ\r\n", "chunked", id="chunk"),
        pytest.param(BOTH + b"abcdefg", "unread", id="both lengths"),
        pytest.param(SWITCHED, "unread", id="unasked switch"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", None, id="other protocol"),
    ],
)
async def test_what_is_not_http_is_an_end_of_its_own_and_is_replayed_as_one(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    sent: bytes,
    framing: str | None,
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    records.of(running)
    client, server = await running.begin(upstream, GET)
    await server.send(sent)
    await client.read_head()
    await running.ended()
    record = records.only
    assert ended(record) == ("malformed", "upstream broke")
    assert (record.head.framing if record.head else None) == framing
    async with ReplayOrigin([record], speed=None) as origin:
        again = await raw.connect(origin.port)
        await again.send(GET)
        _, end = await again.read_to_close()
        assert end == "fin"
        again.close()


async def test_an_upstream_that_is_not_there_is_recorded(
    proxy: StartProxy, records: Records, unused_tcp_port: int
) -> None:
    running = await proxy({"/": {"target": f"http://127.0.0.1:{unused_tcp_port}"}})
    records.of(running)
    client = await running.client()
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await running.ended()
    record = records.only
    assert record.head is None
    assert record.sent is None
    assert ended(record) == ("unreached", "upstream broke")
    assert record.end is not None
    assert "nothing listens" in record.end.error


async def test_a_response_that_began_early_is_that_of_the_upstream(
    proxy: StartProxy, upstream: Upstream, records: Records
) -> None:
    table = {
        "target": upstream.url,
        "heartbeat_seconds": 0.01,
        "heartbeat_before_head": True,
    }
    running = await proxy({"/": table})
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await client.read_head()
    assert (await client.read_chunk()).startswith(b":")
    await server.send(STREAM + chunk(b"data: 1\n\n") + chunk(b""))
    assert b"data: 1\n\n" in await client.read_body()
    await running.ended()
    assert [data for _, data in pieces(records.only)] == [b"data: 1\n\n"]


async def test_of_a_kept_stream_the_upstream_is_recorded_once(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url, "resume": True}}, clock=clock)
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    first = await client.read_chunk()
    assert b"id: " in first
    client.close()
    await running.ended()
    clock.advance(2)
    await server.send(chunk(b"data: 2\n\n"))
    again = await running.client()
    number = first.split(b"id: ")[1].strip().decode()
    await again.send(ask(Last_Event_ID=number))
    await again.read_head()
    assert b"data: 2\n" in await again.read_chunk()
    await server.send(chunk(b""))
    assert await again.read_chunk() == b""
    await running.ended()
    record = records.only
    assert pieces(record) == [(0, b"data: 1\n\n"), (2_000_000, b"data: 2\n\n")]
    assert ended(record) == ("complete", "complete")


async def test_an_upstream_that_is_asked_again_has_a_record_for_each_time(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url, "resume": True}}, clock=clock)
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(b"id: 1\ndata: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"id: 1\ndata: 1\n\n"
    server.close()
    server = await upstream.request()
    assert field(server.head, b"last-event-id") == b"1"
    await server.send(EVENT_HEAD % b"" + chunk(b"id: 2\ndata: 2\n\n") + chunk(b""))
    assert await client.read_body() == b"id: 2\ndata: 2\n\n"
    await running.ended()
    first, second = records.all
    assert ended(first) == ("fin", "upstream broke")
    assert [data for _, data in pieces(first)] == [b"id: 1\ndata: 1\n\n"]
    assert second.request.get("last-event-id") == "1"
    assert [data for _, data in pieces(second)] == [b"id: 2\ndata: 2\n\n"]
    assert ended(second) == ("complete", "complete")


async def test_only_the_routes_that_were_named_are_recorded(
    proxy: StartProxy, upstream: Upstream, records: Records
) -> None:
    running = await proxy(
        {"/a": {"target": upstream.url}, "/b": {"target": upstream.url}}
    )
    records.of(running, "/b")
    for path in (b"/a/1", b"/b/2"):
        client, server = await running.begin(upstream, ask(path))
        await server.send(OK)
        await client.read_until(b"ok")
        await running.ended()
        server.close()
    assert records.only.request.target == "/b/2"
    await running.server.reload(running.server.config)
    assert [bool(each.taps) for each in running.server.compiled.by_prefix.values()] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("breaks", "told"),
    [(False, ("complete", "complete")), (True, ("fin", "upstream broke"))],
    ids=["complete", "cut"],
)
async def test_an_upstream_that_is_read_to_its_end_is_recorded_to_its_end(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    breaks: bool,
    told: tuple[str, str],
) -> None:
    table = {"target": upstream.url, "on_client_leave": "finish"}
    running = await proxy({"/": table})
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await server.send(STREAM + chunk(b"data: 1\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"data: 1\n\n"
    client.close()
    await running.connected(0)
    await server.send(chunk(b"data: 2\n\n") + (b"" if breaks else chunk(b"")))
    if breaks:
        server.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    record = records.only
    assert [data for _, data in pieces(record)] == [b"data: 1\n\n", b"data: 2\n\n"]
    assert ended(record) == told


async def test_what_a_shutdown_cuts_has_an_end(
    proxy: StartProxy, upstream: Upstream, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    records.of(running)
    client, server = await running.begin(upstream, ask())
    await server.send(OTHER + chunk(b"1"))
    await client.read_head()
    assert await client.read_chunk() == b"1"
    await running.stop()
    assert ended(records.only) == ("open", "shut down")


async def test_a_websocket_by_http2_is_recorded(
    proxy: StartProxy, upstream: Upstream, over: Http2Listener, records: Records
) -> None:
    table = {"target": upstream.url, "ws": True}
    running = await proxy({"/ws": table}, server=over.server)
    records.of(running)
    http = await over.frames(running)
    await http.peer.send(connect(http, 1))
    server = await upstream.request()
    await server.send(switch(parse_request_head(server.head)))
    await http.next(HEADERS, 1)
    await http.peer.send(frame(DATA, 0, 1, b"\x81\x81\0\0\0\0a"))
    assert await server.read(7) == b"\x81\x81\0\0\0\0a"
    await server.send(b"\x81\x01b")
    await http.next(DATA, 1)
    server.close()
    await running.ended()
    record = records.only
    assert record.is_websocket
    assert record.request.version == "2.0"
    assert record.sent is not None
    assert (record.sent.method, record.sent.target) == ("GET", "/ws")
    assert [
        (item.side, item.data)
        for item in record.items
        if isinstance(item, RecordedPiece)
    ] == [("client", b"\x81\x81\0\0\0\0a"), ("upstream", b"\x81\x01b")]


# -- files


async def test_a_file_has_a_safe_name_and_is_its_owners(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    records.of(running)
    target = b"/a;b/%41~/..x/:etc/*?token=secret"
    client, server = await running.begin(upstream, ask(target))
    await server.send(OK)
    await client.read_until(b"ok")
    await running.ended()
    [path] = records.paths
    assert path.name == "20251129T120000.250000-GET-a-b-41-x-etc-1.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_name_that_is_taken_gets_another_number(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, records: Records
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    name = "20251129T120000.250000-GET-a-1"
    (records.directory / f"{name}.jsonl").write_text("not ours")
    records.of(running)
    client, server = await running.begin(upstream, ask(b"/a"))
    await server.send(OK)
    await client.read_until(b"ok")
    await running.ended()
    assert (records.directory / f"{name}-1.jsonl") in records.paths
    assert (records.directory / f"{name}.jsonl").read_text() == "not ours"


# -- disks


async def streamed(running: RunningProxy, upstream: Upstream, size: int) -> None:
    """A stream of a hundred pieces, each of which has to come through."""
    client, server = await running.begin(upstream, ask())
    await server.send(STREAM)
    await client.read_head()
    for number in range(100):
        data = b"data: %d %b\n\n" % (number, b"x" * size)
        await server.send(chunk(data))
        assert await client.read_payload(len(data)) == data
    await server.send(chunk(b""))
    assert await client.read_chunk() == b""
    await running.ended()
    client.close()
    await became(lambda: not running.server.clients)
    server.close()
    await became(lambda: not running.idle_connections)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("unbuffered") and "records in" in record.getMessage()
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a FIFO")
async def test_a_disk_that_stands_still_holds_no_piece(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fifo = records.directory.parent / "slow"
    os.mkfifo(fifo)

    def slow(path: Path, new: bool) -> int:
        """Nobody reads the FIFO: to open it takes until somebody does."""
        return os.open(fifo, os.O_WRONLY)

    running = await proxy({"/": {"target": upstream.url}})
    recorder = records.of(running, limit=40_000, open=slow)
    before = RECORD_COUNTS.dropped
    await streamed(running, upstream, 1000)
    assert recorder.writer.size <= 40_000
    missing = RECORD_COUNTS.dropped - before
    assert missing > 60
    [line] = told(caplog)
    assert "the disk is too slow" in line

    # Somebody reads: what has been waiting is whole as far as it goes.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    data = b""

    def drain() -> bool:
        nonlocal data
        with contextlib.suppress(BlockingIOError):
            data += os.read(reader, 1 << 20)
        return b'{"dropped":' in data

    try:
        await became(drain)
    finally:
        os.close(reader)
    record = read_record(data, "slow")
    assert record.end is None
    assert record.dropped == missing
    got = b"".join(piece for _, piece in pieces(record))
    assert got == b"".join(
        b"data: %d %b\n\n" % (number, b"x" * 1000)
        for number in range(len(record.response_pieces))
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_disk_that_is_full_holds_no_piece_and_is_told_once(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[Path] = []

    def full(path: Path, new: bool) -> int:
        opened.append(path)
        return os.open("/dev/full", os.O_WRONLY)

    running = await proxy({"/": {"target": upstream.url}})
    records.of(running, open=full)
    before = RECORD_COUNTS.dropped
    for _ in range(2):
        await streamed(running, upstream, 10)
    assert records.paths == []
    assert RECORD_COUNTS.dropped - before == 2 * 103  # the request, the head, the end
    [line] = told(caplog)
    assert "no space left on device" in line
    assert len(opened) >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
async def test_a_disk_that_becomes_full_leaves_whole_lines(
    proxy: StartProxy,
    upstream: Upstream,
    records: Records,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    recorder = records.of(running)
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        await streamed(running, upstream, 1000)
        recorder.finish(GUARD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    record = records.only
    assert record.end is None
    assert 100 > record.dropped > 0
    [line] = told(caplog)
    assert "file too large" in line
