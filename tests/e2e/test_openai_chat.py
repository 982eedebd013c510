"""The AI SDK in the page, its provider behind Unbuffered."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Site
from tests.e2e.test_streams import TOKENS

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect


@pytest.mark.parametrize(
    "way", ["openai-chat-behind", "openai-chat-before"], indirect=True
)
async def test_each_token_is_shown_before_the_next_and_stop_reaches_the_provider(
    site: Site,
) -> None:
    await site.page.get_by_role("button", name="Send").click()
    stream = await site.backend.requested("/v1/chat/completions")
    said = ""
    for token in TOKENS:
        stream.send_event(json.dumps({"choices": [{"delta": {"content": token}}]}))
        said += token
        await expect(site.page.get_by_test_id("assistant")).to_have_text(said)
    await site.page.get_by_role("button", name="Stop").click()
    await stream.client_left()
