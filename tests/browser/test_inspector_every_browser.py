"""The inspector in Chromium, Firefox and WebKit: a stream, a failure, its languages."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from tests.browser.controlled import PageUpstream
from tests.browser.drivers.browser import Browser, Tab, element
from tests.conftest import StartProxy
from tests.support.running import RunningProxy

pytestmark = pytest.mark.browser

ROW = "document.querySelector('#list .row:not([hidden])')"


@pytest.fixture
async def running(
    proxy: StartProxy, page_upstream: PageUpstream, dead_port: int
) -> RunningProxy:
    dead = {"target": f"http://127.0.0.1:{dead_port}"}
    return await proxy({"/": {"target": page_upstream.url}, "/dead": dead})


async def looked_at(any_browser: Browser, running: RunningProxy, hash: str) -> Tab:
    tab = await any_browser.tab()
    await tab.open(f"{running.url}/_unbuffered/{hash}")
    if await tab.run("return document.documentElement.lang") != "en":
        await tab.click("language")
    return tab


async def test_a_link_waits_for_its_stream_and_shows_it(
    running: RunningProxy, page_upstream: PageUpstream, any_browser: Browser
) -> None:
    tab = await looked_at(any_browser, running, "#path=/events")
    await tab.mentions("search-notice", "begins with /events")
    client = await running.client()
    await client.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    stream = await page_upstream.requested("/events")
    await tab.until(element("event-shown"))
    for count, text in enumerate(["你好", "8888"], start=1):
        stream.send_event(text)
        await tab.shows("event-shown", f"{count} event{'s' * (count > 1)}")
        await tab.mentions("event-list", text)
    await tab.click("language")
    await tab.until(f"{element('event-shown')}?.textContent === '2 个事件'")
    await tab.mentions("verdict", "每一段都")
    await tab.click("back")
    await tab.shows("sort-started", "开始时间")
    await tab.until(f"{ROW} && {ROW}.textContent.includes('/events')")
    stream.finish()
    await tab.until(f"{ROW}.textContent.includes('完成')")


async def test_a_failure_opens_by_the_id_of_its_request(
    running: RunningProxy, any_browser: Browser
) -> None:
    url = f"{running.url}/dead"
    async with ClientSession() as session, session.get(url) as response:
        error = (await response.json())["error"]
    id = error["request_id"]
    tab = await looked_at(any_browser, running, f"#request={id}")
    await tab.until(element("advice"))
    await tab.mentions("advice", error["advice"])
    await tab.mentions("sent-head", "HTTP/1.1 502 Bad Gateway")
    await tab.mentions("sent-body", f'"request_id": "{id}"')
