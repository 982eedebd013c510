"""A session whose calls are written down, and what a client sends it, in short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import hpack

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head import RequestHead
from proxy.http2 import frames
from proxy.http2.faults import ConnectionFault, StreamFault
from proxy.http2.limits import Http2Limits
from proxy.http2.priority import Priority
from proxy.http2.session import Session

CALM = Http2Limits()
FIELDS = [
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", b"a"),
    (b":path", b"/p"),
]
BLOCK = hpack.Encoder().encode(FIELDS, huffman=False)


class Stream:
    """Takes one request, and gives its bytes back at once, if `passes`."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.recorder = recorder
        self.number = number
        self.send_window = recorder.session.peer_initial_window
        self.received = 0

    def say(self, text: str) -> None:
        self.recorder.say(f"{self.number} {text}")

    def data_received(self, data: bytes, size: int) -> None:
        assert data
        assert size == len(data)
        self.received += size
        if self.recorder.keeps:
            self.recorder.data(self.number, data)
        if self.recorder.passes:
            self.recorder.session.consumed(self.number, size)

    def request_ended(self, trailers: Fields) -> None:
        self.say(f"ended {trailers}" if trailers else "ended")

    def reset_received(self, code: int) -> None:
        self.say(f"reset by the client: {frames.code_name(code)}")

    def failed(self, fault: StreamFault) -> None:
        self.say(f"failed: {fault.reason.partition(': ')[2]}")

    def window_opened(self) -> None:
        self.say(f"window {self.send_window}")

    def reprioritised(self, priority: Priority) -> None:
        self.say(f"u={priority.urgency} i={priority.incremental}")


class Recorder:
    """The owner of a session, at its start; `now` is its clock.

    `passes`: content is given back at once. `keeps`: it is written down.
    """

    def __init__(
        self, limits: Http2Limits = CALM, *, passes: bool = True, keeps: bool = True
    ) -> None:
        self.log: list[str] = []
        self.written: list[bytes] = []
        self.streams: dict[int, Stream] = {}
        self.passes = passes
        self.keeps = keeps
        self.now = 0.0
        self.session = Session(self, limits, lambda: self.now)
        self.session.start()

    def say(self, text: str) -> None:
        self.log.append(text)

    def data(self, number: int, data: bytes) -> None:
        """Content; where it was cut does not show."""
        start = f"{number} data "
        if self.log and self.log[-1].startswith(start):
            self.log[-1] += data.decode("latin-1")
        else:
            self.log.append(start + data.decode("latin-1"))

    # -- as the owner

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def request_received(
        self,
        number: int,
        head: RequestHead,
        protocol: bytes,
        priority: Priority,
        *,
        complete: bool,
    ) -> Stream | None:
        assert self.session.is_open(number)
        assert self.session.request_complete(number) is complete
        more = [" " + protocol.decode("latin-1")] if protocol else []
        if priority != Priority():
            more.append(f" u={priority.urgency} i={priority.incremental}")
        if complete:
            more.append(" complete")
        target = head.target.decode("latin-1")
        self.say(f"{number} {head.method.decode()} {target}{''.join(more)}")
        return self.serve(number)

    def serve(self, number: int) -> Stream | None:
        """Who takes a request; others than this one may be tried."""
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    def request_refused(
        self, number: int, error: ProxyError, head: RequestHead | None
    ) -> Stream | None:
        self.say(f"{number} refused {error.status}")
        self.streams[number] = Stream(self, number)
        return self.streams[number]

    def request_malformed(self, number: int, fault: StreamFault) -> None:
        self.say(f"{number} malformed: {fault.reason}")

    def window_opened(self) -> None:
        self.say(f"window {self.session.send_window}")

    def ping_acked(self, data: bytes) -> None:
        self.say(f"ping acked {data.decode('latin-1')}")

    def going_away(self, code: int, debug: bytes) -> None:
        self.say(f"going away: {frames.code_name(code)} {debug.decode('latin-1')}")

    # -- as the socket

    def feed(self, parts: Iterable[bytes]) -> None:
        """What the client sends, in these reads."""
        try:
            for part in parts:
                self.session.receive(part)
                while self.session.behind:
                    self.session.receive(b"")
        except ConnectionFault as fault:
            self.say(f"{frames.code_name(fault.code)}: {fault.reason}")
            self.session.go_away(fault.code, fault.reason)

    def sent(self) -> list[str]:
        """The frames that were written since the last call, in words."""
        data, self.written = b"".join(self.written), []
        return [in_words(*each) for each in split(data)]


def split(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Whole frames: type, flags, stream, payload."""
    found = []
    while data:
        high, low, kind, flags, number = frames.FRAME_HEADER.unpack_from(data)
        size = 9 + (high << 8 | low)
        assert len(data) >= size
        found.append((kind, flags, number, data[9:size]))
        data = data[size:]
    return found


def in_words(kind: int, flags: int, number: int, payload: bytes) -> str:
    """One frame of ours."""
    name = frames.kind_name(kind)
    if kind == frames.RST_STREAM:
        return f"RST {number} {frames.code_name(int.from_bytes(payload, 'big'))}"
    if kind == frames.WINDOW_UPDATE:
        return f"WINDOW_UPDATE {number} {int.from_bytes(payload, 'big')}"
    if kind == frames.GOAWAY:
        last = int.from_bytes(payload[:4], "big")
        code = frames.code_name(int.from_bytes(payload[4:8], "big"))
        return f"GOAWAY {last} {code}"
    if kind in (frames.SETTINGS, frames.PING):
        ack = " ACK" if flags & frames.ACK else ""
        return f"{name}{ack} {payload.hex()}".rstrip()
    return f"{name} {number} {flags:x} {payload.hex()}"


# -- what a client sends


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    return frames.frame_header(len(payload), kind, flags, number) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frames.settings_frame(list(pairs))


def headers(
    number: int, block: bytes = BLOCK, *, end: bool = False, flags: int = 4
) -> bytes:
    return frame(frames.HEADERS, flags | end, number, block)


def data(number: int, content: bytes = b"", *, end: bool = False) -> bytes:
    return frame(frames.DATA, int(end), number, content)


def padded(number: int, content: bytes, padding: int, *, end: bool = False) -> bytes:
    payload = bytes([padding]) + content + bytes(padding)
    return frame(frames.DATA, frames.PADDED | end, number, payload)


def block(*more: tuple[bytes, bytes]) -> bytes:
    """A header block that needs no table: it can stand anywhere."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode([*FIELDS, *more], huffman=False)[1:]


def fields(*some: tuple[bytes, bytes]) -> bytes:
    """The same, of these fields alone."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(some, huffman=False)[1:]


START = frames.PREFACE + settings()


def singles(data: bytes) -> Sequence[bytes]:
    return [data[at : at + 1] for at in range(len(data))]
