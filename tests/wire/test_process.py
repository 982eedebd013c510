"""The process: how it is started, what it prints, how it ends.

Plain functions: the process has a loop of its own, whatever the test runs on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import runpy
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import proxy.__main__ as command
from proxy.record.record_reader import read_record
from proxy.system.port_holder import holder_note
from tests.support.process import GUARD
from tests.support.running import document

ROOT = Path(__file__).parents[2]
GET = b"GET /a/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SECRET = "s3cr3t-k3y-of-the-upstream"


class Upstream:
    """A socket that answers a request when it is told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(GUARD)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def answer(self, response: bytes) -> bytes:
        """Read one request head, answer, close; the head."""
        peer, _ = self.listener.accept()
        with peer:
            peer.settimeout(GUARD)
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(65536)
            peer.sendall(response)
        return head


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.listener.close()


class Process:
    """A running command, and what it has told on standard error so far."""

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self.errors = ""

    def read_errors(self, pattern: str) -> re.Match[str]:
        """Read standard error until the pattern is in it."""
        assert self.process.stderr is not None
        pipe = self.process.stderr.fileno()
        while not (found := re.search(pattern, self.errors)):
            assert select.select([pipe], [], [], GUARD)[0], self.errors
            data = os.read(pipe, 65536)
            assert data, f"it ended with {self.errors!r}"
            self.errors += data.decode()
        return found

    def line(self) -> str:
        """The next line of the access log."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], GUARD)[0]
        return self.process.stdout.readline().decode()

    @property
    def port(self) -> int:
        """The port that the banner tells."""
        port = int(self.read_errors(r" on http://127\.0\.0\.1:(\d+)/")[1])
        self.read_errors("Ctrl-C stops")
        return port

    def client(self) -> socket.socket:
        """A client's connection with a request sent."""
        client = socket.create_connection(("127.0.0.1", self.port), GUARD)
        client.sendall(GET)
        return client

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(GUARD)
        assert self.process.stderr is not None
        self.errors += self.process.stderr.read().decode()
        return status


Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Process] = []

    def start(*arguments: str, **environment: str) -> Process:
        started.append(Process(*arguments, folder=tmp_path, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()
        assert "Traceback" not in each.errors


def configured(folder: Path, upstream: Upstream, **tables: object) -> str:
    """Write a configuration with one route; its path."""
    table = {
        "target": upstream.url,
        "headers": {"request": {"set": {"X-Api-Key": "${API_KEY}"}}},
    }
    server = {"server": {"port": 0}, **tables}
    path = folder / "proxy.toml"
    path.write_text(document({"/a": table}, server), "utf-8")  # type: ignore[arg-type]  # tables
    return str(path)


def read_all(client: socket.socket) -> bytes:
    received = b""
    with client:
        while data := client.recv(65536):
            received += data
    return received


def test_a_file_is_served_and_the_log_is_for_people(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    config = configured(tmp_path, upstream)
    process = run("proxy", "--config", config, API_KEY=SECRET)
    client = process.client()
    request = upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert request.startswith(b"GET /a/x?y HTTP/1.1\r\n")
    assert f"X-Api-Key: {SECRET}\r\n".encode() in request
    assert read_all(client).endswith(b"\r\n\r\nhello")
    line = process.line()
    way = f'127.0.0.1 http://a /a={upstream.url} "GET /a/x?y HTTP/1.1" '
    assert f"{way}200 5 B 1 pieces " in line
    assert line.endswith(" complete\n")
    assert process.stop() == 0
    assert re.search(r"\(uvloop [\d.]+|\(asyncio", process.errors)
    assert re.search(rf"/a +.*{re.escape(upstream.url)}", process.errors)
    assert SECRET not in line + process.errors


def test_the_log_is_for_machines_on_demand(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    config = configured(tmp_path, upstream, log={"format": "json"})
    process = run("proxy", "serve", "--config", config, API_KEY=SECRET)
    client = process.client()
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    read_all(client)
    line = process.line()
    told = json.loads(line)
    assert told["ending"] == "upstream broke"
    assert told["error"] == "http_response_incomplete"
    assert (told["status"], told["bytes_sent"], told["pieces"]) == (200, 5, 1)
    assert (told["route"], told["target"]) == ("/a", "/a/x?y")
    assert SECRET not in line


def test_a_route_needs_no_file(run: Run, upstream: Upstream) -> None:
    process = run(
        *("proxy", "--route", f"/a={upstream.url}", "--port", "0"),
        *("--log-format", "json"),
    )
    client = process.client()
    request = upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert request.startswith(b"GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:")
    assert read_all(client).startswith(b"HTTP/1.1 204 ")
    assert json.loads(process.line())["status"] == 204
    # As a dev server wants it: the sockets of its hot reload are tunnelled.
    asks = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    agrees = b"HTTP/1.1 101 Switching Protocols\r\n" + asks + b"\r\nhello"
    with socket.create_connection(("127.0.0.1", process.port), GUARD) as client:
        client.sendall(b"GET /a/ws HTTP/1.1\r\nHost: a\r\n" + asks + b"\r\n")
        assert b"\r\nUpgrade: websocket\r\n" in upstream.answer(agrees)
        assert read_all(client).startswith(b"HTTP/1.1 101 ")
    assert process.stop(signal.SIGINT) == 0


def test_exchanges_are_recorded_where_that_is_asked_for(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    process = run(
        *("proxy", "--route", f"/a={upstream.url}", "--port", "0"),
        *("--record", str(folder), "--record-route", "/a"),
    )
    client = process.client()
    upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert read_all(client).endswith(b"ok")
    process.read_errors(f"Recording every exchange of /a in {folder}: ")
    assert process.stop() == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [path] = folder.iterdir()
    record = read_record(path.read_bytes(), path.name)
    assert record.request.target == "/a/x?y"
    assert record.sent is not None
    assert record.sent.target == "/x?y"
    assert [piece.data for piece in record.response_pieces] == [b"ok"]
    assert record.end is not None
    assert record.end.end == "complete"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["--record-route", "/a"], "--record-route needs --record DIR", id="alone"
        ),
        pytest.param(
            ["--record", "there", "--record-route", "/b"],
            "--record-route /b: there is no such route; expected /a",
            id="no such route",
        ),
        pytest.param(
            ["--record", "none/there"],
            "--record none/there: no such file or directory",
            id="no such folder",
        ),
        pytest.param(["--record", "file"], "--record file: file exists", id="a file"),
    ],
)
def test_what_cannot_be_recorded_is_told_at_the_start(
    run: Run, tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "file").write_text("")
    process = run(
        "proxy", "--route", "/a=http://127.0.0.1:1", "--port", "0", *arguments
    )
    assert process.process.wait(GUARD) == 2
    process.read_errors("\n")
    assert process.errors == f"unbuffered: {told}\n"


def test_without_arguments_the_file_in_the_folder_is_served(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    Path(configured(tmp_path, upstream)).rename(tmp_path / "config.toml")
    assert run("proxy", API_KEY="x").port


def test_a_port_in_use_is_one_clear_line(run: Run, upstream: Upstream) -> None:
    port = str(upstream.port)
    process = run("proxy", "--route", "/a=http://localhost:1", "--port", port)
    assert process.process.wait(GUARD) == 1
    process.read_errors("--port\n")
    (line,) = process.errors.splitlines()
    host = "127.0.0.1"
    assert line.startswith(f"unbuffered: cannot listen on {host}:{port}: ")
    assert f"another program is using this port{holder_note(host, int(port))}" in line


def test_every_fault_of_a_configuration_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        '[server]\nport = "eighty"\n[routes."/a"]\ntarget = "ftp://x"\nwss = true\n'
        '[routes."/b"]\ntarget = "http://h:1"\n'
        'headers.request.set = { Authorization = "${NO_SUCH_KEY}" }\n',
        "utf-8",
    )
    process = run("proxy", "--config", str(path))
    assert process.process.wait(GUARD) == 2
    process.read_errors("NO_SUCH_KEY")
    lines = process.errors.splitlines()
    assert all(line.startswith(f"unbuffered: {path}: ") for line in lines)
    for part in ("[server] port", '[routes."/a"] target', "wss", "NO_SUCH_KEY"):
        assert any(part in line for line in lines), part


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--config", "nothing.toml"], id="no such file"),
        pytest.param([], id="no file at all"),
        pytest.param(["--route", "no-target"], id="route"),
        pytest.param(["--route", "/a=http://h", "--config", "x"], id="both"),
        pytest.param(["--route", "/a=http://h", "--port", "70000"], id="high port"),
        pytest.param(["--nonsense"], id="flag"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unbuffered", *arguments])
    root = logging.getLogger()  # which `serve` sets up for itself
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(command.__file__, run_name="__main__")
    assert ended.value.code == 2
    assert re.search(r"unbuffered.*: .+\n", capsys.readouterr().err)


def test_check_prints_every_value_and_no_secret(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    config = configured(tmp_path, upstream)
    process = run("proxy", "check", "--all", "--config", config, API_KEY=SECRET)
    printed = process.process.communicate(timeout=GUARD)[0].decode()
    assert process.process.returncode == 0
    assert upstream.url in printed
    assert "idle_timeout_seconds" in printed
    assert "X-Api-Key" in printed
    assert SECRET not in printed


def test_a_reader_of_the_log_that_leaves_stops_nothing(
    run: Run, upstream: Upstream
) -> None:
    """`unbuffered serve | head -1`"""
    process = run("proxy", "--route", f"/a={upstream.url}", "--port", "0")
    port = process.port
    assert process.process.stdout is not None
    process.process.stdout.close()
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", port), GUARD)
        client.sendall(GET)
        upstream.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert read_all(client).endswith(b"\r\n\r\nok")
    process.process.stdout = None
    assert process.stop() == 0


def test_an_interrupt_twice_ends_at_once_in_the_middle_of_a_stream(
    run: Run, upstream: Upstream
) -> None:
    process = run("proxy", "--route", f"/a={upstream.url}", "--port", "0")
    client = process.client()
    peer, _ = upstream.listener.accept()
    with peer, client:
        peer.settimeout(GUARD)
        peer.recv(65536)
        peer.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        received = b""
        while b"abc" not in received:
            received += client.recv(65536)
        process.process.send_signal(signal.SIGINT)
        process.read_errors("draining 1 exchange")
        assert process.stop(signal.SIGINT) != 0  # it says that it was cut short
        rest = b""
        try:
            while data := client.recv(65536):
                rest += data
        except ConnectionResetError:
            pass
        assert not rest.endswith(b"0\r\n\r\n")
        assert peer.recv(65536) == b""


def test_all_that_a_process_says_is_json_where_that_is_asked_for(
    run: Run, upstream: Upstream, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    text = document({"/a": {"target": upstream.url}}, {"server": {"port": 0}})
    config.write_text(text + '\n[log]\nformat = "json"\n')
    process = run("proxy", "--config", str(config))
    assert process.port
    config.write_text("[nonsense")
    process.process.send_signal(signal.SIGHUP)
    process.read_errors("previous one remains active")
    config.write_text(text)
    process.process.send_signal(signal.SIGHUP)
    process.read_errors("configuration reloaded")
    process.process.send_signal(signal.SIGHUP)
    process.read_errors("nothing changed")
    assert process.stop() == 0
    lines = process.errors.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [each["level"] for each in told[:2]] == ["INFO", "ERROR"]
    assert told[0]["message"].startswith("Unbuffered ")
    assert "Ctrl-C stops." in told[0]["lines"]
    assert {"time", "level", "message"} <= set(told[1])
    # The key of the file is gone: from then on the lines are for people.
    (last, after) = lines[len(told) :]
    assert " INFO configuration reloaded: [log] changed (format)" in last
    assert after.endswith(" INFO configuration reloaded: nothing changed")


def test_the_faults_of_a_file_are_json_where_the_command_line_says_so(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[nonsense")
    process = run("proxy", "--log-format", "json")
    assert process.process.wait(GUARD) == 2
    assert process.process.stderr is not None
    (line,) = process.process.stderr.read().splitlines()
    told = json.loads(line)
    assert told["level"] == "ERROR"
    assert told["message"].startswith("config.toml: ")
