"""Windows: what a client may send is bounded, and opens again as it is passed on."""

from __future__ import annotations

import pytest

from proxy.http2.frames import (
    CANCEL,
    DEFAULT_WINDOW,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    RST_STREAM,
    WINDOW_UPDATE,
)
from proxy.http2.open_streams import CONNECTION_WINDOW, LARGE_WINDOW, SPARE
from proxy.http2.peer_settings import STREAM_WINDOW
from tests.unit.http2.recording import (
    START,
    Recorder,
    data,
    frame,
    headers,
    padded,
    settings,
)

KIB16 = bytes(2**14)
FULL = data(1, KIB16) * (STREAM_WINDOW // len(KIB16))


def started(*, passes: bool, keeps: bool = False) -> Recorder:
    """A recorder that has one request, and whose own preface is out of the way."""
    recorder = Recorder(passes=passes, keeps=keeps)
    recorder.feed([START + headers(1)])
    recorder.sent()
    return recorder


def test_our_windows_are_told_at_once() -> None:
    recorder = Recorder()
    _, update = recorder.sent()
    assert update == f"WINDOW_UPDATE 0 {CONNECTION_WINDOW - DEFAULT_WINDOW}"


def test_a_stream_takes_its_window_and_no_byte_more() -> None:
    recorder = started(passes=False)
    recorder.feed([FULL])
    assert recorder.streams[1].received == STREAM_WINDOW
    assert recorder.sent() == []
    recorder.feed([data(1, b"x"), headers(3, end=True)])
    assert recorder.sent() == ["RST 1 FLOW_CONTROL_ERROR"]
    assert recorder.log[-2:] == [
        "1 failed: DATA beyond the window of the stream",
        "3 POST /p complete",
    ]
    assert recorder.streams[1].received == STREAM_WINDOW


def test_an_empty_frame_needs_no_window() -> None:
    recorder = started(passes=False)
    recorder.feed([FULL + data(1) + data(1, end=True)])
    assert recorder.log[-1] == "1 ended"


def test_a_stream_opens_again_as_its_bytes_are_passed_on() -> None:
    recorder = started(passes=False)
    recorder.feed([FULL])
    half = STREAM_WINDOW // 2
    recorder.session.consumed(1, half - 1)
    assert recorder.sent() == []
    recorder.session.consumed(1, 1)
    assert recorder.sent() == [f"WINDOW_UPDATE 1 {half}"]
    recorder.feed([data(1, KIB16) * (half // len(KIB16))])
    recorder.session.consumed(1, half)
    assert recorder.sent() == [f"WINDOW_UPDATE 1 {half}"]
    recorder.feed([FULL[: len(FULL) // 2] + data(1, b"x")])
    assert recorder.sent()[-1] == "RST 1 FLOW_CONTROL_ERROR"


def grown(recorder: Recorder, number: int) -> int:
    """Pass a stream on as it comes, until its window no longer grows; its size."""
    session = recorder.session
    state = session.states[number]
    while True:
        before = state.share
        recorder.feed([data(number, KIB16[: before // 8])] * 4)
        session.consumed(number, 4 * min(len(KIB16), before // 8))
        recorder.feed([data(number, KIB16)] * (before // 2 // len(KIB16)))
        session.consumed(number, before // 2)
        if state.share == before:
            return before


def test_a_stream_that_is_passed_on_as_it_comes_gets_a_larger_window() -> None:
    recorder = started(passes=False)
    assert grown(recorder, 1) == LARGE_WINDOW
    assert recorder.session.states[1].window <= LARGE_WINDOW
    assert recorder.session.spare == SPARE + STREAM_WINDOW - LARGE_WINDOW


@pytest.mark.parametrize("by_us", [False, True])
def test_all_windows_together_are_bounded(by_us: bool) -> None:
    """However many streams grow; and what one has had is for others when it ends."""
    recorder = started(passes=False)
    session = recorder.session
    for number in range(1, 41, 2):
        recorder.feed([headers(number)] if number > 1 else [])
        grown(recorder, number)
    waiting = sum(state.window for state in session.states.values())
    assert waiting <= 20 * STREAM_WINDOW + SPARE
    assert 0 <= session.spare < STREAM_WINDOW
    for number in range(1, 41, 2):
        if by_us:
            session.reset(number, INTERNAL_ERROR)
        else:
            code = CANCEL.to_bytes(4, "big")
            recorder.feed([frame(RST_STREAM, 0, number, code)])
        session.consumed(number, STREAM_WINDOW)  # too late: nothing happens
    assert session.spare == SPARE


def test_a_request_that_is_complete_needs_no_window() -> None:
    recorder = started(passes=False)
    recorder.feed([FULL + data(1, end=True)])
    recorder.session.consumed(1, STREAM_WINDOW)
    assert recorder.sent() == []


def test_padding_is_given_back_at_once() -> None:
    recorder = started(passes=False)
    frames = STREAM_WINDOW // 2 // 255 + 1  # of one byte of content each
    recorder.feed([padded(1, b"x", 254) for _ in range(frames)])
    assert recorder.sent() == [f"WINDOW_UPDATE 1 {frames * 255}"]
    assert recorder.session.states[1].waiting == frames


def test_padding_counts() -> None:
    """RFC 9113 §6.9.1: the whole payload is charged."""
    recorder = started(passes=False)
    # All but one byte, and then one that is padded.
    recorder.feed([FULL[: -len(data(1, KIB16))] + data(1, KIB16[:-1])])
    recorder.feed([padded(1, b"x", 0)])
    assert recorder.sent() == ["RST 1 FLOW_CONTROL_ERROR"]


def test_uploads_that_are_passed_on_go_on_for_ever() -> None:
    recorder = started(passes=True)
    sent, windows = 0, {0: CONNECTION_WINDOW, 1: STREAM_WINDOW}
    while sent < 3 * CONNECTION_WINDOW:
        assert min(windows.values()) >= len(KIB16)
        recorder.feed([data(1, KIB16)])
        sent += len(KIB16)
        for number in windows:
            windows[number] -= len(KIB16)
        for line in recorder.sent():
            _, name, increment = line.split()
            windows[int(name)] += int(increment)
    assert max(windows.values()) <= CONNECTION_WINDOW


def test_the_connection_stays_open_while_streams_wait() -> None:
    """Uploads whose upstreams take nothing do not stop the next one."""
    recorder = started(passes=False)
    last = 2 * (CONNECTION_WINDOW // STREAM_WINDOW) * 2 + 1  # twice what it allows
    for number in range(1, last, 2):
        recorder.feed([headers(number)] if number > 1 else [])
        recorder.feed([data(number, KIB16) * (STREAM_WINDOW // len(KIB16))])
    recorder.feed([headers(last)])
    for _ in range(20):
        recorder.feed([data(last, KIB16) * 2])
        recorder.session.consumed(last, 2 * len(KIB16))
    assert not recorder.session.closed
    assert recorder.streams[last].received == 20 * 2 * len(KIB16)


def test_data_of_a_stream_that_was_reset_counts_for_the_connection() -> None:
    """RFC 9113 §5.1: it is dropped, but the window of the connection opens again."""
    recorder = started(passes=False)
    recorder.session.reset(1, INTERNAL_ERROR)
    recorder.sent()
    half = CONNECTION_WINDOW // 2
    recorder.feed([FULL] * (half // STREAM_WINDOW))
    (update,) = recorder.sent()
    assert update.startswith("WINDOW_UPDATE 0 ")
    assert half <= int(update.split()[2]) < half + 2 * len(KIB16)
    assert recorder.log == ["1 POST /p"]


def test_a_stream_that_is_reset_within_its_content_gets_no_more_of_it() -> None:
    recorder = started(passes=True, keeps=True)
    recorder.feed([data(1, b"abcdef")[:-3]])
    recorder.session.reset(1, INTERNAL_ERROR)
    recorder.feed([b"def" + data(1, b"ghi", end=True) + headers(3, end=True)])
    assert recorder.log == ["1 POST /p", "1 data abc", "3 POST /p complete"]


def test_content_is_passed_on_before_its_frame_is_complete() -> None:
    recorder = started(passes=True)
    recorder.feed([data(1, b"abc")[:-1]])
    assert recorder.streams[1].received == 2


def test_content_of_one_read_comes_in_one_piece() -> None:
    pieces: list[bytes] = []

    class Pieces(Recorder):
        def data(self, number: int, data: bytes) -> None:
            pieces.append(data)

    recorder = Pieces()
    recorder.feed([START + headers(1)])
    recorder.feed([data(1, b"a") * 3 + headers(3) + data(1, b"b") * 2 + data(3, b"c")])
    assert pieces == [b"aaa", b"bb", b"c"]


# -- what we may send


def opened(number: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, number, increment.to_bytes(4, "big"))


def test_a_stream_begins_with_the_window_that_the_client_has_said() -> None:
    recorder = Recorder()
    recorder.feed([START + headers(1) + settings((INITIAL_WINDOW_SIZE, 10))])
    recorder.feed([headers(3)])
    assert recorder.streams[1].send_window == 10
    assert recorder.streams[3].send_window == 10
    assert recorder.session.send_window == DEFAULT_WINDOW


def test_a_window_may_become_negative() -> None:
    """RFC 9113 §6.9.2: what was sent already is not forgotten."""
    recorder = started(passes=True)
    stream = recorder.streams[1]
    stream.send_window -= 60_000
    recorder.feed([settings((INITIAL_WINDOW_SIZE, 100))])
    assert stream.send_window == 100 - 60_000
    recorder.feed([opened(1, 60_000)])
    assert recorder.log[-1] == "1 window 100"


def test_settings_are_acknowledged_before_a_window_is_told_to_be_open() -> None:
    """So nothing is sent by a setting that is not acknowledged (RFC 9113 §6.5.3)."""
    recorder = started(passes=True)
    stream = recorder.streams[1]
    stream.window_opened = (  # type: ignore[method-assign]  # to see the order
        lambda: recorder.write(data(1, b"x"))
    )
    recorder.feed([settings((INITIAL_WINDOW_SIZE, 70_000))])
    assert recorder.sent() == ["SETTINGS ACK", "DATA 1 0 78"]


def test_a_stream_whose_response_has_ended_hears_of_no_window() -> None:
    recorder = started(passes=True)
    recorder.session.ended(1)
    recorder.feed([opened(1, 5)])
    assert recorder.log == ["1 POST /p"]
