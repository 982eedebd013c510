"""Firefox, by WebDriver BiDi: it speaks that itself, without a driver."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.drivers.browser import Browser, Tab
from tests.e2e.programs import START_SECONDS, Program

BROWSERS = ("firefox-esr", "firefox")
# A fresh profile that opens no page of its own and asks nobody else for anything.
PREFERENCES: dict[str, bool | str] = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "en-US",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Session:
    """Commands and their answers. Events are not asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        async for message in self.socket:
            told = message.json()
            if answer := self.answers.pop(told.get("id"), None):
                answer.set_result(told)

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self.numbers)
        answer = asyncio.get_running_loop().create_future()
        self.answers[number] = answer
        await self.socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(START_SECONDS):
            told = await answer
        assert told["type"] == "success", told
        result: dict[str, Any] = told["result"]
        return result


class FirefoxTab(Tab):
    def __init__(self, session: Session, context: str) -> None:
        self.session = session
        self.context = context

    async def open(self, url: str) -> None:
        await self.session.command(
            "browsingContext.navigate", context=self.context, url=url, wait="complete"
        )

    async def evaluate(self, expression: str) -> str:
        told = await self.session.command(
            "script.evaluate",
            expression=expression,
            target={"context": self.context},
            awaitPromise=True,
        )
        text: str = told["result"]["value"]
        return text

    async def close(self) -> None:
        await self.session.command("browsingContext.close", context=self.context)

    async def screenshot(self) -> bytes:
        told = await self.session.command(
            "browsingContext.captureScreenshot", context=self.context
        )
        return base64.b64decode(told["data"])


class Firefox(Browser):
    name = "firefox"

    def __init__(self, session: Session) -> None:
        self.session = session

    async def tab(self) -> Tab:
        made = await self.session.command("browsingContext.create", type="tab")
        return FirefoxTab(self.session, made["context"])


def find_firefox() -> str:
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Firefox: none of {', '.join(BROWSERS)} is on the PATH")


def profile(folder: Path) -> Path:
    lines = [
        f'user_pref("{name}", {written(value)});\n'
        for name, value in PREFERENCES.items()
    ]
    (folder / "user.js").write_text("".join(lines), "utf-8")
    return folder


def written(value: bool | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[Browser]:
    home = profile(folder)
    command: list[str | Path] = [
        *(find_firefox(), "--headless", "--no-remote"),
        *("--profile", home, "--remote-debugging-port", "0"),
    ]
    with Program(command, home, {"HOME": str(home)}) as program:
        line = await asyncio.to_thread(program.wait_for, "BiDi listening on")
        match = re.search(r"ws://\S+", line)
        assert match is not None
        url = f"{match[0]}/session"
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(url, max_msg_size=0) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            session = Session(socket)
            reading = tasks.create_task(session.read())
            wanted = {"alwaysMatch": {"acceptInsecureCerts": True}}
            await session.command("session.new", capabilities=wanted)
            yield Firefox(session)
            await session.command("browser.close")
            reading.cancel()
