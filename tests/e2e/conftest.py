"""Sites that live as long as this package; a back end and a browser for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.browser.drivers.chromium import ARGUMENTS, find_chromium
from tests.e2e.backend import GUARD_SECONDS, Backend
from tests.e2e.programs import Program
from tests.e2e.sites import Pair, start

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, WebSocket

HERE = Path(__file__).parent
# The browser is bound to the loop that it was started in.
ONE_LOOP = pytest.mark.asyncio(loop_scope="package")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            if pytest_asyncio.is_async_test(item):
                item.add_marker(ONE_LOOP, append=False)


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    """Start a tool and its Unbuffered, once: `pair("webpack")`."""
    place = tmp_path_factory.mktemp("sites")
    started: dict[str, Pair] = {}
    with ExitStack() as stack:

        def get(name: str) -> Pair:
            if name not in started:
                started[name] = stack.enter_context(start(name, place))
            return started[name]

        yield get


def is_of_the_page(socket: WebSocket) -> bool:
    """Does the application use it? Else the dev server does."""
    return urlsplit(socket.url).path == "/echo"


@dataclass
class Site:
    """A page in the browser, and the back end behind it."""

    page: Page
    backend: Backend
    url: str
    folder: Path
    unbuffered: Program
    sockets: list[WebSocket] = field(default_factory=list)
    greeted: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        self.page.on("websocket", self._socket)
        await self.page.goto(self.url)

    def _socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        if not is_of_the_page(socket):
            socket.on("framereceived", lambda _: self.greeted.set())

    async def is_hot(self) -> None:
        """The dev server has greeted the page: it tells it of edits from now on."""
        async with asyncio.timeout(GUARD_SECONDS):
            await self.greeted.wait()

    async def connect(self, means: str) -> None:
        await self.page.get_by_test_id(f"means-{means}").check()
        await self.page.get_by_test_id("connect").click()


@dataclass(frozen=True)
class Way:
    """How the page of a tool is reached: `behind` the dev server or `before` it."""

    pair: Pair
    url: str


@pytest.fixture
def way(request: pytest.FixtureRequest, pair: Callable[[str], Pair]) -> Way:
    """`webpack-behind`: webpack-dev-server, whose proxy points at Unbuffered;
    `webpack-before`: Unbuffered before it."""
    tool, _, side = request.param.rpartition("-")
    started = pair(tool)
    return Way(started, started.before if side == "before" else started.behind)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests; each has a context of its own in it."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    path = find_chromium()
    playwright.expect.set_options(timeout=GUARD_SECONDS * 1000)
    async with playwright.async_playwright() as started:
        browser: Browser = await started.chromium.launch(
            executable_path=path, args=ARGUMENTS
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-US")
    context.set_default_timeout(GUARD_SECONDS * 1000)
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture(loop_scope="package")
async def site(way: Way, page: Page) -> AsyncIterator[Site]:
    """The page, open, with its back end."""
    backend = Backend(way.pair.backend.port)
    site = Site(page, backend, way.url, way.pair.folder, way.pair.unbuffered)
    await backend.start()
    try:
        await site.open()
        yield site
        await page.close()
    finally:
        await backend.kill()
