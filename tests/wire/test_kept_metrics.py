"""Metrics of streams that are kept or shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.origin.origin_request import OriginRequest
from proxy.origin.stream_origin import StreamOrigin
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, post, stream_id
from tests.support.messages import GET_X
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy
from tests.wire.test_metrics import scrape, value
from tests.wire.test_workers_seen_as_one import workers

pytestmark = pytest.mark.any_loop


async def first_event(
    running: RunningProxy, origin: StreamOrigin
) -> tuple[Peer, OriginRequest]:
    """A stream whose client has its first event."""
    client = await running.client()
    await client.send(ask(b"/x"))
    request = await origin.request()
    await request.respond()
    await request.send_event("one")
    await client.read_head()
    return client, request


async def test_nothing_is_said_of_kept_streams_where_no_route_keeps_any(
    proxy: StartProxy, origin: StreamOrigin
) -> None:
    running = await proxy({"/": {"target": origin.url}})
    origin.answer("/x", ["data: one\n\n"])
    client = await running.client()
    await client.send(GET_X)
    await client.read_head()
    names = {name for name, _ in await scrape(running)}
    assert not [name for name in names if "kept" in name or "shared" in name]


async def test_a_kept_stream_is_counted_while_it_runs_and_in_all_it_comes_to(
    proxy: StartProxy, origin: StreamOrigin, clock: ManualClock
) -> None:
    table = {"target": origin.url, "resume": {"keep_seconds": 10}}
    running = await proxy({"/x": table}, clock=clock, store={"max_bytes": 50_000})
    samples = await scrape(running)
    for name in ("kept_streams_total", "kept_expired_total", "shared_joins_total"):
        assert value(samples, name) == 0
    assert value(samples, "kept_resumptions_total", way="event_id") == 0
    assert value(samples, "kept_refused_total", reason="memory") == 0
    assert value(samples, "kept_bytes") == 0
    assert value(samples, "kept_max_bytes") == 50_000

    client, request = await first_event(running, origin)
    id = stream_id(client)
    samples = await scrape(running)
    assert value(samples, "kept_streams_total") == 1
    assert value(samples, "kept_streams", route="/x", state="running") == 1
    names = {name for name, _ in samples}  # without a store nothing is said of others
    assert not [each for each in names if "followed" in each or "readers" in each]
    assert value(samples, "kept_clients", route="/x") == 1
    assert value(samples, "kept_bytes") == running.server.kept.store.used > 0
    client.close()
    await running.ended()
    samples = await scrape(running)
    assert value(samples, "kept_streams", route="/x", state="without client") == 1
    assert value(samples, "kept_clients", route="/x") == 0

    stranger = await running.client()
    await stranger.send(ask(b"/x", Last_Event_ID=f"{id.decode()}.1", Authorization="x"))
    other = await origin.request()
    await other.respond(204)
    await stranger.read_head()
    again = await running.client()
    await again.send(ask(b"/x", Last_Event_ID=f"{id.decode()}.1"))
    await again.read_head()
    request.finish()
    assert await again.read_chunk() == b""
    samples = await scrape(running)
    assert value(samples, "kept_resumptions_total", way="event_id") == 1
    assert value(samples, "kept_refused_total", reason="bind") == 1
    assert value(samples, "kept_streams", route="/x", state="ended") == 1
    clock.advance(11)
    running.tick()
    samples = await scrape(running)
    assert value(samples, "kept_streams_total") == 1
    assert value(samples, "kept_expired_total") == 0  # somebody had come
    assert value(samples, "kept_bytes") == 0


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "running"])
async def test_a_stream_that_nobody_comes_back_for_expires_ended_or_not(
    proxy: StartProxy, origin: StreamOrigin, clock: ManualClock, ends: bool
) -> None:
    table = {"target": origin.url, "resume": {"keep_seconds": 10}}
    running = await proxy({"/x": table}, clock=clock)
    client, request = await first_event(running, origin)
    client.close()
    await running.ended()
    if ends:
        request.finish()
        (stream,) = running.server.kept.streams.values()
        await became(lambda: stream.is_ended)
    clock.advance(11)
    running.tick()
    assert value(await scrape(running), "kept_expired_total") == 1


async def test_clients_of_a_shared_stream_are_counted(
    proxy: StartProxy, origin: StreamOrigin
) -> None:
    running = await proxy({"/x": {"target": origin.url, "share": True}})
    await first_event(running, origin)
    for _ in range(2):
        other = await running.client()
        await other.send(ask(b"/x"))
        await other.read_head()
    samples = await scrape(running)
    assert value(samples, "shared_joins_total") == 2
    assert value(samples, "shared_streams", route="/x") == 1
    assert value(samples, "shared_clients", route="/x") == 3
    assert value(samples, "exchanges_open", route="/x") == 3


async def test_of_several_workers_sums_are_told_and_gauges_of_each(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    route = {"/": {"target": upstream.url, "resume": True}}
    async with workers(proxy, upstream, tmp_path, route) as both:
        for running in both:  # one stream of each: a GET might be handed over
            client, peer = await running.begin(upstream, post(b"/", b"{}"))
            await peer.read(2)
            await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
            await client.read_head()
        samples = await scrape(both[0])
        assert value(samples, "kept_streams_total") == 2
        for worker in ("0", "1"):
            assert value(samples, "kept_streams", worker=worker) == 1
            assert value(samples, "kept_bytes", worker=worker) > 0
