"""`balance`: which target gets a request, and keeps its sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.kept.session_table import session_key
from tests.conftest import ManualClock, StartProxy
from tests.support.raw import Upstream, became, idle
from tests.support.running import RunningProxy
from tests.support.siblings import Siblings, siblings
from tests.support.targets import (
    COOKIE,
    SESSION,
    AnsweringTarget,
    answering,
    ask,
    urls,
)

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]

BY_SESSION = f"header:{SESSION}"
USERS = [f"user {number}" for number in range(24)]
Targets = list[AnsweringTarget]


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    async with answering(3) as made:
        yield made


async def asked(
    running: RunningProxy, line: bytes = b"GET /", /, **fields: str
) -> tuple[int, str, dict[str, list[str]]]:
    """Ask on a connection of its own; `_` in a name is a hyphen."""
    client = await running.client()
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    found = await ask(client, line, named)
    client.close()
    return found


async def homes(running: RunningProxy) -> dict[str, str]:
    """Which target has each user."""
    return {user: (await asked(running, X_User=user))[1] for user in USERS}


async def begun(running: RunningProxy) -> tuple[str, str]:
    """Begin a session; its value, and the target that has made it."""
    _, target, fields = await asked(running, b"POST /mcp")
    return fields[SESSION.lower()][0], target


def known(running: RunningProxy, value: str, source: str = BY_SESSION) -> bool:
    """Does the proxy know the target of a session?"""
    key = session_key(source.lower().encode(), value.encode())
    return key in running.server.compiled.sessions.known


# -- a value decides


@pytest.mark.parametrize(
    ("balance", "fields"),
    [
        pytest.param("header:X-User", {"X_User": "{}"}, id="a field"),
        pytest.param("cookie:u", {"Cookie": "v=1; u={}; w=2"}, id="a cookie"),
        pytest.param(
            "client", {"X_Forwarded_For": "9.9.9.9, 10.0.0.{}"}, id="a client"
        ),
    ],
)
async def test_a_value_goes_to_one_target_and_values_to_all(
    proxy: StartProxy, targets: Targets, balance: str, fields: dict[str, str]
) -> None:
    running = await proxy(
        {"/": {"target": urls(targets), "balance": balance}},
        server={"trusted_proxies": ["127.0.0.1"]},
    )
    found: dict[int, set[str]] = {}
    for _ in range(2):
        for number in range(64):  # ports vary: fewer may leave a target without one
            sent = {name: text.format(number) for name, text in fields.items()}
            _, target, _ = await asked(running, **sent)
            found.setdefault(number, set()).add(target)
    assert all(len(each) == 1 for each in found.values())
    assert set.union(*found.values()) == {"a", "b", "c"}


async def test_every_machine_comes_to_the_same_result(
    proxy: StartProxy, targets: Targets
) -> None:
    """By the names of targets, in whatever order and way they are written."""
    one = await proxy({"/": {"target": urls(targets), "balance": "header:X-User"}})
    other_urls = [url.replace("http:", "ws:") + "/" for url in reversed(urls(targets))]
    other = await proxy(
        {"/": {"target": other_urls, "balance": "header:x-user", "ws": True}}
    )
    assert await homes(one) == await homes(other)


async def test_without_the_value_the_fewest_open_exchanges_decide(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy({"/": {"target": urls(targets), "balance": "header:X-User"}})
    for fields in ({}, {"X_User": ""}):
        found = [(await asked(running, **fields))[1] for _ in range(6)]
        assert found[:3] == found[3:]
        assert sorted(found[:3]) == ["a", "b", "c"]


async def test_a_client_who_is_not_trusted_cannot_choose(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy({"/": {"target": urls(targets), "balance": "client"}})
    found = {
        (await asked(running, X_Forwarded_For=f"10.0.0.{number}"))[1]
        for number in range(12)
    }
    assert len(found) == 1


async def test_a_target_that_rests_moves_only_its_own_share_and_gets_it_back(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    running = await proxy(
        {"/": {"target": urls(targets), "balance": "header:X-User"}}, clock=clock
    )
    before = await homes(running)
    gone = targets[1]
    await gone.stop()
    meanwhile = await homes(running)
    stayed = {user for user in USERS if before[user] != "b"}
    assert {user for user in USERS if meanwhile[user] == before[user]} == stayed
    assert {meanwhile[user] for user in set(USERS) - stayed} <= {"a", "c"}
    assert await homes(running) == meanwhile
    await gone.start()
    clock.advance(31.0)
    assert await homes(running) == before


async def test_a_target_more_takes_only_its_own_share(
    proxy: StartProxy, targets: Targets
) -> None:
    two = await proxy({"/": {"target": urls(targets)[:2], "balance": "header:X-User"}})
    three = await proxy({"/": {"target": urls(targets), "balance": "header:X-User"}})
    before, after = await homes(two), await homes(three)
    assert {after[user] for user in USERS if after[user] != before[user]} <= {"c"}


# -- sessions that a target hands out


async def test_an_mcp_session_stays_with_the_target_that_made_it(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy({"/": {"target": urls(targets), "balance": BY_SESSION}})
    sessions = [await begun(running) for _ in range(9)]
    assert {target for _, target in sessions} == {"a", "b", "c"}
    for session, target in sessions:
        for line in (b"POST /mcp", b"GET /mcp", b"POST /mcp"):
            status, found, _ = await asked(running, line, Mcp_Session_Id=session)
            assert (status, found) == (200, target)
        status, found, _ = await asked(
            running, b"GET /mcp", Mcp_Session_Id=session, Accept="text/event-stream"
        )
        assert (status, found) == (200, target)
    session, target = sessions[0]
    assert known(running, session)
    assert await asked(running, b"DELETE /mcp", Mcp_Session_Id=session)
    assert not known(running, session)
    assert all(known(running, each) for each, _ in sessions[1:])
    assert (await asked(running, b"POST /mcp", Mcp_Session_Id=session))[0] == 404


async def test_only_where_a_session_was_handed_out_its_target_can_end_it(
    proxy: StartProxy, targets: Targets
) -> None:
    """A route has more than the MCP endpoint: a 404 elsewhere is not the session's."""
    running = await proxy({"/": {"target": urls(targets), "balance": BY_SESSION}})
    sessions = [await begun(running) for _ in range(12)]
    for session, target in sessions:
        for line in (
            *(b"GET /missing", b"POST /missing?/mcp", b"DELETE /missing"),
            *(b"DELETE /file", b"GET /again", b"DELETE /again", b"GET /missing"),
        ):
            _, found, _ = await asked(running, line, Mcp_Session_Id=session)
            assert found == target
            assert known(running, session)
        await asked(running, b"DELETE /mcp?a=b", Mcp_Session_Id=session)
        assert not known(running, session)


