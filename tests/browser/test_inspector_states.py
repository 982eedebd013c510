"""The inspector in each of its states: without a finding of axe, and in Chinese."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.browser.axe import needs_axe, no_findings
from tests.support.feed import FeedServer, browser, complaints_of, start_feed
from tests.support.inspector_states import STATES, prepared

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
LIGHT = {"color_scheme": "light", "locale": "en-US", "viewport": DESK}
NARROW = LIGHT | {"viewport": PHONE}
CHINESE = {"color_scheme": "dark", "locale": "zh-CN", "viewport": DESK}
LOOKS: dict[str, dict[str, Any]] = {
    "light": LIGHT,
    "phone": NARROW,
    "Chinese, dark": CHINESE,
}
STATE = pytest.mark.parametrize("state", STATES)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def feed() -> AsyncIterator[FeedServer]:
    async with start_feed() as server:
        prepared(server)
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def page(
    request: pytest.FixtureRequest, chromium: Browser, feed: FeedServer
) -> AsyncIterator[Page]:
    """A fresh page that loads nothing yet; it must never complain."""
    context = await chromium.new_context(**request.param)
    page = await context.new_page()
    page.set_default_timeout(5000)
    complaints = complaints_of(page)
    yield page
    await context.close()
    # Chromium itself tells of what was not found.
    assert [each for each in complaints if "404" not in each] == []


@needs_axe
@STATE
@pytest.mark.parametrize("page", LOOKS.values(), indirect=True, ids=LOOKS)
async def test_no_state_has_a_finding_of_axe_or_a_text_without_chinese(
    page: Page, feed: FeedServer, state: str
) -> None:
    await STATES[state](page, feed)
    await no_findings(page)
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert await page.evaluate(wide) <= 0
    headings = page.get_by_role("heading", level=1)
    await expect(headings).to_have_count(1)
    if await page.locator("html").get_attribute("lang") == "zh-CN":
        await is_in_chinese(page, feed)


# -- in Chinese

# Names of things, of keys, and of what is data wherever it stands.
NAMES = set(
    """Unbuffered Inspector English JSON NDJSON SSE WebSocket HAR HTTP ID Esc Enter Home
    End PgUp PgDn Space token curl streams MiB client upstream target""".lower().split()
)
READ = """() => {
    const shown = (element) => element.checkVisibility({ visibilityProperty: true });
    const told = [];
    const { documentElement: root } = document;
    const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
        if (shown(node.parentElement)) told.push(node.data);
    }
    for (const element of document.querySelectorAll("body *")) {
        if (!shown(element)) continue;
        for (const name of ["title", "aria-label", "aria-valuetext", "placeholder"]) {
            if (element.hasAttribute(name)) told.push(element.getAttribute(name));
        }
    }
    return [document.title, ...told];
}"""
WORD = re.compile(r"[A-Za-z]{3,}")


async def is_in_chinese(page: Page, feed: FeedServer) -> None:
    """Every text is in the dictionary, and was looked up in it."""
    missing = "import('./page/web/language.js').then((m) => m.missing())"
    assert await page.evaluate(missing) == []
    data = {word.lower() for text in data_of(feed) for word in WORD.findall(text)}
    told = await page.evaluate(READ)
    left = {
        text
        for text in told
        for word in WORD.findall(text)
        if word.lower() not in data | NAMES
    }
    assert left == set()


def data_of(feed: FeedServer) -> Iterator[str]:
    """What the page shows as it came: paths, fields, content, messages."""
    keys = ("route", "target", "upstream", "method", "error", "family", "request_id")
    for each in feed.rows:
        yield from (str(each.get(key) or "") for key in keys)
        yield str((each.get("answer") or {}).get("model"))
    yield from (each["text"] for each in feed.warnings)
    yield from map(str, feed.fields.values())
    for pieces in feed.pieces.values():
        yield from (
            base64.b64decode(each["base64"]).decode("latin-1") for each in pieces
        )
    yield "a.jsonl a.har unknown-id abcd /chat/answers POST data message text"


@pytest.mark.parametrize("page", [LIGHT], indirect=True, ids=["light"])
async def test_the_language_is_switched_at_once_and_remembered(
    page: Page, feed: FeedServer
) -> None:
    await STATES["stream"](page, feed)
    switch = page.get_by_test_id("language")
    await expect(switch).to_have_text("中文")
    await switch.click()
    html = page.locator("html")
    await expect(html).to_have_attribute("lang", "zh-CN")
    await expect(page.get_by_test_id("verdict")).to_contain_text("每一段都")
    await expect(page.get_by_test_id("tab-events")).to_have_text("事件 6")
    await expect(page.get_by_test_id("feed")).to_have_text("实时")
    await page.get_by_test_id("back").click()
    await expect(page.get_by_test_id("sort-age")).to_have_text("时长")
    await expect(page.get_by_test_id("shown")).to_have_text("10 个请求")
    await page.reload()
    await expect(html).to_have_attribute("lang", "zh-CN")
    await expect(page.get_by_test_id("sort-age")).to_have_text("时长")
    await switch.click()
    await expect(page.get_by_test_id("sort-age")).to_have_text("Age")
    await expect(page.get_by_test_id("pause")).to_have_text("Pause")
    await expect(page.get_by_test_id("shown")).to_have_text("10 exchanges")
    await expect(html).to_have_attribute("lang", "en")
