"""One request by HTTP/2, without its socket: the few frames that the doctor needs.

None of it is shared with the proxy, whose frames the doctor may have to find at fault.
The windows are as wide as can be: what the server has, it can send.
"""

from __future__ import annotations

from struct import Struct
from typing import Protocol

import hpack
from hpack.exceptions import HPACKError

from proxy.http1.grammar import Fields
from proxy.tools.doctor.probe.request import Ask
from proxy.tools.doctor.record import Ending

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = Struct(">HBBBI")  # the length in two parts, type, flags, stream
SETTING = Struct(">HI")
NUMBER = Struct(">I")
DATA, HEADERS, _PRIORITY, RST_STREAM, SETTINGS, _PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
ENABLE_PUSH, INITIAL_WINDOW_SIZE, ENABLE_CONNECT_PROTOCOL = 2, 4, 8
STREAM = 1  # ours, the only one
WINDOW = 65_535  # bytes, before anybody says anything else
WIDEST = 2**31 - 1
MAX_FRAME = 16 * 1024
NO_ERROR = 0
CODES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM",
    "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
OF_A_CONNECTION = (
    "connection", "host", "keep-alive", "proxy-connection", "te",
    "transfer-encoding", "upgrade",
)  # fmt: skip


class Taker(Protocol):
    """Who is told what comes."""

    def send(self, data: bytes) -> None: ...
    def take_head(self, status: int, fields: Fields) -> None: ...
    def take_content(self, content: bytes) -> None: ...
    def end(self, ending: Ending, fault: str = "") -> None: ...


class BrokenFrames(Exception):
    """What came is not HTTP/2: why."""


