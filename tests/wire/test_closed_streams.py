"""Standard streams that are closed at the start are as if they led to /dev/null.

Plain functions: the process has a loop of its own, whatever the test runs on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.standard_streams import open_closed
from tests.support.process import GUARD
from tests.wire.test_slow_logs import ROOT, ask, listening

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


# Runs a command for each line of standard input, in a process that is forked where a
# start would have imported all of it. There the descriptors and streams are what an
# interpreter finds and makes at its start; the tests of `serve` start one.
FORKS = """
import contextlib, json, os, sys
from proxy.cli.main import main, parser

parser()
names = ("stdin", "stdout", "stderr")
for line in sys.stdin:
    folder, redirections, command, files = json.loads(line)
    if os.fork():
        _, status = os.wait()
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    os.chdir(folder)
    for number in range(3):
        way = redirections.get(str(number))
        if way == "closed":
            os.close(number)
            setattr(sys, names[number], None)
            continue
        place = os.devnull if number == 0 or way == "null" else files[number - 1]
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    try:
        status = main(command)
    except SystemExit as end:
        status = end.code
    for name in names[1:]:
        with contextlib.suppress(AttributeError):
            getattr(sys, name).flush()
    os._exit(status)
"""


Ended = Callable[[str, list[str]], tuple[int, bytes, bytes]]


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """The one process in which all commands are run."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(GUARD) == 0


@pytest.fixture
def ended(forks: subprocess.Popen[str], tmp_path: Path) -> Ended:
    """Run a command: its exit status, standard output and standard error."""

    def run(redirections: str, command: list[str]) -> tuple[int, bytes, bytes]:
        ways = {
            str("<>2".index(each[0])): "closed" if each.endswith("&-") else "null"
            for each in redirections.split()
        }
        files = [tmp_path / "output", tmp_path / "errors"]
        for each in files:
            each.unlink(missing_ok=True)
            each.touch()
        folder = tmp_path / "project"
        assert forks.stdin is not None
        assert forks.stdout is not None
        line = [str(folder), ways, command, [*map(str, files)]]
        forks.stdin.write(json.dumps(line) + "\n")
        forks.stdin.flush()
        assert select.select([forks.stdout], [], [], GUARD)[0]
        status = int(forks.stdout.readline())
        return status, files[0].read_bytes(), files[1].read_bytes()

    return run


@LINUX
@pytest.mark.parametrize(
    ("closed", "workers"),
    # Workers inherit what the supervisor has opened, whatever that was.
    [*((each, "1") for each in CLOSED), (">&-", "2"), ("<&- >&- 2>&-", "2")],
)
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
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
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
    name: str, closed: str, ended: Ended, tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "nginx.conf").write_text(
        "server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }\n"
    )
    opened = " ".join(OPENED[each] for each in closed.split())
    expected = ended(opened, COMMANDS[name])
    assert ended(closed, COMMANDS[name]) == expected
    told = {"<": b"", ">": expected[1], "2": expected[2]}
    assert not any(told[each[0]] for each in closed.split())


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_that_is_started_so_ends_as_well(closed: str, tmp_path: Path) -> None:
    with started(closed, "-m", "proxy.cli.main", "schema", folder=tmp_path) as process:
        output, errors = process.communicate(timeout=GUARD)
    assert (process.returncode, errors) == (0, b"")
    assert bool(output) == (">&-" not in closed.split())


def test_what_is_open_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a stream of somebody else's, such as that of a test."""
    streams = [object(), object(), object()]
    for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, stream)
    before = [os.fstat(number) for number in range(3)]
    open_closed()
    assert [os.fstat(number) for number in range(3)] == before
    assert [sys.stdin, sys.stdout, sys.stderr] == streams
