"""Frames of HTTP/2 as bytes: their numbers, and how ours are written (RFC 9113 §4, §6).

Knows nothing of streams or states.
"""

from __future__ import annotations

from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4

# RFC 9113 §6, RFC 9218 §7.1
DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9
PRIORITY_UPDATE = 0x10

NAMES = {
    DATA: "DATA",
    HEADERS: "HEADERS",
    PRIORITY: "PRIORITY",
    RST_STREAM: "RST_STREAM",
    SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE",
    PING: "PING",
    GOAWAY: "GOAWAY",
    WINDOW_UPDATE: "WINDOW_UPDATE",
    CONTINUATION: "CONTINUATION",
    PRIORITY_UPDATE: "PRIORITY_UPDATE",
}

# Flags. One bit has two names: what it means depends on the frame.
END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

# Error codes, RFC 9113 §7
NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
SETTINGS_TIMEOUT = 0x4
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
CONNECT_ERROR = 0xA
ENHANCE_YOUR_CALM = 0xB
INADEQUATE_SECURITY = 0xC
HTTP_1_1_REQUIRED = 0xD

CODES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)

# Settings, RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1
HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6
ENABLE_CONNECT_PROTOCOL = 0x8
NO_RFC7540_PRIORITIES = 0x9

LARGEST_NUMBER = 2**31 - 1  # of a stream, of a window
SMALLEST_MAX_FRAME = 2**14  # bytes of payload; our own limit, too
LARGEST_MAX_FRAME = 2**24 - 1
DEFAULT_WINDOW = 65_535  # bytes, of a stream and of the connection
DEFAULT_TABLE = 4096  # bytes, of the field compression

# Length (in two parts: there is no code for three bytes), type, flags, stream.
FRAME_HEADER = Struct(">HBBBI")
HEADER_BYTES = 9
NUMBER = Struct(">I")
SETTING = Struct(">HI")
TWO_NUMBERS = Struct(">II")


def frame_header(size: int, kind: int, flags: int, number: int) -> bytes:
    """The nine bytes before a payload of `size` bytes."""
    return FRAME_HEADER.pack(size >> 8, size & 0xFF, kind, flags, number)


def data_header(number: int, size: int, *, end: bool) -> bytes:
    """What stands before so many bytes of content."""
    return FRAME_HEADER.pack(size >> 8, size & 0xFF, DATA, END_STREAM * end, number)


def head_frames(number: int, block: bytes, max_frame: int, *, end: bool) -> bytes:
    """A header block: HEADERS, and CONTINUATION for what is too long for one frame."""
    size = len(block)
    flags = END_STREAM * end
    if size <= max_frame:
        return frame_header(size, HEADERS, flags | END_HEADERS, number) + block
    frames = [frame_header(max_frame, HEADERS, flags, number), block[:max_frame]]
    for start in range(max_frame, size, max_frame):
        part = block[start : start + max_frame]
        last = END_HEADERS * (start + max_frame >= size)
        frames += (frame_header(len(part), CONTINUATION, last, number), part)
    return b"".join(frames)


def reset_frame(number: int, code: int) -> bytes:
    """RST_STREAM."""
    return frame_header(4, RST_STREAM, 0, number) + NUMBER.pack(code)


def settings_frame(settings: list[tuple[int, int]]) -> bytes:
    """SETTINGS."""
    payload = b"".join([SETTING.pack(name, value) for name, value in settings])
    return frame_header(len(payload), SETTINGS, 0, 0) + payload


SETTINGS_ACK = frame_header(0, SETTINGS, ACK, 0)


def ping_frame(data: bytes, flags: int = 0) -> bytes:
    """PING with eight bytes; the answer to one has the flag ACK."""
    return frame_header(8, PING, flags, 0) + data


def goaway_frame(last: int, code: int, debug: bytes = b"") -> bytes:
    """GOAWAY: `last` is the last stream that was, or might be, worked on."""
    return (
        frame_header(8 + len(debug), GOAWAY, 0, 0)
        + TWO_NUMBERS.pack(last, code)
        + debug
    )


def window_update(number: int, increment: int) -> bytes:
    """WINDOW_UPDATE; of the connection, if `number` is 0."""
    return frame_header(4, WINDOW_UPDATE, 0, number) + NUMBER.pack(increment)


def kind_name(kind: int) -> str:
    """A type of frame in words, for the log."""
    return NAMES.get(kind) or f"frame of unknown type 0x{kind:02x}"


def code_name(code: int) -> str:
    """An error code in words, for the log."""
    return CODES[code] if code < len(CODES) else f"error code 0x{code:x}"
