"""Nodes whose store is a real Redis server, and how one of them dies."""

from __future__ import annotations

import itertools

from proxy.config.kept_options import StoreOptions
from proxy.kept.redis.redis_store import RedisStore
from proxy.kept.shared_store import SharedStore
from tests.support.nodes import MakeStore

TESTS = itertools.count()  # each has keys of its own


def redis_nodes(url: str) -> MakeStore:
    """Makes the store of a node, and of another one, and so on."""
    options = StoreOptions(url=url, prefix=f"test{next(TESTS)}")
    return lambda: RedisStore(options)


def kill_store(store: SharedStore) -> None:
    """End it as by SIGKILL: nothing more is written, and it shows no sign of life."""
    assert isinstance(store, RedisStore)
    store.up = False
    store.messages.up.clear()
    for task in store.tasks:
        task.cancel()


async def go_on(store: SharedStore) -> None:
    """Undo that: it was only away for a while."""
    assert isinstance(store, RedisStore)
    store.tasks.clear()
    await store.connection.close()
    await store.open()
