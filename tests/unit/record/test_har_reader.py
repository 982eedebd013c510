"""What browsers save of their network becomes records, which say what they lack."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from proxy.origin.play_plan import PlayPlan
from proxy.record.format import (
    UNKNOWN,
    ExchangeRecord,
    RecordedHead,
    RecordedPiece,
    RecordFault,
    RequestComplete,
    encode_record,
)
from proxy.record.har_reader import HarFile
from proxy.record.record_reader import read_record
from tests.support.hars import in_milliseconds

RECORDS = Path(__file__).parents[2] / "records"
CHROMIUM = (RECORDS / "chromium.har").read_bytes()
FIREFOX = (RECORDS / "firefox.har").read_bytes()


def of(data: bytes, number: int) -> ExchangeRecord:
    """One of its entries; and it is a record like any other."""
    record = HarFile(data, "x.har").record(number)
    assert record is not None
    assert read_record(encode_record(record), "x") == record
    PlayPlan(record)
    return record


def pieces(record: ExchangeRecord) -> list[tuple[int, str, bytes]]:
    return [
        (item.at, item.side, item.data)
        for item in record.items
        if isinstance(item, RecordedPiece)
    ]


def changed(data: bytes, number: int, *path: str | int, value: object) -> bytes:
    """A HAR in which one value is another one."""
    table: dict[str, Any] = json.loads(data)
    place: Any = table["log"]["entries"][number - 1]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(table).encode()


def test_times_of_messages_may_be_in_milliseconds() -> None:
    entries = json.loads(CHROMIUM)["log"]["entries"]
    numbers = [
        number
        for number, entry in enumerate(entries, 1)
        if entry.get("_webSocketMessages") or entry.get("_eventSourceMessages")
    ]
    assert numbers
    for number in numbers:
        one, two = of(CHROMIUM, number), of(in_milliseconds(CHROMIUM), number)
        assert [data for _, _, data in pieces(one)] == [d for _, _, d in pieces(two)]
        times = zip(pieces(one), pieces(two), strict=True)
        assert all(abs(a[0] - b[0]) <= 1 for a, b in times)  # rounded elsewhere


# -- Chromium


def test_events_of_chromium_come_at_their_times() -> None:
    """Without a body in the HAR: an EventSource that was closed has none."""
    record = of(CHROMIUM, 1)
    assert record.began == "2026-11-29T12:00:00.010000Z"  # it was in a queue before
    assert pieces(record) == [
        (316_000, "upstream", "id: 1\ndata: 你好\n\n".encode()),
        (610_000, "upstream", b"event: tick\ndata: a\ndata: b\n\n"),
    ]
    assert record.head is not None
    assert (record.head.at, record.head.framing) == (100_000, "chunked")
    assert record.end is not None
    assert (record.end.at, record.end.end) == (650_000, "open")
    assert record.end.ending == "client left"
    assert record.unknown == ("splits", "bytes")


def test_credentials_of_a_har_are_masked() -> None:
    record = of(CHROMIUM, 1)
    assert record.request.target == "/sse/events?last=1&access_token=****"
    assert record.request.get("cookie") == "sid=****; theme=****"
    assert record.head is not None
    cookies = [value for name, value in record.head.fields if name == "Set-Cookie"]
    assert cookies == ["a=****; Path=/", "b=****; HttpOnly"]
    assert b"sk-abc" not in encode_record(of(CHROMIUM, 3))


def test_messages_of_a_websocket_are_frames() -> None:
    record = of(CHROMIUM, 2)
    assert record.is_websocket
    assert pieces(record) == [
        (7_000, "client", b"\x81\x89\0\0\0\0" + "hello 你".encode()),
        (7_100, "client", b"\x82\x83\0\0\0\0\x01\x02\xff"),
        (12_000, "upstream", b"\x81\x0e" + "echo hello 你".encode()),
        (14_000, "upstream", b"\x82\x03\x01\x02\xff"),
    ]
    assert record.head is not None
    assert record.head.get("sec-websocket-extensions") is None  # none is compressed
    assert record.unknown == ("frames",)


def test_a_body_is_cut_where_events_came() -> None:
    record = of(CHROMIUM, 3)
    assert record.request.fields[0] == ("Host", "example.com")
    assert not any(name.startswith(":") for name, _ in record.request.fields)
    assert record.request.version == "2.0"
    assert record.request_body == b'{"stream": true}'
    assert RequestComplete(1_000) in record.items
    assert pieces(record)[1:] == [
        (65_000, "upstream", b': ping\n\ndata: {"n": 0}\n\n'),
        (150_000, "upstream", b'data: {"n": 1}\n\n'),
        (250_000, "upstream", b'data: {"n": 2}\n\n'),
        (350_000, "upstream", b"data:"),
    ]
    assert record.head is not None
    assert record.head.get("content-encoding") is None
    assert record.head.framing == "chunked"
    assert record.unknown == ("splits", "coding", "framing")


def test_events_that_are_not_those_of_the_body_have_no_time() -> None:
    other = ("_eventSourceMessages", 1, "data")
    record = of(changed(CHROMIUM, 3, *other, value="another"), 3)
    assert [at for at, side, _ in pieces(record) if side == "upstream"] == [
        65_000,
        350_000,
    ]
    assert "times" in record.unknown


def test_a_har_without_data_in_its_events_has_their_times() -> None:
    """As DevTools write it if sensitive data is left out."""
    table = json.loads(CHROMIUM)
    for each in table["log"]["entries"][2]["_eventSourceMessages"]:
        del each["data"]
    assert pieces(of(json.dumps(table).encode(), 3)) == pieces(of(CHROMIUM, 3))


def test_a_stream_that_was_open_when_it_was_saved_has_not_ended() -> None:
    late = ("_eventSourceMessages", 2, "time")
    record = of(changed(CHROMIUM, 3, *late, value=1795953609.0), 3)
    assert record.end is not None
    assert (record.end.end, record.end.at) == ("open", 6_965_000)


def test_bytes_that_are_not_text_come_back() -> None:
    record = of(CHROMIUM, 4)
    assert pieces(record) == [(10_000, "upstream", b"\x00\xff\xfe\x80")]
    assert record.head is not None
    assert record.head.framing == "length"
    assert record.unknown == ("times",)


@pytest.mark.parametrize(
    ("number", "error", "end"),
    [
        pytest.param(5, "net::ERR_CONTENT_LENGTH_MISMATCH", "fin", id="too short"),
        pytest.param(5, "net::ERR_CONNECTION_RESET", "reset", id="reset"),
        pytest.param(5, "net::ERR_HTTP2_PROTOCOL_ERROR", "reset", id="by HTTP/2"),
        pytest.param(5, "net::ERR_ABORTED", "open", id="left"),
        pytest.param(6, "net::ERR_CONNECTION_REFUSED", "unreached", id="refused"),
        pytest.param(6, "net::ERR_EMPTY_RESPONSE", "fin", id="no answer"),
        pytest.param(6, "net::ERR_ABORTED", "open", id="left before the head"),
    ],
)
def test_what_chromium_says_of_an_end_is_the_end(
    number: int, error: str, end: str
) -> None:
    record = of(changed(CHROMIUM, number, "response", "_error", value=error), number)
    assert record.end is not None
    assert (record.end.end, record.end.error) == (end, error)
    if record.head is not None:
        assert record.head.get("content-length") == "100"  # of which 11 came


def test_what_is_not_http_is_left_out() -> None:
    assert HarFile(CHROMIUM, "x.har").record(7) is None


# -- Firefox


def test_a_body_of_firefox_is_one_piece_at_its_end() -> None:
    record = of(FIREFOX, 1)
    assert record.began == "2026-11-29T12:00:00.010000Z"  # TLS is a phase of its own
    assert pieces(record) == [(26_000, "upstream", b'{"items": [1, 2]}')]
    assert record.head is not None
    assert record.head.get("content-length") is None  # 33 bytes of gzip
    assert record.head.get("x-city") == "Zürich"
    assert record.unknown == ("times", "coding")
    assert of(FIREFOX, 2).unknown == ("times",)


def test_a_body_that_is_missing_is_no_empty_one() -> None:
    """The record is cut off behind its head."""
    record = of(FIREFOX, 3)
    assert record.head is not None
    assert record.end is None
    assert record.unknown == ("body",)
    assert of(FIREFOX, 4).unknown == ("frames", "body")
    empty = changed(FIREFOX, 3, "response", "content", "size", value=0)
    assert of(empty, 3).end is not None


def test_a_form_is_made_of_its_parameters() -> None:
    record = of(FIREFOX, 5)
    assert record.request_body == b"q=a+b&r="
    assert record.request.version == "3.0"
    assert record.head is not None
    assert record.head.framing == "none"
    missing = changed(FIREFOX, 5, "request", "postData", value=None)
    assert of(missing, 5).unknown == ("request body",)


def test_no_answer_is_no_head() -> None:
    record = of(FIREFOX, 6)
    assert (record.head, record.end) == (None, None)


# -- differences


@pytest.mark.parametrize(
    ("charset", "text", "body"),
    [
        pytest.param("iso-8859-1", "Zürich", b"Z\xfcrich", id="latin"),
        pytest.param("utf-8", "Zürich", b"Z\xc3\xbcrich", id="utf-8"),
        pytest.param("iso-8859-1", "你", b"\xe4\xbd\xa0", id="not in it"),
        pytest.param("unknown-8", "Z", b"Z", id="unknown"),
    ],
)
def test_a_text_has_the_bytes_of_its_charset(
    charset: str, text: str, body: bytes
) -> None:
    kind = {"name": "Content-Type", "value": f"text/plain; charset={charset}"}
    data = changed(FIREFOX, 2, "response", "headers", value=[kind])
    data = changed(data, 2, "response", "content", "text", value=text)
    assert pieces(of(data, 2)) == [(3_030_000, "upstream", body)]


@pytest.mark.parametrize(
    ("version", "fields", "framing", "unknown"),
    [
        pytest.param("HTTP/1.1", {"Content-Length": "36"}, "length", (), id="length"),
        pytest.param(
            "HTTP/1.1", {"Content-Length": "9"}, "length", ("bytes",), id="other length"
        ),
        pytest.param("HTTP/1.1", {}, "close", (), id="until the close"),
        pytest.param("http/1.0", {}, "close", (), id="HTTP/1.0"),
        pytest.param("HTTP/2", {}, "chunked", ("framing",), id="HTTP/2"),
        pytest.param("h3", {}, "chunked", ("framing",), id="HTTP/3"),
        pytest.param("", {}, "chunked", ("framing",), id="unknown"),
        pytest.param(
            "HTTP/2.0", {"content-length": "36"}, "length", ("framing",), id="both"
        ),
    ],
)
def test_the_framing_is_that_of_the_fields(
    version: str, fields: dict[str, str], framing: str, unknown: tuple[str, ...]
) -> None:
    given = [{"name": name, "value": value} for name, value in fields.items()]
    data = changed(FIREFOX, 2, "response", "headers", value=given)
    record = of(changed(data, 2, "response", "httpVersion", value=version), 2)
    assert record.head is not None
    assert record.head.framing == framing
    assert record.unknown == ("times", *unknown)
    assert record.head.version == ("1.0" if version.endswith("1.0") else "1.1")


def test_times_never_go_back() -> None:
    """Clocks of browsers are set while they run."""
    early = ("_webSocketMessages", 3, "time")
    record = of(changed(CHROMIUM, 2, *early, value=1.0), 2)
    assert [at for at, _, _ in pieces(record)] == [7_000, 7_100, 12_000, 12_000]


def test_every_unknown_has_words() -> None:
    seen = {
        unknown
        for data, count in ((CHROMIUM, 6), (FIREFOX, 6))
        for number in range(1, count + 1)
        for unknown in of(data, number).unknown
    }
    of_inspector = {"head time", "pieces", "ids"}
    assert seen | {"request body"} | of_inspector == set(UNKNOWN)


# -- what is not one


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"", "x.har is not valid JSON", id="empty"),
        pytest.param(b"{", "x.har is not valid JSON", id="half"),
        pytest.param(b"[" * 100_000, "x.har is not valid JSON", id="deep"),
        pytest.param(b"[]", 'x.har has no object "log": it is not a HAR', id="array"),
        pytest.param(b'{"log": 1}', 'x.har has no object "log"', id="log"),
        pytest.param(b'{"log": {}}', "x.har: log.entries is not an array", id="none"),
    ],
)
def test_what_is_no_har_is_told_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(RecordFault) as fault:
        HarFile(data, "x.har")
    assert str(fault.value).startswith(told)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        pytest.param(("request",), 7, "request: expected `object`", id="request"),
        pytest.param(
            ("request",), None, "object missing required field `request`", id="null"
        ),
        pytest.param(
            ("request", "url"), None, "request: object missing required", id="no url"
        ),
        pytest.param(
            ("request", "url"), 7, "request.url: expected `str`, got `int`", id="url"
        ),
        pytest.param(
            ("request", "method"), "a b", "request.method: 'a b' is not", id="method"
        ),
        pytest.param(
            ("request", "headers"),
            [{"name": "a b", "value": ""}],
            "request.headers[0].name: 'a b' is not a valid name",
            id="name",
        ),
        pytest.param(
            ("request", "headers"),
            [{"name": "a", "value": "\0"}],
            "request.headers[0].value: has a control character (a)",
            id="value",
        ),
        pytest.param(
            ("response", "headers"), {}, "response.headers: expected `arr", id="array"
        ),
        pytest.param(
            ("response", "status"), "x", "response.status: expected `float", id="status"
        ),
        pytest.param(
            ("startedDateTime",), "now", "startedDateTime: 'now' is not", id="now"
        ),
        pytest.param(
            ("startedDateTime",), "0001-01-01T00:00:00+14:00",
            "startedDateTime: ", id="long ago",
        ),
        pytest.param(
            ("response", "status"), 103, "response.status: 103 is not a final", id="103"
        ),
        pytest.param(
            ("timings", "wait"), 1e300, "timings: 1e+300 ms are too long", id="long"
        ),
        pytest.param(
            ("response", "content"),
            {"text": "?", "encoding": "base64"},
            "response.content.text: is not valid base64",
            id="base64",
        ),
        pytest.param(
            ("response", "content"),
            {"text": "?", "encoding": "gzip"},
            "response.content.text: its encoding 'gzip' is not known",
            id="encoding",
        ),
        pytest.param(
            ("_webSocketMessages",),
            [{"type": "sent", "time": 1, "opcode": 1, "data": ""}],
            "_webSocketMessages[0].type: 'sent' is not send or receive",
            id="type",
        ),
        pytest.param(
            ("_webSocketMessages",),
            [{"type": "send", "time": 1, "opcode": 2, "data": "?"}],
            "_webSocketMessages[0].data: is not valid base64",
            id="data",
        ),
        pytest.param(
            ("_webSocketMessages",),
            [{"type": "send", "opcode": 2, "data": "?"}],
            "_webSocketMessages[0]: object missing required field `time`",
            id="no time",
        ),
        pytest.param(
            ("_unbuffered",), {"record": 1}, "_unbuffered.record: is not", id="ours"
        ),
        pytest.param(
            ("_unbuffered",), {"record": [{"unbuffered": 9}]},
            "_unbuffered, line 1: the record has version 9", id="version",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_entry_names_it_and_its_key(
    path: tuple[str, ...], value: object, told: str
) -> None:
    number = 2 if path[0] == "_webSocketMessages" else 1
    with pytest.raises(RecordFault) as fault:
        HarFile(changed(FIREFOX, number, *path, value=value), "x.har").record(number)
    assert str(fault.value).startswith(f"x.har, entry {number}: {told}")
    assert "\n" not in str(fault.value)


def test_any_value_in_any_place_is_a_record_or_a_fault() -> None:
    """Each value of each entry is another one in turn."""
    values: tuple[object, ...] = (None, -1, 1e300, "\n", [{}])
    told = set()
    for data in (CHROMIUM, FIREFOX):
        for entry in json.loads(data)["log"]["entries"]:
            har = HarFile(b'{"log": {"entries": []}}', "x")
            har.entries = [entry]
            for path in paths(entry):
                place = entry
                for key in path[:-1]:
                    place = place[key]
                before = place[path[-1]]
                for value in values:
                    place[path[-1]] = value
                    try:
                        record = har.record(1)
                    except RecordFault as fault:
                        told.add(str(fault))
                        continue
                    if record is not None:
                        assert read_record(encode_record(record), "x") == record, path
                place[path[-1]] = before
    whole = r"x, entry 1: (\S+: .+|object missing required field `\w+`)"
    assert [text for text in told if not re.fullmatch(whole, text)] == []


def test_what_is_null_is_as_if_it_were_not_there() -> None:
    """Each value of each entry, and an element more of each array, in turn."""
    for data in (CHROMIUM, FIREFOX):
        for number, entry in enumerate(json.loads(data)["log"]["entries"], 1):
            for path in paths(entry):
                null = changed(data, number, *path, value=None)
                table = json.loads(null)
                place = table["log"]["entries"][number - 1]
                for key in path[:-1]:
                    place = place[key]
                del place[path[-1]]
                missing = json.dumps(table).encode()
                assert outcome(null, number) == outcome(missing, number), path


def outcome(data: bytes, number: int) -> ExchangeRecord | str | None:
    try:
        return HarFile(data, "x.har").record(number)
    except RecordFault as fault:
        return str(fault)


@pytest.mark.parametrize(
    "path",
    [
        ("response",),
        ("response", "content"),
        ("response", "headers"),
        ("response", "headers", 0),
        ("response", "status"),
        ("request", "headers"),
        ("request", "headers", 0),
        ("timings",),
    ],
)
def test_most_of_an_entry_may_be_null(path: tuple[str | int, ...]) -> None:
    assert of(changed(CHROMIUM, 4, *path, value=None), 4).request.method == "GET"


HALVES = {
    "high": rb"\ud83d",
    "low": rb"\uDE00",
    "two high": rb"\ud83d\ud83d",
    "the wrong way round": rb"\ude00\ud83d",
    "before a whole pair": rb"\ud83d\ud83d\ude00",
    "behind a backslash": rb"\\\ud83d",
    "bytes of one": b"\xed\xa0\xbd",
    "no UTF-8": b"\xff",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("end", [b"", b" end"], ids=["at the end", "inside"])
def test_half_of_a_surrogate_pair_is_a_character_that_is_not_known(
    half: bytes, end: bytes
) -> None:
    """JSON.stringify writes it; a browser sends U+FFFD in its place."""
    whole = rb"\ud83d\ude00 \\ud83d \n"  # which stays as it is
    data = changed(FIREFOX, 2, "response", "content", "text", value="HALF")
    data = data.replace(b"HALF", whole + half + end)
    record = of(data, 2)
    [(_, _, body)] = pieces(record)
    text = body.decode()
    assert text.startswith("\U0001f600 \\ud83d \n")
    assert text.endswith("\ufffd" + end.decode()) or half.endswith(rb"\ud83d\ude00")
    assert "\ufffd" in text
    assert set(record.unknown) == {"times", "bytes"}
    assert of(data, 1) == of(FIREFOX, 1)


def test_half_of_a_surrogate_pair_may_be_anywhere() -> None:
    """In each text of each entry, keys too: what is made of it is a record."""
    for data in (CHROMIUM, FIREFOX):
        for number, entry in enumerate(json.loads(data)["log"]["entries"], 1):
            for path in paths(entry):
                table = json.loads(changed(data, number, *path, value="a\ud83d"))
                text = json.dumps(table).encode()
                found = outcome(text, number)
                if isinstance(found, ExchangeRecord):
                    assert read_record(encode_record(found), "x") == found, path
                else:
                    assert found is None or "surrogate" not in found


def paths(table: object) -> list[tuple[Any, ...]]:
    """Where there is a value, at any depth."""
    found: list[tuple[Any, ...]] = []
    inside: Any = []
    if isinstance(table, dict):
        inside = table.items()
    elif isinstance(table, list):
        inside = enumerate(table)
    for key, value in inside:
        found.append((key,))
        found += [(key, *path) for path in paths(value)]
    return found


def test_a_head_is_there_once_at_most() -> None:
    for data in (CHROMIUM, FIREFOX):
        for number in range(1, 7):
            items = of(data, number).items
            assert sum(isinstance(item, RecordedHead) for item in items) <= 1
