"""The built site of the documentation: no finding of axe, no wider than a phone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.browser.axe import needs_axe, no_findings
from tests.browser.controlled import serve
from tests.browser.test_demo_accessibility import PHONE
from upstream_demo.small_file import small_file

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
# With code, with tables wider than a phone, and in Chinese.
PAGES = ["", "quickstart/", "errors/", "configuration/", "zh-CN/quickstart/"]
LOOKS = [
    pytest.param({"color_scheme": "light"}, id="light"),
    pytest.param({"color_scheme": "dark"}, id="dark"),
    pytest.param({"color_scheme": "light", "viewport": PHONE}, id="phone"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the site is, newly built."""
    pytest.importorskip("material", reason="needs mkdocs-material")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"]
    environ = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run([*command, "-d", folder], cwd=ROOT, env=environ, check=True)
    return folder


@pytest.fixture
async def url(site: Path) -> AsyncIterator[str]:
    async def show(request: web.Request) -> web.Response:
        path = site / request.match_info["path"]
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            raise web.HTTPNotFound
        return await small_file(path)

    app = web.Application()
    app.router.add_get("/{path:.*}", show)
    async with serve(app) as port:
        yield f"http://127.0.0.1:{port}/"


@needs_axe
@pytest.mark.parametrize("browser_page", LOOKS, indirect=True)
async def test_no_page_of_the_site_has_a_finding(browser_page: Page, url: str) -> None:
    page = browser_page
    for path in PAGES:
        await page.goto(f"{url}{path}")
        # What the theme makes once the page has loaded is there.
        if await page.locator("pre").count():
            await expect(page.locator("nav.md-code__nav").first).to_be_attached()
        await no_findings(page)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == await page.evaluate("innerWidth"), path


@pytest.mark.parametrize(
    ("path", "language", "label"),
    [("quickstart/", "en", "Search"), ("zh-CN/quickstart/", "zh", "搜索")],
)
async def test_the_site_around_a_page_speaks_its_language(
    browser_page: Page, url: str, path: str, language: str, label: str
) -> None:
    page = browser_page
    await page.goto(f"{url}{path}")
    await expect(page.locator("html")).to_have_attribute("lang", language)
    field = page.locator("[data-md-component=search-query]")
    await expect(field).to_have_attribute("placeholder", label)
    dialog = page.locator("[data-md-component=search]")
    await expect(dialog).to_have_attribute("aria-label", label)
