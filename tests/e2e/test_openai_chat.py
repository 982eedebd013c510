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

each_way = pytest.mark.parametrize(
    "way", ["openai-chat-behind", "openai-chat-before"], indirect=True
)

FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def delta(token: str) -> str:
    """A chunk of the answer."""
    return json.dumps({"choices": [{"delta": {"content": token}}]})


@each_way
async def test_each_token_is_shown_before_the_next_and_stop_reaches_the_provider(
    site: Site,
) -> None:
    await site.page.get_by_role("button", name="Send").click()
    stream = await site.backend.requested("/v1/chat/completions")
    said = ""
    for token in TOKENS:
        stream.send_event(delta(token))
        said += token
        await expect(site.page.get_by_test_id("assistant")).to_have_text(said)
    await site.page.get_by_role("button", name="Stop").click()
    await stream.client_left()


@each_way
async def test_an_answer_goes_on_after_a_reload(site: Site) -> None:
    """The page asks again with the same key; the provider is asked once."""
    await site.page.get_by_role("button", name="Send").click()
    stream = await site.backend.requested("/v1/chat/completions")
    shown = site.page.get_by_test_id("assistant")
    stream.send_event(delta(TOKENS[0]))
    await expect(shown).to_have_text([TOKENS[0]])
    await site.page.reload()
    await expect(shown).to_have_text([TOKENS[0]])
    for token in TOKENS[1:]:
        stream.send_event(delta(token))
    await expect(shown).to_have_text(["".join(TOKENS)])
    stream.send_event(json.dumps(FINISH))
    stream.send_event("[DONE]")
    stream.finish()
    # It is complete, and the next answer is another.
    await expect(site.page.get_by_test_id("user")).to_have_count(1)
    await site.page.get_by_role("button", name="Send").click()
    again = await site.backend.requested("/v1/chat/completions")
    assert len(json.loads(again.body)["messages"]) == 3
    again.send_event(delta("again"))
    await expect(shown).to_have_text(["".join(TOKENS), "again"])
