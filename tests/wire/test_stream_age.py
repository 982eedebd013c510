"""Event streams that are old end between two events, and their clients reconnect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.exchange.stream_age import YOUNGEST
from proxy.exchange.subscriber import READ_BYTES, Subscriber
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, NDJSON_HEAD, ask, post, stream_id
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy
from tests.support.siblings import Siblings, siblings

pytestmark = pytest.mark.both_protocols

AGE = 100.0  # seconds, of the tests' clock
EVENT = b"data: one\n\n"
ANSWER = b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture
async def running(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> RunningProxy:
    table = {"target": upstream.url, "max_age_seconds": AGE}
    return await proxy({"/": table}, clock=clock)


def pass_time(running: RunningProxy, clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    running.tick()


async def reading(
    running: RunningProxy, upstream: Upstream, *, head: bytes = EVENT_HEAD % b""
) -> tuple[Peer, Peer]:
    """An EventSource that has the first event."""
    client, server = await running.begin(upstream, ask())
    await server.send(head + chunk(EVENT))
    await client.read_head()
    assert await client.read_chunk() == EVENT
    return client, server


async def test_a_silent_stream_ends_behind_its_event_and_so_does_its_connection(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """On the same connection its client would come back to the same process."""
    client, server = await reading(running, upstream)
    pass_time(running, clock, AGE * YOUNGEST - 1)
    await idle()
    assert running.exchanges.empty()
    pass_time(running, clock, AGE * (1 - YOUNGEST) + 1)
    assert await client.read_chunk() == b""
    assert await client.read_to_close() == (b"", "fin")
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.AGED_OUT
    assert str(timeline.error) == (
        "the stream was 100.0 s old (max_age_seconds): ended between two events, so "
        "that its client reconnects"
    )


async def test_an_event_that_has_begun_is_waited_for(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    client, server = await reading(running, upstream)
    for part in (b"data: t", b"wo\n", b"data: so\n"):
        await server.send(chunk(part))
        assert await client.read_chunk() == part
        pass_time(running, clock, AGE)
        await idle()
        assert running.exchanges.empty()
    await server.send(chunk(b"\n"))
    assert await client.read_chunk() == b"\n"
    assert await client.read_chunk() == b""
    await server.closed()
    assert (await running.ended()).ending is Ending.AGED_OUT


async def test_a_stream_of_which_nothing_has_come_may_yet_be_an_answer(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"")
    await client.read_head()
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(ANSWER))
    assert await client.read_chunk() == ANSWER
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(DONE) + chunk(b""))
    assert await client.read_chunk() == DONE
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_one_that_is_none_ends_behind_its_first_event(
    running: RunningProxy, upstream: Upstream, clock: ManualClock
) -> None:
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"")
    await client.read_head()
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.AGED_OUT


@pytest.mark.parametrize(
    ("request_", "head"),
    [
        pytest.param(post(b"/", b"{}"), EVENT_HEAD % b"", id="POST"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
            EVENT_HEAD % b"",
            id="GET of any type",
        ),
        pytest.param(ask(), NDJSON_HEAD, id="NDJSON"),
    ],
)
async def test_a_stream_whose_client_does_not_reconnect_has_no_age(
    running: RunningProxy,
    upstream: Upstream,
    clock: ManualClock,
    request_: bytes,
    head: bytes,
) -> None:
    client, server = await running.begin(upstream, request_)
    await server.send(head + chunk(EVENT))
    await client.read_head()
    assert await client.read_chunk() == EVENT
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    assert running.exchanges.empty()


async def test_a_stream_that_has_ended_is_not_remembered(
    running: RunningProxy, upstream: Upstream
) -> None:
    client, server = await reading(running, upstream)
    (route,) = running.server.compiled.router.routes
    assert route.ages is not None
    assert route.ages.count == 1
    await server.send(chunk(b""))
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    assert route.ages.count == 0
    assert not route.ages.due
    assert not running.server.ticker.waiting & {route.ages}


async def test_without_the_key_nothing_looks_for_the_ends_of_events(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    routes = {"/": {"target": upstream.url}}
    running = await proxy(routes, clock=clock, inspector={"record": "off"})
    await reading(running, upstream)
    exchange = await running.exchange()
    assert exchange.response_pipeline is not None
    assert exchange.response_pipeline.first is exchange.client


# -- streams that are kept


async def test_a_kept_stream_goes_on_and_its_client_comes_back_to_it(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "max_age_seconds": AGE, "resume": True}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    id = stream_id(client)
    assert await client.read_chunk() == b"data: one\nid: %b.1\n\n" % id
    await server.send(chunk(b"data: t"))
    assert await client.read_chunk() == b"data: t"
    pass_time(running, clock, AGE)
    await idle()
    assert running.exchanges.empty()
    await server.send(chunk(b"wo\n\n"))
    assert await client.read_chunk() == b"wo\nid: %b.2\n\n" % id
    assert await client.read_chunk() == b""
    assert await client.read_to_close() == (b"", "fin")
    assert (await running.ended()).ending is Ending.AGED_OUT

    await server.send(chunk(b"data: three\n\n"))
    again = await running.client()
    await again.send(ask(Last_Event_ID=(id + b".2").decode()))
    await again.read_head()
    assert stream_id(again) == id
    assert await again.read_chunk() == b"data: three\nid: %b.3\n\n" % id
    assert upstream.unexpected == 0


async def test_a_kept_stream_of_which_nothing_has_come_may_yet_be_an_answer(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "max_age_seconds": AGE, "resume": {"ids": False}}
    running = await proxy({"/": table}, clock=clock)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"")
    await client.read_head()
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(ANSWER))
    assert await client.read_chunk() == ANSWER
    pass_time(running, clock, AGE)
    await idle()
    await server.send(chunk(DONE) + chunk(b""))
    assert await client.read_chunk() == DONE
    assert await client.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_client_that_reads_slowly_gets_whole_events(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """While it is inside an event and does not read, nobody asks again and again."""
    table = {"target": upstream.url, "max_age_seconds": AGE, "resume": {"ids": False}}
    running = await proxy({"/": table}, clock=clock)
    client = await running.client(receive_bytes=4096)
    await client.send(ask())
    server = await upstream.request()
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    assert await client.read_chunk() == EVENT
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    long = b"data: %b\n\n" % (b"x" * (READ_BYTES * 100))
    await server.send(chunk(long))
    exchange = await running.exchange()
    subscriber = exchange.source
    assert isinstance(subscriber, Subscriber)
    await became(lambda: not subscriber.live and subscriber.kept.between_events)
    pass_time(running, clock, AGE)
    await idle()  # a callback that called itself would never let it be
    assert running.exchanges.empty()
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await client.read_body() == long
    assert (await running.ended()).ending is Ending.AGED_OUT


@pytest.fixture
async def workers(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Siblings]:
    routes = {"/": {"target": upstream.url, "max_age_seconds": AGE, "resume": True}}
    async with siblings(tmp_path, routes, clock=clock) as both:
        yield both


@pytest.mark.parametrize("first", [0, 1])
async def test_a_client_of_another_worker_leaves_that_one(
    workers: Siblings, upstream: Upstream, clock: ManualClock, first: int
) -> None:
    running = workers[first]
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    await client.read_chunk()
    clock.advance(AGE)
    for each in workers.running:
        each.tick()
    assert await client.read_chunk() == b""
    assert await client.read_to_close() == (b"", "fin")
    timeline = await running.ended()
    assert timeline.ending is Ending.AGED_OUT
    assert "max_age_seconds" in str(timeline.error)
