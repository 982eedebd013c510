"""The inspector: the list and the pieces, live, and nothing when nobody looks."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest

from proxy.exchange.exchange import Exchange
from proxy.inspector.exchange_history import LINGER_SECONDS
from proxy.inspector.exchange_view import MOST_UNREAD
from proxy.inspector.static_files import PAGE
from proxy.transport.capture import CaptureSlot
from proxy.transport.pipeline import Slot
from proxy.web.files import SHARED
from tests.conftest import ManualClock, StartProxy
from tests.support.heartbeats import let_pass
from tests.support.looking import (
    OWN,
    Feed,
    answer,
    asked,
    contents,
    looking,
    request,
)
from tests.support.messages import EVENT_STREAM, GET_X
from tests.support.raw import Peer, Upstream, became, chunk
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop
BYTES = 8 * MOST_UNREAD
ON_LOOK = {"record": "on-look"}


async def stream(
    running: RunningProxy,
    upstream: Upstream,
    head: bytes = EVENT_STREAM,
    ask: bytes = GET_X,
) -> tuple[Peer, Peer]:
    """An exchange whose response head is at the client."""
    client, server = await running.begin(upstream, ask)
    await server.send(head)
    await client.read_head()
    return client, server


async def first_id(running: RunningProxy) -> str:
    async with looking(running) as feed:
        told = await feed.next("exchanges")
        return str([*told["open"], *told["ended"]][-1]["id"])


def is_captured(exchange: Exchange) -> bool:
    """Are the pieces of its response noted?"""
    pipeline = exchange.response_pipeline
    assert pipeline is not None
    each = pipeline.first
    while isinstance(each, Slot):
        if isinstance(each, CaptureSlot):
            return True
        each = each.next
    return False


# -- the list


async def test_the_list_says_all_first_and_then_what_has_changed(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    client, server = await stream(running, upstream)
    clock.advance(2)
    async with looking(running) as feed:
        state = await feed.next("state")
        assert state["routes"] == [
            {"prefix": "/", "targets": [upstream.url], "ws": False}
        ]
        (row,) = (await feed.rows()).values()
        assert (
            row["phase"],
            row["kind"],
            row["status"],
            row["pieces"],
            row["age"],
        ) == (("relaying", "event-stream", 200, 0, 2.0))
        assert (row["upstream"], row["route"], row["client"]) == (
            upstream.url,
            "/",
            "127.0.0.1",
        )
        assert (await feed.next("warnings")) == []
        running.tick()  # nothing has changed: nothing is sent
        await server.send(chunk(b"data: 1\n\n"))
        await client.read_payload(9)
        running.tick()
        row = (await feed.rows())["/x"]
        assert (row["pieces"], row["bytes"], row["duration"]) == (1, 9, None)
        await server.send(b"0\r\n\r\n")
        assert await client.read_chunk() == b""
        running.tick()
        row = (await feed.rows())["/x"]
        assert (row["phase"], row["ending"], row["duration"]) == ("over", "complete", 2)


async def test_an_exchange_that_is_forgotten_is_told_to_be_gone(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await stream(running, upstream)
    async with looking(running) as feed:
        (row,) = (await feed.rows()).values()
        await server.send(b"0\r\n\r\n")
        await client.read_chunk()
        running.server.inspector.history.recent.clear()
        running.tick()
        told = await feed.next("exchanges")
        assert (told["open"], told["ended"], told["gone"]) == ([], [], [row["id"]])


async def test_a_stalled_inspector_grows_nothing_and_delays_nobody(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await stream(running, upstream)
    slow = await running.client(receive_bytes=4096)
    await slow.send(request("feed"))
    await slow.read_head()
    (looker,) = (
        each for each in running.connections if not isinstance(each.exchange, Exchange)
    )
    sock = looker.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(3000):
        await server.send(chunk(b"data: 1\n\n"))
        await client.read_chunk()
        running.tick()
        if looker.blocked:
            break
    assert looker.blocked
    waiting = looker.transport.get_write_buffer_size()
    for _ in range(20):
        await server.send(chunk(b"data: 1\n\n"))
        await client.read_chunk()
        running.tick()
    assert looker.transport.get_write_buffer_size() <= waiting


# -- one exchange


async def test_each_piece_is_told_with_its_bytes_on_both_sides(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    async with looking(running):  # so that exchanges are tapped from their start
        post = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        client, server = await stream(running, upstream, ask=post)
        await server.read(5)
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            pieces = await feed.next("pieces")
            assert contents(pieces, "request") == [b"hello"]
            for event in (b"data: 1\n\n", b"data: 2\n\n"):
                await server.send(chunk(event))
                assert await client.read_chunk() == event
                running.tick()
                (piece,) = await feed.next("pieces")
                assert contents([piece], "response") == [event]
                assert piece["sent"] >= piece["arrived"] > 0
            await server.send(b"0\r\n\r\n")
            assert (await feed.next("end"))["ending"] == "complete"
            assert await feed.peer.read_chunk() == b""


async def test_heartbeats_are_told_apart_from_what_the_upstream_sends(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    route = {"target": upstream.url, "heartbeat_seconds": 15}
    running = await proxy({"/": route}, clock=clock)
    async with looking(running):
        client, server = await stream(running, upstream)
        await server.send(chunk(b"data: 1\n\n"))
        assert await client.read_payload(11) == b":\ndata: 1\n\n"
        let_pass(await running.exchange(), clock, 15)
        assert await client.read_chunk() == b":\n"
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            pieces = await feed.next("pieces")
            assert [(each["side"], each["n"]) for each in pieces] == [
                ("heartbeat", 1),
                ("response", 1),
                ("heartbeat", 2),
            ]
            assert contents(pieces, "heartbeat") == [b":\n", b":\n"]
            row = await feed.next("row")
            assert (row["heartbeats"], row["pieces"], row["bytes"]) == (2, 1, 9)
            let_pass(await running.exchange(), clock, 15)
            running.tick()
            assert (await feed.next("row"))["heartbeats"] == 3


async def test_a_running_exchange_is_tapped_from_the_look_on(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await stream(running, upstream)
    await server.send(chunk(b"data: 1\n\n"))
    await client.read_chunk()
    ident = await first_id(running)
    async with looking(running, f"exchanges/{ident}/feed") as feed:
        assert (await feed.next("row"))["pieces"] == 1
        await server.send(chunk(b"data: 2\n\n"))
        await client.read_chunk()
        running.tick()
        assert contents(await feed.next("pieces"), "response") == [b"data: 2\n\n"]


@pytest.mark.parametrize("early", [True, False], ids=["from its start", "dialled in"])
async def test_of_a_decoded_response_the_decoded_pieces_are_told(
    proxy: StartProxy, upstream: Upstream, early: bool
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    head = EVENT_STREAM.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    async with looking(running) as first:
        if not early:
            first.peer.close()
        client, server = await stream(running, upstream, head)
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            await feed.next("row")
            await server.send(chunk(gzip.compress(b"data: 1\n\n")))
            await client.read_payload(9)
            running.tick()
            pieces = await feed.next("pieces")
            assert b"".join(contents(pieces, "response")) == b"data: 1\n\n"


async def test_a_tunnel_is_told_in_both_directions(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, "ws": True}})
    ask = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n"
        b"\r\nwelcome"
    )
    async with looking(running):
        client, server = await stream(running, upstream, switch, ask)
        assert await client.read(7) == b"welcome"
        await client.send(b"hello")
        assert await server.read(5) == b"hello"
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            pieces = await feed.next("pieces")
            assert contents(pieces, "response") == [b"welcome"]
            assert contents(pieces, "request") == [b"hello"]
            assert (await feed.next("row"))["kind"] == "websocket"


async def test_the_fields_are_shown_before_and_after_without_credentials(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/api": {"target": upstream.url, "path_rewrite": {"^/api": ""}}}
    )
    ask = (
        b"GET /api/x?key=SECRET1&a=1 HTTP/1.1\r\nHost: a\r\n"
        b"Authorization: Bearer SECRET2\r\nCookie: sid=SECRET3\r\n"
        b"X-Api-Key: SECRET4\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    answered = EVENT_STREAM.replace(
        b"\r\n\r\n", b"\r\nSet-Cookie: sid=SECRET5; Path=/\r\nDate: now\r\n\r\n"
    )
    client, server = await stream(running, upstream, answered, ask)
    sent = {tuple(line.decode().split(": ", 1)) for line in server.head_lines[1:]}
    received = {tuple(line.decode().split(": ", 1)) for line in client.head_lines[1:]}
    ident = await first_id(running)
    status, body = await asked(running, f"exchanges/{ident}")
    assert status == 200
    assert b"SECRET" not in body
    told = json.loads(body)
    assert told["target"] == "/api/x?key=****&a=1"
    assert told["request"]["line"] == "GET /x?key=****&a=1 HTTP/1.1"
    assert ["Accept-Encoding", "gzip"] in told["request"]["received"]
    # What we say was sent is what the peers got, but for what is masked.
    shown = {tuple(field) for field in told["request"]["sent"]}
    assert {n for n, _ in shown ^ sent} == {"Authorization", "Cookie", "X-Api-Key"}
    shown = {tuple(field) for field in told["response"]["sent"]}
    assert {n for n, _ in shown ^ received} == {"Set-Cookie"}


async def test_bodies_can_be_switched_off(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"bodies": False})
    async with looking(running):
        client, server = await stream(running, upstream)
        await server.send(chunk(b"data: 1\n\n"))
        await client.read_chunk()
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            (piece,) = await feed.next("pieces")
            assert piece["bytes"] == 9
            assert "base64" not in piece


async def test_bodies_do_not_leave_this_machine_by_another_proxy_on_it(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector={"enabled": True})
    _, server = await stream(running, upstream)
    ident = await first_id(running)
    peer = await running.client()
    forwarded = "X-Forwarded-For: 192.0.2.7\r\n"
    await peer.send(request(f"exchanges/{ident}/feed", forwarded))
    await peer.read_head()
    await server.send(chunk(b"data: 1\n\n"))
    (piece,) = await Feed(peer).next("pieces")
    assert (piece["bytes"], "base64" in piece) == (9, False)


async def test_what_waited_for_a_slow_client_is_let_go_of_once_it_is_out(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    async with looking(running):
        client = await running.client(receive_bytes=4096)
        await client.send(GET_X)
        server = await upstream.request()
        await server.send(EVENT_STREAM)
        await client.read_head()
        exchange = await running.exchange()
        recording = running.server.inspector.history.budget.recordings[
            exchange.timeline
        ]
        for _ in range(3):
            await became(lambda: stuffed(server, exchange))
            assert recording.unsent
            while exchange.client.blocked:
                await client.reader.read(64 * 1024)
        await server.send(chunk(b"last"))
        while not (await client.reader.read(64 * 1024)).endswith(b"last\r\n"):
            pass
        assert recording.unsent is None


def stuffed(server: Peer, exchange: Exchange) -> bool:
    """Send until the client's share waits in the proxy."""
    if not server.waiting:
        server.writer.write(chunk(bytes(64 * 1024)))
    return exchange.client.blocked


