"""The inspector's parsers of streams, in the browser that runs them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.feed import modules_page, run

if TYPE_CHECKING:
    from playwright.async_api import Page

# One browser for all: nothing here leaves anything behind in its page.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page() -> AsyncIterator[Page]:
    async with modules_page() as started:
        yield started


SIZES = [1, 2, 3, 5, 7, 1000]

# -- event streams


EVENTS = (
    "\ufeffid: 7\nevent: add\ndata: 你\ndata:好\n\n: beat\n\ndata\n\r\nretry: 250\n\n"
    "event: none\n\ndata:🌊\rid: a\0b\r\r\n\ndata: never ended"
)


async def test_event_stream_is_the_same_at_any_split(page: Page) -> None:
    """WHATWG HTML §9.2.6; and what a browser would drop is told as well."""
    read = await run(
        page,
        "web/event_stream.js",
        """const [text, sizes] = given;
        return sizes.map((size) => {
            const reader = new m.EventStreamReader();
            const events = [];
            for (let at = 0; at < text.length; at += size) {
                events.push(...reader.push(text.slice(at, at + size)));
            }
            return [...events, reader.unfinished()];
        });""",
        [EVENTS, SIZES],
    )
    plain = {"retry": None, "cut": False, "dispatched": True}
    expected = [
        plain | {"data": "你\n好", "type": "add", "id": "7"},
        {"comment": "beat"},
        plain | {"data": "", "type": "message", "id": "7"},
        plain
        | {
            "data": "",
            "type": "message",
            "id": "7",
            "retry": 250,
            "dispatched": False,
        },
        plain | {"data": "", "type": "none", "id": "7", "dispatched": False},
        plain | {"data": "🌊", "type": "message", "id": "7"},
        "data: never ended",
    ]
    assert read == [expected] * len(SIZES)


async def test_line_that_ends_with_cr_is_read_before_more_comes(page: Page) -> None:
    read = await run(
        page,
        "web/event_stream.js",
        """const reader = new m.EventStreamReader();
        const first = reader.push("data: a\\r\\r").length;
        const second = reader.push("\\ndata: b\\r").length;
        return [first, second, reader.push("\\n\\r\\n").length];""",
    )
    assert read == [1, 0, 1]


async def test_event_that_never_ends_is_cut(page: Page) -> None:
    length, cut = await run(
        page,
        "web/event_stream.js",
        """const reader = new m.EventStreamReader();
        const line = `data: ${"x".repeat(65536)}\\n`;
        for (let each = 0; each < 40; each += 1) reader.push(line);
        const [event] = reader.push("\\n");
        return [event.data.length, event.cut];""",
    )
    assert cut
    assert length <= 1024 * 1024 + 64


# -- NDJSON


async def test_ndjson_is_the_same_at_any_split(page: Page) -> None:
    text = '{"a": "你"}\n\n[1, 2]\r\n\x1e"🌊"\n<html>\n{"last": 1}'
    read = await run(
        page,
        "web/ndjson.js",
        """const [text, sizes] = given;
        return sizes.map((size) => {
            const reader = new m.NdjsonReader();
            const lines = [];
            for (let at = 0; at < text.length; at += size) {
                lines.push(...reader.push(text.slice(at, at + size)));
            }
            lines.push(...reader.finish());
            return lines.map(({ data, fault }) => [data, fault !== null]);
        });""",
        [text, SIZES],
    )
    expected = [
        ['{"a": "你"}', False],
        ["[1, 2]", False],
        ['"🌊"', False],
        ["<html>", True],
        ['{"last": 1}', False],
    ]
    assert read == [expected] * len(SIZES)


# -- WebSocket


def frame(
    opcode: int, payload: bytes, *, mask: bytes = b"", flags: int = 0x80
) -> bytes:
    """A frame as RFC 6455 §5.2 has it."""
    masked = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = bytes([flags | opcode, masked | size])
    elif size < 65536:
        head = bytes([flags | opcode, masked | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([flags | opcode, masked | 127]) + size.to_bytes(8, "big")
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_frames_are_the_same_at_any_split(page: Page) -> None:
    wire = b"".join(
        [
            frame(1, "你好".encode(), mask=b"\x01\x02\x03\x04"),
            frame(9, b""),
            frame(2, b"x" * 300),
            frame(1, b"a", flags=0),
            frame(0, b"b"),
            frame(2, b"y" * 70000, mask=b"abcd"),
            frame(8, b"\x03\xe8bye"),
        ]
    )
    read = await run(
        page,
        "decode/websocket_frames.js",
        """const bytes = Uint8Array.from(atob(given[0]), (each) => each.charCodeAt(0));
        return given[1].map((size) => {
            const reader = new m.FrameReader();
            const frames = [];
            for (let at = 0; at < bytes.length; at += size) {
                frames.push(...reader.push(bytes.subarray(at, at + size)));
            }
            const text = (payload) => new TextDecoder().decode(payload.subarray(0, 8));
            return frames.map(({ type, final, masked, bytes, payload }) =>
                [type, final, masked, bytes, text(payload)]);
        });""",
        [encoded(wire), [*SIZES, 100_000]],
    )
    expected = [
        ["text", True, True, 6, "你好"],
        ["ping", True, False, 0, ""],
        ["binary", True, False, 300, "xxxxxxxx"],
        ["text", False, False, 1, "a"],
        ["continuation", True, False, 1, "b"],
        ["binary", True, True, 70000, "yyyyyyyy"],
        ["close", True, False, 5, "\x03�bye"],
    ]
    assert read == [expected] * (len(SIZES) + 1)


def deflated(messages: list[bytes]) -> list[bytes]:
    """Messages as permessage-deflate has them, each referring to those before."""
    coder = zlib.compressobj(wbits=-15)
    return [
        (coder.compress(each) + coder.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            b"\0\0\xff\xff"
        )
        for each in messages
    ]


async def test_compressed_messages_are_inflated_in_order(page: Page) -> None:
    """RFC 7692 §7.2; the second one is a few bytes that refer to the first."""
    text = "the same words again and again, 你好"
    messages = [text.encode(), text.encode(), b"", b"z" * 200_000]
    read = await run(
        page,
        "decode/inflater.js",
        """const inflater = new m.Inflater();
        const found = [];
        for (const each of given) {
            const bytes = Uint8Array.from(atob(each), (one) => one.charCodeAt(0));
            found.push(new TextDecoder().decode(await inflater.inflate(bytes)));
        }
        return found;""",
        [encoded(each) for each in deflated(messages)],
    )
    assert read == [each.decode() for each in messages]


async def test_message_that_cannot_be_inflated_is_said_to_be_so(page: Page) -> None:
    read = await run(
        page,
        "decode/decoders.js",
        """const decoders = m.decodersFor({
            kind: "websocket",
            status: 101,
            response: { sent: [["Sec-WebSocket-Extensions", "permessage-deflate"]] },
        });
        const payload = Uint8Array.from(atob(given), (one) => one.charCodeAt(0));
        const piece = { side: "response", arrived: 1, sent: 1, index: 0, payload };
        const events = await decoders.response.push(piece);
        return events.map(({ type, note }) => [type, note]);""",
        encoded(frame(1, b"\xff\xff\xff", flags=0xC0)),
    )
    assert read == [["text", "compressed (permessage-deflate); could not be inflated"]]


JOIN = """const [fields, pieces] = given;
const sent = [["Upgrade", "websocket"], ...fields];
const kind = { kind: "websocket", status: 101, response: { sent } };
const { response } = m.decodersFor(kind, true);
const found = [];
for (const each of pieces) {
    const payload = Uint8Array.from(atob(each), (one) => one.charCodeAt(0));
    const piece = { side: "response", arrived: 1, sent: 1, index: 0, payload };
    for (const { type, data } of await response.push(piece)) found.push([type, data]);
}
return found;"""


async def test_tunnel_joined_inside_a_frame_is_read_from_the_next_one_on(
    page: Page,
) -> None:
    large = frame(1, b"words " * 30_000)
    pieces = [large[70_000:140_000], large[140_000:], frame(1, b"a"), frame(2, b"b")]
    read = await run(
        page, "decode/decoders.js", JOIN, [[], [encoded(each) for each in pieces]]
    )
    assert read == [["unread", ""], ["unread", ""], ["text", "a"], ["binary", "b"]]


async def test_length_inside_a_frame_swallows_nothing_that_follows(page: Page) -> None:
    """The last bytes of a frame may look like the head of a very long one."""
    pieces = [b"\x82\x7f" + b"\0\0\1" * 20, frame(1, b"a") + frame(9, b"b")]
    read = await run(
        page, "decode/decoders.js", JOIN, [[], [encoded(each) for each in pieces]]
    )
    assert read == [["unread", ""], ["text", "a"], ["ping", "b"]]


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"\x83\x00", "opcode 3 is not defined"),
        (b"\x91\x00", "a reserved bit is set that no extension has negotiated"),
        (b"\xc1\x00", "a reserved bit is set that no extension has negotiated"),
        (b"\x81\x80", "the frame is masked"),
        (b"\x09\x00", "a ping frame must be short and not fragmented"),
        (b"\x88\x7e", "a close frame must be short and not fragmented"),
        (b"\x81\x7e", None),
    ],
)
async def test_what_begins_no_frame(page: Page, head: bytes, fault: str | None) -> None:
    """RFC 6455 §5.2, §5.5."""
    read = await run(
        page,
        "decode/websocket_frames.js",
        """const reader = new m.FrameReader({ masked: false, coded: false });
        reader.push(Uint8Array.from(atob(given), (each) => each.charCodeAt(0)));
        return reader.fault;""",
        encoded(head),
    )
    assert read == fault


async def test_other_upgrades_are_no_frames(page: Page) -> None:
    read = await run(
        page,
        "decode/decoders.js",
        """const response = { sent: [["Upgrade", "chat"]] };
        return m.decodersFor({ kind: "websocket", status: 101, response });""",
    )
    assert read == {"noun": None, "response": None, "request": None}


async def test_a_websocket_over_http2_has_frames_without_a_101(page: Page) -> None:
    """Its response is a 200 without `Upgrade` (RFC 8441 §5)."""
    noun = await run(
        page,
        "decode/decoders.js",
        """const response = { sent: [["sec-websocket-protocol", "chat"]] };
        return m.decodersFor({ kind: "websocket", status: 200, response }).noun;""",
    )
    assert noun == "frame"
