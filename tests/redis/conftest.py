"""A server for all tests of a file, and nodes that use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.support.redis_server import PROGRAMS, RedisServer
from tests.support.store_nodes import StoreNode, store_node

StartNode = Callable[..., Awaitable[StoreNode]]


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    """redis-server, and valkey-server where it is installed."""
    return str(request.param)


@pytest.fixture(scope="module")
def running_server(program: str) -> Iterator[RedisServer]:
    with RedisServer(program=program) as server:
        yield server


@pytest.fixture
def server(running_server: RedisServer) -> RedisServer:
    """An empty server."""
    running_server.do("FLUSHALL")
    return running_server


@pytest.fixture
async def start_node() -> AsyncIterator[StartNode]:
    """Starts nodes that are closed when the test is over."""
    async with AsyncExitStack() as stack:

        async def start(url: str, **options: str) -> StoreNode:
            return await stack.enter_async_context(store_node(url, **options))

        yield start
