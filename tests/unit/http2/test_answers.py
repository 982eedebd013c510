"""What the owner of a session sends, and what becomes of streams that it ends."""

from __future__ import annotations

import hpack
import pytest

from proxy.http2.frames import (
    HEADER_TABLE_SIZE,
    LARGEST_NUMBER,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PING,
    PROTOCOL_ERROR,
    code_name,
    data_header,
    goaway_frame,
    kind_name,
)
from proxy.http2.limits import Http2Limits
from tests.unit.http2.recording import (
    START,
    Recorder,
    Stream,
    data,
    fields,
    frame,
    headers,
    settings,
    split,
)

OK = fields((b":status", b"200"))
TRAILER = fields((b"x-sum", b"1"))


def started(**limits: int) -> Recorder:
    recorder = Recorder(Http2Limits(**limits))
    recorder.feed([START])
    recorder.sent()
    return recorder


def test_the_settings_that_are_told() -> None:
    recorder = Recorder(Http2Limits(max_streams=7, max_head_bytes=5000))
    (_, _, _, payload), _ = split(b"".join(recorder.written))
    pairs = {
        int.from_bytes(payload[at : at + 2], "big"): int.from_bytes(
            payload[at + 2 : at + 6], "big"
        )
        for at in range(0, len(payload), 6)
    }
    assert pairs == {3: 7, 4: 64 * 1024, 6: 5000, 8: 1, 9: 1}


def test_without_a_limit_of_streams_none_is_told() -> None:
    recorder = Recorder(Http2Limits(max_streams=0))
    assert recorder.written[0][9:15] != b"\x00\x03\x00\x00\x00\x00"
    recorder.feed([START, *(headers(number) for number in range(1, 2001, 2))])
    assert len(recorder.session.streams) == 1000


def test_the_table_of_our_encoder_is_told_to_be_empty_once() -> None:
    """RFC 9113 §4.3.1, RFC 7541 §4.2; and again when the client makes it smaller."""
    recorder = started()
    recorder.feed([headers(number) for number in (1, 3, 5, 7, 9)])
    session = recorder.session
    assert session.send_head(1, OK, end=False)[9:] == b"\x20" + OK
    assert session.send_head(3, OK, end=False)[9:] == OK
    recorder.feed([settings((HEADER_TABLE_SIZE, 65536))])
    assert session.send_head(5, OK, end=False)[9:] == OK
    recorder.feed([settings((HEADER_TABLE_SIZE, 0), (HEADER_TABLE_SIZE, 4096))])
    assert session.send_head(7, OK, end=False)[9:] == b"\x20" + OK
    assert session.send_head(9, OK, end=False)[9:] == OK


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 40000])
def test_a_head_is_cut_into_frames_that_the_client_takes(size: int) -> None:
    recorder = started()
    recorder.feed([headers(1), headers(3)])
    recorder.session.send_head(1, OK, end=False)
    block = bytes(range(256)) * 160
    sent = split(recorder.session.send_head(3, block[:size], end=True))
    assert b"".join(payload for *_, payload in sent) == block[:size]
    assert all(len(payload) <= 16384 for *_, payload in sent)
    assert [kind for kind, *_ in sent] == [1, *[9] * (len(sent) - 1)]
    assert [flags & 4 for _, flags, *_ in sent] == [*[0] * (len(sent) - 1), 4]
    assert [flags & 1 for _, flags, *_ in sent] == [1, *[0] * (len(sent) - 1)]


def test_a_client_may_take_larger_frames() -> None:
    recorder = started()
    recorder.feed([settings((MAX_FRAME_SIZE, 50_000)) + headers(1)])
    assert recorder.session.max_frame == 50_000
    recorder.session.send_head(1, OK, end=False)
    assert len(split(recorder.session.send_head(1, bytes(40_000), end=True))) == 1


# -- ends of streams


def test_a_stream_is_over_when_both_sides_have_ended() -> None:
    recorder = started()
    recorder.feed([headers(1)])
    session = recorder.session
    session.send_head(1, OK, end=True)
    assert session.is_open(1)
    assert not session.request_complete(1)
    recorder.feed([data(1, b"x", end=True)])
    assert not session.is_open(1)
    assert session.request_complete(1)
    assert session.streams == {}
    assert recorder.log == ["1 POST /p", "1 data x", "1 ended"]


def test_a_request_that_is_answered_while_it_is_told() -> None:
    class Quick(Recorder):
        def serve(self, number: int) -> None:
            self.write(self.session.send_head(number, OK, end=True))

    recorder = Quick()
    recorder.feed([START + headers(1, end=True) + headers(3)])
    assert recorder.session.streams == {}
    assert recorder.session.states == {}
    # What is left of the request is not wanted, and that is no error (§8.1).
    assert recorder.sent()[-1] == "RST 3 NO_ERROR"
    recorder.feed([data(3, b"x", end=True)])
    assert not recorder.session.closed


def test_a_request_that_nobody_takes_is_refused() -> None:
    class Absent(Recorder):
        def serve(self, number: int) -> None:
            return None

    recorder = Absent()
    recorder.feed([START + headers(1)])
    assert recorder.sent()[-1] == "RST 1 REFUSED_STREAM"


