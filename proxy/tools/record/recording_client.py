"""One request, asked once, and all that comes in answer as a record.

By HTTP/1.1 and no library that could collect bytes: a piece is what the kernel handed
over in one read. Nothing is followed, decoded or repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from proxy.errors import MalformedResponse
from proxy.exchange.record_tap import framing_of
from proxy.http1.framing import Body, UntilCloseBody, response_body
from proxy.http1.grammar import END_OF_HEAD
from proxy.http1.head import RequestHead, ResponseHead, parse_response_head
from proxy.record.format import (
    Framing,
    RecordedEnd,
    RecordedItem,
    RecordedPiece,
    RequestComplete,
    UpstreamEnd,
)
from proxy.record.record_of import recorded_fields, recorded_head
from proxy.timeline import Clock, Ending
from proxy.tools.doctor.probe.request import Ask

MAX_HEAD = 256 * 1024  # bytes; ours is to look, not to refuse


def request_head(ask: Ask) -> RequestHead:
    """The head as it is sent."""
    fields = [("Host", ask.authority), *ask.sent_fields()]
    return RequestHead(
        ask.method.encode(),
        ask.target.encode(),
        1,
        [(name.encode(), value.encode()) for name, value in fields],
    )


class RecordingClient(asyncio.Protocol):
    """Asks, and tells `note` each item. `over` is done when no more will come."""

    def __init__(
        self, ask: Ask, note: Callable[[RecordedItem], None], clock: Clock
    ) -> None:
        self.ask = ask
        self.note = note
        self.clock = clock
        self.over: asyncio.Future[RecordedEnd] = (
            asyncio.get_running_loop().create_future()
        )
        self.transport: asyncio.Transport | None = None
        self.began = 0.0
        self.pending = bytearray()  # of heads that are not complete
        self.head: ResponseHead | None = None
        self.body: Body | None = None
        self.noted = False  # is there anything?
        self.pieces = self.size = 0

    @property
    def at(self) -> int:
        """Microseconds since the request was sent."""
        return max(round((self.clock() - self.began) * 1_000_000), 0)

    # -- as a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.began = self.clock()
        self.transport.write(self.ask.head() + self.ask.body)
        if self.ask.body:
            self.note(RecordedPiece(0, "client", self.ask.body))
            self.note(RequestComplete(0))

    def data_received(self, data: bytes) -> None:
        at = self.at
        if self.over.done():
            return
        try:
            if self.head is None:
                data = self.read_heads(at, data)
            if self.body is not None:
                self.read_body(self.body, at, data)
        except MalformedResponse as fault:
            self.end("malformed", Ending.UPSTREAM_BROKE, str(fault))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self.over.done():
            return
        body = self.body
        if error is None and isinstance(body, UntilCloseBody):
            self.end("complete", Ending.COMPLETE)
            return
        how = "closed the connection" if error is None else "reset the connection"
        where = "in the body" if self.head is not None else "before its response head"
        self.end(
            "fin" if error is None else "reset",
            Ending.UPSTREAM_BROKE,
            f"the server {how} {where}",
        )

    # -- what comes

    def read_heads(self, at: int, data: bytes) -> bytes:
        """Read heads up to the final one; what comes after it.

        Raises:
            MalformedResponse: it is not one.
        """
        seen = len(self.pending)
        self.pending += data
        while True:
            stop = self.pending.find(END_OF_HEAD, max(seen - 3, 0))
            if stop < 0:
                if len(self.pending) > MAX_HEAD:
                    raise MalformedResponse(f"a head of more than {MAX_HEAD} bytes")
                return b""
            seen = 0
            stop += len(END_OF_HEAD)
            head = parse_response_head(bytes(self.pending[:stop]))
            del self.pending[:stop]
            if head.status >= 200 or head.status == 101:
                break
            self.note(recorded_head(at, head, ""))
        rest = bytes(self.pending)
        self.pending.clear()
        self.begin_body(at, head)
        return rest

    def begin_body(self, at: int, head: ResponseHead) -> None:
        """The final head is here."""
        method = self.ask.method.encode()
        switched = head.status == 101
        try:
            body = UntilCloseBody() if switched else response_body(head, method)
        except MalformedResponse:
            self.head = head
            self.note(recorded_head(at, head, "unread"))
            raise
        self.head, self.body = head, body
        framing = framing_of(head, body, method)
        self.note(recorded_head(at, head, cast("Framing", framing)))
        if body.complete:
            self.end("complete", Ending.COMPLETE)

    def read_body(self, body: Body, at: int, data: bytes) -> None:
        """Take what one read has brought."""
        if self.over.done() or not data:
            return
        payload = body.feed(data)
        if payload:
            self.pieces += 1
            self.size += len(payload)
            self.note(RecordedPiece(at, "upstream", payload))
        if body.error is not None:
            reason = f"malformed body: {body.error}"
            self.end("malformed", Ending.UPSTREAM_BROKE, reason)
        elif body.complete:
            self.end("complete", Ending.COMPLETE)

    # -- the end

    def end(self, end: UpstreamEnd, ending: Ending, error: str = "") -> None:
        """No more comes, or is waited for."""
        if self.over.done():
            return
        trailers = [] if self.body is None else recorded_fields(self.body.trailers)
        last = RecordedEnd(self.at, end, trailers, ending.value, error)
        self.note(last)
        self.over.set_result(last)
        if self.transport is not None:
            self.transport.abort()
