"""The event service: the tutorial's bytes, one event at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.demo.conftest import Connect, Status
from tests.demo.expected import EVENTS
from tests.demo.gate import Gate


async def test_each_event_arrives_when_it_is_due_and_before_the_next(
    events_port: int, connect: Connect, gate: Gate, status_of: Status
) -> None:
    client = await connect(events_port)
    await client.request("/events")
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-type"] == "text/event-stream;charset=utf-8"
    assert head.fields["cache-control"] == "no-cache"
    assert head.fields["connection"] == "keep-alive"
    for event in EVENTS:
        seconds, release = await gate.asked()
        assert seconds == 1.0
        await status_of(events_port)
        await client.assert_silent()
        release.set()
        assert await client.chunk() == event.encode()
    # The end follows the sixth event without a pause.
    assert await client.chunk() == b"data:end\n\n"
    assert await client.chunk() == b""
    assert gate.idle()


async def test_two_clients_have_a_timer_each(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    first = await connect(events_port)
    await first.request("/events?count=2")
    await first.head()
    await gate.release()
    assert await first.chunk() == EVENTS[0].encode()
    _, first_timer = await gate.asked()

    second = await connect(events_port)
    await second.request("/events?count=1")
    await second.head()
    await gate.release()
    assert await second.rest() == f"{EVENTS[0]}data:end\n\n".encode()

    first_timer.set()
    assert await first.rest() == f"{EVENTS[1]}data:end\n\n".encode()


async def test_texts_come_round_again(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request("/events?count=8&interval_ms=20")
    await client.head()
    for event in [*EVENTS, *EVENTS[:2]]:
        assert await gate.release() == 0.02
        assert await client.chunk() == event.encode()
    assert await client.rest() == b"data:end\n\n"


async def test_head_request_gets_the_head_alone(
    events_port: int, connect: Connect
) -> None:
    client = await connect(events_port)
    await client.request("/events?compress=br", method="HEAD")
    head = await client.head()
    assert head.status == 200
    assert head.fields["content-encoding"] == "br"
    await client.request("/status")
    assert (await client.head()).status == 200


async def test_http_1_0_client_sees_the_end_by_the_close(
    events_port: int, connect: Connect, gate: Gate
) -> None:
    client = await connect(events_port)
    await client.request(
        "/events?count=1", version="1.0", fields=["Connection: keep-alive"]
    )
    head = await client.head()
    assert "transfer-encoding" not in head.fields
    await gate.release()
    assert await client.until_closed() == f"{EVENTS[0]}data:end\n\n".encode()


@pytest.mark.parametrize("query", ["", "?hold=true"], ids=["free", "held"])
async def test_client_that_leaves_ends_its_timer(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_of: Status,
    status_reaches: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    query: str,
) -> None:
    caplog.set_level(logging.INFO, "upstream_demo")
    client = await connect(events_port)
    await client.request(f"/events{query}")
    await gate.release()
    await gate.release()
    await gate.asked()
    assert await status_of(events_port) == {"open_streams": 1, "left_early": 0}
    client.leave()
    await status_reaches(events_port, open_streams=0, left_early=1)
    sent = 0 if query else 2
    assert caplog.messages == [f"client left after {sent} events (GET /events)"]
    assert gate.idle()


async def test_client_that_leaves_while_the_end_is_written_is_no_failure(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_reaches: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    client = await connect(events_port)
    await client.request("/events?count=1")
    await client.head()
    _, release = await gate.asked()
    # In one turn of the event loop: the service writes before it can notice.
    client.leave()
    release.set()
    await status_reaches(events_port, open_streams=0, left_early=1)
    assert caplog.messages == ["client left after 1 events (GET /events)"]


async def test_complete_stream_is_not_counted_as_left(
    events_port: int,
    connect: Connect,
    gate: Gate,
    status_of: Status,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "upstream_demo")
    client = await connect(events_port)
    await client.request("/events?count=1")
    await client.head()
    await gate.release()
    await client.rest()
    client.leave()
    assert await status_of(events_port) == {"open_streams": 0, "left_early": 0}
    assert caplog.messages == []


async def test_unknown_path_is_told_what_there_is(
    events_port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{events_port}/event") as response:
        assert response.status == 404
        message = (await response.json())["error"]["message"]
    assert "/event;" in message
    assert "/events" in message


async def test_wrong_method_is_told_the_right_one(
    events_port: int, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"http://127.0.0.1:{events_port}/events") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
