"""The error page in a browser: its looks, where it leads, and how it comes back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from proxy.errors import (
    FirstByteTimeout,
    LoopDetected,
    NoRoute,
    ProxyError,
    RequestHeadTooLarge,
    ShuttingDown,
    UpstreamRefused,
)
from proxy.policy.error_response import Failure, plan_failure
from proxy.policy.response_plan import TERMS
from tests.browser.axe import needs_axe, no_findings
from tests.browser.test_demo_accessibility import LOOKS, PHONE
from tests.conftest import StartProxy
from tests.unit.http1.heads import request

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

pytestmark = pytest.mark.browser

BACK = "<!doctype html><title>back</title><h1>It is back</h1>"
DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"
# The page waits when the test says so. Only its own waits are seen.
BY_HAND = """
    window.waits = [];
    window.setTimeout = (action, wait) => waits.push({ action, wait });
    window.clearTimeout = () => {};
"""
IN_THE_BACKGROUND = """() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
COMES_TO_THE_FRONT = """() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
}"""
WAIT_IS_OVER = "() => waits.at(-1).action()"


@dataclass
class Upstream:
    """A port on which something listens from when the test starts it."""

    port: int
    runner: web.AppRunner
    methods: list[str]

    async def start(self) -> None:
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()


@pytest.fixture
async def upstream(dead_port: int) -> AsyncIterator[Upstream]:
    methods: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        methods.append(request.method)
        if request.method == "OPTIONS":
            raise web.HTTPMethodNotAllowed("OPTIONS", ["GET"])
        return web.Response(text=BACK, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    yield Upstream(dead_port, runner, methods)
    await runner.cleanup()


@pytest.fixture
async def url(proxy: StartProxy, upstream: Upstream) -> str:
    target = {"target": f"http://127.0.0.1:{upstream.port}"}
    return (await proxy({"/app": target})).url


async def waits(page: Page) -> list[int]:
    found: list[int] = await page.evaluate("waits.map(({ wait }) => wait)")
    return found


# -- coming back --------------------------------------------------------------


async def test_page_comes_when_the_upstream_is_back(
    browser_page: Page, url: str, upstream: Upstream
) -> None:
    """By a request that asks for nothing, and then once for the page itself."""
    page = browser_page
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(BY_HAND)
    await page.goto(f"{url}/app/list?x=1#part")
    await expect(page.locator("h1")).to_have_text("502 Bad Gateway")
    await expect(page.locator("#waits")).to_be_visible()
    refused = [text for text in complaints if "502" not in text]
    assert refused == []  # its policy lets all of it run
    await page.evaluate(WAIT_IS_OVER)
    await expect(page.locator("h1")).to_have_text("502 Bad Gateway")
    await upstream.start()
    async with page.expect_navigation(url=f"{url}/app/list?x=1#part"):
        await page.evaluate(WAIT_IS_OVER)
    await expect(page.locator("h1")).to_have_text("It is back")
    assert upstream.methods == ["OPTIONS", "GET"]


async def test_page_asks_more_and_more_seldom(browser_page: Page, url: str) -> None:
    page = browser_page
    await page.add_init_script(BY_HAND)
    await page.goto(f"{url}/app")
    for _ in range(12):
        await page.evaluate(WAIT_IS_OVER)
    found = await waits(page)
    assert found[:3] == [1000, 1500, 2250]
    assert found[-3:] == [30_000] * 3
    await page.reload()
    assert await waits(page) == [5000]  # it may have loaded itself again


async def test_page_that_finds_itself_again_waits_longer_each_time(
    browser_page: Page, url: str
) -> None:
    """As behind Vite, which answers OPTIONS itself (CORS): nobody is back."""

    async def answer(route: Route) -> None:
        if route.request.method == "OPTIONS":
            await route.fulfill(status=204)
        else:
            await route.continue_()

    page = browser_page
    await page.add_init_script(BY_HAND)
    await page.route("**/*", answer)
    await page.goto(f"{url}/app/list?x=1")
    found = [*await waits(page)]
    for _ in range(7):
        async with page.expect_navigation():
            await page.evaluate(WAIT_IS_OVER)
        await expect(page.locator("h1")).to_have_text("502 Bad Gateway")
        found += await waits(page)
    assert found == [1000, 5000, 7500, 11_250, 16_875, 25_312.5, 30_000, 30_000]
    await page.reload()  # by hand
    assert await waits(page) == [5000]
    await page.goto(f"{url}/app/other")
    assert await waits(page) == [1000]


async def test_page_asks_nothing_in_the_background(
    browser_page: Page, url: str
) -> None:
    page = browser_page
    asked: list[str] = []
    await page.add_init_script(BY_HAND)
    await page.goto(f"{url}/app")
    page.on("request", lambda request: asked.append(request.method))
    await page.evaluate(IN_THE_BACKGROUND)
    await page.evaluate(WAIT_IS_OVER)
    assert asked == []
    assert await waits(page) == [1000]
    await page.evaluate(COMES_TO_THE_FRONT)
    assert await waits(page) == [1000, 1000]
    await page.evaluate(WAIT_IS_OVER)
    assert asked == ["OPTIONS"]


async def test_page_waits_for_a_proxy_that_is_away(
    browser_page: Page, url: str
) -> None:
    page = browser_page
    await page.add_init_script(BY_HAND)
    await page.goto(f"{url}/app")
    await page.route("**/*", lambda route: route.abort())
    await page.evaluate(WAIT_IS_OVER)
    assert await waits(page) == [1000, 1500]


async def test_what_a_form_has_sent_is_not_sent_again(
    browser_page: Page, url: str, upstream: Upstream
) -> None:
    page = browser_page
    await page.add_init_script(BY_HAND)
    await page.set_content(
        f"<form method=post action='{url}/app'><button>Send</button>"
    )
    await page.get_by_role("button").click()
    await expect(page.locator("h1")).to_have_text("502 Bad Gateway")
    await expect(page.locator("main")).to_contain_text("is not sent again by itself")
    assert await page.evaluate("window.waits") == []
    assert await page.locator("a.again").count() == 0


@pytest.mark.parametrize(
    "browser_page", [{"java_script_enabled": False}], indirect=True, ids=["no script"]
)
async def test_without_a_script_a_link_tries_again(
    browser_page: Page, url: str, upstream: Upstream
) -> None:
    page = browser_page
    await page.goto(f"{url}/app/list?x=1")
    await expect(page.locator("#waits")).to_be_hidden()
    await upstream.start()
    await page.get_by_text("Try again").click()
    await expect(page.locator("h1")).to_have_text("It is back")
    await expect(page).to_have_url(f"{url}/app/list?x=1")


# -- leading on ---------------------------------------------------------------


async def test_page_leads_to_its_request_in_the_inspector(
    browser_page: Page, url: str
) -> None:
    page = browser_page
    await page.goto(f"{url}/app/list")
    await page.get_by_text("This request in the inspector").click()
    record = page.get_by_test_id("stream")
    await expect(record).to_contain_text("/app/list")
    await expect(record).to_contain_text("Start the upstream")
    await expect(page).to_have_url(re.compile("/_unbuffered/#"))


async def test_page_behind_another_server_leads_to_this_one(
    browser_page: Page, url: str
) -> None:
    """As behind Vite, at whose address the path is the application's own."""

    async def pass_on(request: web.Request) -> web.Response:
        fields = {"Host": request.host, "Connection": "keep-alive"}
        fields["Accept"] = "text/html"
        async with ClientSession() as session:
            response = await session.get(f"{url}{request.path}", headers=fields)
            return web.Response(body=await response.read(), content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", pass_on)
    page = browser_page
    async with TestServer(app, port=0) as front:
        await page.goto(str(front.make_url("/app/list")))
        link = page.get_by_text("This request in the inspector")
        await expect(link).to_have_attribute("href", re.compile(f"^{url}/_unbuffered/"))
        await link.click()
        record = page.get_by_test_id("stream")
        await expect(record).to_contain_text("/app/list")


# -- looks --------------------------------------------------------------------


async def show(page: Page, url: str, failure: Failure, method: str = "GET") -> None:
    """Have a page shown as it is sent, to a browser of these languages."""

    async def answer(route: Route) -> None:
        accepted = await route.request.header_value("accept-language") or ""
        head = request(
            *(b"Host: a", b"Sec-Fetch-Mode: navigate"),
            b"Accept-Language: " + accepted.encode(),
            start=f"{method} / HTTP/1.1".encode(),
        )
        plan, body = plan_failure(failure, head, TERMS[True][True], DATE)
        fields = {name.decode(): value.decode() for name, value in plan.fields}
        await route.fulfill(status=plan.status, headers=fields, body=body)

    await page.route(url, answer)
    await page.goto(url)


ERRORS: list[ProxyError] = [
    UpstreamRefused("nothing listens at 127.0.0.1:8002"),
    FirstByteTimeout(
        "upstream 'http://127.0.0.1:8002' sent nothing for 30.0 s "
        "(first_byte_timeout_seconds)"
    ),
    NoRoute("no route matches /no/such/place"),
    RequestHeadTooLarge("the request head has more than 65536 bytes (max_head_bytes)"),
    LoopDetected("the request came back 16 times: the target sends it here again"),
    ShuttingDown("the proxy stops, and drain_seconds are over"),
]


@needs_axe
@pytest.mark.parametrize("browser_page", LOOKS, indirect=True)
async def test_no_page_has_a_finding(browser_page: Page) -> None:
    page = browser_page
    for number, error in enumerate(ERRORS):
        for method, detailed in (("GET", True), ("GET", False), ("POST", True)):
            failure = Failure(
                error=error,
                elapsed=0.002,
                route="/a-rather-long-prefix/of-a-route",
                target="http://a-host-with-a-long-name.internal.example:8002",
                routes=("/sse", "/server1", "/server2"),
                request_id=b"5c1f0a92d7e4-1f3",
                detailed=detailed,
                record="/_unbuffered/" if detailed else "",
            )
            url = f"http://127.0.0.1/{number}/{method}/{detailed}"
            await show(page, url, failure, method)
            await expect(page.locator("h1")).to_contain_text(str(error.status))
            await no_findings(page)
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width == await page.evaluate("innerWidth")
            if page.viewport_size == PHONE:
                assert width == 390
