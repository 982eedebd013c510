"""A client has no more streams than it may have; the rest is answered with 429."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.exchange.client_counts import QUIET_SECONDS
from proxy.exchange.stream_limit import RETRY_AFTER
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.kept import (
    EVENT_HEAD,
    EVENTS,
    NDJSON_HEAD,
    ask,
    field,
    post,
    stream_id,
)
from tests.support.looking import asked, looking
from tests.support.messages import CHUNKED, OK
from tests.support.raw import Peer, Upstream, became, chunk, idle
from tests.support.running import RunningProxy, Table
from tests.support.siblings import Siblings, siblings

pytestmark = pytest.mark.both_protocols

EVENT = b"data: one\n\n"
STREAM_BODY = b'{"stream": true}'
PAGE = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\n\r\n"
EITHER = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"


async def limited(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock | None = None,
    most: int = 2,
    server: Table | None = None,
    **options: object,
) -> RunningProxy:
    table = {
        "target": upstream.url,
        "max_streams_per_client": most,
        "upstream_keepalive_seconds": 0,  # each request has a connection of its own
        **options,
    }
    given = {} if clock is None else {"clock": clock}
    return await proxy({"/": table}, server=server or {}, **given)


async def stream(
    running: RunningProxy, upstream: Upstream, request: bytes | None = None
) -> tuple[Peer, Peer]:
    """A client that has the first event."""
    client, server = await running.begin(upstream, request or ask())
    if request is not None and request.endswith(STREAM_BODY):
        await server.read(len(STREAM_BODY))
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 200 OK"
    assert await client.read_chunk() == EVENT
    return client, server


async def refused(running: RunningProxy, request: bytes | None = None) -> Peer:
    """A client that gets 429 before any upstream is asked."""
    client = await running.client()
    await client.send(request or ask())
    await check_refused(client)
    return client


async def check_refused(client: Peer) -> bytes:
    """A response is 429; its body."""
    head = await client.read_head()
    assert client.head_lines[0] == b"HTTP/1.1 429 Too Many Requests"
    assert field(head, b"proxy-status") == b"unbuffered; error=http_request_denied"
    after = field(head, b"retry-after")
    assert after is not None
    assert RETRY_AFTER[0] <= int(after) <= RETRY_AFTER[1]
    size = field(head, b"content-length")
    assert size is not None
    body = await client.read(int(size))
    assert b"max_streams_per_client" in body
    return body


# -- when a request counts


async def test_one_more_is_refused_before_the_upstream_is_asked(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream)
    first, server = await stream(running, upstream)
    await stream(running, upstream)
    await refused(running)
    timeline = await running.ended()
    assert (timeline.status, timeline.ending) == (429, Ending.REFUSED)
    assert timeline.call.upstream is None
    assert "max_streams_per_client" in str(timeline.error)
    # One that ends, or whose client leaves, makes room.
    await server.send(chunk(b""))
    assert await first.read_chunk() == b""
    await running.ended()
    third, _ = await stream(running, upstream)
    await refused(running)
    await running.ended()
    third.close()
    assert (await running.ended()).ending is Ending.CLIENT_LEFT
    await stream(running, upstream)
    assert upstream.unexpected == 0


async def test_of_many_at_once_no_more_go_on_than_there_is_room_for(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """While no response head is here."""
    running = await limited(proxy, upstream)
    clients = [await running.client() for _ in range(20)]
    for each in clients:
        await each.send(ask())
    for _ in range(2):
        await upstream.request()
    for _ in range(18):
        assert (await running.ended()).status == 429
    await idle()
    assert upstream.unexpected == 0
    assert len(running.server.exchanges) == 2


async def test_a_body_that_asks_for_a_stream_counts_before_its_end_goes_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    await stream(running, upstream, post(b"/", STREAM_BODY))
    client = await running.client()
    whole = post(b"/", STREAM_BODY)
    await client.send(whole)
    await check_refused(client)
    assert (await running.ended()).status == 429
    await (await upstream.connection()).closed()  # on which nothing was sent
    # In parts: the upstream gets what came before the end of the body is here.
    cut = len(whole) - 5
    await client.send(whole[:cut])
    server = await upstream.request()
    assert await server.read(len(STREAM_BODY) - 5) == STREAM_BODY[:-5]
    await client.send(whole[cut:])
    await check_refused(client)
    await server.closed()


@pytest.mark.http1
async def test_a_request_behind_a_refused_one_is_served(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    await stream(running, upstream)
    client = await running.client()
    await client.send(post(b"/", STREAM_BODY) + ask() + PAGE)
    await check_refused(client)
    await (await upstream.connection()).closed()
    await check_refused(client)
    server = await upstream.request()
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("body", [b'{"stream": false}', b"[]", b"{"])
async def test_calls_of_an_api_never_count(
    proxy: StartProxy, upstream: Upstream, body: bytes
) -> None:
    running = await limited(proxy, upstream, most=1)
    await stream(running, upstream)
    calls = [await running.begin(upstream, post(b"/", body)) for _ in range(5)]
    for client, server in calls:
        assert await server.read(len(body)) == body
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(CHUNKED + b"Content-Type: text/html\r\n\r\n", id="page"),
        pytest.param(CHUNKED + b"\r\n", id="of no type"),
    ],
)
async def test_pages_never_count_however_they_are_framed(
    proxy: StartProxy, upstream: Upstream, head: bytes
) -> None:
    running = await limited(proxy, upstream, most=1)
    await stream(running, upstream)
    pages = [await running.begin(upstream, PAGE) for _ in range(5)]
    for client, server in pages:
        await server.send(head + chunk(b"<p>"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await client.read_chunk() == b"<p>"


@pytest.mark.parametrize("head", [EVENT_HEAD % b"", NDJSON_HEAD])
async def test_what_only_the_response_shows_counts_from_then_on(
    proxy: StartProxy, upstream: Upstream, head: bytes
) -> None:
    running = await limited(proxy, upstream, most=1)
    one = await running.begin(upstream, EITHER)
    two = await running.begin(upstream, EITHER)
    await one[1].send(head)
    assert (await one[0].read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
    await two[1].send(head + chunk(EVENT))
    await check_refused(two[0])
    await two[1].closed()
    await refused(running)
    one[0].close()
    for _ in range(3):
        await running.ended()
    await stream(running, upstream, EITHER)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", id="404"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(CHUNKED + b"Content-Type: text/html\r\n\r\n", id="page"),
    ],
)
async def test_what_turns_out_to_be_no_stream_makes_room(
    proxy: StartProxy, upstream: Upstream, response: bytes
) -> None:
    running = await limited(proxy, upstream, most=1)
    client, server = await running.begin(upstream, ask())
    await refused(running)
    await server.send(response)
    await client.read_head()
    await stream(running, upstream)


async def test_a_response_without_a_body_does_not_count(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    client, server = await running.begin(upstream, ask().replace(b"GET", b"HEAD"))
    await stream(running, upstream)
    await server.send(EVENT_HEAD % b"")
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_upstream_that_fails_makes_room(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    client, server = await running.begin(upstream, ask())
    server.close()
    assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    await stream(running, upstream)


@pytest.mark.http1
async def test_a_tunnel_counts(proxy: StartProxy, upstream: Upstream) -> None:
    running = await limited(proxy, upstream, most=1, ws=True)
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade
    client, server = await running.begin(upstream, request)
    await refused(running, request)
    await server.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
    await client.read_head()
    await refused(running, request)
    await refused(running)
    client.close()
    server.close()
    for _ in range(4):
        await running.ended()
    await stream(running, upstream)


async def test_a_response_that_began_early_counts(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """`heartbeat_before_head`: the first one has no head of its upstream yet."""
    running = await limited(
        proxy,
        upstream,
        most=1,
        heartbeat_seconds=0.02,
        heartbeat_before_head=True,
    )
    client, server = await running.begin(upstream, post(b"/", STREAM_BODY))
    await client.read_head()
    await refused(running)
    await server.read(len(STREAM_BODY))
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    client.close()
    for _ in range(2):
        await running.ended()
    await running.begin(upstream, ask())
    await refused(running)


async def test_one_that_may_be_either_counts_when_it_begins_early(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(
        proxy,
        upstream,
        most=1,
        heartbeat_seconds=0.02,
        heartbeat_before_head=True,
    )
    either = EITHER.replace(b"*/*", b"application/json, text/event-stream")
    client, _ = await running.begin(upstream, either)
    await client.read_head()
    await refused(running)
    other, server = await running.begin(upstream, either)
    await check_refused(other)
    await server.closed()


async def test_one_that_is_read_on_without_its_client_does_not_count(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1, on_client_leave="finish")
    client, _ = await stream(running, upstream)
    client.close()
    exchange = await running.exchange()
    await became(lambda: exchange.is_finishing)
    await stream(running, upstream)


async def test_a_limit_is_that_of_its_route(
    proxy: StartProxy, upstream: Upstream
) -> None:
    one = {"target": upstream.url, "max_streams_per_client": 1}
    running = await proxy({"/a": one, "/b": one, "/c": {"target": upstream.url}})
    for path in (b"/a", b"/b"):
        await stream(running, upstream, ask(path))
    for path in (b"/a", b"/b"):
        await refused(running, ask(path))
    for _ in range(2):
        await stream(running, upstream, ask(b"/c"))
    route = running.server.compiled.by_prefix["/c"]
    assert route.stream_limit is None
    assert len(running.server.compiled.counts.own) == 2


async def test_counts_outlive_a_reload(proxy: StartProxy, upstream: Upstream) -> None:
    running = await limited(proxy, upstream, most=1)
    client, _ = await stream(running, upstream)
    await running.server.reload(running.server.config)
    await refused(running)
    client.close()
    for _ in range(2):
        await running.ended()
    await stream(running, upstream)
    assert list(running.server.compiled.counts.own.values()) == [1]


# -- whose it is


TRUSTED: Table = {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("9.9.9.9, 192.0.2.1", "8.8.8.8, 192.0.2.1", True),  # the left is forged
        ("192.0.2.1, 10.1.1.1", "192.0.2.1, 10.2.2.2", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("[2001:db8:0:1::1]:443", "2001:db8:0:1::9", True),
        ("::ffff:192.0.2.1", "192.0.2.1:4711", True),
        ("unknown", "unknown", True),  # then it is the proxy's own
    ],
)
async def test_behind_a_trusted_proxy_the_client_is_the_one_that_it_names(
    proxy: StartProxy, upstream: Upstream, first: str, second: str, same: bool
) -> None:
    running = await limited(proxy, upstream, most=1, server=TRUSTED)
    await stream(running, upstream, ask(X_Forwarded_For=first))
    if same:
        await refused(running, ask(X_Forwarded_For=second))
    else:
        await stream(running, upstream, ask(X_Forwarded_For=second))


async def test_what_anybody_else_says_of_its_address_does_not_count(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    await stream(running, upstream, ask(X_Forwarded_For="192.0.2.1"))
    await refused(running, ask(X_Forwarded_For="192.0.2.2", Forwarded="for=192.0.2.3"))


@pytest.mark.parametrize(
    ("client_by", "name"),
    [("header:X-User", "X-User"), ("cookie:user", "Cookie")],
)
async def test_a_client_is_told_by_a_value(
    proxy: StartProxy, upstream: Upstream, client_by: str, name: str
) -> None:
    running = await limited(proxy, upstream, most=1, client_by=client_by)

    def of(user: str) -> bytes:
        value = user if name == "X-User" else f"a=b; user={user}"
        return EVENTS % (b"/", f"{name}: {value}\r\n".encode())

    await stream(running, upstream, of("ada"))
    await refused(running, of("ada"))
    await stream(running, upstream, of("eve"))
    await stream(running, upstream)  # without one: by its address
    await refused(running)
    kept = repr(running.server.compiled.counts.own)
    assert "ada" not in kept
    assert "127" not in kept


# -- kept streams


@pytest.mark.parametrize(
    ("client_by", "spellings"),
    [
        pytest.param(
            "header:Authorization",
            ["Authorization: bearer t", "Authorization: BEARER   t"],
            id="Authorization",
        ),
        pytest.param("cookie:sid", ['Cookie: sid="t"', "Cookie: sid=%74"], id="cookie"),
    ],
)
async def test_no_other_spelling_of_a_value_is_another_client(
    proxy: StartProxy, upstream: Upstream, client_by: str, spellings: list[str]
) -> None:
    running = await limited(proxy, upstream, most=1, client_by=client_by)
    first = spellings[0].replace("bearer", "Bearer").replace('"', "")
    await stream(running, upstream, EVENTS % (b"/", f"{first}\r\n".encode()))
    for fields in spellings:
        await refused(running, EVENTS % (b"/", f"{fields}\r\n".encode()))
    # With several values, of which the upstream takes one or another, by the address.
    name, value = first.split(": ")
    join = "; " if client_by.startswith("cookie") else f"\r\n{name}: "
    several = [f"{name}: {value}{join}sid=x{number}" for number in range(3)]
    await stream(running, upstream, EVENTS % (b"/", f"{several[0]}\r\n".encode()))
    for fields in several[1:]:
        await refused(running, EVENTS % (b"/", f"{fields}\r\n".encode()))


async def test_a_client_that_comes_back_has_room_for_its_stream(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await limited(proxy, upstream, clock, most=2, resume={"ids": True})
    clients = []
    for path in (b"/a", b"/b"):
        client, server = await running.begin(upstream, ask(path))
        await server.send(EVENT_HEAD % b"" + chunk(EVENT))
        await client.read_head()
        clients.append((path, client, stream_id(client)))
    for _, client, _ in clients:
        client.close()
        await running.ended()
    for path, _, id in clients:
        again = await running.client()
        await again.send(ask(path, Last_Event_ID=(id + b".1").decode()))
        await again.read_head()
        assert stream_id(again) == id
    await refused(running)
    assert upstream.unexpected == 0


async def test_streams_that_nobody_reads_refuse_nobody_and_are_bounded(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await limited(proxy, upstream, clock, most=2, resume=True)
    servers = []
    for number in range(5):
        path = b"/%d" % number
        client, server = await running.begin(upstream, ask(path))
        await server.send(EVENT_HEAD % b"" + chunk(EVENT))
        await client.read_head()
        servers.append(server)
        if number < 4:
            client.close()
            await running.ended()
    for server in servers[:3]:  # the oldest have made room
        await server.closed()
    counts = running.server.compiled.counts
    assert len(running.server.kept.unread) == 1
    assert [len(each) for each in counts.unread.values()] == [1]
    client.close()
    await running.ended()
    clock.advance(61)
    running.tick()
    assert not running.server.kept.unread
    assert not counts.unread
    assert not counts.own


async def test_a_kept_stream_by_its_address_counts_too(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await limited(proxy, upstream, clock, most=2, resume=True)
    client, server = await running.begin(upstream, ask())
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    at = b"/_unbuffered/streams/" + stream_id(client)
    other = await running.client()
    await other.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    assert (await other.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")
    await refused(running, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % at)
    await server.send(chunk(EVENT))
    assert b"data: one" in await other.read_chunk()


async def test_clients_of_a_shared_stream_count_each(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=2, share=True)
    client, server = await running.begin(upstream, ask())
    other = await running.client()
    await other.send(ask())
    await refused(running)
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    for each in (client, other):
        await each.read_head()
        assert await each.read_chunk() == EVENT
    other.close()
    for _ in range(2):
        await running.ended()
    again = await running.client()
    await again.send(ask())
    assert (await again.read_head()).startswith(b"HTTP/1.1 200 OK\r\n")


# -- several workers


@pytest.fixture
async def workers(
    upstream: Upstream, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Siblings]:
    table = {"target": upstream.url, "max_streams_per_client": 2, "resume": True}
    plain = {"target": upstream.url, "max_streams_per_client": 2}
    routes = {"/kept": table, "/": plain}
    async with siblings(tmp_path, routes, clock=clock, count=3) as all_of_them:
        yield all_of_them


@pytest.mark.parametrize("path", [b"/", b"/kept"])
async def test_the_limit_is_that_of_all_workers(
    workers: Siblings, upstream: Upstream, path: bytes
) -> None:
    """A stream that is handed over counts once, where its client is."""
    clients = []
    for number in (0, 1):
        client, server = await workers[number].begin(upstream, ask(path))
        await server.send(EVENT_HEAD % b"" + chunk(EVENT))
        await client.read_head()
        clients.append(client)
    for running in workers.running:
        await refused(running, ask(path))
        assert (await running.ended()).status == 429
    clients[1].close()
    assert (await workers[1].ended()).ending is Ending.CLIENT_LEFT
    client, server = await workers[2].begin(upstream, ask(path))
    await server.send(EVENT_HEAD % b"" + chunk(EVENT))
    await client.read_head()
    await refused(workers[1], ask(path))


async def test_what_only_the_response_of_another_worker_shows_counts_too(
    workers: Siblings, upstream: Upstream
) -> None:
    """A POST goes to the worker that its Idempotency-Key decides."""
    statuses = []
    for number in range(8):
        request = post(b"/kept", b"{}", Idempotency_Key=f"k{number}")
        client, server = await workers[0].begin(upstream, request)
        await server.read(2)
        await server.send(EVENT_HEAD % b"")
        statuses.append((await client.read_head())[9:12])
    elsewhere = [each.server.kept.counts.kept for each in workers.running[1:]]
    assert all(elsewhere)
    assert statuses == [b"200"] * 2 + [b"429"] * 6


async def test_streams_of_a_worker_that_died_do_not_count(
    workers: Siblings, upstream: Upstream
) -> None:
    for _ in range(2):
        await stream(workers[0], upstream, ask())
    await refused(workers[1])
    workers.rows.clear(0)  # as the supervisor does
    await stream(workers[1], upstream)


# -- what is told of it


async def test_the_log_says_so_once_in_a_while_and_names_no_client(
    proxy: StartProxy,
    upstream: Upstream,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "unbuffered")
    running = await limited(proxy, upstream, clock, most=1, client_by="header:X-User")
    request = ask(X_User="ada")
    await stream(running, upstream, request)
    for _ in range(5):
        await refused(running, request)
    clock.advance(QUIET_SECONDS)
    await refused(running, request)
    said = (
        "route /: a request was refused with 429, since its client already has 1 "
        'stream (max_streams_per_client, client_by = "header:X-User")'
    )
    assert caplog.messages == [said, said + "; so were 4 since the last such line"]
    assert "ada" not in caplog.text


@pytest.mark.http1
async def test_metrics_and_the_inspector_tell_of_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await limited(proxy, upstream, most=1)
    name = b'unbuffered_streams_refused_total{route="/"} '
    assert name + b"0\n" in (await asked(running, "metrics"))[1]
    await stream(running, upstream, ask(b"/one"))
    for _ in range(3):
        await refused(running, ask(b"/more"))
    assert name + b"3\n" in (await asked(running, "metrics"))[1]
    async with looking(running) as feed:
        row = (await feed.rows())["/more"]
    assert (row["status"], row["ending"]) == (429, "refused")
    assert row["error"] == (
        "this client already has 1 stream of this route, and may have no more "
        "(max_streams_per_client)"
    )
