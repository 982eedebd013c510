"""The page's streams, one piece at a time through the proxy."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Demo

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Locator

pytestmark = pytest.mark.browser

TEXTS = ["你好", "吃饭了吗", "What are you doing?", "My name is yy", "8888", "hello"]
SECOND = 1000  # milliseconds of the page's clock


def messages(place: Locator) -> Locator:
    return place.get_by_test_id("message")


# -- the comparison -----------------------------------------------------------


async def test_held_column_gets_all_at_once_and_free_columns_one_a_second(
    demo: Demo,
) -> None:
    """The page's clock stands still but for the seconds that the test gives it."""
    page = demo.page
    await page.clock.install(time=0)
    await page.reload()
    await page.clock.pause_at(SECOND)
    columns = {
        name: page.get_by_test_id(f"column-{name}")
        for name in ("held", "unbuffered", "behind")
    }
    await page.get_by_test_id("third").check()
    await page.get_by_test_id("start").click()
    held = await demo.upstream.requested("/held/events")
    free = await demo.upstream.requested("/events")
    behind = await demo.upstream.requested("/held-before/events")
    for count, text in enumerate(TEXTS, start=1):
        await page.clock.run_for(SECOND)
        for stream in (held, free, behind):
            stream.send_event(text)
        for name in ("unbuffered", "behind"):
            await expect(messages(columns[name])).to_have_count(count)
            await expect(messages(columns[name]).last).to_have_text(
                f"{text}{count}.000 s"
            )
        await expect(messages(columns["held"])).to_have_count(0)
        await expect(columns["unbuffered"]).to_have_attribute("data-state", "open")
    for stream in (held, free, behind):
        stream.send_event("end")
        stream.finish()
    await expect(messages(columns["held"])).to_have_text(
        [f"{text}6.000 s" for text in TEXTS]
    )
    verdicts = {
        name: column.get_by_test_id("verdict") for name, column in columns.items()
    }
    await expect(verdicts["held"]).to_have_text("All 6 at once, after 6.0 s")
    await expect(verdicts["unbuffered"]).to_have_text("6 messages, one a second")
    await expect(verdicts["behind"]).to_have_text("6 messages, one a second")
    for column in columns.values():
        await expect(column).to_have_attribute("data-state", "closed")


async def test_a_column_whose_hop_is_away_says_so_and_the_other_goes_on(
    demo: Demo, dead_port: int
) -> None:
    demo.upstream.holding_port = dead_port
    await demo.page.reload()
    await demo.page.get_by_test_id("start").click()
    held = demo.page.get_by_test_id("column-held")
    await expect(held.get_by_test_id("verdict")).to_have_text("The connection failed")
    await expect(held).to_have_attribute("data-state", "error")
    stream = await demo.upstream.requested("/events")
    stream.send_event(TEXTS[0])
    await expect(messages(demo.page.get_by_test_id("column-unbuffered"))).to_have_count(
        1
    )


async def test_starting_again_closes_the_streams_of_the_first_run(demo: Demo) -> None:
    start = demo.page.get_by_test_id("start")
    await start.click()
    first = await demo.upstream.requested("/events")
    await start.click()
    second = await demo.upstream.requested("/events")
    await first.client_left()
    second.send_event(TEXTS[0])
    column = demo.page.get_by_test_id("column-unbuffered")
    await expect(messages(column)).to_have_count(1)


# -- EventSource, XMLHttpRequest, fetch ---------------------------------------


@pytest.mark.parametrize("means", ["EventSource", "XMLHttpRequest", "fetch"])
async def test_each_message_is_shown_before_the_next_is_sent(
    demo: Demo, means: str
) -> None:
    page = demo.page
    await page.get_by_test_id(f"means-{means}").check()
    await page.get_by_test_id("connect").click()
    stream = await demo.upstream.requested("/events")
    current = page.get_by_test_id("states").locator("[aria-current]")
    if means != "XMLHttpRequest":  # which Chromium opens with the first piece
        await expect(current).to_have_attribute("data-state", "open")
    shown = messages(page.get_by_test_id("variant-messages"))
    for count, text in enumerate(TEXTS, start=1):
        stream.send_event(text)
        await expect(shown).to_have_count(count)
        await expect(shown.last).to_contain_text(text)
        await expect(current).to_have_attribute("data-state", "open")
    stream.send_event("end")
    stream.finish()
    await expect(current).to_have_attribute("data-state", "closed")
    await expect(shown).to_have_count(len(TEXTS))


@pytest.mark.parametrize("means", ["EventSource", "XMLHttpRequest", "fetch"])
async def test_disconnecting_closes_the_request_of_the_upstream(
    demo: Demo, means: str
) -> None:
    page = demo.page
    await page.get_by_test_id(f"means-{means}").check()
    await page.get_by_test_id("connect").click()
    stream = await demo.upstream.requested("/events")
    stream.send_event(TEXTS[0])
    await expect(messages(page.get_by_test_id("variant-messages"))).to_have_count(1)
    await page.get_by_test_id("disconnect").click()
    await stream.client_left()
    current = page.get_by_test_id("states").locator("[aria-current]")
    await expect(current).to_have_attribute("data-state", "closed")


@pytest.mark.parametrize("means", ["EventSource", "XMLHttpRequest", "fetch"])
async def test_a_stream_that_breaks_is_shown_as_an_error(
    demo: Demo, means: str
) -> None:
    page = demo.page
    await page.get_by_test_id(f"means-{means}").check()
    await page.get_by_test_id("connect").click()
    stream = await demo.upstream.requested("/events")
    stream.send_event(TEXTS[0])
    await expect(messages(page.get_by_test_id("variant-messages"))).to_have_count(1)
    stream.break_off()
    states = page.get_by_test_id("states")
    reached = states.locator("[data-state=error] time")
    await expect(reached).to_have_text(re.compile(r"\d\.\d{3} s"))


# -- when it breaks -----------------------------------------------------------


async def test_a_dead_upstream_is_shown_as_the_error_of_the_proxy(demo: Demo) -> None:
    await demo.page.get_by_test_id("refused").click()
    await expect(demo.page.get_by_test_id("refused-outcome")).to_contain_text(
        "502 Bad Gateway"
    )
    body = json.loads(await demo.page.get_by_test_id("refused-body").inner_text())
    assert body["error"]["type"] == "connection_refused"


async def test_an_upstream_that_dies_is_an_error_and_not_a_clean_end(
    demo: Demo,
) -> None:
    page = demo.page
    await page.get_by_test_id("broken").click()
    stream = await demo.upstream.requested("/faults/die")
    shown = messages(page.get_by_test_id("broken-messages"))
    for count, text in enumerate(TEXTS[:3], start=1):
        stream.send_event(text)
        await expect(shown).to_have_count(count)
    stream.break_off()
    await expect(page.get_by_test_id("broken-outcome")).to_have_text(
        "TypeError: network error after 3 messages: an error, not a clean end."
    )
