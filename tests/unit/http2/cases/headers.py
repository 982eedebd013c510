"""Requests and trailers, and the frames that their header blocks come in."""

from __future__ import annotations

import hpack

from proxy.http2.frames import (
    CONTINUATION,
    DATA,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
)
from tests.unit.http2.cases.model import FrameCase, fatal, understood
from tests.unit.http2.recording import BLOCK, data, fields, frame, headers

GET = headers(1, end=True)
SERVED = "1 POST /p complete"
OPEN = "1 POST /p"
SELF = b"\x00\x00\x00\x01\x0f"  # a priority that depends on stream 1
OTHER = b"\x80\x00\x00\x00\xff"
TRAILER = fields((b"x-sum", b"1"))
ENDED = "1 ended [(b'x-sum', b'1')]"
RESET = frame(RST_STREAM, 0, 1, b"\x00\x00\x00\x08")
WAS_RESET = "1 reset by the client: CANCEL"


def within(name: str, other: bytes) -> FrameCase:
    """A frame that comes while a header block has not ended."""
    return fatal(
        f"within a header block: {name}",
        "RFC 9113 §4.3",
        headers(1, BLOCK[:5], flags=0) + other,
        "PROTOCOL_ERROR",
    )


def tables() -> bytes:
    """Two requests, the second by the table that the first has filled."""
    encoder = hpack.Encoder()
    more = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a"),
        (b":path", b"/long/enough/to/be/kept"),
    ]
    first, second = encoder.encode(more), encoder.encode(more)
    assert len(second) == 4
    return headers(1, first, end=True) + headers(3, second, end=True)


