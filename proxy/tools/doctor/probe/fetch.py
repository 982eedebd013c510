"""Fetch a response and stamp every read. The only client of the doctor.

Speaks HTTP/1.1 by the project's own parser, HTTP/2 where a server offers it by
TLS, as a browser does, and through no library that could collect bytes before we
see them: what is stamped is the moment at which the kernel handed them over. What
went wrong is told, and what came before it kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import urljoin, urlsplit

from proxy.errors import MalformedResponse, ProxyError
from proxy.http1.framing import Body, response_body
from proxy.http1.grammar import END_OF_HEAD, Fields
from proxy.http1.head import HTTP2, ResponseHead, parse_response_head
from proxy.stream.content_decoder import DECODERS, ContentDecoder, DecodingError
from proxy.timeline import Clock, monotonic
from proxy.tools.doctor.probe.connect import connect, no_answer, unreachable
from proxy.tools.doctor.probe.http2_exchange import BrokenFrames, Http2Exchange
from proxy.tools.doctor.probe.request import Ask, AskError, check_url, value_of
from proxy.tools.doctor.probe.websocket_body import WebSocketBody, message
from proxy.tools.doctor.probe.websocket_reader import accepted
from proxy.tools.doctor.record import Arrival, Ending, ProbeRecording, Redirect

MAX_HEAD = 256 * 1024  # bytes; ours is to look, not to refuse
MAX_CONTENT = 64 * 1024 * 1024  # bytes kept of one response
MAX_REDIRECTS = 5
CONNECT_SECONDS = 10.0
Watch = Callable[["FetchedResponse"], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop; seconds."""

    whole: float = 20.0
    connect: float = CONNECT_SECONDS


class FetchedResponse(asyncio.Protocol):
    """One response as it arrives. `watch` is called at each read; True: enough."""

    def __init__(self, ask: Ask, watch: Watch | None, clock: Clock) -> None:
        self.ask = ask
        self.watch = watch
        self.clock = clock
        self.transport: asyncio.Transport | None = None
        self.over = asyncio.get_running_loop().create_future()
        self.began = clock()
        self.connected: float | None = None
        self.pending = bytearray()  # of heads that are not complete
        self.head: ResponseHead | None = None
        self.head_at: float | None = None
        self.body: Body | WebSocketBody | None = None
        self.decoder: ContentDecoder | None = None
        self.interims: list[int] = []
        self.arrivals: list[Arrival] = []
        self.size = 0
        self.wire = 0  # bytes on the connection since the last arrival
        self.ending: Ending = "no answer"
        self.fault = ""
        self.http2: Http2Exchange | None = None
        self.content = b""  # of a read, by HTTP/2
        self.now = 0.0  # when that came

    # -- in the order in which they are called

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connected = self.clock() - self.began
        self.began = self.clock()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            self.http2 = Http2Exchange(self.ask, self, MAX_HEAD)
            self.http2.begin()
        else:
            self.transport.write(self.ask.head() + self.ask.body)

    def data_received(self, data: bytes) -> None:
        now = self.clock() - self.began
        if self.over.done():
            return
        self.wire += len(data)
        try:
            if self.http2 is not None:
                self.read_frames(self.http2, data, now)
            elif self.head is None:
                data = self.read_head(data, now)
            if self.body is not None:
                self.read_body(self.body, data, now)
        except (BrokenFrames, ProxyError) as fault:
            self.end("cut" if self.head else "no answer", str(fault))
        if not self.arrivals:
            self.wire = 0  # a head that came by itself
        if self.watch is not None and self.watch(self):
            self.end("stopped")

    def read_head(self, data: bytes, now: float) -> bytes:
        """Read heads up to that of the final response; what comes after it."""
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
            self.interims.append(head.status)
        data = bytes(self.pending)
        self.pending.clear()
        if head.status == 101 and self.ask.websocket:
            self.body = WebSocketBody(self.send)
            key = value_of(self.ask, "sec-websocket-key")
            if head.get(b"sec-websocket-accept") != accepted(key.encode()):
                self.fault = "Sec-WebSocket-Accept does not belong to the key"
            self.send(b"".join(map(message, self.ask.messages)))
        else:
            self.body = response_body(head, self.ask.method.encode())
        self.answered(head, now)
        if self.body.complete:
            self.end("complete")
        return data

    def answered(self, head: ResponseHead, now: float) -> None:
        """The final head is here."""
        self.head, self.head_at = head, now
        self.ending = "stopped"
        codings = [each.decode("latin-1") for each in head.members(b"content-encoding")]
        codings = [each for each in codings if each not in ("identity", "none")]
        if codings and all(each in DECODERS for each in codings):
            self.decoder = ContentDecoder(reversed(codings), max_ratio=1000)
        elif codings:
            self.fault = f"content coding {', '.join(codings)} is not supported"

    def read_body(self, body: Body | WebSocketBody, data: bytes, now: float) -> None:
        if self.over.done() or not data:
            return
        content = body.feed(data)
        if content:
            self.arrived(content, now)
        if body.error is not None:
            self.end("cut", body.error)
        elif getattr(body, "complete", False):
            self.end("complete")

    def arrived(self, content: bytes, now: float) -> None:
        """One read has brought content."""
        self.size += len(content)
        decoded = self.decoded(content)
        self.arrivals.append(Arrival(now, len(content), decoded, self.wire))
        self.wire = 0
        if self.ask.websocket and self.head and self.head.status != 101:
            self.end("stopped")  # the beginning of what it says instead is enough
        if self.size > MAX_CONTENT:
            self.end("stopped", f"stopped after {MAX_CONTENT} bytes")

    # -- by HTTP/2: see `Taker`

    def read_frames(self, http2: Http2Exchange, data: bytes, now: float) -> None:
        """Take frames; those that came together are one arrival."""
        self.now = now
        http2.receive(data)
        self.pass_content()

    def pass_content(self) -> None:
        if self.content and not self.over.done():
            content, self.content = self.content, b""
            self.arrived(content, self.now)

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def take_head(self, status: int, fields: Fields) -> None:
        if status < 200:
            self.interims.append(status)
        else:
            head = ResponseHead(status, b"", HTTP2, fields)
            self.answered(head, self.now)

    def take_content(self, content: bytes) -> None:
        """Content of a frame."""
        self.content += content

    def decoded(self, content: bytes) -> bytes:
        """Content without its coding; as it came where that is broken."""
        if self.decoder is None:
            return content
        try:
            return b"".join(self.decoder.decode(content))
        except DecodingError as fault:
            self.decoder = None
            self.fault = f"content coding broken: {fault}"
            return content

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        # Without a transport it is an attempt that failed; `connect` tells why.
        if self.over.done() or self.transport is None:
            return
        if self.head is None:
            reset = error is not None
            self.end("no answer", no_answer(self.ask, bytes(self.pending), reset=reset))
            return
        missing = self.body.end() if self.body else "the stream had not ended"
        if error is not None:
            self.end("cut", "the connection was reset")
        elif missing is not None:
            self.end("cut", f"the connection was closed: {missing}")
        else:
            self.end("complete")

    def end(self, ending: Ending, fault: str = "") -> None:
        self.pass_content()
        if not self.over.done():
            self.ending = ending
            self.fault = self.fault or fault
            self.over.set_result(self.clock() - self.began)
            if self.transport is not None:
                self.transport.abort()

    # -- what became of it

    def recording(self, redirects: tuple[Redirect, ...] = ()) -> ProbeRecording:
        head = self.head
        ended = self.over.result() if self.over.done() else self.clock() - self.began
        return ProbeRecording(
            url=self.ask.url,
            method=self.ask.method,
            request=self.ask.fields,
            label=self.ask.label,
            connected=self.connected,
            head=self.head_at,
            status=head.status if head else 0,
            version=version_of(head),
            fields=tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in (head.fields if head else [])
            ),
            arrivals=tuple(self.arrivals),
            ended=ended,
            ending=self.ending,
            fault=self.fault,
            redirects=redirects,
            interims=tuple(self.interims),
            websockets=self.http2 is None or self.http2.websockets,
        )


