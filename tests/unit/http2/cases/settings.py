"""SETTINGS, and what they do to windows."""

from __future__ import annotations

from proxy.http2.frames import (
    ACK,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
    SETTINGS,
    WINDOW_UPDATE,
)
from tests.unit.http2.cases.model import FrameCase, fatal, understood
from tests.unit.http2.recording import frame, headers, settings

ACKED = "SETTINGS ACK"
FOUR = "RFC 9113 §6.5.2"


def good(name: str, *pairs: tuple[int, int], source: str = FOUR) -> FrameCase:
    return understood(f"settings: {name}", source, settings(*pairs), wrote=(ACKED,))


def bad(
    name: str,
    *pairs: tuple[int, int],
    code: str = "PROTOCOL_ERROR",
    source: str = FOUR,
) -> FrameCase:
    return fatal(f"settings: {name}", source, settings(*pairs), code)


def opened(number: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, number, increment.to_bytes(4, "big"))


CASES: list[FrameCase] = [
    good("none"),
    good("unknown ones", (0, 1), (7, 2), (0xA, 3), (0xFFFF, 2**32 - 1)),
    good("a grease value", (0x1A2A, 0xDEADBEEF), source="RFC 9113 §5.5"),
    good(
        "all, at their least",
        (HEADER_TABLE_SIZE, 0),
        (ENABLE_PUSH, 0),
        (MAX_CONCURRENT_STREAMS, 0),
        (INITIAL_WINDOW_SIZE, 0),
        (MAX_FRAME_SIZE, 2**14),
        (MAX_HEADER_LIST_SIZE, 0),
        (ENABLE_CONNECT_PROTOCOL, 0),
        (NO_RFC7540_PRIORITIES, 0),
    ),
    good(
        "all, at their greatest",
        (HEADER_TABLE_SIZE, 2**32 - 1),
        (ENABLE_PUSH, 1),
        (MAX_CONCURRENT_STREAMS, 2**32 - 1),
        (INITIAL_WINDOW_SIZE, 2**31 - 1),
        (MAX_FRAME_SIZE, 2**24 - 1),
        (MAX_HEADER_LIST_SIZE, 2**32 - 1),
        (ENABLE_CONNECT_PROTOCOL, 1),
    ),
    good("one of them 32 times", *[(ENABLE_PUSH, 0)] * 32, source="RFC 9113 §6.5.3"),
    bad("33 in one frame", *[(ENABLE_PUSH, 0)] * 33, code="ENHANCE_YOUR_CALM",
        source="CVE-2019-9515"),
    bad("ENABLE_PUSH of 2", (ENABLE_PUSH, 2)),
    bad("INITIAL_WINDOW_SIZE of 2^31", (INITIAL_WINDOW_SIZE, 2**31),
        code="FLOW_CONTROL_ERROR"),
    bad("INITIAL_WINDOW_SIZE of 2^31, mended in the same frame",
        (INITIAL_WINDOW_SIZE, 2**32 - 1), (INITIAL_WINDOW_SIZE, 65535),
        code="FLOW_CONTROL_ERROR"),
    bad("MAX_FRAME_SIZE of 2^14 - 1", (MAX_FRAME_SIZE, 2**14 - 1)),
    bad("MAX_FRAME_SIZE of 2^24", (MAX_FRAME_SIZE, 2**24)),
    bad("MAX_FRAME_SIZE of 0", (MAX_FRAME_SIZE, 0)),
    bad("ENABLE_CONNECT_PROTOCOL of 2", (ENABLE_CONNECT_PROTOCOL, 2),
        source="RFC 8441 §3"),
    bad("NO_RFC7540_PRIORITIES of 2", (NO_RFC7540_PRIORITIES, 2),
        source="RFC 9218 §2.1"),
    bad("NO_RFC7540_PRIORITIES changes", (NO_RFC7540_PRIORITIES, 1),
        source="RFC 9218 §2.1"),
    understood(
        "settings: an acknowledgement", "RFC 9113 §6.5.3", frame(SETTINGS, ACK, 0)
    ),
    understood(
        "settings: one acknowledgement too many",
        "RFC 9113 §6.5.3",
        frame(SETTINGS, ACK, 0) * 3,
    ),
    fatal(
        "settings: an acknowledgement with a setting",
        "RFC 9113 §6.5",
        frame(SETTINGS, ACK, 0, bytes(6)),
        "FRAME_SIZE_ERROR",
    ),
    # -- windows
    understood(
        "settings: a larger window opens those of streams",
        "RFC 9113 §6.9.2",
        headers(1) + headers(3, end=True) + settings((INITIAL_WINDOW_SIZE, 65536)),
        "1 POST /p",
        "3 POST /p complete",
        "1 window 65536",
        "3 window 65536",
        wrote=(ACKED,),
    ),
    understood(
        "settings: the last of several windows counts",
        "RFC 9113 §6.5.3",
        headers(1) + settings((INITIAL_WINDOW_SIZE, 1), (INITIAL_WINDOW_SIZE, 70000)),
        "1 POST /p",
        "1 window 70000",
        wrote=(ACKED,),
    ),
    understood(
        "settings: a window of 0, and open again",
        "RFC 9113 §6.9.2",
        headers(1)
        + settings((INITIAL_WINDOW_SIZE, 0))
        + opened(1, 5)
        + settings((INITIAL_WINDOW_SIZE, 3)),
        "1 POST /p",
        "1 window 5",
        "1 window 8",
        wrote=(ACKED, ACKED),
    ),
    understood(
        "settings: a window that was opened shrinks by the difference",
        "RFC 9113 §6.9.2",
        headers(1)
        + opened(1, 10)
        + settings((INITIAL_WINDOW_SIZE, 0))
        + opened(1, 1),
        "1 POST /p",
        "1 window 65545",
        "1 window 11",
        wrote=(ACKED,),
    ),
    fatal(
        "settings: a window that was opened grows beyond 2^31 - 1",
        "RFC 9113 §6.9.2",
        headers(1)
        + opened(1, 2**31 - 1 - 65535)
        + settings((INITIAL_WINDOW_SIZE, 65536)),
        "FLOW_CONTROL_ERROR",
        "1 POST /p",
        "1 window 2147483647",
        wrote=(ACKED,),
    ),
]  # fmt: skip
