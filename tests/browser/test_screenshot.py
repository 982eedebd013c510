"""The picture in the README: real services, real seconds. Not part of the suite.

UNBUFFERED_SCREENSHOT=docs/demo-page.png pytest tests/browser/test_screenshot.py
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

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

PATH = os.environ.get("UNBUFFERED_SCREENSHOT", "")
PATIENCE = 15_000  # milliseconds, for six messages at one a second
MARGIN = 36  # pixels below the comparison

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PATH, reason="UNBUFFERED_SCREENSHOT is not set"),
]

SHARP = {
    "device_scale_factor": 2,
    "color_scheme": "light",
    "viewport": {"width": 1280, "height": 1000},
}


@pytest.mark.parametrize("browser_page", [SHARP], indirect=True, ids=["sharp"])
async def test_readme_shows_both_columns_full(
    proxy: StartProxy, browser_page: Page
) -> None:
    page = browser_page
    async with start_services(any_port=True) as ports:
        started = await proxy(
            {
                "/sse": {
                    "target": f"http://localhost:{ports.events}",
                    "path_rewrite": {"^/sse": ""},
                },
                "/": {"target": f"http://localhost:{ports.pages}"},
            }
        )
        await page.goto(f"http://localhost:{started.port}/")
        # It starts by itself.
        for name, verdict in {
            "held": re.compile(r"^All 6 at once, after 6\.\d s$"),
            "unbuffered": re.compile("^6 messages, one a second$"),
        }.items():
            column = page.get_by_test_id(f"column-{name}")
            await expect(column.get_by_test_id("verdict")).to_have_text(
                verdict, timeout=PATIENCE
            )
        # Nothing is hovered over, focused or half faded in.
        await page.mouse.move(0, 0)
        await page.evaluate("document.activeElement.blur()")
        await page.screenshot(
            path=PATH,
            animations="disabled",
            clip={"x": 0, "y": 0, "width": 1280, "height": await height(page)},
        )


async def height(page: Page) -> float:
    box = await page.get_by_test_id("comparison").bounding_box()
    assert box is not None
    return box["y"] + box["height"] + MARGIN
