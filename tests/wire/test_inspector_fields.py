"""What the inspector says of an end, and an exchange found by its request id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import StartProxy
from tests.support.looking import asked, looking
from tests.support.ports import ClosedPort
from tests.support.raw import Upstream
from tests.support.running import RunningProxy
from tests.support.siblings import siblings
from tests.wire.test_workers_seen_as_one import workers

pytestmark = pytest.mark.any_loop

PAGE_LOAD = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
TRUSTED = {"trusted_proxies": ["127.0.0.1"]}


async def answered(running: RunningProxy, request: bytes = PAGE_LOAD) -> Any:
    """Ask for something that the proxy itself answers; its error."""
    client = await running.client()
    await client.send(request)
    await client.read_head()
    return json.loads(await client.read_until(b"\n}\n"))["error"]


async def only_row(running: RunningProxy) -> dict[str, Any]:
    async with looking(running) as feed:
        (row,) = (await feed.rows()).values()
        return row


async def of_request(running: RunningProxy, id: str) -> Any:
    """What is told of a request, or the status instead."""
    status, body = await asked(running, f"requests/{quote(id, safe='')}")
    return json.loads(body) if status == 200 else status


async def test_a_row_says_in_full_how_a_failure_ended_and_what_to_do(
    proxy: StartProxy,
) -> None:
    with ClosedPort() as dead:
        running = await proxy({"/": {"target": dead.url}})
        error = await answered(running)
        row = await only_row(running)
        assert row["error"] == error["message"]
        assert row["ended_by"] == f"upstream broke: {error['message']}"
        assert row["error_type"] == error["type"] == "connection_refused"
        assert row["advice"] == error["advice"]
        assert row["request_id"] == error["request_id"]


async def test_the_advice_of_a_row_is_that_of_the_response_where_it_is_a_special_one(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/a": {"target": upstream.url}}, inspector={"enabled": False}
    )
    error = await answered(
        running, b"GET /_unbuffered/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    history = running.server.inspector.history
    assert history.advice(await running.ended()) == error["advice"]
    assert "[inspector] token" in error["advice"]


async def test_that_all_went_well_and_that_a_client_left_are_no_errors(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, PAGE_LOAD)
    row = await only_row(running)
    assert (row["ended_by"], row["advice"], row["error_type"]) == (None, None, None)
    await server.send(OK)
    await client.read_head()
    await running.ended()
    assert (await only_row(running))["ended_by"] == "complete"
    client, _ = await running.begin(upstream, PAGE_LOAD.replace(b"/x", b"/left"))
    client.reset()
    await running.ended()
    async with looking(running) as feed:
        row = (await feed.rows())["/left"]
    assert row["ended_by"] == "client left: the client closed the connection"
    assert (row["error"], row["error_type"], row["advice"]) == (None, None, None)


async def test_an_exchange_is_found_by_its_request_id(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """The newest, where a trusted client has given the same one twice."""
    running = await proxy({"/": {"target": upstream.url}}, server=TRUSTED)
    given = b"GET %b HTTP/1.1\r\nHost: a\r\nX-Request-Id: a/b?c%%d\r\n\r\n"
    for path in (b"/one", b"/two"):
        client, server = await running.begin(upstream, given % path)
        found = await of_request(running, "a/b?c%d")
        assert (found["target"], found["phase"]) == (path.decode(), "waiting")
        await server.send(OK)
        await client.read_head()
        await running.ended()
        found = await of_request(running, "a/b?c%d")
        assert (found["target"], found["phase"]) == (path.decode(), "over")
        assert found["request"]["received"]
    status, body = await asked(running, f"exchanges/{found['id']}")
    assert (status, json.loads(body)["target"]) == (200, "/two")
    assert await of_request(running, "another") == 404
    assert (await asked(running, "requests/"))[0] == 404


async def test_a_request_id_is_found_in_all_workers(
    proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    async with workers(proxy, upstream, tmp_path) as (first, second):
        client, server = await second.begin(upstream, PAGE_LOAD)
        await server.send(OK)
        await client.read_head()
        id = (await second.ended()).request_id.decode()
        found = await of_request(first, id)
        assert (found["worker"], found["request_id"]) == (1, id)
        assert await of_request(first, "another") == 404


@pytest.mark.parametrize("share", [True, False])
async def test_a_request_that_was_handed_over_is_found_where_its_client_is(
    upstream: Upstream, tmp_path: Path, share: bool
) -> None:
    route = {"/": {"target": upstream.url, "share": share}}
    async with siblings(tmp_path, route) as both:
        for worker in (0, 1):
            client = await both[worker].client()
            await client.send(PAGE_LOAD)
            server = await upstream.request()
            await server.send(OK)
            await client.read_head()
            id = (await both[worker].ended()).request_id.decode()
            assert (await of_request(both[0], id))["worker"] == worker


@pytest.mark.parametrize("path", ["requests/a", "requests/"])
async def test_nobody_else_finds_a_request(
    proxy: StartProxy, upstream: Upstream, path: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    foreign = "Origin: http://evil.example\r\n"
    assert (await asked(running, path, foreign))[0] == 403
