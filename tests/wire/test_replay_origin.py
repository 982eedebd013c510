"""Records replayed to real clients, over real sockets and through the proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from proxy.errors import UpstreamTruncated
from proxy.origin import replay_origin
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import RequestComplete, UpstreamEnd
from tests.conftest import StartProxy
from tests.support.raw import Peer, connect, idle
from tests.support.records import StepTimer, got, head, record, sent, tunnel

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
EVENTS = [("Content-Type", "text/event-stream")]
STREAM = record(
    head(10_000, fields=EVENTS),
    sent(20_000, b"data: 1\n"),
    sent(30_000, b"\ndata: \xe4\xbd"),
    sent(40_000, b"\xa0\n\n"),
    at=50_000,
)


async def test_each_piece_comes_at_its_time_and_as_it_was_cut(
    proxy: StartProxy,
) -> None:
    """In lock-step: the clock goes on once the client has what was due."""
    timer = StepTimer()
    async with ReplayOrigin([STREAM], timer=timer) as origin:
        running = await proxy({"/": {"target": origin.url}})
        client = await running.client()
        await client.send(GET)
        await idle()
        assert timer.next_due == 0.01
        timer.advance_to(0.01)
        await client.read_head()
        for due, piece in (
            (0.02, b"data: 1\n"), (0.03, b"\ndata: \xe4\xbd"), (0.04, b"\xa0\n\n"),
        ):  # fmt: skip
            assert timer.next_due == due
            timer.advance_to(due - 0.0001)
            await idle()
            timer.advance_to(due)
            assert await client.read_chunk() == piece
        timer.advance_to(0.05)
        assert await client.read_chunk() == b""


async def read_all(client: Peer) -> list[bytes]:
    pieces = []
    while piece := await client.read_chunk():
        pieces.append(piece)
    return pieces


async def test_at_full_speed_all_comes_in_order_and_to_several_clients() -> None:
    many = [sent(at, b"data: %d\n\n" % at) for at in range(500)]
    async with ReplayOrigin([record(head(), *many)], speed=None) as origin:
        clients = [await connect(origin.port) for _ in range(3)]
        for client in clients:
            await client.send(GET)
        for client in clients:
            await client.read_head()
            assert await read_all(client) == [each.data for each in many]
            await client.send(GET)  # once more, on the same connection
        for client in clients:
            await client.read_head()
            assert len(await read_all(client)) == 500
            client.close()


@pytest.mark.parametrize(
    ("end", "seen"),
    [("fin", "fin"), ("reset", "fin"), ("complete", "complete")],
)
async def test_the_proxy_sees_the_end_as_it_was(
    proxy: StartProxy, end: UpstreamEnd, seen: str
) -> None:
    played = record(head(fields=EVENTS), sent(1, b"data: 1\n\n"), end=end)
    async with ReplayOrigin([played], speed=None) as origin:
        running = await proxy({"/": {"target": origin.url}})
        client = await running.client()
        await client.send(GET)
        await client.read_head()
        assert await client.read_chunk() == b"data: 1\n\n"
        if end == "complete":
            assert await client.read_chunk() == b""
            assert (await running.ended()).error is None
        else:
            assert await client.read_to_close() == (b"", seen)
            assert (await running.ended()).error is not None


async def test_an_open_end_stays_open_until_the_client_leaves() -> None:
    timer = StepTimer()
    async with ReplayOrigin([record(head(), end="open")], timer=timer) as origin:
        client = await connect(origin.port)
        await client.send(GET)
        await idle()
        timer.advance_to(1)
        await client.read_head()
        (connection,) = origin.connections
        client.close()
        await connection.closed.wait()
        assert timer.next_due is None


async def test_an_upload_is_matched_over_the_wire(proxy: StartProxy) -> None:
    upload = record(
        got(1, b"abc"), RequestComplete(2), head(3, "length"), sent(3, b"stored"),
        method="POST", target="/up", upstream_target="/v2/up",
    )  # fmt: skip
    async with ReplayOrigin([upload], speed=None) as origin:
        running = await proxy({"/up": {"target": f"{origin.url}/v2"}})
        async with aiohttp.ClientSession() as session:
            for body, status in ((b"abc", 200), (b"abd", 404)):
                async with session.post(f"{running.url}/up", data=body) as response:
                    assert response.status == status
                    text = await response.text()
            assert "differs at byte 2: recorded 'abc', asked 'abd'" in text
        assert [each.body for each in origin.requests] == [b"abc", b"abd"]
        assert origin.requests[0].target == "/v2/up"


async def test_a_real_client_of_websockets_is_answered(proxy: StartProxy) -> None:
    played = record(
        tunnel(), sent(1, b"\x81\x05hello"), sent(2, b"\x82\x02\x00\xff"),
        sent(3, b"\x89\x01p"), end="open", target="/ws",
    )  # fmt: skip
    async with ReplayOrigin([played], speed=None) as origin:
        running = await proxy({"/": {"target": origin.url, "ws": True}})
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{running.url}/ws") as socket,
        ):
            assert await socket.receive_str() == "hello"
            assert await socket.receive_bytes() == b"\x00\xff"
            await socket.close(code=4001)
            assert socket.close_code == 4001


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    pieces = [sent(at, bytes([at % 256]) * 200_000) for at in range(40)]
    played = record(head(0, "close"), *pieces)
    async with ReplayOrigin([played], speed=None) as origin:
        client = await connect(origin.port, receive_bytes=16384)
        await client.send(GET)
        await idle()
        (connection,) = origin.connections
        assert connection.blocked
        assert connection.transport.get_write_buffer_size() < 1_000_000
        await client.read_head()
        body, end = await client.read_to_close()
        assert end == "fin"
        assert body == b"".join(each.data for each in pieces)
        client.close()
        await asyncio.sleep(0)


async def test_stopping_it_ends_all(caplog: pytest.LogCaptureFixture) -> None:
    origin = ReplayOrigin([STREAM], timer=StepTimer())
    await origin.start()
    client = await connect(origin.port)
    await client.send(GET)
    await idle()
    await origin.stop()
    await client.read_to_close()
    client.close()
    await asyncio.sleep(0)
    assert not origin.connections
    assert not [each for each in caplog.records if each.name == "asyncio"]


async def test_it_tells_of_each_request() -> None:
    told: list[str] = []
    tell: Callable[[str], None] = told.append
    async with ReplayOrigin([STREAM], names=["a.jsonl"], tell=tell) as origin:
        client = await connect(origin.port)
        put = GET.replace(b"GET /events", b"PUT /events?key=secret")
        await client.send(put + GET)
        await client.read_head()
        assert client.head_lines[0] == b"HTTP/1.1 404 Not Found"
        await client.read_until(b"GET /events\n")
        await client.read_head()
        client.close()
    assert told == [
        "PUT /events?key=****: 404, no record answers it",
        "GET /events: a.jsonl",
    ]


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")]
)
async def test_its_url_can_be_asked(host: str, shown: str) -> None:
    origin = ReplayOrigin([])
    await origin.start(host)
    try:
        assert origin.url == f"http://{shown}:{origin.port}"
    finally:
        await origin.stop()
    await origin.stop()  # twice does no harm


async def test_a_truncated_stream_is_the_upstreams_fault(proxy: StartProxy) -> None:
    async with ReplayOrigin([record(head(fields=EVENTS), end=None)]) as origin:
        running = await proxy({"/": {"target": origin.url}})
        client = await running.client()
        await client.send(GET)
        await client.read_to_close()
        assert isinstance((await running.ended()).error, UpstreamTruncated)


async def test_requests_of_one_connection_are_not_mixed_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_origin, "MOST_REQUESTS", 100)
    async with ReplayOrigin(
        [record(head(0, "length"), sent(at, b"%d" % at), target=f"/{at}")
         for at in (1, 2)],
        speed=None,
    ) as origin:  # fmt: skip
        client = await connect(origin.port)
        request = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        await client.send(b"".join(request % (1 + at % 2) for at in range(200)))
        answers = []
        for _ in range(200):
            await client.read_head()
            answers.append(await client.read(1))
        assert answers == [b"1", b"2"] * 100
        assert len(origin.requests) == 100  # of those that are kept
        client.close()
        await asyncio.sleep(0)
