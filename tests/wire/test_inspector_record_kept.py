"""Kept and shared streams are recorded once each, and shown as each client got them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.exchange.exchange import Exchange
from proxy.exchange.kept_stream import KeptStream
from proxy.inspector.exchange_history import LINGER_SECONDS, ExchangeHistory
from tests.conftest import ManualClock, StartProxy
from tests.support.heartbeats import let_pass
from tests.support.kept import EVENT_HEAD, ask, read_chunks
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.recorded import Shown, detail, opened, shown
from tests.support.running import RunningProxy
from tests.support.siblings import siblings

pytestmark = pytest.mark.any_loop

RESUME = {"keep_seconds": 60}
HEAD = EVENT_HEAD % b""


def event(number: int) -> bytes:
    return b"id: %d\ndata: %d\n\n" % (number, number)


SIZE = len(event(1))


def history(running: RunningProxy) -> ExchangeHistory:
    return running.server.inspector.history


def data_of(told: Shown) -> bytes:
    return b"".join(data for side, data in told.sides if side == "response")


async def pass_on(
    client: Peer, server: Peer, numbers: range, clock: ManualClock
) -> None:
    """Events, each when the client has the one before."""
    for number in numbers:
        clock.advance(1)
        await server.send(chunk(event(number)))
        assert await read_chunks(client, SIZE) == event(number)


@pytest.mark.both_protocols
@pytest.mark.parametrize("looks", [False, True], ids=["late", "all along"])
async def test_each_client_of_a_shared_stream_is_shown_what_it_has_had(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, looks: bool
) -> None:
    """One begins in the middle, and gets the two events before that at once."""
    route = {"target": upstream.url, "share": {"replay": 2}}
    running = await proxy({"/": route}, clock=clock)
    if looks:
        await (await opened(running, "feed")).read_head()
    first, server = await running.begin(upstream, ask(b"/?a"))
    await server.send(HEAD)
    await first.read_head()
    await pass_on(first, server, range(1, 6), clock)
    clock.advance(1)
    second = await running.client()
    await second.send(ask(b"/?a"))
    await second.read_head()
    assert await read_chunks(second, 2 * SIZE) == event(4) + event(5)
    for number in range(6, 8):
        clock.advance(1)
        await server.send(chunk(event(number)))
        assert await read_chunks(second, SIZE) == event(number)
        assert await read_chunks(first, SIZE) == event(number)
    for client in (first, second):
        client.close()
        await running.ended()
    known = history(running)
    by_start = sorted(known.recent, key=lambda timeline: timeline.started)
    for timeline in by_start:  # both have the same target
        timeline.target = b"/%d" % known.number(timeline)
    told = [await shown(running, each.target.decode()) for each in by_start]
    everything = b"".join(map(event, range(1, 8)))
    assert [data_of(each) for each in told] == [everything, everything[3 * SIZE :]]
    assert [each.detail["whole"] for each in told] == [True, True]
    assert [at for at, _ in told[0].times] == [1, 2, 3, 4, 5, 7, 8]
    own = [0, 1, 2] if looks else [0, 0, 1, 2]  # times since its own beginning
    assert [at for at, _ in told[1].times] == own
    assert [each.row["recorded"] for each in told] == [True, True]


@pytest.mark.both_protocols
async def test_a_client_that_runs_is_shown_from_its_beginning_and_goes_on(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Whether somebody has looked before, or never."""
    route = {"target": upstream.url, "resume": RESUME}
    running = await proxy({"/": route}, clock=clock)
    client, server = await running.begin(upstream, ask(b"/x"))
    await server.send(HEAD)
    await client.read_head()
    for number in range(1, 4):
        for _ in range(3):
            clock.advance(1)
            await server.send(chunk(event(number)))
            await read_chunks(client, SIZE)
        everything = b"".join(3 * event(each) for each in range(1, number + 1))
        for _ in range(2):
            told = await shown(running, "/x")
            assert data_of(told) == everything
            assert told.detail["whole"] is True
        await became(lambda: not history(running).lookers)
        clock.advance(LINGER_SECONDS)
        running.tick()
        exchange = await running.exchange()
        assert exchange.capture is None  # only the stream is recorded


