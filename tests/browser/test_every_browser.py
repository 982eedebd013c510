"""The demo page in Chromium, Firefox and WebKit: its streams in lock-step.

Over HTTP/1.1, and over HTTP/2 with the certificate of `serve --tls dev`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.browser.conftest import STILL, demo_routes
from tests.browser.controlled import PageUpstream, start_upstream
from tests.browser.drivers.browser import GUARD_SECONDS, Browser, Tab, element
from tests.browser.test_answer import chunk
from tests.browser.test_page import TEXTS
from tests.conftest import StartProxy
from tests.support.running import Table

pytestmark = pytest.mark.browser

MEANS = ["EventSource", "XMLHttpRequest", "fetch"]
CURRENT = "document.querySelector('[data-testid=states] [aria-current]').dataset.state"
HOP = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
REACHED = "[data-testid=states] [data-state={state}] time"


@dataclass
class Shown:
    """The page, in a browser."""

    tab: Tab
    upstream: PageUpstream
    browser: Browser
    version: str

    async def has_messages(self, testid: str, texts: list[str]) -> None:
        """Wait until a part of the page shows these messages, and no others."""
        found = f"[...{element(testid)}.querySelectorAll('[data-testid=message] span')]"
        told = f"JSON.stringify({found}.map((each) => each.textContent))"
        wanted = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        await self.tab.until(f"{told} === {json.dumps(wanted)}")

    def tells_breaks(self) -> bool:
        """Does fetch() tell a body that breaks off from one that ends?"""
        if self.version == "2":
            return self.browser.tells_resets
        return self.browser.tells_cut_chunks

    async def has_state(self, state: str) -> None:
        await self.tab.until(f'{CURRENT} === "{state}"')

    async def connect(self, means: str) -> None:
        await self.tab.click(f"means-{means}")
        await self.tab.click("connect")


@pytest.fixture
async def upstream() -> AsyncIterator[PageUpstream]:
    async with start_upstream(GUARD_SECONDS) as started:
        yield started


@pytest.fixture(params=["1.1", "2"], ids=["HTTP/1.1", "HTTP/2"])
async def shown(
    request: pytest.FixtureRequest,
    proxy: StartProxy,
    upstream: PageUpstream,
    dev_tls: Table,
    any_browser: Browser,
    dead_port: int,
) -> Shown:
    version = request.param
    server: Table = dev_tls if version == "2" else {}
    running = await proxy(demo_routes(upstream.url, dead_port), server=server)
    tab = await any_browser.tab()
    scheme = "https" if server else "http"
    await tab.open(f"{scheme}://127.0.0.1:{running.port}/{STILL}")
    await tab.click("language-en")
    assert await tab.run(HOP) == ("h2" if version == "2" else "http/1.1")
    return Shown(tab, upstream, any_browser, version)


async def test_the_free_columns_show_each_message_before_the_next_is_sent(
    shown: Shown,
) -> None:
    if shown.version == "2" and shown.browser.name == "webkit":
        pytest.skip("a page by HTTPS asks no hop by HTTP in WebKit (mixed content)")
    await shown.tab.click("third")
    await shown.tab.click("start")
    held = await shown.upstream.requested("/held/events")
    free = await shown.upstream.requested("/events")
    behind = await shown.upstream.requested("/held-before/events")
    for count, text in enumerate(TEXTS, start=1):
        for stream in (held, free, behind):
            stream.send_event(text)
        for name in ("unbuffered", "behind"):
            await shown.has_messages(f"column-{name}", TEXTS[:count])
        await shown.has_messages("column-held", [])
    for stream in (held, free, behind):
        stream.send_event("end")
        stream.finish()
    await shown.has_messages("column-held", TEXTS)
    for name in ("held", "unbuffered", "behind"):
        await shown.tab.until(f"{element(f'column-{name}')}.dataset.state === 'closed'")


async def test_each_message_is_shown_before_the_next_is_sent(shown: Shown) -> None:
    for means in MEANS:
        await shown.connect(means)
        stream = await shown.upstream.requested("/events")
        for count in range(1, len(TEXTS) + 1):
            stream.send_event(TEXTS[count - 1])
            await shown.has_messages("variant-messages", TEXTS[:count])
            await shown.has_state("open")
        stream.send_event("end")
        stream.finish()
        await shown.has_state("closed")
        await shown.has_messages("variant-messages", TEXTS)


async def test_disconnecting_closes_the_request_of_the_upstream(shown: Shown) -> None:
    for means in MEANS:
        await shown.connect(means)
        stream = await shown.upstream.requested("/events")
        stream.send_event(TEXTS[0])
        await shown.has_messages("variant-messages", TEXTS[:1])
        await shown.tab.click("disconnect")
        await stream.client_left()
        await shown.has_state("closed")


async def test_a_stream_that_breaks_is_shown_as_an_error(shown: Shown) -> None:
    if shown.version == "2" and not shown.browser.tells_resets:
        pytest.skip(f"{shown.browser.name} does not tell of a stream that was reset")
    for means in MEANS if shown.tells_breaks() else MEANS[:1]:
        await shown.connect(means)
        stream = await shown.upstream.requested("/events")
        stream.send_event(TEXTS[0])
        await shown.has_messages("variant-messages", TEXTS[:1])
        stream.break_off()
        reached = json.dumps(REACHED.format(state="error"))
        await shown.tab.until(f"document.querySelector({reached}).textContent")


async def test_each_token_of_an_answer_is_shown_before_the_next_is_sent(
    shown: Shown,
) -> None:
    await shown.tab.click("ask")
    stream = await shown.upstream.requested("/open")
    told = ""
    for token in ["我", "是 ", "<i>", "🌊", "\n", "done"]:
        told += token
        stream.send(chunk(token))
        await shown.tab.shows("answer", told)
    stream.finish()
    await shown.tab.mentions("answer-outcome", "Complete")


async def test_the_stop_button_closes_the_request_of_the_upstream(
    shown: Shown,
) -> None:
    await shown.tab.click("ask")
    stream = await shown.upstream.requested("/open")
    stream.send(chunk("one"))
    await shown.tab.shows("answer", "one")
    await shown.tab.click("stop")
    await stream.client_left()
    await shown.tab.mentions("answer-outcome", "1 client left early")


async def test_failures_are_shown_as_such(shown: Shown) -> None:
    """A dead upstream by the proxy's error, one that dies by no clean end."""
    await shown.tab.click("refused")
    await shown.tab.mentions("refused-outcome", "502")
    await shown.tab.mentions("refused-body", "connection_refused")
    await shown.tab.click("broken")
    stream = await shown.upstream.requested("/faults/die")
    for count in range(1, 4):
        stream.send_event(TEXTS[count - 1])
        await shown.has_messages("broken-messages", TEXTS[:count])
    stream.break_off()
    if shown.tells_breaks():
        await shown.tab.mentions(
            "broken-outcome", "after 3 messages: an error, not a clean end."
        )
