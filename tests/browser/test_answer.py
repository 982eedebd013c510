"""The AI answer on the page: token by token, stopped, refused, broken off."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import web

from tests.browser.conftest import Demo

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

pytestmark = pytest.mark.browser


def chunk(content: str) -> bytes:
    line = json.dumps(
        {"choices": [{"delta": {"content": content}}]}, ensure_ascii=False
    )
    return f"{line}\n".encode()


async def test_each_token_is_shown_before_the_next_is_sent(demo: Demo) -> None:
    page = demo.page
    await page.get_by_test_id("prompt").fill("<b>谁?</b>")
    await page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    assert json.loads(stream.body) == {"prompt": "<b>谁?</b>"}
    answer = page.get_by_test_id("answer")
    told = ""
    for token in ["我", "是 ", "<i>", "🌊", "\n", "done"]:
        told += token
        stream.send(chunk(token))
        await expect(answer).to_have_text(told, use_inner_text=True)
    await expect(page.get_by_test_id("tokens")).to_have_text("6")
    stream.finish()
    outcome = page.get_by_test_id("answer-outcome")
    await expect(outcome).to_contain_text("Complete")
    await expect(page.get_by_test_id("first-token")).to_have_text(
        re.compile(r"\d\.\d{3} s")
    )
    assert await answer.locator("*").count() == 0  # text stays text


async def test_a_piece_may_end_inside_a_line_and_inside_a_character(
    demo: Demo,
) -> None:
    await demo.page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    answer = demo.page.get_by_test_id("answer")
    first, second = chunk("你"), chunk("好")
    inside = second.index("好".encode()) + 1
    stream.send(first + second[:inside])
    await expect(answer).to_have_text("你")
    stream.send(second[inside:])
    await expect(answer).to_have_text("你好")


async def test_the_stop_button_closes_the_request_of_the_upstream(demo: Demo) -> None:
    page = demo.page
    await page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.send(chunk("one"))
    await expect(page.get_by_test_id("answer")).to_have_text("one")
    await page.get_by_test_id("stop").click()
    await stream.client_left()
    outcome = page.get_by_test_id("answer-outcome")
    await expect(outcome).to_have_text(
        re.compile(
            r"Stopped\. The AI service noticed within \d+ ms: "
            r"1 client left early in all, 0 requests still open\."
        )
    )
    await expect(page.get_by_test_id("stop")).to_be_disabled()
    await expect(page.get_by_test_id("ask")).to_be_focused()


async def test_a_refusal_of_the_ai_service_is_shown_in_its_own_words(
    demo: Demo,
) -> None:
    demo.upstream.refusal = web.json_response(
        {"error": {"message": "no such model: <qwen>"}}, status=404
    )
    await demo.page.get_by_test_id("ask").click()
    await expect(demo.page.get_by_test_id("answer-outcome")).to_have_text(
        "The AI service reports: no such model: <qwen>"
    )


async def test_an_error_line_in_mid_answer_is_shown_and_keeps_what_came(
    demo: Demo,
) -> None:
    await demo.page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.send(chunk("one"))
    await expect(demo.page.get_by_test_id("answer")).to_have_text("one")
    stream.send(b'{"error": {"message": "out of tokens"}}\n')
    stream.finish()
    await expect(demo.page.get_by_test_id("answer-outcome")).to_have_text(
        "The AI service reports: out of tokens"
    )
    await expect(demo.page.get_by_test_id("answer")).to_have_text("one")


async def test_a_line_that_is_not_json_is_named(demo: Demo) -> None:
    await demo.page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.send(chunk("one") + b"<html>\n")
    await expect(demo.page.get_by_test_id("answer-outcome")).to_have_text(
        "Connection lost: SyntaxError: not a line of JSON: <html>"
    )
    await expect(demo.page.get_by_test_id("answer")).to_have_text("one")


async def test_a_last_line_needs_no_line_end(demo: Demo) -> None:
    await demo.page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.send(chunk("one") + chunk(" 好").rstrip())
    stream.finish()
    await expect(demo.page.get_by_test_id("answer-outcome")).to_contain_text("Complete")
    await expect(demo.page.get_by_test_id("answer")).to_have_text("one 好")


async def test_an_answer_that_breaks_off_is_not_called_complete(demo: Demo) -> None:
    await demo.page.get_by_test_id("ask").click()
    stream = await demo.upstream.requested("/open")
    stream.send(chunk("one"))
    await expect(demo.page.get_by_test_id("answer")).to_have_text("one")
    stream.break_off()
    await expect(demo.page.get_by_test_id("answer-outcome")).to_have_text(
        "Connection lost: TypeError: network error"
    )
