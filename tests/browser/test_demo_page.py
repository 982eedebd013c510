"""What the demo page starts, and where it leads: the inspector, the documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Demo, demo_routes
from tests.browser.controlled import PageUpstream
from tests.conftest import StartProxy

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser

WATCH = "[data-watch={}]"
# A tab that is not looked at: a browser without a screen shows all of them.
IN_THE_BACKGROUND = """
    Object.defineProperty(document, "visibilityState", {
        configurable: true,
        get: () => "hidden",
    });
"""
COMES_TO_THE_FRONT = """() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
}"""
# An observer made later than that of the page is told later.
HAS_BEEN_SEEN = """() => new Promise((resolve) => {
    const observer = new IntersectionObserver(() => resolve(true));
    observer.observe(document.querySelector(".columns"));
})"""


async def has_looked(page: Page) -> None:
    """Wait until the page has had the occasion to start something."""
    await expect(page.get_by_test_id("version")).to_have_text("Unbuffered 1.2.3")
    await page.evaluate(HAS_BEEN_SEEN)


def has_not_started(demo: Demo) -> bool:
    return demo.upstream.requests_to("/events") == 0


# -- what starts by itself ----------------------------------------------------


async def test_comparison_starts_by_itself_when_it_is_seen(demo: Demo) -> None:
    await demo.page.goto(f"{demo.url}/?seen")
    stream = await demo.upstream.requested("/events")
    await demo.upstream.requested("/held/events")
    stream.send_event("hello")
    column = demo.page.get_by_test_id("column-unbuffered")
    await expect(column.get_by_test_id("message")).to_have_count(1)
    await expect(demo.page.get_by_test_id("start")).to_have_text("Start again")


async def test_comparison_that_started_by_itself_starts_once(demo: Demo) -> None:
    await demo.page.goto(f"{demo.url}/?seen")
    await demo.upstream.requested("/events")
    await demo.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await demo.page.evaluate("scrollTo(0, 0)")
    await has_looked(demo.page)
    assert has_not_started(demo)


@pytest.mark.parametrize(
    ("motion", "address"),
    [
        pytest.param("reduce", "?seen", id="less motion is asked for"),
        pytest.param("no-preference", "#own", id="the address leads elsewhere"),
    ],
)
async def test_nothing_starts_by_itself_if(
    demo: Demo, motion: str, address: str
) -> None:
    page = demo.page
    await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
    await page.goto("about:blank")
    await page.goto(f"{demo.url}/{address}")
    await has_looked(page)
    await expect(page.get_by_test_id("start")).to_have_text("Start")
    assert has_not_started(demo)


async def test_in_the_background_nothing_starts_until_the_tab_is_looked_at(
    demo: Demo,
) -> None:
    page = demo.page
    await page.add_init_script(IN_THE_BACKGROUND)
    await page.goto(f"{demo.url}/?seen")
    await has_looked(page)
    await expect(page.get_by_test_id("start")).to_have_text("Start")
    assert has_not_started(demo)
    await page.evaluate(COMES_TO_THE_FRONT)
    await demo.upstream.requested("/events")


async def test_who_has_chosen_a_third_column_starts_it_himself(demo: Demo) -> None:
    page = demo.page
    await page.add_init_script(IN_THE_BACKGROUND)
    await page.goto(f"{demo.url}/?seen")
    await has_looked(page)
    await page.get_by_test_id("third").check()
    await page.evaluate(COMES_TO_THE_FRONT)
    await has_looked(page)
    await expect(page.get_by_test_id("start")).to_have_text("Start")
    assert has_not_started(demo)


async def test_a_third_column_starts_the_running_comparison_anew(demo: Demo) -> None:
    page = demo.page
    await page.get_by_test_id("start").click()
    await demo.upstream.requested("/held/events")
    await page.get_by_test_id("third").check()
    await demo.upstream.requested("/held-before/events")


# -- the inspector ------------------------------------------------------------


async def test_a_stream_has_a_link_to_the_inspector_from_when_it_begins(
    demo: Demo,
) -> None:
    page = demo.page
    column = page.get_by_test_id("column-unbuffered")
    link = column.locator(".watch")
    await expect(link).to_be_hidden()
    await page.get_by_test_id("start").click()
    await demo.upstream.requested("/events")
    await expect(link).to_be_visible()
    await expect(link).to_have_attribute("href", "/_unbuffered/#path=/sse/events")
    held = page.get_by_test_id("column-held").locator(".watch")
    await expect(held).to_be_hidden()
    async with page.context.expect_page() as opened:
        await link.click()
    inspector = await opened.value
    await expect(inspector.get_by_test_id("stream")).to_contain_text("/sse/events")
    await expect(inspector).to_have_url(re.compile("/_unbuffered/#"))
    await expect(column).to_have_attribute("data-state", "open")


@pytest.mark.parametrize(
    ("button", "names"),
    [
        ("ask", ["answer"]),
        ("survive", ["plain", "kept"]),
        ("connect", ["variants"]),
        ("echo-send", ["echo"]),
        ("refused", ["refused"]),
        ("broken", ["broken"]),
    ],
)
async def test_each_button_that_asks_for_something_offers_to_watch_it(
    demo: Demo, button: str, names: list[str]
) -> None:
    page = demo.page
    links = page.locator(", ".join(WATCH.format(name) for name in names))
    await expect(links).to_have_count(len(names))
    for link in await links.all():
        await expect(link).to_be_hidden()
    await page.get_by_test_id(button).click()
    for link in await links.all():
        await expect(link).to_be_visible()


async def test_without_an_inspector_no_link_leads_to_it(
    proxy: StartProxy, page_upstream: PageUpstream, browser_page: Page, dead_port: int
) -> None:
    routes = demo_routes(page_upstream.url, dead_port)
    started = await proxy(routes, inspector={"enabled": False})
    async with browser_page.expect_response("**/_unbuffered/") as answered:
        await browser_page.goto(f"{started.url}/#own")
    assert (await answered.value).status == 404
    await browser_page.get_by_test_id("refused").click()
    await expect(browser_page.get_by_test_id("refused-outcome")).to_contain_text("502")
    for link in await browser_page.locator("[data-watch]").all():
        await expect(link).to_be_hidden()


# -- the documentation --------------------------------------------------------


async def test_links_to_the_documentation_are_in_the_language_of_the_page(
    demo: Demo,
) -> None:
    links = demo.page.get_by_test_id("docs").locator("a")
    await expect(links.first).to_have_attribute("href", "/docs/quickstart.md")
    await demo.page.get_by_test_id("language-zh").click()
    await expect(links.first).to_have_attribute("href", "/docs/zh-CN/quickstart.md")
    await expect(links.first).to_have_text("快速开始")


async def test_without_the_documentation_the_page_says_where_it_is(demo: Demo) -> None:
    demo.upstream.has_docs = False
    await demo.page.reload()
    docs = demo.page.get_by_test_id("docs")
    await expect(docs).to_contain_text("docs/quickstart.md")
    await expect(docs.locator("a")).to_have_count(0)


# -- the WebSocket ------------------------------------------------------------


async def test_a_message_is_shown_when_it_comes_back_and_the_close_arrives(
    demo: Demo,
) -> None:
    page, upstream = demo.page, demo.upstream
    shown = page.get_by_test_id("echo-messages").get_by_test_id("message")
    await page.get_by_test_id("echo-send").click()
    socket = await upstream.connected()
    assert await upstream.next_message() == "Hello"
    await expect(shown).to_have_count(0)
    await socket.send_str("Hello")
    await expect(shown).to_have_text([re.compile(r"Hello\d+\.\d{3} s")])
    await page.get_by_test_id("echo-text").fill("second")
    await page.get_by_test_id("echo-send").click()
    assert await upstream.next_message() == "second"
    await socket.send_str("second")
    await expect(shown).to_have_count(2)
    await page.get_by_test_id("echo-close").click()
    outcome = page.get_by_test_id("echo-outcome")
    await expect(outcome).to_have_text("Closed, with code 1000.")
    await expect(page.get_by_test_id("echo-close")).to_be_disabled()
    await page.get_by_test_id("echo-send").click()
    await upstream.connected()
    await expect(outcome).to_have_text("Connected.")


async def test_a_websocket_that_breaks_is_not_shown_as_closed(demo: Demo) -> None:
    page, upstream = demo.page, demo.upstream
    await page.get_by_test_id("echo-send").click()
    socket = await upstream.connected()
    outcome = page.get_by_test_id("echo-outcome")
    await expect(outcome).to_have_text("Connected.")
    upstream.cut(socket)
    await expect(outcome).to_have_text("Connection lost: code 1006.")


# -- one's own use ------------------------------------------------------------


async def test_commands_for_ones_own_use_are_for_the_port_of_the_page(
    demo: Demo,
) -> None:
    page, port = demo.page, demo.url.rpartition(":")[2]
    lead = page.locator('[data-text="own.lead"]')
    await expect(lead).to_contain_text(
        f"End this demo with Ctrl-C first: it has port {port}"
    )
    await expect(page.get_by_test_id("own-route")).to_have_text(
        f"unbuffered serve --route /sse=http://localhost:8002 --port {port}"
    )
    await expect(page.get_by_test_id("own-file")).to_contain_text(f"port = {port}")
    await page.get_by_test_id("language-zh").click()
    await expect(lead).to_contain_text(f"{port} 端口")
    await expect(page.locator("#own")).not_to_contain_text("8080")
