"""A record comes back as it was written, and what is wrong with one is told."""

from __future__ import annotations

import re
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.record.format import (
    LATEST,
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedItem,
    RecordedPiece,
    RecordedRequest,
    RecordFault,
    RequestComplete,
    encode_item,
    encode_record,
)
from proxy.record.record_reader import BOM, read_record

REQUEST = RecordedRequest(
    "POST", "/sse/events?x=1", "1.1", "http", [("Host", "a"), ("Accept", "")]
)
HEAD = RecordedHead(4, 200, "OK", "1.1", [("Content-Type", "a/b")], "chunked")
RECORD = ExchangeRecord(
    "2026-11-29T12:00:00.000000Z",
    "unbuffered 0.1.0",
    "/sse",
    "http://localhost:8002",
    REQUEST,
    [
        RecordedPiece(1, "client", b"\xff"),
        RequestComplete(2),
        RecordedHead(3, 103, "Early Hints", "1.1", []),
        HEAD,
        RecordedPiece(5, "upstream", "data: 你好\n\n".encode()),
        RecordedPiece(5, "upstream", "好".encode()[:2]),
    ],
    RecordedEnd(7, "fin", [("x", "y")], "upstream broke", "the upstream closed"),
    RecordedRequest("POST", "/events?x=1", "1.1", "http", [("Host", "b")]),
)
WRITTEN = encode_record(RECORD)
LINES = WRITTEN.splitlines(keepends=True)


def test_a_record_comes_back_as_it_was() -> None:
    assert read_record(WRITTEN, "x") == RECORD
    assert read_record(BytesIO(WRITTEN), "x") == RECORD
    assert read_record(WRITTEN.replace(b"\n", b"\r\n"), "x") == RECORD
    assert encode_record(read_record(WRITTEN, "x")) == WRITTEN


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_byte_order_mark_is_no_part_of_a_record(end: bytes) -> None:
    """Editors write one where somebody has changed a record."""
    data = BOM + WRITTEN.replace(b"\n", end)
    assert read_record(data, "x") == read_record(BytesIO(data), "x") == RECORD
    with pytest.raises(RecordFault, match=r"^x, line 2: is not valid JSON"):
        read_record(WRITTEN.replace(b"\n", b"\n" + BOM, 1), "x")
    with pytest.raises(RecordFault, match=r"^x has no complete first line"):
        read_record(BOM, "x")


@pytest.mark.parametrize(
    "began",
    [
        "2026-11-29T12:00:00Z",
        "2026-11-29T12:00:00.123456789Z",
        "2026-11-29T12:00:00.1+00:00",
    ],
)
def test_the_time_of_a_record_is_one_of_utc(began: str) -> None:
    again = WRITTEN.replace(RECORD.began.encode(), began.encode())
    assert read_record(again, "x").began == began


@pytest.mark.parametrize(
    "began",
    [
        pytest.param("yesterday", id="words"),
        pytest.param("", id="empty"),
        pytest.param("2026-11-29", id="a day"),
        pytest.param("2026-02-30T12:00:00Z", id="no such day"),
        pytest.param("2026-11-29T12:00:00", id="no zone"),
        pytest.param("2026-11-29T12:00:00+01:00", id="another zone"),
        pytest.param("2026-11-29T12:00:00Z\\n", id="line feed"),
        pytest.param("\u0662026-11-29T12:00:00Z", id="other digits"),
    ],
)
def test_what_is_not_a_time_of_utc_is_told(began: str) -> None:
    other = WRITTEN.replace(RECORD.began.encode(), began.encode())
    with pytest.raises(RecordFault, match=r"^x, line 1: began: .* is not a valid time"):
        read_record(other, "x")


def test_a_time_is_one_that_each_program_can_hold() -> None:
    data = WRITTEN.replace(b'"at":7', b'"at":%d')
    assert read_record(data % LATEST, "x").end is not None
    for at in (LATEST + 1, 99999999999999999999):
        with pytest.raises(RecordFault, match=r"^x, line 8: at: expected"):
            read_record(data % at, "x")


