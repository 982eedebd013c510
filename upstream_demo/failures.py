"""Upstreams that fail: in mid-stream, before the head, or by silence.

Each fault is made on the connection itself, below HTTP, so that what a proxy
sees is what a dying process or a lost network shows it.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from upstream_demo.parameters import seconds, whole_number
from upstream_demo.streams import (
    EVENT_STREAM,
    PAUSE,
    TALLY,
    Progress,
    break_connection,
    start_stream,
)
from upstream_demo.texts import LAST_EVENT, event_bytes, read_interval

# Linger on, for 0 s: closing then sends a reset in place of a FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def die(request: web.Request) -> web.StreamResponse:
    """`GET /faults/die`: close in mid-stream; the last chunk never comes."""
    with request.app[TALLY].follow(request) as progress:
        response = await send_some(request, progress, default_after=3)
    break_connection(request)
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """`GET /faults/reset`: as `die`, with a reset instead of a close."""
    with request.app[TALLY].follow(request) as progress:
        response = await send_some(request, progress, default_after=3)
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    break_connection(request)
    return response


async def stall(request: web.Request) -> web.StreamResponse:
    """`GET /faults/stall`: go silent in mid-stream until the client leaves."""
    with request.app[TALLY].follow(request) as progress:
        response = await send_some(request, progress, default_after=1)
        await asyncio.Event().wait()
    return response


async def send_late_head(request: web.Request) -> web.StreamResponse:
    """`GET /faults/late`: nothing at all for a while, then a short stream."""
    delay = seconds(request, "seconds", default=2, most=3600)
    with request.app[TALLY].follow(request):
        await request.app[PAUSE](delay)
        response = await start_stream(request, EVENT_STREAM)
        await response.write(event_bytes(1) + LAST_EVENT)
        await response.write_eof()
    return response


async def refuse(request: web.Request) -> web.StreamResponse:
    """`GET /faults/refuse`: close the connection instead of answering."""
    break_connection(request)
    return web.Response()


async def send_some(
    request: web.Request, progress: Progress, *, default_after: int
) -> web.StreamResponse:
    """Send the head and `after` events, all of them handed to the network."""
    after = whole_number(request, "after", default=default_after, least=0, most=100_000)
    interval = read_interval(request)
    response = await start_stream(request, EVENT_STREAM)
    if request.transport is not None:
        # Breaking the connection drops what waits in the process: let nothing.
        request.transport.set_write_buffer_limits(high=0)
    for number in range(1, after + 1):
        await request.app[PAUSE](interval)
        await response.write(event_bytes(number))
        progress.sent += 1
    await request.writer.drain()
    return response
