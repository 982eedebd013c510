"""WebKit: GTK's MiniBrowser by its WebDriver, on a screen that nobody sees."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.drivers.browser import Browser, Tab
from tests.e2e.programs import START_SECONDS, Program
from tests.support.ports import ClosedPort

LIBRARIES = Path("/usr/lib")
PLACES = ("*/webkit2gtk-4.1/MiniBrowser", "*/webkitgtk-6.0/MiniBrowser")
# An asynchronous script is handed a function for its answer, after its arguments.
SCRIPT = "({expression}).then(arguments[0]);"
# The driver says that a page has been loaded before its modules have been run.
LOADED = """
if (document.readyState === "complete") return;
await new Promise((resolve) => addEventListener("load", resolve));
"""
SCREEN = ["-screen", "0", "1280x1000x24", "-nolisten", "tcp"]


class Session:
    """Commands of one browser, one at a time."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self.client = client
        self.path = "/session"
        self.shown = ""  # the handle of the tab that commands go to
        self.first = ""  # that of the tab which is there from the start, if unused
        self.turn = asyncio.Lock()

    async def command(self, method: str, path: str, **params: object) -> Any:
        body = None if method in ("GET", "DELETE") else params
        async with (
            asyncio.timeout(START_SECONDS),
            self.client.request(method, self.path + path, json=body) as answer,
        ):
            told = (await answer.json())["value"]
        assert answer.status == 200, told
        return told

    async def start(self, binary: Path) -> None:
        options = {"binary": str(binary), "args": ["--automation"]}
        wanted = {"acceptInsecureCerts": True, "webkitgtk:browserOptions": options}
        made = await self.command("POST", "", capabilities={"alwaysMatch": wanted})
        self.path += f"/{made['sessionId']}"
        self.shown = self.first = await self.command("GET", "/window")


class WebKitTab(Tab):
    def __init__(self, session: Session, handle: str) -> None:
        self.session = session
        self.handle = handle

    async def command(self, method: str, path: str, **params: object) -> Any:
        session = self.session
        async with session.turn:
            if session.shown != self.handle:
                await session.command("POST", "/window", handle=self.handle)
                session.shown = self.handle
            return await session.command(method, path, **params)

    async def open(self, url: str) -> None:
        await self.command("POST", "/url", url=url)
        await self.run(LOADED)

    async def evaluate(self, expression: str) -> str:
        script = SCRIPT.format(expression=expression)
        told: str = await self.command("POST", "/execute/async", script=script, args=[])
        return told

    async def close(self) -> None:
        await self.command("DELETE", "/window")
        self.session.shown = ""

    async def screenshot(self) -> bytes:
        return base64.b64decode(await self.command("GET", "/screenshot"))


class WebKit(Browser):
    name = "webkit"
    extended_connect = False
    # libsoup 3.2 takes a lost connection for the end of a chunked body, and a stream
    # that was reset for one that is silent, or for one that has ended.
    tells_cut_chunks = False
    tells_resets = False

    def __init__(self, session: Session) -> None:
        self.session = session

    async def tab(self) -> Tab:
        session = self.session
        if handle := session.first:
            session.first = ""
            return WebKitTab(session, handle)
        async with session.turn:
            # A tab in the background of a window takes no screenshot.
            made = await session.command("POST", "/window/new", type="window")
        return WebKitTab(session, made["handle"])


def find_webkit() -> tuple[str, str, Path]:
    """Its driver, a screen, and the browser."""
    driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    if driver is None:
        pytest.skip("no WebKit: WebKitWebDriver is not on the PATH")
    if screen is None:
        pytest.skip("no screen for WebKit: Xvfb is not on the PATH")
    for place in PLACES:
        for path in sorted(LIBRARIES.glob(place)):
            return driver, screen, path
    pytest.skip(f"no WebKit: no MiniBrowser in {LIBRARIES}")


async def answering(client: aiohttp.ClientSession) -> None:
    """Wait until the driver listens, of which it says nothing."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                async with client.get("/status"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def webkit(folder: Path) -> AsyncIterator[Browser]:
    driver, screen, binary = find_webkit()
    with Program([screen, "-displayfd", "1", *SCREEN], folder, {}) as shown:
        number = await asyncio.to_thread(shown.wait_for, r"^\d+$")
        variables = {
            "DISPLAY": f":{number.strip()}",
            "HOME": str(folder),
            "LANGUAGE": "en_US",
            "NO_AT_BRIDGE": "1",
            "XDG_RUNTIME_DIR": str(folder),
        }
        with ClosedPort() as port:
            command = [driver, f"--port={port.port}"]
            async with aiohttp.ClientSession(port.url) as client:
                with Program(command, folder, variables):
                    await answering(client)
                    session = Session(client)
                    await session.start(binary)
                    yield WebKit(session)
                    await session.command("DELETE", "")