def test_the_lines_are_those_of_the_documentation() -> None:
    assert LINES[1:] == [
        b'{"at":1,"from":"client","base64":"/w=="}\n',
        b'{"at":2,"from":"client","complete":true}\n',
        b'{"at":3,"from":"upstream","head":{"status":103,"reason":"Early Hints",'
        b'"version":"1.1","fields":[]}}\n',
        b'{"at":4,"from":"upstream","head":{"status":200,"reason":"OK","version":'
        b'"1.1","fields":[["Content-Type","a/b"]],"framing":"chunked"}}\n',
        '{"at":5,"from":"upstream","text":"data: 你好\\n\\n"}\n'.encode(),
        b'{"at":5,"from":"upstream","base64":"5aU="}\n',
        b'{"at":7,"from":"upstream","end":"fin","trailers":[["x","y"]],'
        b'"ending":"upstream broke","error":"the upstream closed"}\n',
    ]


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1) | st.text(min_size=1))))
def test_every_byte_of_every_piece_comes_back(
    pieces: list[tuple[bool, bytes | str]],
) -> None:
    items: list[RecordedHead | RecordedPiece | RequestComplete] = [HEAD]
    for ours, data in pieces:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        items.append(RecordedPiece(6, "client" if ours else "upstream", raw))
    record = msgspec.structs.replace(RECORD, items=items)
    assert read_record(encode_record(record), "x") == record


@pytest.mark.parametrize("length", range(len(LINES[0]), len(WRITTEN)))
def test_a_record_that_was_cut_off_is_read_as_far_as_it_goes(length: int) -> None:
    record = read_record(WRITTEN[:length], "x")
    whole = WRITTEN[: length + 1].count(b"\n") - 1
    assert list(record.items) == list(RECORD.items)[:whole]
    assert (record.end is None) == (length < len(WRITTEN) - 1)


def test_the_upstream_may_end_before_its_client_does() -> None:
    items = [*RECORD.items, RecordedPiece(9, "client", b"late")]
    record = msgspec.structs.replace(
        RECORD, items=[each for each in items if each != RequestComplete(2)]
    )
    assert read_record(encode_record(record), "x") == record
    early = encode_record(record).replace(b'"at":7', b'"at":4')
    with pytest.raises(RecordFault, match="before the last line of the upstream"):
        read_record(early, "x")


def test_keys_that_are_not_known_are_ignored() -> None:
    more = WRITTEN.replace(b'"at":5,', b'"at":5,"later":[{}],')
    assert read_record(more.replace(b'"by":', b'"later":1,"by":'), "x") == RECORD


def test_what_the_disk_had_no_room_for_is_counted() -> None:
    record = msgspec.structs.replace(RECORD, end=None, dropped=3)
    assert encode_record(record).endswith(b'}\n{"dropped":3}\n')
    assert read_record(encode_record(record), "x") == record


