"""Files that the inspector's page opens: as Python reads them, and what is refused.

The page's own modules, run by Node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

import proxy
from proxy.record.capture_reader import CaptureFile
from proxy.record.format import (
    UNKNOWN,
    ExchangeRecord,
    RecordedPiece,
    encode_record,
)
from proxy.record.har_writer import write_har
from tests.support.hars import in_milliseconds
from tests.unit.record.test_format import RECORD, WRITTEN

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")

PAGE = Path(proxy.__file__).parent / "inspector" / "page"
RECORDS = Path(__file__).parents[2] / "records"
CHROMIUM = (RECORDS / "chromium.har").read_text("utf-8")
FIREFOX = (RECORDS / "firefox.har").read_text("utf-8")
SCRIPT = """
import { exchangesIn } from "./file/open_file.js";
import { unknownOf } from "./file/unknown.js";
import { base64 } from "./decode/bytes_text.js";
let given = "";
for await (const part of process.stdin) given += part;
const told = JSON.parse(given).map((text) => {
  try {
    return exchangesIn(text, "x").map(({ number, label, read }) => {
      const { exchange, pieces } = read();
      const plain = pieces.map(({ side, arrived, payload }) => [side, Math.round(arrived * 1e6), base64(payload)]);
      return { number, label, exchange, pieces: plain, said: unknownOf(exchange.file) };
    });
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
});
console.log(JSON.stringify(told));
"""  # noqa: E501


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is served, where `web/` is in it."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    shutil.copytree(Path(proxy.__file__).parent / "web", folder / "web")
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    (folder / "script.js").write_text(SCRIPT, "utf-8")
    return folder


def opened(folder: Path, *texts: str) -> list[Any]:
    """What the page makes of files."""
    made = subprocess.run(
        ["node", "script.js"], cwd=folder, input=json.dumps(texts), text=True,
        capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    found: list[Any] = json.loads(made.stdout)
    return found


def pieces(record: ExchangeRecord) -> list[tuple[str, int, bytes]]:
    return [
        ("request" if item.side == "client" else "response", item.at, item.data)
        for item in record.items
        if isinstance(item, RecordedPiece)
    ]


def given(told: dict[str, Any]) -> list[tuple[str, int, bytes]]:
    return [(side, at, b64decode(data)) for side, at, data in told["pieces"]]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CHROMIUM, id="Chromium"),
        pytest.param(FIREFOX, id="Firefox"),
        pytest.param(in_milliseconds(CHROMIUM.encode()).decode(), id="milliseconds"),
        pytest.param(CHROMIUM.replace("3601.014", "3601.009"), id="a clock set back"),
        pytest.param(WRITTEN.decode(), id="a record"),
        pytest.param(write_har([RECORD]).decode(), id="a HAR of ours"),
        pytest.param("\ufeff" + WRITTEN.decode().replace("\n", "\r\n"), id="CRLF"),
    ],
)
def test_the_page_reads_what_the_command_reads(modules: Path, text: str) -> None:
    entries = list(CaptureFile(text.encode(), "x").captures())
    [told] = opened(modules, text)
    assert [each["number"] for each in told] == [each.number for each in entries]
    for each, entry in zip(told, entries, strict=True):
        record, exchange = entry.record, each["exchange"]
        # A HAR has milliseconds, and `Date` no more than that: half of one is rounded.
        assert given(each) == pieces(record)
        assert exchange["method"] == record.request.method
        assert exchange["status"] == (0 if record.head is None else record.head.status)
        assert exchange["ending"] == (
            "the record was cut off" if record.end is None else record.end.ending
        )
        unknown = set(record.unknown) - {"framing"}
        assert set(exchange["file"]["unknown"]) == unknown


@pytest.mark.parametrize(
    "path",
    [
        ("response",),
        ("response", "content"),
        ("response", "headers"),
        ("response", "headers", 0),
        ("request", "headers"),
        ("request", "headers", 0),
        ("request", "postData"),
        ("timings",),
        ("_webSocketMessages",),
        ("_webSocketMessages", 0),
        ("_eventSourceMessages",),
        ("_eventSourceMessages", 0),
    ],
)
def test_the_page_takes_null_as_the_command_does(
    modules: Path, path: tuple[str | int, ...]
) -> None:
    table = json.loads(CHROMIUM)
    for entry in table["log"]["entries"]:
        place = entry
        for key in path[:-1]:
            place = place.get(key, {}) if isinstance(place, dict) else place
        if place if path[-1] == 0 else path[-1] in place:
            place[path[-1]] = None
    test_the_page_reads_what_the_command_reads(modules, json.dumps(table))


def test_the_page_takes_half_of_a_surrogate_pair(modules: Path) -> None:
    text = FIREFOX.replace('"text": "', '"text": "\\ud83d')
    assert text != FIREFOX
    test_the_page_reads_what_the_command_reads(modules, text)


def test_all_that_is_unknown_has_words(modules: Path) -> None:
    lines = WRITTEN.decode().splitlines(keepends=True)
    first = json.loads(lines[0]) | {"unknown": list(UNKNOWN)}
    [[told]] = opened(modules, json.dumps(first) + "\n" + '{"dropped": 3}\n')
    assert all(name not in told["said"].split("; ") for name in UNKNOWN)
    assert "3 lines could not be recorded" in told["said"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "x is empty: it is not a record", id="empty"),
        pytest.param("hello", "x is not a record and not a HAR: ", id="text"),
        pytest.param("[]", "x, line 1: is not a JSON object", id="array"),
        pytest.param(
            '{\n"a": 1}', 'x is not a record and not a HAR: it has no object "log"',
            id="object",
        ),
        pytest.param('{"log": {}}', "x: log.entries is not an array", id="log"),
        pytest.param(
            '{"unbuffered": 2}\n', "x, line 1: the record has version 2", id="version"
        ),
        pytest.param(
            WRITTEN.decode().replace('"text"', '"txt"'), "x, line 6: has none of text",
            id="kind",
        ),
        pytest.param(
            WRITTEN.decode().replace("5aU=", "?"),
            "x, line 7: base64: is not valid base64", id="base64",
        ),
        pytest.param(
            WRITTEN.decode().replace('"at":3', '"at":"3"'),
            "x, line 4: at: is not a whole number", id="time",
        ),
        pytest.param(
            WRITTEN.decode().replace('"at":3', '"at":-3'),
            "x, line 4: at: is not a whole number", id="before the beginning",
        ),
        pytest.param(
            WRITTEN.decode().replace('"at":7', '"at":99999999999999999999'),
            "x, line 8: at: is not a whole number", id="never",
        ),
        pytest.param(
            WRITTEN.decode().replace('[["Host","a"]', '[["Host",1]'),
            "x, line 1: request.fields: is not an array of pairs", id="fields",
        ),
        pytest.param(
            WRITTEN.decode().replace('{"at":2', '{"at":2,,'),
            "x, line 3: is not valid JSON: ", id="line",
        ),
        pytest.param(
            CHROMIUM.replace('"2026-11-29T12:00:03.000Z"', '"now"'),
            "x, entry 4: startedDateTime: is not a time", id="began",
        ),
        pytest.param(
            CHROMIUM.replace('"AP/+gA=="', '"?"'),
            "x, entry 4: response.content.text: is not valid base64", id="content",
        ),
        pytest.param(
            CHROMIUM.replace('"type": "receive"', '"type": "got"'),
            "x, entry 2: _webSocketMessages[2].type: is not send", id="message",
        ),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_told_with_its_place(
    modules: Path, text: str, told: str
) -> None:
    [said] = opened(modules, text)
    assert said.startswith(f"FileFault: {told}")


def test_a_record_that_was_cut_off_is_shown_so_far(modules: Path) -> None:
    whole = encode_record(RECORD).decode()
    cut = whole[: whole.rindex('{"at":7')] + '{"at":7,"fr'
    [[told]] = opened(modules, cut)
    assert given(told) == pieces(RECORD)
    assert told["exchange"]["ending"] == "the record was cut off"
