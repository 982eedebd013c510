"""Targets that answer by themselves: each says which one it is, and has sessions."""

from __future__ import annotations

import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from tests.support.raw import Peer

SESSION = "Mcp-Session-Id"
COOKIE = "sid"


class AnsweringTarget:
    """One of several servers with the same application, and sessions of its own.

    POST /mcp without a session begins one, and DELETE /mcp ends it, as in MCP
    2025-11-25; GET /login begins one by a cookie. GET /again hands out the one by which
    it is asked. Any other request by a session that the server does not have is 404.
    What is asked for at /health is counted, and answered with `health`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.checks: list[web.Request] = []
        self.health = 200
        self.location = ""
        self.numbers = itertools.count(1)
        self.port = 0
        self.runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; on the same port as before."""
        application = web.Application()
        application.router.add_route("*", "/health", self.check)
        application.router.add_get("/login", self.login)
        application.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self.runner.setup()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.port = sock.getsockname()[1]
        await web.SockSite(self.runner, sock).start()

    async def stop(self) -> None:
        """Refuse connections from now on; those that stand are closed."""
        runner, self.runner = self.runner, None
        if runner is not None:
            await runner.cleanup()

    async def check(self, request: web.Request) -> web.Response:
        self.checks.append(request)
        fields = {"Location": self.location} if self.location else {}
        return web.Response(status=self.health, headers=fields)

    async def initialize(self, request: web.Request) -> web.Response:
        session = f"{self.name}-{next(self.numbers)}"
        self.sessions.add(session)
        return self.told(request, fields={SESSION: session})

    async def login(self, request: web.Request) -> web.Response:
        session = f"{self.name}-{next(self.numbers)}"
        self.sessions.add(session)
        response = self.told(request)
        response.set_cookie("other", "one")
        response.set_cookie(COOKIE, session, httponly=True)
        return response

    async def answer(self, request: web.Request) -> web.StreamResponse:
        session = request.headers.get(SESSION) or request.cookies.get(COOKIE)
        if session is not None and session not in self.sessions:
            return self.told(request, status=404)
        if request.path == "/mcp" and request.method == "POST" and session is None:
            return await self.initialize(request)
        if (
            request.path == "/mcp"
            and request.method == "DELETE"
            and session is not None
        ):
            self.sessions.discard(session)
        elif request.path == "/again" and session is not None:
            return self.told(request, fields={SESSION: session})
        elif "text/event-stream" in request.headers.get("Accept", ""):
            stream = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Target": self.name}
            )
            await stream.prepare(request)
            await stream.write(f"data: {self.name}\n\n".encode())
            return stream
        missing = request.path == "/missing"
        return self.told(request, status=404 if missing else 200)

    def told(
        self,
        request: web.Request,
        *,
        status: int = 200,
        fields: dict[str, str] | None = None,
    ) -> web.Response:
        """A response that says who has answered."""
        self.asked[request.path] += 1
        headers = {"X-Target": self.name, **(fields or {})}
        return web.Response(status=status, text=self.name, headers=headers)


@asynccontextmanager
async def answering(count: int) -> AsyncIterator[list[AnsweringTarget]]:
    """So many of them."""
    async with AsyncExitStack() as stack:
        made = [AnsweringTarget(name) for name in "abcdefgh"[:count]]
        for each in made:
            await each.start()
            stack.push_async_callback(each.stop)
        yield made


def urls(targets: list[AnsweringTarget]) -> list[str]:
    return [each.url for each in targets]


async def ask(
    client: Peer, line: bytes, fields: dict[str, str] | None = None
) -> tuple[int, str, dict[str, list[str]]]:
    """Ask over a connection: the status, which target has answered, all fields."""
    sent = "".join(f"{name}: {value}\r\n" for name, value in (fields or {}).items())
    if line.startswith(b"POST"):
        sent += "Content-Length: 0\r\n"
    await client.send(b"%b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (line, sent.encode()))
    await client.read_head()
    first, *lines = [each.decode() for each in client.head_lines]
    found: dict[str, list[str]] = {}
    for each in lines:
        name, _, value = each.partition(":")
        found.setdefault(name.lower(), []).append(value.strip())
    if "content-length" in found:
        await client.read(int(found["content-length"][0]))
    else:
        await client.read_body()
    return int(first.split(" ")[1]), found.get("x-target", [""])[0], found
