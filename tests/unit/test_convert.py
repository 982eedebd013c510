"""The command `unbuffered convert`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.main import main
from proxy.record.capture_reader import CaptureFile
from proxy.record.format import encode_record
from proxy.record.record_reader import read_record
from tests.unit.record.test_format import RECORD, WRITTEN

RECORDS = Path(__file__).parent.parent / "records"
CHROMIUM = str(RECORDS / "chromium.har")
FIREFOX = str(RECORDS / "firefox.har")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A record in a file."""
    path = tmp_path / "one.jsonl"
    path.write_bytes(WRITTEN)
    return path


def test_each_entry_of_a_har_becomes_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records" / "new"
    assert main(["convert", CHROMIUM, "-o", str(folder)]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "20261129T120000.010000-GET-sse-events-1.jsonl",
        "20261129T120001.000000-GET-ws-2.jsonl",
        "20261129T120002.035000-POST-v1-chat-completions-3.jsonl",
        "20261129T120003.002000-GET-bin-4.jsonl",
        "20261129T120004.005000-GET-broken-5.jsonl",
        "20261129T120005.003000-GET-6.jsonl",
    ]
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        read_record(path.read_bytes(), path.name)
    said = capsys.readouterr().err
    assert f"{CHROMIUM}, entry 2: {folder / names[1]}\n  not known: the frames" in said
    # Once more: what is there stays as it is.
    before = (folder / names[0]).stat()
    assert main(["convert", CHROMIUM, "-o", str(folder)]) == 1
    told = capsys.readouterr().err
    assert told == f"unbuffered: cannot write {folder / names[0]}: file exists\n"
    assert (folder / names[0]).stat() == before


