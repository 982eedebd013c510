"""Health checks: targets that fail them get requests last."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from proxy import __version__
from proxy.transport import connector
from proxy.transport.health_verdict import HealthVerdict
from tests.conftest import ManualClock, StartProxy
from tests.support.looking import Feed, request
from tests.support.looking import asked as looked
from tests.support.messages import OK
from tests.support.ports import BlackHole, ClosedPort
from tests.support.raw import Peer, Upstream, became, idle
from tests.support.running import RunningProxy
from tests.support.siblings import siblings
from tests.support.targets import AnsweringTarget, answering, ask, urls

pytestmark = pytest.mark.any_loop

Targets = list[AnsweringTarget]
ROUTE = {"health_path": "/health", "health_interval_seconds": 10.0}


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    async with answering(2) as made:
        yield made


def verdicts(running: RunningProxy) -> list[HealthVerdict]:
    """What is known of the targets, in their order."""
    found = [each.verdict for each in running.server.compiled.upstreams]
    return [each for each in found if each is not None]


def checks(running: RunningProxy) -> list[int]:
    return [each.checks for each in verdicts(running)]


async def checked(running: RunningProxy, clock: ManualClock, rounds: int = 1) -> None:
    """Have each target checked so many times."""
    for _ in range(rounds):
        wanted = [count + 1 for count in checks(running)]
        clock.advance(12.0)
        running.tick()
        await became(lambda: checks(running) == wanted)  # noqa: B023 # awaited here


async def got(running: RunningProxy, count: int = 4) -> set[str]:
    """Which targets get requests."""
    found = set()
    for _ in range(count):
        client = await running.client()
        found.add((await ask(client, b"GET /"))[1])
        client.close()
    return found


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("unbuffered")
    ]


async def test_a_target_that_fails_three_checks_gets_no_requests_until_it_passes_two(
    proxy: StartProxy,
    targets: Targets,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    running = await proxy({"/": {"target": urls(targets), **ROUTE}}, clock=clock)
    assert await got(running) == {"a", "b"}  # nobody waits for the first check
    await checked(running, clock)
    targets[1].health = 503
    await checked(running, clock, 2)
    assert await got(running) == {"a", "b"}
    assert lines(caplog) == []
    await checked(running, clock)
    assert await got(running) == {"a"}
    name = targets[1].url
    told = f"upstream {name} is unhealthy: GET /health: the response is 503"
    assert lines(caplog) == [f"{told} Service Unavailable"]
    await checked(running, clock)
    targets[1].health = 200
    await checked(running, clock)
    assert await got(running) == {"a"}
    await checked(running, clock)
    assert await got(running) == {"a", "b"}
    assert lines(caplog)[1:] == [
        f"upstream {name} is healthy again after 36.0 s (GET /health)"
    ]


async def test_a_stream_of_a_target_that_becomes_unhealthy_goes_on(
    proxy: StartProxy, clock: ManualClock
) -> None:
    async with Upstream() as one, Upstream() as other:
        running = await proxy(
            {"/": {"target": [one.url, other.url], **ROUTE, "unhealthy_after": 1}},
            clock=clock,
        )
        client = await running.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await became(lambda: bool(one.unexpected or other.unexpected))
        server = await (one if one.unexpected else other).request()
        clock.advance(12.0)
        running.tick()
        for each in (one, other):
            (await each.request()).close()
        await became(lambda: checks(running) == [1, 1])
        assert not any(each.healthy for each in verdicts(running))
        await server.send(OK)
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("status", "healthy"),
    [(200, True), (204, True), (301, True), (399, True), (400, False), (404, False),
     (500, False), (503, False)],
)  # fmt: skip
async def test_a_status_from_200_to_399_is_healthy(
    proxy: StartProxy,
    targets: Targets,
    clock: ManualClock,
    status: int,
    healthy: bool,
) -> None:
    """A redirect is the answer: it is not followed."""
    targets[0].health = status
    targets[0].location = f"{targets[1].url}/elsewhere"
    running = await proxy(
        {"/": {"target": urls(targets[:1]), **ROUTE, "unhealthy_after": 1}}, clock=clock
    )
    await checked(running, clock)
    assert [each.healthy for each in verdicts(running)] == [healthy]
    assert not targets[1].asked


@pytest.mark.parametrize("how", ["refused", "swallowed", "closed", "nonsense"])
async def test_a_target_that_does_not_answer_is_unhealthy(
    proxy: StartProxy, clock: ManualClock, upstream: Upstream, how: str
) -> None:
    with ClosedPort() as closed, BlackHole() as hole:
        url = {"refused": closed.url, "swallowed": hole.url}.get(how, upstream.url)
        running = await proxy(
            {
                "/": {
                    "target": url,
                    **ROUTE,
                    "unhealthy_after": 1,
                    "health_timeout_seconds": 0.2 if how == "swallowed" else 5.0,
                }
            },
            clock=clock,
        )
        clock.advance(12.0)
        running.tick()
        if how == "closed":
            (await upstream.request()).close()
        elif how == "nonsense":
            server = await upstream.request()
            await server.send(b"what?\r\n\r\n")
            server.close()
        await became(lambda: checks(running) == [1])
        (verdict,) = verdicts(running)
        assert not verdict.healthy
        expected = {
            "refused": f"nothing listens at 127.0.0.1:{closed.port}",
            "swallowed": "no response within 0.2 s (health_timeout_seconds)",
            "closed": "the connection was closed without a response",
            "nonsense": "malformed status line 'what?'",
        }
        assert verdict.reason == expected.get(how, verdict.reason)
        assert "\n" not in verdict.reason
        assert verdict.reason


INTERIM = b"HTTP/1.1 103 Early\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(INTERIM * 10, None, id="some 1xx"),
        pytest.param(INTERIM * 1000, "more than 32 responses 1xx", id="1xx"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
            "the response has no head within 65536 bytes",
            id="a head without an end",
        ),
        pytest.param(
            b"HTTP/1.1 503 \x1b[31mRED\r\n\r\n",
            r"malformed status line 'HTTP/1.1 503 \x1b[31mRED'",
            id="control bytes",
        ),
        pytest.param(
            b"HTTP/1.1 503 " + b"A" * 3000 + b"\r\n\r\n",
            f"the response is 503 '{'A' * 40}…'",
            id="many words",
        ),
        pytest.param(
            b"HTTP/1.1 503 \x9b31m\r\n\r\n",
            r"the response is 503 '\\x9b31m'",
            id="control bytes of 8 bits",
        ),
        pytest.param(b"HTTP/1.1 204\n\n", None, id="bare line feeds"),
        pytest.param(b"ICY 200 OK\r\n\r\n", None, id="ICY"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\n\r\n", "the response is 101 Switching", id="101"
        ),
    ],
)
async def test_whatever_a_target_answers_is_read_within_bounds(
    proxy: StartProxy,
    clock: ManualClock,
    upstream: Upstream,
    data: bytes,
    reason: str | None,
) -> None:
    """It goes on sending until the check has closed the connection."""
    running = await proxy(
        {
            "/": {
                "target": upstream.url,
                **ROUTE,
                "unhealthy_after": 1,
                "health_timeout_seconds": 60.0,
            }
        },
        clock=clock,
    )
    clock.advance(12.0)
    running.tick()
    server = await upstream.request()
    server.writer.write(data)
    if data == INTERIM * 10:
        server.writer.write(OK)
    await became(lambda: checks(running) == [1])
    (verdict,) = verdicts(running)
    assert verdict.healthy is (reason is None)
    if reason is not None:
        assert verdict.reason == reason
    await server.closed()


async def test_an_answer_of_one_byte_at_a_time_is_understood(
    proxy: StartProxy, clock: ManualClock, upstream: Upstream
) -> None:
    running = await proxy({"/": {"target": upstream.url, **ROUTE}}, clock=clock)
    for answer in (INTERIM + OK, b"HTTP/1.1 500 No\r\n\r\n"):
        clock.advance(12.0)
        running.tick()
        server = await upstream.request()
        before = checks(running)[0]
        for position in range(len(answer) - 1):
            await server.send(answer[position : position + 1])
        assert checks(running) == [before]
        await server.send(answer[-1:])
        await became(lambda: checks(running) == [before + 1])  # noqa: B023 # awaited
    (verdict,) = verdicts(running)
    assert verdict.reason == "the response is 500 No"


async def test_if_no_target_is_healthy_all_are_asked(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": urls(targets), **ROUTE}}, clock=clock)
    for each in targets:
        each.health = 500
    assert running.server.compiled.without_healthy_target == []
    await checked(running, clock, 3)
    assert running.server.compiled.without_healthy_target == ["/"]
    assert await got(running) == {"a", "b"}


async def test_an_unhealthy_target_is_asked_before_a_request_fails(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": urls(targets), **ROUTE}}, clock=clock)
    targets[0].health = 500
    await checked(running, clock, 3)
    await targets[1].stop()
    assert await got(running) == {"a"}


async def test_an_unhealthy_target_moves_only_its_own_share(
    proxy: StartProxy, clock: ManualClock
) -> None:
    async with answering(3) as targets:
        running = await proxy(
            {"/": {"target": urls(targets), **ROUTE, "balance": "header:X-User"}},
            clock=clock,
        )

        async def homes() -> dict[int, str]:
            found = {}
            for user in range(16):
                client = await running.client()
                _, found[user], _ = await ask(client, b"GET /", {"X-User": f"{user}"})
                client.close()
            return found

        before = await homes()
        targets[2].health = 500
        await checked(running, clock, 3)
        meanwhile = await homes()
        assert {u for u in before if before[u] != meanwhile[u]} == {
            u for u in before if before[u] == "c"
        }
        targets[2].health = 200
        await checked(running, clock, 2)
        assert await homes() == before


async def test_a_check_is_sent_as_the_route_sends_requests(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy(
        {
            "/": {
                "target": f"{targets[0].url}/base",
                **ROUTE,
                "health_path": "/health?a=%2F&b",
                "headers": {"request": {"set": {"Authorization": "Bearer ü"}}},
            }
        },
        clock=clock,
    )
    await checked(running, clock)
    (check,) = targets[0].checks
    assert check.method == "GET"
    assert check.raw_path == "/health?a=%2F&b"
    assert dict(check.headers) == {
        "Host": targets[0].url.removeprefix("http://"),
        "User-Agent": f"unbuffered/{__version__} (health check)",
        "Accept": "*/*",
        "Authorization": "Bearer ü",
        "Connection": "close",
    }


async def test_a_host_that_the_route_sets_is_sent(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    headers = {"request": {"set": {"Host": "app.example"}, "remove": ["User-Agent"]}}
    running = await proxy(
        {"/": {"target": urls(targets[:1]), **ROUTE, "headers": headers}}, clock=clock
    )
    await checked(running, clock)
    (check,) = targets[0].checks
    fields = {"Host": "app.example", "Accept": "*/*", "Connection": "close"}
    assert dict(check.headers) == fields


async def test_a_unix_socket_is_checked(
    proxy: StartProxy, clock: ManualClock, tmp_path: Path
) -> None:
    path = str(tmp_path / "app.sock")
    async with Upstream(path=path) as upstream:
        running = await proxy({"/": {"target": f"unix:{path}", **ROUTE}}, clock=clock)
        clock.advance(12.0)
        running.tick()
        server = await upstream.request()
        assert server.head_lines[:2] == [b"GET /health HTTP/1.1", b"Host: localhost"]
        await server.send(OK)
        await became(lambda: checks(running) == [1])
        assert [each.in_a_row for each in verdicts(running)] == [0]
    with contextlib.suppress(FileNotFoundError):  # some loops remove it
        os.unlink(path)
    await checked(running, clock, 3)
    (verdict,) = verdicts(running)
    assert not verdict.healthy
    assert (
        verdict.reason == f"nothing listens at unix:{path}: the socket does not exist"
    )


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_that_of_the_route(
    proxy: StartProxy, clock: ManualClock, tmp_path: Path, trusted: bool
) -> None:
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Upstream(tls=context) as upstream:
        running = await proxy(
            {
                "/": {
                    "target": upstream.url,
                    **ROUTE,
                    "unhealthy_after": 1,
                    "ca_file": str(path) if trusted else "",
                }
            },
            clock=clock,
        )
        clock.advance(12.0)
        running.tick()
        if trusted:
            server = await upstream.request()
            await server.send(OK)
        await became(lambda: checks(running) == [1])
        (verdict,) = verdicts(running)
        assert verdict.healthy is trusted
        if not trusted:
            assert "set ca_file to that CA" in verdict.reason
        # A reload reads the file again: what is known of the target stays.
        await running.server.reload(running.server.config)
        assert [each.healthy for each in verdicts(running)] == [trusted]


async def test_a_check_that_the_proxy_could_not_make_says_nothing(
    proxy: StartProxy,
    targets: Targets,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a file descriptor all targets would be unhealthy at once."""
    running = await proxy(
        {"/": {"target": urls(targets), **ROUTE, "unhealthy_after": 1}}, clock=clock
    )

    async def none_left(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(connector, "start_connection", none_left)
    for _ in range(3):
        clock.advance(12.0)
        running.tick()
        await idle()
    assert checks(running) == [0, 0]
    monkeypatch.undo()
    await checked(running, clock)


async def test_a_check_that_passes_ends_the_rest_of_a_target(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": urls(targets), **ROUTE}}, clock=clock)
    await targets[0].stop()
    assert await got(running) == {"b"}
    upstream, _ = running.server.compiled.upstreams
    assert upstream.health.down_since is not None
    await targets[0].start()
    await checked(running, clock)
    assert upstream.health.down_since is None


async def test_no_target_is_asked_in_step_with_another_one(
    proxy: StartProxy, clock: ManualClock
) -> None:
    many = [f"http://127.0.0.1:{number}" for number in range(1, 101)]
    running = await proxy({"/": {"target": many, **ROUTE}}, clock=clock)
    asking = running.server.health_checks
    first = [each.due - clock() for each in asking.checks.values()]
    assert all(0 <= each <= 1 for each in first)
    assert max(first) - min(first) > 0.5
    clock.advance(2.0)
    running.tick()
    then = [each.due - clock() for each in asking.checks.values()]
    assert all(9 <= each <= 11 for each in then)
    assert max(then) - min(then) > 1.0


async def test_a_target_is_not_asked_again_while_it_is_being_asked(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url, **ROUTE}}, clock=clock)
    for _ in range(3):
        clock.advance(12.0)
        running.tick()
        await idle()
    server = await upstream.request()
    assert upstream.unexpected == 0
    await server.send(OK)
    await became(lambda: checks(running) == [1])


