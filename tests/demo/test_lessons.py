"""The response lessons, as a client sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.demo.conftest import Connect, Serve, Status
from upstream_demo.lessons import LESSONS, create_lessons_app

HTML = "text/html; charset=utf-8"
BYTES = "application/octet-stream"
JSON = "application/json; charset=utf-8"


@pytest.fixture
async def port(serve_app: Serve) -> int:
    return await serve_app(create_lessons_app())


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        pytest.param(
            "list",
            HTML,
            "<h1>你好</h1><ul><li>write</li><li>end</li><li>send</li><li>json</li></ul>",
            id="many writes are one body, in order",
        ),
        pytest.param("write", HTML, "one, two, three", id="text is taken"),
        pytest.param("bytes", BYTES, "你好", id="bytes are taken"),
        pytest.param("end", HTML, "end can send a last piece", id="end takes a piece"),
        pytest.param("end-twice", HTML, "this body ends once", id="ends once"),
        pytest.param(
            "send/text", HTML, "<b>text</b> is sent as HTML", id="text is HTML"
        ),
        pytest.param(
            "send/bytes", BYTES, "bytes are sent as they are", id="bytes stay bytes"
        ),
        pytest.param("send/list", JSON, '[1, "two", {"three": 3}]', id="list is JSON"),
        pytest.param(
            "send/object", JSON, '{"name": "yy", "says": "你好"}', id="object is JSON"
        ),
        pytest.param("json", JSON, "8888", id="json takes a number"),
    ],
)
async def test_lesson(
    port: int,
    session: aiohttp.ClientSession,
    path: str,
    content_type: str,
    body: str,
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == content_type
        assert (await response.read()).decode() == body


async def test_writes_are_pieces_of_their_own(port: int, connect: Connect) -> None:
    client = await connect(port)
    await client.request("/write")
    await client.head()
    assert [await client.chunk() for _ in range(4)] == [
        b"one, ",
        b"two, ",
        b"three",
        b"",
    ]


async def test_whole_bodies_have_a_length(
    port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/send/text") as response:
        assert response.headers["Content-Length"] == "27"


@pytest.mark.parametrize(
    ("path", "call"),
    [("number", "write"), ("send/number", "send")],
)
async def test_number_is_an_error_that_says_what_to_write(
    port: int, session: aiohttp.ClientSession, path: str, call: str
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
        assert response.status == 500
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.text() == (
            f"TypeError: {call}() accepts text or bytes, not 8888 (int); "
            f'{call}("8888") sends it as text\n'
        )


async def test_mistake_after_a_write_is_shown_in_the_body(
    port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/send-after-write") as response:
        assert response.status == 200
        body = await response.text()
    assert body.startswith("written first; Error: send() after write()")


@pytest.mark.parametrize(
    ("path", "call"), [("end-twice", "end"), ("write-after-end", "write")]
)
async def test_mistake_after_the_end_is_logged_and_kept(
    port: int,
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    path: str,
    call: str,
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
        assert response.status == 200
        await response.read()
    async with session.get(f"http://127.0.0.1:{port}/errors") as response:
        errors = await response.json()
    assert [each["lesson"] for each in errors] == [f"/{path}"]
    assert errors[0]["error"].startswith(f"{call}() after end()")
    assert caplog.messages == [f"GET /{path}: {errors[0]['error']}"]


async def test_only_the_latest_errors_are_kept(
    port: int, session: aiohttp.ClientSession
) -> None:
    for _ in range(25):
        async with session.get(f"http://127.0.0.1:{port}/number") as response:
            await response.read()
    async with session.get(f"http://127.0.0.1:{port}/errors") as response:
        assert len(await response.json()) == 20


async def test_write_without_end_leaves_the_client_waiting(
    port: int,
    connect: Connect,
    status_of: Status,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    client = await connect(port)
    await client.request("/wait")
    await client.head()
    assert await client.chunk() == b"you are still waiting"
    assert await status_of(port) == {"open_streams": 1, "left_early": 0}
    await client.assert_silent()
    client.leave()
    await status_reaches(port, open_streams=0, left_early=1)


async def test_index_links_to_every_lesson(
    port: int, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"http://127.0.0.1:{port}/") as response:
        assert response.headers["Content-Type"] == HTML
        links = re.findall(r'href="([^"]+)"', await response.text())
    assert links == [*(lesson.path for lesson in LESSONS), "errors"]


async def test_status_is_json(port: int, session: aiohttp.ClientSession) -> None:
    async with session.get(f"http://127.0.0.1:{port}/status") as response:
        assert json.loads(await response.read()) == {"open_streams": 0, "left_early": 0}
