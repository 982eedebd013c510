"""What a client may not do without end: each flood ends the connection, and says why.

A client just within each limit is served. Time is the recorder's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from proxy.http2.flood_guard import MOST_UPDATES, SPAN, UPDATES_BEFOREHAND
from proxy.http2.frames import (
    ACK,
    CANCEL,
    CONTINUATION,
    GOAWAY,
    HEADERS,
    INTERNAL_ERROR,
    NO_ERROR,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
)
from proxy.http2.limits import Http2Limits
from tests.unit.http2.recording import (
    BLOCK,
    START,
    Recorder,
    block,
    data,
    fields,
    frame,
    headers,
    padded,
    settings,
)

LIMITS = Http2Limits(
    max_streams=4,
    max_resets_per_second=2,
    max_control_frames_per_second=3,
    max_head_bytes=4096,
)
RESETS = int(2 * SPAN)
CONTROLS = int(3 * SPAN)
NO_LIMITS = Http2Limits(max_resets_per_second=0, max_control_frames_per_second=0)


def numbers() -> Iterator[int]:
    return iter(range(1, 2**31, 2))


def opened(number: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, number, increment.to_bytes(4, "big"))


def cancel(number: int) -> bytes:
    return frame(RST_STREAM, 0, number, CANCEL.to_bytes(4, "big"))


def is_calm(recorder: Recorder) -> bool:
    """Is the connection still served?"""
    return not recorder.session.closed


def ended_by(recorder: Recorder) -> str:
    """The reason, as the peer gets it, and as the log does."""
    (reason,) = (
        line.removeprefix("ENHANCE_YOUR_CALM: ")
        for line in recorder.log
        if line.startswith("ENHANCE_YOUR_CALM: ")
    )
    assert recorder.written[-1].endswith(reason.encode())
    assert recorder.sent()[-1].endswith("ENHANCE_YOUR_CALM")
    return reason


# -- control frames

Make = Callable[[], bytes]
OPENED = headers(1)
CONTROL_FRAMES: dict[str, bytes] = {
    "SETTINGS": settings(),
    "PING": frame(PING, 0, 0, bytes(8)),
    "answers to no PING": frame(PING, ACK, 0, bytes(8)),
    "PRIORITY": frame(PRIORITY, 0, 1, b"\x00\x00\x00\x03\x00"),
    "PRIORITY of idle streams": frame(PRIORITY, 0, 9999, b"\x00\x00\x00\x03\x00"),
    "PRIORITY_UPDATE": frame(PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x01u=1"),
    "empty DATA": data(1),
    "DATA of padding": padded(1, b"", 200),
    "unknown frames": frame(0x42, 0, 0, b"x"),
    "GOAWAY": frame(GOAWAY, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("name", CONTROL_FRAMES)
def test_control_frames_without_end(name: str) -> None:
    flood = CONTROL_FRAMES[name]
    recorder = Recorder(LIMITS)
    recorder.feed([START + OPENED])  # its SETTINGS count, too
    recorder.feed([flood * (CONTROLS - 1)])
    assert is_calm(recorder)
    recorder.feed([flood])
    assert ended_by(recorder) == (
        f"{CONTROLS + 1} control frames within 10 s "
        "(http2_max_control_frames_per_second)"
    )


@pytest.mark.parametrize("name", CONTROL_FRAMES)
def test_as_many_control_frames_as_the_key_allows(name: str) -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + OPENED])
    for _ in range(5):
        recorder.now += SPAN
        recorder.feed([CONTROL_FRAMES[name] * CONTROLS])
    assert is_calm(recorder)


@pytest.mark.parametrize("name", CONTROL_FRAMES)
def test_0_is_no_limit(name: str) -> None:
    recorder = Recorder(NO_LIMITS)
    recorder.feed([START + OPENED])
    recorder.feed([CONTROL_FRAMES[name] * 5000])
    assert is_calm(recorder)


def test_acknowledgements_without_end() -> None:
    recorder = Recorder(LIMITS)
    ack = frame(SETTINGS, ACK, 0)
    recorder.feed([START + ack * CONTROLS])
    assert is_calm(recorder)
    recorder.feed([ack])
    assert "control frames" in ended_by(recorder)


def test_resets_and_updates_of_closed_streams_are_control_frames() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1) + cancel(1)])
    recorder.feed([cancel(1) * (CONTROLS - 1)])
    assert is_calm(recorder)
    recorder.feed([cancel(1)])
    assert "control frames" in ended_by(recorder)


# -- windows (CVE-2019-9511, CVE-2019-9517)


def test_window_updates_without_a_reason_are_control_frames() -> None:
    """So that a window of one byte at a time is refused, too."""
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1)])
    free = UPDATES_BEFOREHAND + 2 + CONTROLS - 1
    recorder.feed([opened(0, 1) * free])
    assert is_calm(recorder)
    recorder.feed([opened(1, 1)])
    assert "control frames" in ended_by(recorder)


def test_window_updates_for_each_frame_and_each_request_are_none() -> None:
    """As nearly all clients send them: for the stream, and for the connection."""
    recorder = Recorder(LIMITS)
    recorder.feed([START])
    for number in range(1, 1001, 2):
        recorder.feed([headers(number, end=True) + opened(0, 1) + opened(number, 1)])
        recorder.session.data_frames += 1
        recorder.feed([opened(0, 1) + opened(number, 1)])
        recorder.session.ended(number)
    assert is_calm(recorder)


@pytest.mark.parametrize("step", [256, 1500, 4096, 8192, 16_383])
def test_window_updates_for_so_many_bytes_are_none(step: int) -> None:
    """A download of a client with small windows: they cut short each frame of it."""
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1, end=True)])
    for _ in range(10 * CONTROLS):
        recorder.session.send_window -= step
        recorder.feed([opened(0, step) + opened(1, step)])
    assert is_calm(recorder)


def test_windows_that_are_opened_for_nothing_are_no_reason() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1)])
    free = UPDATES_BEFOREHAND + 2 + CONTROLS
    recorder.feed([opened(0, 65_536) * free + opened(0, 65_536)])
    assert "control frames" in ended_by(recorder)


def test_reasons_are_not_saved_up_for_ever() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START])
    recorder.session.data_frames = 10**9
    recorder.feed([opened(0, 1) * (MOST_UPDATES + CONTROLS)])
    assert "control frames" in ended_by(recorder)


# -- resets


def test_rapid_reset() -> None:
    """CVE-2023-44487: requests that are reset as soon as they are sent."""
    recorder = Recorder(LIMITS)
    recorder.feed([START])
    for number in range(1, 2 * RESETS, 2):
        recorder.feed([headers(number, end=True) + cancel(number)])
    assert is_calm(recorder)
    assert recorder.session.streams == {}
    number = 2 * RESETS + 1
    recorder.feed([headers(number, end=True) + cancel(number)])
    assert ended_by(recorder) == (
        f"{RESETS + 1} streams reset within 10 s (http2_max_resets_per_second)"
    )


FAULTS: dict[str, Callable[[int], bytes]] = {
    "a window of 0 more": lambda n: headers(n, end=True) + opened(n, 0),
    "a window too large": lambda n: headers(n, end=True) + opened(n, 2**31 - 1),
    "DATA after the end": lambda n: headers(n, end=True) + data(n, b"x"),
    "HEADERS after the end": lambda n: headers(n, end=True) + headers(n, end=True),
    "a PRIORITY of 4 bytes": lambda n: (
        headers(n, end=True) + frame(PRIORITY, 0, n, bytes(4))
    ),
    "a stream that depends on itself": lambda n: (
        headers(n, end=True) + frame(PRIORITY, 0, n, n.to_bytes(4, "big") + b"\x00")
    ),
    "more than Content-Length": lambda n: (
        headers(n, block((b"content-length", b"1"))) + data(n, b"xy")
    ),
    "less than Content-Length": lambda n: (
        headers(n, block((b"content-length", b"1"))) + data(n, end=True)
    ),
    "trailers that are no end": lambda n: headers(n) + headers(n, b""),
    "malformed trailers": lambda n: (
        headers(n) + headers(n, fields((b":path", b"/")), end=True)
    ),
    "a malformed request": lambda n: headers(n, fields((b":path", b"/"))),
    "a request that depends on itself": lambda n: frame(
        HEADERS, 0x25, n, n.to_bytes(4, "big") + b"\x00" + BLOCK
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_made_you_reset(name: str) -> None:
    """CVE-2025-8671: faults for which the server resets streams."""
    recorder = Recorder(LIMITS)
    recorder.feed([START])
    for number in range(1, 2 * RESETS, 2):
        recorder.now += 0.01
        recorder.feed([FAULTS[name](number)])
    assert is_calm(recorder)
    assert recorder.session.streams == {}
    recorder.feed([FAULTS[name](2 * RESETS + 1)])
    assert "streams reset" in ended_by(recorder)


def test_requests_beyond_the_limit_of_streams() -> None:
    recorder = Recorder(LIMITS)
    start = numbers()
    recorder.feed([START, *(headers(next(start)) for _ in range(4))])
    assert len(recorder.session.streams) == 4
    recorder.sent()
    for _ in range(RESETS):
        number = next(start)
        recorder.feed([headers(number)])
        assert recorder.sent() == [f"RST {number} REFUSED_STREAM"]
    recorder.feed([headers(next(start))])
    assert "streams reset" in ended_by(recorder)
    assert len(recorder.streams) == 4


def test_our_own_resets_are_not_counted() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START])
    for number in range(1, 4 * RESETS, 2):
        recorder.feed([headers(number)])
        recorder.session.reset(number, INTERNAL_ERROR)
        recorder.feed([data(number, b"x", end=True)])
    assert is_calm(recorder)


# -- header blocks (CVE-2024-27316)


@pytest.mark.parametrize("size", [0, 1, 16384])
def test_continuation_without_end(size: int) -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1, BLOCK, flags=0)])
    taken = 0
    while is_calm(recorder):
        recorder.feed([frame(CONTINUATION, 0, 1, bytes(size))])
        taken += 1
        assert taken <= 8
    assert ended_by(recorder).endswith("(max_head_bytes)")
    assert recorder.streams == {}


def test_a_block_in_as_many_frames_as_it_has_kib() -> None:
    recorder = Recorder(Http2Limits(max_head_bytes=2**16))
    value = b"x" * 1000
    long = block(*((b"x-%d" % number, value) for number in range(60)))
    parts = [long[at : at + 1000] for at in range(0, len(long), 1000)]
    assert len(parts) > 60
    recorder.feed([START + headers(1, parts[0], flags=0)])
    recorder.feed([frame(CONTINUATION, 0, 1, part) for part in parts[1:-1]])
    recorder.feed([frame(CONTINUATION, 4, 1, parts[-1])])
    assert recorder.log == ["1 POST /p"]


def test_a_head_that_is_a_little_too_large_is_answered() -> None:
    recorder = Recorder(LIMITS)
    large = block((b"x-large", b"x" * 4096))
    recorder.feed([START + headers(1, large, end=True) + headers(3, end=True)])
    assert recorder.log == ["1 refused 431", "3 POST /p complete"]


def test_a_header_bomb() -> None:
    """One entry of the table, again and again: two bytes for four thousand."""
    recorder = Recorder(LIMITS)
    kept = b"\x40" + b"\x01x" + b"\x7f\xd1\x1e" + b"y" * 4048
    recorder.feed([START + headers(1, BLOCK + kept + b"\xbe" * 100, end=True)])
    assert "max_head_bytes" in ended_by(recorder)
    assert recorder.streams == {}


# -- what is remembered stays small


def test_nothing_is_kept_of_streams_that_are_over() -> None:
    recorder = Recorder(NO_LIMITS)
    recorder.feed([START])
    for number in range(1, 10_000, 2):
        recorder.feed([headers(number)])
        recorder.session.reset(number, REFUSED_STREAM)
    session = recorder.session
    assert (len(session.states), len(session.streams)) == (0, 0)
    assert len(session.resets) == 1000
    for number in range(10_001, 20_000, 2):
        recorder.feed([headers(number, end=True)])
        session.ended(number)
    assert (len(session.states), len(session.streams)) == (0, 0)
    assert len(session.resets) == 1000


def test_priorities_of_streams_that_never_begin_are_few() -> None:
    recorder = Recorder(NO_LIMITS)
    recorder.feed([START])
    for number in range(1, 10_000, 2):
        update = number.to_bytes(4, "big") + b"u=1"
        recorder.feed([frame(PRIORITY_UPDATE, 0, 0, update)])
    assert len(recorder.session.priorities) == 100


def test_a_closed_connection_does_nothing_more() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1)])
    recorder.session.go_away(STREAM_CLOSED, "for a test")
    recorder.sent()
    recorder.feed([data(1, b"x"), headers(3), b"\xff" * 100])
    assert recorder.log == ["1 POST /p"]
    assert recorder.sent() == []
    assert not recorder.session.behind


def test_frames_of_one_read_are_taken_a_thousand_at_a_time() -> None:
    recorder = Recorder(NO_LIMITS)
    recorder.feed([START])
    recorder.sent()
    session = recorder.session
    session.receive(frame(PING, 0, 0, bytes(8)) * 2500)
    turns = [len(recorder.sent())]
    while session.behind:
        session.receive(b"")
        turns.append(len(recorder.sent()))
    assert turns == [1000, 1000, 500]


def test_a_fault_behind_a_thousand_frames_leaves_nothing_to_do() -> None:
    recorder = Recorder(NO_LIMITS)
    recorder.feed([START])
    recorder.feed([frame(PING, 0, 0, bytes(8)) * 1500 + frame(PING, 0, 1, bytes(8))])
    assert recorder.session.closed
    assert not recorder.session.behind


def test_going_away_without_an_error_is_no_end() -> None:
    recorder = Recorder(LIMITS)
    recorder.feed([START + headers(1)])
    recorder.session.go_away(NO_ERROR)
    recorder.feed([data(1, b"x", end=True)])
    assert recorder.log == ["1 POST /p", "1 data x", "1 ended"]
