"""A stream of one process is read, taken up and ended at another one.

By way of the store that they share; each client gets each event once.
"""

from __future__ import annotations

import pytest

from proxy.errors import FellBehind
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, NDJSON_HEAD, ask, field, post, stream_id
from tests.support.raw import Upstream, became, chunk
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    expect,
    followed,
    get,
    in_store,
    keeping,
    numbered,
    sent,
    theirs,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]


# -- a client comes back to another node


async def test_a_client_that_comes_back_to_another_node_gets_the_rest_and_what_follows(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream), count=3) as each:
        client, peer, id = await begun(each[0], upstream)
        client.close()
        await each[0].ended()
        await peer.send(chunk(b"data: two\n\n"))
        second = await get(each[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        assert stream_id(second) == id
        await expect(second, numbered(id, 2, b"two"))
        await peer.send(chunk(b"data: three\n\n"))
        await expect(second, numbered(id, 3, b"three"))
        # To a third one, to the one before, and to the owner.
        third = await get(each[2], b"/", Last_Event_ID=f"{id.decode()}.1")
        again = await get(each[1], b"/", Last_Event_ID=f"{id.decode()}.2")
        home = await get(each[0], b"/", Last_Event_ID=f"{id.decode()}.3")
        await expect(third, numbered(id, 2, b"two") + numbered(id, 3, b"three"))
        await expect(again, numbered(id, 3, b"three"))
        await peer.send(chunk(b"data: four\n\n") + chunk(b""))
        for each_client in (second, third, again, home):
            await expect(each_client, numbered(id, 4, b"four"))
            assert await each_client.read_chunk() == b""
        assert upstream.unexpected == 0
        assert len(each.running) == 3
        await became(lambda: not followed(each[1]) and not followed(each[2]))
        # It has ended, and is still in the store.
        last = await get(each[1], b"/", Last_Event_ID=f"{id.decode()}.3")
        await expect(last, numbered(id, 4, b"four"))
        assert await last.read_chunk() == b""
        end = await get(each[2], b"/", Last_Event_ID=f"{id.decode()}.4")
        assert end.head.startswith(b"HTTP/1.1 204 ")


async def test_pieces_that_are_no_whole_events_are_the_same_everywhere(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        client, peer, id = await begun(both[0], upstream)
        await peer.send(chunk(b"data: tw"))
        await expect(client, b"data: tw")
        second = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        await expect(second, b"data: tw")
        await peer.send(chunk(b"o\n") + chunk(b"\ndata: three\n\n"))
        rest = b"o\nid: %b.2\n\n" % id + numbered(id, 3, b"three")
        await expect(client, rest)
        await expect(second, rest)


async def test_of_a_stream_without_events_each_byte_comes_once(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, bind=[])) as both:
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(NDJSON_HEAD + chunk(b'{"a": 1}\n{"b'))
        await client.read_head()
        id = stream_id(client)
        await expect(client, b'{"a": 1}\n{"b')
        await in_store(both[0])
        second = await get(both[1], ADDRESS + id + b"?from=9")
        await expect(second, b'{"b')
        await peer.send(chunk(b'": 2}\n') + chunk(b""))
        await expect(second, b'": 2}\n')
        assert await second.read_chunk() == b""


async def test_the_address_answers_as_at_the_owner(
    start: StartNodes, upstream: Upstream
) -> None:
    cors = b"Access-Control-Allow-Origin: https://a.example\r\n"
    async with start(keeping(upstream)) as both:
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(EVENT_HEAD % cors + chunk(b"data: one\n\n"))
        await client.read_head()
        id = stream_id(client)
        one = numbered(id, 1, b"one")
        await expect(client, one)
        await in_store(both[0])
        address = ADDRESS + id
        request = b"HEAD %b HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n"
        there = await sent(both[1], request % address)
        here = await sent(both[0], request % address)
        names = (b"stream-state", b"stream-bytes", b"content-type")
        for name in (*names, b"access-control-allow-origin"):
            assert field(there.head, name) == field(here.head, name) is not None
        preflight = (
            b"OPTIONS %b HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n"
            b"Access-Control-Request-Method: GET\r\n\r\n"
        )
        allowed = await sent(both[1], preflight % address)
        assert field(allowed.head, b"access-control-allow-methods") is not None
        whole = await get(both[1], address)
        await expect(whole, one)
        rest = await get(both[1], address, Last_Event_ID=f"{id.decode()}.1")
        beyond = await get(both[1], address + b"?from=999")
        # It may be that the owner has sent so much, and not written it yet.
        assert beyond.head.startswith(b"HTTP/1.1 503 ")
        assert field(beyond.head, b"retry-after") is not None
        bound = await get(both[1], address, Authorization="another")
        assert bound.head.startswith(b"HTTP/1.1 404 ")
        unknown = await get(both[1], ADDRESS + b"0-" + b"0" * 32)
        assert unknown.head.startswith(b"HTTP/1.1 404 ")
        gone = await sent(both[1], b"DELETE %b HTTP/1.1\r\nHost: a\r\n\r\n" % address)
        assert gone.head.startswith(b"HTTP/1.1 204 ")
        await peer.closed()
        for reader in (client, whole, rest):
            assert not (await reader.read_rest()).endswith(chunk(b""))
        for node in both.running:
            after = await get(node, address)
            assert after.head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 410 "))


async def test_an_id_that_no_node_knows_begins_a_new_stream(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        old = "0-" + "0" * 32 + ".7"
        client, peer = await both[1].begin(upstream, ask(Last_Event_ID=old))
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        assert b"this is a new one" in await client.read_chunk()
        request = b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: %b\r\n\r\n"
        other = await sent(both[1], request % old.encode())
        assert other.head.startswith(b"HTTP/1.1 404 ")


async def test_another_client_gets_nothing(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream, ask(Authorization="mine"))
        request = b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: %b.1\r\n\r\n" % id
        other = await sent(both[1], request)
        assert other.head.startswith(b"HTTP/1.1 404 ")
        assert upstream.unexpected == 0
        await became(lambda: not followed(both[1]))


# -- who reads keeps it alive


async def test_a_reader_at_another_node_keeps_a_stream_alive(
    start: StartNodes, upstream: Upstream
) -> None:
    clock = ManualClock()
    async with start(keeping(upstream, keep_seconds=60), clock=clock) as both:
        client, peer, id = await begun(both[0], upstream)
        second = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        (stream,) = both[0].server.kept.streams.values()
        await became(lambda: stream.readers == 1)
        client.close()
        await both[0].ended()
        for _ in range(3):
            clock.advance(61)
            both[0].tick()
        await peer.send(chunk(b"data: two\n\n"))
        await expect(second, numbered(id, 2, b"two"))
        # It leaves: now the time begins.
        second.close()
        await both[1].ended()
        await became(lambda: stream.retention.timer.callback is not None)
        clock.advance(61)
        both[0].tick()
        await peer.closed()
        assert not both[0].server.kept.streams


async def test_a_slow_client_of_a_follower_delays_nobody(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, max_bytes=64 * 1024)) as both:
        client, peer, id = await begun(both[0], upstream)
        slow = await both[1].client(receive_bytes=4096)
        await slow.send(ask(Last_Event_ID=f"{id.decode()}.1"))
        await slow.read_head()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        quick = await get(both[1], b"/", Last_Event_ID=f"{id.decode()}.1")
        text = b"x" * 8000
        for number in range(2, 2000):
            await peer.send(chunk(b"data: %b\n\n" % text))
            event = numbered(id, number, text)
            await expect(client, event)
            await expect(quick, event)
            if not both[1].exchanges.empty():
                break
        assert isinstance((await both[1].ended()).error, FellBehind)
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        rest, _ = await slow.read_to_close()
        assert not rest.endswith(chunk(b""))
        await peer.send(chunk(b""))
        assert await quick.read_chunk() == b""


# -- names


KEYED = {
    "key": "body:id",
    "path": "/{key}/stream",
    "stop": "/{key}/stop",
    "bind": [],
    "ids": True,
}


async def test_the_answer_of_a_key_is_found_at_another_node(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, **KEYED)) as both:
        assert (await get(both[1], b"/k/stream")).head.startswith(b"HTTP/1.1 204 ")
        client, peer = await both[0].begin(upstream, post(b"/", b'{"id": "k"}'))
        await peer.read(11)
        await in_store(both[0])
        # Before its head is here.
        early = await both[1].client()
        await early.send(ask(b"/k/stream"))
        await became(lambda: bool(both[1].server.kept.named))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        id = stream_id(client)
        await early.read_head()
        assert stream_id(early) == id
        late = await get(both[1], b"/k/stream")
        for each in (client, early, late):
            await expect(each, numbered(id, 1, b"one"))
        await peer.send(chunk(b""))
        for each in (client, early, late):
            assert await each.read_chunk() == b""
        # It has ended, and was read to its end.
        assert (await get(both[1], b"/k/stream")).head.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("begun_yet", [False, True])
async def test_stop_reaches_the_owner_wherever_it_arrives(
    start: StartNodes, upstream: Upstream, *, begun_yet: bool
) -> None:
    async with start(keeping(upstream, **KEYED)) as both:
        client, peer = await both[0].begin(upstream, post(b"/", b'{"id": "k"}'))
        await peer.read(11)
        await in_store(both[0])
        if begun_yet:
            await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
            await client.read_head()
        stop, other = await both[1].begin(upstream, post(b"/k/stop", b""))
        await other.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await stop.read_head()
        await peer.closed()
        if begun_yet:
            assert not (await client.read_rest()).endswith(chunk(b""))
        else:
            assert (await client.read_head()).startswith(b"HTTP/1.1 410 ")
        assert (await get(both[1], b"/k/stream")).head.startswith(b"HTTP/1.1 204 ")


async def test_a_new_request_with_the_same_key_replaces_the_stream_of_another_node(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, **KEYED)) as both:
        request = post(b"/", b'{"id": "k"}')
        first, peer, _old = await begun(both[0], upstream, request)
        first.close()
        await both[0].ended()
        _second, _peer2, new = await begun(both[1], upstream, request)
        await peer.read(len(b'{"id": "k"}'))
        await peer.closed()  # nobody reads the first one
        for node in both.running:
            found = await get(node, b"/k/stream")
            assert stream_id(found) == new
            await expect(found, numbered(new, 1, b"one"))