@pytest.mark.both_protocols
@pytest.mark.parametrize("record", ["streams", "on-look"])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
async def test_who_has_looked_all_along_is_shown_each_piece_once(
    proxy: StartProxy, upstream: Upstream, record: str, cut: bool
) -> None:
    """A client that comes back has a part of its own, and so has its next one."""
    route = {"target": upstream.url, "resume": RESUME}
    running = await proxy({"/": route}, inspector={"record": record})
    looker = await opened(running, "feed")
    await looker.read_head()
    client, server = await running.begin(upstream, ask(b"/x"))
    await server.send(HEAD)
    await client.read_head()
    for number in range(1, 4):
        await server.send(chunk(event(number)))
        assert await read_chunks(client, SIZE) == event(number)
    told = {"/x": range(1, 6)}
    if cut:
        told = {"/x": range(1, 4), "/y": range(2, 6)}
        client.close()
        await running.ended()
        (stream,) = running.server.kept.streams.values()
        address = f"/_unbuffered/streams/{stream.id.decode()}".encode()
        client = await running.client()
        await client.send(ask(address, Last_Event_ID="1"))
        await client.read_head()
        assert await read_chunks(client, 2 * SIZE) == event(2) + event(3)
        (await running.exchange()).timeline.target = b"/y"
    for number in range(4, 6):
        await server.send(chunk(event(number)))
        assert await read_chunks(client, SIZE) == event(number)
    for target, numbers in told.items():  # the last one runs
        everything = b"".join(map(event, numbers))
        assert data_of(await shown(running, target)) == everything
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    await running.ended()
    for target, numbers in told.items():
        assert data_of(await shown(running, target)) == b"".join(map(event, numbers))


