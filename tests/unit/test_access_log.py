"""One line per exchange, for a person or a machine."""

from __future__ import annotations

import io
import json
import logging
from datetime import datetime

import pytest

from proxy.config.model import LogFormat
from proxy.errors import (
    ClientDisconnected,
    MalformedRequest,
    ProxyError,
    UpstreamTruncated,
)
from proxy.observe.access_log import AccessLog, render_text, to_dict
from proxy.process.event_lines import JsonLines, TextLines
from proxy.timeline import Ending, Timeline, local_time

ENDED_AT = 784111777.25  # wall-clock seconds


def exchange(
    ending: Ending = Ending.COMPLETE,
    error: ProxyError | None = None,
    target: bytes = b"/sse/events?n=3",
) -> Timeline:
    """A stream of three pieces in 2.5 s."""
    timeline = Timeline(1000.0, b"192.0.2.7", b"GET", target, "1.1")
    timeline.route, timeline.host = "/sse", b"localhost:8080"
    timeline.call.upstream = "http://localhost:8002"
    timeline.status = 200
    timeline.call.head_received = 1000.125
    for now in (1000.25, 1001.25, 1002.0):
        timeline.call.piece_read(now)
        timeline.piece_written(now, now + 0.0005)
    timeline.bytes_received, timeline.bytes_sent = 7, 60
    timeline.end(1002.5, ending, error)
    return timeline


def logged(timeline: Timeline, log_format: LogFormat) -> str:
    stream = io.StringIO()
    AccessLog(stream, log_format, lambda: ENDED_AT).ended(timeline)
    return stream.getvalue()


def when() -> str:
    """The time of the line, as it is on this machine."""
    return datetime.fromtimestamp(ENDED_AT).astimezone().isoformat("T", "milliseconds")


TOLD = {
    "client": "192.0.2.7",
    "peer": "192.0.2.7",
    "scheme": "http",
    "host": "localhost:8080",
    "route": "/sse",
    "upstream": "http://localhost:8002",
    "method": "GET",
    "target": "/sse/events?n=3",
    "version": "HTTP/1.1",
    "status": 200,
    "bytes_received": 7,
    "bytes_sent": 60,
    "pieces": 3,
    "first_byte_seconds": 0.25,
    "longest_gap_seconds": 1.0,
    "longest_hold_seconds": 0.0005,
    "duration_seconds": 2.5,
    "ending": "complete",
}


def test_a_machine_reads_one_object_on_one_line() -> None:
    line = logged(exchange(), "json")
    assert line.count("\n") == 1
    assert json.loads(line) == {"time": when(), **TOLD}


def test_a_person_reads_the_same_in_one_line() -> None:
    assert logged(exchange(), "text") == (
        f"{when()} 192.0.2.7 http://localhost:8080 /sse=http://localhost:8002 "
        '"GET /sse/events?n=3 HTTP/1.1" 200 60 B 3 pieces '
        "first byte 250.0ms gap 1.00s hold 500µs 2.50s complete\n"
    )


def test_the_time_of_a_line_is_unambiguous() -> None:
    """ISO 8601 with the distance from UTC."""
    time = json.loads(logged(exchange(), "json"))["time"]
    assert datetime.fromisoformat(time).timestamp() == ENDED_AT


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        pytest.param(0.0, ".000", id="a whole second"),
        pytest.param(0.0625, ".062", id="half a millisecond is not yet one"),
        pytest.param(0.9999, ".999", id="nor does it make the next second"),
    ],
)
def test_milliseconds_are_those_that_have_passed(fraction: float, shown: str) -> None:
    assert local_time(int(ENDED_AT) + fraction)[19:23] == shown


def test_both_logs_write_a_time_alike() -> None:
    record = logging.makeLogRecord({"msg": "x", "created": ENDED_AT})
    assert TextLines().format(record).startswith(f"{when()} ")
    assert json.loads(JsonLines().format(record))["time"] == when()


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending.UPSTREAM_BROKE, "upstream broke"),
        (Ending.TIMED_OUT, "timed out"),
        (Ending.REFUSED, "refused"),
    ],
)
def test_a_failure_is_told_with_its_type_and_reason(ending: Ending, words: str) -> None:
    timeline = exchange(ending, UpstreamTruncated("the upstream closed early"))
    told = json.loads(logged(timeline, "json"))
    assert told["ending"] == words
    assert told["error"] == "http_response_incomplete"
    assert told["reason"] == "the upstream closed early"
    assert logged(timeline, "text").endswith(f" {words}: the upstream closed early\n")