def test_one_entry_goes_to_one_file_or_to_standard_output(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "ws.jsonl"
    assert main(["convert", CHROMIUM, "--entry", "2", "-o", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    capfdbinary.readouterr()
    assert main(["convert", CHROMIUM, "--url", "/ws"]) == 0
    output = capfdbinary.readouterr()
    assert output.out == path.read_bytes()
    assert output.err == b""
    assert read_record(output.out, "x").is_websocket


def test_records_become_one_har_and_come_back(
    tmp_path: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "two.jsonl"
    assert main(["convert", FIREFOX, "--entry", "2", "-o", str(other)]) == 0
    har = tmp_path / "all.har"
    assert main(["convert", str(written), str(other), "-o", str(har)]) == 0
    entries = json.loads(har.read_bytes())["log"]["entries"]
    assert [each["request"]["url"] for each in entries] == [
        "http://a/sse/events?x=1",
        "http://localhost:8080/sse/events",
    ]
    back = tmp_path / "back"
    assert main(["convert", str(har), "-o", str(back)]) == 0
    assert sorted(path.read_bytes() for path in back.iterdir()) == sorted(
        [written.read_bytes(), other.read_bytes()]
    )


def test_exchanges_are_listed(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", CHROMIUM, str(written), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "   2  GET ws://localhost:8080/ws  101, 2 pieces, 21 bytes"
    assert lines[5] == "   6  GET http://localhost:9999/  no answer, 0 pieces, 0 bytes"
    assert lines[6] == "POST http://a/sse/events?x=1  200, 2 pieces, 16 bytes"


ODD = {
    "content": ("response", "content", 7),
    "status": ("response", "status", 103),
    "time": ("startedDateTime", "never"),
    "method": ("request", "method", "G T"),
    "entry": (7,),
}


def with_odd_entry(folder: Path, *path: str | int) -> Path:
    """A HAR whose second entry is not valid: the last of `path` is what it has."""
    table = json.loads(Path(FIREFOX).read_bytes())
    place: Any = table["log"]["entries"]
    key: str | int = 1
    for each in path[:-1]:
        place, key = place[key], each
    place[key] = path[-1]
    har = folder / "odd.har"
    har.write_text(json.dumps(table), "utf-8")
    return har


@pytest.mark.parametrize("path", ODD.values(), ids=ODD)
def test_an_entry_that_is_not_valid_is_told_and_the_others_are_read(
    path: tuple[str | int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    har = with_odd_entry(tmp_path, *path)
    assert main(["convert", str(har), "--list"]) == 3
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == list("13456")
    left, counts = said.err.splitlines()
    assert left.startswith(f"unbuffered: left out: {har}, entry 2: ")
    assert counts == "unbuffered: 5 exchanges read, 1 entry left out"
    folder = tmp_path / "records"
    assert main(["convert", str(har), "-o", str(folder)]) == 3
    assert len(list(folder.iterdir())) == 5
    said = capsys.readouterr()
    assert f"unbuffered: left out: {har}, entry 2: " in said.err
    assert said.err.splitlines()[-1] == counts
    assert main(["convert", str(har), "--to", "har", "-o", str(tmp_path / "x")]) == 3
    assert main(["convert", str(har), "--entry", "2"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"unbuffered: {har}, entry 2: ")
    assert main(["convert", str(har), "--entry", "3", "-o", "-"]) == 0


def test_a_file_that_cannot_be_written_is_worse_than_an_entry_that_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    har = with_odd_entry(tmp_path, 7)
    table = json.loads(har.read_bytes())
    table["log"]["entries"][2:3] = [7]
    har.write_text(json.dumps(table), "utf-8")
    output = str(tmp_path / "no" / "x.har")
    assert main(["convert", str(har), "--to", "har", "-o", output]) == 1
    capsys.readouterr()
    assert main(["convert", str(har), "--list"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "unbuffered: 4 exchanges read, 2 entries left out"


def test_a_har_without_a_valid_entry_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    har = tmp_path / "odd.har"
    har.write_text('{"log": {"entries": [1, {}]}}', "utf-8")
    assert main(["convert", str(har), "--list"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"unbuffered: {har}, entry 1: ")
    assert second.startswith(f"{har}, entry 2: ")


def test_standard_input_is_read(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WRITTEN)))
    assert main(["convert", "-", "--to", "record"]) == 0
    assert capfdbinary.readouterr().out == WRITTEN


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["missing.har"], "cannot read missing.har: no such file", id="missing"
        ),
        pytest.param([CHROMIUM], "there are 6 exchanges, each becomes", id="several"),
        pytest.param(
            [CHROMIUM, "-o", "x.jsonl"], "there are 6 exchanges", id="one file"
        ),
        pytest.param(
            [CHROMIUM, "--entry", "9"], f"{CHROMIUM} has no entry 9: it has 7", id="9"
        ),
        pytest.param(
            [CHROMIUM, "--entry", "0"], "--entry: the first entry is 1", id="0"
        ),
        pytest.param(
            [CHROMIUM, "--entry", "7"],
            f"{CHROMIUM}, entry 7: request.url: 'data:text/plain,hello' is not an HTTP",
            id="data",
        ),
        pytest.param(
            [CHROMIUM, "--url", "/none"],
            "no exchange by HTTP whose address contains '/none' in",
            id="no such address",
        ),
        pytest.param(
            [CHROMIUM, "one.jsonl"], "there are HARs and records: --to says", id="both"
        ),
        pytest.param(["bad.har"], "bad.har is not valid JSON: ", id="no JSON"),
        pytest.param(
            ["bad.jsonl"], "bad.jsonl, line 1: the record has version 2", id="version"
        ),
        pytest.param(["empty"], "empty is empty: it is not a record", id="empty"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str],
    told: str,
    written: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(written.parent)
    Path("bad.har").write_text('{\n "log"', "utf-8")
    Path("bad.jsonl").write_text('{"unbuffered": 2}\n', "utf-8")
    Path("empty").touch()
    assert main(["convert", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"unbuffered: {told}")
    assert said.err.count("\n") == 1


def test_a_place_that_cannot_be_written_to_is_named(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = f"{written}/x.har"
    assert main(["convert", str(written), "-o", inside]) == 1
    told = f"unbuffered: cannot write {inside}: not a directory\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("data", "har"),
    [
        pytest.param(WRITTEN, False, id="record"),
        pytest.param(encode_record(RECORD).partition(b"\n")[0], False, id="one line"),
        pytest.param(b'{"log":{"entries":[]}}', True, id="on one line"),
        pytest.param(b'{"x": 1, "log": {"entries": []}}', True, id="not first"),
        pytest.param(b'\xef\xbb\xbf{\n"log": {"entries": []}}', True, id="with a mark"),
    ],
)
def test_a_file_is_known_by_what_is_in_it(data: bytes, har: bool) -> None:
    assert (CaptureFile(data, "x").har is not None) is har
