"""Standard streams that are closed at the start are as if they led to /dev/null.

Plain functions: the process has a loop of its own, whatever the test runs on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.standard_streams import open_closed
from tests.wire.test_slow_logs import GUARD, ROOT, ask, listening

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
LINUX = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens where"
)
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"]
OPENED = {"<&-": "</dev/null", ">&-": ">/dev/null", "2>&-": "2>/dev/null"}
ROUTE = ["--route", "/a=http://127.0.0.1:1"]


@contextlib.contextmanager
def started(
    redirections: str, *command: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command as a shell starts it with these redirections."""
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(redirections: str, *command: str, folder: Path) -> tuple[int, bytes, bytes]:
    """Exit status, standard output and standard error of one that ends by itself."""
    with started(redirections, *command, folder=folder) as process:
        output, errors = process.communicate(timeout=GUARD)
        return process.returncode, output, errors


@LINUX
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closed", CLOSED)
def test_the_proxy_serves_and_drains(closed: str, workers: str, tmp_path: Path) -> None:
    arguments = [*ROUTE, "--port", "0", "--workers", workers]
    command = ["-m", "proxy", *arguments]
    with started(closed, *command, folder=tmp_path) as process:
        ask(listening(process), 2)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=GUARD)
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert b"Assertion" not in errors
    assert (b" 404 " in output) == (">&-" not in closed.split())


@LINUX
@pytest.mark.parametrize("closed", CLOSED)
def test_the_demos_upstreams_serve(closed: str, tmp_path: Path) -> None:
    command = ["-m", "upstream_demo", "pages", "--port", "0"]
    with started(closed, *command, folder=tmp_path) as process:
        socket.create_connection(("127.0.0.1", listening(process)), GUARD).close()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=GUARD)
    assert (process.returncode, errors) == (0, b"")


COMMANDS = {
    "check": ["check", *ROUTE],
    "check with a fault": ["check", "--route", "/a=b"],
    "explain": ["explain", "GET", "/a", *ROUTE],
    "explain --json": ["explain", "GET", "/a", *ROUTE, "--json"],
    "doctor": ["doctor", "http://127.0.0.1:1/"],
    "doctor --json": ["doctor", "http://127.0.0.1:1/", "--json"],
    "top": ["top", "http://127.0.0.1:1/", "--once"],
    "import": ["import", "nginx.conf", "-o", "-"],
    "init": ["init", ".", "-o", "-"],
    "schema": ["schema"],
    "completion": ["completion", "bash"],
    "help": ["--help"],
    "wrong arguments": ["--nonsense"],
}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_as_if_nobody_looked(
    name: str, closed: str, tmp_path: Path
) -> None:
    (tmp_path / "nginx.conf").write_text(
        "server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }\n"
    )
    opened = " ".join(OPENED[each] for each in closed.split())
    command = ["-m", "proxy.cli.main", *COMMANDS[name]]
    expected = ended(opened, *command, folder=tmp_path)
    assert ended(closed, *command, folder=tmp_path) == expected


def test_what_is_open_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a stream of somebody else's, such as that of a test."""
    streams = [object(), object(), object()]
    for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, stream)
    before = [os.fstat(number) for number in range(3)]
    open_closed()
    assert [os.fstat(number) for number in range(3)] == before
    assert [sys.stdin, sys.stdout, sys.stderr] == streams
