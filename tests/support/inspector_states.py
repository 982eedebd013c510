"""What the inspector's page can show, one state after another, from a feed of the test.

For what holds in each of them: no finding of axe, no text without its translation.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.support.feed import FeedServer, Row, piece, row

if TYPE_CHECKING:
    from playwright.async_api import Page

Visit = Callable[["Page", FeedServer], Awaitable[None]]
ERROR = "connection refused by http://127.0.0.1:3999"
ADVICE = "Start the upstream, or correct the target of the route."
BODY = json.dumps({"error": {"status": 502, "message": ERROR}}, indent=2).encode()
EVENT_STREAM = ["Content-Type", "text/event-stream"]


def chat(text: str, channel: str = "content") -> bytes:
    delta = {"choices": [{"index": 0, "delta": {channel: text}}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


def text_frame(text: bytes, *, masked: bool = False) -> bytes:
    """A short text frame, its mask of zeros (RFC 6455 §5.2)."""
    bit, mask = (0x80, bytes(4)) if masked else (0, b"")
    return bytes([0x81, bit | len(text)]) + mask + text


def rows() -> list[Row]:
    answer = {
        "model": "qwen-plus",
        "first_token": 0.412,
        "input_tokens": 21,
        "output_tokens": 164,
        "tokens_per_second": 38.2,
    }
    return [
        row(1, age=6.2, pieces=6, request_id="0123456789abcdef"),
        row(
            2,
            route="/server1",
            method="POST",
            target="/server1/v1/chat/completions",
            family="openai-chat",
            answer=answer,
            request_id="9f1c7a52d0e84b6f",
            upstream="http://127.0.0.1:3001",
            pieces=7,
            bytes_received=214,
            age=3.1,
        ),
        row(
            3,
            route="/ws",
            target="/ws/room",
            status=101,
            kind="websocket",
            phase="tunnel",
            longest_gap=41.0,
            age=62.0,
            pieces=2,
            bytes_received=18,
        ),
        row(
            4,
            route="/api",
            target="/api/orders?page=2",
            upstream="http://127.0.0.1:3999",
            status=502,
            kind="other",
            phase="over",
            duration=0.004,
            pieces=0,
            bytes=len(BODY),
            ending="upstream broke",
            ended_by=f"upstream broke: {ERROR}",
            error=ERROR,
            error_type="connection_refused",
            advice=ADVICE,
            request_id="c0ffee00c0ffee00",
        ),
        row(
            5,
            target="/sse/long",
            phase="over",
            duration=31.2,
            pieces=2,
            longest_gap=30.0,
            ending="timed out",
            error="upstream 'http://127.0.0.1:8002' sent nothing for 30.0 s "
            "(idle_timeout_seconds)",
            error_type="http_response_timeout",
            advice="Find out why the upstream is silent, or raise the limit named "
            "above.",
        ),
        row(
            6,
            target="/list",
            kind="json",
            phase="over",
            duration=0.021,
            pieces=1,
            ending="complete",
        ),
        row(
            7,
            route="/api",
            target="/api/broken",
            kind="json",
            status=500,
            phase="over",
            duration=0.1,
            pieces=1,
            bytes=16,
            ending="complete",
        ),
        row(8, target="/sse/left", phase="over", duration=2.4, ending="client left"),
        row(9, target="/slow", holding=2.4, longest_hold=2.4, pieces=3),
        row(10, target="/soon", phase="waiting", status=0, pieces=0, kind="other"),
    ]


def prepared(feed: FeedServer) -> None:
    """Give the feed all that the states show."""
    feed.rows = rows()
    feed.warnings = [
        {"kind": "stall", "text": "/sse has sent nothing for 5 s", "ids": ["1-1"]}
    ]
    host, cookie = ["Host", "localhost:8080"], ["Cookie", "sid=****"]
    request: Row = {
        "received": [host, cookie, ["Connection", "keep-alive"]],
        "sent": [["Host", "127.0.0.1:8002"], cookie, ["Via", "1.1 unbuffered"]],
    }
    stream: Row = {
        "received": [EVENT_STREAM],
        "sent": [EVENT_STREAM, ["X-Accel-Buffering", "no"]],
        "line": "HTTP/1.1 200 OK",
    }
    for each in ("1-1", "1-2", "1-5", "1-9"):
        feed.fields[each] = {"request": request, "response": stream}
    upgraded = ["Upgrade", "websocket"], ["Sec-WebSocket-Accept", "abc"]
    feed.fields["1-3"] = {
        "request": request,
        "response": {"received": [*upgraded], "sent": [*upgraded]},
    }
    own = [["Content-Type", "application/json"], ["Proxy-Status", "unbuffered"]]
    feed.fields["1-4"] = {
        "request": request,
        "response": {
            "received": None,
            "sent": own,
            "line": "HTTP/1.1 502 Bad Gateway",
        },
    }
    feed.fields["1-7"] = {
        "request": request,
        "response": {
            "received": own[:1],
            "sent": own[:1],
            "line": "HTTP/1.1 500 Internal Server Error",
        },
    }
    events = [
        *(b'data: {"n": %d}\n\n' % each for each in range(5)),
        b": a comment\n\n",
    ]
    feed.pieces["1-1"] = [piece(at, each, at) for at, each in enumerate(events, 1)]
    words = ["Streams ", "are ", "held ", "by ", "proxies."]
    deltas = [chat("Hm, ", "reasoning_content"), *map(chat, words)]
    prompt = b'{"messages": [{"role": "user"}]}'
    feed.pieces["1-2"] = [
        piece(1, prompt, 0.001, side="request"),
        *(piece(at, each, 0.4 + at * 0.4) for at, each in enumerate(deltas, 1)),
        piece(7, b"data: [DONE]\n\n", 3.0),
    ]
    feed.pieces["1-3"] = [
        piece(1, text_frame(b"hello", masked=True), 1.0, side="request"),
        piece(1, text_frame(b"welcome"), 1.02),
        piece(2, text_frame(b"still here"), 42.0),
    ]
    feed.pieces["1-4"] = [piece(1, BODY, 0.004) | {"own": True}]
    feed.pieces["1-5"] = [piece(1, events[0], 0.1), piece(2, events[1], 1.1)]
    feed.pieces["1-7"] = [piece(1, b'{"error": "boom"}', 0.1)]
    feed.pieces["1-9"] = [
        *(piece(at, events[0], at, held=0.3) for at in (1, 2)),
        piece(3, events[1], 10.0) | {"sent": None},
    ]


async def opened(page: Page, feed: FeedServer, id: str = "") -> None:
    await page.goto(f"{feed.url}#{id}")
    if id:
        await page.get_by_test_id("title").wait_for()
    else:
        await page.locator("#row-1-1").wait_for()


async def in_list(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    await page.keyboard.press("j")
    await page.locator("#list .row[aria-selected=true]").wait_for()


async def in_kept_list(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    told: Row = {
        "id": "1-0123abcd",
        "route": "/chat",
        "method": "POST",
        "target": "/chat/answers",
        "started": 1_800_000_000,
        "age": 4.0,
        "bytes": 1200,
        "first": 0,
        "goes": 55.0,
        "ended": None,
        "error": None,
        "state": "running",
        "clients": 0,
        "visits": 2,
        "readers": 1,
        "kept": True,
        "shared": False,
        "followed": False,
        "connections": [{"exchange": "1-1"}],
    }
    done = told | {"id": "1-89abcdef", "ended": 3.2, "state": "complete", "clients": 1}
    feed.tell("streams", {"worker": 1, "streams": [told, done]})
    await page.get_by_test_id("kept-stream").nth(1).wait_for()


async def in_stream(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-1")
    await page.locator("#event-5").wait_for()
    await page.keyboard.press("k")
    await page.get_by_test_id("event-detail").wait_for()


async def in_answer(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-2")
    await page.locator("#event-6").wait_for()
    await page.keyboard.press("2")
    await page.get_by_test_id("joined-text").get_by_text("proxies.").wait_for()


async def in_failure(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-4")
    await page.get_by_test_id("sent-body").get_by_text(ERROR).wait_for()


async def in_broken_stream(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-5")
    await page.get_by_test_id("advice").wait_for()


async def in_error_of_upstream(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-7")
    await page.get_by_test_id("sent-body").get_by_text("boom").wait_for()


async def in_tunnel(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-3")
    await page.locator("#event-2").wait_for()


async def in_slow_client(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-9")
    await page.get_by_test_id("tab-pieces").click()
    await page.locator("#piece-2").click()
    await page.get_by_test_id("piece-detail").wait_for()


async def in_fields(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-1")
    await page.locator("#event-5").wait_for()
    await page.keyboard.press("4")
    await page.get_by_test_id("fields-request").wait_for()


async def in_bodies(page: Page, feed: FeedServer) -> None:
    await opened(page, feed, "1-2")
    await page.locator("#event-6").wait_for()
    await page.keyboard.press("5")
    await page.get_by_test_id("body-request").wait_for()


async def in_nothing(page: Page, feed: FeedServer) -> None:
    feed.rows = []
    feed.warnings = []
    await page.goto(feed.url)
    await page.get_by_test_id("empty").locator(".headline").wait_for()


async def in_search(page: Page, feed: FeedServer) -> None:
    await page.goto(f"{feed.url}#request=unknown-id")
    await page.get_by_test_id("search-notice").wait_for()


async def in_gone(page: Page, feed: FeedServer) -> None:
    await page.goto(f"{feed.url}#1-99")
    await page.get_by_test_id("absent").wait_for()


async def in_keys(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    await page.get_by_test_id("help").click()


async def in_file(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    lines = [
        {
            "unbuffered": 1,
            "began": "2026-11-29T12:00:00.000000Z",
            "by": "1",
            "unknown": ["splits"],
            "request": {
                "method": "GET",
                "target": "/sse",
                "version": "1.1",
                "scheme": "http",
                "fields": [["Host", "a"]],
            },
        },
        {"at": 9, "from": "upstream", "head": {"status": 200, "fields": []}},
        {"at": 900, "from": "upstream", "text": "data: 1\n\n"},
        {"dropped": 2},
    ]
    await choose(page, "a.jsonl", "".join(json.dumps(each) + "\n" for each in lines))
    await page.get_by_test_id("title").wait_for()


async def in_fault_of_file(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    await choose(page, "a.jsonl", '{"unbuffered": 7}\n')
    await page.get_by_test_id("file-fault-text").wait_for()


async def in_choice_of_entries(page: Page, feed: FeedServer) -> None:
    await opened(page, feed)
    entry = {"request": {"method": "GET", "url": "http://a/"}, "response": {}}
    har = {"log": {"entries": [entry, entry]}}
    await choose(page, "a.har", json.dumps(har))
    await page.get_by_test_id("entry").first.wait_for()


async def choose(page: Page, name: str, text: str) -> None:
    await page.get_by_test_id("file").set_input_files(
        {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
    )


STATES: dict[str, Visit] = {
    "list": in_list,
    "kept streams": in_kept_list,
    "stream": in_stream,
    "answer": in_answer,
    "failure": in_failure,
    "broken stream": in_broken_stream,
    "error of the upstream": in_error_of_upstream,
    "tunnel": in_tunnel,
    "slow client": in_slow_client,
    "fields": in_fields,
    "bodies": in_bodies,
    "nothing": in_nothing,
    "search": in_search,
    "gone": in_gone,
    "keys": in_keys,
    "file": in_file,
    "fault of a file": in_fault_of_file,
    "choice of entries": in_choice_of_entries,
}