def version_of(head: ResponseHead | None) -> str:
    """The version of HTTP of a response, as people write it."""
    if head is None:
        return ""
    return "HTTP/2" if head.minor == HTTP2 else f"HTTP/1.{head.minor}"


async def fetch(
    ask: Ask,
    limits: Limits,
    watch: Watch | None = None,
    stop: asyncio.Event | None = None,
    clock: Clock = monotonic,
    opened: Callable[[FetchedResponse], None] | None = None,
) -> ProbeRecording:
    """Ask, and record what comes until it ends, is enough, or time is up.

    A redirection is followed to the same host only, and noted. `opened` is called with
    each response before it is asked for.
    """
    redirects: list[Redirect] = []
    while True:
        response = FetchedResponse(ask, watch, clock)
        if opened is not None:
            opened(response)
        await run(response, limits, stop)
        recording = response.recording(tuple(redirects))
        location = recording.get("location")
        if recording.status not in (301, 302, 303, 307, 308) or location is None:
            return recording
        redirects.append(Redirect(recording.status, location))
        following = followed(ask, recording.status, location)
        if following is None or len(redirects) > MAX_REDIRECTS:
            return response.recording(tuple(redirects))
        ask = following


def followed(ask: Ask, status: int, location: str) -> Ask | None:
    """The next request, None where a person should decide."""
    if ask.method not in ("GET", "HEAD") and status not in (307, 308):
        return None
    try:
        url = check_url(urljoin(ask.url, location))
    except (AskError, ValueError):
        return None
    if urlsplit(url).hostname != urlsplit(ask.url).hostname:
        return None
    return replace(ask, url=url)


async def run(
    response: FetchedResponse, limits: Limits, stop: asyncio.Event | None
) -> None:
    """Connect, and wait for the end of the response, of the time, or of patience."""
    patience = asyncio.ensure_future((stop or asyncio.Event()).wait())
    try:
        if await reached(response, limits, patience):
            await asyncio.wait(
                {response.over, patience},
                timeout=limits.whole,
                return_when=asyncio.FIRST_COMPLETED,
            )
    finally:
        patience.cancel()
        if response.head is None and response.pending:
            response.end("no answer", "the response head began and did not end")
        if response.head is None:
            response.end("no head")
        response.end("stopped")


async def reached(
    response: FetchedResponse, limits: Limits, patience: asyncio.Future[Literal[True]]
) -> bool:
    """Connect; False where that failed, or the person did not wait for it."""
    ask = response.ask
    connecting = asyncio.ensure_future(connect(ask, response))
    try:
        async with asyncio.timeout(limits.connect):
            either: set[asyncio.Future[Any]] = {connecting, patience}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                response.end("no answer", "stopped before a connection stood")
                return False
            connecting.result()
    except (OSError, TimeoutError) as fault:
        response.end("no answer", unreachable(ask, fault, limits.connect))
        return False
    finally:
        connecting.cancel()
    return True
