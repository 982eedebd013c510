"""Sessions that a target has handed out are known to all proxies that share a store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.kept.session_table import KIND, session_key
from tests.conftest import ManualClock
from tests.support.nodes import MakeStore
from tests.support.raw import became, idle
from tests.support.running import RunningProxy
from tests.support.shared_memory import Hub, MemoryNode
from tests.support.shared_streams import StartNodes
from tests.support.targets import SESSION, AnsweringTarget, answering, ask, urls

pytestmark = [pytest.mark.any_loop, pytest.mark.both_protocols]

Targets = list[AnsweringTarget]


@pytest.fixture
def make_store(hub: Hub) -> MakeStore:
    """In memory, where what is asked can be counted: tests/redis has a real one."""
    return hub.node


@pytest.fixture
async def targets() -> AsyncIterator[Targets]:
    async with answering(3) as made:
        yield made


def balanced(targets: Targets, balance: str = f"header:{SESSION}") -> dict[str, object]:
    return {"/": {"target": urls(targets), "balance": balance}}


def hub_of(running: RunningProxy) -> Hub:
    store = running.server.kept.shared
    assert isinstance(store, MemoryNode)
    return store.hub


async def asked(
    running: RunningProxy, line: bytes, session: str = "", name: str = SESSION
) -> tuple[int, str, dict[str, list[str]]]:
    client = await running.client()
    found = await ask(client, line, {name: session} if session else {})
    client.close()
    return found


async def begun(running: RunningProxy) -> tuple[str, str]:
    """Begin a session; its value, and the target that has made it."""
    _, target, fields = await asked(running, b"POST /mcp")
    return fields[SESSION.lower()][0], target


async def test_a_session_is_known_to_every_node_and_asked_for_once(
    start: StartNodes, targets: Targets
) -> None:
    async with start(balanced(targets), count=3) as each:
        sessions = [await begun(each[0]) for _ in range(9)]
        for number in (1, 2):
            for session, target in sessions:
                for line in (b"GET /mcp", b"POST /mcp"):
                    status, found, _ = await asked(each[number], line, session)
                    assert (status, found) == (200, target)
        assert hub_of(each[0]).recalled == 2 * len(sessions)


async def test_a_session_outlives_the_process_that_has_seen_it_begin(
    start: StartNodes, targets: Targets
) -> None:
    async with start(balanced(targets), count=1) as each:
        sessions = [await begun(each[0]) for _ in range(6)]
        await each[0].stop()
        fresh = await each.start()
        for session, target in sessions:
            status, found, _ = await asked(fresh, b"POST /mcp", session)
            assert (status, found) == (200, target)


async def test_a_session_that_has_ended_is_forgotten_in_the_store(
    start: StartNodes, targets: Targets
) -> None:
    async with start(balanced(targets)) as each:
        session, target = await begun(each[0])
        key = session_key(b"header:mcp-session-id", session.encode())
        notes = hub_of(each[0]).notes
        assert notes[KIND, key].endswith(b":%d" % ports(targets)[target])
        assert (await asked(each[1], b"DELETE /mcp", session))[0] == 200
        assert not notes


def ports(targets: Targets) -> dict[str, int]:
    return {each.name: each.port for each in targets}


async def test_a_value_that_no_target_has_made_is_asked_for_once_in_a_while(
    start: StartNodes, targets: Targets, clock: ManualClock
) -> None:
    """A client may choose it itself: then each request would wait for the store."""
    routes = balanced(targets, "header:X-User")
    async with start(routes, count=1, clock=clock) as each:
        found = {(await asked(each[0], b"GET /", "me", "X-User"))[1] for _ in range(3)}
        assert len(found) == 1
        assert hub_of(each[0]).recalled == 1
        await asked(each[0], b"GET /")  # without the value there is nothing to ask for
        assert hub_of(each[0]).recalled == 1
        clock.advance(30.0)  # a target may have made it meanwhile
        for _ in range(2):
            await asked(each[0], b"GET /", "me", "X-User")
        assert hub_of(each[0]).recalled == 2


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_without_the_store_the_hash_decides(
    start: StartNodes, targets: Targets, when: str
) -> None:
    async with start(balanced(targets, "header:X-User")) as each:
        _, home, _ = await asked(each[0], b"GET /", "me", "X-User")
        hub = hub_of(each[1])
        if when == "before":
            hub.go_down()
            assert (await asked(each[1], b"GET /", "me", "X-User"))[1] == home
            return
        hub.held = True
        client = await each[1].client()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-User: me\r\n\r\n")
        await became(lambda: bool(hub.waiting))
        hub.go_down()
        hub.release()
        assert f"X-Target: {home}".encode() in await client.read_head()
        # It is asked again later: nothing is known of the value.
        hub.come_back()
        await asked(each[1], b"GET /", "me", "X-User")
        assert hub.recalled == 2


async def test_a_body_waits_while_the_store_is_asked(
    start: StartNodes, targets: Targets
) -> None:
    async with start(balanced(targets)) as each:
        session, target = await begun(each[0])
        hub = hub_of(each[1])
        hub.held = True
        client = await each[1].client()
        await client.send(
            b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
            b"Mcp-Session-Id: %b\r\n\r\nbo" % session.encode()
        )
        await became(lambda: bool(hub.waiting))
        await client.send(b"dy")
        await idle()
        hub.release()
        assert f"X-Target: {target}".encode() in await client.read_head()


async def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(
    start: StartNodes, targets: Targets
) -> None:
    async with start(balanced(targets)) as each:
        session, _ = await begun(each[0])
        before = sum(target.asked.total() for target in targets)
        hub = hub_of(each[1])
        hub.held = True
        client = await each[1].client()
        await client.send(
            b"GET /mcp HTTP/1.1\r\nHost: a\r\nMcp-Session-Id: %b\r\n\r\n"
            % session.encode()
        )
        await became(lambda: bool(hub.waiting))
        client.close()
        await each[1].ended()
        hub.release()
        await idle()
        assert sum(target.asked.total() for target in targets) == before
        assert all(not each.open for each in each[1].server.compiled.upstreams)