async def test_a_stream_that_is_read_goes_on_when_its_key_is_replaced(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, **KEYED)) as both:
        request = post(b"/", b'{"id": "k"}')
        first, peer, old = await begun(both[0], upstream, request)
        remote = await get(both[1], b"/k/stream")
        await expect(remote, numbered(old, 1, b"one"))
        await begun(both[1], upstream, request)
        await peer.send(chunk(b"data: two\n\n") + chunk(b""))
        for client in (first, remote):
            await expect(client, numbered(old, 2, b"two"))
            assert await client.read_chunk() == b""


async def test_a_repeated_post_gets_the_answer_of_another_node(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, ids=True)) as both:
        request = post(b"/", b"{}", Idempotency_Key="k")
        _client, peer = await both[0].begin(upstream, request)
        await peer.read(2)
        again = await both[1].client()
        await again.send(request)
        await became(lambda: bool(both[1].server.kept.named))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await again.read_head()
        id = stream_id(again)
        await expect(again, numbered(id, 1, b"one"))
        await peer.send(chunk(b"data: two\n\n") + chunk(b""))
        await expect(again, numbered(id, 2, b"two"))
        assert await again.read_chunk() == b""
        later = await sent(both[1], request)
        await expect(later, numbered(id, 1, b"one") + numbered(id, 2, b"two"))
        assert await later.read_chunk() == b""
        assert upstream.unexpected == 0


