"""A store that says nothing of a stream: that is not known is no "it is not there".

Who asks for such a stream is asked to come back, and whoever asks for one that is gone
reads of what it has died, as far as that is known.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.kept.registry import MOST_IN_VAIN
from tests.conftest import Complaints
from tests.support.kept import EVENT_HEAD, ask, field, post, stream_id
from tests.support.nodes import MakeStore, Nodes
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy
from tests.support.shared_memory import Hub
from tests.support.shared_streams import (
    ADDRESS,
    StartNodes,
    begun,
    expect,
    followed,
    get,
    keeping,
    numbered,
    sent,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]

# How a client asks that is no EventSource, by what it asks for.
Request = Callable[[bytes], bytes]
BODY = b'{"id": "chat"}'
ASKED: dict[str, Request] = {
    "by a cursor": lambda id: post(b"/", b"{}", Last_Event_ID=f"{id.decode()}.1"),
    "by an address": lambda id: ask(ADDRESS + id),
    "by an address and a cursor": lambda id: ask(
        ADDRESS + id, Last_Event_ID=f"{id.decode()}.1"
    ),
    "for its state": lambda id: b"HEAD %b HTTP/1.1\r\nHost: a\r\n\r\n" % (ADDRESS + id),
    "to stop it": lambda id: b"DELETE %b HTTP/1.1\r\nHost: a\r\n\r\n" % (ADDRESS + id),
    "by its key": lambda id: ask(b"/chat/stream"),
}
REPEATED = "by an Idempotency-Key"
KEYS = {"key": "body:id", "path": "/{key}/stream", "ids": True, "bind": ["Cookie"]}


@pytest.fixture
def make_store(hub: Hub) -> MakeStore:
    """No server decides when something is heard."""
    return hub.node


async def of_a_key(both: Nodes, upstream: Upstream) -> tuple[Peer, Peer, bytes]:
    """A stream that can be asked for in all ways."""
    return await begun(both[0], upstream, post(b"/", BODY, Idempotency_Key="k"))


async def unanswered(running: RunningProxy, hub: Hub, request: bytes) -> Peer:
    """A client that asks, and whose question the store does not answer."""
    client = await running.client()
    hub.held = True
    await client.send(request)
    await became(lambda: bool(hub.waiting))
    hub.go_down()
    hub.release()
    await client.read_head()
    return client


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the proxy has logged."""
    found = [each for each in caplog.records if each.name == "unbuffered"]
    return [each.getMessage() for each in found]


@pytest.mark.parametrize("asked", [*ASKED, REPEATED])
async def test_what_the_store_does_not_answer_is_asked_again(
    start: StartNodes, upstream: Upstream, hub: Hub, asked: str
) -> None:
    async with start(keeping(upstream, **KEYS)) as both:
        _, _, id = await of_a_key(both, upstream)
        request = post(b"/", BODY, Idempotency_Key="k")
        if asked != REPEATED:
            request = ASKED[asked](id)
        client = await unanswered(both[1], hub, request)
        assert client.head.startswith(b"HTTP/1.1 503 ")
        assert field(client.head, b"retry-after") == b"1"
        assert "does not answer" in str((await both[1].ended()).error)
        hub.come_back()
        again = await sent(both[1], request)
        assert again.head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 204 "))
        assert upstream.unexpected == 0


@pytest.mark.parametrize("asked", ASKED)
async def test_while_the_store_is_down_nothing_is_said_not_to_be_there(
    start: StartNodes, upstream: Upstream, hub: Hub, asked: str
) -> None:
    async with start(keeping(upstream, **KEYS)) as both:
        _, _, id = await of_a_key(both, upstream)
        hub.go_down()
        client = await sent(both[1], ASKED[asked](id))
        assert client.head.startswith(b"HTTP/1.1 503 ")
        assert field(client.head, b"retry-after") == b"1"
        there = await sent(both[0], ASKED[asked](id))
        assert there.head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 204 "))


