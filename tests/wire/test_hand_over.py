"""Several workers: a kept stream belongs to one, and all answer for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.exchange.subscriber import Subscriber
from proxy.timeline import Ending
from tests.conftest import ManualClock
from tests.support.kept import EVENT_HEAD, ask, field, post, read_chunks, stream_id
from tests.support.messages import OK, without_id
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.siblings import Siblings, siblings

pytestmark = pytest.mark.both_protocols

Resume = dict[str, object]


@pytest.fixture
async def workers(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Siblings]:
    """Two workers that keep all streams of one route."""
    routes = {"/": {"target": upstream.url, "resume": True}}
    async with siblings(tmp_path, routes, clock=clock) as both:
        yield both


def numbered(id: bytes, number: int, text: bytes) -> bytes:
    """An event as the client gets it."""
    return b"data: %b\nid: %b.%d\n\n" % (text, id, number)


def owner_of(workers: Siblings) -> int:
    """The worker that has the only stream."""
    (owner,) = (n for n in range(len(workers)) if workers[n].server.kept.streams)
    return owner


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("away", [0, 1], ids=["at the owner", "at another worker"])
async def test_an_event_id_leads_to_its_stream(
    workers: Siblings, upstream: Upstream, first: int, away: int
) -> None:
    client, peer = await workers[first].begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    assert int(id.partition(b"-")[0]) == owner_of(workers)
    assert await client.read_chunk() == numbered(id, 1, b"one")
    await peer.send(chunk(b"data: two\n\n"))
    assert await client.read_chunk() == numbered(id, 2, b"two")
    client.close()
    assert (await workers[first].ended()).ending is Ending.CLIENT_LEFT

    running = workers[owner_of(workers) ^ away]
    again = await running.client()
    await again.send(ask(Last_Event_ID=(id + b".1").decode()))
    await again.read_head()
    assert stream_id(again) == id
    assert await again.read_chunk() == numbered(id, 2, b"two")
    await peer.send(chunk(b"data: three\n\n") + chunk(b""))
    assert await read_chunks(again, len(numbered(id, 3, b"three"))) == numbered(
        id, 3, b"three"
    )
    assert await again.read_chunk() == b""
    assert (await running.ended()).ending is Ending.COMPLETE
    await again.send(ask(Last_Event_ID=(id + b".3").decode()))
    assert (await again.read_head()).startswith(b"HTTP/1.1 204 ")
    assert upstream.unexpected == 0


@pytest.mark.parametrize("away", [0, 1], ids=["at the owner", "at another worker"])
async def test_an_address_leads_to_its_stream(
    workers: Siblings, upstream: Upstream, away: int
) -> None:
    client, peer = await workers[0].begin(
        upstream, post(b"/x", b"{}", Authorization="a")
    )
    await peer.read(2)
    cors = b"Access-Control-Allow-Origin: https://page.example\r\n"
    await peer.send(EVENT_HEAD % cors + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    assert owner_of(workers) == 0  # nothing says where else
    assert await client.read_chunk() == b"data: one\n\n"
    running = workers[away]
    at = b"/_unbuffered/streams/" + id
    own = b"Host: a\r\nOrigin: https://page.example\r\nAuthorization: a\r\n\r\n"

    other = await running.client()
    await other.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    assert (await other.read_head()).startswith(b"HTTP/1.1 404 ")

    other = await running.client()
    await other.send(b"HEAD %b HTTP/1.1\r\n%b" % (at, own))
    head = await other.read_head()
    assert field(head, b"stream-state") == b"running"
    assert field(head, b"stream-bytes") == b"0-11"
    assert field(head, b"access-control-allow-origin") == b"https://page.example"
    await other.send(
        b"OPTIONS %b HTTP/1.1\r\nHost: a\r\nOrigin: https://page.example\r\n"
        b"Access-Control-Request-Method: DELETE\r\n\r\n" % at
    )
    assert (await other.read_head()).startswith(b"HTTP/1.1 204 ")
    await other.send(b"GET %b?from=x HTTP/1.1\r\n%b" % (at, own))
    assert (await other.read_head()).startswith(b"HTTP/1.1 400 ")
    other = await running.client()
    await other.send(b"GET %b?from=6 HTTP/1.1\r\n%b" % (at, own))
    await other.read_head()
    assert b"unbuffered-worker" not in other.head.lower()
    assert other.head.lower().count(b"\r\nvia:") == 1
    assert await other.read_chunk() == b"one\n\n"

    third = await running.client()
    await third.send(b"DELETE %b HTTP/1.1\r\n%b" % (at, own))
    assert (await third.read_head()).startswith(b"HTTP/1.1 204 ")
    await peer.closed()
    for each in (client, other):
        rest, _ = await each.read_to_close()
        assert not rest.endswith(chunk(b""))
    await third.send(b"GET %b HTTP/1.1\r\n%b" % (at, own))
    assert (await third.read_head()).startswith(b"HTTP/1.1 410 ")


@pytest.mark.parametrize("second", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
async def test_a_repeated_post_joins_its_answer_at_any_worker(
    workers: Siblings, upstream: Upstream, first: int, second: int
) -> None:
    request = post(b"/x", b'{"a":1}', Idempotency_Key="k", Accept="*/*")
    client, peer = await workers[first].begin(upstream, request)
    assert await peer.read(7) == b'{"a":1}'
    other = await workers[second].client()
    await other.send(request)  # before there is a response
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    for each in (client, other):
        await each.read_head()
        assert await each.read_chunk() == b"data: one\n\n"
    client.reset()
    await workers[first].ended()
    await peer.send(chunk(b"data: two\n\n") + chunk(b""))
    assert await other.read_chunk() == b"data: two\n\n"
    assert await other.read_chunk() == b""
    again = await workers[first].client()
    await again.send(request)
    await again.read_head()
    assert await again.read_payload(22) == b"data: one\n\ndata: two\n\n"
    assert await again.read_chunk() == b""
    assert upstream.unexpected == 0


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("by", ["field", "query"])
async def test_an_event_id_of_the_upstream_leads_to_its_stream(
    workers: Siblings, upstream: Upstream, first: int, again: int, by: str
) -> None:
    client, peer = await workers[first].begin(upstream, ask(b"/x"))
    await peer.send(EVENT_HEAD % b"" + chunk(b"id: 1\ndata: one\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"id: 1\ndata: one\n\n"
    client.close()
    await workers[first].ended()
    await peer.send(chunk(b"id: 2\ndata: two\n\n"))
    other = await workers[again].client()
    if by == "field":
        await other.send(ask(b"/x", Last_Event_ID="1"))
    else:
        await other.send(ask(b"/x?lastEventID=1"))
    await other.read_head()
    assert await other.read_chunk() == b"id: 2\ndata: two\n\n"
    assert upstream.unexpected == 0


@pytest.mark.parametrize("resume", [False, True])
async def test_clients_of_all_workers_share_one_stream(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, resume: bool
) -> None:
    routes = {"/": {"target": upstream.url, "share": True, "resume": resume}}
    async with siblings(tmp_path, routes, count=3, clock=clock) as workers:
        first, peer = await workers[0].begin(upstream, ask(b"/feed"))
        clients = [first]
        for number in (0, 1, 2):
            clients.append(await workers[number].client())
            await clients[-1].send(ask(b"/feed"))
        await idle()
        await peer.send(EVENT_HEAD % b"" + chunk(b"id: 7\ndata: one\n\n"))
        for each in clients:
            await each.read_head()
            assert await each.read_chunk() == b"id: 7\ndata: one\n\n"
        owner = owner_of(workers)
        if resume:  # with the cursor it meets the others at the same worker
            late = await workers[(owner + 1) % 3].client()
            await late.send(ask(b"/feed", Last_Event_ID="7"))
            await late.read_head()
            clients.append(late)
            await idle()
        await peer.send(chunk(b"data: two\n\n"))
        for each in clients:
            assert await each.read_chunk() == b"data: two\n\n"
        assert upstream.unexpected == 0
        for each in clients:
            each.close()
        if resume:
            await idle()
            clock.advance(61)
            workers[owner].tick()
        await peer.closed()


@pytest.mark.parametrize("number", [0, 1])
async def test_a_body_is_handed_over_while_it_comes(
    workers: Siblings, upstream: Upstream, number: int
) -> None:
    client, peer = await workers[number].begin(
        upstream,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Idempotency-Key: k\r\nExpect: 100-continue\r\n\r\n",
    )
    await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 100 ")
    for part in (b"one", b"two", b""):
        await client.send(chunk(part))
        assert await peer.read_chunk() == part
    await peer.send(OK)
    await client.read_head()
    assert await client.read(2) == b"ok"


async def away_from(workers: Siblings, upstream: Upstream, request: bytes) -> int:
    """The worker at which a request is not served; one has the stream of it now."""
    client, peer = await workers[0].begin(upstream, request)
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: begun\n\n"))
    await client.read_head()
    assert (await client.read_chunk()).startswith(b"data: begun\n")
    owner = owner_of(workers)
    (stream,) = workers[owner].server.kept.streams.values()
    client.close()
    await workers[0].ended()
    stream.expire()
    await peer.read_rest()
    return owner ^ 1


async def begun_away(
    workers: Siblings, upstream: Upstream, request: bytes, head: bytes = b""
) -> tuple[int, Peer, Peer]:
    """A stream whose client is at another worker: its number, client, upstream."""
    away = await away_from(workers, upstream, request)
    client, peer = await workers[away].begin(upstream, request)
    await peer.send(EVENT_HEAD % head + chunk(b"data: one\n\n"))
    await client.read_head()
    assert (await client.read_chunk()).startswith(b"data: one\n")
    assert owner_of(workers) == away ^ 1
    return away, client, peer


async def test_the_upstream_sees_the_client_and_no_worker(
    workers: Siblings, upstream: Upstream
) -> None:
    request = ask(
        X_Forwarded_For="1.2.3.4", Unbuffered_Worker="https 9.9.9.9 1 0", TE="trailers"
    )
    heads = []
    for number in (0, 1):
        client, peer = await workers[number].begin(upstream, request)
        heads.append(
            without_id(peer.head).replace(b"%d" % workers[number].port, b"PORT")
        )
        await peer.send(EVENT_HEAD % b"" + chunk(b"id: 1\ndata: one\n\n"))
        await client.read_head()
        assert client.head.lower().count(b"\r\nvia:") == 1
        assert client.head.lower().count(b"\r\ndate:") == 1
        assert b"unbuffered-worker" not in client.head.lower()
    assert heads[0] == heads[1]
    assert field(heads[0], b"x-forwarded-for") == b"127.0.0.1"
    assert field(heads[0], b"unbuffered-worker") == b"https 9.9.9.9 1 0"
    assert heads[0].lower().count(b"\r\nvia:") == 1


ACCEPT = b"Accept: text/event-stream\r\n"
HEADS = {
    "without a host": b"GET /x HTTP/1.0\r\n" + ACCEPT,
    "1.0 that stays": b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n" + ACCEPT,
    "absolute": b"GET http://b.example/x?y HTTP/1.1\r\nHost: a\r\n" + ACCEPT,
    "named fields": b"GET / HTTP/1.1\r\nHost: a\r\nX-Own: 1\r\nX-Kept: 2\r\n"
    b"Connection: X-Own, close, TE\r\nTE: trailers\r\n" + ACCEPT,
    "repeated fields": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\n"
    b"Via: 1.0 c\r\nCookie: a=1\r\nCookie: b=2\r\n" + ACCEPT,
    "odd bytes": b"GET /%2F%zz/\xff?a=%00 HTTP/1.1\r\nHost: a\r\nX-C: \xff \r\n"
    + ACCEPT,
    "a long body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + ACCEPT,
    "an empty body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + ACCEPT,
    "as large as may be": b"GET / HTTP/1.1\r\nHost: a\r\n"
    + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 300) for n in range(190))
    + ACCEPT,
}


@pytest.mark.http1
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_a_request_that_is_handed_over_is_the_same_request(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, head: bytes
) -> None:
    body = b"abc" if b"Content-Length: 3" in head else b""
    table = {
        "target": upstream.url,
        "resume": True,
        "upstream_keepalive_seconds": 0,
        "headers": {"response": {"remove": ["X-Accel-Buffering"]}},
    }
    heads, answers = [], []
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        for running in workers.running:
            client, peer = await running.begin(upstream, head + b"\r\n" + body)
            heads.append(without_id(peer.head).replace(b"%d" % running.port, b"PORT"))
            assert await peer.read(len(body)) == body
            await peer.send(
                EVENT_HEAD % b"Date: today\r\nTrailer: X-T\r\n"
                + chunk(b"id: 1\ndata: one\n\n")
                + b"0\r\nX-T: 1\r\n\r\n"
            )
            id = field(await client.read_head(), b"stream-id") or b"none"
            if b"HTTP/1.0" in head:
                rest = await client.read(17)
            else:
                rest = await client.read_until(b"\r\n0\r\n")
                rest += await client.read_until(b"\r\n")
            answers.append((client.head.replace(id, b"ID"), rest))
    assert heads[0] == heads[1]
    assert answers[0] == answers[1]
    assert answers[0][1].endswith(b"X-T: 1\r\n") is (b"TE: trailers" in head)


async def test_there_is_one_line_in_the_log_and_it_names_the_upstream(
    workers: Siblings, upstream: Upstream
) -> None:
    away, client, peer = await begun_away(workers, upstream, ask())
    await peer.send(chunk(b"data: [DONE]\n\n") + chunk(b""))
    assert (await client.read_chunk()).startswith(b"data: [DONE]\n")
    assert await client.read_chunk() == b""
    timeline = await workers[away].ended()
    assert timeline.ending is Ending.COMPLETE
    assert timeline.route == "/"
    assert timeline.call.upstream == upstream.url
    assert timeline.status == 200
    await idle()
    for running in workers.running:
        assert running.exchanges.empty()
        assert not running.server.exchanges
        assert not running.server.peer_door.exchanges
    assert workers[away].server.kept.counts.kept == 0


async def test_a_client_that_leaves_leaves_the_stream_where_it_is(
    workers: Siblings, upstream: Upstream
) -> None:
    away, client, _ = await begun_away(workers, upstream, ask())
    (stream,) = workers[away ^ 1].server.kept.streams.values()
    assert len(stream.audience.subscribers) == 1
    client.close()
    assert (await workers[away].ended()).ending is Ending.CLIENT_LEFT
    await idle()
    assert not stream.audience.subscribers
    assert not workers[away ^ 1].server.peer_door.clients


@pytest.mark.http1
async def test_a_slow_client_is_fed_from_the_log_of_the_other_worker(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    size = 16 * 1024 * 1024
    resume = {"max_bytes": 2 * size}
    routes = {"/": {"target": upstream.url, "resume": resume}}
    async with siblings(tmp_path, routes, clock=clock) as workers:
        away = await away_from(workers, upstream, ask())
        client = await workers[away].client(receive_bytes=4096)
        await client.send(ask())
        peer = await upstream.request()
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        piece = b"data: " + b"x" * 65000 + b"\n\n"
        count = size // len(piece)
        for _ in range(count):  # the upstream is never slowed down
            await peer.send(chunk(piece))
        await idle()
        (stream,) = workers[away ^ 1].server.kept.streams.values()
        (subscriber,) = stream.audience.subscribers
        assert not subscriber.live
        assert stream.log.end - subscriber.position > size // 2
        (connection,) = workers[away].connections
        assert connection.transport.get_write_buffer_size() < 1024 * 1024
        got = 0
        while got < stream.log.end:
            got += len(await client.read_chunk())
        assert got == stream.log.end
        await became_live(subscriber)


async def became_live(subscriber: Subscriber) -> None:
    """Wait until a client has all that there is."""
    await became(lambda: subscriber.live)


async def rest_of(client: Peer, *, clean: bool) -> bytes:
    """The rest of a response, which ends as one that is complete, or does not."""
    if clean:
        return await client.read_body()
    rest, _ = await client.read_to_close()
    assert not rest.endswith(chunk(b""))
    return rest


@pytest.mark.parametrize("told", ["abort", "event"])
async def test_a_worker_that_dies_leaves_an_honest_end(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, told: str
) -> None:
    table = {"target": upstream.url, "resume": True, "on_upstream_failure": told}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        away, client, _ = await begun_away(workers, upstream, ask())
        id = stream_id(client)
        by_address = await workers[away].client()
        await by_address.send(
            b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\n\r\n" % id
        )
        await by_address.read_head()
        await by_address.read_chunk()
        await workers.kill(away ^ 1)
        # An EventSource comes back behind a clean end; others are not deceived.
        rest = await rest_of(client, clean=told == "event")
        assert (b"event: error" in rest) is (told == "event")
        rest = await rest_of(by_address, clean=False)
        assert (b"event: error" in rest) is (told == "event")
        for _ in range(2):
            assert (await workers[away].ended()).ending is Ending.UPSTREAM_BROKE

        # What it had is not known any more.
        other = await workers[away].client()
        await other.send(
            b"GET /_unbuffered/streams/%b HTTP/1.1\r\nHost: a\r\n\r\n" % id
        )
        assert (await other.read_head()).startswith(b"HTTP/1.1 404 ")
        other = await workers[away].client()
        await other.send(
            ask(Last_Event_ID=(id + b".1").decode()).replace(b"GET", b"POST")
        )
        assert (await other.read_head()).startswith(b"HTTP/1.1 404 ")
        # An EventSource gets a new stream, at this worker.
        again, peer = await workers[away].begin(
            upstream, ask(Last_Event_ID=(id + b".1").decode())
        )
        assert field(peer.head, b"last-event-id") == id + b".1"
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: new\n\n"))
        await again.read_head()
        assert (await again.read_chunk()).startswith(b": ")
        assert stream_id(again).startswith(b"%d-" % away)
        again.close()
        await peer.send(chunk(b""))


@pytest.mark.parametrize("told", ["abort", "event"])
@pytest.mark.parametrize("back", [False, True], ids=["post", "event source"])
async def test_an_upstream_that_fails_is_told_of_once(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, told: str, back: bool
) -> None:
    table = {"target": upstream.url, "resume": True, "on_upstream_failure": told}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        request = ask() if back else post(b"/", b"{}", Accept="text/event-stream")
        away, client, peer = await begun_away(workers, upstream, request)
        peer.reset()
        rest = await rest_of(client, clean=told == "event" and back)
        assert rest.count(b"event: error") == (told == "event")
        timeline = await workers[away].ended()
        assert timeline.ending is Ending.UPSTREAM_BROKE
        assert timeline.call.upstream == upstream.url
        assert timeline.error is not None
        assert "worker" not in str(timeline.error)
        assert timeline.error.type == "http_response_incomplete"


async def test_what_the_other_worker_answers_by_itself_is_logged_as_its_failure(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": True}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        away = await away_from(workers, upstream, ask())
        client, peer = await workers[away].begin(upstream, ask())
        peer.close()
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 502 ")
        timeline = await workers[away].ended()
        assert timeline.status == 502
        assert timeline.ending is Ending.UPSTREAM_BROKE
        assert timeline.call.upstream == upstream.url


async def test_who_says_so_on_the_port_is_not_believed(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": {"bind": ["Cookie"]}}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        request = (
            b"GET / HTTP/1.1\r\nUnbuffered-Worker: https 9.9.9.9 1 1\r\nHost: a\r\n\r\n"
        )
        _, peer = await workers[0].begin(upstream, request)
        assert field(peer.head, b"x-forwarded-for") == b"127.0.0.1"
        assert field(peer.head, b"x-forwarded-proto") == b"http"
        assert field(peer.head, b"unbuffered-worker") == b"https 9.9.9.9 1 1"


@pytest.mark.parametrize("away", [0, 1])
async def test_whose_stream_it_is_is_checked_where_it_is(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, away: int
) -> None:
    table = {"target": upstream.url, "resume": {"bind": ["Authorization"]}}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        client, peer = await workers[0].begin(upstream, ask(Authorization="mine"))
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        id = stream_id(client)
        running = workers[owner_of(workers) ^ away]
        for who, known in (("mine", True), ("other", False), ("", False)):
            fields = {"Authorization": who} if who else {}
            other = await running.client()
            await other.send(ask(b"/_unbuffered/streams/" + id, **fields))
            head = await other.read_head()
            assert head.startswith(b"HTTP/1.1 200 " if known else b"HTTP/1.1 404 ")
            if not known:
                stranger = await running.client()
                last = (id + b".1").decode()
                await stranger.send(ask(b"/", Last_Event_ID=last, **fields))
                second = await upstream.request()
                await second.send(EVENT_HEAD % b"" + chunk(b"data: his\n\n"))
                await stranger.read_head()
                assert stream_id(stranger) != id


async def test_a_reload_leaves_what_was_handed_over(
    workers: Siblings, upstream: Upstream
) -> None:
    _, client, peer = await begun_away(workers, upstream, ask())
    id = stream_id(client)
    for running in workers.running:
        await running.server.reload(workers.config)
        assert not running.server.others.routes  # of the configuration before
    await peer.send(chunk(b"data: two\n\n"))
    assert await client.read_chunk() == numbered(id, 2, b"two")
    for running in workers.running:
        again = await running.client()
        await again.send(ask(Last_Event_ID=(id + b".1").decode()))
        await again.read_head()
        assert await again.read_chunk() == numbered(id, 2, b"two")


async def test_a_worker_that_cannot_be_reached_is_done_without(
    workers: Siblings, upstream: Upstream
) -> None:
    away = await away_from(workers, upstream, ask())
    await workers.kill(away ^ 1)
    client, peer = await workers[away].begin(upstream, ask())
    await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
    await client.read_head()
    id = stream_id(client)
    assert id.startswith(b"%d-" % away)
    # Served here, it is closed here.
    client.close()
    assert (await workers[away].ended()).ending is Ending.CLIENT_LEFT
    (stream,) = workers[away].server.kept.streams.values()
    assert not stream.audience.subscribers


async def test_requests_handed_over_count_where_they_are_served(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": True}
    tables = {"server": {"max_exchanges": 1}}
    async with siblings(tmp_path, {"/": table}, tables, clock=clock) as workers:
        away = await away_from(workers, upstream, ask())
        client, peer = await workers[away ^ 1].begin(upstream, ask())
        await peer.send(EVENT_HEAD % b"")
        await client.read_head()
        other = await workers[away].client()
        await other.send(ask())
        assert (await other.read_head()).startswith(b"HTTP/1.1 503 ")
        timeline = await workers[away].ended()
        assert "max_exchanges" in str(timeline.error)


async def test_streams_that_nobody_reads_make_room_for_requests_handed_over(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "resume": True}
    tables = {"server": {"max_exchanges": 1}}
    async with siblings(tmp_path, {"/": table}, tables, clock=clock) as workers:
        away, client, left = await begun_away(workers, upstream, ask())
        client.close()
        await workers[away].ended()
        await idle()
        _, peer = await workers[away].begin(upstream, ask())
        await left.closed()
        await peer.send(EVENT_HEAD % b"")


@pytest.mark.parametrize("again", [0, 1])
async def test_an_event_id_leads_to_a_stream_that_began_anywhere(
    upstream: Upstream, tmp_path: Path, clock: ManualClock, again: int
) -> None:
    """A POST that asks for no event stream is repeated with the last event."""
    table = {"target": upstream.url, "resume": {"ids": True}}
    async with siblings(tmp_path, {"/": table}, clock=clock) as workers:
        request = post(b"/", b"{}")
        client, peer = await workers[0].begin(upstream, request)
        await peer.read(2)
        await peer.send(EVENT_HEAD % b"" + chunk(b"data: one\n\n"))
        await client.read_head()
        id = stream_id(client)
        client.close()
        await workers[0].ended()
        await peer.send(chunk(b"data: two\n\n"))
        other = await workers[again].client()
        await other.send(post(b"/", b"{}", Last_Event_ID=(id + b".1").decode()))
        await other.read_head()
        assert await other.read_chunk() == numbered(id, 2, b"two")
        assert owner_of(workers) == 0
        assert upstream.unexpected == 0


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("again", [0, 1])
async def test_a_stream_of_mcp_that_a_post_began_is_resumed_by_get(
    workers: Siblings, upstream: Upstream, first: int, again: int
) -> None:
    fields = {"Mcp-Session-Id": "s", "MCP-Protocol-Version": "2025-06-18"}
    request = post(
        b"/mcp", b"{}", Accept="application/json, text/event-stream", **fields
    )
    client, peer = await workers[first].begin(upstream, request)
    await peer.read(2)
    await peer.send(EVENT_HEAD % b"" + chunk(b"id: e1\ndata: {}\n\n"))
    await client.read_head()
    assert await client.read_chunk() == b"id: e1\ndata: {}\n\n"
    client.close()
    await workers[first].ended()
    await peer.send(chunk(b"id: e2\ndata: {}\n\n"))
    other = await workers[again].client()
    await other.send(ask(b"/mcp", Last_Event_ID="e1", **fields))
    await other.read_head()
    assert await other.read_chunk() == b"id: e2\ndata: {}\n\n"
    assert upstream.unexpected == 0


async def test_a_route_that_keeps_nothing_asks_no_other_worker(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> None:
    table = {"target": upstream.url, "upstream_keepalive_seconds": 0}
    routes = {"/": table, "/kept": {**table, "resume": True}}
    async with siblings(tmp_path, routes, clock=clock) as workers:
        for running in workers.running:
            for request in (
                ask(Last_Event_ID="1"),
                ask(Last_Event_ID=f"1-{'0' * 32}.1"),
                post(b"/", b"{}", Idempotency_Key="k"),
                post(b"/kept", b"{}"),  # nobody can come back for it by name
            ):
                client, peer = await running.begin(upstream, request)
                await peer.send(OK)
                await client.read_head()
            assert not running.server.others.upstreams
