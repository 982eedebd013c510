"""What the proxy answers itself: a message to a client, whole or as a stream.

These answers are not an `Exchange`: they reach no upstream, are in no log and in
no metric. Each is bounded: what a client does not take is not made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from proxy.errors import ClientError, ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.internal_errors import report
from proxy.policy.error_response import own_plan
from proxy.policy.response_plan import CLOSE, LENGTH, STREAM, Framing
from proxy.timeline import http_date
from proxy.transport.client_host import HostedStream
from proxy.transport.connection import HIGH_WATER

CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
GUARDS: Fields = [
    (b"Content-Security-Policy", CSP),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"DENY"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
]
NO_STORE = (b"Cache-Control", b"no-store")
EVENT_STREAM: Fields = [
    (b"Content-Type", b"text/event-stream; charset=utf-8"),
    (b"Cache-Control", b"no-store, no-transform"),
    (b"X-Accel-Buffering", b"no"),
]
JSON = b"application/json"
READ = b"GET, HEAD"  # what most answers can be asked for by


class OwnResponse:
    """A response of our own to one request.

    Stands where an exchange stands (`client.exchange`), so that a client that
    leaves is told to it; it is among `open`, for a drain, until it is over.
    """

    def __init__(
        self, client: HostedStream, head: RequestHead, open: set[OwnResponse]
    ) -> None:
        self.open = open
        open.add(self)
        self.client = client
        self.head = head
        self.over = False
        self.on_end: Callable[[], None] | None = None
        self.streams = False
        self.begun = False  # is any of it written?
        self.bodies = False  # does it show any?
        self.malformed = False  # is the body of the request unreadable?
        self.request_id = b""  # by which whoever refuses it speaks of it
        self.guards = GUARDS
        self.read_on = asyncio.Event()
        client.exchange = self
        client.limit_buffer(HIGH_WATER)
        try:
            client.open_body()
        except ClientError:  # where the next request begins is unsure
            self.malformed = True
            client.end_after_response()

    # -- writing

    def whole(
        self,
        status: int,
        content_type: bytes,
        body: bytes,
        fields: Fields | None = None,
    ) -> None:
        """Answer with a complete message."""
        fields = [(b"Content-Type", content_type), *(fields or [NO_STORE])]
        if status != 304:
            fields.append((b"Content-Length", b"%d" % len(body)))
        self.send_head(status, fields, LENGTH)
        if body and self.head.method != b"HEAD" and status != 304:
            self.client.send_piece(body)
        self.end()

    def stream(self, fields: Fields) -> None:
        """Begin a response whose end is not known."""
        client = self.client
        if self.head.method == b"HEAD":
            self.send_head(200, fields, LENGTH)
            self.end()
            return
        self.streams = True
        # Where the connection closes after it, the close is its end (RFC 9112 §6.3).
        self.send_head(200, fields, STREAM if all(client.terms) else CLOSE)
        client.flush_head()

    def send_head(self, status: int, fields: Fields, framing: Framing) -> None:
        """Send a head with the fields that all answers have."""
        self.begun = True
        client = self.client
        if not client.request_complete or framing is CLOSE:
            client.end_after_response()
        fields = [*fields, *self.guards, (b"Date", http_date())]
        client.send_plan(own_plan(status, fields, client.terms, framing))

    @property
    def blocked(self) -> bool:
        """Does the client not read? Then nothing more is made for it."""
        return self.over or self.client.blocked or self.client.closed

    async def ready(self) -> None:
        """Wait until the client reads on."""
        while self.client.blocked and not self.over:
            self.read_on.clear()
            self.client.feeder = self
            await self.read_on.wait()

    def sink_blocked(self) -> None:
        """The client does not read: told by its connection."""

    def sink_ready(self) -> None:
        """The client reads on."""
        self.read_on.set()

    def write(self, piece: bytes) -> None:
        """A piece of the stream."""
        if not self.over and not self.client.closed:
            self.client.send_piece(piece)

    def end(self) -> None:
        """The response is complete."""
        if self.over:
            return
        self.close()
        if self.streams and not self.client.closed:
            self.client.send_end([])
        self.client.finish()

    def close(self) -> None:
        """Let go of what was waited for."""
        self.over = True
        self.open.discard(self)
        self.read_on.set()
        if self.client.feeder is self:
            self.client.feeder = None
        ended, self.on_end = self.on_end, None
        if ended is not None:
            ended()

    # -- what a client connection tells its exchange

    def client_left(self, error: ClientError) -> None:
        if not self.over:
            self.close()
            self.client.abort()

    def fail(self, error: ProxyError) -> None:
        if not self.over:
            self.close()
            self.client.abort()

    def crashed(self, place: str, error: Exception) -> None:
        """What makes this answer raised: say so, if nothing was said, or break off."""
        report(place, error)
        if self.over:
            return
        try:
            if not self.begun:
                refuse(self, 500, "internal error; see the proxy's log for details")
                return
            self.close()
        except Exception as again:
            self.over = True
            self.open.discard(self)
            report("ending a response of the inspector", again)
        self.client.abort()

    def drain(self) -> None:
        """A feed would go on for ever: it ends now. Its client will come again."""
        self.client.end_after_response()
        if self.streams:
            self.end()

    @property
    def comes_back(self) -> bool:
        return False  # a feed has ended when the drain began

    @property
    def is_finishing(self) -> bool:
        return False

    def end_early(self) -> None:
        """See `comes_back`."""

    def shut_down(self) -> bool:
        self.cut()
        return False

    def cut(self) -> None:
        self.close()
        self.client.abort()


def refuse(
    answer: OwnResponse,
    status: int,
    message: str,
    retry_after: int = 0,
    allow: bytes = READ,
) -> None:
    """Say in JSON why there is nothing."""
    told: dict[str, object] = {"status": status, "message": message}
    if answer.request_id:
        told["request_id"] = answer.request_id.decode("ascii")
    body = msgspec.json.encode({"error": told})
    fields = fields_of_refusal(status, retry_after, allow)
    answer.whole(status, JSON, body + b"\n", fields)


def fields_of_refusal(status: int, retry_after: int = 0, allow: bytes = READ) -> Fields:
    """What belongs to a status that refuses; `retry_after` in seconds."""
    fields = [NO_STORE]
    if status == 401:  # RFC 6750 §3; no browser asks its user for this scheme
        fields.append((b"WWW-Authenticate", b'Bearer realm="unbuffered"'))
    elif status == 405:
        fields.append((b"Allow", allow))
    if retry_after:
        fields.append((b"Retry-After", b"%d" % retry_after))
    return fields


def event(name: bytes, data: bytes) -> bytes:
    """One event of a stream; `data` holds no line feed."""
    return b"event: %b\ndata: %b\n\n" % (name, data)
