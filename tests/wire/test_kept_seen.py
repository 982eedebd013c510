"""Kept streams in the feeds of the inspector: what is told of them, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, stream_id
from tests.support.looking import asked, looking
from tests.support.raw import Upstream, chunk
from tests.support.siblings import siblings

pytestmark = pytest.mark.any_loop

ROUTE = {"keep_seconds": 10}


async def test_a_kept_stream_is_told_of_with_all_its_connections(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    route = {"/x": {"target": upstream.url, "resume": ROUTE}}
    running = await proxy(route, clock=clock)
    async with looking(running) as feed:
        await feed.next("warnings")
        client, peer = await running.begin(upstream, ask(b"/x/y?key=hidden"))
        clock.advance(1)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
        await client.read_head()
        id = stream_id(client)
        size = len(await client.read_chunk())
        running.tick()
        told = await feed.next("streams")
        assert (told["worker"], told["gone"], told["more"]) == (0, [], 0)
        (stream,) = told["streams"]
        assert stream["id"] == id.decode()[:10]
        assert (stream["route"], stream["target"]) == ("/x", "/x/y?key=****")
        assert (stream["state"], stream["kind"]) == ("running", "event-stream")
        assert (stream["kept"], stream["shared"]) == (True, False)
        assert (stream["clients"], stream["visits"]) == (1, 1)
        assert (stream["bytes"], stream["age"], stream["goes"]) == (size, 1, None)
        (first,) = stream["connections"]
        exchange = first.pop("exchange")
        assert first == {
            "client": "127.0.0.1", "way": "first", "from": 0, "began": 1,
            "ended": None, "bytes": size, "ending": None,
        }  # fmt: skip

        clock.advance(2)
        client.close()
        await running.ended()
        running.tick()
        (stream,) = (await feed.next("streams"))["streams"]
        assert (stream["clients"], stream["visits"], stream["goes"]) == (0, 1, 10)
        (first,) = stream["connections"]
        assert (first["exchange"], first["ended"]) == (exchange, 3)
        assert (first["ending"], first["bytes"]) == ("client left", size)

        clock.advance(4)
        again = await running.client()
        await again.send(ask(b"/x/y?key=hidden", Last_Event_ID=f"{id.decode()}.1"))
        await again.read_head()
        running.tick()
        (stream,) = (await feed.next("streams"))["streams"]
        assert (stream["clients"], stream["visits"], stream["goes"]) == (1, 2, None)
        second = stream["connections"][1]
        assert (second["way"], second["from"], second["began"]) == ("event_id", size, 7)
        assert second["exchange"] not in (None, exchange)

        # The view of an exchange has its stream, and so has its feed.
        status, body = await asked(running, f"exchanges/{exchange}")
        assert status == 200
        assert json.loads(body)["kept"]["connections"][0]["exchange"] == exchange
        assert id not in body
        async with looking(running, f"exchanges/{second['exchange']}/feed") as view:
            assert (await view.next("kept"))["bytes"] == size
            await peer.send(chunk(b"data: 22\n\n") + chunk(b""))
            assert await again.read_chunk()
            assert await again.read_chunk() == b""
            running.tick()
            kept = await view.next("kept")
            assert kept["state"] == "complete"
            assert [each["ending"] for each in kept["connections"]] == [
                "client left",
                "complete",
            ]
        running.tick()
        (stream,) = (await feed.next("streams"))["streams"]
        assert (stream["state"], stream["ended"], stream["goes"]) == ("complete", 7, 10)

        clock.advance(11)
        running.tick()
        running.tick()
        told = await feed.next("streams")
        assert (told["streams"], told["gone"]) == ([], [id.decode()[:10]])


async def test_of_a_stream_with_many_clients_the_last_connections_are_told(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/x": {"target": upstream.url, "share": True}})
    first, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await first.read_head()
    for _ in range(24):
        other = await running.client()
        await other.send(ask(b"/x"))
        await other.read_head()
    async with looking(running) as feed:
        (stream,) = (await feed.next("streams"))["streams"]
    assert (stream["clients"], stream["visits"]) == (25, 25)
    assert (stream["kept"], stream["shared"]) == (False, True)
    assert [each["way"] for each in stream["connections"]] == ["share"] * 20


async def test_streams_of_all_workers_are_told_and_go_with_their_worker(
    upstream: Upstream, tmp_path: Path
) -> None:
    route = {"/x": {"target": upstream.url, "resume": True}}
    async with siblings(tmp_path, route) as both, looking(both[0]) as feed:
        found: dict[str, dict[str, Any]] = {}
        paths = iter(range(100))
        while {each["worker"] for each in found.values()} != {0, 1}:
            client = await both[0].client()
            await client.send(ask(b"/x/%d" % next(paths)))
            peer = await upstream.request()
            await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
            await client.read_head()
            id = stream_id(client).decode()[:10]
            while id not in found:
                for running in both.running:
                    running.tick()
                told = await feed.next("streams")
                found |= {each["id"]: each for each in told["streams"]}
        for each in found.values():
            assert each["id"].startswith(f"{each['worker']}-")
            (connection,) = each["connections"]
            assert connection["client"] == "127.0.0.1"
            # Of the worker that has the client; the other one cannot show it.
            assert (connection["exchange"] is None) is (each["worker"] == 1)
        await both.kill(1)
        gone = {id for id, each in found.items() if each["worker"] == 1}
        while not (told := await feed.next("streams"))["gone"]:
            pass
        assert set(told["gone"]) == gone


async def test_where_nothing_is_kept_nothing_is_told_of_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/x": {"target": upstream.url, "resume": True}})
    async with looking(running) as feed:
        names = [(await feed.event())[0] for _ in range(3)]
    assert names == ["state", "exchanges", "warnings"]


async def test_a_client_of_one_worker_is_shown_with_its_stream_of_another(
    upstream: Upstream, tmp_path: Path
) -> None:
    route = {"/x": {"target": upstream.url, "resume": True}}
    async with siblings(tmp_path, route) as both:
        client, peer = await both[0].begin(upstream, ask(b"/x"))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
        await client.read_head()
        id = stream_id(client).decode()
        owner = int(id[0])
        other = await both[1 - owner].client()
        await other.send(ask(b"/x", Last_Event_ID=f"{id}.1"))
        await other.read_head()
        async with looking(both[1 - owner]) as feed:
            rows = await feed.rows()
        (row,) = (each for each in rows.values() if each["stream"]["way"] != "first")
        assert row["id"].startswith(f"{1 - owner}-")
        for running in both.running:  # asked for at any worker
            _, body = await asked(running, f"exchanges/{row['id']}")
            kept = json.loads(body)["kept"]
            assert (kept["id"], kept["worker"]) == (id[:10], owner)
            assert [each["way"] for each in kept["connections"]] == [
                "first",
                "event_id",
            ]
            status, body = await asked(running, f"kept/{id[:10]}")
            assert (status, json.loads(body)["clients"]) == (200, 2)
            status, body = await asked(running, f"kept/{owner}-00000000")
            assert status == 404


async def test_a_kept_stream_is_shown_to_nobody_who_may_not_look(
    proxy: StartProxy, upstream: Upstream
) -> None:
    table = {"target": upstream.url, "resume": True}
    running = await proxy({"/x": table}, inspector={"enabled": False})
    client, peer = await running.begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\n"))
    await client.read_head()
    status, _ = await asked(running, f"kept/{stream_id(client).decode()[:10]}")
    assert status == 404
