"""Signals that come while the process starts: a reload is done later, an end is one.

The start is held in lock-step: the configuration is read from a FIFO, or the workers
wait for one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.process import GUARD, ROOT, Process, said_by
from tests.support.running import Table, document

# What is tested has an event loop of its own, in a process of its own.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]

Start = Callable[..., Awaitable[Process]]
OF_ITSELF = "import sys\nfrom proxy.cli.main import main\nsys.exit(main())\n"
# A proxy whose first worker serves no sooner than a FIFO was opened and closed.
GATED = (
    "from proxy.process.workers.worker import Worker\n"
    "start = Worker.start\n"
    "async def gated(self):\n"
    "    if self.assignment.number == 0:\n"
    "        open(%r).read()\n"
    "    await start(self)\n"
    "Worker.start = gated\n"
)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[asyncio.subprocess.Process] = []

    async def begin(*arguments: str, program: str = OF_ITSELF) -> Process:
        made = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", program, "serve", *arguments),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(made)
        return Process(tmp_path / "config.toml", made)

    yield begin
    for each in started:
        if each.returncode is None:
            each.kill()
            await each.wait()


class Fifo:
    """A file that is read when it is written: who has it open waits for the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    async def read_by(self, process: Process) -> int:
        """Wait until the process stands there; the descriptor to write to."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, os.open, self.path, os.O_WRONLY)
        ended = loop.create_task(process.process.wait())
        async with asyncio.timeout(GUARD):
            await asyncio.wait((opening, ended), return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():  # nobody reads any more: let the thread go on
            os.close(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
        ended.cancel()
        return await opening

    def write(self, fd: int, text: str) -> None:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)


def config(workers: int, *prefixes: str) -> str:
    routes: dict[str, Table] = {
        prefix: {"target": "http://127.0.0.1:9"} for prefix in prefixes
    }
    server = {"port": 0, "workers": workers}
    return document(routes, {"server": server, "log": {"access": False}})


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_that_is_asked_for_too_early_is_done_once_it_serves(
    start: Start, tmp_path: Path, workers: int
) -> None:
    fifo = Fifo(tmp_path / "config.toml")
    process = await start("--config", str(fifo.path))
    fd = await fifo.read_by(process)
    process.process.send_signal(signal.SIGHUP)
    process.process.send_signal(signal.SIGHUP)
    fifo.write(fd, config(workers, "/a"))
    await process.line("Ctrl-C stops")
    fifo.write(await fifo.read_by(process), config(workers, "/a", "/b"))
    line = await process.line("configuration reloaded")
    assert line.endswith("reloaded: route /b added\n")
    process.process.send_signal(signal.SIGTERM)  # and there was one reload for both
    assert await process.ended() == 0
    assert "reload" not in (await said_by(process)).partition("/b added")[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("reading", ["at the start", "when asked too early"])
async def test_a_signal_that_asks_for_the_end_during_the_start_is_an_end_with_0(
    start: Start, tmp_path: Path, number: signal.Signals, reading: str
) -> None:
    fifo = Fifo(tmp_path / "config.toml")
    process = await start("--config", str(fifo.path))
    fd = await fifo.read_by(process)
    if reading == "when asked too early":
        process.process.send_signal(signal.SIGHUP)
    process.process.send_signal(number)
    assert await process.ended() == 0
    os.close(fd)
    assert await said_by(process) == ""


async def test_workers_that_start_are_reloaded_once_all_of_them_serve(
    start: Start, tmp_path: Path
) -> None:
    gate, path = Fifo(tmp_path / "gate"), tmp_path / "config.toml"
    path.write_text(config(2, "/a"), "utf-8")
    program = GATED % str(gate.path) + OF_ITSELF
    process = await start("--config", str(path), program=program)
    fd = await gate.read_by(process)
    path.write_text("[nonsense", "utf-8")
    process.process.send_signal(signal.SIGHUP)
    os.close(fd)
    await process.line("Ctrl-C stops")
    assert "rejected" not in process.told
    await process.line("configuration rejected")
    path.write_text(config(2, "/a", "/b"), "utf-8")
    process.process.send_signal(signal.SIGHUP)
    line = await process.line("configuration reloaded")
    assert line.endswith("reloaded: route /b added\n")


async def test_workers_that_start_are_ended_with_0(
    start: Start, tmp_path: Path
) -> None:
    gate, path = Fifo(tmp_path / "gate"), tmp_path / "config.toml"
    path.write_text(config(2, "/a"), "utf-8")
    program = GATED % str(gate.path) + OF_ITSELF
    process = await start("--config", str(path), program=program)
    fd = await gate.read_by(process)
    process.process.send_signal(signal.SIGTERM)
    os.close(fd)
    assert await process.ended() == 0
    assert "Traceback" not in await said_by(process)


async def test_what_the_shell_has_it_ignore_is_a_reload_all_the_same(
    start: Start, tmp_path: Path
) -> None:
    """`nohup`: it ignores SIGHUP before Python begins."""
    fifo = Fifo(tmp_path / "config.toml")
    ignoring = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "sys.argv[0] = sys.executable\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'proxy', *sys.argv[1:]])\n"
    )
    process = await start("--config", str(fifo.path), program=ignoring)
    fd = await fifo.read_by(process)
    process.process.send_signal(signal.SIGHUP)
    fifo.write(fd, config(1, "/a"))
    await process.line("Ctrl-C stops")
    fifo.write(await fifo.read_by(process), config(1, "/b"))
    await process.line("configuration reloaded")
