"""No command fails for the encoding of its output, be it ASCII.

In this process, with streams as PYTHONIOENCODING makes them: strict.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.cli.main import COMMANDS, main
from proxy.observe.access_log import AccessLog
from proxy.timeline import Ending, Timeline
from upstream_demo.__main__ import main as demo_main

ROOT = Path(__file__).parents[1]
ENCODINGS = ["ascii", "gbk", "cp437", "cp1252", "shift_jis", "utf-8"]
CONFIG = """\
# µ → “quoted” €
[routes."/sse"]
target = "http://127.0.0.1:1"
headers.request.set = { X-Name = "µ" }
"""
NGINX = """\
server {
    listen 8000;
    # → µ
    location /ä/ { proxy_pass http://127.0.0.1:9001; proxy_magic µ; }
    location / { proxy_pass http://127.0.0.1:9000; }
}
"""
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + b"".join(
    b"data: %d\n\n" % number for number in range(5)
)


@contextmanager
def origin() -> Iterator[str]:
    """An upstream for the doctor: it sends a few events to everybody."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                peer.sendall(EVENTS)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/µ"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


Streams = tuple[io.TextIOWrapper, io.TextIOWrapper]


@pytest.fixture(params=ENCODINGS)
def streams(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Streams:
    """Standard output and standard error, in an encoding."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "µ→.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "nginx.conf").write_text(NGINX, "utf-8")
    made = (
        io.TextIOWrapper(io.BytesIO(), encoding=request.param, write_through=True),
        io.TextIOWrapper(io.BytesIO(), encoding=request.param, write_through=True),
    )
    return made


@contextmanager
def put_in(streams: Streams) -> Iterator[None]:
    """Have commands write there. pytest has streams of its own in each phase."""
    root = logging.getLogger()  # which `serve` sets up for itself
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [])
        patch.setattr(root, "level", root.level)
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        yield


def written(streams: Streams) -> str:
    """What both have by now; a configuration is in UTF-8 whatever they are in."""
    told = ""
    for stream in streams:
        stream.flush()
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        told += buffer.getvalue().decode(stream.encoding, "replace")
    return told


RUNS = {
    "check": ["check", "--config", "µ→.toml"],
    "check of what is not there": ["check", "--config", "€µ→.toml"],
    "check of a surrogate": ["check", "--config", "\udcff.toml"],
    "explain": ["explain", "GET", "/sse/x", "--config", "µ→.toml"],
    "schema": ["schema"],
    "completion": ["completion", "zsh"],
    "import": ["import", "nginx.conf", "-o", "-"],
    "import of what is not there": ["import", "µ→.js"],
    "init": ["init", ".", "-o", "-"],
    "top": ["top", "http://127.0.0.1:1/µ→", "--once"],
    "doctor of what does not answer": ["doctor", "http://127.0.0.1:1/µ→"],
    "serve of what is not there": ["serve", "--config", "€µ→.toml"],
    "serve with a fault": ["serve", "--route", "/→=µ"],
}


@pytest.mark.parametrize("name", RUNS)
def test_a_command_says_what_it_can_in_any_encoding(
    name: str, streams: Streams
) -> None:
    with put_in(streams):
        assert main(RUNS[name]) in (0, 1, 2, 3, 4)
    assert written(streams)


JSON = {
    "explain": ["explain", "GET", "/sse/x", "--config", "µ→.toml", "--json"],
    "schema": ["schema"],
    "doctor": ["doctor", "http://127.0.0.1:1/µ→😀", "--json"],
}


@pytest.mark.parametrize("name", JSON)
def test_json_is_json_in_any_encoding(name: str, streams: Streams) -> None:
    with put_in(streams):
        assert main(JSON[name]) in (0, 1, 2, 3, 4)
    buffer = streams[0].buffer
    assert isinstance(buffer, io.BytesIO)
    told = buffer.getvalue().decode("ascii")
    assert isinstance(json.loads(told), dict)
    assert "\\u" in told  # there is something that not every encoding has


def test_json_of_the_access_log_is_json_in_any_encoding(streams: Streams) -> None:
    timeline = Timeline(0.0, b"192.0.2.7", b"GET", b"/", "1.1")
    timeline.route = "/µ→😀"
    timeline.end(1.0, Ending.COMPLETE, None)
    AccessLog(streams[0], "json").ended(timeline)
    assert json.loads(written(streams))["route"] == "/µ→😀"


def test_the_doctor_reports_in_any_encoding(streams: Streams) -> None:
    with origin() as url, put_in(streams):
        main(["doctor", url])
    assert "data" in written(streams) or "event" in written(streams)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_in_any_encoding(command: str, streams: Streams) -> None:
    with pytest.raises(SystemExit) as ended, put_in(streams):
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert re.search("usage: unbuffered", written(streams))


def test_wrong_arguments_are_told_in_any_encoding(streams: Streams) -> None:
    with pytest.raises(SystemExit) as ended, put_in(streams):
        main(["check", "--µ→", "€"])
    assert ended.value.code == 2
    assert "unrecognized arguments" in written(streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize(
    "arguments",
    [["schema"], ["completion", "bash"], ["import", "nginx.conf", "-o", "-"]],
    ids=["schema", "completion", "import"],
)
def test_output_that_finds_no_room_is_one_clear_line(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX, "utf-8")
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    line = b"unbuffered: cannot write the output: No space left on device\n"
    assert (process.returncode, process.stderr) == (1, line)


def test_the_demos_upstreams_say_it_too(streams: Streams) -> None:
    with pytest.raises(SystemExit), put_in(streams):
        demo_main(["--port", "µ→"])
    assert "error" in written(streams)
