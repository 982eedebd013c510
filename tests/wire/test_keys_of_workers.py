"""Several workers: a stream is found by the application's key, whoever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.kept.registry import KEY, Name
from proxy.server.peer_names import encoded, message
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask, post, read_chunks
from tests.support.messages import OK
from tests.support.raw import GUARD, Peer, Upstream, became, chunk, idle, turns
from tests.support.siblings import Siblings, siblings

ONE, TWO = b"data: one\n\n", b"data: two\n\n"
BODY = b'{"id": "c1"}'
CHAT = post(b"/chat", BODY)
NAME = Name(KEY, "/", b"c1")


@pytest.fixture
async def workers(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Siblings]:
    """Three workers: one decides of the key, one may have it, one may be asked."""
    resume = {
        "key": "body:id",
        "path": "/chat/{key}/stream",
        "stop": "/chat/{key}/stop",
        "bind": ["Authorization"],
    }
    routes = {"/": {"target": upstream.url, "resume": resume}}
    async with siblings(tmp_path, routes, count=3, clock=clock) as all_of_them:
        yield all_of_them


def home(workers: Siblings) -> int:
    """The worker that the key decides."""
    return workers[0].server.others.home(NAME, b"")


def known(workers: Siblings) -> list[bytes]:
    """The IDs of the streams that the worker knows that the key decides."""
    places = workers[home(workers)].server.others.names.directory.places
    return [
        each.id for all_of_one in places.get(NAME, {}).values() for each in all_of_one
    ]


async def chat(
    workers: Siblings,
    upstream: Upstream,
    at: int,
    count: int = 1,
    request: bytes = CHAT,
) -> tuple[Peer, Peer]:
    """Ask at a worker; once it is known there are so many streams of the key."""
    client, peer = await workers[at].begin(upstream, request)
    await peer.read(len(BODY))
    await became(lambda: len(known(workers)) == count)
    return client, peer


def are_linked(workers: Siblings) -> bool:
    """Does each worker hear of the keys of all others?"""
    heard = [len(each.server.others.names.feeds) for each in workers.running]
    return heard == [len(workers) - 1] * len(workers)


async def test_workers_are_connected_before_there_is_a_key(workers: Siblings) -> None:
    """A client may ask for an answer sooner than that takes, and be told of none."""
    await became(lambda: are_linked(workers))


async def test_workers_are_connected_once_a_reload_adds_keys(
    workers: Siblings, upstream: Upstream, tmp_path: Path
) -> None:
    routes = {"/": {"target": upstream.url, "resume": True}}
    (tmp_path / "other").mkdir()
    async with siblings(tmp_path / "other", routes) as without:
        await idle()
        assert not any(each.server.others.names.links for each in without.running)
        for running in without.running:
            await running.server.reload(workers.config)
        await became(lambda: are_linked(without))


@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.parametrize("creator", [0, 1, 2])
async def test_a_running_answer_is_replayed_by_any_worker(
    workers: Siblings, upstream: Upstream, creator: int, asked: int
) -> None:
    page = await workers[asked].client()
    await page.send(ask(b"/chat/c1/stream"))
    assert (await page.read_head()).startswith(b"HTTP/1.1 204 ")
    client, peer = await chat(workers, upstream, creator)
    await page.send(ask(b"/chat/c1/stream"))  # before the head
    await idle()
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    assert await client.read_chunk() == ONE
    await page.read_head()
    assert await page.read_chunk() == ONE
    client.close()
    page.close()
    await idle()
    await peer.send(chunk(TWO))
    page = await workers[asked].client()
    await page.send(ask(b"/chat/c1/stream"))
    await page.read_head()
    assert page.head.lower().count(b"\r\nvia:") == 1
    assert await read_chunks(page, len(ONE + TWO)) == ONE + TWO
    stranger = await workers[asked].client()
    await stranger.send(ask(b"/chat/c1/stream", Authorization="other"))
    assert (await stranger.read_head()).startswith(b"HTTP/1.1 404 ")
    await peer.send(chunk(b""))
    assert await page.read_chunk() == b""
    await page.send(ask(b"/chat/c1/stream"))
    assert (await page.read_head()).startswith(b"HTTP/1.1 204 ")
    assert upstream.unexpected == 0


@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.parametrize("creator", [0, 1, 2])
async def test_any_worker_stops_it(
    workers: Siblings, upstream: Upstream, creator: int, asked: int
) -> None:
    client, peer = await chat(workers, upstream, creator)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    assert await client.read_chunk() == ONE
    button = await workers[asked].client()
    await button.send(post(b"/chat/c1/stop", b"{}"))
    passed_on = await upstream.request()
    assert passed_on.head.startswith(b"POST /chat/c1/stop ")
    await peer.closed()
    rest, _ = await client.read_to_close()
    assert not rest.endswith(chunk(b""))
    await passed_on.read(2)
    await passed_on.send(OK)
    await button.read_head()
    assert await button.read(2) == b"ok"
    await became(lambda: not known(workers))


@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1, 2])
async def test_all_of_them_are_stopped_while_none_has_replaced_the_other(
    workers: Siblings, upstream: Upstream, second: int, asked: int
) -> None:
    client, peer = await chat(workers, upstream, 0)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    _, later = await chat(workers, upstream, second, 2)
    button = await workers[asked].client()
    await button.send(post(b"/chat/c1/stop", b"{}"))
    passed_on = await upstream.request()
    await peer.closed()
    await later.closed()
    await passed_on.read(2)
    await passed_on.send(OK)
    await button.read_head()
    await became(lambda: not known(workers))


@pytest.mark.parametrize("second", [0, 1, 2])
@pytest.mark.parametrize("first", [0, 1, 2])
async def test_a_second_answer_replaces_the_first_one_wherever_they_are(
    workers: Siblings, upstream: Upstream, first: int, second: int
) -> None:
    client, peer = await chat(workers, upstream, first)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    assert await client.read_chunk() == ONE
    client.close()
    await idle()
    (before,) = known(workers)
    client, later = await chat(workers, upstream, second, 2)
    assert known(workers)[0] == before  # until there is a stream in its place
    await later.send(EVENT_HEAD % b"" + chunk(TWO))
    await client.read_head()
    await peer.closed()
    await became(lambda: len(known(workers)) == 1)
    for running in workers.running:
        page = await running.client()
        await page.send(ask(b"/chat/c1/stream"))
        await page.read_head()
        assert await page.read_chunk() == TWO
    assert upstream.unexpected == 0


async def test_a_worker_that_dies_takes_its_keys_along(
    workers: Siblings, upstream: Upstream
) -> None:
    decides = home(workers)
    creator, asked = (decides + 1) % 3, (decides + 2) % 3
    client, peer = await chat(workers, upstream, creator)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    await workers.kill(creator)
    await became(lambda: not known(workers))
    page = await workers[asked].client()
    await page.send(ask(b"/chat/c1/stream"))
    assert (await page.read_head()).startswith(b"HTTP/1.1 204 ")


async def test_the_successor_of_a_worker_learns_the_keys_of_the_others(
    workers: Siblings, upstream: Upstream
) -> None:
    decides = home(workers)
    creator, asked = (decides + 1) % 3, (decides + 2) % 3
    client, peer = await chat(workers, upstream, creator)
    await peer.send(EVENT_HEAD % b"" + chunk(ONE))
    await client.read_head()
    await workers.kill(decides)
    # While nobody knows: only who has it can answer.
    for number, status in ((asked, b"204"), (creator, b"200")):
        page = await workers[number].client()
        await page.send(ask(b"/chat/c1/stream"))
        assert (await page.read_head()).startswith(b"HTTP/1.1 %b " % status)
    await workers.replace(decides)
    await became(lambda: len(known(workers)) == 1)
    page = await workers[asked].client()
    await page.send(ask(b"/chat/c1/stream"))
    await page.read_head()
    assert await page.read_chunk() == ONE


async def test_whose_key_it_is_counts_at_all_workers(
    workers: Siblings, upstream: Upstream
) -> None:
    mine, peer = await chat(workers, upstream, 0)
    theirs, other = await chat(
        workers, upstream, 1, 2, post(b"/chat", BODY, Authorization="other")
    )
    for each, text in ((peer, ONE), (other, TWO)):
        await each.send(EVENT_HEAD % b"" + chunk(text))
    for client, text in ((mine, ONE), (theirs, TWO)):
        await client.read_head()
        assert await client.read_chunk() == text
    for running in workers.running:
        for fields, text in (({}, ONE), ({"Authorization": "other"}, TWO)):
            page = await running.client()
            await page.send(ask(b"/chat/c1/stream", **fields))
            await page.read_head()
            assert await page.read_chunk() == text


async def test_a_worker_that_tells_of_keys_can_stop(
    workers: Siblings, upstream: Upstream
) -> None:
    decides = home(workers)
    client, peer = await chat(workers, upstream, (decides + 1) % 3)
    await peer.send(EVENT_HEAD % b"" + chunk(b""))
    await client.read_head()
    client.close()
    await idle()
    for running in workers.running:
        async with asyncio.timeout(GUARD):  # its clock stands still
            await running.drain(10)


async def test_what_a_worker_tells_first_is_all_that_it_has(workers: Siblings) -> None:
    """It was connected before, and nobody has noticed yet that it is not any more."""
    await became(lambda: are_linked(workers))
    workers[1].server.others.close()
    told = encoded(message("named", NAME, b"who", b"1-a", 5.0))
    names = workers[0].server.others.names
    tellers = []
    for text, count in ((chunk(told), 1), (b"", 0)):
        tellers.append(Peer(*await asyncio.open_unix_connection(workers.paths[0])))
        await tellers[-1].send(
            b"POST /_unbuffered/names/1 HTTP/1.1\r\nHost: a\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + text
        )

        def are_known(count: int = count) -> bool:
            return len(names.directory.places) == count

        await became(are_known)
    await tellers[0].closed()
    for each in tellers:
        each.close()
    await became(lambda: 1 not in names.feeds)
    await turns(3)


async def test_nobody_tells_of_keys_on_the_port(
    workers: Siblings, upstream: Upstream
) -> None:
    await became(lambda: are_linked(workers))
    names = workers[0].server.others.names
    before = dict(names.feeds)
    path = b"POST /_unbuffered/names/1 HTTP/1.1\r\n"
    _, peer = await workers[0].begin(
        upstream, path + b"Host: a\r\nContent-Length: 0\r\n\r\n"
    )
    assert peer.head.startswith(path)
    assert names.feeds == before
