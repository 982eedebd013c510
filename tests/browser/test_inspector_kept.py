"""Kept streams in the inspector's page: their list, and their connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.controlled import PageUpstream
from tests.conftest import ManualClock, StartProxy
from tests.support.feed import complaints_of
from tests.support.kept import ask, stream_id

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser

DARK = {"color_scheme": "dark"}
LIGHT = {"color_scheme": "light"}


@pytest.fixture
async def page(browser_page: Page) -> AsyncIterator[Page]:
    """A page that must never complain."""
    complaints = complaints_of(browser_page)
    yield browser_page
    assert complaints == []


@pytest.mark.parametrize("browser_page", [LIGHT, DARK], indirect=True, ids=str)
async def test_a_kept_stream_is_listed_with_a_line_for_each_connection(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page
) -> None:
    table = {"target": page_upstream.url, "resume": True}
    started = await proxy({"/": table})
    await page.goto(f"{started.url}/_unbuffered/")
    await expect(page.get_by_test_id("feed")).to_have_text("live")
    kept = page.get_by_test_id("kept")
    await expect(kept).to_be_hidden()

    client = await started.client()
    await client.send(ask(b"/events"))
    stream = await page_upstream.requested("/events")
    stream.send_event("one")
    await client.read_head()
    id = stream_id(client).decode()
    row = page.get_by_test_id("kept-stream")
    await expect(page.get_by_test_id("kept-heading")).to_have_text("Kept streams 1")
    await expect(row).to_contain_text(id[:10])
    await expect(row).to_contain_text("running")
    await expect(row).to_contain_text("1 of 1")
    client.close()
    await expect(row).to_contain_text("running without a client")
    await expect(row).to_contain_text("0 of 1")
    again = await started.client()
    await again.send(ask(b"/events", Last_Event_ID=f"{id}.1"))
    await again.read_head()
    stream.send_event("two")
    await expect(row).to_contain_text("1 of 2")
    assert id not in await page.content()

    await row.get_by_role("link").click()
    lines = page.get_by_test_id("connection")
    await expect(lines).to_have_count(3)
    await expect(lines.nth(0)).to_contain_text("upstreamrunning")
    await expect(lines.nth(1)).to_contain_text("asked for it")
    await expect(lines.nth(1)).to_contain_text("client left")
    await expect(lines.nth(2)).to_contain_text("resumed by event id")
    await expect(lines.nth(2)).to_contain_text("from byte")
    await expect(lines.nth(2)).to_have_attribute("aria-current", "true")
    stream.finish()
    await expect(lines.nth(0)).to_contain_text("complete after")
    await expect(lines.nth(2)).to_contain_text("complete")
    # From line to line, by its exchange.
    await lines.nth(1).get_by_role("link").click()
    await expect(lines.nth(1)).to_have_attribute("aria-current", "true")
    await page.keyboard.press("Escape")
    await expect(row).to_contain_text("complete, kept for")


async def test_a_stream_that_is_no_longer_kept_leaves_the_list(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page, clock: ManualClock
) -> None:
    table = {"target": page_upstream.url, "resume": {"keep_seconds": 5}}
    started = await proxy({"/": table}, clock=clock)
    client = await started.client()
    await client.send(ask(b"/events"))
    stream = await page_upstream.requested("/events")
    stream.send_event("one")
    await client.read_head()
    await page.goto(f"{started.url}/_unbuffered/")
    await expect(page.get_by_test_id("kept-stream")).to_have_count(1)
    client.close()
    await started.ended()
    clock.advance(6)
    started.tick()  # one tick looks at all limits in no order,
    started.tick()  # so the list may see only now what has expired
    await expect(page.get_by_test_id("kept")).to_be_hidden()
    await expect(page.get_by_test_id("kept-stream")).to_have_count(0)
