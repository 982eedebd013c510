"""What is told of each client of a stream that is kept or shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.observe.access_log import render_json, render_text, to_dict
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, stream_id
from tests.support.looking import looking
from tests.support.raw import Upstream, became, chunk
from tests.support.siblings import siblings
from tests.wire.test_metrics import scrape, value

pytestmark = pytest.mark.any_loop


def numbered(id: str, number: int, text: str) -> str:
    """An event as the client gets it."""
    return f"data: {text}\nid: {id}.{number}\n\n"


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
    first_gap = account.call.longest_gap
    await peer.send(chunk(b"data: 55555\n\n") + chunk(b""))
    assert await second.read_chunk() == b"data: 55555\n\n"
    assert await second.read_chunk() == b""
    assert (account.bytes_sent, account.call.pieces) == (42, 4)
    account = await running.ended()
    assert (account.bytes_sent, account.call.pieces) == (46, 4)
    assert account.first_byte_seconds == 0
    assert (first_gap, account.call.longest_gap) == (6, 6)


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
    assert [each.call.longest_gap for each in accounts] == [0, 0, 0]
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


async def test_the_access_log_says_what_each_client_had_of_which_stream(
    proxy: StartProxy, upstream: Upstream
) -> None:
    table = {"target": upstream.url, "resume": True, "share": True}
    running = await proxy({"/x": table})
    client, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    id = stream_id(client).decode()
    joined = await running.client()
    await joined.send(ask(b"/x"))
    await joined.read_head()
    client.close()
    first = await running.ended()
    again = await running.client()
    await again.send(ask(b"/x?lastEventID=%b.1" % id.encode()))
    await again.read_head()
    other = await running.client()
    await other.send(ask(b"/_unbuffered/streams/%b?from=9" % id.encode()))
    await other.read_head()
    other.close()
    fourth = await running.ended()
    await peer.send(chunk(b""))
    second, third = await running.ended(), await running.ended()

    size = len(numbered(id, 1, "1"))
    told = {"id": id[:10], "kept": True, "state": "running"}
    assert to_dict(first, 0)["stream"] == {**told, "way": "first", "from": 0}
    assert to_dict(fourth, 0)["stream"] == {**told, "way": "stream_id", "from": 9}
    told["state"] = "complete"
    assert to_dict(second, 0)["stream"] == {**told, "way": "share", "from": size}
    assert to_dict(third, 0)["stream"] == {**told, "way": "event_id", "from": size}
    lines = [render_text(each, 0) for each in (first, second, third, fourth)]
    assert lines[0].endswith(f" client left, stream {id[:10]} kept")
    assert lines[1].endswith(f"complete, stream {id[:10]} joined from byte {size}")
    assert lines[2].endswith(f"stream {id[:10]} resumed by event id from byte {size}")
    assert lines[3].endswith(f"stream {id[:10]} resumed by Stream-Id from byte 9")
    assert f'"GET /_unbuffered/streams/{id[:10]}-****?from=9 HTTP/1.1"' in lines[3]
    assert '"GET /x?lastEventID=**** HTTP/1.1"' in lines[2]


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(ask(b"/x?a=1&last%%45ventID=%b.1&b"), id="query"),
        pytest.param(ask(b"/x?lastEventID=%b.x"), id="malformed"),
        pytest.param(ask(b"/x", Last_Event_ID="ID.x"), id="malformed field"),
        pytest.param(ask(b"/x", Last_Event_ID="ID.1\x7f"), id="control character"),
        pytest.param(ask(b"/_unbuffered/streams/%b"), id="address"),
        pytest.param(ask(b"/_unbuffered/streams/%b?lastEventID=%b.1"), id="both"),
        pytest.param(ask(b"/_unbuffered/streams/%b/x"), id="longer"),
        pytest.param(ask(b"/_unbuffered/streams/%b", Authorization="a"), id="other"),
    ],
)
async def test_no_id_of_a_stream_is_in_the_access_log(
    proxy: StartProxy, upstream: Upstream, request_bytes: bytes
) -> None:
    running = await proxy({"/x": {"target": upstream.url, "resume": True}})
    client, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    id = stream_id(client)
    request_bytes = request_bytes.replace(b"%b", id).replace(b"ID.", id + b".")
    assert id in request_bytes
    asking = await running.client()
    await asking.send(request_bytes.replace(b"%%", b"%"))
    await asking.read_head()
    asking.close()
    account = await running.ended()
    for line in (render_text(account, 0), render_json(account, 0)):
        assert id.decode()[10:] not in line
        assert id.decode()[-8:] not in line


async def test_the_worker_that_has_the_client_knows_what_it_gets_of_another_ones_stream(
    upstream: Upstream, tmp_path: Path
) -> None:
    routes = {"/x": {"target": upstream.url, "resume": True}}
    async with siblings(tmp_path, routes) as both:
        client, peer = await both[0].begin(upstream, ask(b"/x"))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
        await client.read_head()
        id = stream_id(client).decode()
        size = len(await client.read_chunk())
        owner = int(id[0])
        other = await both[1 - owner].client()
        await other.send(ask(b"/x", Last_Event_ID=f"{id}.1"))
        await other.read_head()
        other.close()
        left = await both[1 - owner].ended()
        told = {"id": id[:10], "kept": True}
        assert to_dict(left, 0)["stream"] == {
            **told, "way": "event_id", "from": size, "state": "running",
        }  # fmt: skip
        await peer.send(chunk(b""))
        assert await client.read_chunk() == b""
        first = await both[0].ended()
        assert to_dict(first, 0)["stream"] == {
            **told, "way": "first", "from": 0, "state": "complete",
        }  # fmt: skip
