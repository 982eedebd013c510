"""What every streaming handler shares: its start, its clock, its account.

An application keeps a `Tally`: how many streams are open and how many clients
left before the end. `GET /status` shows it, so that a stop in the browser can
be seen to have reached the upstream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import HttpVersion11, web

logger = logging.getLogger("upstream_demo")

# Waits that many seconds. Injected: a test decides when the next event is due.
Pause: TypeAlias = Callable[[float], Awaitable[None]]
PAUSE: web.AppKey[Pause] = web.AppKey("pause")

EVENT_STREAM = "text/event-stream;charset=utf-8"


@dataclass(eq=False)
class Progress:
    """How much of one stream has gone out; the handler counts."""

    request: web.Request
    sent: int = 0


class Tally:
    """Streams of one service since its start."""

    def __init__(self) -> None:
        self.left_early = 0
        self._open: set[Progress] = set()
        self._stopping = False

    @contextmanager
    def follow(self, request: web.Request, unit: str = "events") -> Iterator[Progress]:
        """Count a stream as open; log and count a client that leaves inside."""
        progress = Progress(request)
        self._open.add(progress)
        try:
            yield progress
        except (asyncio.CancelledError, ConnectionError):
            if has_left(request) and not self._stopping:
                self.left_early += 1
                logger.info(
                    "client left after %d %s (%s %s)",
                    progress.sent,
                    unit,
                    request.method,
                    request.path,
                )
            raise
        finally:
            self._open.discard(progress)

    def status(self) -> dict[str, int]:
        return {"open_streams": len(self._open), "left_early": self.left_early}

    async def break_streams(self, app: web.Application) -> None:
        """At a stop of the service: no open stream may look complete."""
        self._stopping = True
        for progress in tuple(self._open):
            break_connection(progress.request)


TALLY = web.AppKey("tally", Tally)


def create_tally(app: web.Application) -> Tally:
    """A tally of streams that end with the service."""
    tally = Tally()
    app.on_shutdown.append(tally.break_streams)
    return tally


def has_left(request: web.Request) -> bool:
    """Whether the client's connection is gone."""
    return request.transport is None or request.transport.is_closing()


def local_address(request: web.Request) -> tuple[str, int]:
    """Host and port that the client came to."""
    if request.transport is None:
        raise ConnectionResetError("the client left before its request was read")
    host, port = request.transport.get_extra_info("sockname")[:2]
    return host, port


def break_connection(request: web.Request) -> None:
    """Close the connection as it is; what was written is with the network."""
    if request.transport is not None:
        request.transport.abort()


async def start_stream(
    request: web.Request,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> web.StreamResponse:
    """Send the head of a response whose body comes later."""
    response = web.StreamResponse(
        status=status,
        headers={
            "Content-Type": content_type,
            "Cache-Control": "no-cache",
            "Connection": "keep-alive",
            **(headers or {}),
        },
    )
    await send_head(request, response)
    return response


async def send_head(request: web.Request, response: web.StreamResponse) -> None:
    if request.version < HttpVersion11:
        # Without chunks only the end of the connection ends the body, and
        # aiohttp would keep one open whose client asked for keep-alive.
        response.force_close()
    await response.prepare(request)


async def report_status(request: web.Request) -> web.Response:
    """`GET /status`."""
    return web.json_response(
        request.app[TALLY].status(), headers={"Cache-Control": "no-store"}
    )
