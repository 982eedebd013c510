"""The response lessons: what `write`, `end`, `send` and `json` do.

One path per lesson; the handler is the lesson, meant to be read next to its
answer. A lesson whose mistake comes after the end of its body cannot show it
there: `GET /errors` has the last ones.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias, cast

from aiohttp import web

from upstream_demo.error_response import answer_refusals
from upstream_demo.response import LessonError, Response
from upstream_demo.streams import TALLY, create_tally, report_status

logger = logging.getLogger("upstream_demo")

Errors: TypeAlias = deque[dict[str, str]]
ERRORS: web.AppKey[Errors] = web.AppKey("errors")
ERRORS_KEPT = 20


async def write_list(response: Response) -> None:
    await response.write("<h1>你好</h1>")
    await response.write("<ul>")
    for text in ("write", "end", "send", "json"):
        await response.write(f"<li>{text}</li>")
    await response.write("</ul>")
    await response.end()


async def write_text(response: Response) -> None:
    await response.write("one, ")
    await response.write("two, ")
    await response.write("three")
    await response.end()


async def write_bytes(response: Response) -> None:
    # A character may be cut between two pieces: the body is one.
    first, second = "好".encode()[:1], "好".encode()[1:]
    await response.write("你".encode())
    await response.write(first)
    await response.write(second)
    await response.end()


async def write_number(response: Response) -> None:
    await response.write(cast("Any", 8888))
    await response.end()


async def write_without_end(response: Response) -> None:
    await response.write("you are still waiting")


async def end_with_text(response: Response) -> None:
    await response.end("end can send a last piece")


async def end_twice(response: Response) -> None:
    await response.write("this body ends once")
    await response.end()
    await response.end()


async def write_after_end(response: Response) -> None:
    await response.end("this body is complete")
    await response.write("and this comes too late")


async def send_text(response: Response) -> None:
    await response.send("<b>text</b> is sent as HTML")


async def send_bytes(response: Response) -> None:
    await response.send(b"bytes are sent as they are")


async def send_list(response: Response) -> None:
    await response.send([1, "two", {"three": 3}])


async def send_object(response: Response) -> None:
    await response.send({"name": "yy", "says": "你好"})


async def send_number(response: Response) -> None:
    await response.send(cast("Any", 8888))


async def send_after_write(response: Response) -> None:
    await response.write("written first; ")
    await response.send({"sent": "second"})


async def send_json(response: Response) -> None:
    await response.json(8888)


@dataclass(frozen=True)
class Lesson:
    path: str
    claim: str
    run: Callable[[Response], Awaitable[None]]


LESSONS = (
    Lesson(
        "list", "several writes form one body, in order; HTML is rendered", write_list
    ),
    Lesson("write", "three writes of text", write_text),
    Lesson("bytes", "bytes also work, split anywhere", write_bytes),
    Lesson(
        "number", "a number is an error: only text and bytes are allowed", write_number
    ),
    Lesson("wait", "write without end: the client waits", write_without_end),
    Lesson("end", "end can send a last piece", end_with_text),
    Lesson("end-twice", "a second end is an error", end_twice),
    Lesson("write-after-end", "a write after end is an error", write_after_end),
    Lesson("send/text", "send with text: text/html", send_text),
    Lesson("send/bytes", "send with bytes: application/octet-stream", send_bytes),
    Lesson("send/list", "send with a list: JSON", send_list),
    Lesson("send/object", "send with an object: JSON", send_object),
    Lesson("send/number", "send with a number is an error", send_number),
    Lesson("send-after-write", "send must be the whole response", send_after_write),
    Lesson("json", "json accepts any value, even a number", send_json),
)


def give(lesson: Lesson) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that runs `lesson` and shows its mistake, if it makes one."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = Response(request)
        with request.app[TALLY].follow(request, "complete responses"):
            try:
                await lesson.run(response)
            except LessonError as error:
                logger.warning("GET /%s: %s", lesson.path, error)
                request.app[ERRORS].append(
                    {"lesson": f"/{lesson.path}", "error": str(error)}
                )
                await response.explain(error)
            return await response.wait_ended()

    return handle


async def show_index(request: web.Request) -> web.StreamResponse:
    """`GET /`: links without a leading slash, to work behind a prefix too."""
    rows = "\n".join(
        f'<li><a href="{each.path}">/{each.path}</a>: {escape(each.claim)}</li>'
        for each in LESSONS
    )
    response = Response(request)
    await response.send(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        "<title>Response lessons</title><h1>Response lessons</h1>"
        f'<ul>\n{rows}\n<li><a href="errors">/errors</a>: mistakes that came '
        "too late for their own body</li>\n</ul></html>\n"
    )
    return await response.wait_ended()


async def show_errors(request: web.Request) -> web.StreamResponse:
    """`GET /errors`: the latest last."""
    response = Response(request)
    errors: Errors = request.app[ERRORS]
    await response.send(list(errors))
    return await response.wait_ended()


def create_lessons_app() -> web.Application:
    """The service on port 3002."""
    app = web.Application(middlewares=[answer_refusals])
    app[TALLY] = create_tally(app)
    errors: Errors = deque(maxlen=ERRORS_KEPT)
    app[ERRORS] = errors
    app.router.add_get("/", show_index, allow_head=False)
    app.router.add_get("/errors", show_errors, allow_head=False)
    app.router.add_get("/status", report_status)
    for lesson in LESSONS:
        app.router.add_get(f"/{lesson.path}", give(lesson), allow_head=False)
    return app
