"""How the inspector's page looks: colours, widths, and what it loads from where."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from proxy.web.files import SHARED
from tests.support.feed import (
    PAGE,
    FeedServer,
    browser,
    complaints_of,
    piece,
    row,
    start_feed,
)

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def feed() -> AsyncIterator[FeedServer]:
    async with start_feed() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def page(
    request: pytest.FixtureRequest, chromium: Browser, feed: FeedServer
) -> AsyncIterator[Page]:
    """A fresh page that loads nothing yet; it must never complain."""
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
    options |= getattr(request, "param", {})
    context = await chromium.new_context(**options)
    page = await context.new_page()
    page.set_default_timeout(5000)
    complaints = complaints_of(page)
    yield page
    await context.close()
    assert complaints == []


def sse(count: int, start: int = 0) -> bytes:
    return b"".join(
        b'data: {"n": %d}\n\n' % each for each in range(start, start + count)
    )


async def test_exchange_that_is_gone_is_said_to_be(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1)]
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    feed.tell("exchanges", {"now": 0, "open": [], "ended": [], "gone": ["1-1"]})
    await expect(page.get_by_test_id("empty")).to_contain_text("No requests yet")
    await expect(page.get_by_test_id("empty")).to_contain_text("http://127.0.0.1:8002")


CONTRAST = """() => {
    const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map((each) => each / 255)
        .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (element) => {
        const [r, g, b, a = 1] = parse(getComputedStyle(element).backgroundColor);
        return a > 0 ? [r, g, b] : ground(element.parentElement);
    };
    const poor = new Map();
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) =>
            node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!own || !element.checkVisibility()) continue;
        const ink = light(parse(getComputedStyle(element).color));
        const pair = [ink, light(ground(element))];
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) poor.set(`${element.className} ${element.textContent}`, ratio);
    }
    return [...poor];
}"""  # WCAG 2.2, 1.4.3


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"color_scheme": "light"}, id="light"),
        pytest.param({"color_scheme": "dark"}, id="dark"),
    ],
    indirect=True,
)
async def test_text_is_legible_in_light_and_dark(page: Page, feed: FeedServer) -> None:
    feed.rows = [
        row(1, holding=2.0, longest_hold=2.0),
        row(2, phase="over", duration=2.0, ending="complete"),
        row(3, phase="over", duration=2.0, ending="refused", status=502, error="no"),
    ]
    fields = [["Host", "a"], ["Cookie", "a=****"], ["Te", "x"]]
    changed = [["Host", "b"], ["Cookie", "a=****"], ["Via", "1.1 u"]]
    feed.fields["1-1"] = {"request": {"received": fields, "sent": changed}}
    feed.pieces["1-1"] = [
        piece(1, sse(2), 3.0),
        piece(1, b"up", 4.0, held=1, side="request"),
    ]
    feed.warnings = [{"kind": "stall", "text": "silent", "ids": ["1-1"]}]
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    await page.keyboard.press("j")
    await expect(page.locator("[aria-selected=true]")).to_be_visible()
    assert await page.evaluate(CONTRAST) == []
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("event-shown")).to_have_text("2 events")
    await page.keyboard.press("j")
    for tab in "134":
        await page.keyboard.press(tab)
        assert await page.evaluate(CONTRAST) == []
    paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (paper == "rgb(16, 18, 20)") == dark


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 400, "height": 780}}], indirect=True, ids=["phone"]
)
async def test_nothing_is_wider_than_a_phone(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(1, target="/" + "long" * 60)]
    feed.pieces["1-1"] = [piece(1, sse(2), 0.1)]
    feed.warnings = [{"kind": "stall", "text": "silent for long", "ids": ["1-1"]}]
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    wide = "document.documentElement.scrollWidth"
    assert await page.evaluate(wide) <= 400
    await page.locator("#row-1-1").click()
    await expect(page.get_by_test_id("event-shown")).to_have_text("2 events")
    assert await page.evaluate(wide) <= 400


async def test_page_names_no_other_site() -> None:
    """No font, script or picture from elsewhere, nothing inline, in any file."""
    files = [*PAGE.rglob("*.*"), *SHARED.glob("*.js"), SHARED / "icon.svg"]
    texts = {each.name: each.read_text(encoding="utf-8") for each in files}
    named = {
        (name, site)
        for name, text in texts.items()
        for site in re.findall(r"//([\w.-]+\.\w+)", text)
    }
    assert {site for _, site in named} == {"www.w3.org"}, named
    pages = [text for name, text in texts.items() if name.endswith(".html")]
    assert len(pages) == 2
    for text in pages:
        assert not re.findall(r"\sstyle=|\son\w+=|<style|<script(?![^>]* src=)", text)
        assert "'unsafe" not in text
