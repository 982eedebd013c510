"""DATA, its padding, its length, and windows."""

from __future__ import annotations

from proxy.http2.frames import DATA, PADDED, WINDOW_UPDATE
from tests.unit.http2.cases.model import FrameCase, fatal, stream_fault, understood
from tests.unit.http2.recording import (
    block,
    data,
    fields,
    frame,
    headers,
    padded,
)

GET = headers(1, end=True)
SERVED = "1 POST /p complete"
OPEN = "1 POST /p"
TRAILER = fields((b"x-sum", b"1"))
KIB16 = bytes(2**14)


def length(value: int, *, end: bool = False) -> bytes:
    """A request with this Content-Length."""
    return headers(1, block((b"content-length", b"%d" % value)), end=end)


def opened(number: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, number, increment.to_bytes(4, "big"))


def wrong(name: str, sent: bytes, *log: str) -> FrameCase:
    return stream_fault(
        f"length: {name}", "RFC 9113 §8.1.1", sent, "PROTOCOL_ERROR", *log
    )


CASES: list[FrameCase] = [
    # -- padding
    understood(
        "DATA with padding",
        "RFC 9113 §6.1",
        headers(1) + padded(1, b"abc", 5) + padded(1, b"def", 0)
        + padded(1, b"ghi", 255, end=True),
        OPEN,
        "1 data abcdefghi",
        "1 ended",
    ),
    understood(
        "DATA with nothing but padding",
        "RFC 9113 §6.1",
        headers(1) + padded(1, b"", 9) + padded(1, b"", 0)
        + padded(1, b"", 3, end=True),
        OPEN,
        "1 ended",
    ),
    understood(
        "DATA with padding that is not zero",
        "RFC 9113 §6.1",
        headers(1) + frame(DATA, PADDED, 1, b"\x02a\xff\xff"),
        OPEN,
        "1 data a",
    ),
    fatal(
        "DATA with as much padding as the frame has bytes",
        "RFC 9113 §6.1",
        headers(1) + frame(DATA, PADDED, 1, b"\x05abcd"),
        "PROTOCOL_ERROR",
        OPEN,
    ),
    fatal(
        "DATA without its padding",
        "RFC 9113 §4.2",
        headers(1) + data(1, b"x") + frame(DATA, PADDED, 1),
        "FRAME_SIZE_ERROR",
        OPEN,
        "1 data x",
    ),
    # -- sizes
    understood(
        "DATA of 16,384 bytes",
        "RFC 9113 §4.2",
        headers(1) + data(1, KIB16, end=True),
        OPEN,
        f"1 data {KIB16.decode()}",
        "1 ended",
    ),
    understood(
        "DATA of 0 bytes",
        "RFC 9113 §6.1",
        headers(1) + data(1) + data(1, b"x") + data(1) + data(1, end=True),
        OPEN,
        "1 data x",
        "1 ended",
    ),
    understood(
        "a frame as content",
        "RFC 9113 §6.1",
        headers(1) + data(1, headers(3) + data(3, b"x"), end=True),
        OPEN,
        f"1 data {(headers(3) + data(3, b'x')).decode('latin-1')}",
        "1 ended",
    ),
    # -- Content-Length
    understood(
        "length: agrees",
        "RFC 9113 §8.1.1",
        length(5) + data(1, b"ab") + padded(1, b"cde", 4, end=True),
        OPEN,
        "1 data abcde",
        "1 ended",
    ),
    understood(
        "length: agrees, and END_STREAM comes alone",
        "RFC 9113 §8.1.1",
        length(2) + data(1, b"ab") + data(1, end=True),
        OPEN,
        "1 data ab",
        "1 ended",
    ),
    understood(
        "length: agrees, and trailers follow",
        "RFC 9113 §8.1.1",
        length(2) + data(1, b"ab") + headers(1, TRAILER, end=True),
        OPEN,
        "1 data ab",
        "1 ended [(b'x-sum', b'1')]",
    ),
    understood("length: 0", "RFC 9113 §8.1.1", length(0, end=True), SERVED),
    understood("length: 0, and an empty frame", "RFC 9113 §8.1.1",
               length(0) + data(1, end=True), OPEN, "1 ended"),
    wrong("none of it comes", length(3, end=True),
          "1 malformed: malformed request: content-length 3, but no content"),
    wrong("END_STREAM alone", length(3) + data(1, end=True), OPEN,
          "1 failed: 3 bytes of Content-Length are missing"),
    wrong("too little", length(3) + data(1, b"a") + data(1, b"b", end=True), OPEN,
          "1 data a", "1 failed: 1 bytes of Content-Length are missing"),
    wrong("too little, and trailers",
          length(3) + data(1, b"ab") + headers(1, TRAILER, end=True), OPEN,
          "1 data ab", "1 failed: 1 bytes of Content-Length are missing"),
    wrong("too much", length(3) + data(1, b"ab") + data(1, b"cd", end=True), OPEN,
          "1 data ab", "1 failed: more DATA than Content-Length"),
    wrong("too much at once", length(3) + data(1, b"abcd"), OPEN,
          "1 failed: more DATA than Content-Length"),
    wrong(
        "too much in many frames",
        length(4) + data(1, b"a") * 4 + data(1, b"b") + data(1, b"c", end=True),
        OPEN,
        "1 data aaaa",
        "1 failed: more DATA than Content-Length",
    ),
    wrong(
        "too little in many frames",
        length(9) + data(1, b"ab") * 4 + data(1, end=True),
        OPEN,
        "1 data abababab",
        "1 failed: 1 bytes of Content-Length are missing",
    ),
    fatal(
        "DATA of 16,385 bytes behind smaller ones",
        "RFC 9113 §4.2",
        headers(1) + data(1, b"x") * 3 + data(1, bytes(2**14 + 1)),
        "FRAME_SIZE_ERROR",
        OPEN,
        "1 data xxx",
    ),
    wrong("a byte beyond 0", length(0) + data(1, b"a", end=True), OPEN,
          "1 failed: more DATA than Content-Length"),
    # -- what we may send
    understood(
        "WINDOW_UPDATE",
        "RFC 9113 §6.9",
        GET + opened(0, 1) + opened(1, 2**31 - 1 - 65535)
        + opened(0, 2**31 - 1 - 65536),
        SERVED,
        "window 65536",
        "1 window 2147483647",
        "window 2147483647",
    ),
    understood(
        "WINDOW_UPDATE with the reserved bit",
        "RFC 9113 §6.9",
        opened(0, 2**31 + 5),
        "window 65540",
    ),
    fatal("WINDOW_UPDATE of 0 on the connection", "RFC 9113 §6.9", opened(0, 0),
          "PROTOCOL_ERROR"),
    fatal("WINDOW_UPDATE of 0 and the reserved bit", "RFC 9113 §6.9",
          opened(0, 2**31), "PROTOCOL_ERROR"),
    stream_fault("WINDOW_UPDATE of 0 on a stream", "CVE-2025-8671",
                 GET + opened(1, 0), "PROTOCOL_ERROR", SERVED,
                 "1 failed: WINDOW_UPDATE of 0 bytes"),
    fatal("a window of the connection beyond 2^31 - 1", "RFC 9113 §6.9.1",
          opened(0, 2**31 - 1), "FLOW_CONTROL_ERROR"),
    stream_fault("a window of a stream beyond 2^31 - 1", "CVE-2025-8671",
                 GET + opened(1, 2**31 - 1), "FLOW_CONTROL_ERROR", SERVED,
                 "1 failed: window beyond 2^31-1"),
]  # fmt: skip
