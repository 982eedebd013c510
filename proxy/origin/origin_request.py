"""A request that has come to a scripted upstream, and the way to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head_text import head_bytes
from proxy.origin.origin_connection import SWITCHING, OriginConnection
from proxy.origin.response_text import (
    EVENT_STREAM,
    AnswerFraming,
    FixedAnswer,
    event_bytes,
    response_fields,
    status_line,
)
from proxy.origin.script_values import (
    ScriptError,
    TextFields,
    body_bytes,
    final_status,
    head_fields,
    interim_status,
)

T = TypeVar("T")


class RequestOwner(Protocol):
    """The origin to which a request has come."""

    def arrived(self, request: OriginRequest) -> None:
        """Its head is there."""

    def offer(self, request: OriginRequest) -> None:
        """All of it is there."""

    async def guarded(self, wait: Coroutine[Any, Any, T], missing: str) -> T:
        """Wait, but not for ever."""


class OriginRequest:
    """A request that has come, and the way to answer it.

    `body` is what is there of it: `StreamOrigin.request` waits for all of it, unless it
    is called with `whole=False`.
    """

    def __init__(self, origin: RequestOwner, connection: OriginConnection) -> None:
        head = connection.request
        assert head is not None
        self.method = head.method.decode("latin-1")
        self.target = head.target.decode("latin-1")
        self.path, _, self.query = self.target.partition("?")
        self.fields = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in head.fields
        ]
        self.body = b""
        self.is_complete = False  # has all of it come?
        self.origin = origin
        self.connection = connection
        self.news = asyncio.Event()  # bytes came, or the client read on, or has gone
        self.taken = 0  # bytes of `body` that `receive` has handed out
        self.at_end = False  # nothing more comes from the client
        self.responded = False
        self.fixed: FixedAnswer | None = None  # where the test has no script
        self.has_body = True  # does the response?
        self.ended = False

    def __repr__(self) -> str:
        return f"{self.method} {self.target}"

    def field(self, name: str) -> str | None:
        """The value of a field; the values of several are joined by commas."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    # -- called by the connection

    def begin(self) -> None:
        self.connection.send_continue()
        self.origin.arrived(self)

    def piece(self, data: bytes) -> None:
        self.body += data
        self.news.set()

    def complete(self) -> None:
        self.is_complete = True
        self.at_end = self.connection.framing != "tunnel"
        self.news.set()
        if self.fixed is not None:
            self.answer_fixed(self.fixed)
        self.origin.offer(self)

    def half_closed(self) -> None:
        self.at_end = True
        self.news.set()

    def ready(self) -> None:
        self.news.set()

    def client_left(self) -> None:
        self.at_end = True
        self.news.set()

    # -- the request

    async def whole_body(self) -> bytes:
        """The body of the request, once it is complete."""
        while not self.is_complete:
            if self.gone:
                raise ScriptError(f"the client left before {self} was complete")
            await self.something("the request body is not complete")
        return self.body

    async def receive(self) -> bytes:
        """The next bytes from the client: of the request body, or in a tunnel.

        Nothing once there are no more.
        """
        while len(self.body) == self.taken and not self.at_end:
            await self.something("no bytes came from the client")
        data = self.body[self.taken :]
        self.taken = len(self.body)
        return data

    @property
    def gone(self) -> bool:
        """Has the client closed the connection?"""
        return self.connection.gone

    async def left(self) -> None:
        """Wait until the client has closed the connection."""
        await self.origin.guarded(
            self.connection.departed.wait(), f"the client of {self} has not left"
        )

    async def something(self, missing: str) -> None:
        """Wait for what the connection tells next."""
        self.news.clear()
        await self.origin.guarded(self.news.wait(), f"{self}: {missing}")

    # -- the answer

    async def send_interim(self, status: int = 103, fields: TextFields = ()) -> None:
        """Send an interim response (1xx), as often as wanted before the response."""
        call = "send_interim"
        self.check(call, begun=False)
        line = status_line(call, interim_status(call, status))
        sent = head_fields(call, "fields", fields)
        self.connection.send_interim(head_bytes(line, sent))
        await self.drained()

    async def respond(
        self,
        status: int = 200,
        fields: TextFields = (),
        *,
        content_type: str = EVENT_STREAM,
        framing: AnswerFraming = "chunked",
        length: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Send the head of the response; one without a body, as of 204, ends with it.

        `length` is the Content-Length of the framing "length"; with "close" the body
        ends with the connection. 101 agrees to the protocol for which the client asks,
        and answers its key; from then on `send` and `receive` are a tunnel. `reason`
        is the text behind the status; None: the usual one.

        Raises:
            ScriptError: an argument cannot be sent, such as a field with a line end.
        """
        call = "respond"
        self.check(call, begun=False)
        if status == SWITCHING:
            sent = [*switch_fields(self), *head_fields(call, "fields", fields)]
        else:
            status = final_status(call, status)
            sent = response_fields(call, status, fields, content_type, framing, length)
        line = status_line(call, status, reason)
        try:
            body = self.connection.send_head(line, sent)
        except ProxyError as fault:
            raise ScriptError(f"respond(): {fault}") from None
        self.responded = True
        if body == "none":
            self.has_body = False
            self.finish()
        if status == SWITCHING:
            self.at_end = self.gone
        await self.drained()

    async def send_event(
        self,
        data: object,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
    ) -> None:
        """Send one event, in one write. What is not text is sent as JSON."""
        await self.send(event_bytes(data, event, id, retry))

    async def send(self, data: bytes | str) -> None:
        """Send bytes as one piece, in one write; text in UTF-8."""
        if not self.has_body:
            raise ScriptError(f"send(): the response to {self} has no body")
        self.check("send")
        self.connection.send_piece(body_bytes("send", "data", data))
        await self.drained()

    def finish(self, trailers: TextFields = ()) -> None:
        """End the response as it is framed: complete."""
        sent = head_fields("finish", "trailers", trailers)
        if self.ended and not self.has_body:
            return
        self.check("finish")
        if self.connection.framing == "length" and self.connection.remaining > 0:
            raise ScriptError(
                f"finish(): {self.connection.remaining} bytes of the Content-Length "
                "are missing; cut() ends a response before it is complete"
            )
        self.ended = True
        self.connection.finish(sent)

    def cut(self) -> None:
        """Send FIN, wherever the response is."""
        self.check("cut", begun=None)
        self.ended = True
        self.connection.fin()

    def reset(self) -> None:
        """Reset the connection, once the kernel has what was sent."""
        self.check("reset", begun=None)
        self.ended = True
        self.connection.reset()

    async def drained(self) -> None:
        """Wait while the client does not read what waits for it."""
        while self.connection.blocked and not self.gone:
            await self.something("the client does not read")

    def answer_fixed(self, fixed: FixedAnswer) -> None:
        """All of the answer at once."""
        self.responded = self.ended = True
        self.connection.send_head(fixed.line, fixed.fields)
        for piece in fixed.pieces:
            self.connection.send_piece(piece)
        if fixed.end == "complete":
            self.connection.finish([])
        elif fixed.end == "fin":
            self.connection.fin()
        elif fixed.end == "reset":
            self.connection.reset()

    def check(self, call: str, *, begun: bool | None = True) -> None:
        """May the script do this now?

        Raises:
            ScriptError: no.
        """
        if self.ended:
            raise ScriptError(f"{call}() after the end of the response to {self}")
        if begun and not self.responded:
            raise ScriptError(f"{call}() before respond(), for {self}")
        if begun is False and self.responded:
            raise ScriptError(f"{call}() after respond(), for {self}")


def switch_fields(request: OriginRequest) -> Fields:
    """Fields of 101.

    Raises:
        ScriptError: the client has not asked for another protocol.
    """
    protocol = request.field("Upgrade")
    if protocol is None:
        raise ScriptError(f"respond(101): {request} does not ask for another protocol")
    return [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", protocol.encode("latin-1")),
        *request.connection.accept_fields,
    ]