CASES: list[FrameCase] = [
    # -- requests
    understood("a request without content", "RFC 9113 §8.1", GET, SERVED),
    understood(
        "a request with content",
        "RFC 9113 §8.1",
        headers(1) + data(1, b"abc") + data(1, b"def", end=True),
        OPEN,
        "1 data abcdef",
        "1 ended",
    ),
    understood(
        "a request whose content is empty",
        "RFC 9113 §8.1",
        headers(1) + data(1, end=True),
        OPEN,
        "1 ended",
    ),
    understood(
        "a request with trailers",
        "RFC 9113 §8.1",
        headers(1) + data(1, b"abc") + headers(1, TRAILER, end=True),
        OPEN,
        "1 data abc",
        ENDED,
    ),
    understood(
        "trailers without content",
        "RFC 9113 §8.1",
        headers(1) + headers(1, TRAILER, end=True),
        OPEN,
        ENDED,
    ),
    understood(
        "empty trailers",
        "RFC 9113 §8.1",
        headers(1) + headers(1, b"", end=True),
        OPEN,
        "1 ended",
    ),
    understood(
        "two requests at once",
        "RFC 9113 §5",
        headers(1) + headers(3) + data(1, b"a") + data(3, b"b")
        + data(1, b"c", end=True) + data(3, b"d", end=True),
        OPEN,
        "3 POST /p",
        "1 data a",
        "3 data b",
        "1 data c",
        "1 ended",
        "3 data d",
        "3 ended",
    ),
    understood(
        "the second request by the table of the first",
        "RFC 7541 §2.3.2",
        tables(),
        "1 GET /long/enough/to/be/kept complete",
        "3 GET /long/enough/to/be/kept complete",
    ),
    understood(
        "an extended CONNECT",
        "RFC 8441 §4",
        headers(
            1,
            fields(
                (b":method", b"CONNECT"),
                (b":protocol", b"websocket"),
                (b":scheme", b"https"),
                (b":authority", b"a"),
                (b":path", b"/ws"),
            ),
        )
        + data(1, b"frame"),
        "1 GET /ws websocket",
        "1 data frame",
    ),
    # -- how a block is framed
    understood(
        "CONTINUATION",
        "RFC 9113 §6.10",
        headers(1, BLOCK[:1], flags=0, end=True)
        + frame(CONTINUATION, 0, 1, BLOCK[1:7])
        + frame(CONTINUATION, 4, 1, BLOCK[7:]),
        SERVED,
    ),
    understood(
        "CONTINUATION that brings all, and one that brings nothing",
        "RFC 9113 §6.10",
        headers(1, b"", flags=0, end=True)
        + frame(CONTINUATION, 0, 1, BLOCK)
        + frame(CONTINUATION, 4, 1),
        SERVED,
    ),
    understood(
        "END_STREAM on CONTINUATION means nothing",
        "RFC 9113 §6.10",
        headers(1, BLOCK[:3], flags=0) + frame(CONTINUATION, 4 | 1, 1, BLOCK[3:])
        + data(1, b"x"),
        OPEN,
        "1 data x",
    ),
    understood(
        "trailers by CONTINUATION",
        "RFC 9113 §6.10",
        headers(1) + headers(1, TRAILER[:2], flags=0, end=True)
        + frame(CONTINUATION, 4, 1, TRAILER[2:]),
        OPEN,
        ENDED,
    ),
    understood(
        "HEADERS with padding",
        "RFC 9113 §6.2",
        frame(HEADERS, 5 | PADDED, 1, b"\x09" + BLOCK + bytes(9)),
        SERVED,
    ),
    understood(
        "HEADERS with padding that is not zero",
        "RFC 9113 §6.1",
        frame(HEADERS, 5 | PADDED, 1, b"\x02" + BLOCK + b"\xff\xff"),
        SERVED,
    ),
    understood(
        "HEADERS with a priority",
        "RFC 9113 §6.2",
        frame(HEADERS, 5 | WITH_PRIORITY, 1, OTHER + BLOCK),
        SERVED,
    ),
    understood(
        "HEADERS with padding and a priority",
        "RFC 9113 §6.2",
        frame(
            HEADERS, 5 | WITH_PRIORITY | PADDED, 1, b"\x01" + OTHER + BLOCK + b"\x00"
        ),
        SERVED,
    ),
    fatal(
        "HEADERS with more padding than there is",
        "RFC 9113 §6.2",
        frame(HEADERS, 5 | PADDED, 1, bytes([len(BLOCK) + 1]) + BLOCK),
        "PROTOCOL_ERROR",
    ),
    fatal(
        "HEADERS whose padding takes the priority",
        "RFC 9113 §6.2",
        frame(HEADERS, 5 | PADDED | WITH_PRIORITY, 1, b"\x03" + OTHER + b"\x00\x00"),
        "PROTOCOL_ERROR",
    ),
    fatal(
        "HEADERS without its padding",
        "RFC 9113 §4.2",
        frame(HEADERS, 5 | PADDED, 1),
        "FRAME_SIZE_ERROR",
    ),
    fatal(
        "HEADERS without its priority",
        "RFC 9113 §4.2",
        frame(HEADERS, 5 | WITH_PRIORITY, 1, OTHER[:4]),
        "FRAME_SIZE_ERROR",
    ),
    fatal(
        "a header block that cannot be read",
        "RFC 9113 §4.3",
        headers(1, b"\xff\xff\xff\xff\xff\xff\xff", end=True),
        "COMPRESSION_ERROR",
    ),
    fatal(
        "trailers that cannot be read",
        "RFC 9113 §4.3",
        headers(1) + headers(1, b"\x80", end=True),
        "COMPRESSION_ERROR",
        OPEN,
    ),
    within("DATA", frame(DATA, 0, 1, b"x")),
    within("HEADERS of the same stream", GET),
    within("HEADERS of another stream", headers(3, end=True)),
    within("CONTINUATION of another stream", frame(CONTINUATION, 4, 3, BLOCK[5:])),
    within("PRIORITY", frame(PRIORITY, 0, 1, OTHER)),
    within("RST_STREAM", RESET),
    within("SETTINGS", frame(SETTINGS, 0, 0)),
    within("PING", frame(PING, 0, 0, bytes(8))),
    within("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01")),
    within("PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=1")),
    within("a frame of an unknown type", frame(0xF, 0, 1, b"x")),
    fatal(
        "CONTINUATION after nothing",
        "RFC 9113 §6.10",
        frame(CONTINUATION, 4, 1, BLOCK),
        "PROTOCOL_ERROR",
    ),
    fatal(
        "CONTINUATION after a block that has ended",
        "RFC 9113 §6.10",
        GET + frame(CONTINUATION, 4, 1, BLOCK),
        "PROTOCOL_ERROR",
        SERVED,
    ),
    fatal(
        "CONTINUATION after CONTINUATION that has ended it",
        "RFC 9113 §6.10",
        headers(1, BLOCK[:4], flags=0) + frame(CONTINUATION, 4, 1, BLOCK[4:])
        + frame(CONTINUATION, 4, 1),
        "PROTOCOL_ERROR",
        OPEN,
    ),
    fatal(
        "CONTINUATION after DATA",
        "RFC 9113 §6.10",
        headers(1) + data(1, b"x") + frame(CONTINUATION, 4, 1, BLOCK),
        "PROTOCOL_ERROR",
        OPEN,
        "1 data x",
    ),
]  # fmt: skip
