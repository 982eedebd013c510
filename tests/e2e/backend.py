"""A back end that does nothing until the test says so, and that can be killed."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import WSMsgType, web

from tests.browser.controlled import PageUpstream

GUARD_SECONDS = 30  # a held byte deadlocks the test; a dev server builds meanwhile


class Backend(PageUpstream):
    """All three services of the examples, on one port that stays the same."""

    def __init__(self, port: int) -> None:
        super().__init__(GUARD_SECONDS)
        self.port = port
        self._runner: web.AppRunner | None = None
        self._open: set[asyncio.Transport] = set()

    async def start(self) -> None:
        self._runner = web.AppRunner(
            self.application(),
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._listening_socket()).start()

    def _listening_socket(self) -> socket.socket:
        sock = socket.socket()
        # The port is reserved by another socket, which never listens.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        return sock

    async def kill(self) -> None:
        """End as a crashed process does: connections are reset, none is taken."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in [*runner.sites]:
            await site.stop()
        for transport in self._open:
            transport.abort()
        self._open.clear()
        await runner.cleanup()

    async def _stream(
        self, request: web.Request, content_type: str, *, hold: bool = False
    ) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        self._open.add(transport)
        try:
            return await super()._stream(request, content_type, hold=hold)
        finally:
            self._open.discard(transport)

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
        return ws

    async def login(self, request: web.Request) -> web.Response:
        """A cookie for the whole site, and a redirect to where we think we are."""
        return web.Response(
            status=303,
            headers={
                "Location": f"{self.url}/account",
                "Set-Cookie": "session=yy; Path=/; HttpOnly",
            },
        )

    async def account(self, request: web.Request) -> web.Response:
        return web.json_response({"session": request.cookies.get("session")})

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/events", self.events)
        app.router.add_get("/open", self.open)
        app.router.add_post("/v1/chat/completions", self.events)
        app.router.add_get("/echo", self.echo)
        app.router.add_get("/login", self.login)
        app.router.add_get("/account", self.account)
        return app
