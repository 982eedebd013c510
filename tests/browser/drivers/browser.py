"""What a test asks of a browser and of its tabs, whichever browser it is."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any

GUARD_SECONDS = 30  # a held byte deadlocks the test; a browser paints meanwhile
# A function that is called with the arguments of `run`. Of all that a driver can hand
# over, each can hand over text.
CALL = """(async () => {{
  try {{
    const value = await (async (...given) => {{ {body} }})(...{arguments});
    return JSON.stringify({{ value: value ?? null }});
  }} catch (error) {{
    return JSON.stringify({{ error: String(error) }});
  }}
}})()"""
# It looks whenever the page changes: a hidden tab's timers are slow, its changes not.
UNTIL = """
const met = () => ({claim});
if (met()) return;
await new Promise((resolve) => {{
  const observer = new MutationObserver(() => {{
    if (!met()) return;
    observer.disconnect();
    resolve();
  }});
  const what = {{ subtree: true, childList: true, attributes: true }};
  observer.observe(document, {{ ...what, characterData: true }});
}});"""


class Tab(ABC):
    """A page in a browser. `testid` elements are found by their `data-testid`."""

    @abstractmethod
    async def open(self, url: str) -> None:
        """Go there, and wait until it has been loaded."""

    @abstractmethod
    async def evaluate(self, expression: str) -> str:
        """The text that a promise of the page comes to."""

    @abstractmethod
    async def close(self) -> None:
        """Close it as its user would."""

    @abstractmethod
    async def screenshot(self) -> bytes:
        """What it shows, as PNG."""

    async def run(self, body: str, *given: object) -> Any:
        """What the body of an async function returns; `given` are its arguments."""
        call = CALL.format(body=body, arguments=json.dumps(given))
        async with asyncio.timeout(GUARD_SECONDS):
            told = json.loads(await self.evaluate(call))
        assert "error" not in told, told["error"]
        return told["value"]

    async def until(self, claim: str) -> None:
        """Wait until an expression is true of the page."""
        try:
            await self.run(UNTIL.format(claim=claim))
        except TimeoutError:
            text = await self.run("return document.body.innerText")
            raise AssertionError(f"not so: {claim}; the page says:\n{text}") from None

    async def click(self, testid: str) -> None:
        await self.run(f"{element(testid)}.click()")

    async def shows(self, testid: str, text: str) -> None:
        """Wait until the text of an element is this."""
        await self.until(f"{element(testid)}.textContent === {json.dumps(text)}")

    async def mentions(self, testid: str, text: str) -> None:
        """Wait until this is a part of the text of an element."""
        await self.until(f"{element(testid)}.textContent.includes({json.dumps(text)})")


class Browser(ABC):
    """One that was started for a test, with nothing kept from another."""

    name: str
    # WebSockets over HTTP/2: RFC 8441.
    extended_connect = True
    # Is a chunked body without its last chunk an error to fetch() and XMLHttpRequest?
    tells_cut_chunks = True
    # Does a page hear of a stream that was reset?
    tells_resets = True

    @abstractmethod
    async def tab(self) -> Tab:
        """A new one."""


def element(testid: str) -> str:
    return f"document.querySelector('[data-testid=\"{testid}\"]')"
