"""An upstream for the page that does nothing until the test says so.

Each request becomes a `Stream`; what is sent on it leaves at once, and nothing
else ever leaves. So a page that shows message n before message n + 1 exists has
got it through everything in between without a hold.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path

from aiohttp import WSMsgType, web

from proxy.web.files import find_file
from upstream_demo.small_file import small_file

PAGE = Path(__file__).resolve().parents[2] / "upstream_demo" / "page"
GUARD_SECONDS = 5  # a held byte deadlocks the test; this ends it
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


class Ending(Enum):
    """What ends a stream, in place of a next piece."""

    CLEAN = auto()
    BROKEN = auto()


class Stream:
    """One request, and the response that the test writes to it."""

    def __init__(self, request: web.Request, body: bytes, guard: float) -> None:
        self.path = request.path
        self.body = body
        self.guard = guard
        self.left = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | Ending] = asyncio.Queue()

    def send(self, piece: bytes) -> None:
        self._pieces.put_nowait(piece)

    def send_event(self, data: str) -> None:
        self.send(f"data:{data}\n\n".encode())

    def finish(self) -> None:
        self._pieces.put_nowait(Ending.CLEAN)

    def break_off(self) -> None:
        self._pieces.put_nowait(Ending.BROKEN)

    async def client_left(self) -> None:
        """Wait until the client has closed this stream."""
        async with asyncio.timeout(self.guard):
            await self.left.wait()

    async def answer(
        self, request: web.Request, content_type: str, hold: bool
    ) -> web.StreamResponse:
        """Write what the test sends; with `hold`, nothing before the end."""
        response = web.StreamResponse(
            headers={"Content-Type": content_type, **ANY_ORIGIN}
        )
        held = bytearray()
        if not hold:
            await response.prepare(request)
        try:
            while not isinstance(piece := await self._pieces.get(), Ending):
                if hold:
                    held += piece
                else:
                    await response.write(piece)
            if piece is Ending.BROKEN and request.transport is not None:
                request.transport.abort()
                return response
            await response.prepare(request)
            await response.write(bytes(held))
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


class PageUpstream:
    """Serves the page, and a `Stream` for each request to a controlled path."""

    def __init__(self, guard: float = GUARD_SECONDS) -> None:
        self.guard = guard
        self.port = 0
        self.holding_port = 0
        # Set, `/open` answers with it instead of a stream.
        self.refusal: web.Response | None = None
        self.left_early = 0
        self.has_docs = True
        self._sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._transports: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._requested: defaultdict[str, asyncio.Queue[Stream]] = defaultdict(
            asyncio.Queue
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def requested(self, path: str) -> Stream:
        """The next request to `path`, waiting for it."""
        async with asyncio.timeout(self.guard):
            return await self._requested[path].get()

    def requests_to(self, path: str) -> int:
        """How many requests to `path` nobody has waited for yet."""
        return self._requested[path].qsize()

    async def connected(self) -> web.WebSocketResponse:
        """The next WebSocket, waiting for it."""
        async with asyncio.timeout(self.guard):
            return await self._sockets.get()

    async def next_message(self) -> str:
        """The next text that has come on a WebSocket."""
        async with asyncio.timeout(self.guard):
            return await self._heard.get()

    def cut(self, socket: web.WebSocketResponse) -> None:
        """Break the connection of a WebSocket, without a word."""
        self._transports[socket].abort()

    async def _stream(
        self, request: web.Request, content_type: str, *, hold: bool = False
    ) -> web.StreamResponse:
        stream = Stream(request, await request.read(), self.guard)
        self._requested[request.path].put_nowait(stream)
        try:
            return await stream.answer(request, content_type, hold)
        finally:
            self.left_early += stream.left.is_set()

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "text/event-stream")

    async def held_events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "text/event-stream", hold=True)

    async def open(self, request: web.Request) -> web.StreamResponse:
        if self.refusal is not None:
            return self.refusal
        return await self._stream(request, "application/x-ndjson")

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        """A WebSocket. What comes on it comes back when the test says so."""
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        assert request.transport is not None
        self._transports[socket] = request.transport
        self._sockets.put_nowait(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._heard.put_nowait(message.data)
        await socket.close(code=socket.close_code or 1000)
        return socket

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response({"open_streams": 0, "left_early": self.left_early})

    async def settings(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "holding_port": self.holding_port,
                "version": "1.2.3",
                "docs": self.has_docs,
            }
        )

    async def index(self, request: web.Request) -> web.Response:
        return await small_file(PAGE / "index.html")

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/events", self.events)
        app.router.add_get("/faults/die", self.events)
        app.router.add_post("/open", self.open)
        app.router.add_get("/echo", self.echo)
        app.router.add_get("/status", self.status)
        app.router.add_get("/settings.json", self.settings)
        app.router.add_get("/", self.index)
        app.router.add_get("/{name:.+}", files_of(PAGE))
        return app

    def holding_application(self) -> web.Application:
        """What listens on `holding_port`: the hop, alone and before the proxy."""
        app = web.Application()
        app.router.add_get("/held/events", self.held_events)
        app.router.add_get("/held-before/events", self.events)
        return app


def files_of(
    folder: Path,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler of the files of a page, and of those that all pages share (web/)."""

    async def show(request: web.Request) -> web.StreamResponse:
        found = find_file(folder, request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        content_type, path = found
        return await small_file(path, {"Content-Type": content_type})

    return show


@asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[int]:
    """Serve `app` on a free port, and yield the port."""
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def start_upstream(
    guard: float = GUARD_SECONDS,
) -> AsyncIterator[PageUpstream]:
    """The upstream and its holding hop, each on a free port."""
    upstream = PageUpstream(guard)
    async with (
        serve(upstream.application()) as upstream.port,
        serve(upstream.holding_application()) as upstream.holding_port,
    ):
        yield upstream
