"""The other way to serve HTTP/2 from Python: hypercorn in front, aiohttp behind.

`python hypercorn_relay.py PORT ORIGIN CERTIFICATE KEY LOG`
"""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HOP_BY_HOP = (b"connection", b"keep-alive", b"transfer-encoding")


class Relay:
    """An ASGI application that sends each piece on as it comes."""

    def __init__(self, session: aiohttp.ClientSession, origin: int) -> None:
        self.session = session
        self.url = f"http://127.0.0.1:{origin}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            forward = asyncio.ensure_future(self.forward(scope, send))
            leave = asyncio.ensure_future(left(receive))
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait((forward, leave), return_when=first)
            forward.cancel()
            leave.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await forward

    async def forward(self, scope: Message, send: Send) -> None:
        url = self.url + scope["raw_path"].decode()
        async with self.session.request(scope["method"], url) as answer:
            headers = [
                (name.lower(), value)
                for name, value in answer.raw_headers
                if name.lower() not in HOP_BY_HOP
            ]
            kind = "http.response.start"
            await send({"type": kind, "status": answer.status, "headers": headers})
            async for piece in answer.content.iter_any():
                await send(
                    {"type": "http.response.body", "body": piece, "more_body": True}
                )
            await send({"type": "http.response.body", "body": b""})


async def left(receive: Receive) -> None:
    """Until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def main(port: int, origin: int, certificate: str, key: str, log: str) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = certificate, key
    config.accesslog = log
    config.keep_alive_max_requests = 1_000_000  # a connection ends after 1,000 else
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),
        connector=aiohttp.TCPConnector(limit=0),
        auto_decompress=False,
    )
    await serve(cast("Any", Relay(session, origin)), config)


uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
