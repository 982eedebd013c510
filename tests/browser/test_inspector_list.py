"""The list of the inspector: what it lets through, says of the ended, and leads to."""

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
from tests.support.inspector_states import ADVICE, ERROR, prepared

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BERLIN = {"viewport": {"width": 1280, "height": 800}, "timezone_id": "Europe/Berlin"}
PHONE = BERLIN | {"viewport": {"width": 390, "height": 780}}


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
    options: dict[str, Any] = BERLIN | getattr(request, "param", {})
    context = await chromium.new_context(**options)
    page = await context.new_page()
    page.set_default_timeout(5000)
    complaints = complaints_of(page)
    yield page
    await context.close()
    # Chromium itself tells of what was not found.
    assert [each for each in complaints if "404" not in each] == []


# -- the filter


STREAMS = {"/sse/events?n=1", "/server1/v1/chat/completions", "/ws/room", "/sse/long"}
ALL_STREAMS = STREAMS | {"/sse/left", "/slow"}
BELOW_SSE = {"/sse/events?n=1", "/sse/long", "/sse/left"}
OTHERS = {"/api/orders?page=2", "/list", "/api/broken", "/soon"}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        pytest.param("streams", ALL_STREAMS, id="all streams, by one word"),
        pytest.param("-streams", OTHERS, id="all but streams"),
        pytest.param("streams -/sse/", ALL_STREAMS - BELOW_SSE, id="without a path"),
        pytest.param("-streams -502 -500", {"/list", "/soon"}, id="without a status"),
        pytest.param("STREAMS qwen", {"/server1/v1/chat/completions"}, id="a model"),
        pytest.param("- streams", ALL_STREAMS, id="a minus that is not complete"),
    ],
)  # fmt: skip
async def test_words_let_exchanges_through_or_leave_them_out(
    page: Page, feed: FeedServer, words: str, shown: set[str]
) -> None:
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    await page.get_by_test_id("filter").fill(words)
    await expect(page.get_by_test_id("shown")).to_have_text(f"{len(shown)} of 10")
    paths = page.locator("#list .row:visible").get_by_test_id("target").locator(".text")
    assert set(await paths.all_inner_texts()) == shown


async def test_all_streams_are_a_kind(page: Page, feed: FeedServer) -> None:
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    await page.get_by_test_id("kind").select_option("All streams")
    await expect(page.get_by_test_id("shown")).to_have_text("6 of 10")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("shown")).to_have_text("10 exchanges")


# -- what a row says


async def test_a_row_has_the_time_of_day(page: Page, feed: FeedServer) -> None:
    await page.goto(feed.url)
    started = page.locator("#row-1-1").get_by_test_id("started")
    await expect(started).to_have_text("09:00:01")
    await expect(started).to_have_attribute("title", "2027-01-15 09:00:01")
    await page.get_by_test_id("sort-started").click()
    first = page.locator("#list .row[aria-rowindex='2']")
    await expect(first).to_have_id("row-1-10")
    await page.locator("#row-1-1").click()
    figure = page.locator(".figures div").filter(has_text="Started")
    await expect(figure).to_have_text("Started2027-01-15 09:00:01")
    await page.locator("#event-2").click()
    detail = page.get_by_test_id("event-detail")
    await expect(detail).to_contain_text("time of day09:00:04.000")


WHY = (
    "upstream 'http://host.docker.internal:8002' sent nothing for 30.0 s after 2,417 "
    "pieces (idle_timeout_seconds of the route /sse/events)"
)


@pytest.mark.parametrize("pieces", [0, 12])
async def test_how_it_ended_is_shown_in_full(
    page: Page, feed: FeedServer, pieces: int
) -> None:
    over = {"phase": "over", "duration": 3.0, "ending": "timed out"}
    feed.rows = [row(1, pieces=pieces, error=WHY, **over)]
    await page.goto(feed.url)
    text = page.locator("#row-1-1").get_by_test_id("ending").locator(".text")
    await expect(text).to_have_text(WHY)
    cut = "(each) => [each.scrollHeight - each.clientHeight, each.clientHeight]"
    over_by, height = await text.evaluate(cut)
    assert over_by <= 0
    assert 0 < height <= 30


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
async def test_a_phone_shows_how_it_ended_too(page: Page, feed: FeedServer) -> None:
    await page.goto(feed.url)
    failed = page.locator("#row-1-4")
    await expect(failed.get_by_test_id("ending")).to_be_visible()
    await expect(failed.get_by_test_id("ending")).to_have_text(ERROR)
    await expect(failed.get_by_test_id("started")).to_be_visible()
    # As wide as a desk, rows are as high as there.
    await expect(failed).to_have_css("height", "50px")
    await page.set_viewport_size({"width": 1280, "height": 800})
    await expect(failed).to_have_css("height", "30px")
    first = page.locator("#list .row[aria-rowindex='3']")
    await expect(first).to_have_css("transform", "matrix(1, 0, 0, 1, 0, 30)")


