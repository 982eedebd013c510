"""The form that asks for the token of the inspector, and the link that has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from proxy.config.load import load
from tests.browser.axe import needs_axe, no_findings
from tests.browser.controlled import PageUpstream
from tests.browser.drivers.browser import Browser
from tests.browser.test_inspector_looks import CONTRAST
from tests.conftest import StartProxy
from tests.support.running import RunningProxy, Table, document

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.browser

TOKEN = "a-token/of+the~inspector=="
LOOKS = [{"color_scheme": "light"}, {"color_scheme": "dark"}]
PHONE = {"viewport": {"width": 320, "height": 568}}


@pytest.fixture
async def running(proxy: StartProxy, page_upstream: PageUpstream) -> RunningProxy:
    return await proxy({"/": {"target": page_upstream.url}}, inspector={"token": TOKEN})


async def is_live(page: Page) -> None:
    await expect(page.get_by_test_id("feed")).to_have_text("live")


async def sessions(page: Page) -> list[dict[str, object]]:
    """The cookies of the browser."""
    return [dict(each) for each in await page.context.cookies()]


async def test_a_person_shows_the_token_once_by_the_keyboard_alone(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/#0-7")
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        "This inspector needs a token"
    )
    field = page.get_by_label("Token", exact=True)
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("type", "password")
    await page.keyboard.type("guessed")
    await page.keyboard.press("Enter")
    # The reason is announced, and the field has it as its description.
    said = page.get_by_role("alert")
    await expect(said).to_have_text("Wrong token.")
    await expect(field).to_have_attribute("aria-invalid", "true")
    described = re.compile(r"proxy starts\. Wrong token\.$")
    await expect(field).to_have_accessible_description(described)
    await expect(field).to_be_focused()
    assert await sessions(page) == []
    await page.keyboard.type(TOKEN)  # in place of what was selected
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Open")).to_be_focused()
    await page.keyboard.press("Enter")
    # The exchange of the address is shown: here, that there is none of that name.
    await expect(page.get_by_test_id("stream")).to_be_visible()
    assert page.url == f"{running.url}/_unbuffered/#0-7"
    (cookie,) = await sessions(page)
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert (cookie["path"], cookie["secure"]) == ("/_unbuffered/", False)
    assert cookie["name"] == f"unbuffered-session-{running.port}"
    assert TOKEN not in str(cookie["value"])
    await page.goto(f"{running.url}/_unbuffered/")
    await is_live(page)
    assert await page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("browser_page", LOOKS, indirect=True, ids=["light", "dark"])
async def test_the_form_is_legible(running: RunningProxy, browser_page: Page) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/")
    await page.get_by_label("Token", exact=True).fill("guessed")
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_role("alert")).to_have_text("Wrong token.")
    assert await page.evaluate(CONTRAST) == []
    paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (paper == "rgb(16, 18, 20)") == dark


CHINESE = {"locale": "zh-CN", "color_scheme": "dark", "viewport": PHONE["viewport"]}


@needs_axe
@pytest.mark.parametrize(
    "browser_page", [LOOKS[0], CHINESE], indirect=True, ids=["light", "Chinese, dark"]
)
async def test_axe_finds_nothing_in_the_form(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/")
    await no_findings(page)
    await page.get_by_test_id("token").fill("guessed")
    await page.get_by_test_id("open").click()
    await expect(page.get_by_role("alert")).to_have_text(re.compile("."))
    await no_findings(page)


@pytest.mark.parametrize("browser_page", [CHINESE], indirect=True, ids=["Chinese"])
async def test_the_form_speaks_chinese(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/")
    await expect(page).to_have_title("需要令牌 · Unbuffered Inspector")
    await expect(page.get_by_role("heading", level=1)).to_have_text(
        "查看 Inspector 需要令牌"
    )
    await page.get_by_label("令牌", exact=True).fill("guessed")
    await page.get_by_role("button", name="打开 Inspector").click()
    await expect(page.get_by_role("alert")).to_have_text("令牌不正确。")
    missing = "import('./page/web/language.js').then((m) => m.missing())"
    assert await page.evaluate(missing) == []
    await page.get_by_test_id("language").click()
    await expect(page).to_have_title("Token needed · Unbuffered inspector")
    await expect(page.get_by_label("Token", exact=True)).to_be_visible()


@pytest.mark.parametrize("browser_page", [PHONE], indirect=True, ids=["phone"])
async def test_the_form_is_no_wider_than_a_phone(
    running: RunningProxy, browser_page: Page
) -> None:
    await browser_page.goto(f"{running.url}/_unbuffered/")
    await expect(browser_page.get_by_role("button", name="Open")).to_be_in_viewport()
    wide = await browser_page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320


@pytest.mark.parametrize(
    "browser_page", [{"java_script_enabled": False}], indirect=True, ids=["no scripts"]
)
async def test_the_form_needs_no_scripts(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/")
    for token in ("guessed", TOKEN):
        await page.get_by_label("Token", exact=True).fill(token)
        await page.get_by_role("button", name="Open").click()
        if token != TOKEN:
            alert = page.get_by_role("alert")
            await expect(alert).to_have_text("Wrong token.")
    await expect(page.get_by_test_id("pause")).to_be_visible()
    assert page.url == f"{running.url}/_unbuffered/"


async def test_a_link_opens_it_and_leaves_no_token_behind(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(str(request.headers)))
    await page.goto(f"{running.url}/_unbuffered/?token={quote(TOKEN, safe='')}")
    await is_live(page)
    assert page.url == f"{running.url}/_unbuffered/"
    assert await page.evaluate("history.length") <= 2
    assert not [fields for fields in asked if "token" in fields.lower()]


async def test_a_link_on_another_site_opens_it_too(
    running: RunningProxy, page_upstream: PageUpstream, browser_page: Page
) -> None:
    """The cookie is not sent along with the redirect then (SameSite=Strict)."""
    page = browser_page
    link = f"{running.url}/_unbuffered/?token={quote(TOKEN, safe='')}"
    await page.goto(page_upstream.url.replace("127.0.0.1", "localhost"))
    await page.evaluate(
        """(link) => {
            const made = document.createElement("a");
            made.href = link;
            made.textContent = "the inspector";
            document.body.replaceChildren(made);
        }""",
        link,
    )
    await page.get_by_role("link", name="the inspector").click()
    await is_live(page)
    assert page.url == f"{running.url}/_unbuffered/"


async def test_a_wrong_token_does_not_stay_in_the_address(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/?token=guessed#0-7")
    await expect(page.get_by_role("alert")).to_have_text("Wrong token.")
    await page.wait_for_url(f"{running.url}/_unbuffered/#0-7")


async def test_who_guesses_too_often_is_told_how_long_to_wait(
    running: RunningProxy, browser_page: Page
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/")
    field, said = page.get_by_label("Token", exact=True), page.get_by_role("alert")
    for number in range(11):
        await field.fill(f"guessed-{number}")
        async with page.expect_response("**/login"):
            await field.press("Enter")
    await expect(said).to_contain_text("Too many wrong tokens from this address; try")


async def test_once_the_token_is_another_the_page_asks_for_it(
    running: RunningProxy,
    page_upstream: PageUpstream,
    browser_page: Page,
    tmp_path: Path,
) -> None:
    page = browser_page
    await page.goto(f"{running.url}/_unbuffered/?token={quote(TOKEN, safe='')}")
    await is_live(page)
    path = tmp_path / "another.toml"
    tables = {"inspector": {"token": "another-token-of-it"}}
    path.write_text(document({"/": {"target": page_upstream.url}}, tables))
    await running.server.reload(load(path, {}, {"server.port": running.port}))
    field = page.get_by_label("Token", exact=True)
    await field.fill("another-token-of-it")
    await field.press("Enter")
    await is_live(page)
    # The same where no feed is open: of an exchange that there is not.
    await page.goto(f"{running.url}/_unbuffered/#0-7")
    await expect(page.get_by_test_id("absent")).to_be_visible()
    await page.context.clear_cookies()
    await page.goto(f"{running.url}/_unbuffered/#0-8")
    await expect(field).to_be_visible()


async def test_the_form_works_behind_a_proxy_that_changes_host(
    proxy: StartProxy, running: RunningProxy, browser_page: Page
) -> None:
    """As nginx does by default; by plain HTTP no browser says Sec-Fetch-Site."""
    route = {"target": running.url, "change_origin": True}
    fields = {"request": {"remove": ["Sec-Fetch-Site"], "set": {"Host": "inner"}}}
    front = await proxy(
        {"/": {**route, "headers": fields}}, inspector={"enabled": False}
    )
    page = browser_page
    await page.goto(f"{front.url}/_unbuffered/")
    field = page.get_by_label("Token", exact=True)
    for token, said in (("guessed", "Wrong token."), (f"{TOKEN}好", "A page of")):
        await field.fill(token)
        await field.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text(said)
    await field.fill(TOKEN)
    await field.press("Enter")
    await is_live(page)


@pytest.mark.parametrize(
    "browser_page", [{"ignore_https_errors": True}], indirect=True, ids=["https"]
)
async def test_by_https_the_cookie_goes_by_https_alone(
    proxy: StartProxy,
    page_upstream: PageUpstream,
    browser_page: Page,
    dev_tls: Table,
) -> None:
    """By HTTP/2, and by the address, which without a token it could not be."""
    running = await proxy(
        {"/": {"target": page_upstream.url}}, server=dev_tls, inspector={"token": TOKEN}
    )
    page = browser_page
    await page.goto(f"https://127.0.0.1:{running.port}/_unbuffered/")
    field = page.get_by_label("Token", exact=True)
    await field.fill(TOKEN)
    await field.press("Enter")
    await is_live(page)
    (cookie,) = await sessions(page)
    assert (cookie["httpOnly"], cookie["secure"]) == (True, True)


SIGN_IN = """
const form = document.querySelector("form");
form.elements.token.value = "guessed";
form.requestSubmit();
const said = document.getElementById("said");
await new Promise((resolve) => {
    new MutationObserver(() => said.textContent && resolve())
        .observe(said, { childList: true });
});
const told = said.textContent;
const body = new URLSearchParams({ token: given[0] });
const response = await fetch("login", { method: "POST", body, redirect: "manual" });
return [told, response.type];
"""


async def test_the_form_works_in_every_browser(
    running: RunningProxy, any_browser: Browser
) -> None:
    tab = await any_browser.tab()
    await tab.open(f"{running.url}/_unbuffered/")
    told = await tab.run(SIGN_IN, TOKEN)
    assert told == ["Wrong token.", "opaqueredirect"]
    await tab.open(f"{running.url}/_unbuffered/")
    await tab.shows("feed", "live")
