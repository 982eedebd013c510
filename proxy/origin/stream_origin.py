"""An upstream that a test scripts, event by event, in lock-step with its client.

    async with StreamOrigin() as origin:
        # a client asks for origin.url + "/events"
        request = await origin.request("/events")
        await request.respond()
        await request.send_event("one")
        # the client has it; then
        await request.send_event("two")
        request.cut()

Nothing is sent that the script does not send. Each wait has a limit, so that a test
whose client does not do what was expected fails, and says what was asked instead.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from proxy.errors import ProxyError
from proxy.http1.head import RequestHead, parse_response_head
from proxy.http1.head_text import head_bytes
from proxy.origin.origin_connection import Answerer, OriginConnection, framing_of
from proxy.origin.origin_listener import OriginListener
from proxy.origin.origin_request import OriginRequest
from proxy.origin.response_text import (
    ENDS,
    EVENT_STREAM,
    AnswerEnd,
    AnswerFraming,
    FixedAnswer,
    response_fields,
    status_line,
)
from proxy.origin.script_values import (
    ScriptError,
    TextFields,
    body_bytes,
    final_status,
    is_number,
    one_of,
    path_asked,
    wrong,
)

GUARD_SECONDS = 5.0  # of each wait; a test in lock-step takes milliseconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Awaited:
    """A call of `request` that waits."""

    path: str | None
    whole: bool
    found: asyncio.Future[OriginRequest]

    def takes(self, request: OriginRequest) -> bool:
        """Does it wait for this one?"""
        return (request.is_complete or not self.whole) and (
            self.path is None
            or self.path == (request.target if "?" in self.path else request.path)
        )


class StreamOrigin(OriginListener):
    """An upstream whose answers are scripted; an asynchronous context manager.

    `guard_seconds` limits each wait; with 0 only what is there already is found.
    `requests` has all that came.

    Raises:
        ValueError: `guard_seconds` is not a number of 0 or more.
    """

    def __init__(self, *, guard_seconds: float = GUARD_SECONDS) -> None:
        super().__init__()
        if not is_number(guard_seconds) or not 0 <= guard_seconds < math.inf:
            raise ValueError(
                "guard_seconds: expected a finite number of 0 or more, got "
                f"{guard_seconds!r}"
            )
        self.guard_seconds = guard_seconds
        self.requests: list[OriginRequest] = []
        self.waiting: deque[OriginRequest] = deque()  # nobody has taken them yet
        self.awaited: list[Awaited] = []
        self.answers: dict[str, FixedAnswer] = {}

    def answer(
        self,
        path: str,
        pieces: Sequence[bytes | str] = (),
        *,
        status: int = 200,
        fields: TextFields = (),
        content_type: str = EVENT_STREAM,
        framing: AnswerFraming = "chunked",
        end: AnswerEnd = "complete",
        reason: str | None = None,
    ) -> None:
        """Always answer a path so once its request is complete, without a script.

        Each piece is one write. A path with a `?` is compared with its query.

        Raises:
            ScriptError: an argument cannot be sent.
        """
        path_asked("answer", path)
        one_of("answer", "end", end, ENDS)
        if isinstance(pieces, str | bytes):
            raise wrong("answer", "pieces", "a list of pieces", pieces)
        sent = [body_bytes("answer", "pieces", each) for each in pieces]
        status = final_status("answer", status)
        length = sum(map(len, sent))
        head = response_fields("answer", status, fields, content_type, framing, length)
        line = status_line("answer", status, reason)
        try:
            framing_of(parse_response_head(head_bytes(line, head)), b"GET")
        except ProxyError as fault:
            raise ScriptError(f"answer(): {fault}") from None
        self.answers[path] = FixedAnswer(line, head, sent, end)

    async def request(
        self, path: str | None = None, *, whole: bool = True
    ) -> OriginRequest:
        """The next request, or the next one for a path.

        A path with a `?` is compared with its query. Without `whole` it is handed out
        as soon as its head is there, so that it can be answered before its body.

        Raises:
            TimeoutError: says what was asked instead.
            ScriptError: nobody is handed requests for this path, which have an answer,
                or no request can have it.
        """
        if path is not None:
            path_asked("request", path)
        call = Awaited(path, whole, asyncio.get_running_loop().create_future())
        for request in self.waiting:
            if call.takes(request):
                self.waiting.remove(request)
                return request
        if path is not None and self.fixed(path) is not None:
            raise ScriptError(f"request(): answer() is what answers {path}")
        self.awaited.append(call)
        try:
            where = "" if path is None else f" for {path}"
            return await self.guarded(self.result(call), f"no request came{where}")
        except BaseException:
            if call.found.done() and not call.found.cancelled():
                self.waiting.appendleft(call.found.result())
            raise
        finally:
            self.awaited.remove(call)

    async def stream(
        self,
        path: str | None = None,
        fields: TextFields = (),
        *,
        content_type: str = EVENT_STREAM,
    ) -> OriginRequest:
        """The next request, whose response has begun: `request()`, then `respond()`."""
        request = await self.request(path)
        await request.respond(fields=fields, content_type=content_type)
        return request

    async def result(self, call: Awaited) -> OriginRequest:
        return await call.found

    async def guarded(self, wait: Coroutine[Any, Any, T], missing: str) -> T:
        """Wait for something, but not for ever.

        Raises:
            TimeoutError: says what is missing, and what nobody has taken.
        """
        try:
            async with asyncio.timeout(self.guard_seconds):
                return await wait
        except TimeoutError:
            others = ", ".join(map(self.described, self.waiting)) or "none"
            raise TimeoutError(
                f"{missing} within {self.guard_seconds:g} s; requests that wait to be "
                f"taken: {others}"
            ) from None

    def described(self, request: OriginRequest) -> str:
        return f"{request}{'' if request.is_complete else ' (body not complete)'}"

    # -- called by connections and requests

    def answerer(self, connection: OriginConnection, head: RequestHead) -> Answerer:
        request = OriginRequest(self, connection)
        self.requests.append(request)
        return request

    def arrived(self, request: OriginRequest) -> None:
        """The head of a request is there."""
        request.fixed = self.fixed(request.target)
        if request.fixed is None:
            self.waiting.append(request)
            self.offer(request)

    def fixed(self, target: str) -> FixedAnswer | None:
        return self.answers.get(target) or self.answers.get(target.partition("?")[0])

    def offer(self, request: OriginRequest) -> None:
        """Hand a request to who waits for it."""
        if request not in self.waiting:
            return
        for call in self.awaited:
            if call.takes(request) and not call.found.done():
                self.waiting.remove(request)
                call.found.set_result(request)
                return
