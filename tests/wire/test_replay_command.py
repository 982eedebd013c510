"""`unbuffered replay` as a process of its own, and what it says of wrong arguments."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.cli.main import main
from proxy.record.format import encode_record
from proxy.system.port_holder import port_fault
from tests.support.process import GUARD, ROOT, ending
from tests.support.raw import connect
from tests.support.records import head, record, sent

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    played = record(
        head(fields=[("Content-Type", "text/event-stream")]),
        sent(1000, b"data: 1\n\n"),
        sent(3_600_000_000, b"data: 2\n\n"),  # an hour later
    )
    path.write_bytes(encode_record(played))
    return path


@asynccontextmanager
async def replay(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", "replay", *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with ending(process):
        yield process


async def address(process: asyncio.subprocess.Process) -> int:
    """The port in the line of JSON."""
    assert process.stdout is not None
    async with asyncio.timeout(GUARD):
        told = json.loads(await process.stdout.readline())
    assert list(told) == ["url"]
    return urlsplit(told["url"]).port or 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_prints_its_address_plays_and_stops(
    events: Path, number: signal.Signals
) -> None:
    arguments = [str(events), "--port", "0", "--json", "--speed", "max"]
    async with replay(*arguments) as process:
        client = await connect(await address(process))
        await client.send(GET + GET.replace(b"events", b"event"))
        await client.read_head()
        assert await client.read_body() == b"data: 1\n\ndata: 2\n\n"
        await client.read_head()
        assert client.head_lines[0] == b"HTTP/1.1 404 Not Found"
        process.send_signal(number)
        out, told = await process.communicate()
        client.close()
    assert process.returncode == 0
    assert out == b""
    lines = told.decode().splitlines()
    assert lines[0].startswith("replaying 1 record on http://127.0.0.1:")
    assert lines[0].endswith(" without waiting; Ctrl-C stops")
    assert lines[1:] == [
        "  GET /events: 200, 2 pieces in 3600.0 s, complete",
        f"GET /events: {events}",
        "GET /event: 404, no record answers it",
    ]


async def test_faults_are_announced_and_happen(events: Path) -> None:
    arguments = ["--port", "0", "--json", "--fault", "kind=fin,after=1"]
    async with replay(str(events), *arguments) as process:
        client = await connect(await address(process))
        await client.send(GET)
        await client.read_head()
        assert await client.read_chunk() == b"data: 1\n\n"
        await client.closed()
        client.close()
        process.terminate()
        _, told = await process.communicate()
    assert "FAULT: fin after 1 event" in told.decode().splitlines()


def test_a_port_that_is_taken_is_told(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["replay", str(events), "--port", str(port)]) == 1
        fault = port_fault("127.0.0.1", port, "--port")
    told = capsys.readouterr().err
    assert told == (f"unbuffered: cannot listen on 127.0.0.1:{port}: {fault}\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{events}", "--speed", "0"],
         "argument --speed: expected a number greater than 0, or max, got '0'"),
        (["{events}", "--speed", "nan"], "greater than 0, or max, got 'nan'"),
        (["{events}", "--port", "65536"],
         "argument --port: expected a number from 0 to 65535, got '65536'"),
        (["{events}", "--fault", "kind=fin,afer=3"],
         "argument --fault: afer: unknown key: did you mean after?"),
        (["{events}", "--fault", "kind=status", "--fault", "kind=status"],
         "unbuffered: fault 2: never applies: fault 1 (status 500) always does"),
        (["{events}", "--route", "/x"], "unbuffered: no record of route /x"),
        (["{events}.none"], "unbuffered: cannot read"),
        (["{events}", "{events}/../config.toml"], "cannot read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(
    events: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    given = [each.replace("{events}", str(events)) for each in arguments]
    try:
        status = main(["replay", *given])
    except SystemExit as left:
        status = int(left.code or 0)
    assert status == 2
    assert told in capsys.readouterr().err
