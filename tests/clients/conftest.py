"""Drivers that live as long as the session; a provider for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.programs import Driver, Told, bundle, command
from tests.clients.provider import Provider
from tests.clients.table import BROWSER, Client

HERE = Path(__file__).parent
PATIENCE = 15  # seconds; a call that gets its answer never waits so long


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="session")
def drivers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Client], Driver]]:
    """The driver of a client, started when it is first asked for."""
    started: dict[str, Driver] = {}
    script = tmp_path_factory.mktemp("clients") / "browser.js"

    def get(client: Client) -> Driver:
        words, variables = command(client, script)
        if client.driver == BROWSER and not script.exists():
            bundle(script)
        key = repr((words, variables))
        if key in started and started[key].process.poll() is not None:
            started.pop(key).stop()
        if key not in started:
            started[key] = Driver(words, variables)
        return started[key]

    yield get
    for driver in started.values():
        driver.stop()


@dataclass(frozen=True)
class Asking:
    """One way to ask with one client."""

    client: Client
    call: str
    driver: Driver

    def ask(self, url: str, *, patience: float = PATIENCE) -> asyncio.Future[Told]:
        """The call, begun."""
        return asyncio.ensure_future(self.driver.ask(url, self.call, patience=patience))


@pytest.fixture
def asking(
    request: pytest.FixtureRequest, drivers: Callable[[Client], Driver]
) -> Asking:
    """The parameter: a client and one of its calls."""
    client, call = request.param
    return Asking(client, call, drivers(client))


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A raw server that the test scripts."""
    async with Provider() as server:
        yield server
