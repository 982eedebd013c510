"""Chromium, by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.browser.drivers.browser import Browser, Tab

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

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


class ChromiumTab(Tab):
    def __init__(self, page: Page) -> None:
        self.page = page

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    async def evaluate(self, expression: str) -> str:
        told: str = await self.page.evaluate(expression)
        return told

    async def close(self) -> None:
        await self.page.close()

    async def screenshot(self) -> bytes:
        return await self.page.screenshot()


class Chromium(Browser):
    name = "chromium"

    def __init__(self, context: BrowserContext) -> None:
        self.context = context

    async def tab(self) -> Tab:
        return ChromiumTab(await self.context.new_page())


def find_chromium() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} is on the PATH")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    path = find_chromium()
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield Chromium(
            await browser.new_context(locale="en-US", ignore_https_errors=True)
        )
        await browser.close()
