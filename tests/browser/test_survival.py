"""Two answers on the page: one lives as long as its connection, the other longer."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import Demo
from tests.browser.controlled import Stream
from tests.browser.test_answer import chunk

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

pytestmark = pytest.mark.browser


async def asked(demo: Demo) -> tuple[Stream, Stream]:
    """Ask: the requests of both routes, the kept one last, with one token each."""
    await demo.page.get_by_test_id("survive").click()
    streams = [await demo.upstream.requested("/open") for _ in range(2)]
    plain, kept = sorted(streams, key=lambda each: "id" in json.loads(each.body))
    for stream in (plain, kept):
        stream.send(chunk("one"))
    for name in ("plain", "kept"):
        await shows(demo, name, "one")
    return plain, kept


async def shows(demo: Demo, name: str, text: str) -> None:
    await expect(demo.page.get_by_test_id(f"{name}-reply")).to_have_text(text)


async def says(demo: Demo, name: str, text: str) -> None:
    await expect(demo.page.get_by_test_id(f"{name}-outcome")).to_have_text(text)


async def test_both_answers_are_complete_if_nothing_happens(demo: Demo) -> None:
    for stream in await asked(demo):
        stream.send(chunk(" two"))
        stream.finish()
    for name in ("plain", "kept"):
        await shows(demo, name, "one two")
        await says(demo, name, "Complete: 2 tokens.")
    await expect(demo.page.get_by_test_id("cut")).to_be_disabled()


async def test_one_answer_survives_a_cut(demo: Demo) -> None:
    plain, kept = await asked(demo)
    await demo.page.get_by_test_id("cut").click()
    await plain.client_left()
    await says(demo, "plain", "Connection lost after 1 token. The rest is gone.")
    kept.send(chunk(" two"))
    await shows(demo, "kept", "one two")
    kept.send(chunk(" three"))
    kept.finish()
    await shows(demo, "kept", "one two three")
    await says(demo, "kept", "Complete: 3 tokens, in spite of 1 cut.")
    await shows(demo, "plain", "one")


async def test_one_answer_survives_a_reload(demo: Demo) -> None:
    plain, kept = await asked(demo)
    await demo.page.get_by_test_id("reload").click()
    await plain.client_left()
    await says(demo, "plain", "Gone with the page.")
    await shows(demo, "kept", "one")
    kept.send(chunk(" two"))
    await shows(demo, "kept", "one two")
    kept.finish()
    await says(demo, "kept", "Complete: 2 tokens.")
    # It is over: a page that is loaded now begins anew.
    await demo.page.reload()
    await shows(demo, "kept", "")
    await says(demo, "plain", "")


async def test_asking_again_ends_what_was_on_its_way(demo: Demo) -> None:
    await asked(demo)
    await demo.page.get_by_test_id("survive").click()
    streams = [await demo.upstream.requested("/open") for _ in range(2)]
    for stream in streams:
        stream.send(chunk("again"))
        stream.finish()
    for name in ("plain", "kept"):
        await shows(demo, name, "again")
        await says(demo, name, "Complete: 1 token.")
