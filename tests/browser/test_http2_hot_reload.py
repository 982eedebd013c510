"""Hot reload through `serve --tls dev`: on the connection of the streams."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from tests.browser.drivers.browser import Browser, Tab
from tests.e2e.backend import GUARD_SECONDS, Backend
from tests.e2e.programs import Program
from tests.e2e.sites import Pair, start, unbuffered
from tests.e2e.test_hot_reload import HEADING, NEW_HEADING
from tests.support.ports import ClosedPort

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

STREAMS = 8  # more than the connections that a browser opens by HTTP/1.1
LISTEN = """
window.marker = "same page";
window.told = document.body.appendChild(document.createElement("ol"));
window.sources = given[0].map((name) => {
  const item = told.appendChild(document.createElement("li"));
  item.dataset.testid = name;
  const source = new EventSource("/sse/events");
  source.onmessage = ({ data }) => { item.textContent = data; };
  return source;
});"""
HEADING_IS = "document.querySelector('h1').textContent === {text}"
ECHOES = "document.querySelectorAll('[data-testid=echo]').length === {count}"
METRICS = "return await (await fetch('/_unbuffered/metrics')).text()"
SOCKET_OF_THE_DEV_SERVER = re.compile(
    r'^unbuffered_exchanges_open\{route="/",kind="websocket",worker="0"\} 1$',
    re.MULTILINE,
)


@dataclass
class Front:
    """Unbuffered with TLS, in front of a dev server."""

    pair: Pair
    url: str
    unbuffered: Program

    def edit(self, old: str, new: str) -> None:
        """Change the heading in its file, in one step."""
        path = self.pair.folder / "src/App.vue"
        text = path.read_text("utf-8")
        assert old in text
        saved = self.pair.folder.with_suffix(".saved")
        saved.write_text(text.replace(old, new), "utf-8")
        saved.replace(path)


@pytest.fixture(scope="module", params=["vite", "webpack"])
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    place = tmp_path_factory.mktemp("sites")
    with start(request.param, place) as pair, ClosedPort() as port:
        services = dict.fromkeys(("AI", "LESSONS", "EVENTS"), pair.backend.url)
        variables = {
            **services,
            "DEV_SERVER": pair.behind,
            "XDG_STATE_HOME": str(place / "state"),
        }
        options = ("--tls", "dev", "--log-format", "json")
        with unbuffered(pair.folder, port.port, variables, *options) as program:
            yield Front(pair, f"https://localhost:{port.port}/", program)


@pytest.fixture
async def backend(front: Front) -> AsyncIterator[Backend]:
    backend = Backend(front.pair.backend.port)
    await backend.start()
    yield backend
    await backend.kill()


async def is_hot(tab: Tab) -> None:
    """Wait until the dev server has the page's socket: it tells it of edits then."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not SOCKET_OF_THE_DEV_SERVER.search(await tab.run(METRICS)):
            pass


async def test_an_edit_is_shown_beside_the_streams_and_sockets_of_the_page(
    front: Front, backend: Backend, any_browser: Browser
) -> None:
    tab = await any_browser.tab()
    await tab.open(front.url)
    await tab.until(HEADING_IS.format(text=json.dumps(HEADING)))
    names = [f"stream-{number}" for number in range(STREAMS)]
    # They are told apart by nothing: each event goes to all.
    await tab.run(LISTEN, names)
    streams = [await backend.requested("/events") for _ in names]
    await tab.click("say")
    await tab.until(ECHOES.format(count=1))
    await is_hot(tab)
    for old, new in ((HEADING, NEW_HEADING), (NEW_HEADING, HEADING)):
        front.edit(old, new)
        await tab.until(HEADING_IS.format(text=json.dumps(new)))
        for stream in streams:
            stream.send_event(new)
        for name in names:
            await tab.shows(name, new)
    assert await tab.run("return window.marker") == "same page"
    await tab.click("say")
    await tab.until(ECHOES.format(count=2))
    await tab.close()
    for stream in streams:
        await stream.client_left()
    version = "2.0" if any_browser.extended_connect else "1.1"
    ended = '"route": "/{}".*"version": "HTTP/{}".*"status": {}'
    for route, number in (("echo", version), ("sse", "2.0")):
        wanted = ended.format(route, re.escape(number), "")
        await asyncio.to_thread(front.unbuffered.wait_for, wanted)
