"""A browser, and the demo page in it: through the proxy, its upstream controlled."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.browser.controlled import GUARD_SECONDS, PageUpstream, start_upstream
from tests.conftest import StartProxy

if TYPE_CHECKING:
    from playwright.async_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Demo:
    """The page, shown through a proxy at `url`."""

    page: Page
    upstream: PageUpstream
    url: str


def find_browser() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} is on the PATH")


@pytest.fixture
async def browser_page(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of a fresh browser; a parameter gives options of its context."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    path = find_browser()
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
def dead_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


@pytest.fixture
async def demo(
    proxy: StartProxy, page_upstream: PageUpstream, browser_page: Page, dead_port: int
) -> Demo:
    """The page as `unbuffered demo` shows it: every path through the proxy."""
    target = page_upstream.url
    started = await proxy(
        {
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
            "/faults": {"target": target},
            "/refused": {"target": f"http://127.0.0.1:{dead_port}"},
            "/": {"target": target},
        }
    )
    await browser_page.goto(f"{started.url}/")
    return Demo(browser_page, page_upstream, started.url)
