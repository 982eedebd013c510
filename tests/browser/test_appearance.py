"""The page itself: its languages, its width, and what it loads from where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from proxy.web.files import SHARED
from tests.browser.conftest import Demo
from tests.browser.controlled import PAGE

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Request

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 780}}


async def test_language_is_switched_in_place_and_remembered(demo: Demo) -> None:
    page = demo.page
    root = page.locator("html")
    await expect(root).to_have_attribute("lang", "en")
    await page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.finish()
    outcome = page.get_by_test_id("answer-outcome")
    await expect(outcome).to_contain_text("Complete after")
    await page.get_by_test_id("language-zh").click()
    await expect(root).to_have_attribute("lang", "zh-CN")
    await expect(page.get_by_test_id("start")).to_have_text("开始")
    await expect(outcome).to_contain_text("秒后完成")
    await expect(page.get_by_test_id("prompt")).to_have_value(re.compile("你是谁"))
    await page.reload()
    await expect(root).to_have_attribute("lang", "zh-CN")
    await expect(page.get_by_test_id("language-zh")).to_have_attribute(
        "aria-pressed", "true"
    )


@pytest.mark.parametrize(
    ("browser_page", "language"),
    [
        pytest.param({"locale": "zh-CN"}, "zh-CN", id="mainland Chinese"),
        pytest.param({"locale": "zh-TW"}, "zh-CN", id="other Chinese"),
        pytest.param({"locale": "de-DE"}, "en", id="neither"),
    ],
    indirect=["browser_page"],
)
async def test_language_of_the_browser_is_the_first_choice(
    demo: Demo, language: str
) -> None:
    await expect(demo.page.locator("html")).to_have_attribute("lang", language)


async def test_both_languages_have_the_same_texts(demo: Demo) -> None:
    keys = await demo.page.evaluate(
        """async () => {
            const { english } = await import("/english.js");
            const { chinese } = await import("/chinese.js");
            return [Object.keys(english).sort(), Object.keys(chinese).sort()];
        }"""
    )
    assert keys[0] == keys[1]


async def test_no_text_of_the_page_is_missing_in_chinese(demo: Demo) -> None:
    page = demo.page
    await page.get_by_test_id("language-zh").click()
    await page.get_by_test_id("start").click()
    (await demo.upstream.requested("/events")).send_event("word")
    column = page.get_by_test_id("column-unbuffered")
    await expect(column.get_by_test_id("message")).to_have_count(1)
    missing = "import('/web/language.js').then((m) => m.missing())"
    assert await page.evaluate(missing) == []


@pytest.mark.parametrize("browser_page", [PHONE], indirect=True, ids=["phone"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_nothing_is_wider_than_a_phone(demo: Demo, language: str) -> None:
    page = demo.page
    await page.get_by_test_id(f"language-{language}").click()
    await page.get_by_test_id("third").check()
    await page.get_by_test_id("start").click()
    stream = await demo.upstream.requested("/events")
    stream.send_event("word" * 50)
    column = page.get_by_test_id("column-unbuffered")
    await expect(column.get_by_test_id("message")).to_have_count(1)
    wider = await page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => !each.closest("pre"))  // which scrolls by itself
            .filter((each) => each.getBoundingClientRect().right > innerWidth)
            .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert wider == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 360


async def test_page_loads_only_its_own_files_and_reports_no_error(demo: Demo) -> None:
    page = demo.page
    requests: list[Request] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.reload()
    await expect(page.get_by_test_id("version")).to_have_text("Unbuffered 1.2.3")
    assert [each.url for each in requests if not each.url.startswith(demo.url)] == []
    assert complaints == []


async def test_page_names_no_other_site() -> None:
    """No font, script or picture from elsewhere, in any file of the page."""
    names = {
        (path.name, name)
        for path in [*PAGE.iterdir(), *SHARED.glob("*.js"), SHARED / "icon.svg"]
        for name in re.findall(r"//([\w.-]+\.\w+)", path.read_text(encoding="utf-8"))
    }
    # The name of the SVG namespace; nothing is fetched from it.
    assert {name for _, name in names} == {"www.w3.org"}, names