def test_a_client_that_left_is_no_error() -> None:
    """Closing a tab is how most streams end."""
    timeline = exchange(Ending.CLIENT_LEFT, ClientDisconnected("gone"))
    assert {"error", "reason"}.isdisjoint(json.loads(logged(timeline, "json")))
    assert logged(timeline, "text").endswith(" client left\n")


def test_without_a_body_the_head_is_the_first_byte() -> None:
    timeline = Timeline(1000.0, b"a")
    timeline.call.head_received = 1000.5
    assert to_dict(timeline, ENDED_AT)["first_byte_seconds"] == 0.5


def test_bytes_that_were_no_request_have_a_line_too() -> None:
    timeline = Timeline(1000.0, b"192.0.2.7")
    timeline.status = 400
    timeline.end(1000.0, Ending.REFUSED, MalformedRequest("an LF without CR at byte 3"))
    assert logged(timeline, "text") == (
        f'{when()} 192.0.2.7 - - "-" 400 0 B 0 pieces first byte - '
        "gap 0µs hold 0µs 0µs refused: an LF without CR at byte 3\n"
    )
    told = json.loads(logged(timeline, "json"))
    assert (told["route"], told["first_byte_seconds"]) == (None, None)


def test_a_client_that_left_before_any_response_has_no_status() -> None:
    timeline = exchange(Ending.CLIENT_LEFT)
    timeline.status = 0
    assert '" - 60 B ' in logged(timeline, "text")
    assert json.loads(logged(timeline, "json"))["status"] == 0


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        pytest.param(b"/\xe4\xff", r"/\xe4\xff", id="0x80 and above"),
        pytest.param(b'/a" 200 1 B', r"/a\x22 200 1 B", id="a forged end of the line"),
        pytest.param(b"/%0A%0D", "/%0A%0D", id="encoded line end stays encoded"),
    ],
)
def test_no_target_forges_a_line(target: bytes, shown: str) -> None:
    timeline = exchange(target=target)
    line = logged(timeline, "text")
    assert f'"GET {shown} HTTP/1.1" 200 ' in line
    assert line.isascii() or line.replace("µ", "").isascii()
    told = json.loads(logged(timeline, "json"))
    assert told["target"] == target.decode("ascii", "backslashreplace")


def test_times_are_rounded_to_the_microsecond() -> None:
    timeline = Timeline(1000.0, b"a")
    timeline.end(1000.1234567, Ending.COMPLETE, None)
    assert to_dict(timeline, ENDED_AT)["duration_seconds"] == 0.123457
    assert " 123.5ms complete" in render_text(timeline, ENDED_AT)


class Stream(io.StringIO):
    """Counts what was flushed."""

    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.gone = gone
        self.flushed = ""

    def flush(self) -> None:
        if self.gone:
            raise BrokenPipeError
        self.flushed = self.getvalue()


def test_a_route_without_a_target_and_a_request_without_a_host() -> None:
    timeline = exchange(Ending.REFUSED)
    timeline.call.upstream = timeline.host = None
    assert f'{when()} 192.0.2.7 - /sse "GET ' in logged(timeline, "text")
    told = json.loads(logged(timeline, "json"))
    assert (told["host"], told["upstream"]) == (None, None)


def test_of_a_long_host_the_beginning_is_told() -> None:
    timeline = exchange()
    timeline.host = b"h" * 300
    assert json.loads(logged(timeline, "json"))["host"] == "h" * 256 + "..."
    assert f" http://{'h' * 256}... /sse=" in logged(timeline, "text")


def test_each_line_is_written_at_once() -> None:
    stream = Stream()
    log = AccessLog(stream, "text")
    for count in (1, 2):
        log.ended(exchange())
        assert stream.flushed.count("\n") == count


def test_a_log_that_nobody_reads_any_more_stops_no_stream() -> None:
    AccessLog(Stream(gone=True), "json").ended(exchange())
