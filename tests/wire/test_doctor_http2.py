"""The doctor by HTTP/2, as a browser asks where a server offers it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import hpack
import pytest

from proxy.tools.doctor.probe.fetch import FetchedResponse, Limits, fetch
from proxy.tools.doctor.probe.http2_exchange import BrokenFrames, Http2Exchange
from proxy.tools.doctor.probe.request import Ask, complete
from proxy.tools.doctor.record import Ending
from tests.conftest import StartProxy
from tests.support.certificates import Authority
from tests.support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    NUMBER,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    settings,
)
from tests.support.messages import EVENT_STREAM
from tests.support.raw import Upstream, chunk
from tests.support.running import RunningProxy
from tests.wire.test_doctor import doctor

pytestmark = pytest.mark.any_loop

HEAD = [(":status", "200"), ("content-type", "text/event-stream")]
EVENT = b"data: x\n\n"
PADDED = 0x8
ENABLE_CONNECT_PROTOCOL = 8


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> RunningProxy:
    return await proxy({"/": {"target": upstream.url}}, server=authority.server)


@pytest.fixture
async def asked(running: RunningProxy) -> Ask:
    return complete(Ask(f"https://127.0.0.1:{running.port}/events", insecure=True))


async def test_every_piece_is_stamped_when_it_comes(
    upstream: Upstream, asked: Ask
) -> None:
    """In lock-step: the next piece is sent once the one before was stamped."""
    seen = asyncio.Queue[int]()

    def watch(response: FetchedResponse) -> bool:
        if response.arrivals:
            seen.put_nowait(len(response.arrivals))
        return False

    async def serve() -> None:
        server = await upstream.request()
        assert b"accept: text/event-stream" in server.head_lines
        await server.send(EVENT_STREAM)
        for number in range(1, 4):
            await server.send(chunk(EVENT))
            assert await seen.get() == number
        await server.send(chunk(b""))

    recording, _ = await asyncio.gather(fetch(asked, Limits(5.0), watch), serve())
    assert (recording.version, recording.status) == ("HTTP/2", 200)
    assert recording.ending == "complete"
    assert recording.websockets
    assert [each.size for each in recording.arrivals] == [9, 9, 9]
    assert min(each.wire for each in recording.arrivals) >= 18  # its frame


async def test_an_upload_larger_than_the_windows(
    upstream: Upstream, asked: Ask
) -> None:
    body = b"0123456789abcdef" * 200_000

    async def serve() -> bytes:
        server = await upstream.request()
        data = await server.read(len(body))
        await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        return data

    upload = Ask(asked.url, "POST", body=body, insecure=True)
    recording, data = await asyncio.gather(fetch(upload, Limits(20.0)), serve())
    assert (recording.status, recording.ending) == (204, "complete")
    assert data == body


async def test_a_cut_response_is_told(upstream: Upstream, asked: Ask) -> None:
    async def serve() -> None:
        server = await upstream.request()
        await server.send(EVENT_STREAM + chunk(EVENT))
        server.close()

    recording, _ = await asyncio.gather(fetch(asked, Limits(5.0)), serve())
    assert recording.ending == "cut"
    assert recording.fault == "the server reset the stream: INTERNAL_ERROR"


async def test_without_http2_it_asks_by_http1(
    proxy: StartProxy, upstream: Upstream, authority: Authority
) -> None:
    server = {**authority.server, "http2": False}
    running = await proxy({"/": {"target": upstream.url}}, server=server)
    ask = Ask(f"https://127.0.0.1:{running.port}/", insecure=True)

    async def serve() -> None:
        await (await upstream.request()).send(EVENT_STREAM + chunk(b""))

    recording, _ = await asyncio.gather(fetch(ask, Limits(5.0)), serve())
    assert recording.version == "HTTP/1.1"


@pytest.fixture
async def answering(upstream: Upstream) -> AsyncIterator[None]:
    """An upstream that sends three events to each who asks, and ends."""

    async def answer() -> None:
        while True:
            server = await upstream.request(60)
            await server.send(EVENT_STREAM + chunk(EVENT) * 3 + chunk(b""))

    task = asyncio.ensure_future(answer())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("answering")
async def test_it_asks_over_both_where_http2_is_offered(
    asked: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    await doctor(asked.url, "-k", "-q", "--json", "--compare", "auto")
    cases = json.loads(capsys.readouterr().out)["measurements"]
    versions = [(each["label"], each["version"]) for each in cases]
    assert versions[:2] == [
        ("as a browser asks", "HTTP/2"),
        ("over HTTP/1.1", "HTTP/1.1"),
    ]


@pytest.mark.usefixtures("answering")
async def test_what_may_cost_money_is_asked_once(
    asked: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    await doctor(asked.url, "-k", "-q", "--json", "-X", "POST")
    (case,) = json.loads(capsys.readouterr().out)["measurements"]
    assert case["version"] == "HTTP/2"


# -- frames, without a socket


class Taken:
    """What an exchange told."""

    def __init__(self) -> None:
        self.sent = b""
        self.heads: list[int] = []
        self.content = b""
        self.ended: tuple[str, str] | None = None

    def send(self, data: bytes) -> None:
        self.sent += data

    def take_head(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        assert all(name[:1] != b":" for name, _ in fields)
        self.heads.append(status)

    def take_content(self, content: bytes) -> None:
        self.content += content

    def end(self, ending: Ending, fault: str = "") -> None:
        self.ended = self.ended or (ending, fault)


def begun(ask: Ask | None = None) -> tuple[Http2Exchange, Taken]:
    taken = Taken()
    exchange = Http2Exchange(ask or Ask("https://a/x"), taken, 4096)
    exchange.begin()
    return exchange, taken


def block(fields: list[tuple[str, str]]) -> bytes:
    return bytes(hpack.Encoder().encode(fields))


WHOLE = b"".join(
    [
        settings({ENABLE_CONNECT_PROTOCOL: 1}),
        frame(SETTINGS, ACK, 0),
        frame(HEADERS, END_HEADERS, 1, block([(":status", "103"), ("link", "</a>")])),
        frame(HEADERS, 0, 1, block(HEAD)[:3]),
        frame(9, END_HEADERS, 1, block(HEAD)[3:]),
        frame(PING, 0, 0, b"12345678"),
        frame(DATA, 0, 1, b"one"),
        frame(DATA, PADDED, 1, b"\x02two\0\0"),
        frame(0xBE, 0xEF, 1, b"unknown"),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, block([("checksum", "7")])),
    ]
)


@pytest.mark.parametrize("size", [1, 2, 7, 10, len(WHOLE)])
def test_frames_cut_anywhere(size: int) -> None:
    exchange, taken = begun()
    sent = taken.sent
    for start in range(0, len(WHOLE), size):
        exchange.receive(WHOLE[start : start + size])
    assert taken.heads == [103, 200]
    assert taken.content == b"onetwo"
    assert taken.ended == ("complete", "")
    assert exchange.websockets
    assert sent.startswith(PREFACE)
    answers = frame(SETTINGS, ACK, 0) + frame(PING, ACK, 0, b"12345678")
    assert taken.sent.removeprefix(sent) == answers


def test_a_body_waits_for_the_windows() -> None:
    exchange, _ = begun(Ask("https://a/x", "POST", body=b"x" * 65_636))
    exchange.receive(settings())
    assert exchange.left == 101
    exchange.receive(frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(101)))
    assert exchange.left == 101
    exchange.receive(frame(WINDOW_UPDATE, 0, 1, NUMBER.pack(1)))
    assert exchange.left == 100
    exchange.receive(settings({4: 65_735}))
    assert exchange.left == 0


@pytest.mark.parametrize(
    ("frames", "ended"),
    [
        pytest.param(
            frame(GOAWAY, 0, 0, NUMBER.pack(0) + NUMBER.pack(11) + b"too many"),
            ("no answer", "the server ended the connection: ENHANCE_YOUR_CALM "
                          "(too many)"),
            id="goaway",
        ),
        pytest.param(
            frame(GOAWAY, 0, 0, NUMBER.pack(1) + NUMBER.pack(0)), None, id="drain"
        ),
        pytest.param(
            frame(RST_STREAM, 0, 1, NUMBER.pack(7)),
            ("no answer", "the server reset the stream: REFUSED_STREAM"),
            id="refused",
        ),
    ],
)  # fmt: skip
def test_the_server_ends_it(frames: bytes, ended: tuple[str, str] | None) -> None:
    exchange, taken = begun()
    exchange.receive(settings() + frames)
    assert taken.ended == ended


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http1"),
        pytest.param(settings() + frame(DATA, 0, 1, b"x" * 16_385), id="too large"),
        pytest.param(settings() + frame(DATA, PADDED, 1, b"\x05xx"), id="padding"),
        pytest.param(settings() + frame(HEADERS, 4, 1, b"\xff\xff"), id="hpack"),
        pytest.param(
            settings() + frame(HEADERS, 4, 1, block([("a", "b")])), id="no status"
        ),
        pytest.param(
            settings() + frame(HEADERS, 0, 1, b"x" * 5000), id="a head too large"
        ),
        pytest.param(frame(SETTINGS, 0, 0, b"12345"), id="half a setting"),
    ],
)
def test_what_is_not_http2_is_told(frames: bytes) -> None:
    exchange, _ = begun()
    with pytest.raises(BrokenFrames):
        exchange.receive(frames)


def test_a_request_has_no_fields_of_a_connection() -> None:
    ask = Ask(
        "https://a:8443/x?y",
        fields=(("Host", "b"), ("Connection", "close"), ("X-A", "1")),
    )
    _, taken = begun(ask)
    start = taken.sent.index(b"\x01\x05\x00\x00\x00\x01") + 6
    fields = hpack.Decoder().decode(taken.sent[start:])
    assert [(str(name), str(value)) for name, value in fields] == [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "b"),
        (":path", "/x?y"),
        ("x-a", "1"),
    ]
