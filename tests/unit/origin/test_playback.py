"""What is written when: in lock-step with a clock that stands still between steps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from proxy.config.fault_options import parse_fault
from proxy.origin.origin_connection import OriginConnection
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordFault,
    RequestComplete,
)
from tests.support.any_fault import AnyFaultOrigin
from tests.support.records import StepTimer, got, head, record, sent, tunnel

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
MS = 1000  # microseconds


class Writes:
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closing = False
        self.buffer = 0

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.written.append(b"<FIN>")

    def close(self) -> None:
        self.written.append(b"<close>")
        self.closing = True

    def abort(self) -> None:
        self.written.append(b"<reset>")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.buffer

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def taken(self) -> list[bytes]:
        """What was written since the last time."""
        written, self.written = self.written, []
        return written


class Stage:
    """A client whose every byte and second the test decides."""

    def __init__(self, *records: ExchangeRecord, **options: Any) -> None:
        self.timer = StepTimer()
        self.origin = AnyFaultOrigin(records, timer=self.timer, **options)
        self.out = Writes()
        self.connection = OriginConnection(self.origin)
        self.connection.connection_made(cast("asyncio.Transport", self.out))

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def at(self, milliseconds: float) -> list[bytes]:
        """What is written up to this time after the start, since the last time."""
        self.timer.advance_to(milliseconds / 1000)
        return self.out.taken()


@pytest.fixture(autouse=True)
async def running_loop() -> None:
    """Requests that wait for their turn are taken up by the loop."""


STREAM = record(head(10 * MS), sent(20 * MS, b"one"), sent(35 * MS, b"two"), at=50 * MS)


async def test_each_piece_is_one_write_at_its_time() -> None:
    stage = Stage(STREAM)
    stage.send(GET)
    assert stage.at(9.999) == []
    assert stage.at(10) == [HEAD]
    assert stage.at(19.999) == []
    assert stage.at(20) == [b"3\r\none\r\n"]
    assert stage.at(35) == [b"3\r\ntwo\r\n"]
    assert stage.at(49.999) == []
    assert stage.at(50) == [b"0\r\n\r\n"]


async def test_a_late_piece_does_not_make_the_next_one_late() -> None:
    stage = Stage(STREAM)
    stage.send(GET)
    stage.timer.late(0.031)  # head and first piece are 21 ms and 11 ms late
    assert stage.out.taken() == [HEAD, b"3\r\none\r\n"]
    assert stage.timer.next_due == 0.035
    assert stage.at(35) == [b"3\r\ntwo\r\n"]


@pytest.mark.parametrize(("speed", "times"), [(2.0, (5, 10, 17.5, 25)),
                                              (0.5, (20, 40, 70, 100))])  # fmt: skip
async def test_the_pace_is_the_time_divided_by_the_speed(
    speed: float, times: Sequence[float]
) -> None:
    stage = Stage(STREAM, speed=speed)
    stage.send(GET)
    for due in times:
        assert stage.at(due - 0.001) == []
        assert len(stage.at(due)) == 1


async def test_at_any_speed_two_pieces_are_two_writes_in_two_turns() -> None:
    stage = Stage(record(head(), sent(5, b"a"), sent(5, b"b"), at=9), speed=None)
    stage.send(GET)
    turns = []
    while stage.timer.next_due is not None:
        later = stage.timer.calls.pop(0)[2]
        assert later.callback is not None
        later.callback()
        turns.append(stage.out.taken())
    assert stage.timer.now == 1000.0  # nothing was waited for
    assert turns == [[HEAD], [b"1\r\na\r\n"], [b"1\r\nb\r\n"], [b"0\r\n\r\n"]]


async def test_what_came_in_one_read_goes_out_in_one_write() -> None:
    stage = Stage(record(head(7), sent(7, b"all")))
    stage.send(GET)
    assert stage.at(1) == [HEAD + b"3\r\nall\r\n0\r\n\r\n"]


async def test_interim_responses_are_played_too() -> None:
    stage = Stage(
        record(head(MS, "", 103, [("Link", "</a>")]), head(2 * MS), end="open")
    )
    stage.send(GET)
    assert stage.at(1) == [b"HTTP/1.1 103 OK\r\nLink: </a>\r\n\r\n"]
    assert stage.at(2) == [HEAD]
    assert stage.at(99_999) == []
    assert stage.timer.next_due is None


@pytest.mark.parametrize(
    ("end", "framing", "written"),
    [
        ("complete", "chunked", [b"0\r\nX-Sum: 1\r\n\r\n"]),
        ("complete", "length", []),
        ("complete", "close", [b"<FIN>"]),
        ("fin", "chunked", [b"<FIN>"]),
        ("fin", "length", [b"<FIN>"]),
        ("reset", "chunked", [b"<reset>"]),
        ("reset", "close", [b"<reset>"]),
        ("malformed", "chunked", [b"<FIN>"]),
        ("malformed", "length", [b"<FIN>"]),
        ("open", "chunked", []),
    ],
)
async def test_it_ends_as_the_upstream_ended(
    end: Any, framing: Any, written: list[bytes]
) -> None:
    trailers = [("X-Sum", "1")]
    played = record(head(0, framing), sent(5, b"x"), end=end, at=MS, trailers=trailers)
    stage = Stage(played)
    stage.send(GET)
    last = b"1\r\nx\r\n" if framing == "chunked" else b"x"
    assert stage.at(0.999)[-1] == last
    assert stage.at(1) == written
    assert stage.connection.over is (end != "open")


async def test_a_record_that_was_cut_off_never_looks_complete() -> None:
    for framing, last in (("chunked", b"<FIN>"), ("close", b"<reset>")):
        stage = Stage(record(head(0, framing), sent(5, b"x"), end=None))  # type: ignore[arg-type]  # both are framings
        stage.send(GET)
        assert stage.at(1)[-1] == last


async def test_an_upstream_that_was_not_reached_is_a_reset() -> None:
    stage = Stage(record(end="unreached", at=3 * MS))
    stage.send(GET)
    assert stage.at(2) == []
    assert stage.at(3) == [b"<reset>"]


async def test_a_length_that_was_not_recorded_is_said() -> None:
    """Of a record that was converted, or written by hand."""
    stage = Stage(record(head(0, "length"), sent(0, b"ab"), sent(1, b"c")))
    stage.send(GET)
    assert stage.at(1)[0] == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"


async def test_a_body_that_is_shorter_than_its_length_ends_with_fin() -> None:
    stage = Stage(
        record(head(0, "length", fields=[("Content-Length", "9")]), sent(1, b"abc"))
    )
    stage.send(GET)
    assert stage.at(1)[-1] == b"<FIN>"


async def test_records_of_the_same_request_take_turns() -> None:
    stage = Stage(*(record(head(), sent(0, each)) for each in (b"a", b"b")))
    for expected in (b"a", b"b", b"a"):
        stage.send(GET)
        assert expected in stage.at(0)[0]
        await asyncio.sleep(0)


async def test_a_client_that_does_not_read_stops_it_and_is_caught_up_with() -> None:
    stage = Stage(STREAM)
    stage.send(GET)
    assert stage.at(20) == [HEAD, b"3\r\none\r\n"]
    stage.connection.pause_writing()
    assert stage.at(50) == []
    stage.connection.resume_writing()
    assert stage.at(50) == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]


async def test_a_client_that_leaves_ends_it() -> None:
    stage = Stage(STREAM)
    stage.send(GET)
    stage.at(20)
    stage.connection.eof_received()
    assert stage.timer.next_due is None
    assert stage.at(99) == []


async def test_a_head_request_gets_the_head_of_a_get() -> None:
    stage = Stage(STREAM)
    stage.send(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stage.at(99) == [HEAD]
    await asyncio.sleep(0)
    stage.timer.now = 1000.0
    stage.send(GET)  # the connection goes on
    assert stage.at(10) == [HEAD]


# -- uploads


def upload(body: bytes, answer: bytes, *, early: bool = False) -> ExchangeRecord:
    """Answered 10 ms after it is complete, or 5 ms after its head."""
    pieces = [got(8 * MS, body)]
    complete = RequestComplete(10 * MS)
    answered = head(20 * MS, "length"), sent(20 * MS, answer)
    if early:
        return record(
            head(5 * MS, "length"), sent(5 * MS, answer), *pieces, complete,
            method="POST",
        )  # fmt: skip
    return record(*pieces, complete, *answered, method="POST")


def post(body: bytes, fields: bytes = b"") -> tuple[bytes, bytes]:
    size = b"%d" % len(body)
    first = b"POST /events HTTP/1.1\r\nHost: a\r\n" + fields
    return first + b"Content-Length: " + size + b"\r\n\r\n", body


async def test_the_body_decides_which_record_answers() -> None:
    stage = Stage(upload(b"one", b"1"), upload(b"two", b"2"))
    stage.send(b"".join(post(b"two")))
    assert stage.at(19.999) == []
    assert stage.at(20)[0].endswith(b"\r\n\r\n2")
    await asyncio.sleep(0)
    stage.send(b"".join(post(b"six")))
    (refused,) = {b"".join(stage.out.taken())}
    assert refused.startswith(b"HTTP/1.1 404 Not Found")
    assert b"record 1: differs at byte 0: recorded 'one', asked 'six'" in refused
    assert [asked.record is None for asked in stage.origin.requests] == [False, True]
    assert [asked.body for asked in stage.origin.requests] == [b"two", b"six"]


async def test_any_body_will_do_if_wished() -> None:
    stage = Stage(upload(b"one", b"1"), upload(b"two", b"2"), any_body=True)
    for passed, expected in ((20, b"1"), (40, b"2"), (60, b"1")):
        stage.send(b"".join(post(b"six")))
        assert stage.at(passed)[0].endswith(b"\r\n\r\n" + expected)
        await asyncio.sleep(0)


async def test_an_answer_comes_no_sooner_after_the_request_is_complete() -> None:
    """It was recorded 10 ms after that."""
    for options in ({}, {"any_body": True}):
        stage = Stage(upload(b"one", b"1"), **options)
        begin, body = post(b"one")
        stage.send(begin)
        assert stage.at(70) == []
        stage.send(body)
        assert stage.at(79.999) == []
        assert len(stage.at(80)) == 1


async def test_an_early_answer_stays_early() -> None:
    stage = Stage(upload(b"one", b"1", early=True), upload(b"two", b"2"))
    begin, body = post(b"one")
    stage.send(begin)
    assert stage.at(4.999) == []
    assert stage.at(5)[0].endswith(b"\r\n\r\n1")
    stage.send(body)  # and it is read to its end
    assert stage.origin.requests[0].complete
    assert stage.at(10) == []
    await asyncio.sleep(0)
    stage.send(b"".join(post(b"two")))
    assert stage.at(99)[0].endswith(b"\r\n\r\n2")


async def test_an_early_end_does_not_wait_for_the_request() -> None:
    """Of an end `at` is when it was, also behind what the client did after it."""
    early = upload(b"one", b"1", early=True)
    assert early.end is not None
    stage = Stage(msgspec.structs.replace(early, end=RecordedEnd(6 * MS, "fin")))
    stage.send(post(b"one")[0])
    assert len(stage.at(5)) == 1
    assert stage.at(6) == [b"<FIN>"]


async def test_an_early_answer_is_not_given_to_another_body() -> None:
    stage = Stage(upload(b"one", b"1", early=True), upload(b"two", b"2"))
    begin, body = post(b"two")
    stage.send(begin + body[:1])
    assert stage.at(50) == []
    stage.send(body[1:])
    assert stage.at(60)[0].endswith(b"\r\n\r\n2")


async def test_a_client_that_waits_for_100_gets_it() -> None:
    expect = b"Expect: 100-continue\r\n"
    begin, body = post(b"one", expect)
    stage = Stage(upload(b"one", b"1"))
    stage.send(begin)
    assert stage.out.taken() == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    stage.send(body)
    assert len(stage.at(99)) == 1

    recorded = record(
        head(3 * MS, "", 100), got(8 * MS, b"one"), RequestComplete(9 * MS),
        head(9 * MS), method="POST",
    )  # fmt: skip
    stage = Stage(recorded)
    stage.send(begin)
    assert stage.at(2.999) == []
    assert stage.at(3) == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    assert stage.at(99) == []  # the rest waits for the body
    stage.send(body)
    assert stage.at(99)[0].startswith(HEAD)


async def test_what_nobody_recorded_is_refused_before_its_body() -> None:
    stage = Stage(STREAM)
    stage.send(post(b"one")[0])
    assert stage.out.taken()[0].startswith(b"HTTP/1.1 404")


# -- WebSocket

HELLO = b"\x81\x02hi"
BYE = b"\x88\x02\x03\xe8"


def masked(frame: bytes) -> bytes:
    """A short frame as a client sends it."""
    mask = b"\x01\x02\x03\x04"
    payload = bytes(byte ^ mask[at & 3] for at, byte in enumerate(frame[2:]))
    return bytes([frame[0], frame[1] | 0x80]) + mask + payload


async def test_a_websocket_answers_the_key_of_its_client() -> None:
    stage = Stage(record(tunnel(MS), sent(2 * MS, HELLO), end="fin", at=3 * MS))
    stage.send(UPGRADE)
    assert stage.at(1) == [AGREED]
    assert stage.at(2) == [HELLO]
    assert stage.at(3) == [b"<FIN>"]


CLOSED_BY_CLIENT = record(
    tunnel(),
    sent(1 * MS, HELLO),
    sent(50 * MS, b"\x81\x02no"),
    got(60 * MS, masked(BYE)),
    sent(65 * MS, BYE),
    end="fin",
    at=66 * MS,
)


async def test_a_close_of_the_client_is_answered_when_it_comes() -> None:
    stage = Stage(CLOSED_BY_CLIENT)
    stage.send(UPGRADE)
    assert stage.at(10)[-1] == HELLO
    # Much sooner than recorded: what was in between is left out.
    stage.send(masked(BYE))
    assert stage.at(14.999) == []
    assert stage.at(15) == [BYE]
    assert stage.at(16) == [b"<FIN>"]


async def test_the_answer_to_a_close_waits_for_it() -> None:
    stage = Stage(CLOSED_BY_CLIENT)
    stage.send(UPGRADE)
    assert stage.at(500)[-1] == b"\x81\x02no"
    stage.send(masked(BYE))
    assert stage.at(504.999) == []
    assert stage.at(505) == [BYE]


async def test_a_close_within_a_frame_of_the_upstream_waits_for_its_end() -> None:
    played = record(
        tunnel(), sent(1 * MS, HELLO[:2]), sent(50 * MS, HELLO[2:]),
        got(60 * MS, masked(BYE)), sent(65 * MS, BYE), end="fin", at=66 * MS,
    )  # fmt: skip
    stage = Stage(played)
    stage.send(UPGRADE)
    assert stage.at(10)[-1] == HELLO[:2]
    stage.send(masked(BYE))
    assert stage.at(10) == [HELLO[2:]]  # at once
    assert stage.at(15) == [BYE]


async def test_a_close_that_was_not_recorded_is_answered_with_its_status() -> None:
    stage = Stage(record(tunnel(), sent(MS, HELLO), sent(9 * MS, HELLO), end="open"))
    stage.send(UPGRADE)
    stage.at(2)
    stage.send(masked(b"\x88\x05\x0f\xa1bye"))
    assert stage.out.taken() == [b"\x88\x02\x0f\xa1", b"<FIN>"]
    assert stage.at(99) == []


async def test_in_step_the_upstream_waits_for_messages() -> None:
    talk = record(
        tunnel(), got(5 * MS, masked(HELLO)), sent(7 * MS, b"\x81\x01a"),
        got(8 * MS, masked(HELLO)), got(9 * MS, masked(HELLO)[:3]),
        got(9 * MS, masked(HELLO)[3:]), sent(10 * MS, b"\x81\x01b"), end="open",
    )  # fmt: skip
    stage = Stage(talk, in_step=True)
    stage.send(UPGRADE)
    assert stage.at(100) == [AGREED]
    stage.send(masked(HELLO))
    assert stage.at(101.999) == []
    assert stage.at(102) == [b"\x81\x01a"]
    stage.send(masked(HELLO) + masked(HELLO)[:5])
    assert stage.at(900) == []
    stage.send(masked(HELLO)[5:])
    assert stage.at(901) == [b"\x81\x01b"]
    by_time = Stage(talk)
    by_time.send(UPGRADE)
    assert by_time.at(10) == [AGREED, b"\x81\x01a", b"\x81\x01b"]


async def test_a_tunnel_that_was_left_open_ends_with_its_client() -> None:
    stage = Stage(record(tunnel(), sent(MS, HELLO), end="open"))
    stage.send(UPGRADE)
    stage.at(9)
    assert stage.connection.eof_received()  # by halves
    assert stage.out.taken() == [b"<close>"]


@pytest.mark.parametrize("in_step", [False, True])
async def test_a_client_that_ends_without_a_close_is_not_waited_for(
    in_step: bool,
) -> None:
    played = record(
        tunnel(), got(1 * MS, masked(HELLO)), sent(2 * MS, HELLO),
        got(60 * MS, masked(BYE)), sent(65 * MS, BYE), end="fin", at=66 * MS,
    )  # fmt: skip
    stage = Stage(played, in_step=in_step)
    stage.send(UPGRADE)
    stage.at(10)
    assert stage.connection.eof_received()
    assert stage.at(100) == [*([HELLO] if in_step else []), BYE, b"<close>"]
    assert stage.connection.over


async def test_a_fin_to_a_client_that_has_reset_the_connection_is_no_error() -> None:
    class Reset(Writes):
        def write_eof(self) -> None:
            raise OSError(107, "Transport endpoint is not connected")

    stage = Stage(STREAM)
    stage.out = stage.connection.transport = Reset()  # type: ignore[assignment]  # a transport as `Writes` is one
    stage.send(GET.replace(b"1.1", b"1.0"))
    assert stage.at(50)[-1] == b"<reset>"


async def test_what_followed_the_fin_of_a_client_waits_for_it() -> None:
    stage = Stage(
        record(tunnel(), RequestComplete(5 * MS), sent(7 * MS, b"x"), end="fin")
    )
    stage.send(UPGRADE)
    assert stage.at(100) == [AGREED]
    assert stage.connection.eof_received()
    assert stage.at(101.999) == []
    assert stage.at(102) == [b"x", b"<close>"]


# -- faults

THREE = record(
    head(fields=[("Content-Type", "text/event-stream")]),
    *(sent(at * 10 * MS, b"data: %d\n\n" % at) for at in (1, 2, 3)),
    at=40 * MS,
)


def body(written: Sequence[bytes]) -> bytes:
    """The body in chunks, behind the head; what is no chunk stays."""
    return b"".join(
        each.split(b"\r\n")[1] if each[:1].isalnum() and each[:4] != b"HTTP" else each
        for each in written[1:]
    )


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("kind=fin,after=2", b"data: 1\n\ndata: 2\n\n<FIN>"),
        ("kind=reset,after=2,inside=true", b"data: 1\n\ndata<reset>"),
        ("kind=clean_end,after=1", b"data: 1\n\n"),
        ("kind=stall,after=1", b"data: 1\n\n"),
        ("kind=duplicate,after=1", b"data: 1\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"),
        ("kind=fin", b"<FIN>"),
    ],
)
async def test_faults_happen_where_they_should(fault: str, seen: bytes) -> None:
    stage = Stage(THREE, faults=[parse_fault(fault)])
    stage.send(GET)
    assert body(stage.at(1000)) == seen
    ends = stage.connection.over
    assert ends is not (parse_fault(fault).kind == "stall")


async def test_a_fault_happens_at_the_time_of_its_piece() -> None:
    stage = Stage(THREE, faults=[parse_fault("kind=fin,after=2")])
    stage.send(GET)
    assert len(stage.at(19.999)) == 2
    assert stage.at(20) == [b"9\r\ndata: 2\n\n\r\n", b"<FIN>"]


async def test_a_wait_delays_what_follows_and_no_more() -> None:
    stage = Stage(THREE, faults=[parse_fault("kind=stall,after=1,seconds=0.015")])
    stage.send(GET)
    assert len(stage.at(10)) == 2
    assert stage.at(24.999) == []
    assert stage.at(25) == [b"9\r\ndata: 2\n\n\r\n"]
    assert stage.at(29.999) == []
    assert stage.at(30) == [b"9\r\ndata: 3\n\n\r\n"]
    assert stage.at(40) == [b"0\r\n\r\n"]


async def test_a_late_head_holds_all_behind_it() -> None:
    stage = Stage(THREE, faults=[parse_fault("kind=late_head,seconds=0.025")])
    stage.send(GET)
    assert stage.at(24.999) == []
    assert len(stage.at(25)) == 3  # two pieces were due already
    assert len(stage.at(30)) == 1


async def test_each_step_of_a_drip_is_a_write() -> None:
    drip = parse_fault("kind=drip,size=4,seconds=0.001")
    stage = Stage(THREE, faults=[drip])
    stage.send(GET)
    assert stage.at(10)[1:] == [b"4\r\ndata\r\n"]
    assert stage.at(11) == [b"4\r\n: 1\n\r\n"]


async def test_another_status_takes_the_place_of_a_response() -> None:
    once = parse_fault("kind=status,status=503,times=1")
    stage = Stage(THREE, faults=[once])
    stage.send(GET)
    first = b"".join(stage.at(0))
    assert first.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b'"fault: status 503"' in first
    await asyncio.sleep(0)
    stage.send(GET)  # on the same connection, and without the fault
    assert b"".join(stage.at(1000)).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ("kind=duplicate,after=1", b"0\r\nX-A: b\r\n\r\n"),
        ("kind=clean_end,after=2", b"0\r\n\r\n"),
    ],
)
async def test_trailers_come_behind_what_is_whole(fault: str, last: bytes) -> None:
    items, trailers = THREE.items, [("X-A", "b")]
    stage = Stage(
        record(*items, trailers=trailers, at=40 * MS), faults=[parse_fault(fault)]
    )
    stage.send(GET)
    assert stage.at(1000)[-1] == last


async def test_a_length_may_be_wrong() -> None:
    stage = Stage(THREE, faults=[parse_fault("kind=wrong_length,size=100")])
    stage.send(GET)
    written = stage.at(1000)
    assert b"Content-Length: 100\r\n" in written[0]
    assert b"Transfer-Encoding" not in written[0]
    assert written[1:] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n", b"<FIN>"]


async def test_a_recorded_break_follows_what_a_fault_holds() -> None:
    broken = record(*THREE.items, end="reset", at=40 * MS)
    stage = Stage(broken, faults=[parse_fault("kind=coalesce")])
    stage.send(GET)
    assert len(stage.at(39.999)) == 1
    assert body([HEAD, *stage.at(40)]) == b"data: 1\n\ndata: 2\n\ndata: 3\n\n<reset>"


async def test_the_same_seed_makes_the_same_faults() -> None:
    half = parse_fault("kind=status,probability=0.5")
    seen = []
    for seed in (1, 1, 2):
        stage = Stage(record(head(), sent(0, b"x")), faults=[half], seed=seed)
        answers = []
        for _ in range(30):
            stage.send(GET)
            answers.append(b" 500 " in stage.at(0)[0])
            await asyncio.sleep(0)
        seen.append(answers)
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


async def test_a_client_that_leaves_ends_the_faults() -> None:
    stage = Stage(THREE, faults=[parse_fault("kind=drip,seconds=1")])
    stage.send(GET)
    stage.at(100)
    stage.connection.eof_received()
    assert stage.timer.next_due is None


def test_faults_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="fault 2: never applies"):
        ReplayOrigin([], faults=[parse_fault("kind=status")] * 2)


# -- records that cannot be played


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_is_greater_than_0(speed: float) -> None:
    with pytest.raises(ValueError, match="speed: expected a number greater than 0"):
        ReplayOrigin([], speed=speed)


async def test_a_head_that_was_not_read_is_sent_as_it_was() -> None:
    """Whatever it says, and also with a fault."""
    fields = [("Content-Length", "7"), ("Transfer-Encoding", "gzip, chunked")]
    broken = record(head(MS, "unread", fields=fields), end="malformed", at=2 * MS)
    for faults in ([], [parse_fault("kind=fin,after=9")]):
        stage = Stage(broken, faults=faults)
        stage.send(GET)
        assert b"".join(stage.at(1)) == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"
            b"Transfer-Encoding: gzip, chunked\r\n\r\n"
        )
        assert stage.at(2) == [b"<FIN>"]


async def test_nothing_that_is_http_came() -> None:
    stage = Stage(record(end="malformed", at=MS))
    stage.send(GET)
    assert stage.at(1) == [b"<FIN>"]


def test_what_cannot_be_played_can_be_left_out() -> None:
    both = record(head(fields=[("Content-Length", "3")]))
    told: list[tuple[str, str]] = []
    origin = ReplayOrigin(
        [both, STREAM], leave_out=lambda name, reason: told.append((name, reason))
    )
    assert [each.name for each in origin.index.all] == ["record 2"]
    [(name, reason)] = told
    assert name == "record 1"
    assert "both Transfer-Encoding and Content-Length" in reason
    with pytest.raises(RecordFault, match="none of the records can be played"):
        ReplayOrigin([both], leave_out=lambda *_: None)


def test_a_head_that_contradicts_itself_cannot_be_played() -> None:
    both = record(head(fields=[("Content-Length", "3")]))
    with pytest.raises(RecordFault, match=r"x\.jsonl: .*both Transfer-Encoding"):
        ReplayOrigin([both], names=["x.jsonl"])
