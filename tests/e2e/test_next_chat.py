"""`useChat({ resume: true })` under Next.js, whose back end has a POST alone."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Site
from tests.e2e.test_openai_chat import FINISH, delta
from tests.e2e.test_streams import TOKENS

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

WHOLE = "".join(TOKENS)
# Behind the rewrites of Next.js, Unbuffered does not see /api/chat.
before = pytest.mark.parametrize("way", ["next-before"], indirect=True)


async def begin(site: Site) -> None:
    await site.page.goto(f"{site.url}/chat")
    await site.page.get_by_role("button", name="Send").click()


@before
async def test_an_answer_goes_on_after_a_reload(site: Site) -> None:
    await begin(site)
    stream = await site.backend.requested("/v1/chat/completions")
    shown = site.page.get_by_test_id("assistant")
    stream.send_event(delta(TOKENS[0]))
    await expect(shown).to_have_text([TOKENS[0]])
    await site.page.reload()
    await expect(shown).to_have_text([TOKENS[0]])
    for token in TOKENS[1:]:
        stream.send_event(delta(token))
    await expect(shown).to_have_text([WHOLE])
    stream.send_event(json.dumps(FINISH))
    stream.send_event("[DONE]")
    stream.finish()
    await expect(site.page.get_by_test_id("status")).to_have_text("ready")
    # Complete: the page has it, and nothing runs.
    await site.page.reload()
    await expect(site.page.get_by_test_id("status")).to_have_text("ready")
    await expect(site.page.get_by_test_id("user")).to_have_count(1)
    await expect(shown).to_have_text([WHOLE])


@before
async def test_stop_reaches_the_provider_after_a_reload(site: Site) -> None:
    await begin(site)
    stream = await site.backend.requested("/v1/chat/completions")
    shown = site.page.get_by_test_id("assistant")
    stream.send_event(delta(TOKENS[0]))
    await expect(shown).to_have_text([TOKENS[0]])
    await site.page.reload()
    await expect(shown).to_have_text([TOKENS[0]])
    await site.page.get_by_role("button", name="Stop").click()
    await stream.client_left()