@pytest.mark.parametrize(
    ("balance", "spellings"),
    [
        pytest.param(
            "header:Authorization",
            [
                "Authorization: Bearer T{}",
                "authorization: bearer T{}",
                "Authorization: BEARER   T{} ",
                "Authorization: Bearer T{}\r\nAuthorization: Basic eHg=",
            ],
            id="Authorization",
        ),
        pytest.param(
            "cookie:sid",
            ["Cookie: sid=T{}", 'Cookie: sid="T{}"', "Cookie: a=b;  sid=T{}; sid=x"],
            id="a cookie",
        ),
    ],
)
async def test_one_value_in_all_its_spellings_goes_to_one_target(
    proxy: StartProxy, targets: Targets, balance: str, spellings: list[str]
) -> None:
    """RFC 9110 §11.1, RFC 6265 §4.1.1."""
    running = await proxy({"/": {"target": urls(targets), "balance": balance}})
    for user in range(16):
        found = set()
        for each in spellings:
            name, _, content = each.format(user).partition(": ")
            found.add((await asked(running, **{name: content}))[1])
        assert len(found) == 1, user


async def test_a_session_that_its_target_has_lost_is_forgotten(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy({"/": {"target": urls(targets), "balance": BY_SESSION}})
    session, _ = await begun(running)
    for each in targets:
        each.sessions.clear()
    assert (await asked(running, b"POST /mcp", Mcp_Session_Id=session))[0] == 404
    assert not known(running, session)


async def test_a_session_waits_for_its_target_while_that_rests(
    proxy: StartProxy, targets: Targets, clock: ManualClock
) -> None:
    """The 404 of another target says nothing."""
    running = await proxy(
        {"/": {"target": urls(targets), "balance": BY_SESSION}}, clock=clock
    )
    session, target = await begun(running)
    (owner,) = [each for each in targets if each.name == target]
    await owner.stop()
    assert (await asked(running, b"POST /mcp", Mcp_Session_Id=session))[0] == 404
    await owner.start()
    clock.advance(31.0)
    status, found, _ = await asked(running, b"POST /mcp", Mcp_Session_Id=session)
    assert (status, found) == (200, target)


async def test_a_session_survives_a_reload_and_another_order_of_targets(
    proxy: StartProxy, targets: Targets, tmp_path: Path
) -> None:
    running = await proxy({"/": {"target": urls(targets), "balance": BY_SESSION}})
    session, target = await begun(running)
    other = await proxy(
        {"/": {"target": urls(targets)[::-1], "balance": BY_SESSION, "ws": True}}
    )
    await running.server.reload(other.server.config)
    status, found, _ = await asked(running, b"POST /mcp", Mcp_Session_Id=session)
    assert (status, found) == (200, target)


async def test_a_session_begun_while_heartbeats_come_before_the_head_is_learned(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy(
        {
            "/": {
                "target": urls(targets),
                "balance": BY_SESSION,
                "heartbeat_seconds": 15,
                "heartbeat_before_head": True,
            }
        }
    )
    client = await running.client()
    fields = {"Accept": "application/json, text/event-stream"}
    _, target, given = await ask(client, b"POST /mcp", fields)
    session = given[SESSION.lower()][0]
    status, found, _ = await asked(running, b"POST /mcp", Mcp_Session_Id=session)
    assert (status, found) == (200, target)


async def test_a_session_whose_client_has_left_before_the_head_is_learned(
    proxy: StartProxy,
) -> None:
    """Its client may come back for the response, and has the session then."""
    async with Upstream() as one, Upstream() as other:
        running = await proxy(
            {
                "/": {
                    "target": [one.url, other.url],
                    "balance": BY_SESSION,
                    "heartbeat_seconds": 15,
                    "heartbeat_before_head": True,
                    "on_client_leave": "finish",
                }
            }
        )
        client = await running.client()
        await client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
        )
        await became(lambda: bool(one.unexpected or other.unexpected))
        server = await (one if one.unexpected else other).request()
        exchange = await running.exchange()
        client.close()
        await became(lambda: exchange.is_finishing)
        await server.send(
            b"HTTP/1.1 200 OK\r\nMcp-Session-Id: s1\r\nContent-Length: 0\r\n\r\n"
        )
        await running.ended()
        assert known(running, "s1")


async def test_a_cookie_that_a_target_sets_leads_back_to_it(
    proxy: StartProxy, targets: Targets
) -> None:
    """Neither 404 nor DELETE says that such a session has ended."""
    running = await proxy(
        {"/": {"target": urls(targets), "balance": f"cookie:{COOKIE}"}}
    )
    for _ in range(6):
        _, target, fields = await asked(running, b"GET /login")
        (line,) = [each for each in fields["set-cookie"] if each.startswith(COOKIE)]
        cookie = line.partition(";")[0]
        for request in (b"GET /", b"GET /missing", b"DELETE /one", b"GET /missing"):
            _, found, _ = await asked(running, request, Cookie=f"a=b; {cookie}")
            assert found == target
        assert known(running, cookie.partition("=")[2], f"cookie:{COOKIE}")


async def test_other_fields_are_not_ended_by_404_or_delete(
    proxy: StartProxy, targets: Targets
) -> None:
    running = await proxy(
        {"/": {"target": urls(targets), "balance": "header:X-Target"}}
    )
    _, target, _ = await asked(running)
    await asked(running, b"GET /missing", X_Target=target)
    await asked(running, b"DELETE /one", X_Target=target)
    assert known(running, target, "header:x-target")


# -- several workers


@pytest.fixture
async def workers(
    targets: Targets, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Siblings]:
    routes = {"/": {"target": urls(targets), "balance": BY_SESSION}}
    async with siblings(tmp_path, routes, count=3, clock=clock) as all_of_them:
        await became(lambda: are_linked(all_of_them))
        yield all_of_them


def are_linked(workers: Siblings) -> bool:
    """Does each worker hear of the sessions of all others?"""
    heard = [len(each.server.others.names.feeds) for each in workers.running]
    return heard == [len(workers) - 1] * len(workers)


async def test_every_worker_knows_a_session_at_once(workers: Siblings) -> None:
    """The next request is sent as soon as the response is here."""
    for _ in range(3):
        session, target = await begun(workers[0])
        for worker in workers.running:
            status, found, _ = await asked(worker, b"GET /x", Mcp_Session_Id=session)
            assert (status, found) == (200, target)
    await asked(workers[1], b"DELETE /mcp", Mcp_Session_Id=session)
    await became(lambda: not any(known(each, session) for each in workers.running))


async def test_a_worker_that_is_replaced_is_told_of_all_sessions(
    workers: Siblings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.server.peer_names.MOST_IN_ONE", 2)
    sessions = [await begun(workers[number % 3]) for number in range(9)]
    await workers.kill(0)
    fresh = await workers.replace(0)
    await became(lambda: all(known(fresh, session) for session, _ in sessions))
    for session, target in sessions:
        status, found, _ = await asked(fresh, b"GET /x", Mcp_Session_Id=session)
        assert (status, found) == (200, target)


async def test_workers_of_other_routes_tell_each_other_nothing(
    targets: Targets, tmp_path: Path
) -> None:
    for number, balance in enumerate(("least_open", "client")):
        folder = tmp_path / str(number)
        folder.mkdir()
        routes = {"/": {"target": urls(targets), "balance": balance}}
        async with siblings(folder, routes, count=2) as made:
            await begun(made[0])
            await idle()
            assert not any(each.server.others.names.links for each in made.running)
            assert not made[0].server.compiled.sessions.known
