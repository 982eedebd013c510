"""The documentation as the demo shows it: read in each look, and left again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import TestServer

from tests.browser.axe import needs_axe, no_findings
from tests.browser.test_demo_accessibility import in_each_look
from upstream_demo.pages import create_pages_app

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
pytest.importorskip("markdown_it", reason="the extra demo is not installed")
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def pages_url() -> AsyncIterator[str]:
    server = TestServer(create_pages_app(events_url=NOWHERE, proxy_url=NOWHERE))
    async with server:
        yield f"http://127.0.0.1:{server.port}"


async def test_links_lead_from_page_to_page_and_back_to_the_demo(
    browser_page: Page, pages_url: str
) -> None:
    await browser_page.goto(f"{pages_url}/docs/vue.md")
    await expect(browser_page.locator("h1")).to_have_text("Ten minutes with Vue")
    await expect(browser_page.locator("main")).not_to_contain_text("](")
    await browser_page.get_by_role("link", name="all ways to install it").click()
    await expect(browser_page).to_have_url(f"{pages_url}/docs/quickstart.md#install")
    await expect(browser_page.locator("#install")).to_be_in_viewport()
    await browser_page.get_by_role("link", name="简体中文").click()
    await expect(browser_page.locator("html")).to_have_attribute("lang", "zh-CN")
    await browser_page.get_by_role("link", name="返回演示").click()
    await expect(browser_page).to_have_url(f"{pages_url}/#own")


@needs_axe
@in_each_look
@pytest.mark.parametrize("name", ["quickstart.md", "inspector.md", "zh-CN/vue.md"])
async def test_axe_finds_nothing_and_no_page_is_wider_than_the_window(
    browser_page: Page, pages_url: str, name: str
) -> None:
    await browser_page.goto(f"{pages_url}/docs/{name}")
    await no_findings(browser_page)
    wide = await browser_page.evaluate(
        "document.documentElement.scrollWidth - innerWidth"
    )
    assert wide == 0
