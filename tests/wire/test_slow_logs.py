"""Logs that nobody reads: everybody is served, and the end comes all the same.

Plain functions: the process has a loop of its own, whatever the test runs on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import GUARD

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens where"
)
ROOT = Path(__file__).parents[2]
REQUEST = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
METRICS = (
    b"GET /_unbuffered/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)


@contextlib.contextmanager
def unread() -> Iterator[int]:
    """The writing end of a pipe that is full, and read by nobody."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    yield writing
    for each in (reading, writing):
        os.close(each)


def port_of(pid: int) -> int | None:
    """The port on which a process listens, whose banner nobody can read."""
    inodes = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(each))
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in inodes:
            return int(local.rpartition(":")[2], 16)
    return None


@contextlib.contextmanager
def serving(
    *options: str, output: int, errors: int, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A proxy whose logs go there, and its port."""
    command = ["proxy", "--route", "/a=http://127.0.0.1:1", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *options],
        stdout=output,
        stderr=errors,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
    )
    try:
        yield process, listening(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def listening(process: subprocess.Popen[bytes]) -> int:
    """Its port, once it listens."""
    poll = select.poll()
    for _ in range(GUARD * 20):
        assert process.poll() is None, "it has ended"
        port = port_of(process.pid)
        if port is not None:
            return port
        poll.poll(50)
    raise AssertionError("it does not listen")


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), GUARD)


def ask(port: int, count: int) -> None:
    """Have so many requests answered."""
    with connected(port) as client:
        for _ in range(count):
            client.sendall(REQUEST)
            received = b""
            while not received.endswith(b"}\n"):
                data = client.recv(65536)
                assert data
                received += data
            assert received.startswith(b"HTTP/1.1 404 ")


def metrics(port: int) -> bytes:
    """The metrics of all workers."""
    told = b""
    with connected(port) as client:
        client.sendall(METRICS)
        while data := client.recv(65536):
            told += data
    return told


@pytest.mark.parametrize(
    ("which", "workers"), [("output", "1"), ("both", "1"), ("both", "2")]
)
def test_nobody_waits_for_who_does_not_read_a_log(
    which: str, workers: str, tmp_path: Path
) -> None:
    """Issue 10, A7: the pipe of the access log was full, and no client was served."""
    with unread() as full, open(os.devnull, "wb") as null:
        errors = null.fileno() if which == "output" else full
        given = {"output": full, "errors": errors, "folder": tmp_path}
        with serving("--workers", workers, **given) as (process, port):  # type: ignore[arg-type]  # of three kinds
            for _ in range(4):  # the kernel chooses the worker
                ask(port, 20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD) == 0


@pytest.mark.parametrize(
    ("command", "path"),
    [
        pytest.param(
            ("proxy", "origin", "--port", "0"), "/steady?count=1&every=0", id="origin"
        ),
        pytest.param(
            ("upstream_demo", "events", "--port", "0"), "/events", id="upstream_demo"
        ),
        pytest.param(("proxy", "demo", "--no-open", "--port", "0"), "/", id="demo"),
    ],
)
def test_no_stream_waits_for_who_does_not_read_what_a_command_says(
    command: tuple[str, ...], path: str, tmp_path: Path
) -> None:
    """They say where they listen, and a line for each stream, or for one cut short."""
    with (
        unread() as full,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=full,
            stderr=full,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process,
    ):
        try:
            port = listening(process)
            for _ in range(3):  # and leave
                with connected(port) as client:
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                    assert client.recv(65536).startswith(b"HTTP/1.1 ")
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD) == 0
        finally:
            if process.poll() is None:
                process.kill()


def test_a_worker_that_died_is_replaced_though_nobody_reads_of_it(
    tmp_path: Path,
) -> None:
    """The supervisor has to fork while its log waits for a reader."""
    with unread() as full:
        given = {"output": full, "errors": full, "folder": tmp_path}
        with serving("--workers", "2", **given) as (process, port):  # type: ignore[arg-type]  # of two kinds
            ask(port, 1)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            if not children.exists():
                pytest.skip("the system does not tell of children")
            poll = select.poll()
            while b'draining{worker="1"}' not in (told := metrics(port)):
                assert told  # the other one has yet to begin
            before = children.read_text().split()
            os.kill(int(before[0]), signal.SIGKILL)
            for _ in range(GUARD * 20):
                now = set(children.read_text().split())
                if len(now) == 2 and before[0] not in now:
                    break
                poll.poll(50)
            assert len(now - {before[0]}) == 2
            for _ in range(4):
                ask(port, 20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(GUARD) in (0, 3)


def test_what_waits_is_written_at_the_end_and_drops_are_a_metric(
    tmp_path: Path,
) -> None:
    with serving(
        *("--log-format", "text"),
        output=subprocess.PIPE,
        errors=subprocess.PIPE,
        folder=tmp_path,
    ) as (process, port):
        ask(port, 300)
        told = metrics(port)
        assert b'unbuffered_log_lines_dropped_total{log="access"} 0\n' in told
        assert b"unbuffered_internal_errors_total 0\n" in told
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=GUARD)
    lines = output.decode("ascii").splitlines()
    assert len(lines) == 300
    pattern = re.compile(r" hold 0\\xb5s .* refused, request \S+: ")
    assert all(map(pattern.search, lines))
    assert b"Traceback" not in errors


def test_a_line_is_there_once_its_exchange_has_ended(tmp_path: Path) -> None:
    """It waits for no other line to come with it."""
    with serving(
        *("--log-format", "json"),
        output=subprocess.PIPE,
        errors=subprocess.DEVNULL,
        folder=tmp_path,
    ) as (process, port):
        assert process.stdout is not None
        for _ in range(3):
            ask(port, 1)
            assert select.select([process.stdout], [], [], GUARD)[0]
            assert json.loads(process.stdout.readline())["status"] == 404
