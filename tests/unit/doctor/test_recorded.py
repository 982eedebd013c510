"""A record and a HAR are judged as if the doctor had measured them itself."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.record.format import (
    ExchangeRecord,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    encode_record,
)
from proxy.record.har_writer import write_har
from proxy.tools.doctor.diagnosis import diagnose
from proxy.tools.doctor.probe.recorded import is_file, recording_of
from proxy.tools.doctor.record import Arrival, ProbeRecording, load
from proxy.tools.doctor.verdict import Kind
from tests.unit.doctor.recordings import TRACES, event

RECORDS = Path(__file__).parents[2] / "records"
CHROMIUM = str(RECORDS / "chromium.har")
FIREFOX = str(RECORDS / "firefox.har")
EVENTS = [("Content-Type", "text/event-stream")]


def stream(
    *pieces: tuple[float, bytes],
    end: RecordedEnd | None = None,
    fields: list[tuple[str, str]] = EVENTS,
) -> ExchangeRecord:
    """A record of these pieces, as the proxy makes it."""
    items: list[RecordedHead | RecordedPiece] = [
        RecordedHead(1000, 200, "OK", "1.1", fields, "chunked"),
        *(RecordedPiece(round(at * 1e6), "upstream", data) for at, data in pieces),
    ]
    return ExchangeRecord(
        "2026-11-29T12:00:00.000000Z",
        "unbuffered 0.1.0",
        "/sse",
        "http://localhost:8002",
        RecordedRequest("GET", "/sse/events", "1.1", "http", [("Host", "a:8080")]),
        items,
        end,
    )


STEADY = tuple((n * 0.5, event(n)) for n in range(1, 9))
WHOLE = RecordedEnd(4_100_000, "complete")


def record_of(recording: ProbeRecording) -> ExchangeRecord:
    """What the proxy would have recorded of a measurement."""
    assert recording.head is not None
    head = RecordedHead(
        round(recording.head * 1e6), recording.status, "", "1.1",
        list(recording.fields), "chunked",
    )  # fmt: skip
    pieces = [
        RecordedPiece(round(each.at * 1e6), "upstream", each.data)
        for each in recording.arrivals
        if each.data
    ]
    end = "complete" if recording.ending == "complete" else "fin"
    last = None
    if recording.ending != "stopped":
        last = RecordedEnd(round(recording.ended * 1e6), end)  # type: ignore[arg-type]  # one of two
    return replace_items(stream(end=last), [head, *pieces])


def replace_items(
    record: ExchangeRecord, items: list[RecordedHead | RecordedPiece]
) -> ExchangeRecord:
    return ExchangeRecord(
        record.began, record.by, record.route, record.target, record.request, items,
        record.end,
    )  # fmt: skip


def decoded(recording: ProbeRecording) -> ProbeRecording:
    """The same without a content coding, of which traces have not the bytes."""
    return replace(
        recording,
        connected=None,
        fields=tuple(
            (name, value)
            for name, value in recording.fields
            if name.lower() != "content-encoding"
        ),
        arrivals=tuple(
            Arrival(each.at, len(each.data), each.data)
            for each in recording.arrivals
            if each.data
        ),
    )


@pytest.mark.parametrize(
    "path", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem
)
def test_the_verdict_on_a_record_is_that_on_the_measurement(path: Path) -> None:
    for each in load(path.read_text("utf-8")):
        if not each.answered or each.ending == "stopped":  # a record has no time of it
            continue
        measured = decoded(each)
        found = diagnose(recording_of(record_of(measured), "x"))
        expected = diagnose(measured)
        assert (found.kind, found.line) == (expected.kind, expected.line)


def test_a_coded_body_is_judged_by_its_content() -> None:
    """Each read of the upstream has an event, flushed."""
    coder = zlib.compressobj(wbits=31)
    pieces = [
        (at, coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH))
        for at, data in STEADY
    ]
    fields = [*EVENTS, ("Content-Encoding", "gzip")]
    recording = recording_of(stream(*pieces, end=WHOLE, fields=fields), "x")
    assert recording.content == b"".join(data for _, data in STEADY)
    assert diagnose(recording).kind is Kind.STREAMS
    late = gzip.compress(b"".join(data for _, data in STEADY))
    recording = recording_of(stream((4.0, late), end=WHOLE, fields=fields), "x")
    assert diagnose(recording).kind is Kind.AT_THE_END
    broken = recording_of(stream((1.0, b"none"), end=WHOLE, fields=fields), "x")
    assert broken.fault.startswith("content coding broken")


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param(RecordedEnd(4_100_000, "fin"), Kind.CUT, id="fin"),
        pytest.param(RecordedEnd(4_100_000, "reset"), Kind.CUT, id="reset"),
        pytest.param(RecordedEnd(4_100_000, "open"), Kind.STREAMS, id="open"),
        pytest.param(None, Kind.STREAMS, id="cut off"),
    ],
)
def test_the_end_of_a_record_is_an_end(end: RecordedEnd | None, kind: Kind) -> None:
    assert diagnose(recording_of(stream(*STEADY, end=end), "x")).kind is kind


def test_a_record_is_reported_as_a_url_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(encode_record(stream(*STEADY, end=WHOLE)))
    assert main(["doctor", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("It streams")
    assert "as recorded" in text
    assert "(by unbuffered 0.1.0): nothing was measured now" in text
    assert "between the proxy and the browser is not in it" in text
    assert "a record has one request" in text


def test_a_har_with_one_stream_is_judged_by_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.har"
    page = stream((0.1, b"<p>"), end=WHOLE, fields=[("Content-Type", "text/html")])
    held = stream((4.0, b"".join(data for _, data in STEADY)), end=WHOLE)
    path.write_bytes(write_har([page, held]))
    assert main(["doctor", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "all at the end"
    [measurement] = told["measurements"]
    assert measurement["url"] == "http://a:8080/sse/events"
    assert measurement["account"][0].startswith("judged from entry 2 of ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            [FIREFOX, "--entry", "2"],
            "Inconclusive: the file does not say when each piece came.",
            id="no times",
        ),
        pytest.param(
            [FIREFOX, "--entry", "3"],
            "Inconclusive: the file does not say what the body was.",
            id="no body",
        ),
        pytest.param(
            [CHROMIUM, "--entry", "1"], "Inconclusive: only 2 events", id="few"
        ),
        pytest.param(
            [CHROMIUM, "--entry", "2"],
            "Inconclusive: only 2 messages",
            id="WebSocket",
        ),
        pytest.param(
            [CHROMIUM, "--entry", "6"],
            "Could not measure: net::ERR_CONNECTION_REFUSED.",
            id="refused",
        ),
    ],
)
def test_what_cannot_be_told_from_a_file_is_not(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One piece at the end, in a HAR, is no stream that was held until its end."""
    assert main(["doctor", *arguments]) == 2
    text = capsys.readouterr().out
    assert text.startswith(line)
    assert "--max-time" not in text


