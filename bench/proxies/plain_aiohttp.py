"""The proxy that anybody writes first: aiohttp in front, aiohttp behind.

The baseline: one task wake-up per piece. `python plain_aiohttp.py PORT ORIGIN`
"""

import asyncio
import logging
import sys

import aiohttp
import uvloop
from aiohttp import web


async def main(port: int, origin: int) -> None:
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),
        connector=aiohttp.TCPConnector(limit=0),
        auto_decompress=False,
    )

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        url = f"http://127.0.0.1:{origin}{request.rel_url}"
        async with session.request(request.method, url) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            response.content_length = answer.content_length
            if coding := answer.headers.get("Content-Encoding"):
                response.headers["Content-Encoding"] = coding
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    runner = web.ServerRunner(web.Server(forward))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
