"""Records as a HAR: what browsers show of them, and all of the record beside it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
)
from proxy.record.har_reader import HarFile
from proxy.record.har_writer import write_har
from proxy.record.websocket_messages import BINARY, TEXT, WebSocketMessage, frame
from tests.unit.record.test_format import HEAD, RECORD, REQUEST

EVENTS = [("Content-Type", "text/event-stream; charset=utf-8")]


def entry(record: ExchangeRecord) -> dict[str, Any]:
    """Its entry, without what is ours."""
    table: dict[str, Any] = json.loads(write_har([record]))["log"]["entries"][0]
    return table


def streamed(fields: list[tuple[str, str]], *pieces: bytes) -> ExchangeRecord:
    """An event stream, a piece each second."""
    head = RecordedHead(500_000, 200, "OK", "1.1", fields, "chunked")
    arrived = [
        RecordedPiece(number * 1_000_000, "upstream", data)
        for number, data in enumerate(pieces, 1)
    ]
    end = RecordedEnd(9_000_000, "complete")
    return replace(RECORD, items=[head, *arrived], end=end)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(RECORD, id="all of it"),
        pytest.param(replace(RECORD, end=None), id="cut off"),
        pytest.param(replace(RECORD, end=None, dropped=3), id="dropped"),
        pytest.param(replace(RECORD, items=[], end=None, sent=None), id="nothing"),
        pytest.param(
            replace(RECORD, items=[], end=RecordedEnd(3, "unreached")), id="unreached"
        ),
        pytest.param(replace(RECORD, unknown=("times", "coding")), id="of a HAR"),
    ],
)
def test_a_record_comes_back_from_its_har(record: ExchangeRecord) -> None:
    har = HarFile(write_har([record]), "x.har")
    assert har.record(1) == record


def test_records_of_foreign_hars_come_back() -> None:
    for path in (Path(__file__).parents[2] / "records").glob("*.har"):
        har = HarFile(path.read_bytes(), path.name)
        records = [har.record(number) for number in range(1, 7)]
        again = HarFile(write_har([each for each in records if each]), "x.har")
        assert [again.record(number) for number in range(1, 7)] == records


@given(
    st.lists(
        st.tuples(st.integers(0, 10**12), st.binary(min_size=1, max_size=40)),
        max_size=8,
    )
)
def test_any_bytes_at_any_time_come_back(pieces: list[tuple[int, bytes]]) -> None:
    times = sorted(at for at, _ in pieces)
    items = [
        RecordedPiece(at, "upstream", data)
        for at, (_, data) in zip(times, pieces, strict=True)
    ]
    record = replace(RECORD, items=[replace(HEAD, at=0), *items], end=None)
    assert HarFile(write_har([record]), "x.har").record(1) == record


def test_an_entry_has_what_a_browser_shows() -> None:
    """As DevTools and the network monitor of Firefox read it."""
    given = streamed(
        EVENTS, b": hi\n\nid: 7\nda", b"ta: a\n\n", b"event: b\ndata: c\n\n"
    )
    items = [RecordedPiece(1, "client", b"hello"), RequestComplete(250_000)]
    record = replace(given, items=[*items, *given.items])
    table = entry(record)
    assert table["startedDateTime"] == "2026-11-29T12:00:00.000000Z"
    assert table["time"] == 9000
    timings = table["timings"]
    assert (timings["send"], timings["wait"], timings["receive"]) == (250, 250, 8500)
    request, response = table["request"], table["response"]
    assert request["url"] == "http://a/sse/events?x=1"
    assert request["queryString"] == [{"name": "x", "value": "1"}]
    assert request["postData"]["text"] == "hello"
    assert response["status"] == 200
    assert response["content"]["mimeType"] == "text/event-stream"
    assert response["content"]["text"].startswith(": hi\n\nid: 7\ndata: a\n\n")
    assert response["_error"] is None
    start = 1795953600
    assert table["_eventSourceMessages"] == [
        {"time": start + 2, "eventName": "message", "eventId": "7", "data": "a"},
        {"time": start + 3, "eventName": "b", "eventId": "7", "data": "c"},
    ]
    assert "they came after 1000, 2000, 3000 ms" in table["comment"]


def test_a_body_is_shown_without_its_content_coding() -> None:
    coded = gzip.compress(b"data: a\n\n")
    fields = [*EVENTS, ("Content-Encoding", "gzip")]
    record = streamed(fields, coded[:12], coded[12:])
    content = entry(record)["response"]["content"]
    assert content["text"] == "data: a\n\n"
    assert content["size"] + -content["compression"] == len(coded)
    assert [each["data"] for each in entry(record)["_eventSourceMessages"]] == ["a"]
    broken = streamed(fields, b"no gzip")
    assert entry(broken)["response"]["content"]["text"] == "no gzip"
    unknown = streamed([*EVENTS, ("Content-Encoding", "rot13")], b"qngn: n\n\n")
    assert entry(unknown)["response"]["content"]["text"] == "qngn: n\n\n"


def test_a_websocket_has_its_messages() -> None:
    upgrade = [("Upgrade", "websocket")]
    head = RecordedHead(10, 101, "Switching Protocols", "1.1", upgrade, "tunnel")
    text, data = (
        WebSocketMessage(TEXT, "你".encode()),
        WebSocketMessage(BINARY, b"\xff"),
    )
    ping, close = WebSocketMessage(9, b""), WebSocketMessage(8, b"\x03\xe8")
    sent = frame(text, masked=True)
    came = frame(ping, masked=False) + frame(data, masked=False)
    items = [
        head,
        RecordedPiece(20, "client", sent[:3]),
        RecordedPiece(30, "client", sent[3:]),
        RecordedPiece(40, "upstream", came + frame(close, masked=False)),
    ]
    table = entry(
        replace(RECORD, items=items, request=replace(REQUEST, scheme="https"))
    )
    assert table["request"]["url"] == "wss://a/sse/events?x=1"
    assert table["_resourceType"] == "websocket"
    start = 1795953600
    assert table["_webSocketMessages"] == [
        {"type": "send", "time": start + 30e-6, "opcode": 1, "data": "你"},
        {"type": "receive", "time": start + 40e-6, "opcode": 2, "data": "/w=="},
    ]


@dataclass
class Ended:
    end: RecordedEnd | None
    error: str | None


@pytest.mark.parametrize(
    "case",
    [
        Ended(RecordedEnd(10, "complete"), None),
        Ended(RecordedEnd(10, "fin"), "net::ERR_CONNECTION_CLOSED"),
        Ended(RecordedEnd(10, "reset"), "net::ERR_CONNECTION_RESET"),
        Ended(RecordedEnd(10, "open"), "net::ERR_ABORTED"),
        Ended(None, None),
    ],
    ids=lambda case: "none" if case.end is None else case.end.end,
)
def test_an_end_is_told_as_chromium_tells_it(case: Ended) -> None:
    """And is the same if the entry is read without what is ours."""
    record = replace(RECORD, end=case.end)
    table = entry(record)
    assert table["response"]["_error"] == case.error
    del table["_unbuffered"]
    read = HarFile(json.dumps({"log": {"entries": [table]}}).encode(), "x").record(1)
    assert read is not None
    assert read.end is not None
    assert read.end.end == ("complete" if case.end is None else case.end.end)


def test_entries_are_in_the_order_of_their_beginning() -> None:
    late = replace(RECORD, began="2026-11-29T12:00:01.000000Z")
    table = json.loads(write_har([late, RECORD]))["log"]
    begins = [each["startedDateTime"] for each in table["entries"]]
    assert begins == [RECORD.began, late.began]
    assert table["pages"] == []  # Firefox asks for it
