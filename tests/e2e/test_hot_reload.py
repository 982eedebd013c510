"""Hot module replacement and a WebSocket of the application, side by side."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import Site, is_of_the_page
from tests.e2e.test_streams import TEXTS, every_way

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

HEADING = "Six messages, one a second"
NEW_HEADING = "Six messages, none of them held"


async def say(site: Site, count: int) -> None:
    await site.page.get_by_test_id("say").click()
    await expect(site.page.get_by_test_id("echo")).to_have_text(["你好"] * count)


async def edit(site: Site, old: str, new: str) -> None:
    """Change the heading in its file, and see it change in the page."""
    [path] = [
        each
        for each in (site.folder / "src/App.vue", site.folder / "app/page.js")
        if each.exists()
    ]
    text = path.read_text("utf-8")
    assert old in text
    # In one step: a dev server that looks in between finds no empty file.
    saved = site.folder.with_suffix(".saved")
    saved.write_text(text.replace(old, new), "utf-8")
    saved.replace(path)
    await expect(site.page.locator("h1")).to_have_text(new)


async def both_sockets_are_open(site: Site) -> None:
    """That of the page and that of the dev server, side by side.

    webpack-dev-server ends its own where a browser has not answered its ping for a
    second, and the browser connects again.
    """
    while {is_of_the_page(each) for each in site.sockets if not each.is_closed()} != {
        True,
        False,
    }:
        await site.page.wait_for_event("websocket")


@every_way
async def test_an_edit_is_shown_without_a_reload_while_all_else_goes_on(
    site: Site,
) -> None:
    page = site.page
    await site.connect("EventSource")
    stream = await site.backend.requested("/events")
    stream.send_event(TEXTS[0])
    await expect(page.get_by_test_id("message")).to_have_text(TEXTS[:1])
    await say(site, 1)
    await page.evaluate("window.marker = 'same page'")
    await site.is_hot()
    try:
        await edit(site, HEADING, NEW_HEADING)
    finally:
        await edit(site, NEW_HEADING, HEADING)
    assert await page.evaluate("window.marker") == "same page"
    await say(site, 2)
    stream.send_event(TEXTS[1])
    await expect(page.get_by_test_id("message")).to_have_text(TEXTS[:2])
    await both_sockets_are_open(site)
    # The page makes another one only if its first was closed.
    assert len([each for each in site.sockets if is_of_the_page(each)]) == 1
    hosts = {urlsplit(socket.url).netloc for socket in site.sockets}
    assert hosts == {urlsplit(site.url).netloc}
