"""The feed is read to its end, though its connection breaks inside an event."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from feed import read_feed

from unbuffered.testing import ScriptedOrigin, StartBroken, StartProxy

pytestmark = pytest.mark.anyio


async def test_each_event_comes_once_though_the_stream_is_cut_inside_event_3(
    broken: StartBroken,
) -> None:
    upstream = broken(after=3, inside=True)
    async with httpx.AsyncClient() as client:
        read = [data async for data in read_feed(client, upstream.url)]
    assert read == ["event 1", "event 2", "event 3", "event 4", "event 5"]
    asked = [request.field("Last-Event-ID") for request in upstream.requests]
    assert asked == [None, "2", "5"]


@pytest.mark.parametrize("kind", ["reset", "clean_end", "split", "drip", "duplicate"])
async def test_whatever_goes_wrong_no_event_is_lost(
    broken: StartBroken, kind: str
) -> None:
    events = ["un", "deux", "trois", "quatre", "été"]
    upstream = broken(kind, events=events)
    async with httpx.AsyncClient() as client:
        read = [data async for data in read_feed(client, upstream.url)]
    assert list(dict.fromkeys(read)) == events


async def test_the_page_sees_each_event_at_once_and_no_cut(
    stream_origin: ScriptedOrigin,
    unbuffered_proxy: StartProxy,
    serve_app: Callable[[str], str],
) -> None:
    """In lock-step: the feed goes on only when the page has the event before."""
    proxy = unbuffered_proxy({"/": serve_app(stream_origin.url)})
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{proxy.url}/api/events") as page,
    ):
        lines = page.aiter_lines()
        feed = await stream_origin.request()
        await feed.respond()
        for number in (1, 2):
            await feed.send_event(f"event {number}", id=number)
            assert await anext(lines) == f"data: event {number}"
            assert await anext(lines) == ""
        await feed.send(b"id: 3\ndata: eve")
        feed.cut()
        again = await stream_origin.request()
        assert again.field("Last-Event-ID") == "2"
        await again.respond()
        await again.send_event("event 3", id=3)
        assert await anext(lines) == "data: event 3"
    await again.left()  # the page has gone, and so has the application
    assert [each.ending for each in await proxy.wait_ended()] == ["client left"]
    await asyncio.sleep(0)