def test_the_doctor_says_which_entries_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = json.loads(Path(CHROMIUM).read_bytes())
    table["log"]["entries"][2]["response"]["status"] = "200"
    har = tmp_path / "odd.har"
    har.write_text(json.dumps(table), "utf-8")
    assert main(["doctor", str(har)]) == 2  # of the other stream only 2 events
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("Inconclusive: only 2 events")
    assert "left out:" in said
    assert "entry 3: response.status: expected `float`, got `str`" in said
    table["log"]["entries"].append(table["log"]["entries"][0])
    har.write_text(json.dumps(table), "utf-8")
    assert main(["doctor", str(har)]) == 2
    first, *lines, last = capsys.readouterr().err.splitlines()
    assert first == f"unbuffered: {har} has 2 streams: choose one with --entry"
    assert [line.split()[1] for line in lines] == ["1:", "8:"]
    assert last.startswith(f"left out: {har}, entry 3: response.status: ")
    har.write_text('{"log": {"entries": [1]}}', "utf-8")
    assert main(["doctor", str(har)]) == 2
    assert capsys.readouterr().err.startswith(f"unbuffered: {har}, entry 1: ")


def test_a_cut_is_seen_without_times(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", CHROMIUM, "--entry", "5"]) == 1
    assert capsys.readouterr().out.startswith("Cut: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            [CHROMIUM],
            f"{CHROMIUM} has 2 streams: choose one with --entry\n"
            "  --entry 1: GET http://localhost:8080/sse/events?last=1&access_token=****",
            id="several",
        ),
        pytest.param(["none.har"], "cannot read none.har: no such file", id="none"),
        pytest.param([CHROMIUM, "--entry", "99"], f"{CHROMIUM} has no entry", id="99"),
        pytest.param(
            [CHROMIUM, "--entry", "0"], "--entry: the first entry is 1", id="0"
        ),
        pytest.param(
            ["http://localhost", "--entry", "1"], "--entry is for a HAR", id="a URL"
        ),
        pytest.param(
            [CHROMIUM, "-H", "A: b"], f"{CHROMIUM} is a file, which is", id="a field"
        ),
        pytest.param([__file__], f"{__file__} is not valid JSON", id="another file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"unbuffered: {told}")


def test_a_folder_is_not_an_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    assert not is_file(str(folder))  # a host may be called as a folder is
    for name in ("b.jsonl", "a.har", "a.txt"):
        (folder / name).touch()
    assert main(["doctor", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"unbuffered: {folder} is a folder: name one of the files in it, such as "
        f"{folder / 'a.har'}\n"
    )


def test_a_record_has_no_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(encode_record(stream(*STEADY, end=WHOLE)))
    for command in (["doctor"], ["convert"], ["convert", "--list"]):
        assert main([*command, str(path), "--entry", "5"]) == 2
        told = f"unbuffered: {path} is a record: it has no entry 5\n"
        assert capsys.readouterr() == ("", told)


def test_an_address_is_no_file(tmp_path: Path) -> None:
    assert not is_file("http://localhost/x.har")
    assert not is_file("localhost:8080/sse")
    assert is_file("x.HAR")
    (tmp_path / "named").touch()
    assert is_file(str(tmp_path / "named"))