class Http2Exchange:
    """A request, and the frames that come for it."""

    def __init__(self, ask: Ask, taker: Taker, max_head: int) -> None:
        self.ask = ask
        self.taker = taker
        self.max_head = max_head
        self.decoder = hpack.Decoder(max_head)
        self.pending = bytearray()
        self.greeted = False  # its SETTINGS have come
        self.block = bytearray()  # of a head that is not complete
        self.ends = False  # behind that head
        self.answered = False
        self.left = len(ask.body)  # bytes of the request that are not sent
        self.window = self.stream_window = self.initial_window = WINDOW
        self.websockets = False  # the server takes them on this connection

    def begin(self) -> None:
        """Send the request, and as much of its body as may be."""
        settings = SETTING.pack(ENABLE_PUSH, 0) + SETTING.pack(
            INITIAL_WINDOW_SIZE, WIDEST
        )
        block = hpack.Encoder().encode(request_fields(self.ask))
        first, rest = block[:MAX_FRAME], block[MAX_FRAME:]
        flags = END_STREAM * (not self.left) | END_HEADERS * (not rest)
        out = PREFACE + frame(SETTINGS, 0, 0, settings)
        out += frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(WIDEST - WINDOW))
        out += frame(HEADERS, flags, STREAM, first)
        while rest:
            first, rest = rest[:MAX_FRAME], rest[MAX_FRAME:]
            out += frame(CONTINUATION, END_HEADERS * (not rest), STREAM, first)
        self.taker.send(out)
        self.send_body()

    def send_body(self) -> None:
        """Send more of the request's body."""
        while (size := min(self.left, self.window, self.stream_window, MAX_FRAME)) > 0:
            start = len(self.ask.body) - self.left
            self.left -= size
            self.window -= size
            self.stream_window -= size
            content = self.ask.body[start : start + size]
            self.taker.send(frame(DATA, END_STREAM * (not self.left), STREAM, content))

    def receive(self, data: bytes) -> None:
        """Take what has come.

        Raises:
            BrokenFrames.
        """
        self.pending += data
        while len(self.pending) >= HEADER.size:
            high, low, kind, flags, number = HEADER.unpack_from(self.pending)
            size = high << 8 | low
            if not self.greeted and kind != SETTINGS:
                raise BrokenFrames("what it answers does not begin as HTTP/2 does")
            if size > MAX_FRAME:
                raise BrokenFrames(f"a frame of {size} bytes, of {MAX_FRAME} at most")
            stop = HEADER.size + size
            if len(self.pending) < stop:
                self.take_part(kind, flags, number)
                return
            payload = bytes(self.pending[HEADER.size : stop])
            del self.pending[:stop]
            self.take(kind, flags, number & WIDEST, payload)

    def take_part(self, kind: int, flags: int, number: int) -> None:
        """Take the content that is here of a DATA frame, as if it were a frame."""
        content = bytes(self.pending[HEADER.size :])
        if kind == DATA and number == STREAM and not flags & PADDED and content:
            high, low = self.pending[0] << 8 | self.pending[1], self.pending[2]
            size = (high << 8 | low) - len(content)
            self.pending[:] = HEADER.pack(size >> 8, size & 0xFF, kind, flags, number)
            self.taker.take_content(content)

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Take a frame."""
        if kind == SETTINGS:
            self.take_settings(flags, payload)
        elif kind == PING and not flags & ACK:
            self.taker.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and len(payload) == NUMBER.size:
            self.widen(number, NUMBER.unpack(payload)[0])
        elif kind == GOAWAY and len(payload) >= 8:
            self.take_goaway(payload)
        elif number != STREAM:
            return
        elif kind == DATA:
            content = unpadded(flags, payload)
            if content:
                self.taker.take_content(content)
            if flags & END_STREAM:
                self.taker.end("complete")
        elif kind == HEADERS:
            self.ends = flags & END_STREAM > 0
            content = unpadded(flags, payload)
            self.take_block(flags, content[5:] if flags & WITH_PRIORITY else content)
        elif kind == CONTINUATION:
            self.take_block(flags, payload)
        elif kind == RST_STREAM and len(payload) == NUMBER.size:
            name = code_name(NUMBER.unpack(payload)[0])
            self.broken(f"the server reset the stream: {name}")

    def take_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % SETTING.size:
            raise BrokenFrames("what it answers does not begin as HTTP/2 does")
        self.greeted = True
        for name, value in SETTING.iter_unpack(payload):
            if name == ENABLE_CONNECT_PROTOCOL:
                self.websockets = value == 1
            elif name == INITIAL_WINDOW_SIZE:
                self.stream_window += value - self.initial_window
                self.initial_window = value
        self.taker.send(frame(SETTINGS, ACK, 0))
        self.send_body()

    def widen(self, number: int, size: int) -> None:
        if number == STREAM:
            self.stream_window += size
        elif number == 0:
            self.window += size
        self.send_body()

    def take_goaway(self, payload: bytes) -> None:
        last, code = Struct(">II").unpack_from(payload)
        if code != NO_ERROR or last & WIDEST < STREAM:
            why = payload[8:].decode("utf-8", "replace")
            said = f" ({why})" if why else ""
            self.broken(f"the server ended the connection: {code_name(code)}{said}")

    def take_block(self, flags: int, fragment: bytes) -> None:
        self.block += fragment
        if len(self.block) > self.max_head:
            raise BrokenFrames(f"a head of more than {self.max_head} bytes")
        if not flags & END_HEADERS:
            return
        block = bytes(self.block)
        self.block.clear()
        try:
            fields = [(bytes(n), bytes(v)) for n, v in self.decoder.decode(block, True)]
        except HPACKError as fault:
            raise BrokenFrames(f"a head that cannot be decoded: {fault}") from None
        if not self.answered:
            self.take_head(fields)
        if self.ends:
            self.taker.end("complete")

    def take_head(self, fields: Fields) -> None:
        """A head, final or not; what comes behind the final one are trailers."""
        named = dict(fields)
        status = named.get(b":status", b"")
        if not (len(status) == 3 and status.isdigit()):
            raise BrokenFrames("a head without a valid :status")
        self.answered = int(status) >= 200
        kept = [(name, value) for name, value in fields if name[:1] != b":"]
        self.taker.take_head(int(status), kept)

    def broken(self, why: str) -> None:
        """The response ends here, and not well."""
        self.taker.end("cut" if self.answered else "no answer", why)


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame as bytes."""
    size = len(payload)
    return HEADER.pack(size >> 8, size & 0xFF, kind, flags, number) + payload


def unpadded(flags: int, payload: bytes) -> bytes:
    """What is in a frame, without its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise BrokenFrames("a frame that is padded beyond its end")
    return payload[1 : len(payload) - payload[0]]


def code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else f"error code {code}"


def request_fields(ask: Ask) -> list[tuple[str, str]]:
    """The request as a header block has it (RFC 9113 §8.3.1)."""
    fields = [
        (":method", ask.method),
        (":scheme", ask.place[0]),
        (":authority", ask.authority),
        (":path", ask.target),
    ]
    for name, value in ask.sent_fields():
        if name.lower() not in OF_A_CONNECTION:
            fields.append((name.lower(), value))
    return fields
