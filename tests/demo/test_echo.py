"""The WebSocket echo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.demo.conftest import Status
from tests.demo.rawclient import GUARD


@pytest.fixture
def echo_url(events_port: int) -> str:
    return f"http://127.0.0.1:{events_port}/echo"


@pytest.fixture
async def socket(
    session: aiohttp.ClientSession, echo_url: str
) -> AsyncIterator[ClientWebSocketResponse]:
    async with session.ws_connect(echo_url, autoping=False) as socket:
        yield socket


async def test_text_comes_back_as_text(socket: ClientWebSocketResponse) -> None:
    for text in ("你好", "", "x" * 100_000):
        await socket.send_str(text)
        assert await socket.receive_str(timeout=GUARD) == text


async def test_binary_comes_back_as_binary(socket: ClientWebSocketResponse) -> None:
    for data in (b"\x00\xff", b"", bytes(100_000)):
        await socket.send_bytes(data)
        assert await socket.receive_bytes(timeout=GUARD) == data


async def test_ping_is_answered_with_its_payload(
    socket: ClientWebSocketResponse,
) -> None:
    await socket.ping(b"are you there")
    answer = await socket.receive(timeout=GUARD)
    assert (answer.type, answer.data) == (WSMsgType.PONG, b"are you there")


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        pytest.param(["chat", "echo"], "echo", id="offered"),
        pytest.param([], None, id="none offered"),
    ],
)
async def test_subprotocol_is_taken_if_it_is_offered(
    session: aiohttp.ClientSession,
    echo_url: str,
    offered: list[str],
    taken: str | None,
) -> None:
    async with session.ws_connect(echo_url, protocols=offered) as socket:
        assert socket.protocol == taken


@pytest.mark.parametrize("code", [1000, 1001, 4321])
async def test_close_code_comes_back(
    session: aiohttp.ClientSession, echo_url: str, code: int
) -> None:
    async with session.ws_connect(echo_url) as socket:
        await socket.close(code=code)
        assert socket.close_code == code


async def test_close_without_a_code_is_answered(
    session: aiohttp.ClientSession, echo_url: str
) -> None:
    async with session.ws_connect(echo_url, autoclose=False) as socket:
        await socket.send_frame(b"", WSMsgType.CLOSE)
        answer = await socket.receive(timeout=GUARD)
        assert (answer.type, answer.data) == (WSMsgType.CLOSE, 1000)


async def test_plain_request_is_told_what_is_missing(
    session: aiohttp.ClientSession, echo_url: str
) -> None:
    async with session.get(echo_url) as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert "ws = true" in (await response.json())["error"]["message"]


async def test_client_that_vanishes_is_counted(
    session: aiohttp.ClientSession,
    echo_url: str,
    events_port: int,
    status_of: Status,
    status_reaches: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    socket = await session.ws_connect(echo_url)
    await socket.send_str("x")
    await socket.receive_str(timeout=GUARD)
    assert (await status_of(events_port))["open_streams"] == 1
    transport = socket.get_extra_info("socket")
    assert transport is not None
    socket._response.close()  # aiohttp has no public way to drop it unclosed
    await status_reaches(events_port, open_streams=0, left_early=1)
