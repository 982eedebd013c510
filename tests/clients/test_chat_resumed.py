"""The AI SDK's `useChat({ resume: true })`: the back end has no line for it.

The page is that of its documentation. What an `online` event does is up to the page:
the AI SDK itself comes back when its tab is shown again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.browser.drivers.chromium import ARGUMENTS, find_chromium
from tests.clients.answers import PARTS, TEXT, ai_sdk
from tests.clients.programs import bundle, modules
from tests.clients.provider import Provider, Question
from tests.clients.scissors import Scissors
from tests.conftest import StartProxy
from tests.support.raw import chunk

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

ROUTE = {
    "bind": [],
    "key": "body:id",
    "path": "/api/chat/{key}/stream",
    "stop": "/api/chat/{key}/stop",
}
HTML = '<div id="root"></div><script src="/chat.js"></script>'
ANSWER = ai_sdk()
BEFORE, AFTER = ANSWER.before_cut, ANSWER.pieces[ANSWER.cut :]
GUARD_SECONDS = 20


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page's script."""
    modules()
    path = tmp_path_factory.mktemp("chat") / "chat.js"
    return bundle(path, "chat_page.mjs").read_text("utf-8")


@pytest.fixture
async def context(script: str) -> AsyncIterator[BrowserContext]:
    """A browser, which has the page's files from the test."""
    expect.set_options(timeout=GUARD_SECONDS * 1000)
    async with async_playwright() as started:
        browser = await started.chromium.launch(
            executable_path=find_chromium(), args=ARGUMENTS
        )
        context = await browser.new_context()
        await context.route(
            "**/page", lambda each: each.fulfill(body=HTML, content_type="text/html")
        )
        await context.route(
            "**/chat.js",
            lambda each: each.fulfill(body=script, content_type="text/javascript"),
        )
        yield context
        await browser.close()


@dataclass
class Chat:
    """A page with half an answer, behind a proxy whose connections can be cut."""

    context: BrowserContext
    page: Page
    provider: Provider
    question: Question
    scissors: Scissors

    async def said(self, text: str, page: Page | None = None) -> None:
        """Wait until the page shows this, and only once."""
        await expect((page or self.page).get_by_test_id("said")).to_have_text([text])

    async def finish(self) -> None:
        """Send the rest of the answer."""
        for piece in AFTER:
            await self.question.peer.send(chunk(piece))
        await self.question.finish()

    async def is_ready(self) -> None:
        await expect(self.page.get_by_test_id("status")).to_have_text("ready")


@pytest.fixture
async def chat(
    context: BrowserContext, provider: Provider, proxy: StartProxy
) -> AsyncIterator[Chat]:
    running = await proxy({"/": {"target": provider.url, "resume": ROUTE}})
    async with Scissors(running.port, []) as scissors:
        page = await context.new_page()
        await page.goto(f"{scissors.url}/page")
        await page.get_by_role("button", name="Send").click()
        question = await provider.question()
        await question.begin(ANSWER, BEFORE)
        chat = Chat(context, page, provider, question, scissors)
        await chat.said(PARTS[0])
        yield chat
        await context.close()


async def test_an_answer_goes_on_after_a_reload(chat: Chat) -> None:
    await chat.page.reload()
    await chat.said(PARTS[0])
    await chat.finish()
    await chat.said(TEXT)
    await chat.is_ready()
    # It is over, and read: the page finds nothing that runs.
    await chat.page.reload()
    await chat.is_ready()
    await expect(chat.page.get_by_test_id("said")).to_have_count(0)
    assert chat.provider.questions.empty()


async def test_an_answer_that_ended_without_its_page_is_there_after_a_reload(
    chat: Chat,
) -> None:
    await chat.page.goto("about:blank")
    await chat.finish()
    await chat.page.goto(f"{chat.scissors.url}/page")
    await chat.said(TEXT)
    await chat.is_ready()
    assert chat.provider.questions.empty()


async def test_an_answer_goes_on_when_the_page_is_online_again(chat: Chat) -> None:
    await chat.context.set_offline(True)
    chat.scissors.cut_all()
    await expect(chat.page.get_by_test_id("status")).to_have_text("error")
    await chat.question.peer.send(chunk(AFTER[0]))
    await chat.context.set_offline(False)
    await chat.said("".join(PARTS[:2]))
    for piece in AFTER[1:]:
        await chat.question.peer.send(chunk(piece))
    await chat.question.finish()
    await chat.said(TEXT)
    await chat.is_ready()
    assert chat.provider.questions.empty()


async def test_a_second_tab_has_the_whole_answer(chat: Chat) -> None:
    second = await chat.context.new_page()
    await second.goto(f"{chat.scissors.url}/page")
    await chat.said(PARTS[0], second)
    await chat.finish()
    await chat.said(TEXT)
    await chat.said(TEXT, second)
    assert chat.provider.questions.empty()


async def test_stop_ends_the_answer_and_reaches_the_back_end(chat: Chat) -> None:
    await chat.page.reload()
    await chat.said(PARTS[0])
    await chat.page.get_by_role("button", name="Stop").click()
    assert await chat.question.peer.read_to_close() == (b"", "fin")
    stop = await chat.provider.question()
    assert stop.method == "POST"
    await stop.peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    stop.answered.set()
    await chat.page.reload()
    await chat.is_ready()
    await expect(chat.page.get_by_test_id("said")).to_have_count(0)
