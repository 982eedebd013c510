"""What is told of each client of a stream that is kept or shared."""

from __future__ import annotations

import pytest

from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, stream_id
from tests.support.looking import looking
from tests.support.raw import Upstream, became, chunk
from tests.wire.test_metrics import scrape, value

pytestmark = pytest.mark.any_loop


async def test_the_account_of_a_running_client_is_right_when_it_is_looked_at(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "share": {"replay": 1}}
    running = await proxy({"/x": table}, clock=clock)
    first, peer = await running.begin(upstream, ask(b"/x"))
    clock.advance(1)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await first.read_head()
    assert await first.read_chunk() == b"data: 1\n\n"
    clock.advance(1)
    await peer.send(chunk(b"data: 22\n\n"))
    assert await first.read_chunk() == b"data: 22\n\n"
    clock.advance(5)
    second = await running.client()
    await second.send(ask(b"/x"))
    await second.read_head()
    assert await second.read_chunk() == b"data: 22\n\n"
    async with looking(running) as feed:
        told = (await feed.next("exchanges"))["open"]
        sums = [(row["bytes"], row["pieces"], row["first_byte"]) for row in told]
        assert sums == [(19, 2, 1), (10, 1, 0)]
        clock.advance(1)
        await peer.send(chunk(b"data: 333\n\n"))
        for each in (first, second):
            assert await each.read_chunk() == b"data: 333\n\n"
        running.tick()
        told = (await feed.next("exchanges"))["open"]
        assert [(row["bytes"], row["pieces"]) for row in told] == [(30, 3), (21, 2)]
        ident = told[1]["id"]
        async with looking(running, f"exchanges/{ident}/feed") as pieces:
            assert (await pieces.next("row"))["bytes"] == 21
            await peer.send(chunk(b"data: 4444\n\n"))
            assert await second.read_chunk() == b"data: 4444\n\n"
            running.tick()
            assert (await pieces.next("row"))["bytes"] == 33
    samples = await scrape(running)
    assert value(samples, "body_bytes_total", route="/x", direction="sent") == 75
    assert value(samples, "pieces_total", route="/x") == 7

    # What comes when a client has left is not its.
    first.close()
    account = await running.ended()
    assert (account.bytes_sent, account.call.pieces) == (42, 4)
    await peer.send(chunk(b"data: 55555\n\n") + chunk(b""))
    assert await second.read_chunk() == b"data: 55555\n\n"
    assert await second.read_chunk() == b""
    assert (account.bytes_sent, account.call.pieces) == (42, 4)
    account = await running.ended()
    assert (account.bytes_sent, account.call.pieces) == (46, 4)
    assert account.first_byte_seconds == 0


async def test_a_joining_client_waits_for_its_own_first_byte_not_for_that_of_others(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/x": {"target": upstream.url, "share": True}}, clock=clock)
    first, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"")
    await first.read_head()
    clock.advance(1)
    second = await running.client()
    await second.send(ask(b"/x"))
    await second.read_head()
    clock.advance(2)
    await peer.send(chunk(b"data: 1\n\n"))
    await second.read_chunk()
    clock.advance(4)
    third = await running.client()
    await third.send(ask(b"/x"))
    await third.read_head()
    await peer.send(chunk(b""))
    accounts = [await running.ended() for _ in range(3)]
    assert [each.first_byte_seconds for each in accounts] == [3, 2, 0]
    assert [each.call.pieces for each in accounts] == [1, 1, 0]
    assert upstream.unexpected == 0


@pytest.mark.parametrize("ends", [True, False], ids=["complete", "nobody came"])
async def test_a_stream_that_ends_without_a_client_is_one_line_of_the_log(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    ends: bool,
) -> None:
    caplog.set_level("INFO", "unbuffered")
    table = {"target": upstream.url, "resume": {"keep_seconds": 60}}
    running = await proxy({"/x": table}, clock=clock)
    client, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: [DONE]\n\n"))
    await client.read_head()
    id = stream_id(client)
    client.close()
    await running.ended()
    assert not caplog.messages
    (stream,) = running.server.kept.streams.values()
    size = stream.log.end
    clock.advance(5)
    if ends:
        await peer.send(chunk(b""))
        await became(lambda: stream.is_ended)
        told = "for 5.0 s without a client and has ended: complete"
    else:
        clock.advance(56)
        running.tick()
        told = (
            "for 61.0 s without a client and has ended: lost, no client came back for "
            "60 s (keep_seconds)"
        )
    (message,) = caplog.messages
    short = id.decode()[:10]
    assert message == (
        f"route /x: stream {short} went on {told}; {size} bytes, 1 client so far"
    )
    assert id.decode() not in caplog.text


async def test_a_stream_whose_clients_are_there_at_its_end_is_no_line_of_the_log(
    proxy: StartProxy, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unbuffered")
    running = await proxy({"/x": {"target": upstream.url, "resume": True}})
    client, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    id = stream_id(client).decode()
    client.close()
    await running.ended()
    again = await running.client()
    await again.send(ask(b"/x", Last_Event_ID=f"{id}.1"))
    await again.read_head()
    await peer.send(chunk(b""))
    assert await again.read_chunk() == b""
    assert not caplog.messages
