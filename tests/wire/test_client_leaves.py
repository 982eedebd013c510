"""`on_client_leave = "finish"`: the upstream is read to its end without its client."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.observe.access_log import render_text, to_dict
from proxy.observe.list_row import row
from proxy.observe.metrics import Metrics
from proxy.observe.otel import attributes
from proxy.timeline import Ending, Phase, Timeline
from tests.conftest import InternalErrorLog, ManualClock, StartProxy
from tests.support.flood import fill
from tests.support.messages import EVENT_STREAM, GET_X
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy, serving

pytestmark = pytest.mark.both_protocols

POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
EVENT = b"data: one\n\n"
CHAT = (
    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,'
    b'"delta":{"content":"x"},"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


async def started(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock | None = None,
    **options: object,
) -> RunningProxy:
    route = {"target": upstream.url, "on_client_leave": "finish", **options}
    extra = {} if clock is None else {"clock": clock}
    return await proxy({"/": route}, **extra)


async def begun(
    running: RunningProxy, upstream: Upstream, head: bytes = EVENT_STREAM
) -> tuple[Peer, Peer]:
    """A stream whose client has the head."""
    client, server = await running.begin(upstream, POST)
    assert await server.read(2) == b"{}"
    await server.send(head)
    await client.read_head()
    return client, server


async def left(running: RunningProxy, client: Peer) -> None:
    """The client has left, and the proxy knows."""
    exchange = await running.exchange()
    client.close()
    await became(lambda: exchange.is_finishing)
    await running.connected(0)


async def test_the_upstream_is_read_to_its_end(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await started(proxy, upstream, clock)
    client, server = await begun(running, upstream)
    await server.send(chunk(CHAT))
    assert await client.read_chunk() == CHAT
    clock.advance(1)
    await left(running, client)
    clock.advance(2)
    await server.send(chunk(CHAT) + chunk(DONE) + END)
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert timeline.error is not None
    assert timeline.error.type == "client_disconnected"
    assert (timeline.status, timeline.bytes_sent) == (200, len(CHAT))
    finish = timeline.call.finish
    assert finish is not None
    assert finish.ending is Ending.COMPLETE
    assert finish.unread_bytes == len(CHAT + DONE)
    # What the stream says of itself counts, and so does the connection.
    assert (timeline.call.family, timeline.call.verdict) == ("openai-chat", "complete")
    assert timeline.call.pieces == 2
    assert running.idle_connections == 1

    line = render_text(timeline, 0)
    assert f"{len(CHAT)} B 2 pieces" in line
    assert line.endswith(
        f"client left, upstream complete 2.00s later, {len(CHAT + DONE)} B unread, "
        "openai-chat complete"
    )
    assert to_dict(timeline, 0)["finish"] == {
        "ending": "complete",
        "seconds": 2.0,
        "unread_bytes": len(CHAT + DONE),
    }
    assert attributes(timeline)["unbuffered.unread_bytes"] == len(CHAT + DONE)
    metrics = Metrics()
    metrics.ended(timeline)
    told = {
        (family.name, dict(sample.labels).get("ending"), sample.value)
        for family in metrics.families([])
        for sample in family.samples
    }
    assert ("unbuffered_finished_total", "complete", 1) in told
    assert ("unbuffered_unread_bytes_total", None, len(CHAT + DONE)) in told
    assert ("unbuffered_exchanges_ended_total", "client left", 1) in told


async def test_the_list_shows_that_it_goes_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(proxy, upstream)
    client, server = await begun(running, upstream)
    exchange = await running.exchange()
    timeline = exchange.timeline
    assert row(timeline, Phase.RELAYING, 1, 0, 0)["phase"] == "relaying"
    await left(running, client)
    assert row(timeline, Phase.RELAYING, 1, 0, 0)["phase"] == "finishing"
    assert exchange.waiting_for == "upstream"
    await server.send(chunk(EVENT))
    await became(lambda: timeline.call.pieces == 1)
    shown = row(timeline, Phase.RELAYING, 1, 0, 0)
    assert (shown["bytes"], shown["unread"]) == (0, len(EVENT))
    await server.send(END)
    await running.ended()
    shown = row(timeline, Phase.OVER, 1, 0, 0)
    assert (shown["phase"], shown["bytes"], shown["unread"]) == ("over", 0, len(EVENT))


def sent_bytes(metrics: Metrics, running: list[Timeline]) -> float:
    """What the metrics say was sent to clients."""
    told = {family.name: family for family in metrics.families(running)}
    return sum(
        sample.value
        for sample in told["unbuffered_body_bytes_total"].samples
        if dict(sample.labels)["direction"] == "sent"
    )


async def test_what_nobody_reads_is_never_counted_as_sent(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """A counter never goes back."""
    running = await started(proxy, upstream)
    client, server = await begun(running, upstream)
    timeline = (await running.exchange()).timeline
    await server.send(chunk(EVENT))
    assert await client.read_chunk() == EVENT
    metrics = Metrics()
    assert sent_bytes(metrics, [timeline]) == len(EVENT)
    await left(running, client)
    await server.send(chunk(EVENT))
    await became(lambda: timeline.call.pieces == 2)
    assert sent_bytes(metrics, [timeline]) == len(EVENT)
    await server.send(END)
    metrics.ended(await running.ended())
    assert sent_bytes(metrics, []) == len(EVENT)


@pytest.mark.http1
async def test_a_client_that_does_not_read_has_not_left(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """Its connection is closed all the same, and the upstream read to its end."""
    route = {"target": upstream.url, "on_client_leave": "finish", "max_finish_bytes": 0}
    server = {"write_timeout_seconds": 30}
    running = await proxy({"/": route}, clock=clock, server=server)
    client, source = await begun(running, upstream)
    await fill(source)
    running.tick()
    clock.advance(31)
    running.tick()
    exchange = await running.exchange()
    assert exchange.is_finishing
    assert (await client.read_to_close())[1] == "reset"
    source.writer.write(END)
    timeline = await running.ended()
    assert timeline.ending is Ending.TIMED_OUT
    assert "write_timeout_seconds" in str(timeline.error)
    assert timeline.call.finish is not None
    assert "timed out, upstream complete" in render_text(timeline, 0)


async def test_before_the_head_too(proxy: StartProxy, upstream: Upstream) -> None:
    running = await started(proxy, upstream)
    client, server = await running.begin(upstream, POST)
    assert await server.read(2) == b"{}"
    await running.waiting_for("response head")
    await left(running, client)
    await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    await server.send(EVENT_STREAM + chunk(EVENT) + END)
    timeline = await running.ended()
    assert (timeline.ending, timeline.status) == (Ending.CLIENT_LEFT, 0)
    assert timeline.bytes_sent == 0
    assert timeline.call.finish is not None
    assert timeline.call.finish.unread_bytes == len(EVENT)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"text"),
        (b"HTTP/1.1 200 OK\r\nX: until close\r\n\r\n", b"text"),
        (
            EVENT_STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
            chunk(gzip.compress(EVENT)) + END,
        ),
    ],
    ids=["length", "until close", "gzip"],
)
async def test_a_body_of_any_framing_and_coding_is_read(
    proxy: StartProxy, upstream: Upstream, head: bytes, body: bytes
) -> None:
    running = await started(proxy, upstream)
    client, server = await begun(running, upstream, head)
    await left(running, client)
    await server.send(body)
    server.close()
    timeline = await running.ended()
    assert timeline.call.finish is not None
    assert timeline.call.finish.ending is Ending.COMPLETE
    unread = len(EVENT) if body.endswith(END) else len(body)
    assert timeline.call.finish.unread_bytes == unread


@pytest.mark.http1
@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_client_that_was_slow_holds_nothing_up_any_more(
    proxy: StartProxy, upstream: Upstream, coding: str
) -> None:
    size = 16 * 1024 * 1024
    running = await started(proxy, upstream, max_decoding_ratio=0)
    client = await running.client(receive_bytes=4096)
    await client.send(POST)
    server = await upstream.request()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    body = b"x" * size
    head = EVENT_STREAM
    if coding:
        body = gzip.compress(body, 1)
        head = head.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    await server.send(head)
    server.writer.write(chunk(body))
    await became(lambda: any(each.blocked for each in running.connections))
    await left(running, client)
    server.writer.write(END)
    timeline = await running.ended()
    finish = timeline.call.finish
    assert finish is not None
    assert finish.ending is Ending.COMPLETE
    assert timeline.bytes_sent + finish.unread_bytes == size
    assert timeline.held_since is None


@pytest.mark.parametrize("how", ["dies", "is silent", "goes on", "sends too much"])
async def test_how_it_ended_is_told(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, how: str
) -> None:
    running = await started(
        proxy,
        upstream,
        clock,
        finish_seconds=10,
        idle_timeout_seconds=5,
        max_finish_bytes=1000,
        on_upstream_failure="event",
    )
    client, server = await begun(running, upstream)
    await left(running, client)
    if how == "dies":
        server.close()
        ending, reason = Ending.UPSTREAM_BROKE, "the last chunk is missing"
    elif how == "is silent":
        clock.advance(6)
        running.tick()
        ending, reason = Ending.TIMED_OUT, "(idle_timeout_seconds)"
    elif how == "goes on":
        timeline = (await running.exchange()).timeline
        for count in (1, 2, 3):
            clock.advance(4)
            await server.send(chunk(EVENT))
            await became(lambda: timeline.bytes_sent == count * len(EVENT))  # noqa: B023
            running.tick()
        ending, reason = (
            Ending.TIMED_OUT,
            "the upstream had not ended 10 s after the client left (finish_seconds)",
        )
    else:
        await server.send(chunk(EVENT * 100))
        ending, reason = (
            Ending.REFUSED,
            "the upstream sent more than 1000 bytes after the client left "
            "(max_finish_bytes)",
        )
    await server.closed()
    words = "broke" if how == "dies" else ending.value
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    finish = timeline.call.finish
    assert finish is not None
    assert finish.ending is ending
    assert reason in str(finish.error)
    told = to_dict(timeline, 0)["finish"]
    assert isinstance(told, dict)
    assert reason in told["reason"]
    assert timeline.bytes_sent == 0
    line = render_text(timeline, 0)
    assert f"client left, upstream {words} " in line
    assert line.endswith(f": {finish.error}")


async def test_a_failure_before_the_head_answers_nobody(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(proxy, upstream)
    client, server = await running.begin(upstream, POST)
    await running.waiting_for("response head")
    await left(running, client)
    server.reset()
    timeline = await running.ended()
    assert (timeline.ending, timeline.status) == (Ending.CLIENT_LEFT, 0)
    assert timeline.call.finish is not None
    assert timeline.call.finish.ending is Ending.UPSTREAM_BROKE


async def closed_at_once(running: RunningProxy, client: Peer, server: Peer) -> Timeline:
    """The account of an exchange that ends when its client leaves."""
    client.close()
    await server.closed()
    timeline = await running.ended()
    assert timeline.ending is Ending.CLIENT_LEFT
    assert timeline.call.finish is None
    assert "finish" not in to_dict(timeline, 0)
    assert render_text(timeline, 0).endswith("client left")
    return timeline


async def test_close_is_the_default(proxy: StartProxy, upstream: Upstream) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await begun(running, upstream)
    await closed_at_once(running, client, server)


async def test_a_request_that_is_not_complete_cannot_be_finished(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(proxy, upstream)
    client, server = await running.begin(upstream, POST[:-1])
    assert await server.read(1) == b"{"
    await server.send(EVENT_STREAM)
    await client.read_head()
    await closed_at_once(running, client, server)


@pytest.mark.http1
async def test_a_tunnel_ends_with_its_client(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(proxy, upstream, ws=True)
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    client, server = await running.begin(upstream, GET_X[:-2] + upgrade)
    await closed_at_once(running, client, server)  # before it is one
    client, server = await running.begin(upstream, GET_X[:-2] + upgrade)
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    await client.read_head()
    client.close()
    await server.closed()
    server.close()
    assert (await running.ended()).call.finish is None


async def test_no_more_of_them_than_may_be(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(
        proxy, upstream, max_finishing=1, upstream_keepalive_seconds=0
    )
    first, source = await begun(running, upstream)
    await left(running, first)
    second, server = await begun(running, upstream)
    await closed_at_once(running, second, server)
    await source.send(END)
    assert (await running.ended()).call.finish is not None
    third, server = await begun(running, upstream)
    await left(running, third)  # there is room again
    await server.send(END)
    assert (await running.ended()).call.finish is not None


async def test_a_reload_allows_no_more_of_them(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await started(
        proxy, upstream, max_finishing=2, upstream_keepalive_seconds=0
    )
    first, source = await begun(running, upstream)
    await left(running, first)
    server = running.server
    routes = {
        "/": replace(server.config.routes["/"], max_finishing=1),
        "/new": server.config.routes["/"],
    }
    await server.reload(replace(server.config, routes=routes))
    second, other = await begun(running, upstream)
    await closed_at_once(running, second, other)
    await source.send(END)
    assert (await running.ended()).call.finish is not None
    third, source = await begun(running, upstream)
    await left(running, third)  # there is room again
    await source.send(END)
    assert (await running.ended()).call.finish is not None


async def test_a_fault_on_the_way_closes_as_ever(
    tmp_path: Path, upstream: Upstream, internal_errors: InternalErrorLog
) -> None:
    route = {"target": upstream.url, "on_client_leave": "finish"}
    async with serving(tmp_path, {"/": route}, {}) as running:
        client, server = await begun(running, upstream)
        pipeline = (await running.exchange()).response_pipeline
        assert pipeline is not None
        pipeline.source = None  # type: ignore[assignment]  # the fault
        client.close()
        await server.closed()
        assert (await running.ended()).ending is Ending.CLIENT_LEFT
        assert len(internal_errors.told) == 1


async def test_the_stop_of_the_proxy_waits_for_them(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await started(proxy, upstream, clock)
    ends, source = await begun(running, upstream)
    await left(running, ends)
    other = await running.client()
    await other.send(POST)
    server = await upstream.request()
    await server.send(EVENT_STREAM)
    await other.read_head()
    stopped = running.drain(10)
    await became(lambda: running.server.draining)
    await server.send(END)
    assert await other.read_chunk() == b""
    other.close()
    await running.connected(0)
    assert (await running.ended()).ending is Ending.COMPLETE
    clock.advance(9)
    running.tick()
    assert not stopped.done()
    await source.send(END)
    finish = (await running.ended()).call.finish
    assert finish is not None
    assert finish.ending is Ending.COMPLETE
    running.tick()
    assert await stopped == 0


async def test_one_that_does_not_end_is_cut_and_leaves_nobody_with_a_half(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await started(proxy, upstream, clock)
    client, server = await begun(running, upstream)
    await left(running, client)
    stopped = running.drain(10)
    await became(lambda: running.server.draining)
    clock.advance(10)
    running.tick()
    await server.closed()
    assert await stopped == 0
    finish = (await running.ended()).call.finish
    assert finish is not None
    assert finish.ending is Ending.SHUT_DOWN


@pytest.mark.parametrize("seconds", [0, 10])
async def test_one_that_is_cut_inside_an_event_leaves_nobody_with_a_half(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, seconds: int
) -> None:
    running = await started(proxy, upstream, clock, on_upstream_failure="event")
    client, server = await begun(running, upstream)
    await server.send(chunk(EVENT[:4]))
    assert await client.read_chunk() == EVENT[:4]
    await left(running, client)
    stopped = running.drain(seconds)
    await became(lambda: running.server.draining)
    for _ in range(2 if seconds else 0):
        clock.advance(10)
        running.tick()
        await idle()
    await server.closed()
    assert await stopped == 0
