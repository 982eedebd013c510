"""`unbuffered record`: asks once, and writes down what comes."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from proxy.record.format import (
    ExchangeRecord,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
)
from proxy.record.record_reader import read_record
from proxy.tools.doctor.probe.request import AskError
from proxy.tools.record import command
from proxy.tools.record.command import CUT, FAILED, OK, asked, record_once
from tests.support.messages import CHUNKED
from tests.support.raw import GUARD, Upstream, became, chunk

FULL = Path("/dev/full")
STREAM = CHUNKED + b"Content-Type: text/event-stream\r\n\r\n"


class Asking:
    """The command, while it runs."""

    def __init__(self, path: Path, *words: str, max_time: float = 0.0) -> None:
        self.path = path
        self.said: list[str] = []
        self.task = asyncio.ensure_future(
            record_once(asked([*words]), path, max_time, self.said.append)
        )

    async def status(self) -> int:
        async with asyncio.timeout(GUARD):
            return await self.task

    @property
    def text(self) -> str:
        """The file; nothing, if there is none."""
        return self.path.read_text("utf-8") if self.path.exists() else ""

    @property
    def is_there(self) -> bool:
        """Is there a file?"""
        return self.path.exists()

    def has_piece(self) -> bool:
        """Has a piece been written?"""
        return '"text"' in self.text

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)

    @property
    def record(self) -> ExchangeRecord:
        return read_record(self.path.read_bytes(), self.path.name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


async def test_what_comes_is_written_down(upstream: Upstream, path: Path) -> None:
    pasted = (
        f"curl '{upstream.url}/chat?key=secret' -H 'Authorization: Bearer secret' "
        "--compressed --data-raw '{\"a\": 1}'"
    )
    asking = Asking(path, pasted)
    server = await upstream.request()
    assert server.head.startswith(b"POST /chat?key=secret HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret\r\n" in server.head
    assert await server.read(8) == b'{"a": 1}'
    await server.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + STREAM)
    await server.send("data: 你\n\n".encode().join([b"b\r\n", b"\r\n"]))
    await server.send(b"0\r\nX: 1\r\n\r\n")
    assert await asking.status() == OK
    record = asking.record
    assert record.request.target == "/chat?key=****"
    assert record.request.get("authorization") == "Bearer ****"
    assert record.sent == record.request
    assert record.request_body == b'{"a": 1}'
    kinds = [type(item) for item in record.items]
    body = [RecordedPiece, RequestComplete]
    assert kinds == [*body, RecordedHead, RecordedHead, RecordedPiece]
    assert record.response_pieces[0].data == "data: 你\n\n".encode()
    assert record.end is not None
    assert (record.end.end, record.end.trailers) == ("complete", [("X", "1")])
    assert asking.mode == 0o600
    assert asking.said[-1].startswith("200, 1 piece, 11 B in ")
    assert "secret" not in asking.text + "".join(asking.said)


async def test_a_redirect_is_an_answer(upstream: Upstream, path: Path) -> None:
    asking = Asking(path, upstream.url)
    server = await upstream.request()
    await server.send(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
    assert await asking.status() == OK
    assert asking.record.head is not None
    assert asking.record.head.status == 302
    assert upstream.unexpected == 0


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_response_that_is_cut(upstream: Upstream, path: Path, how: str) -> None:
    asking = Asking(path, upstream.url)
    server = await upstream.request()
    await server.send(STREAM + chunk(b"data: 1\n\n"))
    if how == "fin":
        server.close()
    else:
        await became(asking.has_piece)
        server.reset()
    assert await asking.status() == CUT
    assert [piece.data for piece in asking.record.response_pieces] == [b"data: 1\n\n"]
    assert asking.record.end is not None
    assert asking.record.end.end == how


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(STREAM + b"ZZ\r\n", id="chunk"),
        pytest.param(STREAM[:-2] + b"Content-Length: 7\r\n\r\n", id="both lengths"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="other protocol"),
    ],
)
async def test_what_is_not_http_is_told(
    upstream: Upstream, path: Path, sent: bytes
) -> None:
    asking = Asking(path, upstream.url)
    server = await upstream.request()
    await server.send(sent)
    assert await asking.status() in (CUT, FAILED)
    record = asking.record
    assert record.end is not None
    assert record.end.end == "malformed"
    assert (record.head is not None) is sent.startswith(STREAM[:10])


async def test_ctrl_c_ends_it(upstream: Upstream, path: Path) -> None:
    asking = Asking(path, upstream.url)
    server = await upstream.request()
    await server.send(STREAM + chunk(b"data: 1\n\n"))
    await became(asking.has_piece)
    os.kill(os.getpid(), signal.SIGINT)
    assert await asking.status() == OK
    assert asking.record.end is not None
    assert (asking.record.end.end, asking.record.end.ending) == ("open", "client left")
    assert await server.read_rest() == b""


async def test_a_websocket_is_recorded_to_its_end(
    upstream: Upstream, path: Path
) -> None:
    upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"]
    asking = Asking(path, "curl", upstream.url, *upgrade)
    server = await upstream.request()
    await server.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n\x81\x01a"
    )
    server.close()
    assert await asking.status() == OK
    assert asking.record.is_websocket
    assert asking.record.response_pieces[0].data == b"\x81\x01a"


async def test_nothing_is_asked_if_the_file_cannot_be_written(
    upstream: Upstream, path: Path
) -> None:
    asking = Asking(path.parent / "none" / "x", upstream.url)
    assert await asking.status() == FAILED
    [said] = asking.said
    assert said.startswith("unbuffered: cannot write ")
    assert said.endswith("no such file or directory")
    assert upstream.unexpected == 0


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
async def test_a_full_disk_is_told(upstream: Upstream) -> None:
    asking = Asking(FULL, upstream.url)
    server = await upstream.request()
    await server.send(STREAM + chunk(b""))
    assert await asking.status() == FAILED
    assert asking.said[-1] == (
        "unbuffered: cannot write /dev/full: no space left on device"
    )
    assert asking.is_there


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
async def test_a_full_standard_output_is_told(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "dup", lambda _: os.open(FULL, os.O_WRONLY))
    asking = Asking(Path("-"), upstream.url)
    server = await upstream.request()
    await server.send(STREAM + chunk(b""))
    assert await asking.status() == FAILED
    assert asking.said == [
        "unbuffered: cannot write standard output: no space left on device"
    ]


async def test_who_is_not_there_leaves_no_file(path: Path) -> None:
    asking = Asking(path, "http://127.0.0.1:9/")
    assert await asking.status() == FAILED
    assert asking.said == ["unbuffered: nothing listens at 127.0.0.1:9"]
    assert not asking.is_there


PRECIOUS = "a record of yesterday\n"


@pytest.fixture
def kept(path: Path) -> Path:
    """A file that was there before, and that others may read."""
    path.write_text(PRECIOUS, "utf-8")
    path.chmod(0o644)
    return path


async def test_a_file_stays_as_it_was_if_nobody_is_there(kept: Path) -> None:
    asking = Asking(kept, "http://127.0.0.1:9/")
    assert await asking.status() == FAILED
    assert asking.text == PRECIOUS
    assert asking.mode == 0o644


async def test_a_file_stays_as_it_was_until_something_is_to_be_written(
    upstream: Upstream, kept: Path
) -> None:
    asking = Asking(kept, upstream.url)
    server = await upstream.request()
    assert asking.text == PRECIOUS
    await server.send(STREAM + chunk(b""))
    assert await asking.status() == OK
    assert PRECIOUS not in asking.text
    assert asking.record.head is not None


@pytest.mark.parametrize("there", [True, False])
async def test_who_gives_up_meanwhile_changes_no_file(
    path: Path,
    there: bool,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if there:
        request.getfixturevalue("kept")
    connecting = asyncio.Event()

    async def never(*_: object) -> None:
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(command, "connect", never)
    asking = Asking(path, "http://127.0.0.1:9/")
    await connecting.wait()
    asking.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking.task
    assert (asking.text, asking.is_there) == (PRECIOUS if there else "", there)


async def test_a_full_disk_deletes_no_file_of_others(
    upstream: Upstream, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    asking = Asking(kept, upstream.url)
    server = await upstream.request()
    monkeypatch.setattr(os, "write", full)
    await server.send(STREAM + chunk(b""))
    assert await asking.status() == FAILED
    assert asking.is_there


@pytest.mark.parametrize("text", ["-3", "0", "nan", "inf", "soon", ""])
def test_a_time_that_is_not_one_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers(), asyncio.run, print)
    with pytest.raises(SystemExit):
        parser.parse_args(["record", "http://a", f"--max-time={text}"])
    told = f"argument --max-time: expected seconds greater than 0, got {text!r}"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param([], "no stream given", id="nothing"),
        pytest.param(["ftp://a"], "ftp://a: write http://", id="scheme"),
        pytest.param(["curl"], "curl: no URL", id="no URL"),
        pytest.param(["curl", "a", "-F", "x"], "curl: --form", id="option"),
    ],
)
def test_what_cannot_be_asked_is_told(words: list[str], told: str) -> None:
    with pytest.raises(AskError, match=told):
        asked(words)