async def test_what_passes_between_two_looks_is_shown_by_the_second(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The first one asked for the exchange, and not for its feed."""
    route = {"target": upstream.url, "resume": RESUME}
    running = await proxy({"/": route})
    client, server = await running.begin(upstream, ask(b"/x"))
    await server.send(HEAD)
    await client.read_head()
    number = history(running).number((await running.exchange()).timeline)
    for count in range(1, 4):
        await server.send(chunk(event(count)))
        assert await read_chunks(client, SIZE) == event(count)
        told = await detail(running, f"exchanges/0-{number}")
        assert told["bytes"] == count * SIZE
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    await running.ended()
    assert data_of(await shown(running, "/x")) == b"".join(map(event, range(1, 4)))


async def test_the_ids_that_clients_get_are_shown_too(
    proxy: StartProxy, upstream: Upstream
) -> None:
    route = {"target": upstream.url, "resume": {**RESUME, "ids": True}}
    running = await proxy({"/": route})
    client, server = await running.begin(upstream, ask(b"/x"))
    got = b""
    await server.send(HEAD)
    await client.read_head()
    for _ in range(3):
        await server.send(chunk(b"data: 1\n\n"))
        got += await client.read_chunk()
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    await running.ended()
    assert got.count(b"\nid: ") == 3
    assert data_of(await shown(running, "/x")) == got


async def test_a_client_that_came_back_is_shown_what_it_got_then(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    route = {"target": upstream.url, "resume": RESUME}
    running = await proxy({"/": route}, clock=clock)
    client, server = await running.begin(upstream, ask(b"/x"))
    await server.send(HEAD)
    await client.read_head()
    await pass_on(client, server, range(1, 4), clock)
    client.close()
    await running.ended()
    (stream,) = running.server.kept.streams.values()
    for number in (4, 5):
        clock.advance(1)
        await server.send(chunk(event(number)))
        await has_log(stream, number * SIZE)
    clock.advance(10)
    id = stream.id.decode()
    back = await running.client()
    await back.send(ask(f"/_unbuffered/streams/{id}".encode(), Last_Event_ID="3"))
    await back.read_head()
    assert await read_chunks(back, 2 * SIZE) == event(4) + event(5)
    await server.send(b"0\r\n\r\n")
    assert await back.read_chunk() == b""
    timeline = await running.ended()
    timeline.target = b"/back"
    told = await shown(running, "/back")
    assert data_of(told) == event(4) + event(5)
    assert told.times == [(0, 0), (0, 0)]
    assert data_of(await shown(running, "/x")) == b"".join(map(event, range(1, 4)))


async def test_what_told_the_clients_of_a_failure_is_shown_behind_the_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    route = {"target": upstream.url, "share": True, "on_upstream_failure": "event"}
    running = await proxy({"/": route}, clock=clock)
    client, server = await running.begin(upstream, ask(b"/x"))
    await server.send(HEAD)
    await client.read_head()
    await pass_on(client, server, range(1, 4), clock)
    server.reset()
    last = await client.read_chunk()
    await running.ended()
    assert b"event: error" in last
    told = await shown(running, "/x")
    assert data_of(told) == b"".join(map(event, range(1, 4))) + last
    assert [each.get("own", False) for each in told.pieces] == [*3 * [False], True]
    assert told.row["error_type"] == "http_response_incomplete"


async def test_heartbeats_of_a_shared_stream_are_shown_to_those_who_got_them(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    route = {"target": upstream.url, "share": {"replay": 9}, "heartbeat_seconds": 5}
    running = await proxy({"/": route}, clock=clock)
    first, server = await running.begin(upstream, ask(b"/"))
    await server.send(HEAD)
    await first.read_head()
    await first.read_payload(2)  # a newcomer gets one
    await pass_on(first, server, range(1, 2), clock)
    (exchange,) = running.server.exchanges
    let_pass(upstream_of(exchange), clock, 5)
    assert await first.read_chunk() == b":\n"
    clock.advance(1)
    second = await running.client()
    await second.send(ask(b"/"))
    await second.read_head()
    await second.read_payload(SIZE + 2)
    clock.advance(1)
    await server.send(chunk(event(2)))
    for client in (first, second):
        assert await read_chunks(client, SIZE) == event(2)
    for number, one in enumerate(tuple(running.server.exchanges)):
        one.timeline.target = b"/%d" % number
    sides = [
        [side for side, data in (await shown(running, f"/{number}")).sides]
        for number in (0, 1)
    ]
    assert sides == [["response", "heartbeat", "response"], ["response", "response"]]


async def has_log(stream: KeptStream, size: int) -> None:
    await became(lambda: stream.log.end == size)


def upstream_of(exchange: Exchange) -> Exchange:
    """That which the stream of a client has with the upstream."""
    kept = exchange.kept
    assert isinstance(kept, KeptStream)
    assert kept.upstream.exchange is not None
    return kept.upstream.exchange


async def test_a_stream_of_another_worker_is_recorded_where_its_client_is(
    upstream: Upstream, tmp_path: Path
) -> None:
    route = {"/": {"target": upstream.url, "share": True}}
    async with siblings(tmp_path, route) as both:
        clients, server = [], None
        for worker in (0, 1):
            client = await both[worker].client()
            await client.send(ask(b"/x"))
            if server is None:
                server = await upstream.request()
                await server.send(HEAD)
            await client.read_head()
            clients.append(client)
        assert server is not None
        for number in range(1, 4):
            await server.send(chunk(event(number)))
            for client in clients:
                assert await read_chunks(client, SIZE) == event(number)
        await server.send(b"0\r\n\r\n")
        for worker, client in enumerate(clients):
            assert await client.read_chunk() == b""
            await both[worker].ended()
        for worker in (0, 1):
            known = history(both[worker])
            (timeline,) = known.recent
            recording = known.recording(timeline)
            assert recording is not None
            data = b"".join(piece.data for piece in recording.since(0))
            assert data == b"".join(map(event, range(1, 4)))
