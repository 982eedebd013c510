"""How a kept stream has ended, and what those get who come back for it then."""

from __future__ import annotations

import pytest

from tests.conftest import ManualClock, StartProxy
from tests.support.kept import EVENT_HEAD, ask, field, post, stream_id
from tests.support.messages import CHUNKED
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy

JSON = b'{"id": "c1"}'
CLOSE = b"Connection: close\r\n"


async def keeping(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, **resume: object
) -> RunningProxy:
    table = {"target": upstream.url, "resume": resume or True}
    return await proxy({"/": table}, clock=clock)


async def broken_off(
    running: RunningProxy, upstream: Upstream, rest: bytes
) -> tuple[Peer, bytes]:
    """A client that has event 1 of a stream whose upstream broke off behind `rest`."""
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    await client.read_chunk()
    if rest:
        await peer.send(chunk(rest))
        await client.read_chunk()
    peer.close()
    await client.read_to_close()
    await running.ended()
    return client, stream_id(client)


@pytest.mark.parametrize("rest", [b"", b"data: tw", b": so\n", b"data: two\n"])
async def test_an_event_source_does_not_come_back_to_a_failure_again_and_again(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, rest: bytes
) -> None:
    running = await keeping(proxy, upstream, clock)
    _, id = await broken_off(running, upstream, rest)
    again, peer = await running.begin(
        upstream, ask(Last_Event_ID=(id + b".1").decode())
    )
    assert field(peer.head, b"last-event-id") == id + b".1"
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n") + chunk(b""))
    await again.read_head()
    assert stream_id(again) != id
    assert b"failed" in await again.read_chunk()
    assert (await again.read_chunk()).startswith(b"data: new\n")


async def test_events_that_came_before_a_failure_are_not_lost(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    _, id = await broken_off(running, upstream, b"data: two\n\ndata: thr")
    again = await running.client()
    await again.send(ask(Last_Event_ID=(id + b".1").decode()))
    await again.read_head()
    assert stream_id(again) == id
    assert await again.read_chunk() == b"data: two\nid: %b.2\n\ndata: thr" % id
    await again.closed()  # without the last chunk
    assert upstream.unexpected == 0


async def test_other_clients_learn_of_a_failure(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    _, id = await broken_off(running, upstream, b"")
    again = await running.client()
    await again.send(post(b"/", b"", Last_Event_ID=(id + b".1").decode()))
    assert (await again.read_head()).startswith(b"HTTP/1.1 200 ")
    await again.closed()
    assert upstream.unexpected == 0


async def test_an_event_source_does_not_come_back_for_an_event_without_an_end(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\ndata: two\n") + chunk(b""))
    await client.read_head()
    id = stream_id(client)
    await client.read_body()
    await client.send(ask(Last_Event_ID=(id + b".1").decode()))
    assert (await client.read_head()).startswith(b"HTTP/1.1 204 ")
    # Who reads on to the end of a body gets it.
    await client.send(post(b"/", b"", Last_Event_ID=(id + b".1").decode()))
    await client.read_head()
    assert await client.read_body() == b"data: two\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n" + CLOSE + b"\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n"
        + CLOSE
        + b"\r\nslow",
        EVENT_HEAD % b"" + chunk(b"data: one\n\n"),  # and then it breaks off
        CHUNKED
        + CLOSE
        + b"Content-Type: text/event-stream\r\n\r\n"
        + chunk(b'data: {"object":"chat.completion.chunk","choices":[]}\n\n')
        + chunk(b""),
    ],
    ids=["503", "429", "broken off", "truncated"],
)
async def test_what_has_failed_is_asked_for_again_by_the_same_idempotency_key(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock, answer: bytes
) -> None:
    running = await keeping(proxy, upstream, clock)
    request = post(b"/", JSON, Idempotency_Key="k1")
    client, peer = await running.begin(upstream, request)
    await peer.read(len(JSON))
    waiting = await running.client()
    await waiting.send(request)
    await became(lambda: bool(running.server.kept.counts.resumed))
    await peer.send(answer)
    if not answer.endswith(chunk(b"")):
        peer.close()
    first, second = await client.read_head(), await waiting.read_head()
    assert first.splitlines()[0] == second.splitlines()[0]
    await running.ended()
    await running.ended()
    assert upstream.unexpected == 0
    again, peer = await running.begin(upstream, request)
    await peer.read(len(JSON))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: two\n\n") + chunk(b""))
    await again.read_head()
    assert await again.read_body() == b"data: two\n\n"


async def test_what_was_done_is_not_done_again_by_the_same_idempotency_key(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock)
    request = post(b"/", JSON, Idempotency_Key="k1")
    client, peer = await running.begin(upstream, request)
    await peer.read(len(JSON))
    await peer.send(b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone")
    assert (await client.read_head()).startswith(b"HTTP/1.1 201 ")
    assert await client.read(4) == b"done"
    await client.send(request)
    assert (await client.read_head()).startswith(b"HTTP/1.1 201 ")
    assert await client.read(4) == b"done"
    assert upstream.unexpected == 0


KEYED = {
    "key": "header:X-Chat",
    "path": "/chat/{key}/stream",
    "stop": "/chat/{key}/stop",
    "bind": [],
}


async def running_answer(running: RunningProxy, upstream: Upstream) -> Peer:
    """The upstream of an answer with a key whose client has left."""
    client, peer = await running.begin(upstream, post(b"/chat", b"{}", X_Chat="c1"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    await client.read_chunk()
    client.close()
    await running.ended()
    return peer


async def test_only_another_stream_replaces_the_one_with_its_key(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, **KEYED)
    peer = await running_answer(running, upstream)
    # The page is loaded again.
    client, other = await running.begin(
        upstream, b"GET / HTTP/1.1\r\nHost: a\r\nX-Chat: c1\r\n\r\n"
    )
    page = await running.client()
    await page.send(ask(b"/chat/c1/stream"))
    await became(lambda: bool(running.server.kept.counts.resumed))
    await other.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n"
        + CLOSE
        + b"\r\nok"
    )
    await client.read_head()
    await page.read_head()
    assert await page.read_chunk() == b"data: one\n\n"
    page.close()
    await running.ended()
    # A further answer.
    client, other = await running.begin(upstream, post(b"/chat", b"{}", X_Chat="c1"))
    await idle()
    assert len(running.server.kept.streams) == 1
    await other.send(EVENT_HEAD % b"" + chunk(b"data: two\n\n"))
    await client.read_head()
    assert await peer.read(2) == b"{}"
    await peer.closed()
    page = await running.client()
    await page.send(ask(b"/chat/c1/stream"))
    await page.read_head()
    assert await page.read_chunk() == b"data: two\n\n"


async def test_stop_ends_all_that_has_the_key(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await keeping(proxy, upstream, clock, **KEYED)
    peer = await running_answer(running, upstream)
    waiting, other = await running.begin(upstream, post(b"/chat", b"{}", X_Chat="c1"))
    await other.read(2)
    stop, third = await running.begin(upstream, post(b"/chat/c1/stop", b""))
    await third.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await stop.read_head()).startswith(b"HTTP/1.1 204 ")
    assert (await waiting.read_head()).startswith(b"HTTP/1.1 410 ")
    await peer.read(2)
    for each in (peer, other):
        await each.closed()


async def test_who_comes_inside_an_event_whose_beginning_is_gone_asks_alone(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url, "share": True}}, clock=clock)
    first, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"")
    await first.read_head()
    for _ in range(20):
        await peer.send(chunk(b"data: " + b"x" * 100_000))
        await first.read_chunk()
    second, other = await running.begin(upstream, ask())
    await other.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await second.read_head()
    assert await second.read_chunk() == b"data: one\n\n"


