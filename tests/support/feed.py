"""The inspector's page with feeds that a test writes: for what is too much to relay.

Serves the page's own files, the rows it is given, and the pieces of one exchange
or more, in the form in which `proxy.observe` has them.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import proxy
from tests.browser.controlled import GUARD_SECONDS, files_of
from tests.browser.drivers.chromium import ARGUMENTS, find_chromium
from upstream_demo.small_file import small_file

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PAGE = Path(proxy.__file__).parent / "inspector" / "page"
PREFIX = "/_unbuffered"
BATCH = 500  # pieces of one event
Row = dict[str, Any]
Message = tuple[str, object]


def row(number: int, **changes: object) -> Row:
    """A row of the feed: an event stream that has been open for a while."""
    return {
        "id": f"1-{number}",
        "worker": 1,
        "client": "127.0.0.1",
        "route": "/sse",
        "upstream": "http://127.0.0.1:8002",
        "method": "GET",
        "target": f"/sse/events?n={number}",
        "status": 200,
        "phase": "relaying",
        "kind": "event-stream",
        "started": 1_800_000_000 + number,
        "age": 12.5,
        "first_byte": 0.021,
        "duration": None,
        "pieces": 12,
        "bytes": 480,
        "bytes_received": 0,
        "longest_gap": 1.002,
        "longest_hold": 0.0002,
        "holding": None,
        "ending": None,
        "error": None,
    } | changes


def piece(
    n: int, data: bytes, arrived: float, *, held: float = 0.0002, side: str = "response"
) -> Row:
    """A piece as the feed of its exchange tells of it."""
    return {
        "n": n,
        "side": side,
        "arrived": arrived,
        "sent": arrived + held,
        "bytes": len(data),
        "base64": base64.b64encode(data).decode(),
    }


def message(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


class FeedServer:
    """What the page asks for; a test sets `rows` and `pieces` before it does."""

    def __init__(self) -> None:
        self.port = 0
        self.rows: list[Row] = []
        self.warnings: list[Row] = []
        self.fields: dict[str, Mapping[str, object]] = {}  # by id
        self.pieces: dict[str, list[Row]] = {}
        self.dropped: dict[str, Row] = {}
        self.refusal = ""  # of the feed
        self.connections = 0  # to either feed, that are open
        self._listeners: list[tuple[str, asyncio.Queue[Message]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}/"

    def tell(self, name: str, data: object, id: str = "") -> None:
        """Send an event to all who read the feed, or the feed of an exchange."""
        for wanted, queue in self._listeners:
            if wanted == id:
                queue.put_nowait((name, data))

    def change(self, *rows: Row) -> None:
        """Let rows take the place of those with their ids."""
        known = {each["id"]: each for each in self.rows}
        self.rows = list((known | {each["id"]: each for each in rows}).values())
        self.tell("exchanges", self.sorted(rows))

    def sorted(self, rows: Iterable[Row]) -> Row:
        told: Row = {"now": 1_800_000_100, "open": [], "ended": [], "gone": []}
        for each in rows:
            told["ended" if each["phase"] == "over" else "open"].append(each)
        return told

    async def index(self, request: web.Request) -> web.Response:
        return await small_file(PAGE / "index.html")

    async def feed(self, request: web.Request) -> web.StreamResponse:
        if self.refusal:
            error = {"error": {"status": 503, "message": self.refusal}}
            return web.json_response(error, status=503)
        state = {
            "version": "1.2.3",
            "started": 1_799_990_000,
            "workers": 1,
            "bodies": True,
            "loop": "uvloop",
            "routes": [{"prefix": "/sse", "target": "http://127.0.0.1:8002"}],
        }
        first = [
            ("state", state),
            ("exchanges", self.sorted(self.rows)),
            ("warnings", self.warnings),
        ]
        return await self._stream(request, "", first)

    async def exchange(self, request: web.Request) -> web.Response:
        found = self.find(request)
        id = found["id"]
        nothing: Row = {"received": [], "sent": []}
        fields = {"request": nothing, "response": nothing} | dict(
            self.fields.get(id, {})
        )
        return web.json_response(found | fields)

    async def of_request(self, request: web.Request) -> web.Response:
        """An exchange by the id of its request."""
        for each in self.rows:
            if each.get("request_id") == request.match_info["id"]:
                return web.json_response(each)
        raise web.HTTPNotFound

    async def exchange_feed(self, request: web.Request) -> web.StreamResponse:
        found = self.find(request)
        id = found["id"]
        pieces = self.pieces.get(id, [])
        first: list[Message] = []
        if id in self.dropped:
            first.append(("dropped", self.dropped[id]))
        for at in range(0, len(pieces), BATCH):
            first.append(("pieces", pieces[at : at + BATCH]))
        first.append(("row", found))
        if found["phase"] == "over":
            first.append(("end", {}))
        return await self._stream(request, id, first)

    def find(self, request: web.Request) -> Row:
        for each in self.rows:
            if each["id"] == request.match_info["id"]:
                return each
        raise web.HTTPNotFound

    async def _stream(
        self, request: web.Request, id: str, first: Iterable[Message]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[Message] = asyncio.Queue()
        listener = (id, queue)
        self._listeners.append(listener)
        self.connections += 1
        try:
            for name, data in first:
                await response.write(message(name, data))
            while True:
                name, data = await queue.get()
                await response.write(message(name, data))
        finally:
            self.connections -= 1
            self._listeners.remove(listener)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{PREFIX}/", self.index)
        app.router.add_get(f"{PREFIX}/feed", self.feed)
        app.router.add_get(f"{PREFIX}/exchanges/{{id}}", self.exchange)
        app.router.add_get(f"{PREFIX}/exchanges/{{id}}/feed", self.exchange_feed)
        app.router.add_get(f"{PREFIX}/requests/{{id}}", self.of_request)
        app.router.add_get(f"{PREFIX}/page/{{name:.+}}", files_of(PAGE))
        return app


@asynccontextmanager
async def start_feed() -> AsyncIterator[FeedServer]:
    """The server on a free port."""
    server = FeedServer()
    runner = web.AppRunner(
        server.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a module; skips them where there is none."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    playwright.expect.set_options(timeout=GUARD_SECONDS * 1000)
    path = find_chromium()
    async with playwright.async_playwright() as started:
        launched: Browser = await started.chromium.launch(
            executable_path=path, args=ARGUMENTS
        )
        yield launched
        await launched.close()


def complaints_of(page: Page) -> list[str]:
    """What the page complains of from now on: errors, and what its policy forbids."""
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


@asynccontextmanager
async def modules_page() -> AsyncIterator[Page]:
    """A page of the inspector's origin, which its modules can be imported into."""
    async with start_feed() as server, browser() as started:
        page = await started.new_page()
        await page.goto(f"{server.url}page/web/icon.svg")
        yield page


async def run(page: Page, module: str, body: str, argument: object = None) -> Any:
    """`body` of a function of `m`, a module, and `given`, the argument."""
    return await page.evaluate(
        f"""async (given) => {{
            const m = await import("{PREFIX}/page/{module}");
            {body}
        }}""",
        argument,
    )