async def test_while_the_store_is_down_a_stream_that_is_read_here_is_not_stopped(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """Its process cannot be told: 204 would say that it was."""
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        reader = await get(both[1], ADDRESS + id)
        await expect(reader, numbered(id, 1, b"one"))
        hub.go_down()
        client = await sent(both[1], ASKED["to stop it"](id))
        assert client.head.startswith(b"HTTP/1.1 503 ")
        assert followed(both[1])


async def test_while_the_store_is_down_a_request_with_an_idempotency_key_is_served(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """As it is documented: a store that is gone costs resumability only."""
    async with start(keeping(upstream, ids=True)) as both:
        hub.go_down()
        request = post(b"/", b"{}", Idempotency_Key="k")
        client, peer = await both[1].begin(upstream, request)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        await expect(client, b"data: one\n\n")


@pytest.mark.parametrize("is_down", [False, True], ids=["no answer", "down"])
async def test_an_eventsource_comes_back_for_its_stream(
    start: StartNodes, upstream: Upstream, hub: Hub, is_down: bool
) -> None:
    """A clean end has it reconnect, with its Last-Event-ID; an error would end it."""
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        request = ask(Last_Event_ID=f"{id.decode()}.1")
        for _ in range(MOST_IN_VAIN):
            if is_down:
                hub.go_down()
                client = await sent(both[1], request)
            else:
                client = await unanswered(both[1], hub, request)
            assert client.head.startswith(b"HTTP/1.1 200 ")
            assert field(client.head, b"content-type") == b"text/event-stream"
            said = await client.read_until(b"\n\n")
            assert b": the store of streams does not answer; come back" in said
            hub.come_back()
        # It is served in the end, whatever the store does.
        client = await both[1].client()
        hub.held = True
        await client.send(request)
        await became(lambda: bool(hub.waiting))
        hub.go_down()
        hub.release()
        peer = await upstream.request()
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n"))
        await client.read_head()
        await expect(client, b"data: new\n\n")


@pytest.mark.parametrize("is_down", [False, True], ids=["no answer", "down"])
async def test_an_eventsource_that_would_not_come_back_gets_a_new_stream(
    start: StartNodes,
    upstream: Upstream,
    hub: Hub,
    is_down: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """To a page of another origin, a response without CORS fields is the end."""
    caplog.set_level("INFO", "unbuffered")
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        fields = {"Last_Event_ID": f"{id.decode()}.1", "Origin": "https://b.example"}
        hub.held = True
        if is_down:
            hub.go_down()
        client = await both[1].client()
        await client.send(ask(b"/", **fields))
        if not is_down:
            await became(lambda: bool(hub.waiting))
            hub.go_down()
        hub.release()
        peer = await upstream.request()
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n"))
        await client.read_head()
        await expect(client, b"data: new\n\n")
        told = lines_of(caplog)
        assert [each for each in told if "not known (the store of streams does" in each]


@pytest.mark.parametrize("way", ["a cursor", "an address", "a byte"])
async def test_an_event_that_is_not_in_the_store_yet_is_asked_for_again(
    start: StartNodes, upstream: Upstream, hub: Hub, way: str
) -> None:
    """Its client has it from the owner, which sends first."""
    async with start(keeping(upstream, ids=True)) as both:
        request = post(b"/", b"{}")
        mine, peer, id = await begun(both[0], upstream, request)
        reader = await get(both[1], ADDRESS + id)
        await expect(reader, numbered(id, 1, b"one"))
        hub.held = True
        await peer.send(chunk(b"data: two\n\n"))
        two = numbered(id, 2, b"two")
        await expect(mine, two)
        cursor, at = f"{id.decode()}.2", len(numbered(id, 1, b"one") + two)
        if way == "a cursor":
            request = post(b"/", b"{}", Last_Event_ID=cursor)
        elif way == "an address":
            request = ask(ADDRESS + id, Last_Event_ID=cursor)
        else:
            request = ask(ADDRESS + id + b"?from=%d" % at)
        early = await sent(both[1], request)
        assert early.head.startswith(b"HTTP/1.1 503 ")
        assert "does not have yet" in str((await both[1].ended()).error)
        hub.release()
        await expect(reader, two)
        back = await sent(both[1], request)
        assert back.head.startswith(b"HTTP/1.1 200 ")
        await peer.send(chunk(b"data: three\n\n"))
        await expect(back, numbered(id, 3, b"three"))


# -- what is gone


@pytest.mark.parametrize(
    "lost", ["both", "the store", "the process"], ids=lambda each: each
)
@pytest.mark.parametrize("asked", ["by a cursor", "by an address"])
async def test_who_asks_for_a_stream_that_is_gone_reads_which_of_the_two_died(
    start: StartNodes, upstream: Upstream, hub: Hub, asked: str, lost: str
) -> None:
    async with start(keeping(upstream, ids=True)) as both:
        request = post(b"/", b"{}")
        client, peer, id = await begun(both[0], upstream, request)
        if lost != "the store":
            await both.kill(0)
        else:
            await peer.send(chunk(b""))
            assert await client.read_chunk() == b""
            await became(lambda: hub.records[id].end is not None)
        if lost == "the process":  # and the store forgets it in time
            del hub.records[id]
        else:
            hub.go_down()
            hub.come_back(empty=True)
        late = await sent(both[1], ASKED[asked](id))
        assert late.head.startswith(b"HTTP/1.1 404 ")
        told = str((await both[1].ended()).error)
        assert ("has died or cannot reach the store" in told) == (lost != "the store")
        assert ("the process that began it is there" in told) == (lost == "the store")
        assert ("the store, started 0 s ago," in told) == (lost != "the process")
        said = await late.read_until(b"does not have it")
        assert told.partition("(")[0].encode() in said


async def test_an_eventsource_reads_so_of_its_old_stream(
    start: StartNodes,
    upstream: Upstream,
    hub: Hub,
    caplog: pytest.LogCaptureFixture,
    complaints: Complaints,
) -> None:
    caplog.set_level("INFO", "unbuffered")
    async with start(keeping(upstream)) as both:
        _, _, id = await begun(both[0], upstream)
        await both.kill(0)
        hub.go_down()
        hub.come_back(empty=True)
        request = ask(Last_Event_ID=f"{id.decode()}.1")
        client, peer = await both[1].begin(upstream, request)
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        assert stream_id(client) != id
        comment = await client.read_chunk()
        assert b"has died or cannot reach the store, and the store, started" in comment
        told = lines_of(caplog)
        assert [each for each in told if "has died" in each and "a new one" in each]


async def test_who_has_more_than_a_dead_process_has_written_reads_who_died(
    start: StartNodes, upstream: Upstream, hub: Hub
) -> None:
    """By an event, as by a byte."""
    async with start(keeping(upstream, ids=True)) as both:
        _, _, id = await begun(both[0], upstream, post(b"/", b"{}"))
        await both.kill(0)
        cursor = f"{id.decode()}.9"
        for request in (
            post(b"/", b"{}", Last_Event_ID=cursor),
            ask(ADDRESS + id, Last_Event_ID=cursor),
        ):
            late = await sent(both[1], request)
            assert late.head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 410 "))
            assert "has died" in str((await both[1].ended()).error)
