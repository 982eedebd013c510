"""The inspector of a running proxy, in lock-step with an upstream of the test."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.record.record_reader import read_record
from tests.browser.controlled import PageUpstream
from tests.conftest import StartProxy
from tests.support.feed import complaints_of
from tests.support.raw import Upstream
from tests.support.running import RunningProxy

pytest.importorskip(
    "playwright.async_api", reason="the playwright package is not installed"
)
# After the skip, since without the package there is nothing to import.
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

pytestmark = pytest.mark.browser

SECRET = "sk-never-to-be-seen"


@pytest.fixture
async def page(browser_page: Page) -> AsyncIterator[Page]:
    """A page that must never complain."""
    complaints = complaints_of(browser_page)
    yield browser_page
    assert complaints == []


async def looked_at(page: Page, started: RunningProxy, open: int = 0) -> None:
    """Open the inspector, and wait until it has all there is."""
    await page.goto(f"{started.url}/_unbuffered/")
    await expect(page.get_by_test_id("feed")).to_have_text("live")
    await expect(page.get_by_test_id("facts")).to_contain_text(f"{open} open")


def cell(page: Page, name: str) -> Locator:
    return page.locator("#list .row:visible").get_by_test_id(name)


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join(
        [f"GET {path} HTTP/1.1", "Host: localhost", *fields, "\r\n"]
    ).encode()


async def test_stream_is_shown_event_by_event(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page
) -> None:
    started = await proxy({"/": {"target": page_upstream.url}})
    await looked_at(page, started)
    client = await started.client()
    await client.send(get("/events"))
    stream = await page_upstream.requested("/events")
    for count, text in enumerate(["你好", "8888"], start=1):
        stream.send_event(text)
        await expect(cell(page, "pieces")).to_have_text(str(count))
    await expect(cell(page, "target")).to_have_text("/eventsSSE")
    await expect(cell(page, "ending")).to_have_text("relaying")
    await cell(page, "target").click()
    shown = page.get_by_test_id("event-shown")
    await expect(shown).to_have_text("2 events")
    listed = page.get_by_test_id("event-list").get_by_role("option")
    await expect(listed.nth(0)).to_contain_text("你好")
    # A piece may end inside a character; what it begins waits for the rest.
    whole = 'id: 7\nevent: add\ndata: {"n": "好"}\n\n: beat\n\n'.encode()
    inside = whole.index("好".encode()) + 1
    stream.send(whole[:inside])
    await expect(page.get_by_test_id("tab-pieces")).to_have_text("Pieces 3")
    await expect(shown).to_have_text("2 events")
    stream.send(whole[inside:])
    await expect(shown).to_have_text("4 events")
    await expect(listed.nth(2).get_by_test_id("type")).to_have_text("add")
    await expect(listed.nth(2).get_by_test_id("preview")).to_have_text('{"n": "好"}')
    await expect(listed.nth(3).get_by_test_id("type")).to_have_text("comment")
    await expect(page.get_by_test_id("state")).to_contain_text("relaying")
    stream.finish()
    await expect(page.get_by_test_id("state")).to_contain_text("complete after")
    await expect(page.get_by_test_id("verdict")).to_contain_text("Every piece")


async def test_heartbeats_are_marked_as_those_of_the_proxy(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page
) -> None:
    started = await proxy({"/": {"target": page_upstream.url, "heartbeat_seconds": 60}})
    await looked_at(page, started)
    client = await started.client()
    await client.send(get("/events"))
    stream = await page_upstream.requested("/events")
    stream.send_event("one")
    await cell(page, "target").click()
    listed = page.get_by_test_id("event-list").get_by_role("option")
    await expect(listed.nth(0).get_by_test_id("type")).to_have_text("heartbeat")
    await expect(listed.nth(0).get_by_test_id("side")).to_have_text("♥")
    await expect(listed.nth(1).get_by_test_id("side")).to_have_text("↓")
    figures = page.locator(".figures div:visible")
    await expect(figures.filter(has_text="Heartbeats")).to_have_text("Heartbeats1")
    await expect(figures.filter(has_text="Pieces")).to_have_text("Pieces1")
    await listed.nth(0).click()
    await expect(page.get_by_test_id("event-detail")).to_contain_text(
        "from the proxy itself"
    )
    stream.finish()
    await expect(page.get_by_test_id("verdict")).to_contain_text("One piece")


@pytest.mark.parametrize("record", ["streams", "on-look"])
async def test_stream_from_before_breaks_and_is_named(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page, record: str
) -> None:
    """What passed before the inspector was opened is shown, or said to be missing."""
    routes = {"/": {"target": page_upstream.url}}
    started = await proxy(routes, inspector={"record": record})
    client = await started.client()
    await client.send(get("/events"))
    stream = await page_upstream.requested("/events")
    stream.send_event("unseen")
    await client.read_head()
    await client.read_chunk()
    await looked_at(page, started, open=1)
    await cell(page, "target").click()
    events = page.get_by_test_id("event-list")
    if record == "streams":
        await expect(events).to_contain_text("unseen")
    else:
        missing = page.get_by_test_id("piece-missing")
        await expect(missing).to_have_text("1 piece passed before recording started.")
    stream.send_event("another")
    await expect(events).to_contain_text("another")
    shown = "2 events" if record == "streams" else "1 event"
    await expect(page.get_by_test_id("event-shown")).to_have_text(shown)
    stream.break_off()
    await expect(page.get_by_test_id("state")).to_contain_text("upstream broke")
    await expect(page.get_by_test_id("verdict")).to_contain_text("upstream")
    await page.keyboard.press("Escape")
    failed = page.locator("#list .row[data-state=failed]")
    await expect(failed.get_by_test_id("target")).to_have_text("/eventsSSE")


async def test_browser_without_a_connection_left_is_told_of(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page
) -> None:
    started = await proxy({"/": {"target": page_upstream.url}})
    await looked_at(page, started)
    for fields in [["Sec-Fetch-Mode: cors"]] * 6 + [[]]:
        client = await started.client()
        await client.send(get("/events", *fields))
        (await page_upstream.requested("/events")).send_event("one")
        await client.read_head()
    banner = page.get_by_test_id("warnings")
    await expect(banner).to_contain_text("has 6 requests open to localhost")
    await expect(page.get_by_test_id("shown")).to_have_text("7 exchanges")
    await banner.get_by_role("button", name="Show 6 exchanges").click()
    await expect(page.get_by_test_id("shown")).to_have_text("6 of 7")


def token(text: str) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return json.dumps(delta, ensure_ascii=False).encode() + b"\n"


async def test_post_stream_is_joined_copied_and_saved(
    proxy: StartProxy, page_upstream: PageUpstream, page: Page
) -> None:
    started = await proxy({"/": {"target": page_upstream.url}})
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await looked_at(page, started)
    client = await started.client()
    body = '{"prompt": "你是谁?"}'.encode()
    await client.send(
        b"POST /open?token=%b HTTP/1.1\r\nHost: %b\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (
            SECRET.encode(),
            b"localhost:%d" % started.port,
            SECRET.encode(),
            len(body),
            body,
        )
    )
    stream = await page_upstream.requested("/open")
    stream.send(token("我是"))
    await cell(page, "target").click()
    await expect(page.get_by_test_id("tab-events")).to_have_text("Objects 1")
    await page.get_by_test_id("tab-text").click()
    answer = page.get_by_test_id("joined-text")
    for text, told in [("一个", "我是一个"), (" proxy", "我是一个 proxy")]:
        stream.send(token(text))
        await expect(answer.locator("section p")).to_have_text(told)
    await page.get_by_test_id("tab-bodies").click()
    await expect(page.get_by_test_id("body-request")).to_contain_text("你是谁?")
    await page.get_by_test_id("tab-fields").click()
    fields = page.get_by_test_id("fields-request")
    await expect(fields.get_by_role("row", name="Authorization")).to_contain_text(
        "Bearer ****masked"
    )
    via = fields.locator("[data-kind=added]").filter(has_text="Via")
    await expect(via).to_have_count(1)
    await page.get_by_test_id("curl").click()
    await expect(page.get_by_test_id("toast")).to_have_text(
        "Copied. Fill in the masked values: the query, Authorization."
    )
    command = await page.evaluate("navigator.clipboard.readText()")
    assert f"http://localhost:{started.port}/open?token=****" in command
    assert "--data-raw '" + body.decode() + "'" in command
    stream.finish()
    await expect(page.get_by_test_id("feed")).to_have_text("ended")
    await saved(page, body)
    assert SECRET not in command + await page.content()


def content(path: Path) -> bytes:
    return path.read_bytes()


async def saved(page: Page, body: bytes) -> None:
    """Both downloads hold what was recorded."""
    async with page.expect_download() as download:
        await page.get_by_test_id("save-body").click()
    expected = token("我是") + token("一个") + token(" proxy")
    assert content(await (await download.value).path()) == expected
    async with page.expect_download() as download:
        await page.get_by_test_id("save-record").click()
    text = content(await (await download.value).path()).decode()
    record = read_record(text.encode(), "saved")
    assert record.request_body == body
    assert b"".join(piece.data for piece in record.response_pieces) == expected
    assert record.end is not None
    assert record.end.end == "complete"
    assert SECRET not in text


def frame(
    opcode: int, payload: bytes, *, mask: bytes = b"", flags: int = 0x80
) -> bytes:
    """A short frame (RFC 6455 §5.2)."""
    head = bytes([flags | opcode, (0x80 if mask else 0) | len(payload)])
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


async def test_frames_are_shown_in_both_directions(
    proxy: StartProxy, upstream: Upstream, page: Page
) -> None:
    started = await proxy({"/ws": {"target": upstream.url, "ws": True}})
    await looked_at(page, started)
    key = base64.b64encode(b"0123456789abcdef").decode()
    handshake = get(
        "/ws/room",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Extensions: permessage-deflate",
    )
    client, peer = await started.begin(upstream, handshake)
    magic = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
    accept = base64.b64encode(hashlib.sha1(magic).digest())
    await peer.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
    )
    await client.read_head()
    await expect(cell(page, "ending")).to_have_text("tunnel")
    await cell(page, "target").click()
    shown = page.get_by_test_id("event-shown")
    await client.send(frame(1, b"from the client", mask=b"\x01\x02\x03\x04"))
    await expect(shown).to_have_text("1 frame")
    coder = zlib.compressobj(wbits=-15)
    for count in (2, 3):
        packed = coder.compress("你好 你好 你好".encode()) + coder.flush(
            zlib.Z_SYNC_FLUSH
        )
        await peer.send(frame(1, packed.removesuffix(b"\0\0\xff\xff"), flags=0xC0))
        await expect(shown).to_have_text(f"{count} frames")
    await client.send(frame(8, b"\x03\xe8bye", mask=b"abcd"))
    await expect(shown).to_have_text("4 frames")
    rows = page.get_by_test_id("event-list").get_by_role("option")
    expected = [
        ("↑", "text", "from the client"),
        ("↓", "text", "你好 你好 你好"),
        ("↓", "text", "你好 你好 你好"),
        ("↑", "close", "1000 bye"),
    ]
    for at, (side, kind, preview) in enumerate(expected):
        await expect(rows.nth(at).get_by_test_id("side")).to_have_text(side)
        await expect(rows.nth(at).get_by_test_id("type")).to_have_text(kind)
        await expect(rows.nth(at).get_by_test_id("preview")).to_have_text(preview)
    await rows.nth(2).click()
    await expect(page.get_by_test_id("event-detail")).to_contain_text(
        "permessage-deflate"
    )
    client.close()
    peer.close()
    await expect(page.get_by_test_id("feed")).to_have_text("ended")
