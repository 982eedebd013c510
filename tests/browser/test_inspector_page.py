"""The inspector's page by itself: keys, bounds, order. Its feed is the test's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.feed import (
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

AT_MOST = 80  # rows in the document, however many there are in a list


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
    # Chromium itself tells of a refused request.
    assert [each for each in complaints if "503" not in each] == []


def sse(count: int, start: int = 0) -> bytes:
    return b"".join(
        b'data: {"n": %d}\n\n' % each for each in range(start, start + count)
    )


# -- many


async def test_thousand_open_streams_are_few_rows_in_the_document(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(each) for each in range(1000)]
    await page.goto(feed.url)
    shown = page.get_by_test_id("shown")
    await expect(shown).to_have_text("1,000 exchanges")
    rows = page.locator("#list .row")
    assert await rows.count() < AT_MOST
    await expect(page.locator("#row-1-999")).to_be_in_viewport()
    feed.change(row(999, pieces=13, bytes=999))
    await expect(page.locator("#row-1-999").get_by_test_id("pieces")).to_have_text("13")
    await page.keyboard.press("End")
    await expect(page.locator("#row-1-0")).to_be_in_viewport()
    assert await rows.count() < AT_MOST
    await page.get_by_test_id("filter").fill("n=77")
    await expect(shown).to_have_text("11 of 1,000")
    await expect(page.locator("#list .row:visible")).to_have_count(11)
    crowd = {"worker": 1, "open": [], "ended": [], "gone": [], "more": 234}
    feed.tell("exchanges", crowd)
    await expect(page.get_by_test_id("facts")).to_contain_text("1,000 of 1,234 open")


async def test_hundred_thousand_events_are_few_rows_in_the_document(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1, pieces=1000)]
    feed.pieces["1-1"] = [
        piece(each + 1, sse(100, 100 * each), each / 10) for each in range(1000)
    ]
    await page.goto(f"{feed.url}#1-1")
    shown = page.get_by_test_id("event-shown")
    await expect(shown).to_have_text("100,000 events")
    listed = page.get_by_test_id("event-list")
    records = listed.get_by_role("option")
    assert await records.count() < AT_MOST
    await expect(listed.locator("#event-99999")).to_be_in_viewport()
    await listed.press("Home")
    await expect(listed.locator("#event-0")).to_be_in_viewport()
    await page.keyboard.press("/")
    await page.keyboard.type('"n": 77777')
    await expect(shown).to_have_text("1 of 100,000 events")
    await expect(listed.locator("#event-77777")).to_contain_text("77777")
    await page.keyboard.press("Escape")
    await expect(shown).to_have_text("100,000 events")
    # What comes on top makes room for itself, and that is said.
    feed.tell("pieces", [piece(1001, sse(100, 100_000), 100.1)], "1-1")
    await expect(page.get_by_test_id("event-missing")).to_have_text(
        "This page has dropped the oldest 10,000 events."
    )
    await expect(shown).to_have_text("100,100 events")
    await listed.press("Home")
    await expect(listed.get_by_role("option").first).to_contain_text('"n": 10000}')
    assert await records.count() < AT_MOST


# -- keys


async def test_list_is_used_by_keys_alone(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(each) for each in range(3)]
    feed.pieces["1-1"] = [piece(1, sse(2), 0.1)]
    await page.goto(feed.url)
    chosen = page.locator("[aria-selected=true]")
    await page.locator("#row-1-2").wait_for()
    await page.keyboard.press("j")
    await expect(chosen).to_have_id("row-1-2")
    await page.keyboard.press("ArrowDown")
    await expect(chosen).to_have_id("row-1-1")
    grid = page.get_by_test_id("grid")
    await expect(grid).to_have_attribute("aria-activedescendant", "row-1-1")
    await page.keyboard.press("Enter")
    title = page.get_by_test_id("title")
    await expect(title).to_have_text("GET /sse/events?n=1")
    await expect(page.get_by_test_id("event-shown")).to_have_text("2 events")
    await page.keyboard.press("k")
    await page.keyboard.press("j")
    detail = page.get_by_test_id("event-detail")
    await expect(detail).to_contain_text('"n": 1')
    await page.keyboard.press("3")
    await expect(page.get_by_test_id("piece-shown")).to_have_text("1 piece")
    await page.keyboard.press("Escape")
    await expect(title).to_have_count(0)
    await expect(chosen).to_have_id("row-1-1")
    await page.keyboard.press("/")
    await page.keyboard.type("n=0")
    await page.keyboard.press("Enter")
    await expect(chosen).to_have_id("row-1-0")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("shown")).to_have_text("3 exchanges")
    await page.get_by_test_id("pause").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    sorted_by = page.locator("[aria-sort=descending]")
    await expect(sorted_by).to_have_attribute("data-key", "route")
    await page.keyboard.press("?")
    await expect(page.get_by_test_id("keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("keys")).to_be_hidden()


async def test_drawing_is_a_slider_over_the_pieces(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1)]
    feed.pieces["1-1"] = [piece(each, sse(1, each), each * 0.5) for each in range(1, 4)]
    await page.goto(f"{feed.url}#1-1")
    await expect(page.get_by_test_id("event-shown")).to_have_text("3 events")
    slider = page.get_by_role("slider", name="Pieces over time")
    await slider.press("ArrowRight")
    await slider.press("ArrowRight")
    await expect(slider).to_have_attribute("aria-valuenow", "2")
    await expect(page.get_by_test_id("tip")).to_have_text(
        "piece 2: 16 B, at 1.000 s, gap 500 ms, held 0.2 ms"
    )
    await expect(page.get_by_test_id("event-detail")).to_contain_text('"n": 2')
    await slider.hover(position={"x": 131, "y": 60})  # at half a second of twelve
    await expect(page.get_by_test_id("tip")).to_contain_text(
        "piece 1: 16 B, at 0.500 s"
    )


async def test_pause_stops_the_list_and_then_catches_up(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1), row(2)]
    await page.goto(feed.url)
    pieces = page.locator("#row-1-1").get_by_test_id("pieces")
    await expect(pieces).to_have_text("12")
    await page.keyboard.press(" ")
    shown = page.get_by_test_id("shown")
    await expect(shown).to_have_text(re.compile("^paused"))
    feed.change(row(1, pieces=99), row(3))
    # Facts are not paused: once they tell of the third, the list has heard it too.
    await expect(page.get_by_test_id("facts")).to_contain_text("3 open")
    await expect(pieces).to_have_text("12")
    await expect(page.locator("#row-1-3")).to_have_count(0)
    await page.keyboard.press(" ")
    await expect(pieces).to_have_text("99")
    await expect(page.locator("#row-1-3")).to_be_visible()


async def test_paused_stream_says_how_much_has_come(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1)]
    feed.pieces["1-1"] = [piece(1, sse(2), 0.1)]
    await page.goto(f"{feed.url}#1-1")
    shown = page.get_by_test_id("event-shown")
    await expect(shown).to_have_text("2 events")
    await page.keyboard.press(" ")
    feed.tell("pieces", [piece(2, sse(3), 0.2)], "1-1")
    await expect(shown).to_have_text("paused, 3 new  ·  2 events")
    assert await page.get_by_test_id("event-list").get_by_role("option").count() == 2
    await page.get_by_test_id("stream-pause").click()
    await expect(shown).to_have_text("5 events")


async def test_hold_that_goes_on_is_told_as_it_grows(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1, holding=0.0)]
    waiting = piece(1, sse(1), 1.0) | {"sent": None}
    feed.pieces["1-1"] = [waiting]
    await page.goto(f"{feed.url}#1-1")
    verdict = page.get_by_test_id("verdict")
    await expect(verdict).to_contain_text(
        "The client reads slowly: data has been waiting"
    )
    await page.get_by_test_id("tab-pieces").click()
    held = page.get_by_test_id("piece-list").get_by_test_id("held")
    await expect(held).to_have_text("not sent")
    # Once it is out, it is told of again, without its bytes.
    del waiting["base64"]
    feed.tell("pieces", [waiting | {"sent": 4.5}], "1-1")
    await expect(held).to_have_text("3.50 s")
    feed.tell("row", row(1, longest_hold=3.5), "1-1")
    await expect(verdict).to_contain_text("a piece waited up to 3.50 s")


async def test_stream_of_another_proxy_by_the_same_number_is_not_taken_for_it(
    page: Page, feed: FeedServer
) -> None:
    """A proxy that was started anew counts its exchanges from the beginning."""
    feed.rows = [row(1)]
    await page.goto(f"{feed.url}#1-1")
    await expect(page.get_by_test_id("state")).to_contain_text("relaying")
    feed.tell("row", row(1, started=1_800_000_900, target="/other"), "1-1")
    await expect(page.get_by_test_id("absent")).to_contain_text("The proxy restarted")
    await expect(page.get_by_test_id("feed")).to_have_text("ended")


async def test_missing_pieces_are_no_silence(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(1, pieces=12)]
    feed.dropped["1-1"] = {"pieces": 10, "bytes": 160}
    feed.pieces["1-1"] = [piece(each, sse(1), each) for each in (11, 12)]
    await page.goto(f"{feed.url}#1-1")
    missing = page.get_by_test_id("event-missing")
    await expect(missing).to_have_text("The proxy has dropped 10 pieces.")
    gaps = page.get_by_test_id("event-list").get_by_test_id("gap")
    await expect(gaps).to_have_text(["\N{EN DASH}", "+1.00 s"])


@pytest.mark.parametrize(
    ("kind", "passed"),
    [
        pytest.param({"kind": "websocket", "status": 101}, "11 pieces", id="a tunnel"),
        pytest.param({"coded": ["gzip"]}, "470 B", id="decoded"),
    ],
)
async def test_what_passed_before_anybody_looked_is_no_silence(
    page: Page, feed: FeedServer, kind: dict[str, Any], passed: str
) -> None:
    feed.rows = [row(1, pieces=12, bytes=480, whole=False, **kind)]
    feed.pieces["1-1"] = [piece(1, b"\x81\x08data: 1\n", 12.0)]
    await page.goto(f"{feed.url}#1-1")
    missing = page.get_by_test_id("piece-missing")
    await page.get_by_test_id("tab-pieces").click()
    await expect(missing).to_have_text(f"{passed} passed before recording started.")
    gap = page.get_by_test_id("piece-list").get_by_test_id("gap")
    await expect(gap).to_have_text("\N{EN DASH}")


async def test_where_nothing_is_recorded_the_page_says_so(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1, pieces=12, bytes=480, whole=False, record="off")]
    await page.goto(f"{feed.url}#1-1")
    await page.get_by_test_id("tab-pieces").click()
    missing = page.get_by_test_id("piece-missing")
    await expect(missing).to_have_text(
        "Nothing is recorded: [inspector] record is off."
    )


# -- the list


async def test_list_stands_where_it_was_left(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(each) for each in range(300)]
    await page.goto(feed.url)
    await page.locator("#row-1-299").wait_for()
    for _ in range(5):
        await page.keyboard.press("PageDown")
    # Told when a key is pressed; the row itself is drawn a frame later.
    id = await page.get_by_test_id("grid").get_attribute("aria-activedescendant")
    assert id not in (None, "row-1-299")
    chosen = page.locator("[aria-selected=true]")
    await expect(chosen).to_have_id(str(id))
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("title")).to_be_visible()
    await page.go_back()
    await expect(chosen).to_have_id(str(id))
    await expect(chosen).to_be_in_viewport()


async def test_columns_sort_both_ways_and_back(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(1, pieces=5), row(2, pieces=900), row(3, pieces=70)]
    await page.goto(feed.url)
    await page.locator("#row-1-3").wait_for()
    header = page.get_by_role("columnheader", name="Pieces")
    for order, sort in [("231", "descending"), ("132", "ascending"), ("321", None)]:
        await page.get_by_test_id("sort-pieces").click()
        for at, number in enumerate(order, start=2):
            placed = page.locator(f"#list .row[aria-rowindex='{at}']")
            await expect(placed).to_have_id(f"row-1-{number}")
        assert await header.get_attribute("aria-sort") == sort


async def test_warning_leads_to_its_streams(page: Page, feed: FeedServer) -> None:
    feed.rows = [row(1), row(2), row(3)]
    text = "the upstream itself sends in bursts: 14 events in 2 bursts 5.0 s apart"
    feed.warnings = [{"kind": "bursts", "text": text, "ids": ["1-2"]}]
    await page.goto(feed.url)
    banner = page.get_by_test_id("warnings")
    await expect(banner).to_contain_text(text)
    await banner.get_by_role("button", name="Show 1 exchange").click()
    await expect(page.get_by_test_id("shown")).to_have_text("1 of 3")
    await expect(page.locator("#row-1-2")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("shown")).to_have_text("3 exchanges")
    feed.tell("warnings", [])
    await expect(banner).to_be_empty()


async def test_refused_feed_tells_the_reason_and_comes_again(
    page: Page, feed: FeedServer
) -> None:
    feed.rows = [row(1)]
    feed.refusal = "8 feeds are already open"
    await page.goto(feed.url)
    state = page.get_by_test_id("feed")
    await expect(state).to_have_text("8 feeds are already open; retrying")
    feed.refusal = ""
    await expect(state).to_have_text("live")
    await expect(page.locator("#row-1-1")).to_be_visible()


async def test_page_holds_one_connection_at_a_time(
    page: Page, feed: FeedServer
) -> None:
    """A browser gives one origin six; the streams that are looked at need them."""
    feed.rows = [row(1)]
    feed.pieces["1-1"] = [piece(1, sse(1), 0.1)]
    await page.goto(feed.url)
    await page.locator("#row-1-1").click()
    await expect(page.get_by_test_id("event-shown")).to_have_text("1 event")
    assert feed.connections == 1
    feed.tell("end", {}, "1-1")
    await expect(page.get_by_test_id("feed")).to_have_text("ended")
    await page.get_by_test_id("back").click()
    await expect(page.get_by_test_id("feed")).to_have_text("live")
    assert feed.connections == 1
