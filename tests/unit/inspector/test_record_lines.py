"""What the inspector's page saves is a record, and claims no more than it knows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import proxy
from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
)
from proxy.record.record_reader import read_record

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")

PAGE = Path(proxy.__file__).parent / "inspector" / "page"
SCRIPT = """
import { recordLines, recordName } from "./stream/record_lines.js";
import { unbase64 } from "./decode/bytes_text.js";
let text = "";
for await (const part of process.stdin) text += part;
const { exchange, pieces, options } = JSON.parse(text);
for (const each of pieces) {
  each.payload = each.base64 === undefined ? null : unbase64(each.base64);
}
console.log(recordName(exchange));
process.stdout.write(recordLines(exchange, pieces, options).join(""));
"""
EXCHANGE: dict[str, object] = {
    "id": "0-1",
    "route": "/chat",
    "upstream": "http://localhost:8002",
    "method": "POST",
    "target": "/chat/a?token=****",
    "started": 1764417600.25,
    "first_byte": 0.5,
    "duration": 3.0,
    "coded": [],
    "stream": None,
    "ending": "complete",
    "error": None,
    "request": {
        "received": [["Host", "a"], ["Content-Length", "3"]],
        "sent": [["Host", "b"]],
        "line": "POST /a?token=**** HTTP/1.1",
        "version": "2.0",
    },
    "response": {
        "received": [["Transfer-Encoding", "chunked"], ["Set-Cookie", "s=****"]],
        "sent": [],
        "line": "HTTP/2 200",
        "status": 200,
        "reason": "OK",
        "version": "1.1",
    },
}
Piece = dict[str, object]
Saved = Callable[..., ExchangeRecord]


def piece(side: str, arrived: float, base64: str | None, size: int) -> Piece:
    made: Piece = {"side": side, "arrived": arrived, "bytes": size}
    return made if base64 is None else {**made, "base64": base64}


ASKED = piece("request", 0.001, "YWJj", 3)
TEXT = piece("response", 0.5, "ZGF0YTog5L2gCgo=", 11)  # data: 你
BEAT = piece("heartbeat", 1.0, "OgoK", 3)
PART = piece("response", 2.0, "5L0=", 2)  # a part of a character


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    folder = tmp_path / "page"
    shutil.copytree(PAGE, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "save.js").write_text(SCRIPT)

    def save(
        *pieces: Piece, options: dict[str, object] | None = None, **changes: object
    ) -> ExchangeRecord:
        told = {
            "exchange": {**EXCHANGE, **changes},
            "pieces": pieces,
            "options": options or {},
        }
        ended = subprocess.run(
            ["node", "save.js"],
            input=json.dumps(told).encode(),
            capture_output=True,
            check=True,
            cwd=folder,
        )
        name, _, text = ended.stdout.partition(b"\n")
        assert name == b"20251129T120000.250000-POST-chat-a.jsonl"
        return read_record(text, name.decode())

    return save


def test_a_stream_is_saved_without_what_the_proxy_added(saved: Saved) -> None:
    own = piece("response", 2.5, "ZXJyb3I=", 5) | {"own": True}
    record = saved(ASKED, TEXT, BEAT, PART, own)
    assert record.began == "2025-11-29T12:00:00.250000Z"
    assert (record.route, record.target) == ("/chat", "http://localhost:8002")
    assert record.request.version == "2.0"
    assert record.sent is not None
    assert record.sent.target == "/a?token=****"
    assert list(record.items) == [
        RecordedPiece(1000, "client", b"abc"),
        RequestComplete(1000),
        RecordedHead(
            500_000,
            200,
            "OK",
            "1.1",
            [("Transfer-Encoding", "chunked"), ("Set-Cookie", "s=****")],
            "chunked",
        ),
        RecordedPiece(500_000, "upstream", "data: 你\n\n".encode()),
        RecordedPiece(2_000_000, "upstream", b"\xe4\xbd"),
    ]
    assert record.end == RecordedEnd(3_000_000, "complete")
    assert record.unknown == ("head time",)


@pytest.mark.parametrize(
    ("ending", "error", "end"),
    [
        ("upstream broke", "the upstream closed early: 3 bytes are missing", "fin"),
        ("upstream broke", "the upstream reset the connection early", "reset"),
        ("upstream broke", "malformed response body: x", "malformed"),
        ("client left", None, "open"),
        ("timed out", "the upstream sent nothing for 30 s", "open"),
        (None, None, None),
    ],
)
def test_how_it_ended_is_claimed_as_far_as_it_is_known(
    saved: Saved, ending: str | None, error: str | None, end: str | None
) -> None:
    record = saved(TEXT, ending=ending, error=error)
    if end is None:
        assert record.end is None
        assert not record.dropped
    else:
        assert record.end is not None
        assert (record.end.end, record.end.ending) == (end, ending)
        assert record.end.error == (error or "")


def test_who_was_not_reached_has_no_head(saved: Saved) -> None:
    record = saved(
        response={"received": None, "sent": [["A", "b"]]},
        ending="upstream broke",
        error="nothing listens at localhost:8002",
        upstream="http://localhost:8002",
    )
    assert record.head is None
    assert record.end is not None
    assert record.end.end == "unreached"


def test_a_decoded_body_says_so(saved: Saved) -> None:
    received = [["Content-Encoding", "gzip"], ["Content-Length", "99"], ["A", "b"]]
    response = {"received": received, "status": 200, "reason": "OK", "version": "1.1"}
    record = saved(TEXT, coded=["gzip"], response=response)
    assert record.head is not None
    assert record.head.fields == [("A", "b")]
    assert record.head.framing == "chunked"
    assert record.unknown == ("head time", "coding")


def test_what_is_missing_is_no_end(saved: Saved) -> None:
    record = saved(TEXT, PART, options={"holes": 2})
    assert record.end is None
    assert record.dropped == 2
    assert record.unknown == ("head time", "pieces")
    hidden = saved(piece("response", 0.5, None, 11), PART)
    assert hidden.end is None
    assert hidden.dropped == 1
    assert hidden.unknown == ("head time", "pieces")


def test_a_part_of_a_kept_stream_says_so(saved: Saved) -> None:
    kept = {"id": "x", "kept": True, "way": "first", "from": 0}
    assert saved(TEXT, stream=kept).unknown == ("head time", "ids")


def test_a_request_is_complete_only_if_all_of_it_has_come(saved: Saved) -> None:
    kinds = [type(item) for item in saved(piece("request", 0.001, "YQ==", 1)).items]
    assert RequestComplete not in kinds
