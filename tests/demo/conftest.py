"""Services of the demo on ports of their own, and clients for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiohttp import web

from tests.demo.gate import Gate
from tests.demo.rawclient import GUARD, RawClient
from upstream_demo.event_service import create_events_app
from upstream_demo.listeners import listen, port_of, serve

Serve: TypeAlias = Callable[[web.Application], Awaitable[int]]
Connect: TypeAlias = Callable[[int], Awaitable[RawClient]]
Status: TypeAlias = Callable[[int], Awaitable[dict[str, Any]]]


@pytest.fixture
async def serve_app() -> AsyncIterator[Serve]:
    """Start an application on a free port, for the time of the test."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> int:
            sockets = listen("test", "127.0.0.1", 0)
            await stack.enter_async_context(serve(app, sockets))
            return port_of(sockets)

        yield start


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open raw connections, closed after the test."""
    clients: list[RawClient] = []

    async def open_client(port: int) -> RawClient:
        clients.append(await RawClient.connect(port))
        return clients[-1]

    yield open_client
    for client in clients:
        client.leave()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An ordinary client, which decodes nothing."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=GUARD), auto_decompress=False
    ) as session:
        yield session


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def events_port(serve_app: Serve, gate: Gate) -> int:
    """The event service, whose time the gate keeps."""
    return await serve_app(create_events_app(pause=gate.pause))


@pytest.fixture
def status_of(session: aiohttp.ClientSession) -> Status:
    async def read(port: int) -> dict[str, Any]:
        async with session.get(f"http://127.0.0.1:{port}/status") as response:
            status: dict[str, Any] = await response.json()
            return status

    return read


@pytest.fixture
def status_reaches(status_of: Status) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Wait until `GET /status` has the given values."""

    async def wait(port: int, **wanted: object) -> dict[str, Any]:
        async with asyncio.timeout(GUARD):
            while True:
                status = await status_of(port)
                if all(status[name] == value for name, value in wanted.items()):
                    return status

    return wait