async def test_a_request_does_not_wait_for_a_check(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url, **ROUTE}}, clock=clock)
    clock.advance(12.0)
    running.tick()
    await upstream.request()
    client, server = await running.begin(upstream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await server.send(OK)
    assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")


async def test_a_flapping_target_is_logged_once_in_ten_seconds(
    proxy: StartProxy,
    targets: Targets,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "unbuffered")
    rule = {"health_interval_seconds": 1.0, "unhealthy_after": 1, "healthy_after": 1}
    running = await proxy(
        {"/": {"target": urls(targets[:1]), **ROUTE, **rule}}, clock=clock
    )
    (verdict,) = verdicts(running)
    for number in range(21):
        targets[0].health = 200 if number % 2 else 503
        clock.advance(1.2)
        running.tick()
        await became(lambda: verdict.checks == number + 1)  # noqa: B023 # awaited here
    told = [line.partition(" is ")[2].partition(" (")[0] for line in lines(caplog)]
    wrong = "unhealthy: GET /health: the response is 503 Service Unavailable"
    # The line may come late, and says how long it was all the same.
    assert told == [wrong, "healthy again after 1.2 s", wrong]


# -- reloads


async def test_checks_begin_and_end_with_reloads(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    plain = {"target": urls(targets)}
    with_checks = await proxy({"/": {**plain, **ROUTE}}, clock=clock)
    running = await proxy({"/": plain}, clock=clock)
    assert not running.server.ticker.waiting
    await running.server.reload(with_checks.server.config)
    await checked(running, clock)
    targets[0].health = 503
    await checked(running, clock, 3)
    before = verdicts(running)
    await running.server.reload(with_checks.server.config)
    assert verdicts(running) == before  # the same checks go on
    assert len(running.server.ticker.waiting) == 2
    without = await proxy({"/": plain}, clock=clock)
    await running.server.reload(without.server.config)
    assert not running.server.ticker.waiting
    assert await got(running) == {"a", "b"}


async def test_a_check_that_is_under_way_ends_with_the_proxy(
    proxy: StartProxy, upstream: Upstream, clock: ManualClock
) -> None:
    running = await proxy({"/": {"target": upstream.url, **ROUTE}}, clock=clock)
    clock.advance(12.0)
    running.tick()
    server = await upstream.request()
    await running.stop()
    await server.closed()


# -- who is told


async def first_warnings(peer: Peer) -> list[dict[str, object]]:
    """The first warnings of the feed that has been asked for."""
    await peer.read_head()
    feed = Feed(peer)
    while True:
        name, told = await feed.event()
        if name == "warnings":
            found: list[dict[str, object]] = told
            return found


async def test_metrics_and_the_inspector_tell_of_it(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy(
        {
            "/": {"target": urls(targets), **ROUTE},
            "/other": {"target": urls(targets[:1])},
        },
        clock=clock,
    )
    targets[1].health = 500
    await checked(running, clock, 3)
    _, body = await looked(running, "metrics")
    told = [line for line in body.decode().splitlines() if "target_healthy{" in line]
    assert told == [
        f'unbuffered_target_healthy{{route="/",target="{url}",worker="0"}} {healthy}'
        for url, healthy in zip(urls(targets), (1, 0), strict=True)
    ]
    peer = await running.client()
    await peer.send(request("feed"))
    assert await first_warnings(peer) == [
        {
            "kind": "unhealthy target",
            "text": f"{targets[1].url}, a target of /, is unhealthy and gets no "
            "requests: GET /health: the response is 500 Internal Server Error",
            "ids": [],
        }
    ]


async def test_what_one_worker_has_found_holds_for_all(
    targets: Targets, clock: ManualClock, tmp_path: Path
) -> None:
    """Else a session that was begun by one of them would be lost by another one."""
    routes = {"/": {"target": urls(targets), **ROUTE}}
    async with siblings(tmp_path, routes, count=3, clock=clock) as workers:
        one, other, third = workers.running
        await became(lambda: len(other.server.others.names.feeds) == 2)
        targets[1].health = 503
        await checked(one, clock, 3)
        await became(lambda: not verdicts(other)[1].healthy)
        assert verdicts(other)[1].reason == "the response is 503 Service Unavailable"
        assert await got(other) == {"a"}
        await workers.kill(0)
        fresh = await workers.replace(0)
        await became(lambda: not verdicts(fresh)[1].healthy)
        targets[1].health = 200
        await checked(other, clock, 2)
        await became(lambda: verdicts(third)[1].healthy and verdicts(fresh)[1].healthy)
        assert await got(third) == {"a", "b"}


async def test_each_worker_checks_and_the_inspector_says_it_once(
    targets: Targets, clock: ManualClock, tmp_path: Path
) -> None:
    routes = {"/": {"target": urls(targets), **ROUTE}}
    async with siblings(tmp_path, routes, clock=clock) as workers:
        targets[0].health = targets[1].health = 500
        await checked(workers[0], clock, 3)
        await checked(workers[1], clock, 1)
        await became(lambda: not any(each.healthy for each in verdicts(workers[1])))
        assert len(targets[0].checks) == 4
        peer = await workers[0].client()
        await peer.send(request("feed"))
        await peer.read_head()
        feed = Feed(peer)
        seen: list[str] = []
        async with asyncio.timeout(5.0):
            while True:
                name, told = await feed.event()
                seen.append(name)
                if name == "warnings":
                    assert len(told) == 2, json.dumps(told)
                    assert "no target of the route is healthy" in told[0]["text"]
                    break
