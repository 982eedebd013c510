"""Real WebSockets: an aiohttp client and server that know of no proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from proxy.timeline import Ending
from tests.conftest import StartProxy
from tests.support.raw import GUARD
from tests.support.running import RunningProxy

LARGE = 5 * 1024 * 1024
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


async def echo(socket: web.WebSocketResponse) -> None:
    """Send each message back as it came."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)


class Service:
    """A WebSocket server; `talk` is what it does with a connection."""

    def __init__(self) -> None:
        self.talk: Talk = echo
        self.socket = web.WebSocketResponse()
        self.finished = asyncio.Event()
        self.port = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        self.socket = socket = web.WebSocketResponse(
            protocols=["chat.v2", "chat.v1"], max_msg_size=2 * LARGE, timeout=GUARD
        )
        await socket.prepare(request)
        await self.talk(socket)
        self.finished.set()
        return socket


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    server = Service()
    application = web.Application()
    application.router.add_get("/ws/{name:.*}", server.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session, asyncio.timeout(4 * GUARD):
        yield session


@pytest.fixture
async def running(proxy: StartProxy, service: Service) -> RunningProxy:
    target = f"ws://127.0.0.1:{service.port}"
    return await proxy({"/ws": {"target": target, "ws": True, "change_origin": True}})


async def test_messages_of_every_size_come_back(
    running: RunningProxy, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(
        f"{running.url}/ws/x", max_msg_size=2 * LARGE
    ) as socket:
        for size in (0, 1, 125, 126, 65_535, 65_536, LARGE):
            data = bytes(range(256)) * (size // 256 + 1)
            await socket.send_bytes(data[:size])
            assert await socket.receive_bytes() == data[:size]
        await socket.send_str("你好")
        assert await socket.receive_str() == "你好"
    timeline = await running.ended()
    assert (timeline.status, timeline.ending) == (101, Ending.COMPLETE)
    assert timeline.bytes_sent > LARGE


async def test_compression_is_agreed_between_the_peers(
    running: RunningProxy, service: Service, session: aiohttp.ClientSession
) -> None:
    """RFC 7692: the extension field passes, and so do the compressed frames."""
    async with session.ws_connect(f"{running.url}/ws/x", compress=15) as socket:
        assert socket.compress == 15
        assert service.socket.compress == 15
        text = "the same again and again " * 20_000
        await socket.send_str(text)
        assert await socket.receive_str() == text
    assert (await running.ended()).bytes_sent < len(text) // 10


async def test_the_sub_protocol_is_the_servers_choice(
    running: RunningProxy, session: aiohttp.ClientSession
) -> None:
    offered = ("chat.v1", "chat.v2")
    async with session.ws_connect(f"{running.url}/ws/x", protocols=offered) as socket:
        assert socket.protocol == "chat.v1"


async def test_a_close_code_of_the_client_reaches_the_server(
    running: RunningProxy, service: Service, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{running.url}/ws/x") as socket:
        await socket.close(code=4001, message=b"had enough")
    await service.finished.wait()
    assert service.socket.close_code == 4001
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_a_close_code_of_the_server_reaches_the_client(
    running: RunningProxy, service: Service, session: aiohttp.ClientSession
) -> None:
    async def refuse(socket: web.WebSocketResponse) -> None:
        await socket.send_str("not you")
        await socket.close(code=4403, message=b"forbidden")

    service.talk = refuse
    async with session.ws_connect(f"{running.url}/ws/x") as socket:
        assert await socket.receive_str() == "not you"
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4403)
        assert message.extra == "forbidden"
    assert (await running.ended()).ending is Ending.COMPLETE


async def test_pings_are_the_peers_own(
    running: RunningProxy, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{running.url}/ws/x", autoping=False) as socket:
        await socket.ping(b"are you there")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"are you there")


async def test_each_message_arrives_before_the_next_is_sent(
    running: RunningProxy, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{running.url}/ws/x") as socket:
        for number in range(100):
            await socket.send_str(str(number))
            assert await socket.receive_str() == str(number)
    timeline = await running.ended()
    assert timeline.call.pieces >= 100


async def test_many_sockets_do_not_meet(
    running: RunningProxy, session: aiohttp.ClientSession
) -> None:
    async def talk(name: int) -> None:
        async with session.ws_connect(f"{running.url}/ws/{name}") as socket:
            for turn in range(10):
                await socket.send_str(f"{name} {turn}")
                assert await socket.receive_str() == f"{name} {turn}"

    async with asyncio.TaskGroup() as group:
        for name in range(30):
            group.create_task(talk(name))
