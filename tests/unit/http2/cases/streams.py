"""The numbers and states of streams, and what a client says of their priority."""

from __future__ import annotations

from proxy.http2.frames import (
    HEADERS,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    WINDOW_UPDATE,
    WITH_PRIORITY,
)
from tests.unit.http2.cases.model import FrameCase, fatal, stream_fault, understood
from tests.unit.http2.recording import BLOCK, block, data, fields, frame, headers

GET = headers(1, end=True)
SERVED = "1 POST /p complete"
OPEN = "1 POST /p"
SELF = b"\x00\x00\x00\x01\x0f"  # a priority that depends on stream 1
OTHER = b"\x80\x00\x00\x00\xff"
TRAILER = fields((b"x-sum", b"1"))
ENDED = "1 ended [(b'x-sum', b'1')]"
RESET = frame(RST_STREAM, 0, 1, b"\x00\x00\x00\x08")
WAS_RESET = "1 reset by the client: CANCEL"


CASES: list[FrameCase] = [
    # -- numbers
    fatal("a stream of an even number", "RFC 9113 §5.1.1", headers(2),
          "PROTOCOL_ERROR"),
    understood(
        "numbers may be left out",
        "RFC 9113 §5.1.1",
        headers(5, end=True) + headers(99, end=True),
        "5 POST /p complete",
        "99 POST /p complete",
    ),
    fatal(
        "a number that was left out",
        "RFC 9113 §5.1.1",
        headers(5, end=True) + headers(3, end=True),
        "PROTOCOL_ERROR",
        "5 POST /p complete",
    ),
    fatal(
        "a number that is closed",
        "RFC 9113 §5.1",
        GET + RESET + GET,
        "STREAM_CLOSED",
        SERVED,
        WAS_RESET,
    ),
    understood(
        "a great number",
        "RFC 9113 §5.1.1",
        headers(2**31 - 5, end=True),
        "2147483643 POST /p complete",
    ),
    # -- states
    fatal("DATA on an idle stream", "RFC 9113 §5.1", data(1, b"x"), "PROTOCOL_ERROR"),
    fatal("DATA on a pushed stream", "RFC 9113 §5.1", GET + data(2, b"x"),
          "PROTOCOL_ERROR", SERVED),
    fatal("RST_STREAM on an idle stream", "RFC 9113 §6.4", RESET, "PROTOCOL_ERROR"),
    fatal("WINDOW_UPDATE on an idle stream", "RFC 9113 §5.1",
          frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01"), "PROTOCOL_ERROR"),
    understood("PRIORITY on an idle stream", "RFC 9113 §5.1",
               frame(PRIORITY, 0, 1, OTHER) + GET, SERVED),
    understood("PRIORITY for a later stream uses no number up", "RFC 9113 §5.1.1",
               frame(PRIORITY, 0, 7, OTHER) + GET, SERVED),
    stream_fault(
        "DATA after END_STREAM",
        "RFC 9113 §5.1",
        GET + data(1, b"x"),
        "STREAM_CLOSED",
        SERVED,
        "1 failed: DATA after END_STREAM",
    ),
    stream_fault(
        "HEADERS after END_STREAM",
        "RFC 9113 §5.1",
        GET + headers(1, TRAILER, end=True),
        "STREAM_CLOSED",
        SERVED,
        "1 failed: HEADERS after END_STREAM",
    ),
    stream_fault(
        "trailers without END_STREAM",
        "RFC 9113 §8.1",
        headers(1) + data(1, b"x") + headers(1, TRAILER),
        "PROTOCOL_ERROR",
        OPEN,
        "1 data x",
        "1 failed: trailers without END_STREAM",
    ),
    understood(
        "after END_STREAM: WINDOW_UPDATE, PRIORITY, RST_STREAM",
        "RFC 9113 §5.1",
        GET + frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01")
        + frame(PRIORITY, 0, 1, OTHER) + RESET,
        SERVED,
        "1 window 65536",
        WAS_RESET,
    ),
    understood(
        "after RST_STREAM: PRIORITY, WINDOW_UPDATE, RST_STREAM",
        "RFC 9113 §5.1",
        headers(1) + RESET + frame(PRIORITY, 0, 1, OTHER)
        + frame(WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x01") + RESET,
        OPEN,
        WAS_RESET,
    ),
    fatal(
        "after RST_STREAM: DATA",
        "RFC 9113 §5.1",
        headers(1) + RESET + data(1, b"x"),
        "STREAM_CLOSED",
        OPEN,
        WAS_RESET,
    ),
    fatal(
        "after RST_STREAM: HEADERS",
        "RFC 9113 §5.1",
        headers(1) + RESET + headers(1, TRAILER, end=True),
        "STREAM_CLOSED",
        OPEN,
        WAS_RESET,
    ),
    understood(
        "RST_STREAM with an unknown code",
        "RFC 9113 §7",
        headers(1) + frame(RST_STREAM, 0, 1, b"\x00\x00\x01\x00"),
        OPEN,
        "1 reset by the client: error code 0x100",
    ),
    # -- what we have reset may still be on its way
    stream_fault(
        "after a fault: DATA, trailers",
        "RFC 9113 §5.1",
        headers(1, block((b"content-length", b"1"))) + data(1, b"xy")
        + data(1, b"zz") + headers(1, TRAILER, end=True),
        "PROTOCOL_ERROR",
        OPEN,
        "1 failed: more DATA than Content-Length",
    ),
    stream_fault(
        "after a malformed request: DATA, RST_STREAM",
        "RFC 9113 §5.1",
        headers(1, fields((b":method", b"GET"))) + data(1, b"x") + RESET,
        "PROTOCOL_ERROR",
        "1 malformed: malformed request: invalid :scheme ''",
    ),
    FrameCase(
        "after a fault: DATA behind the END_STREAM",
        "RFC 9113 §5.1",
        headers(1, fields((b":method", b"GET"))) + data(1, b"x", end=True)
        + data(1, b"x"),
        ("1 malformed: malformed request: invalid :scheme ''",),
        ("RST 1 PROTOCOL_ERROR",),
        "STREAM_CLOSED",
    ),
    # -- priorities
    understood(
        "a priority in the field",
        "RFC 9218 §5",
        headers(1, block((b"priority", b"u=1, i")), end=True),
        "1 POST /p u=1 i=True complete",
    ),
    understood(
        "PRIORITY_UPDATE of an open stream",
        "RFC 9218 §7.1",
        GET + frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=5"),
        SERVED,
        "1 u=5 i=False",
    ),
    understood(
        "PRIORITY_UPDATE ahead of its request",
        "RFC 9218 §7.1",
        frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=5")
        + frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=6")
        + headers(1, block((b"priority", b"u=1")), end=True),
        "1 POST /p u=6 i=False complete",
    ),
    understood(
        "PRIORITY_UPDATE of a closed stream",
        "RFC 9218 §7.1",
        GET + RESET + frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=5"),
        SERVED,
        WAS_RESET,
    ),
    fatal("PRIORITY_UPDATE on a stream", "RFC 9218 §7.1",
          frame(PRIORITY_UPDATE, 0, 1, b"\x00\x00\x00\x01u=5"), "PROTOCOL_ERROR"),
    fatal("PRIORITY_UPDATE of stream 0", "RFC 9218 §7.1",
          frame(PRIORITY_UPDATE, 0, 0, bytes(4)), "PROTOCOL_ERROR"),
    fatal("PRIORITY_UPDATE of a pushed stream", "RFC 9218 §7.1",
          frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x02u=5"), "PROTOCOL_ERROR"),
    fatal("PRIORITY_UPDATE of 3 bytes", "RFC 9218 §7.1",
          frame(PRIORITY_UPDATE, 0, 0, bytes(3)), "FRAME_SIZE_ERROR"),
    stream_fault(
        "PRIORITY of 4 bytes",
        "RFC 9113 §6.3",
        GET + frame(PRIORITY, 0, 1, bytes(4)),
        "FRAME_SIZE_ERROR",
        SERVED,
        "1 failed: PRIORITY of 4 bytes",
    ),
    fatal("PRIORITY of 4 bytes on an idle stream", "RFC 9113 §6.3",
          frame(PRIORITY, 0, 1, bytes(4)), "FRAME_SIZE_ERROR"),
    stream_fault(
        "PRIORITY: a stream that depends on itself",
        "RFC 7540 §5.3.1",
        GET + frame(PRIORITY, 0, 1, SELF),
        "PROTOCOL_ERROR",
        SERVED,
        "1 failed: the stream depends on itself",
    ),
    fatal("PRIORITY: an idle stream that depends on itself", "RFC 7540 §5.3.1",
          frame(PRIORITY, 0, 1, SELF), "PROTOCOL_ERROR"),
    stream_fault(
        "HEADERS: a stream that depends on itself",
        "RFC 7540 §5.3.1",
        frame(HEADERS, 5 | WITH_PRIORITY, 1, SELF + BLOCK),
        "PROTOCOL_ERROR",
        "1 malformed: the stream depends on itself",
    ),
]  # fmt: skip
