"""The event service: six texts, one a second, to any number of clients.

`GET /events` is the tutorial's service to the byte; its parameters add what is
needed to try a proxy: longer streams, compressed ones, held ones, resumed ones.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from upstream_demo import echo, failures, upload
from upstream_demo.compression import CODINGS, create_encoder
from upstream_demo.error_response import Refusal, answer_refusals
from upstream_demo.parameters import choice, flag, parse_whole_number, whole_number
from upstream_demo.streams import (
    EVENT_STREAM,
    PAUSE,
    TALLY,
    Pause,
    Progress,
    create_tally,
    report_status,
    start_stream,
)
from upstream_demo.texts import LAST_EVENT, TEXTS, event_bytes, read_interval


@dataclass(frozen=True)
class EventPlan:
    """What one client asked for. `after`: the id of the last event it has."""

    count: int
    interval_seconds: float
    coding: str
    hold: bool
    ids: bool
    after: int


def read_plan(request: web.Request) -> EventPlan:
    ids = flag(request, "ids")
    return EventPlan(
        count=whole_number(request, "count", default=len(TEXTS), least=1, most=100_000),
        interval_seconds=read_interval(request),
        coding=choice(request, "compress", CODINGS, default=""),
        hold=flag(request, "hold"),
        ids=ids,
        after=read_last_event_id(request) if ids else 0,
    )


def read_last_event_id(request: web.Request) -> int:
    # An empty id means that there is none (WHATWG HTML §9.2.4).
    text = request.headers.get("Last-Event-ID") or "0"
    last = parse_whole_number(text)
    if last is None:
        raise Refusal(
            400,
            f"Last-Event-ID is {text[:80]!r}: it must be an event id of this "
            "stream, an integer",
            param="Last-Event-ID",
        )
    return last


async def stream_events(request: web.Request) -> web.StreamResponse:
    """`GET /events`."""
    plan = read_plan(request)
    pause = request.app[PAUSE]
    if request.method == "HEAD":
        return await start_stream(request, EVENT_STREAM, coding_fields(plan))
    with request.app[TALLY].follow(request) as progress:
        if plan.hold:
            return await send_held(request, plan, pause)
        return await send_at_once(request, plan, pause, progress)


async def send_at_once(
    request: web.Request, plan: EventPlan, pause: Pause, progress: Progress
) -> web.StreamResponse:
    encoder = create_encoder(plan.coding)
    response = await start_stream(request, EVENT_STREAM, coding_fields(plan))
    for number in range(plan.after + 1, plan.count + 1):
        await pause(plan.interval_seconds)
        await response.write(encoder.encode(event_bytes(number, with_id=plan.ids)))
        progress.sent += 1
    await response.write(encoder.encode(LAST_EVENT))
    await response.write(encoder.finish())
    await response.write_eof()
    return response


async def send_held(
    request: web.Request, plan: EventPlan, pause: Pause
) -> web.StreamResponse:
    """Write all events into a buffer, then send head and body as one."""
    body = bytearray()
    for number in range(plan.after + 1, plan.count + 1):
        await pause(plan.interval_seconds)
        body += event_bytes(number, with_id=plan.ids)
    encoder = create_encoder(plan.coding)
    coded = encoder.encode(bytes(body) + LAST_EVENT) + encoder.finish()
    response = await start_stream(
        request,
        EVENT_STREAM,
        {**coding_fields(plan), "Content-Length": str(len(coded))},
    )
    await response.write(coded)
    return response


def coding_fields(plan: EventPlan) -> dict[str, str]:
    return {"Content-Encoding": plan.coding} if plan.coding else {}


def create_events_app(*, pause: Pause = asyncio.sleep) -> web.Application:
    """The service on port 8002, with the echo, the upload and the faults."""
    app = web.Application(middlewares=[answer_refusals])
    app[PAUSE] = pause
    app[TALLY] = create_tally(app)
    app.router.add_get("/events", stream_events)
    app.router.add_get("/status", report_status)
    app.router.add_get("/echo", echo.echo_messages, allow_head=False)
    app.router.add_post("/upload", upload.receive_upload)
    app.router.add_get("/faults/die", failures.die, allow_head=False)
    app.router.add_get("/faults/reset", failures.reset, allow_head=False)
    app.router.add_get("/faults/stall", failures.stall, allow_head=False)
    app.router.add_get("/faults/late", failures.send_late_head, allow_head=False)
    app.router.add_get("/faults/refuse", failures.refuse, allow_head=False)
    return app
