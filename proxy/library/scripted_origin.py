"""A scripted upstream on the loop of another thread, for tests of any kind.

What is called here begins there, in the order of the calls. A test awaits it, or asks
for its result, or goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from proxy.library.loop_thread import LoopThread
from proxy.library.pending import Pending
from proxy.origin.origin_request import OriginRequest
from proxy.origin.response_text import EVENT_STREAM, AnswerEnd, AnswerFraming
from proxy.origin.script_values import TextFields
from proxy.origin.stream_origin import StreamOrigin

T = TypeVar("T")


class ScriptThread(LoopThread):
    """The thread of a test: knows what was begun, and what failed unnoticed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.begun: list[Pending[Any]] = []

    def begin(
        self, what: str, function: Callable[[], Coroutine[Any, Any, T]]
    ) -> Pending[T]:
        pending = super().begin(what, function)
        self.begun = [each for each in self.begun if not each.is_settled]
        self.begun.append(pending)
        return pending

    def stop(self) -> None:
        """End it, and raise what nobody has asked for.

        Raises:
            ExceptionGroup: what calls of the test raised that it did not await.
        """
        super().stop()
        begun, self.begun = self.begun, []
        missed = [each.missed for each in begun]
        errors = [error for error in missed if isinstance(error, Exception)]
        if errors:
            raise ExceptionGroup("what the script did not await has failed", errors)


class ScriptedRequest:
    """A request that has come to `stream_origin`, and the way to answer it.

    Attributes:
        method: of the request.
        target: path and query.
        path: without the query.
        query: without the question mark.
        fields: names and values, as they were sent.
    """

    def __init__(self, thread: LoopThread, request: OriginRequest) -> None:
        self._thread = thread
        self._request = request
        self._turn = asyncio.Lock()  # of what is sent; it is given in order
        self.method = request.method
        self.target = request.target
        self.path = request.path
        self.query = request.query
        self.fields = request.fields

    def __repr__(self) -> str:
        return f"<ScriptedRequest {self.method} {self.target}>"

    def field(self, name: str) -> str | None:
        """The value of a field; the values of several are joined by commas."""
        return self._request.field(name)

    @property
    def body(self) -> bytes:
        """What has come of the body: all of it, after `request()`."""
        return self._request.body

    @property
    def gone(self) -> bool:
        """Has the client closed the connection?"""
        return self._request.gone

    def respond(
        self,
        status: int = 200,
        fields: TextFields = (),
        *,
        content_type: str = EVENT_STREAM,
        framing: AnswerFraming = "chunked",
        length: int | None = None,
        reason: str | None = None,
    ) -> Pending[None]:
        """Send the head of the response: of an event stream, if nothing else is said.

        A response without a body, as of 204, ends with it.
        `length` is the Content-Length of the framing "length"; with "close" the body
        ends with the connection. 101 agrees to the upgrade that the client asks for.
        `reason` is the text behind the status; None: the usual one.

        The result fails with ScriptError if an argument cannot be sent.
        """
        return self._send(
            "respond",
            lambda: self._request.respond(
                status,
                fields,
                content_type=content_type,
                framing=framing,
                length=length,
                reason=reason,
            ),
        )

    def send_interim(self, status: int = 103, fields: TextFields = ()) -> Pending[None]:
        """Send an interim response (1xx) before the response."""
        return self._send(
            "send_interim", lambda: self._request.send_interim(status, fields)
        )

    def send_event(
        self,
        data: object,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
    ) -> Pending[None]:
        """Send one event, in one write. What is not text is sent as JSON."""
        return self._send(
            "send_event", lambda: self._request.send_event(data, event, id, retry)
        )

    def send(self, data: bytes | str) -> Pending[None]:
        """Send bytes as one piece, in one write; text in UTF-8."""
        return self._send("send", lambda: self._request.send(data))

    def finish(self, trailers: TextFields = ()) -> Pending[None]:
        """End the response as it is framed: complete."""
        return self._end("finish", lambda: self._request.finish(trailers))

    def cut(self) -> Pending[None]:
        """Close the connection (FIN), wherever the response is."""
        return self._end("cut", self._request.cut)

    def reset(self) -> Pending[None]:
        """Reset the connection, once the kernel has what was sent."""
        return self._end("reset", self._request.reset)

    def receive(self) -> Pending[bytes]:
        """The next bytes from the client: of the body or a tunnel; b"" at its end."""
        return self._thread.begin("receive", self._request.receive)

    def left(self) -> Pending[None]:
        """Wait until the client has closed the connection."""
        return self._thread.begin("left", self._request.left)

    def _send(
        self, what: str, function: Callable[[], Coroutine[Any, Any, None]]
    ) -> Pending[None]:
        async def send() -> None:
            async with self._turn:
                await function()

        return self._thread.begin(what, send)

    def _end(self, what: str, function: Callable[[], None]) -> Pending[None]:
        async def end() -> None:
            async with self._turn:
                function()

        return self._thread.begin(what, end)


class ScriptedOrigin:
    """The fixture `stream_origin`: an upstream that a test scripts, event by event.

    Nothing is sent that the test does not send. What a call returns can be awaited, or
    waited for by `result()`; what fails unnoticed fails the test at its end.
    """

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._origin = StreamOrigin()
        self._known: dict[OriginRequest, ScriptedRequest] = {}

    def __repr__(self) -> str:
        return f"<ScriptedOrigin {self.url}>"

    def start(self) -> None:
        """Listen; the fixture does so."""
        self._thread.begin("start", self._origin.start).result()

    def stop(self) -> None:
        """Close the port and all connections; the fixture does so."""
        self._thread.begin("stop", self._origin.stop).result()

    @property
    def guard_seconds(self) -> float:
        """How long `request()` and other waits last until they fail: 5, or as set."""
        return self._origin.guard_seconds

    @guard_seconds.setter
    def guard_seconds(self, seconds: float) -> None:
        self._origin.guard_seconds = seconds

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self._origin.url

    @property
    def port(self) -> int:
        """Its port, on 127.0.0.1."""
        return self._origin.port

    def request(
        self, path: str | None = None, *, whole: bool = True
    ) -> Pending[ScriptedRequest]:
        """The next request, or the next one for a path.

        A path with a `?` is compared with its query. Without `whole` it is handed out
        as soon as its head is there. The result fails after `guard_seconds` and says
        what was asked instead.
        """

        async def request() -> ScriptedRequest:
            return self._face(await self._origin.request(path, whole=whole))

        return self._thread.begin("request", request)

    def stream(
        self,
        path: str | None = None,
        fields: TextFields = (),
        *,
        content_type: str = EVENT_STREAM,
    ) -> Pending[ScriptedRequest]:
        """The next request, of which the response head is sent as soon as it comes.

        Call it before a client that waits for the head: no thread or task is needed.
        """

        async def stream() -> ScriptedRequest:
            request = await self._origin.stream(path, fields, content_type=content_type)
            return self._face(request)

        return self._thread.begin("stream", stream)

    @property
    def requests(self) -> list[ScriptedRequest]:
        """All that came, the oldest first."""

        def requests() -> list[ScriptedRequest]:
            return [self._face(each) for each in self._origin.requests]

        return self._thread.call("requests", requests)

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
        """
        self._thread.call(
            "answer",
            lambda: self._origin.answer(
                path,
                pieces,
                status=status,
                fields=fields,
                content_type=content_type,
                framing=framing,
                end=end,
                reason=reason,
            ),
        )

    def _face(self, request: OriginRequest) -> ScriptedRequest:
        known = self._known.get(request)
        if known is None:
            known = self._known[request] = ScriptedRequest(self._thread, request)
        return known
