"""A browser, and the demo page in it: through the proxy, its upstream controlled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.process.dev_certificate import dev_certificate
from tests.browser.controlled import GUARD_SECONDS, PageUpstream, start_upstream
from tests.browser.drivers.browser import Browser
from tests.browser.drivers.chromium import ARGUMENTS, chromium, find_chromium
from tests.browser.drivers.firefox import firefox
from tests.browser.drivers.webkit import webkit
from tests.conftest import StartProxy
from tests.support.ports import ClosedPort
from tests.support.running import Table

if TYPE_CHECKING:
    from playwright.async_api import Page

STILL = "#claim"  # with an address that leads into the page, nothing starts by itself


@dataclass
class Demo:
    """The page, shown through a proxy at `url`."""

    page: Page
    upstream: PageUpstream
    url: str


@pytest.fixture
async def browser_page(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of a fresh browser; a parameter gives options of its context."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    path = find_chromium()
    options = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}}
    options |= getattr(request, "param", {})
    playwright.expect.set_options(timeout=GUARD_SECONDS * 1000)
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=path, args=ARGUMENTS)
        page: Page = await browser.new_page(**options)
        page.set_default_timeout(GUARD_SECONDS * 1000)
        yield page
        await browser.close()


@pytest.fixture
async def page_upstream() -> AsyncIterator[PageUpstream]:
    async with start_upstream() as started:
        yield started


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port of this machine on which nothing listens."""
    with ClosedPort() as unused:
        yield unused.port


@pytest.fixture
async def demo(
    proxy: StartProxy, page_upstream: PageUpstream, browser_page: Page, dead_port: int
) -> Demo:
    """The page as `unbuffered demo` shows it: every path through the proxy."""
    started = await proxy(demo_routes(page_upstream.url, dead_port))
    await browser_page.goto(f"{started.url}/{STILL}")
    return Demo(browser_page, page_upstream, started.url)


def demo_routes(target: str, dead_port: int) -> dict[str, Table]:
    return {
        "/sse": {"target": target, "path_rewrite": {"^/sse": ""}},
        "/server1": {"target": target, "path_rewrite": {"^/server1": ""}},
        "/kept": {
            "target": target,
            "path_rewrite": {"^/kept": ""},
            "resume": {
                "bind": ["Authorization"],
                "key": "body:id",
                "path": "/kept/answers/{key}",
            },
        },
        "/echo": {"target": target, "ws": True},
        "/faults": {"target": target},
        "/refused": {"target": f"http://127.0.0.1:{dead_port}"},
        "/": {"target": target},
    }


@pytest.fixture
def dev_tls(tmp_path: Path) -> Table:
    """`[server]` with the certificate that `serve --tls dev` makes."""
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "PATH": ""}
    made = dev_certificate("127.0.0.1", environ)
    return {"tls_certificate": str(made.certificate), "tls_key": str(made.key)}


@pytest.fixture(params=["chromium", "firefox", "webkit"])
async def any_browser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """Each browser in turn, freshly started."""
    folder = tmp_path_factory.mktemp(request.param)
    starts = {"firefox": firefox, "webkit": webkit}
    start = starts.get(request.param, lambda _: chromium())
    async with start(folder) as started:
        yield started
