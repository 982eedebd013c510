"""Open record: a file on the inspector's page, seen as a live exchange is."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from msgspec.structs import replace

from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    encode_record,
)
from tests.support.feed import FeedServer, browser, complaints_of, row, start_feed

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

HAR = Path(__file__).parent.parent / "records" / "chromium.har"
RECORD = ExchangeRecord(
    "2026-11-29T12:00:00.000000Z",
    "unbuffered 0.1.0",
    "/sse",
    "http://localhost:8002",
    RecordedRequest("GET", "/sse/events", "1.1", "http", [("Host", "a:8080")]),
    [
        RecordedHead(
            1000, 200, "OK", "1.1", [("Content-Type", "text/event-stream")], "chunked"
        ),
        *(
            RecordedPiece(n * 500_000, "upstream", b"data: number %d\n\n" % n)
            for n in range(1, 7)
        ),
    ],
    RecordedEnd(3_200_000, "reset", [], "upstream broke", "the upstream is gone"),
)


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
    """The page with one exchange in its list; it must never complain."""
    options = {"viewport": {"width": 1280, "height": 800}}
    context = await chromium.new_context(**options | getattr(request, "param", {}))
    page = await context.new_page()
    page.set_default_timeout(5000)
    complaints = complaints_of(page)
    feed.rows = [row(1)]
    await page.goto(feed.url)
    await page.locator("#row-1-1").wait_for()
    yield page
    await context.close()
    assert complaints == []


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "stream.jsonl"
    path.write_bytes(encode_record(RECORD))
    return path


async def drop(page: Page, name: str, data: bytes) -> None:
    """Let go of a file over the page."""
    await page.evaluate(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            const tell = (type) => document.body.dispatchEvent(
                new DragEvent(type, {dataTransfer, bubbles: true, cancelable: true}));
            tell("dragenter");
            if (document.body.dataset.drop !== "true") throw new Error("no sign");
            if (tell("dragover")) throw new Error("the browser would open it");
            tell("drop");
        }""",
        [name, base64.b64encode(data).decode()],
    )