async def test_who_reads_a_204_as_a_fault_gets_an_event_stream_that_has_ended(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    """fetch-event-source asks again every second, httpx-sse raises an error."""
    running = await keeping(proxy, upstream, clock)
    client, peer = await running.begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n") + chunk(b""))
    await client.read_head()
    last = (stream_id(client) + b".1").decode()
    await client.read_body()
    request = ask(Last_Event_ID=last)
    no_cache = b"Cache-Control: no-cache\r\n"
    await client.send(request.replace(no_cache, b"Cache-Control: no-store\r\n"))
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
    assert field(client.head, b"content-type") == b"text/event-stream"
    assert field(client.head, b"content-length") == b"0"
    # One that looks like an EventSource is none if it comes back from a 204.
    for status, field_line in ((b"204", no_cache), (b"200", b""), (b"204", b"")):
        await client.send(request.replace(no_cache, field_line))
        assert (await client.read_head()).startswith(b"HTTP/1.1 %b " % status)
    assert upstream.unexpected == 0


async def test_an_answer_that_is_read_to_its_end_runs_no_more_however_long_it_was(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    resume = {
        "key": "body:id",
        "bind": ["X-User"],
        "path": "/{key}/stream",
        "max_bytes": 2048,
    }
    table = {"target": upstream.url, "resume": resume}
    running = await proxy({"/": table}, clock=clock)
    client, peer = await running.begin(upstream, post(b"/", b'{"id":"one"}'))
    await peer.send(EVENT_HEAD % b"")
    await client.read_head()
    for number in range(40):
        await peer.send(chunk(b"data: %0100d\n\n" % number))
        assert await client.read_chunk()
    statuses = []
    for _ in ("running", "ended"):
        page = await running.client()
        await page.send(ask(b"/one/stream"))
        statuses.append((await page.read_head()).split()[1])
        if len(statuses) == 1:
            await peer.send(chunk(b""))
            assert await client.read_chunk() == b""
            await running.ended()
    assert statuses == [b"410", b"204"]
