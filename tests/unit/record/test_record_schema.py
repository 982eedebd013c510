"""The published schema takes what is written, and refuses what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from proxy.record.format import RecordFault
from proxy.record.record_reader import read_record
from tests.unit.record.test_format import RECORD, WRITTEN

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "record.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
EXAMPLE = (DOCS / "records.md").read_text("utf-8").split("```json\n")[1].split("```")[0]


def valid(line: bytes) -> bool:
    return bool(VALIDATOR.is_valid(json.loads(line)))


def test_each_line_that_is_written_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for line in (*WRITTEN.splitlines(), b'{"dropped":3}'):
        assert valid(line), line


def test_the_example_of_the_page_is_a_record() -> None:
    record = read_record(EXAMPLE.encode(), "docs/records.md")
    assert record.request_body == b'{"prompt": "hello"}'
    assert [piece.data for piece in record.response_pieces] == [
        "data: 你好\n\n".encode(),
        "data: 你".encode()[:7],
    ]
    assert record.end is not None
    for line in EXAMPLE.splitlines():
        assert valid(line.encode()), line


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b'"unbuffered":1', b'"unbuffered":2', id="version"),
        pytest.param(b'"POST"', b"4", id="method"),
        pytest.param(b'"at":5', b'"at":"5"', id="time"),
        pytest.param(b'"at":1', b'"at":-1', id="negative"),
        pytest.param(b'"at":7', b'"at":9007199254740992', id="never"),
        pytest.param(b'"2026-11-29T12', b'"yesterday', id="time of day"),
        pytest.param(b'"text"', b'"txt"', id="unknown kind"),
        pytest.param(b'"text":"', b'"base64":"/w==","text":"', id="two kinds"),
        pytest.param(b'"a/b"', b'"a\\n"', id="line feed in a field"),
        pytest.param(b'"chunked"', b'"lines"', id="framing"),
        pytest.param(b'"complete":true', b'"complete":false', id="not complete"),
        pytest.param(b'"fin"', b'"finish"', id="end"),
    ],
)
def test_what_the_schema_refuses_is_refused(before: bytes, after: bytes) -> None:
    broken = WRITTEN.replace(before, after)
    assert not all(map(valid, broken.splitlines()))
    with pytest.raises(RecordFault):
        read_record(broken, "x")
    assert read_record(WRITTEN, "x") == RECORD
