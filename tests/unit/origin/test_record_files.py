"""Records from files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.origin.record_files import of_routes, read_records
from proxy.origin.replay_origin import ReplayOrigin
from proxy.record.format import RecordFault, encode_record
from tests.support.records import head, record

HARS = Path(__file__).parents[2] / "records"


def write(path: Path, target: str = "/events") -> Path:
    path.write_bytes(encode_record(record(head(), target=target)))
    return path


def test_files_and_folders_are_read_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"{name}.jsonl", f"/{name}")
    (tmp_path / "notes.txt").write_text("not a record")
    found = read_records([tmp_path / "b.jsonl", tmp_path])
    assert [each.record.request.target for each in found] == ["/b", "/a"]
    assert [each.name for each in found] == [
        str(tmp_path / "b.jsonl"),
        str(tmp_path / "a.jsonl"),
    ]


def test_each_entry_of_a_har_is_a_record() -> None:
    found = read_records([HARS])
    chat = next(each for each in found if each.record.request.method == "POST")
    assert chat.name == f"{HARS / 'chromium.har'}, entry 3"
    ReplayOrigin([each.record for each in found])  # all of them can be played


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(RecordFault) as caught:
        read_records([tmp_path / "none", tmp_path / "empty", tmp_path / "bad.jsonl"])
    first, second, third = str(caught.value).splitlines()
    assert first == f"cannot read {tmp_path / 'none'}: no such file or directory"
    assert second == f"{tmp_path / 'empty'} has no records (*.jsonl) and no *.har"
    assert third.startswith(f"{tmp_path / 'bad.jsonl'}, line 1: ")


def test_an_entry_that_is_not_valid_is_left_out(tmp_path: Path) -> None:
    table = json.loads((HARS / "firefox.har").read_bytes())
    table["log"]["entries"][1]["response"]["status"] = "200"
    har = tmp_path / "odd.har"
    har.write_text(json.dumps(table), "utf-8")
    fault = f"{har}, entry 2: response.status: expected `float`, got `str`"
    told: list[str] = []
    found = read_records([tmp_path], told.append)
    assert [each.name for each in found] == [
        f"{har}, entry {n}" for n in range(1, 7) if n != 2
    ]
    assert told == [f"left out: {fault}"]
    with pytest.raises(RecordFault) as caught:
        read_records([har])  # nobody would be told
    assert str(caught.value) == fault
    har.write_text('{"log": {"entries": [1, 2]}}', "utf-8")
    with pytest.raises(RecordFault) as caught:
        read_records([har], told.append)
    assert len(str(caught.value).splitlines()) == 2
    assert len(told) == 1


def test_a_file_of_a_folder_may_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    told: list[str] = []
    assert len(read_records([tmp_path], told.append)) == 1
    [reason] = told
    assert reason.startswith(f"left out: {bad}, line 1: ")
    for named in ([tmp_path, bad], [bad]):  # unless it is named itself, or alone
        with pytest.raises(RecordFault, match=r"bad\.jsonl, line 1: "):
            read_records(named, told.append)
    (tmp_path / "good.jsonl").unlink()
    with pytest.raises(RecordFault, match=r"bad\.jsonl, line 1: "):
        read_records([tmp_path], told.append)


def test_the_records_of_a_route(tmp_path: Path) -> None:
    found = read_records([write(tmp_path / "a.jsonl")])
    assert of_routes(found, ["/"]) == of_routes(found, []) == found
    with pytest.raises(
        RecordFault, match=r"no record of route /x among 1 record; they are of /$"
    ):
        of_routes(found, ["/x"])
