"""The preface, frames as such, and those of the connection."""

from __future__ import annotations

from proxy.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from tests.unit.http2.cases.model import FrameCase, fatal, understood
from tests.unit.http2.recording import (
    BLOCK,
    data,
    frame,
    headers,
    settings,
)

EIGHT = b"12345678"
LARGE = 2**14 + 1
GET = headers(1, end=True)
SERVED = "1 POST /p complete"


def preface(name: str, sent: bytes) -> FrameCase:
    return fatal(f"preface: {name}", "RFC 9113 §3.4", sent, "PROTOCOL_ERROR", bare=True)


def first(name: str, sent: bytes) -> FrameCase:
    return fatal(
        f"first frame: {name}",
        "RFC 9113 §3.4",
        PREFACE + sent,
        "PROTOCOL_ERROR",
        bare=True,
    )


def size(name: str, kind: int, number: int, length: int, section: str) -> FrameCase:
    """A frame of a length that it cannot have."""
    return fatal(
        f"{name} of {length} bytes",
        f"RFC 9113 §{section}",
        GET + frame(kind, 0, number, bytes(length)),
        "FRAME_SIZE_ERROR",
        SERVED,
    )


def place(name: str, kind: int, number: int, length: int, section: str) -> FrameCase:
    """A frame on a stream that it cannot be on."""
    return fatal(
        f"{name} on stream {number}",
        f"RFC 9113 §{section}",
        GET + frame(kind, 4 if kind == HEADERS else 0, number, bytes(length)),
        "PROTOCOL_ERROR",
        SERVED,
    )


CASES: list[FrameCase] = [
    # -- preface
    preface("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    preface("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    preface("another version", b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n" + settings()),
    preface("LF alone", b"PRI * HTTP/2.0\n\nSM\n\n" + settings()),
    preface("a byte too many", PREFACE[:-2] + b"\n\r\n" + settings()),
    fatal(
        "preface: twice",
        "RFC 9113 §3.4",
        PREFACE,
        "FRAME_SIZE_ERROR",  # "PRI" is 5,263,945 bytes
    ),
    first("PING", frame(PING, 0, 0, EIGHT)),
    first("HEADERS", GET),
    first("DATA", data(1, b"x")),
    first("an acknowledgement", frame(SETTINGS, ACK, 0)),
    first("of an unknown type", frame(0xF, 0, 0, b"x")),
    understood("nothing but settings", "RFC 9113 §3.4", b""),
    # -- frames as such
    understood(
        "a frame of an unknown type",
        "RFC 9113 §5.5",
        frame(0xF, 0xFF, 0, b"what") + frame(0xFF, 0xFF, 77, b"else") + GET,
        SERVED,
    ),
    understood(
        "unknown flags",
        "RFC 9113 §4.1",
        headers(1, flags=0x4 | 0x12 | 0xC0, end=True) + frame(PING, 0xFE, 0, EIGHT),
        SERVED,
        wrote=("PING ACK 3132333435363738",),
    ),
    understood(
        "the reserved bit",
        "RFC 9113 §4.1",
        frame(PING, 0, 2**31, EIGHT)
        + frame(HEADERS, 4, 2**31 + 1, BLOCK)
        + frame(DATA, 1, 2**31 + 1, b"abc"),
        "1 POST /p",
        "1 data abc",
        "1 ended",
        wrote=("PING ACK 3132333435363738",),
    ),
    *(
        fatal(
            f"{name} of 16,385 bytes",
            "RFC 9113 §4.2",
            headers(1) + frame(kind, 0, number, bytes(LARGE)),
            "FRAME_SIZE_ERROR",
            "1 POST /p",
        )
        for name, kind, number in (
            ("DATA", DATA, 1),
            ("HEADERS", HEADERS, 3),
            ("SETTINGS", SETTINGS, 0),
            ("a frame of an unknown type", 0xF, 0),
        )
    ),
    fatal(
        "the header of a frame of 16 MiB, alone",
        "RFC 9113 §4.2",
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        "FRAME_SIZE_ERROR",
    ),
    # -- lengths
    size("PING", PING, 0, 7, "6.7"),
    size("PING", PING, 0, 9, "6.7"),
    size("PING", PING, 0, 0, "6.7"),
    size("RST_STREAM", RST_STREAM, 1, 3, "6.4"),
    size("RST_STREAM", RST_STREAM, 1, 5, "6.4"),
    size("WINDOW_UPDATE", WINDOW_UPDATE, 0, 3, "6.9"),
    size("WINDOW_UPDATE", WINDOW_UPDATE, 1, 5, "6.9"),
    size("WINDOW_UPDATE", WINDOW_UPDATE, 1, 0, "6.9"),
    size("GOAWAY", GOAWAY, 0, 7, "6.8"),
    size("SETTINGS", SETTINGS, 0, 5, "6.5"),
    size("SETTINGS", SETTINGS, 0, 7, "6.5"),
    # -- streams
    place("DATA", DATA, 0, 3, "6.1"),
    place("HEADERS", HEADERS, 0, 3, "6.2"),
    place("PRIORITY", PRIORITY, 0, 5, "6.3"),
    place("RST_STREAM", RST_STREAM, 0, 4, "6.4"),
    place("SETTINGS", SETTINGS, 1, 0, "6.5"),
    place("PUSH_PROMISE", PUSH_PROMISE, 0, 4, "6.6"),
    place("PUSH_PROMISE", PUSH_PROMISE, 1, 4, "8.4"),
    place("PING", PING, 1, 8, "6.7"),
    place("GOAWAY", GOAWAY, 1, 8, "6.8"),
    place("CONTINUATION", CONTINUATION, 0, 3, "6.10"),
    # -- PING, GOAWAY
    understood(
        "PING",
        "RFC 9113 §6.7",
        frame(PING, 0, 0, EIGHT) + frame(PING, 0, 0, bytes(8)),
        wrote=("PING ACK 3132333435363738", "PING ACK 0000000000000000"),
    ),
    understood(
        "PING that acknowledges",
        "RFC 9113 §6.7",
        frame(PING, ACK, 0, EIGHT),
        "ping acked 12345678",
    ),
    understood(
        "GOAWAY, and what was open goes on",
        "RFC 9113 §6.8",
        headers(1) + frame(GOAWAY, 0, 0, bytes(8) + b"bye") + data(1, b"x", end=True),
        "1 POST /p",
        "going away: NO_ERROR bye",
        "1 data x",
        "1 ended",
    ),
    understood(
        "GOAWAY with an unknown code",
        "RFC 9113 §7",
        frame(GOAWAY, 0, 0, bytes(6) + b"\x01\x00"),
        "going away: error code 0x100 ",
    ),
]
