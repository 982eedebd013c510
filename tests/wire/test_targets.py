"""Several targets of one route: who gets a request, and what follows a refusal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.errors import UpstreamDisconnected, UpstreamRefused, UpstreamTruncated
from proxy.timeline import Ending
from tests.conftest import ManualClock, StartProxy
from tests.support.messages import EVENT_STREAM, GET_NUMBER, OK
from tests.support.ports import BlackHole, ClosedPort
from tests.support.raw import Peer, Upstream, became, idle
from tests.support.running import RunningProxy

pytestmark = pytest.mark.any_loop

POST = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"


@pytest.fixture
async def upstreams() -> AsyncIterator[list[Upstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Upstream()) for _ in range(3)]


def urls(*upstreams: Upstream | ClosedPort) -> list[str]:
    return [each.url for each in upstreams]


async def ask(running: RunningProxy, upstreams: list[Upstream]) -> tuple[int, Peer]:
    """Begin a stream on a connection of its own; who got it, and the client."""
    client = await running.client()
    await client.send(GET_NUMBER % 0)
    await became(lambda: any(each.unexpected for each in upstreams))
    (number,) = [n for n, each in enumerate(upstreams) if each.unexpected]
    server = await upstreams[number].request()
    await server.send(EVENT_STREAM)
    await client.read_head()
    return number, client


async def error_of(client: Peer) -> tuple[bytes, dict[str, str]]:
    head = await client.read_head()
    _, _, rest = head.partition(b"Content-Length: ")
    body = await client.read(int(rest.partition(b"\r\n")[0]))
    return head, json.loads(body)["error"]


async def test_the_target_with_the_fewest_open_streams_is_asked(
    proxy: StartProxy, upstreams: list[Upstream]
) -> None:
    """Turns alone would give the fifth stream to a target that has one already."""
    running = await proxy({"/": {"target": urls(*upstreams)}})
    streams = [await ask(running, upstreams) for _ in range(6)]
    assert sorted(number for number, _ in streams) == [0, 0, 1, 1, 2, 2]
    assert {number for number, _ in streams[:3]} == {0, 1, 2}
    for number, client in streams:
        if number == 1:
            client.close()
            await running.ended()
    assert [(await ask(running, upstreams))[0] for _ in range(2)] == [1, 1]
    assert [each.open for each in running.server.compiled.upstreams] == [2, 2, 2]


async def test_targets_that_are_equally_busy_take_turns(
    proxy: StartProxy, upstreams: list[Upstream]
) -> None:
    running = await proxy({"/": {"target": urls(*upstreams)}})
    asked = []
    for _ in range(6):
        number, client = await ask(running, upstreams)
        asked.append(number)
        client.close()
        await running.ended()
    assert asked[:3] == asked[3:]
    assert sorted(asked[:3]) == [0, 1, 2]


@pytest.mark.parametrize("ends", ["fails", "client leaves"])
async def test_after_its_rest_a_target_gets_one_request_to_find_out(
    proxy: StartProxy, upstreams: list[Upstream], clock: ManualClock, ends: str
) -> None:
    """One that swallows connections got all of them until the first had failed."""
    good = upstreams[0]
    with BlackHole() as hole:
        running = await proxy(
            {"/": {"target": urls(hole, good), "connect_timeout_seconds": 10}},
            clock=clock,
        )
        (swallows,) = [
            each
            for each in running.server.compiled.upstreams
            if str(each.target) == hole.url
        ]
        await running.begin(good, GET_NUMBER % 0)
        found = await running.client()
        await found.send(GET_NUMBER % 0)  # the other has none
        await became(lambda: swallows.open == 1)
        clock.advance(11)
        running.tick()
        await good.request()
        assert swallows.health.down_since is not None
        for _ in range(2):  # after each rest
            clock.advance(60)
            probing = await running.client()
            await probing.send(GET_NUMBER % 0)
            await became(lambda: swallows.probed)
            for n in range(5):
                await running.begin(good, GET_NUMBER % n)
            assert swallows.open == 1
            if ends == "fails":
                clock.advance(11)
                running.tick()
                await good.request()  # where it goes then
            else:
                probing.close()
                await running.ended()
                clock.advance(60)
            await became(lambda: not swallows.probed)


async def test_each_target_has_connections_of_its_own(
    proxy: StartProxy, upstreams: list[Upstream]
) -> None:
    first, second, _ = upstreams
    running = await proxy({"/": {"target": urls(first, second)}})
    client = await running.client()
    peers = []
    for upstream in (second, first):  # in turn
        await client.send(GET_NUMBER % 0)
        peers.append(await upstream.request())
        await peers[-1].send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()
    assert running.idle_connections == 2
    for peer in peers:
        await client.send(GET_NUMBER % 1)
        await peer.read_head()
        await peer.send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_goes_to_the_next_target_at_once(
    proxy: StartProxy, upstream: Upstream, method: str
) -> None:
    """Nothing was sent yet, so it may be a POST; each target has its path and Host."""
    with ClosedPort() as dead, ClosedPort() as dead_too:
        running = await proxy(
            {
                "/": {
                    "target": [f"{dead.url}/x", f"{dead_too.url}/y", upstream.url],
                    "change_origin": True,
                }
            }
        )
        client = await running.client()
        await client.send(POST if method == "POST" else GET_NUMBER % 0)
        server = await upstream.request()
        assert server.head_lines[0].startswith(b"%b /" % method.encode())
        assert b"/x" not in server.head_lines[0]
        assert b"/y" not in server.head_lines[0]
        assert b"Host: 127.0.0.1:%d" % upstream.port in server.head_lines
        if method == "POST":
            assert await server.read(4) == b"body"
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert (await running.ended()).ending is Ending.COMPLETE
        assert upstream.unexpected == 0


async def test_the_path_of_the_chosen_target_is_put_first(
    proxy: StartProxy, upstream: Upstream
) -> None:
    with ClosedPort() as dead:
        running = await proxy({"/": {"target": [dead.url, f"{upstream.url}/v1"]}})
        _, server = await running.begin(upstream, GET_NUMBER % 7)
        assert server.head_lines[0] == b"GET /v1/7 HTTP/1.1"


async def test_a_target_that_refused_rests_and_then_is_asked_again(
    proxy: StartProxy, clock: ManualClock, upstream: Upstream
) -> None:
    with ClosedPort() as dead:
        running = await proxy({"/": {"target": urls(dead, upstream)}}, clock=clock)
        streams = []
        for _ in range(3):
            client, server = await running.begin(upstream, GET_NUMBER % 0)
            await server.send(EVENT_STREAM)
            await client.read_head()
            streams.append(client)
        async with dead.upstream() as back:
            clock.advance(0.9)
            number, _ = await ask(running, [back, upstream])
            assert number == 1  # with three streams more than the one that rests
            clock.advance(0.2)
            number, _ = await ask(running, [back, upstream])
            assert number == 0
            assert [each.rests_until for each in running.server.compiled.upstreams] == [
                0.0,
                0.0,
            ]


async def test_when_all_refuse_the_last_one_is_named(
    proxy: StartProxy, clock: ManualClock
) -> None:
    with ClosedPort() as first, ClosedPort() as second:
        running = await proxy({"/": {"target": urls(first, second)}}, clock=clock)
        client = await running.client()
        await client.send(GET_NUMBER % 0)
        head, error = await error_of(client)
        assert head.startswith(b"HTTP/1.1 502 ")
        assert error["type"] == "connection_refused"
        assert error["target"] in urls(first, second)
        assert error["message"].endswith("; 2 targets were tried")
        assert error["target"].removeprefix("http://") in error["message"]
        timeline = await running.ended()
        assert isinstance(timeline.error, UpstreamRefused)
        # All rest now. They are asked all the same, and one of them is back.
        async with first.upstream() as back:
            _, server = await running.begin(back, GET_NUMBER % 1)
            await server.send(OK)
            assert (await running.ended()).ending is Ending.COMPLETE
        assert [each.open for each in running.server.compiled.upstreams] == [0, 0]


async def test_all_targets_are_waited_for_and_the_first_that_is_back_is_asked(
    proxy: StartProxy, clock: ManualClock
) -> None:
    with ClosedPort() as first, ClosedPort() as second:
        running = await proxy(
            {"/": {"target": urls(first, second), "connect_retry_seconds": 10}},
            clock=clock,
        )
        client = await running.client()
        await client.send(POST)
        await running.waiting_for("retry")
        async with second.upstream() as back:
            clock.advance(0.1)
            running.tick()
            server = await back.request()
            assert await server.read(4) == b"body"
            await server.send(OK)
            assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_target_that_does_not_answer_is_left_after_its_time(
    proxy: StartProxy, clock: ManualClock, upstream: Upstream
) -> None:
    with BlackHole() as hole:
        running = await proxy({"/": {"target": urls(upstream, hole)}}, clock=clock)
        client = await running.client()
        await client.send(GET_NUMBER % 0)
        exchange = await running.waiting_for("connection")
        assert exchange.timeline.call.upstream == hole.url
        await idle()
        clock.advance(10.0)
        running.tick()
        server = await upstream.request()
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert (await running.ended()).ending is Ending.COMPLETE


@pytest.mark.parametrize(
    "request_bytes",
    [pytest.param(GET_NUMBER % 0, id="GET"), pytest.param(POST, id="POST")],
)
async def test_a_request_that_was_sent_goes_to_no_other_target(
    proxy: StartProxy, upstreams: list[Upstream], request_bytes: bytes
) -> None:
    """It may have been carried out: only an unused connection is forgiven."""
    first, second, _ = upstreams
    running = await proxy({"/": {"target": urls(first, second)}})
    client, server = await running.begin(second, request_bytes)
    server.close()
    head, error = await error_of(client)
    assert head.startswith(b"HTTP/1.1 502 ")
    assert error["target"] == second.url
    timeline = await running.ended()
    assert isinstance(timeline.error, UpstreamDisconnected)
    await idle()
    assert (first.unexpected, second.unexpected) == (0, 0)


async def test_a_post_on_a_stale_connection_goes_to_no_other_target(
    proxy: StartProxy, upstreams: list[Upstream]
) -> None:
    first, second, _ = upstreams
    running = await proxy({"/": {"target": urls(first, second)}})
    client = await running.client()
    peers = []
    for upstream in (second, first):
        await client.send(GET_NUMBER % 0)
        peers.append(await upstream.request())
        await peers[-1].send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()
    await client.send(POST)
    await peers[0].read_head()
    assert await peers[0].read(4) == b"body"
    peers[0].close()
    assert (await error_of(client))[0].startswith(b"HTTP/1.1 502 ")
    await running.ended()
    await idle()
    assert (first.unexpected, second.unexpected) == (0, 0)
    assert running.idle_connections == 1


async def test_a_get_on_a_stale_connection_of_a_dead_target_goes_to_the_next(
    proxy: StartProxy, upstream: Upstream
) -> None:
    async with Upstream() as dying:
        running = await proxy({"/": {"target": urls(upstream, dying)}})
        client, server = await running.begin(dying, GET_NUMBER % 0)
        await server.send(OK)
        await client.read_head()
        await client.read(2)
        await running.ended()
        _, busy = await running.begin(upstream, GET_NUMBER % 1)  # so `dying` is next
        await client.send(GET_NUMBER % 2)
        await server.read_head()
        assert dying.server is not None
        dying.server.close()
        server.close()
        other = await upstream.request()
        assert other.head_lines[0] == b"GET /2 HTTP/1.1"
        await other.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        busy.close()


@pytest.mark.parametrize(
    ("how", "words"), [("close", "closed"), ("reset", "reset the connection")]
)
@pytest.mark.parametrize("where", ["before", "within the head", "within the body"])
async def test_how_an_upstream_went_is_said(
    proxy: StartProxy, upstream: Upstream, how: str, words: str, where: str
) -> None:
    running = await proxy({"/": {"target": upstream.url}})
    client, server = await running.begin(upstream, GET_NUMBER % 0)
    if where == "within the head":
        await server.send(b"HTTP/1.1 200 OK\r\nServer: x\r\n")
    elif where == "within the body":
        await server.send(EVENT_STREAM + b"5\r\nab")
        await client.read_head()
        await client.read_payload(2)
    await idle()
    getattr(server, how)()
    if where == "within the body":
        assert await client.read_rest() == b""
    else:
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
    timeline = await running.ended()
    assert timeline.ending is Ending.UPSTREAM_BROKE
    expected = {
        "before": f"the upstream {words} without a response",
        "within the head": f"the upstream {words} in the middle of the response head",
        "within the body": f"the upstream {words} early: ",
    }[where]
    assert str(timeline.error).startswith(expected)
    kind = UpstreamTruncated if where == "within the body" else UpstreamDisconnected
    assert isinstance(timeline.error, kind)


# -- Unix sockets


async def test_a_unix_socket_is_an_upstream(proxy: StartProxy, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    async with Upstream(path=path) as upstream:
        running = await proxy({"/": {"target": f"unix:{path}", "change_origin": True}})
        client, server = await running.begin(upstream, GET_NUMBER % 0)
        assert b"Host: localhost" in server.head_lines
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        await running.ended()
        assert running.idle_connections == 1


async def test_a_unix_socket_that_is_not_there_is_waited_for(
    proxy: StartProxy, tmp_path: Path, clock: ManualClock
) -> None:
    path = str(tmp_path / "app.sock")
    running = await proxy(
        {
            "/": {"target": f"unix:{path}", "connect_retry_seconds": 5},
            "/now": {"target": f"unix:{path}"},
        },
        clock=clock,
    )
    client = await running.client()
    await client.send(GET_NUMBER.replace(b"/%d", b"/now"))
    head, error = await error_of(client)
    assert head.startswith(b"HTTP/1.1 502 ")
    assert error["type"] == "connection_refused"
    assert (
        error["message"] == f"nothing listens at unix:{path}: the socket does not exist"
    )
    await running.ended()
    await client.send(GET_NUMBER % 0)
    await running.waiting_for("retry")
    async with Upstream(path=path) as upstream:
        clock.advance(1.0)
        running.tick()
        await (await upstream.request()).send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
