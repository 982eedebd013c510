"""Several workers: each answers for all, through the sockets of the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartProxy
from tests.support.looking import asked, contents, looking
from tests.support.messages import EVENT_STREAM, GET_X
from tests.support.raw import Upstream, chunk, turns
from tests.support.running import RunningProxy, Table
from tests.support.siblings import siblings


@asynccontextmanager
async def workers(
    proxy: StartProxy,
    upstream: Upstream,
    folder: Path,
    routes: Mapping[str, Table] | None = None,
) -> AsyncIterator[tuple[RunningProxy, RunningProxy]]:
    """Two servers that know of each other."""
    loop = asyncio.get_running_loop()
    running, sockets = [], []
    for number in (0, 1):
        running.append(await proxy(routes or {"/": {"target": upstream.url}}))
        path = str(folder / f"{number}.sock")
        server = running[-1].server
        sockets.append(await loop.create_unix_server(server.listeners.accept, path))
        server.number = number
        server.siblings = (str(folder / f"{1 - number}.sock"),)
    try:
        yield running[0], running[1]
    finally:
        for each in sockets:
            each.close()
        await turns(3)


async def test_the_numbers_of_all_are_summed(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    async with workers(proxy, upstream, tmp_path) as both:
        for running in both:
            client, server = await running.begin(upstream, GET_X)
            await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await client.read_head()
        status, body = await asked(both[0], "metrics")
        assert status == 200
        samples = [
            sample
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        ]
        (ended,) = (s for s in samples if s.name == "unbuffered_exchanges_ended_total")
        assert ended.value == 2
        up = [s for s in samples if s.name == "unbuffered_upstream_up"]
        assert {s.labels["worker"] for s in up} == {"0", "1"}


async def test_the_streams_of_all_are_in_one_list_and_can_be_looked_at(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    async with (
        workers(proxy, upstream, tmp_path) as (first, second),
        looking(first) as feed,
    ):
        assert (await feed.next("state"))["workers"] == 2
        assert await feed.rows() == {}
        client, server = await second.begin(upstream, GET_X)
        await server.send(EVENT_STREAM)
        await client.read_head()
        while not (rows := await feed.rows()):
            pass
        ident = rows["/x"]["id"]
        assert ident.startswith("1-")
        status, body = await asked(first, f"exchanges/{ident}")
        assert (status, json.loads(body)["id"]) == (200, ident)
        async with looking(first, f"exchanges/{ident}/feed") as pieces:
            await pieces.next("row")
            await server.send(chunk(b"data: 1\n\n"))
            await client.read_chunk()
            second.tick()
            found = await pieces.next("pieces")
            assert contents(found, "response") == [b"data: 1\n\n"]
            await server.send(b"0\r\n\r\n")
            assert (await pieces.next("end"))["ending"] == "complete"
            assert await pieces.peer.read_chunk() == b""
        status, _ = await asked(first, "exchanges/1-999")
        assert status == 404


async def test_a_worker_that_is_gone_takes_its_rows_along(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    async with workers(proxy, upstream, tmp_path) as (first, second):
        client, server = await second.begin(upstream, GET_X)
        await server.send(EVENT_STREAM)
        await client.read_head()
        async with looking(first) as feed:
            while not (rows := await feed.rows()):
                pass
            for each in tuple(second.server.clients):
                if each.address == b"unix":
                    each.transport.abort()
            while not (told := await feed.next("exchanges"))["gone"]:
                pass
            assert told["gone"] == [rows["/x"]["id"]]
        status, _ = await asked(first, "metrics")
        assert status == 200


async def test_connections_of_a_browser_are_counted_over_all_workers(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    browser = GET_X.replace(b"\r\n\r\n", b"\r\nSec-Fetch-Mode: cors\r\n\r\n")
    async with workers(proxy, upstream, tmp_path) as both:
        for running in [both[0]] * 2 + [both[1]] * 4:
            client, server = await running.begin(upstream, browser)
            await server.send(EVENT_STREAM)
            await client.read_head()
        async with looking(both[0]) as feed:
            while not (warnings := await feed.next("warnings")):
                both[0].tick()
            (warning,) = warnings
            assert "has 6 requests open to a: browsers" in warning["text"]
            workers_meant = [ident[0] for ident in sorted(warning["ids"])]
            assert workers_meant == ["0", "0", "1", "1", "1", "1"]


@pytest.mark.parametrize("share", [True, False])
async def test_that_sharing_saves_no_connection_of_a_browser_is_said_where_it_is_on(
    upstream: Upstream, tmp_path: Path, share: bool
) -> None:
    browser = GET_X.replace(b"\r\n\r\n", b"\r\nSec-Fetch-Mode: cors\r\n\r\n")
    route = {"/": {"target": upstream.url, "share": share}}
    async with siblings(tmp_path, route) as both:
        for number, worker in enumerate((0, 0, 1, 1, 1, 1)):
            client = await both[worker].client()
            await client.send(browser)
            if number == 0 or not share:
                server = await upstream.request()
                await server.send(EVENT_STREAM)
            await client.read_head()
        async with looking(both[0]) as feed:
            while not (warnings := await feed.next("warnings")):
                both[0].tick()
            (warning,) = warnings
            assert ("share does not help here" in warning["text"]) is share
            assert "speaks HTTP/2" in warning["text"]


@pytest.mark.parametrize("path", ["metrics", "exchanges/1-1"])
async def test_a_worker_that_does_not_answer_is_left_out(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path, path: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    running.server.siblings = (str(tmp_path / "nobody.sock"),)
    status, _ = await asked(running, path)
    assert status == (200 if path == "metrics" else 404)
