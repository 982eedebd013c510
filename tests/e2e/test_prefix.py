"""Cookies and redirects of a back end that does not know of its prefix."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.e2e.backend import GUARD_SECONDS
from tests.e2e.conftest import Site
from tests.e2e.test_streams import WAYS, every_way


@every_way
async def test_login_redirects_under_the_prefix_and_its_cookie_comes_back(
    site: Site,
) -> None:
    answer = await site.page.evaluate(
        """async () => {
            const response = await fetch("/server2/login");
            return { url: response.url, body: await response.json() };
        }"""
    )
    assert answer == {"url": f"{site.url}/server2/account", "body": {"session": "yy"}}
    [cookie] = [
        each for each in await site.page.context.cookies() if each["name"] == "session"
    ]
    assert cookie["path"] == "/server2"


# A rewrite of Next.js has the same Host as a request from before it, and what is
# told once is not told again: one of the two ways would see the line of the other.
@pytest.mark.parametrize(
    "way", [way for way in WAYS if way != "next-behind"], indirect=True
)
async def test_six_streams_of_one_page_are_warned_of(site: Site) -> None:
    """The seventh request waits in the browser, and nothing in the page says why."""
    await site.page.evaluate(
        "window.streams = [1, 2, 3, 4, 5, 6].map(() => new EventSource('/sse/events'))"
    )
    for _ in range(6):
        stream = await site.backend.requested("/events")
        stream.send_event("open")
    await site.page.evaluate("void fetch('/server2/account')")
    line = f"requests open to {urlsplit(site.url).netloc}:"
    await asyncio.to_thread(site.unbuffered.wait_for, line, GUARD_SECONDS)
