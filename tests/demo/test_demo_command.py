"""`unbuffered demo` as a process: its ports, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proxy.cli.main import main
from tests.support.process import GUARD, ROOT, ending
from upstream_demo.services import Ports


@pytest.fixture
def taken() -> Iterator[Ports]:
    """The documented ports, on which somebody else listens: we, or who was first."""
    with contextlib.ExitStack() as stack:
        for port in (Ports.proxy, Ports.events, Ports.ai):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield Ports()


@asynccontextmanager
async def demo(
    folder: Path, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process, what it has said up to the address, and the address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "unbuffered", "demo", "--no-open", *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    async with ending(process), asyncio.timeout(GUARD):
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"^Open (\S+)$", said, re.MULTILINE)):
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
        yield process, said, found[1]


async def ended(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Stop it; its access log, and what it has said since."""
    process.send_signal(signal.SIGINT)
    out, errors = await process.communicate()
    assert process.returncode == 0
    return out.decode(), errors.decode()


async def test_ports_that_are_taken_are_replaced_and_said(
    taken: Ports, tmp_path: Path
) -> None:
    async with demo(tmp_path) as (process, said, address):
        port = int(re.findall(r":(\d+)/$", address)[0])
        assert port not in (taken.proxy, taken.events, taken.ai)
        lines = said.splitlines()
        for number, what in (
            (taken.events, "event service"),
            (taken.ai, "AI service"),
            (taken.proxy, "proxy"),
        ):
            form = rf"port {number} is in use( \(.+\))?: the {what} is on port \d+"
            assert [each for each in lines if re.fullmatch(form, each)], form
        assert lines[-1] == f"Open {address}"
        async with aiohttp.ClientSession() as session:
            for path in ("", "sse/events?count=1&interval_ms=0", "server1/open"):
                async with session.get(address + path) as response:
                    assert response.status == 200
                    await response.read()
        assert await ended(process) == ("", "\n")  # nothing scrolls the address away


async def test_the_access_log_is_there_for_who_asks_for_it(tmp_path: Path) -> None:
    async with demo(tmp_path, "--port", "0", "--access-log") as (process, _, address):
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            assert response.status == 200
            await response.read()
        out, _ = await ended(process)
        assert '"GET / HTTP/1.1" 200' in out


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_was_chosen_is_not_replaced(host: str, tmp_path: Path) -> None:
    """A browser may take `localhost` for either of the two."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        other = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with other:
        port = str(other.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "unbuffered", "demo", "--no-open", "--port", port],
            capture_output=True,
            text=True,
            timeout=GUARD,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    told = ended.stderr
    assert ended.returncode == 1
    assert told.startswith(f"unbuffered: cannot listen on localhost:{port}: ")
    assert told.endswith(" choose another port with --port\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["--host", "192.0.2.1"],
            "cannot listen on 192.0.2.1:8080: not an address of this machine",
            id="an address of another machine",
        ),
        pytest.param(
            ["--port", "70000"],
            "--port: [server] port: expected an integer from 0 to 65535, got the "
            "integer 70000",
            id="no port",
        ),
    ],
)
def test_what_cannot_be_listened_on_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--no-open", *arguments]) in (1, 2)
    assert capsys.readouterr().err == f"unbuffered: {told}\n"


def test_a_bad_variable_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNBUFFERED_DEMO_TOKEN_SECONDS", "fast")
    assert main(["demo", "--no-open", "--port", "0"]) == 1
    assert capsys.readouterr().err == (
        "unbuffered: UNBUFFERED_DEMO_TOKEN_SECONDS is 'fast': it must be seconds from "
        "0 to 60\n"
    )


def test_without_a_command_the_help_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As pip and caddy do, with exit status 0."""
    assert main([]) == 0
    alone = capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert capsys.readouterr() == alone
    assert alone.out.startswith("usage: unbuffered ")