def test_a_stream_is_reset_once() -> None:
    recorder = started()
    recorder.feed([headers(1)])
    recorder.session.reset(1, PROTOCOL_ERROR)
    recorder.session.reset(1, PROTOCOL_ERROR)
    recorder.session.ended(1)
    recorder.session.consumed(1, 5)
    assert recorder.sent() == ["RST 1 PROTOCOL_ERROR"]


@pytest.mark.parametrize("end", [False, True])
def test_a_stream_that_is_reset_within_a_call_hears_no_more(end: bool) -> None:
    class Reset(Stream):
        def data_received(self, data: bytes, size: int) -> None:
            super().data_received(data, size)
            self.recorder.session.reset(self.number, PROTOCOL_ERROR)

    class Resetting(Recorder):
        def serve(self, number: int) -> Stream:
            return Reset(self, number)

    recorder = Resetting()
    recorder.feed([START + headers(1) + data(1, b"a", end=end) + headers(3)])
    recorder.feed([data(3, b"b") + data(3, b"c") + data(3, b"d", end=True)])
    told = ["1 POST /p", "1 data a", "3 POST /p", "3 data bcd"]
    assert recorder.log == told
    assert recorder.sent()[-2:] == ["RST 1 PROTOCOL_ERROR", "RST 3 PROTOCOL_ERROR"]


def test_trailers_behind_a_response_that_has_ended() -> None:
    recorder = started()
    recorder.feed([headers(1)])
    recorder.session.send_head(1, OK, end=True)
    recorder.feed([headers(1, TRAILER, end=True)])
    assert recorder.log[-1] == "1 ended [(b'x-sum', b'1')]"
    assert not recorder.session.is_open(1)


# -- going away


def test_requests_behind_the_last_one_are_ignored() -> None:
    """RFC 9113 §6.8: the client repeats them elsewhere; but the table goes on."""
    recorder = started()
    encoder = hpack.Encoder()
    some = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"a"),
        (b":path", b"/kept"),
    ]
    recorder.feed([headers(1, encoder.encode(some))])
    session = recorder.session
    session.go_away(NO_ERROR, last=LARGEST_NUMBER)
    recorder.feed([headers(3, encoder.encode([*some, (b"x", b"3")]), end=True)])
    session.go_away(NO_ERROR)
    recorder.feed([headers(5, encoder.encode([*some, (b"x", b"5")]))])
    recorder.feed([data(5, b"x") + data(1, b"y", end=True) + data(5, b"x", end=True)])
    assert recorder.log == [
        "1 GET /kept",
        "3 GET /kept complete",
        "1 data y",
        "1 ended",
    ]
    assert recorder.sent() == [
        f"GOAWAY {LARGEST_NUMBER} NO_ERROR",
        "GOAWAY 3 NO_ERROR",
    ]
    assert session.last == 3
    recorder.feed([headers(7, encoder.encode([*some, (b"x", b"5")]), end=True)])
    assert not session.closed


def test_the_last_one_is_the_last_that_was_accepted() -> None:
    recorder = started(max_streams=1)
    recorder.feed([headers(1) + headers(3) + frame(PING, 0, 5, bytes(8))])
    assert recorder.sent() == ["RST 3 REFUSED_STREAM", "GOAWAY 1 PROTOCOL_ERROR"]


def test_a_reason_is_cut_to_a_sensible_length() -> None:
    recorder = started()
    recorder.session.go_away(PROTOCOL_ERROR, "é" * 10_000)
    assert len(recorder.written[-1]) < 600


def test_a_ping_of_ours_comes_back() -> None:
    recorder = started()
    recorder.session.ping(b"12345678")
    ((kind, flags, number, payload),) = split(b"".join(recorder.written))
    recorder.feed([frame(kind, flags | 1, number, payload)])
    assert recorder.log == ["ping acked 12345678"]


def test_what_has_begun_is_known() -> None:
    """For the time limit of a head, however slowly it comes."""
    recorder = started()
    sent = headers(1, flags=0) + frame(9, 4, 1)
    states = []
    for at in range(len(sent)):
        states.append(recorder.session.in_frame)
        recorder.feed([sent[at : at + 1]])
    assert states == [False, *[True] * (len(sent) - 1)]
    assert not recorder.session.in_frame
    recorder.feed([data(1, b"abc")[:-1]])
    assert not recorder.session.in_frame


# -- frames


def test_a_frame_of_content() -> None:
    assert data_header(5, 0x12345, end=True) == b"\x01\x23\x45\x00\x01\x00\x00\x00\x05"
    assert data_header(2**31 - 1, 0, end=False) == b"\0\0\0\0\0\x7f\xff\xff\xff"
    assert goaway_frame(1, 2, b"why") == b"\0\0\x0b\7\0\0\0\0\0\0\0\0\1\0\0\0\2why"


def test_names_for_the_log() -> None:
    assert (kind_name(8), kind_name(0x42)) == (
        "WINDOW_UPDATE",
        "frame of unknown type 0x42",
    )
    assert (code_name(8), code_name(0x42)) == ("CANCEL", "error code 0x42")