# -- a failure


async def test_a_failure_opens_on_what_was_sent_and_what_to_do(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(feed.url)
    await page.locator("#row-1-4").click()
    reason = page.get_by_test_id("reason")
    await expect(reason.get_by_role("heading")).to_have_text("Connection refused")
    await expect(page.get_by_test_id("advice")).to_have_text(f"What to do {ADVICE}")
    await expect(page.get_by_test_id("sent-head")).to_contain_text("502 Bad Gateway")
    await expect(page.get_by_test_id("sent-head")).to_contain_text("Proxy-Status")
    await expect(page.get_by_test_id("sent-body")).to_contain_text(ERROR)
    await expect(page.get_by_test_id("verdict")).to_have_text(
        "Connection refused by http://127.0.0.1:3999."
    )
    # Nothing was relayed, so there is nothing to draw.
    await expect(page.get_by_test_id("waterfall")).to_be_hidden()
    await page.keyboard.press("3")
    await expect(page.get_by_test_id("piece-shown")).to_have_text("1 piece")
    await page.locator("#piece-0").click()
    await expect(page.get_by_test_id("piece-detail")).to_contain_text(
        "from the proxy itself to the client"
    )
    await page.keyboard.press("6")
    await expect(reason).to_be_visible()


async def test_a_stream_that_was_cut_off_says_what_its_client_got(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(f"{feed.url}#1-5")
    await expect(page.get_by_test_id("advice")).to_contain_text("raise the limit")
    sent = page.get_by_test_id("sent-body")
    await expect(sent).to_contain_text('data: {"n": 1}')
    await expect(sent).to_contain_text("After 2 pieces the connection to the client")
    await expect(page.get_by_test_id("waterfall")).to_be_visible()


async def test_an_event_of_the_proxy_that_tells_of_a_failure_is_marked(
    page: Page, feed: FeedServer
) -> None:
    last = piece(3, b'event: error\ndata: {"reason": "it broke"}\n\n', 31.2)
    feed.pieces["1-5"].append(last | {"own": True})
    await page.goto(f"{feed.url}#1-5")
    sent = page.get_by_test_id("sent-body")
    await expect(sent).to_contain_text("the proxy itself sent the last event")
    await page.get_by_test_id("tab-events").click()
    sides = page.get_by_test_id("event-list").get_by_test_id("side")
    await expect(sides.nth(1)).to_have_class(re.compile("good"))
    await expect(sides.nth(2)).to_have_class(re.compile("bad"))


async def test_an_error_of_the_upstream_is_its_own(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(f"{feed.url}#1-7")
    reason = page.get_by_test_id("reason")
    await expect(reason).to_contain_text("The upstream answered with 500")
    await expect(reason).to_contain_text("that of http://127.0.0.1:8002, as it came")
    await expect(page.get_by_test_id("sent-body")).to_contain_text("boom")


async def test_what_did_not_fail_has_no_such_tab(page: Page, feed: FeedServer) -> None:
    await page.goto(f"{feed.url}#1-1")
    await expect(page.get_by_test_id("event-shown")).to_have_text("6 events")
    await expect(page.get_by_test_id("tab-sent")).to_be_hidden()
    await page.keyboard.press("6")
    await expect(page.get_by_test_id("event-shown")).to_be_visible()


# -- a tunnel


COLOURS = """(canvas) => {
    const style = getComputedStyle(document.documentElement);
    const sample = document.createElement("canvas")
        .getContext("2d", { willReadFrequently: true });
    const rgb = (name) => {
        sample.fillStyle = style.getPropertyValue(name);
        sample.fillRect(0, 0, 1, 1);
        return sample.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
    };
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = { "--alarm": 0, "--rail": 0 };
    const wanted = new Map(Object.keys(found).map((name) => [rgb(name), name]));
    for (let at = 0; at < all.data.length; at += 4) {
        const name = wanted.get(all.data.slice(at, at + 3).join());
        if (name && all.data[at + 3] === 255) found[name] += 1;
    }
    return found;
}"""


@pytest.mark.parametrize(
    ("id", "colour", "other"),
    [
        pytest.param("1-3", "--rail", "--alarm", id="a tunnel is grey"),
        pytest.param("1-5", "--alarm", "", id="a stream is red"),
    ],
)
async def test_silence_of_a_tunnel_is_no_stall(
    page: Page, feed: FeedServer, id: str, colour: str, other: str
) -> None:
    await page.goto(f"{feed.url}#{id}")
    await expect(page.get_by_test_id("tab-events")).to_be_visible()
    canvas = page.get_by_test_id("waterfall")
    await page.get_by_test_id("tab-events").click()
    is_tunnel = bool(other)
    gaps = page.get_by_test_id("event-list").get_by_test_id("gap")
    await expect(gaps.last).to_have_class(re.compile("soft"))
    legend = page.locator(".legend")
    quiet, stall = legend.get_by_text("silence"), legend.get_by_text("stall")
    await expect(quiet if is_tunnel else stall).to_be_visible()
    await expect(stall if is_tunnel else quiet).to_be_hidden()
    frames = (
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
    )
    await page.evaluate(frames)
    found = await canvas.evaluate(COLOURS)
    assert found[colour] > 500
    if is_tunnel:
        assert found[other] == 0
        verdict = page.get_by_test_id("verdict")
        await expect(verdict).to_have_class("verdict good")


async def test_a_long_gap_of_a_tunnel_is_not_marked(
    page: Page, feed: FeedServer
) -> None:
    feed.change(row(1, longest_gap=41.0))
    await page.goto(feed.url)
    for id, marks in [("1-3", "text "), ("1-1", "text wait")]:
        gap = page.locator(f"#row-{id}").get_by_test_id("gap").locator(".text")
        await expect(gap).to_have_text("41.0 s")
        await expect(gap).to_have_class(marks)


# -- links


async def test_a_link_with_a_path_opens_the_newest_and_filters_the_list(
    page: Page, feed: FeedServer
) -> None:
    feed.change(row(20, target="/sse/events?n=20"), row(21, target="/other"))
    await page.goto("about:blank")
    await page.goto(f"{feed.url}#path=/sse/events")
    title = page.get_by_test_id("title")
    await expect(title).to_have_text("GET /sse/events?n=20")
    await page.get_by_test_id("back").click()
    await expect(page.get_by_test_id("filter")).to_have_value("/sse/events")
    await expect(page.get_by_test_id("shown")).to_have_text("2 of 12")
    await expect(page.get_by_test_id("search-notice")).to_be_hidden()


async def test_a_link_with_a_path_waits_for_a_request(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(f"{feed.url}#path=/sse/later")
    notice = page.get_by_test_id("search-notice")
    await expect(notice).to_contain_text("begins with /sse/later; it opens here")
    feed.change(row(30, target="/sse/later?a=1"))
    await expect(page.get_by_test_id("title")).to_have_text("GET /sse/later?a=1")
    await page.go_back()
    await expect(page.locator("body")).to_be_visible()


async def test_a_link_with_a_path_follows_to_the_next_request(
    page: Page, feed: FeedServer
) -> None:
    over = {"phase": "over", "duration": 6.0, "ending": "complete"}
    feed.change(row(40, target="/again", **over), row(41, target="/other"))
    await page.goto(f"{feed.url}#path=/again")
    title, notice = page.get_by_test_id("title"), page.get_by_test_id("search-notice")
    await expect(notice).to_have_text(
        "It has ended. The next request whose path begins with /again opens here."
    )
    await expect(page.get_by_test_id("feed")).to_have_attribute("data-state", "live")
    feed.change(row(42, target="/other"), row(43, target="/again?2"))
    await expect(title).to_have_text("GET /again?2")
    await expect(notice).to_be_hidden()
    assert page.url.endswith("#1-43")
    feed.change(row(43, target="/again?2", **over))
    feed.tell("end", {}, "1-43")
    await expect(notice).to_be_visible()
    await expect(page.get_by_test_id("feed")).to_have_attribute("data-state", "live")
    feed.change(row(44, target="/again?3"))
    await expect(title).to_have_text("GET /again?3")
    await page.get_by_test_id("back").click()
    feed.change(row(45, target="/again?4"))
    await expect(page.locator("#row-1-45")).to_be_visible()
    await expect(page.locator("#list")).to_be_visible()


async def test_an_exchange_that_was_chosen_stays(page: Page, feed: FeedServer) -> None:
    over = {"phase": "over", "duration": 6.0, "ending": "complete"}
    feed.change(row(50, target="/chosen", **over))
    await page.goto(f"{feed.url}#1-50")
    await expect(page.get_by_test_id("feed")).to_have_attribute("data-state", "ended")
    await expect(page.get_by_test_id("search-notice")).to_be_hidden()


async def test_a_link_with_a_request_id_opens_its_exchange(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(f"{feed.url}#request=c0ffee00c0ffee00")
    await expect(page.get_by_test_id("advice")).to_be_visible()
    assert page.url.endswith("#1-4")


async def test_a_link_with_an_unknown_request_id_says_so_and_waits(
    page: Page, feed: FeedServer
) -> None:
    await page.goto(f"{feed.url}#request=%25later")
    notice = page.get_by_test_id("search-notice")
    await expect(notice).to_contain_text("No exchange has the request id %later")
    feed.change(row(31, request_id="%later"))
    await expect(page.get_by_test_id("title")).to_have_text("GET /sse/events?n=31")
    await expect(notice).to_be_hidden()
    # What is no address at all is an exchange that nobody knows.
    await page.evaluate("location.hash = '#%'")
    await expect(page.get_by_test_id("absent")).to_be_visible()