async def test_an_answer_that_was_not_kept_is_asked_for_again(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream, ids=True)) as both:
        request = post(b"/", b"{}", Idempotency_Key="k")
        client, peer = await both[0].begin(upstream, request)
        await peer.read(2)
        await peer.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
        await client.read_head()
        await both[0].ended()
        again, peer = await both[1].begin(upstream, request)
        await peer.read(2)
        await peer.send(EVENT_HEAD % b"" + chunk(b""))
        assert (await again.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_one_upstream_stream_is_shared_by_all_nodes(
    start: StartNodes, upstream: Upstream
) -> None:
    routes = {"/": {"target": upstream.url, "share": {"replay": 1}}}
    async with start(routes, count=3) as each:
        client, peer = await each[0].begin(upstream, ask())
        waiting = await each[1].client()
        await waiting.send(ask())
        await became(lambda: bool(each[1].server.kept.named))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: 1\n\ndata: 2\n\n"))
        for first in (client, waiting):
            await first.read_head()
            await expect(first, b"data: 1\n\ndata: 2\n\n")
        late = [await get(each[1], b"/"), await get(each[2], b"/")]
        for one in late:
            await expect(one, b"data: 2\n\n")
        # The one that has asked leaves: it goes on for the others.
        client.close()
        await each[0].ended()
        await peer.send(chunk(b"data: 3\n\n"))
        for one in (waiting, *late):
            await expect(one, b"data: 3\n\n")
        for one in (waiting, *late):
            one.close()
        await peer.closed()  # nobody is left
        again, peer = await each[2].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(b""))
        await again.read_head()
        assert upstream.unexpected == 0


async def test_ids_of_the_upstream_are_found_at_another_node(
    start: StartNodes, upstream: Upstream
) -> None:
    async with start(keeping(upstream)) as both:
        client, peer = await both[0].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"" + chunk(theirs(1)) + chunk(theirs(2)))
        await client.read_head()
        await expect(client, theirs(1) + theirs(2))
        await in_store(both[0])
        again = await get(both[1], b"/", Last_Event_ID="1")
        await expect(again, theirs(2))
        await peer.send(chunk(theirs(3)))
        await expect(again, theirs(3))
        assert upstream.unexpected == 0
