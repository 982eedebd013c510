"""An upload that tells how far it is while its body still arrives.

The response streams one way and the request the other at the same time: a
proxy that collects either of them shows.
"""

from __future__ import annotations

import hashlib

from aiohttp import web

from upstream_demo.error_response import json_text
from upstream_demo.streams import TALLY, start_stream

STEP = 64 * 1024  # bytes read at most between two lines, and held in memory


async def receive_upload(request: web.Request) -> web.StreamResponse:
    """`POST /upload`: a line per step or pause of the body, then its digest."""
    digest = hashlib.sha256()
    received = 0
    with request.app[TALLY].follow(request, "progress lines") as progress:
        response = await start_stream(request, "application/x-ndjson")
        while piece := await request.content.read(STEP):
            digest.update(piece)
            received += len(piece)
            # A client that sends all before it reads would never get to its
            # end if we waited for it here: it gets fewer lines instead.
            if not output_waits(request):
                await response.write(line({"received": received}))
                progress.sent += 1
        await response.write(
            line({"received": received, "sha256": digest.hexdigest(), "complete": True})
        )
        await response.write_eof()
    return response


def output_waits(request: web.Request) -> bool:
    """Whether bytes of the response are still here, since the client is slow."""
    transport = request.transport
    return transport is not None and transport.get_write_buffer_size() > 0


def line(values: dict[str, object]) -> bytes:
    return f"{json_text(values)}\n".encode()
