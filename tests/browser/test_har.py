"""HARs that a browser makes itself, and ours in the importer of a browser.

The network panel of Chromium is a page like any other: it is opened beside the page
that it inspects, and asked for its HAR by its own modules.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from proxy.origin.response_text import event_bytes
from proxy.origin.stream_origin import StreamOrigin
from proxy.record.format import ExchangeRecord, encode_record
from proxy.record.har_reader import HarFile
from proxy.record.har_writer import write_har
from proxy.record.record_reader import read_record
from proxy.record.websocket_messages import BINARY, TEXT, MessageReader
from tests.browser.controlled import GUARD_SECONDS, serve
from tests.browser.drivers.chromium import ARGUMENTS, find_chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.browser

TOOLS_SECONDS = 60.0  # that the developer tools take to begin, at most
RECORDS = Path(__file__).parent.parent / "records"
# Each event is sent once the page has the one before it.
PAGE = """<!doctype html><link rel="icon" href="data:,"><script>
const next = () => fetch("/next", {method: "POST"});
async function all() {
    const source = new EventSource("/sse");
    await new Promise((seen) => {
        source.onmessage = next;
        source.addEventListener("tick", seen);
    });
    source.close();
    const socket = new WebSocket(`ws://${location.host}/ws`);
    await new Promise((closed) => {
        let count = 0;
        socket.onopen = () => {
            socket.send("hello");
            socket.send(new Uint8Array([1, 2, 255]));
        };
        socket.onmessage = () => (count += 1) === 2 && socket.close();
        socket.onclose = closed;
    });
    await (await fetch("/chat", {
        method: "POST",
        headers: {"Content-Type": "application/json", "Authorization": "Bearer abcdef"},
        body: '{"stream": true}',
    })).text();
    await fetch("/broken").then((response) => response.text()).catch(() => {});
    await (await fetch("/coded")).text();
    await (await fetch("/bytes")).arrayBuffer();
    return "done";
}
</script>"""


async def echo(request: web.Request) -> web.WebSocketResponse:
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    async for message in answer:
        if message.type is WSMsgType.TEXT:
            await answer.send_str(f"echo {message.data}")
        else:
            await answer.send_bytes(message.data)
    return answer


@pytest.fixture
async def site(origin: StreamOrigin) -> AsyncIterator[StreamOrigin]:
    """The page, and what it asks for besides `/sse`."""
    app = web.Application()
    app.router.add_get("/ws", echo)
    async with serve(app) as port:
        page = PAGE.replace("${location.host}", f"127.0.0.1:{port}")
        origin.answer("/", [page], content_type="text/html")
        origin.answer("/chat", [event_bytes({"n": n}) for n in range(3)])
        origin.answer("/broken", ["data: 1\n\nda"], end="fin")
        origin.answer(
            "/coded",
            [gzip.compress(b'{"a": 1}')],
            fields=[("Content-Encoding", "gzip")],
            content_type="application/json",
            framing="length",
        )
        origin.answer("/bytes", [bytes(range(256))], content_type="", framing="length")
        yield origin


async def open_page(page: Page, site: StreamOrigin) -> None:
    """Have it ask for everything; it gets an event once it has the one before it."""
    await page.goto(site.url)
    done = asyncio.ensure_future(page.evaluate("all()"))
    events = await site.stream("/sse")
    await events.send_event("你好", id=1)
    await (await site.request("/next")).respond(204)
    await events.send_event("a\nb", event="tick")
    assert await done == "done"


@asynccontextmanager
async def chromium(*more: str) -> AsyncIterator[Browser]:
    """A browser, with more arguments."""
    playwright = pytest.importorskip(
        "playwright.async_api", reason="the playwright package is not installed"
    )
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(
            executable_path=find_chromium(), args=[*ARGUMENTS, *more]
        )
        yield browser
        await browser.close()


@dataclass
class Panel:
    """The developer tools of a page, which stand in a page of their own."""

    page: Page
    tools: Page

    async def har(self) -> bytes:
        """What "Save all as HAR with content" writes."""
        text: str = await self.tools.evaluate(
            """async () => {
                const {Writer} = await import("./models/har/har.js");
                const {NetworkLog} = await import("./models/logs/logs.js");
                const {Progress} = await import("./core/common/common.js");
                const progress = {
                    canceled: false, title: "", totalWork: 0, worked: 0, done: false,
                    isCanceled: () => false,
                    createSubProgress: () => progress,
                };
                return Writer.Writer.harStringForRequests(
                    NetworkLog.NetworkLog.instance().requests(), {sanitize: false},
                    new Progress.CompositeProgress(progress));
            }"""
        )
        return text.encode()

    async def imported(self, har: bytes) -> list[dict[str, Any]]:
        """What "Import HAR file" makes of one."""
        made: list[dict[str, Any]] = await self.tools.evaluate(
            """async (text) => {
                const {HARFormat, Importer} = await import("./models/har/har.js");
                const {log} = new HARFormat.HARRoot(JSON.parse(text));
                const requests = Importer.Importer.requestsFromHARLog(log);
                return Promise.all(requests.map(async (request) => ({
                    url: request.url(),
                    method: request.requestMethod,
                    status: request.statusCode,
                    type: request.resourceType().name(),
                    frames: request.frames().map(({text}) => text),
                    events: request.eventSourceMessages().map(({data}) => data),
                    seconds: request.endTime - request.startTime,
                    form: await request.requestFormData(),
                })));
            }""",
            har.decode(),
        )
        return made


@pytest.fixture
async def panel(dead_port: int) -> AsyncIterator[Panel]:
    """A page, and its network panel: skipped where Chromium has other modules."""
    address = f"127.0.0.1:{dead_port}"
    arguments = (f"--remote-debugging-port={dead_port}", "--remote-allow-origins=*")
    async with chromium(*arguments) as browser:
        context = await browser.new_context()
        page, tools = await context.new_page(), await context.new_page()
        page.set_default_timeout(GUARD_SECONDS * 1000)
        await page.goto("about:blank#inspected")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}/json/list") as answer,
        ):
            [id] = [
                each["id"]
                for each in await answer.json()
                if each["url"].endswith("#inspected")
            ]
        await tools.goto(
            f"http://{address}/devtools/inspector.html"
            f"?ws={address}/devtools/page/{id}&panel=network"
        )
        # Its network panel hears of requests once it has said so to the browser.
        enabled = """async () => {
            const {NetworkManager, TargetManager} = await import("./core/sdk/sdk.js");
            const {NetworkLog} = await import("./models/logs/logs.js");
            const log = NetworkLog.NetworkLog.instance();
            const manager = TargetManager.TargetManager.instance();
            const model = await new Promise((modelAdded) => manager.observeModels(
                NetworkManager.NetworkManager, {modelAdded, modelRemoved() {}}));
            await model.target().networkAgent().invoke_enable({});
            return log.requests().length;
        }"""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(TOOLS_SECONDS):
                await tools.evaluate(enabled)
        except Error as fault:
            pytest.skip(f"the developer tools of this Chromium are others: {fault}")
        yield Panel(page, tools)


def by_path(har: bytes) -> dict[str, ExchangeRecord]:
    """The records of a HAR by what was asked for."""
    file = HarFile(har, "x.har")
    found = {}
    for number in range(1, len(file.entries) + 1):
        record = file.record(number)
        if record is not None:
            found[record.request.target] = record
            assert read_record(encode_record(record), "x") == record
    return found


def body(record: ExchangeRecord) -> bytes:
    return b"".join(piece.data for piece in record.response_pieces)


async def test_har_of_chromium_becomes_records(
    panel: Panel, site: StreamOrigin
) -> None:
    await open_page(panel.page, site)
    har = await panel.har()
    found = by_path(har)
    events = found["/sse"]
    assert [piece.data for piece in events.response_pieces] == [
        "id: 1\ndata: 你好\n\n".encode(),
        b"event: tick\ndata: a\ndata: b\n\n",
    ]
    assert events.end is not None
    assert events.end.end == "open"
    chat = found["/chat"]
    assert body(chat) == b"".join(b'data: {"n": %d}\n\n' % n for n in range(3))
    assert chat.request_body == b'{"stream": true}'
    assert chat.request.get("authorization") == "Bearer ****"
    assert chat.end is not None
    assert chat.end.end == "complete"
    broken = found["/broken"]
    assert broken.end is not None
    assert broken.end.end == "fin"
    assert body(found["/coded"]) == b'{"a": 1}'
    assert "coding" in found["/coded"].unknown
    assert body(found["/bytes"]) == bytes(range(256))
    socket = found["/ws"]
    assert socket.is_websocket
    upstream = MessageReader()
    messages = list(upstream.read(body(socket)))
    assert messages == [(TEXT, b"echo hello"), (BINARY, b"\x01\x02\xff")]
    # And it imports what we make of them, with all that it has shown itself.
    made = await panel.imported(write_har(found.values()))
    shown = {each["url"].partition("://")[2].partition("/")[2]: each for each in made}
    assert shown["sse"]["events"] == ["你好", "a\nb"]
    assert shown["ws"]["frames"] == ["hello", "AQL/", "echo hello", "AQL/"]
    assert shown["ws"]["type"] == "websocket"
    assert shown["chat"]["form"] == '{"stream": true}'
    assert shown["chat"]["status"] == 200


async def test_network_panel_imports_a_har_of_ours(panel: Panel) -> None:
    records = by_path((RECORDS / "chromium.har").read_bytes())
    made = await panel.imported(write_har(records.values()))
    assert [each["status"] for each in made] == [200, 101, 200, 200, 200, 0]
    assert made[1]["frames"] == ["hello 你", "AQL/", "echo hello 你", "AQL/"]
    assert made[2]["events"] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    assert made[2]["seconds"] == pytest.approx(0.35)


async def test_har_of_playwright_becomes_records(
    site: StreamOrigin, tmp_path: Path
) -> None:
    path = tmp_path / "page.har"
    async with chromium() as browser:
        context = await browser.new_context(record_har_path=path)
        page = await context.new_page()
        page.set_default_timeout(GUARD_SECONDS * 1000)
        await open_page(page, site)
        await context.close()
    assert json.loads(path.read_bytes())["log"]["creator"]["name"] == "Playwright"
    found = by_path(path.read_bytes())
    assert body(found["/chat"]).endswith(b'data: {"n": 2}\n\n')
    assert found["/chat"].unknown == ("times",)
    assert body(found["/bytes"]) == bytes(range(256))
    assert found["/coded"].head is not None
    assert found["/sse"].head is not None
