"""Each way to put Unbuffered beside a dev server: every message when it is sent.

The back end sends message n + 1 only once the page shows message n. Whatever
holds a byte on the way stops the test.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Site

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

TEXTS = ["你好", "吃饭了吗", "What are you doing?"]
WAYS = [
    "webpack-behind",
    "webpack-before",
    "vite-behind",
    "vite-before",
    "next-behind",
    "next-before",
]
VUE = [way for way in WAYS if not way.startswith("next")]
MEANS = ["EventSource", "XMLHttpRequest", "fetch"]
every_way = pytest.mark.parametrize("way", WAYS, indirect=True)
TOKENS = ["我", "是", " Unbuffered"]


async def read_in_lock_step(site: Site, means: str) -> None:
    await site.connect(means)
    stream = await site.backend.requested("/events")
    shown = site.page.get_by_test_id("message")
    for count, text in enumerate(TEXTS, start=1):
        stream.send_event(text)
        await expect(shown).to_have_text(TEXTS[:count])
    await expect(site.page.get_by_test_id("state")).to_have_text("open")
    stream.send_event("end")
    stream.finish()
    await expect(site.page.get_by_test_id("state")).to_have_text("closed")
    await expect(shown).to_have_text(TEXTS)


@every_way
async def test_each_message_is_shown_before_the_next_is_sent(site: Site) -> None:
    for means in MEANS:
        await read_in_lock_step(site, means)


OPEN = """(path) => {
  window.opened = false;
  window.source = new EventSource(path);
  source.onopen = () => { window.opened = true; };
}"""


@pytest.mark.parametrize(
    "way", ["webpack-behind", "vite-behind", "next-behind"], indirect=True
)
async def test_a_stream_opens_before_its_first_event_by_heartbeats(site: Site) -> None:
    """The dev server's proxy holds the head until a byte follows."""
    await site.page.evaluate(OPEN, "/server2/events")  # a route without them
    plain = await site.backend.requested("/events")
    await site.connect("EventSource")
    stream = await site.backend.requested("/events")
    await expect(site.page.get_by_test_id("state")).to_have_text("open")
    settled = "fetch('/sse/events').then(({ status }) => status)"
    assert await site.page.evaluate(settled) == 200
    assert not await site.page.evaluate("opened")
    plain.send_event("first")
    await site.page.wait_for_function("opened")
    stream.finish()


@pytest.mark.parametrize("way", ["webpack-behind", "next-behind"], indirect=True)
async def test_all_else_is_compressed_by_the_dev_server(site: Site) -> None:
    """So `compress` is on where the messages come one by one."""
    codings = ("gzip", "br")
    async with site.page.expect_response(
        lambda response: response.headers.get("content-encoding") in codings
    ):
        await site.page.reload()


@pytest.mark.parametrize("way", ["vite-before", "next-before"], indirect=True)
async def test_a_refused_stream_is_no_ended_one(site: Site) -> None:
    await site.page.route("**/sse/events", lambda route: route.fulfill(status=503))
    for means in MEANS:
        await site.connect(means)
        await expect(site.page.get_by_test_id("state")).to_have_text("error")


@pytest.mark.parametrize("way", VUE, indirect=True)
async def test_each_token_of_an_answer_is_shown_before_the_next_is_sent(
    site: Site,
) -> None:
    await site.page.get_by_test_id("ask").click()
    stream = await site.backend.requested("/open")
    said = ""
    for token in TOKENS:
        chunk = {"choices": [{"delta": {"content": token}}]}
        stream.send(json.dumps(chunk).encode() + b"\n")
        said += token
        await expect(site.page.get_by_test_id("answer")).to_have_text(said)
    stream.finish()


@every_way
async def test_closing_the_tab_ends_the_stream_of_the_back_end(site: Site) -> None:
    await site.connect("EventSource")
    stream = await site.backend.requested("/events")
    stream.send_event(TEXTS[0])
    await expect(site.page.get_by_test_id("message")).to_have_count(1)
    await site.page.close()
    await stream.client_left()


@every_way
async def test_page_sees_the_back_end_die_and_reads_on_once_it_is_back(
    site: Site,
) -> None:
    await site.connect("EventSource")
    stream = await site.backend.requested("/events")
    stream.send(b"retry:50\n\n")  # milliseconds until the browser tries again
    stream.send_event(TEXTS[0])
    state = site.page.get_by_test_id("state")
    await expect(state).to_have_text("open")
    await expect(site.page.get_by_test_id("message")).to_have_count(1)
    async with site.page.expect_request("**/sse/events"):
        await site.backend.kill()
        await expect(state).to_have_text("error")
    # The browser has tried again, and waits. What was asked after it is refused.
    refused = "fetch('/server2/account').then(({ status }) => status)"
    assert await site.page.evaluate(refused) == 502
    await site.backend.start()
    again = await site.backend.requested("/events")
    again.send_event(TEXTS[1])
    await expect(site.page.get_by_test_id("message")).to_have_text(TEXTS[:2])
    await expect(state).to_have_text("open")
