"""Sessions of targets, by a real server: see tests/wire/test_store_sessions.py."""

from __future__ import annotations

from pathlib import Path

from proxy.config.kept_options import StoreOptions
from proxy.kept.redis.redis_store import RedisStore
from proxy.kept.shared_store import SharedStore
from tests.support.nodes import nodes
from tests.support.raw import became
from tests.support.redis_server import RedisServer, needs_redis
from tests.support.targets import SESSION, answering, ask, urls

pytestmark = needs_redis


def notes(server: RedisServer) -> int:
    """How many notes the server has."""
    return len(server.do("KEYS", "*:note:*"))


async def test_sessions_are_known_to_other_machines_and_after_a_restart(
    server: RedisServer, tmp_path: Path
) -> None:
    def make() -> SharedStore:
        return RedisStore(StoreOptions(url=server.url))

    async with answering(3) as targets:
        routes = {"/": {"target": urls(targets), "balance": f"header:{SESSION}"}}
        async with nodes(tmp_path, routes, make) as each:
            client = await each[0].client()
            sessions = {}
            for _ in range(6):
                _, target, given = await ask(client, b"POST /mcp")
                sessions[given[SESSION.lower()][0]] = target
            await became(lambda: notes(server) == 6)
            await each[0].stop()
            for running in (each[1], await each.start()):
                client = await running.client()
                for session, target in sessions.items():
                    status, found, _ = await ask(
                        client, b"POST /mcp", {SESSION: session}
                    )
                    assert (status, found) == (200, target)
            everything = server.everything()
            assert not any(session.encode() in everything for session in sessions)
            assert not any(url.encode() in everything for url in urls(targets))
            for session in sessions:
                await ask(client, b"DELETE /mcp", {SESSION: session})
            await became(lambda: notes(server) == 0)
