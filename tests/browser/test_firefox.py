"""Firefox, which tells a page of a response once a byte of its body is here.

It needs no driver: its page reports to the upstream, by requests through the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.browser.controlled import serve
from tests.browser.drivers.firefox import find_firefox, profile
from tests.conftest import StartProxy
from tests.e2e.programs import Program

pytestmark = pytest.mark.browser

GUARD_SECONDS = 60  # for the start of a browser on a busy machine, never a wait
PAGE = """<!doctype html><title>Heartbeats</title><script>
const report = (text) => fetch(`/report?${text}`);
const told = (name) => new Promise((resolve) => {
  const source = new EventSource(`/${name}/events`);
  source.onopen = () => resolve(report(`${name}-open`));
}).then(() => fetch(`/${name}/events`)).then(() => report(`${name}-settled`));
told("plain");
told("beats").then(async () => {
  for (let count = 0; count < 20; count += 1) await report("again");
  report("done");
});
</script>"""


class Site:
    """A page that reports, and streams that are silent until the test says so."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.reported = asyncio.Condition()
        self.sends = asyncio.Event()

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def report(self, request: web.Request) -> web.Response:
        async with self.reported:
            self.reports.append(request.query_string)
            self.reported.notify_all()
        return web.Response()

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self.sends.wait()
        await response.write(b"data: first\n\n")
        await asyncio.Event().wait()
        return response

    async def has_reported(self, text: str) -> None:
        async with asyncio.timeout(GUARD_SECONDS), self.reported:
            await self.reported.wait_for(lambda: text in self.reports)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self.page)
        app.router.add_get("/report", self.report)
        app.router.add_get("/plain/events", self.events)
        app.router.add_get("/beats/events", self.events)
        return app


@pytest.fixture
async def site() -> AsyncIterator[tuple[Site, str]]:
    site = Site()
    async with serve(site.application()) as port:
        yield site, f"http://127.0.0.1:{port}"


async def test_a_stream_opens_before_its_first_event_where_there_are_heartbeats(
    proxy: StartProxy, site: tuple[Site, str], tmp_path: Path
) -> None:
    """`onopen` of an EventSource, and then the promise of fetch()."""
    reporting, target = site
    beats = {"target": target, "heartbeat_seconds": 60}
    running = await proxy({"/": {"target": target}, "/beats": beats})
    home = profile(tmp_path)
    command: list[str | Path] = [
        find_firefox(),
        "--headless",
        "--no-remote",
        "--profile",
        home,
        running.url,
    ]
    with Program(command, home, {"HOME": str(home)}):
        await reporting.has_reported("beats-open")
        await reporting.has_reported("beats-settled")
        # Many requests and their responses later the other stream is not open.
        await reporting.has_reported("done")
        assert "plain-open" not in reporting.reports
        reporting.sends.set()
        await reporting.has_reported("plain-open")
        await reporting.has_reported("plain-settled")
