"""No finding of axe on the demo page: in each look, and in each state of its parts."""

from __future__ import annotations

import pytest

from tests.browser.axe import needs_axe, no_findings
from tests.browser.conftest import Demo
from tests.browser.test_answer import chunk
from tests.browser.test_survival import asked

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, needs_axe]

PHONE = {"width": 390, "height": 844}
LOOKS = [
    pytest.param({"color_scheme": "light"}, id="light"),
    pytest.param({"color_scheme": "dark"}, id="dark"),
    pytest.param({"color_scheme": "light", "viewport": PHONE}, id="phone"),
    pytest.param({"color_scheme": "dark", "locale": "zh-CN"}, id="Chinese"),
]
in_each_look = pytest.mark.parametrize("browser_page", LOOKS, indirect=True)


@in_each_look
async def test_before_anything_has_started(demo: Demo) -> None:
    await no_findings(demo.page)
    wide = await demo.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide == 0


@in_each_look
async def test_while_streams_run_and_when_they_have_ended(demo: Demo) -> None:
    page, upstream = demo.page, demo.upstream
    await page.get_by_test_id("third").check()
    await page.get_by_test_id("start").click()
    held = await upstream.requested("/held/events")
    free = await upstream.requested("/events")
    behind = await upstream.requested("/held-before/events")
    await page.get_by_test_id("connect").click()
    variant = await upstream.requested("/events")
    streams = (held, free, behind, variant)
    for stream in streams:
        stream.send_event("你好")
    for place in ("column-unbuffered", "column-behind", "variant-messages"):
        shown = page.get_by_test_id(place).get_by_test_id("message")
        await expect(shown).to_have_count(1)
    await no_findings(page)
    for stream in streams:
        stream.send_event("end")
        stream.finish()
    for name in ("held", "unbuffered", "behind"):
        column = page.get_by_test_id(f"column-{name}")
        await expect(column).to_have_attribute("data-state", "closed")
    await expect(page.get_by_test_id("disconnect")).to_be_disabled()
    await no_findings(page)


@in_each_look
async def test_while_answers_come_and_when_they_have_broken_off(demo: Demo) -> None:
    page = demo.page
    answers = [*await asked(demo)]
    await page.get_by_test_id("ask").click()
    answers.append(await demo.upstream.requested("/open"))
    answers[-1].send(chunk("Hello"))
    await expect(page.get_by_test_id("answer")).to_have_text("Hello")
    await no_findings(page)
    for answer in answers:
        answer.break_off()
    await expect(page.get_by_test_id("stop")).to_be_disabled()
    for name in ("plain-reply", "kept-reply"):
        await expect(page.get_by_test_id(name)).to_have_attribute("aria-busy", "false")
    await no_findings(page)


@in_each_look
async def test_when_something_fails_and_when_a_message_comes_back(demo: Demo) -> None:
    page, upstream = demo.page, demo.upstream
    await page.get_by_test_id("broken").click()
    broken = await upstream.requested("/faults/die")
    broken.send_event("hello")
    await page.get_by_test_id("refused").click()
    await page.get_by_test_id("echo-send").click()
    socket = await upstream.connected()
    await socket.send_str("Hello")
    for place in ("broken-messages", "echo-messages"):
        shown = page.get_by_test_id(place).get_by_test_id("message")
        await expect(shown).to_have_count(1)
    await expect(page.get_by_test_id("refused-body")).to_be_visible()
    await no_findings(page)
    broken.break_off()
    upstream.cut(socket)
    await expect(page.get_by_test_id("echo-close")).to_be_disabled()
    await expect(page.get_by_test_id("broken")).not_to_have_attribute(
        "aria-disabled", "true"
    )
    await no_findings(page)


async def test_when_no_column_can_be_read(demo: Demo, dead_port: int) -> None:
    demo.upstream.holding_port = dead_port
    await demo.page.reload()
    await demo.page.get_by_test_id("start").click()
    column = demo.page.get_by_test_id("column-held")
    await expect(column).to_have_attribute("data-state", "error")
    await no_findings(demo.page)