async def test_how_the_upstream_holds_a_stream_is_told_in_its_own_view_too(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, clock=clock)
    async with looking(running):
        client, server = await stream(running, upstream)
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            assert (await feed.next("row"))["bursts"] is None
            for _ in range(2):
                clock.advance(5)
                await server.send(chunk(b"data: 1\n\n" * 7))
                await client.read_chunk()
                told = await feed.next("row")
            assert told["bursts"] == "14 events in 2 bursts 5.0 s apart"
        await server.send(b"0\r\n\r\n")
        await client.read_chunk()
        _, body = await asked(running, f"exchanges/{ident}")
        assert json.loads(body)["bursts"] == "14 events in 2 bursts 5.0 s apart"


async def test_a_fast_stream_is_told_before_its_pieces_have_no_room_any_more(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    async with looking(running):
        client, server = await stream(running, upstream)
        ident = await first_id(running)
        async with looking(running, f"exchanges/{ident}/feed") as feed:
            await feed.next("row")
            told = asyncio.ensure_future(bytes_told(feed, BYTES))
            for _ in range(16):  # much faster than the feed's own rhythm
                await server.send(chunk(bytes(BYTES // 16)))
                await client.read_payload(BYTES // 16)
            assert await told == {"pieces": BYTES}


async def bytes_told(feed: Feed, size: int) -> dict[str, int]:
    """How many bytes of so many a feed tells of, by the names of its events."""
    told: dict[str, int] = {}
    while sum(told.values()) < size:
        name, data = await feed.event()
        if name == "pieces":
            told[name] = told.get(name, 0) + sum(piece["bytes"] for piece in data)
        elif name == "dropped":
            told[name] = data["bytes"]
    return told


async def test_it_is_told_whether_the_first_pieces_were_seen(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}}, inspector=ON_LOOK)
    await stream(running, upstream)
    async with looking(running) as feed:
        await stream(running, upstream, ask=GET_X.replace(b"/x", b"/y"))
        rows = await feed.rows()
        running.tick()
        rows |= await feed.rows()
        for target, whole in (("/x", False), ("/y", True)):
            ident = rows[target]["id"]
            async with looking(running, f"exchanges/{ident}/feed") as told:
                assert (await told.next("row"))["whole"] is whole


# -- nothing when nobody looks


async def test_nothing_is_captured_while_nobody_looks(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    routes = {"/": {"target": upstream.url}}
    running = await proxy(routes, clock=clock, inspector=ON_LOOK)
    client, server = await stream(running, upstream)
    exchange = await running.exchange()
    async with looking(running) as feed:
        await feed.next("warnings")
        live = running.server.inspector.history
        live.capture(exchange)
        assert is_captured(exchange)
        feed.peer.close()
        await became(lambda: live.lookers == 0)
    running.tick()
    assert is_captured(exchange)  # a page may be reloaded
    clock.advance(LINGER_SECONDS)
    running.tick()
    assert not is_captured(exchange)
    assert not live.budget.recordings
    assert not live.capturing
    await server.send(chunk(b"data: 1\n\n"))
    assert await client.read_chunk() == b"data: 1\n\n"


async def test_our_own_answers_are_in_no_log_and_in_no_list(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    async with looking(running) as feed:
        await asked(running, "health")
        told = await feed.next("exchanges")
        assert told["open"] == told["ended"] == []
    assert running.exchanges.empty()


# -- who may look


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        pytest.param("", "evil.example", id="a name that was bent to this machine"),
        pytest.param("X-Forwarded-For: 1.2.3.4\r\n", "localhost", id="behind a proxy"),
        pytest.param("Via: 1.1 x\r\n", "127.0.0.1", id="behind another one"),
    ],
)
async def test_what_is_not_for_this_client_goes_the_way_of_all_requests(
    proxy: StartProxy, upstream: Upstream, fields: str, host: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    for path in ("", "feed", "metrics", "exchanges/0-1"):
        client = await running.client()
        await client.send(request(path, fields, host))
        server = await upstream.request()
        assert server.head_lines[0] == f"GET /_unbuffered/{path} HTTP/1.1".encode()
        client.close()


async def test_switched_off_it_does_not_exist(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy(
        {"/api": {"target": upstream.url}},
        inspector={"enabled": False},
        metrics={"enabled": False},
    )
    for path in ("", "feed", "metrics", "health"):
        status, body = await asked(running, path)
        assert (status, b"no route for '/_unbuffered/" in body) == (404, True)


@pytest.mark.parametrize(
    "fields",
    ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"],
    ids=["by Origin", "by Fetch Metadata"],
)
async def test_a_page_of_another_origin_reads_nothing(
    proxy: StartProxy, upstream: Upstream, fields: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    for path in ("feed", "metrics", "exchanges/0-1", "exchanges/0-1/feed"):
        assert (await asked(running, path, fields))[0] == 403


async def test_who_may_have_come_through_a_silent_proxy_reads_nothing(
    proxy: StartProxy, upstream: Upstream
) -> None:
    """nginx by HTTP/1.1: its Host is our address, and it sends no Connection."""
    running = await proxy({"/": {"target": upstream.url}})
    for path in ("", "page/main.js", "feed", "exchanges/0-1", "exchanges/0-1/feed"):
        client = await running.client()
        await client.send(request(path).replace(OWN.encode(), b""))
        status, body = await answer(client)
        assert (status, b"Connection: keep-alive" in body) == (403, True)


async def test_the_page_comes_with_its_guards(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(request(""))
    head = await client.read_head()
    assert b"Content-Type: text/html; charset=utf-8\r\n" in head
    assert b"Content-Security-Policy: default-src 'none'; script-src 'self';" in head
    assert b"X-Content-Type-Options: nosniff\r\n" in head
    assert b"Access-Control" not in head
    (tag,) = [line for line in client.head_lines if line.startswith(b"ETag: ")]
    status, body = await asked(running, "", f"If-None-Match: {tag[6:].decode()}\r\n")
    assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "../rows.py",
        "..%2frows.py",
        "/etc/passwd",
        "../page/index.html",
        "list/../main.js",
        "list/..%2fmain.js",
        "list//columns.js",
        "list/columns.js/",
        "list/x/columns.js",
        "list/",
        "list",
        "web/files.py",
        "web/../files.py",
        "web/index.html",
        "web/web/dom.js",
        "%2e%2e/rows.py",
        "",
        ".",
        "x.html",
    ],
)
async def test_nothing_but_the_page_is_served(
    proxy: StartProxy, upstream: Upstream, name: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    assert (await asked(running, f"page/{name}"))[0] == 404


async def test_every_file_of_the_page_is_served(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    files = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*.*")}
    shared = [*SHARED.glob("*.js"), *SHARED.glob("*.svg")]
    files |= {f"web/{path.name}": path for path in shared}
    for name, path in files.items():
        status, body = await asked(running, f"page/{name}")
        assert (status, body) == (200, path.read_bytes()), name


async def test_only_reading_is_allowed_and_the_connection_stays(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client = await running.client()
    await client.send(request("health").replace(b"GET", b"DELETE") + request("health"))
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in head
    await client.read_until(b"}}\n")
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_drain_ends_the_feeds_at_once(
    proxy: StartProxy, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    async with looking(running) as feed:
        await feed.next("warnings")
        assert running.server.under_way == 0  # nobody's stream is waited for
        assert await running.drain(60) == 0
        while await feed.peer.read_chunk():
            pass
        await feed.peer.closed()