def with_item(item: RecordedItem | bytes, place: int = len(LINES)) -> bytes:
    line = item if isinstance(item, bytes) else encode_item(item)
    return b"".join([*LINES[:place], line, *LINES[place:]])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"", "x is empty: it is not a record", id="empty"),
        pytest.param(b'{"unb', "x has no complete first line", id="cut"),
        pytest.param(b"{}\n", 'x, line 1: has no "unbuffered"', id="other JSON"),
        pytest.param(b"[]\n", "x, line 1: is not a JSON object", id="list"),
        pytest.param(b"GET /\n", "x, line 1: is not valid JSON: ", id="not JSON"),
        pytest.param(b"\xff\n", "x, line 1: is not valid JSON: ", id="not text"),
        pytest.param(b"[" * 9999 + b"\n", "x, line 1: is not valid JSON", id="deep"),
        pytest.param(
            b'{"unbuffered":2}\n',
            "x, line 1: the record has version 2 of the format; this program reads "
            "version 1",
            id="version",
        ),
        pytest.param(
            WRITTEN.replace(b'"GET"', b"4").replace(b'"POST"', b"4"),
            "x, line 1: request.method: expected `str`, got `int`",
            id="method",
        ),
        pytest.param(
            WRITTEN.replace(b"/sse/events", b"/a b"),
            "x, line 1: request.target: has a character that is not allowed",
            id="space in the target",
        ),
        pytest.param(
            WRITTEN.replace(b'"at":5', b'"at":"5"'),
            "x, line 6: at: expected `int`, got `str`",
            id="time",
        ),
        pytest.param(
            WRITTEN.replace(b'"at":5', b'"at":1'),
            "x, line 6: at 1 is before the line above, which has 4",
            id="back in time",
        ),
        pytest.param(
            WRITTEN.replace(b'"at":1', b'"at":-1'), "x, line 2: at: ", id="negative"
        ),
        pytest.param(
            WRITTEN.replace(b'"at":5,', b""),
            "x, line 6: object missing required field `at`",
            id="no time",
        ),
        pytest.param(
            WRITTEN.replace(b'"text"', b'"txt"'),
            "x, line 6: needs one of text, base64, head, complete, end, dropped, has "
            "none of them",
            id="unknown kind",
        ),
        pytest.param(
            WRITTEN.replace(b'"text":"', b'"base64":"/w==","text":"'),
            "x, line 6: needs one of text, base64, head, complete, end, dropped, has "
            "base64 and text",
            id="two kinds",
        ),
        pytest.param(
            WRITTEN.replace(b"5aU=", b"5aU"), "x, line 7: base64: ", id="base64"
        ),
        pytest.param(
            WRITTEN.replace(b'"5aU="', b'""'), "x, line 7: base64: ", id="empty piece"
        ),
        pytest.param(
            WRITTEN.replace("你好".encode(), b"\\ud800"),
            "x, line 6: ",
            id="half a surrogate pair",
        ),
        pytest.param(
            WRITTEN.replace(b'"a/b"', b'"a\\r\\nX: b"'),
            "x, line 5: head.fields[0][1]: has a character that is not allowed",
            id="line break in a field",
        ),
        pytest.param(
            WRITTEN.replace(b'"a/b"', b'"a\\n"'),
            "x, line 5: head.fields[0][1]: has a character that is not allowed",
            id="line feed at the end of a field",
        ),
        pytest.param(
            WRITTEN.replace(b'"Content-Type"', b'"Content Type"'),
            "x, line 5: head.fields[0][0]: has a character that is not allowed",
            id="space in a name",
        ),
        pytest.param(
            WRITTEN.replace(b'"framing":"chunked"', b'"framing":"lines"'),
            "x, line 5: head.framing: invalid enum value 'lines'",
            id="framing",
        ),
        pytest.param(
            WRITTEN.replace(b',"framing":"chunked"', b""),
            "x, line 5: head: a final head needs framing",
            id="no framing",
        ),
        pytest.param(
            WRITTEN.replace(b'"fields":[]', b'"fields":[],"framing":"none"'),
            "x, line 4: head: an interim head (103) has no framing",
            id="interim with framing",
        ),
        pytest.param(
            WRITTEN.replace(b'"complete":true', b'"complete":false'),
            "x, line 3: complete: expected true",
            id="not complete",
        ),
        pytest.param(
            WRITTEN.replace(b'"fin"', b'"finish"'),
            "x, line 8: end: invalid enum value 'finish'",
            id="end",
        ),
        pytest.param(
            with_item(RecordedPiece(9, "upstream", b"a")),
            "x, line 9: follows the end of the record",
            id="after the end",
        ),
        pytest.param(
            with_item(RecordedPiece(3, "upstream", b"a"), 4),
            "x, line 5: a piece of the upstream before its final head",
            id="before the head",
        ),
        pytest.param(
            with_item(HEAD, 5), "x, line 6: a head after the final head", id="two heads"
        ),
        pytest.param(
            with_item(RecordedPiece(2, "client", b"a"), 3),
            "x, line 4: a piece of the client after the end of its body",
            id="after the body",
        ),
        pytest.param(
            with_item(RequestComplete(2), 3),
            "x, line 4: the request body is complete already",
            id="complete twice",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(data: bytes, told: str) -> None:
    with pytest.raises(RecordFault, match="^" + re.escape(told)):
        read_record(data, "x")


def test_what_is_derived_from_a_record() -> None:
    assert RECORD.head is HEAD
    assert RECORD.request_body == b"\xff"
    assert [piece.data for piece in RECORD.response_pieces] == [
        "data: 你好\n\n".encode(),
        "好".encode()[:2],
    ]
    assert not RECORD.is_websocket
    assert HEAD.get("content-type") == "a/b"
    assert REQUEST.get("Cookie") is None


def test_bytes_of_a_tunnel_are_not_a_request_body() -> None:
    switch = RecordedHead(
        3, 101, "Switching Protocols", "1.1", [("Upgrade", "WebSocket")], "tunnel"
    )
    items = [
        RecordedPiece(1, "client", b"body"),
        RequestComplete(2),
        switch,
        RecordedPiece(4, "client", b"\x81\x80"),
        RequestComplete(5),
    ]
    record = msgspec.structs.replace(RECORD, items=items)
    assert read_record(encode_record(record), "x") == record
    assert record.request_body == b"body"
    assert record.is_websocket
