"""What Unbuffered replaces: the dev server's own proxy, for comparison."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Site
from tests.e2e.test_streams import MEANS, TEXTS, read_in_lock_step

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect


@pytest.mark.parametrize("way", ["webpack-original-behind"], indirect=True)
async def test_original_block_streams_with_compress_off(site: Site) -> None:
    for means in MEANS:
        await read_in_lock_step(site, means)


@pytest.mark.parametrize("way", ["webpack-compressing-behind"], indirect=True)
async def test_original_block_holds_all_messages_with_compress_on(site: Site) -> None:
    """So the tests of the other ways can fail."""
    await site.connect("EventSource")
    stream = await site.backend.requested("/events")
    for text in TEXTS:
        stream.send_event(text)
    # A whole round trip on the same way, which the messages have not made.
    await site.page.evaluate("fetch('/server2/account').then((got) => got.text())")
    await expect(site.page.get_by_test_id("message")).to_have_count(0)
    await expect(site.page.get_by_test_id("state")).to_have_text("connecting")
    stream.send_event("end")
    stream.finish()
    await expect(site.page.get_by_test_id("message")).to_have_text(TEXTS)