async def test_record_is_shown_as_a_live_exchange_is(page: Page, record: Path) -> None:
    """Its head, waterfall, events, pieces, fields and bodies; and nothing is asked."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.get_by_test_id("file").set_input_files(record)
    await expect(page.get_by_test_id("title")).to_have_text("GET /sse/events")
    state = page.get_by_test_id("state")
    await expect(state).to_contain_text("upstream broke after 3.20 s")
    await expect(page.get_by_test_id("feed")).to_have_text("from a file")
    await expect(page.get_by_test_id("verdict")).to_have_text("The upstream is gone.")
    await expect(page.get_by_test_id("event-shown")).to_have_text("6 events")
    first = page.get_by_test_id("event-list").get_by_role("option").first
    await expect(first).to_contain_text("number 1")
    slider = page.get_by_role("slider", name="Pieces over time")
    await slider.press("ArrowRight")
    await expect(page.get_by_test_id("tip")).to_contain_text("piece 1: 16 B, at 0.500")
    await page.get_by_test_id("tab-pieces").click()
    await expect(page.get_by_test_id("piece-shown")).to_have_text("6 pieces")
    await page.get_by_test_id("tab-fields").click()
    fields = page.get_by_test_id("fields-response")
    await expect(fields).to_contain_text("text/event-stream")
    await page.get_by_test_id("tab-bodies").click()
    await expect(page.get_by_test_id("body-response")).to_contain_text("number 6")
    for control in ("stream-pause", "save-record"):
        await expect(page.get_by_test_id(control)).to_be_hidden()
    assert [url for url in asked if not url.endswith("/icon.svg")] == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("feed")).to_have_text("live")
    await page.go_back()
    await expect(page.get_by_test_id("title")).to_have_text("GET /sse/events")


async def test_file_is_opened_by_a_key_or_a_button(page: Page, record: Path) -> None:
    title = page.get_by_test_id("title")
    for place, key in (("grid", "o"), ("open", "Enter"), ("open", " ")):
        async with page.expect_file_chooser() as waiting:
            await page.get_by_test_id(place).press(key)
        chooser = await waiting.value
        assert not chooser.is_multiple()
        await chooser.set_files(record)
        await expect(title).to_have_text("GET /sse/events")
        await page.keyboard.press("Escape")
        await expect(title).to_have_count(0)


async def test_entry_of_a_har_is_chosen_from_a_list(page: Page) -> None:
    await drop(page, "a.har", HAR.read_bytes())
    entries = page.get_by_test_id("entry")
    await expect(entries).to_have_count(6)
    await expect(entries.first).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("title")).to_have_text("GET /ws")
    await expect(page.get_by_test_id("event-shown")).to_have_text("4 frames")
    missing = page.get_by_test_id("event-missing")
    await expect(missing).to_have_text(
        "This file does not say: the frames of the WebSocket."
    )
    # Another file, while this one is looked at.
    await drop(page, "b.jsonl", encode_record(RECORD))
    await expect(page.get_by_test_id("title")).to_have_text("GET /sse/events")
    await page.reload()
    absent = page.get_by_test_id("absent")
    await expect(absent).to_contain_text("This file is not open any more")


def coded(coding: str, *payloads: bytes) -> bytes:
    """The record with another body, and its content coding."""
    fields = [("Content-Type", "text/event-stream"), ("Content-Encoding", coding)]
    head = RecordedHead(1000, 200, "OK", "1.1", fields, "chunked")
    pieces = [
        RecordedPiece(n * 500_000, "upstream", data)
        for n, data in enumerate(payloads, 1)
    ]
    return encode_record(replace(RECORD, items=[head, *pieces]))


async def test_content_coding_is_removed_piece_by_piece(page: Page) -> None:
    """Each event is flushed, and the stream is cut before the coding ends."""
    coder = zlib.compressobj(wbits=31)
    payloads = [
        coder.compress(b"data: number %d\n\n" % n) + coder.flush(zlib.Z_SYNC_FLUSH)
        for n in range(1, 5)
    ]
    await drop(page, "a.jsonl", coded("gzip", *payloads))
    await expect(page.get_by_test_id("event-shown")).to_have_text("4 events")
    times = page.get_by_test_id("event-list").get_by_test_id("time")
    await expect(times).to_have_text(["0.500 s", "1.000 s", "1.500 s", "2.000 s"])
    # What cannot be decoded is shown as it is.
    for name in ("gzip", "br"):
        await drop(page, f"{name}.jsonl", coded(name, b"data: number 1\n\n"))
        await expect(page.get_by_test_id("piece-shown")).to_have_text("1 piece")
        await expect(page.get_by_test_id("tab-events")).to_be_hidden()


async def test_why_a_file_is_not_opened_is_told(page: Page) -> None:
    fault = page.get_by_test_id("file-fault")
    await expect(fault).to_be_hidden()
    await drop(page, "a.txt", b"hello")
    await expect(fault).to_contain_text("a.txt is not a record and not a HAR: ")
    broken = encode_record(RECORD).replace(b'"at":500000', b'"at":"soon"')
    await drop(page, "b.jsonl", broken)
    await expect(fault).to_contain_text("b.jsonl, line 3: at: is not a whole number")
    await page.get_by_test_id("file-fault-close").click()
    await expect(fault).to_be_hidden()
    await drop(page, "c.har", b'{"log": {"entries": []}}')
    await expect(fault).to_contain_text("c.har has no exchange by HTTP")
    await drop(page, "d.jsonl", encode_record(RECORD))
    await expect(page.get_by_test_id("title")).to_be_visible()
    await expect(fault).to_be_hidden()


@pytest.mark.parametrize(
    "page", [pytest.param({"viewport": {"width": 390, "height": 700}})], indirect=True
)
async def test_file_is_seen_on_a_phone(page: Page) -> None:
    await page.get_by_test_id("file").set_input_files(HAR)
    await page.get_by_test_id("entry").nth(2).click()
    await expect(page.get_by_test_id("event-shown")).to_have_text("5 events")
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert await page.evaluate(wide) <= 0
