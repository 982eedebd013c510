"""The picture in docs/inspector.md: a real answer in real time. Not part of the suite.

UNBUFFERED_SCREENSHOT=docs/demo-page.png pytest tests/browser -k picture
puts it beside the demo's picture.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.conftest import StartProxy
from upstream_demo.services import start_services

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

FOLDER = os.environ.get("UNBUFFERED_SCREENSHOT", "")
PATIENCE = 15_000  # milliseconds, for an answer of a few seconds
CHOSEN = 9  # the event whose detail is shown

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not FOLDER, reason="UNBUFFERED_SCREENSHOT is not set"),
]

SHARP = {
    "device_scale_factor": 2,
    "color_scheme": "light",
    "viewport": {"width": 1280, "height": 800},
}


@pytest.mark.parametrize("browser_page", [SHARP], indirect=True, ids=["sharp"])
async def test_picture_shows_an_answer_piece_by_piece(
    proxy: StartProxy, browser_page: Page
) -> None:
    page = browser_page
    async with (
        start_services(any_port=True) as ports,
        aiohttp.ClientSession() as client,
    ):
        target = f"http://localhost:{ports.ai}"
        started = await proxy(
            {"/server1": {"target": target, "path_rewrite": {"^/server1": ""}}}
        )
        await page.goto(f"{started.url}/_unbuffered/")
        await expect(page.get_by_test_id("feed")).to_have_text("live")
        answer = await client.post(
            f"{started.url}/server1/open",
            json={"prompt": "Who holds my stream?"},
            headers={"Authorization": "Bearer secret"},
        )
        await page.locator("#list .row").first.click()
        await answer.read()
        await expect(page.get_by_test_id("feed")).to_have_text(
            "ended", timeout=PATIENCE
        )
        await page.get_by_test_id("event-list").press("Home")
        for _ in range(CHOSEN):
            await page.keyboard.press("j")
        await page.mouse.move(0, 0)
        await page.screenshot(
            path=Path(FOLDER).with_name("inspector.png"), animations="disabled"
        )
