"""The process and its signals: the end, the second signal, the reload."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.support.process import (
    EVENTS,
    GET,
    GUARD,
    OTHER,
    ROOT,
    WATCHFUL,
    Process,
    ending,
)
from tests.support.raw import Upstream, chunk
from tests.support.running import Table, document

# What is tested has an event loop of its own, in a process of its own.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]

Start = Callable[..., Awaitable[Process]]
# A process whose signals come again in each step of the end of its event loop.
LATE = """\
import asyncio, os, sys
from proxy.process import console
from proxy.process.signals import Signals

class Loop(%s):
    def remove_signal_handler(self, number):
        os.kill(os.getpid(), number)
        return super().remove_signal_handler(number)

    def close(self):
        for number in (2, 15):
            os.kill(os.getpid(), number)
        super().close()

async def main():
    Signals().on_hangup(lambda: None)
    return 7

console.event_loop = lambda: ("", Loop)
sys.exit(console.run(main()))
"""


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Process] = []

    async def begin(
        *arguments: str, routes: Mapping[str, Table], **server: object
    ) -> Process:
        path = tmp_path / "config.toml"
        file = Process(path, None)  # type: ignore[arg-type]  # to write it by
        file.write(routes, **server)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", WATCHFUL, "serve", *(arguments or ("--config", str(path)))),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd=ROOT,
        )
        started.append(Process(path, process))
        banner = await started[-1].line("Unbuffered")
        started[-1].port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
        await started[-1].line("Ctrl-C stops")
        return started[-1]

    yield begin
    for each in started:
        for client in each.clients:
            client.writer.transport.abort()
        if each.process.returncode is None:
            each.process.kill()
            await each.process.wait()


def routes(upstream: Upstream) -> dict[str, Table]:
    return {"/a": {"target": upstream.url}}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_with_nothing_to_wait_for_it_ends_with_0(
    start: Start, upstream: Upstream, number: signal.Signals
) -> None:
    process = await start(routes=routes(upstream))
    idle = await process.client()
    process.process.send_signal(number)
    assert await process.ended() == 0
    assert await idle.read_rest() == b""


async def test_exchanges_that_end_in_time_are_an_end_with_0(
    start: Start, upstream: Upstream
) -> None:
    process = await start(routes=routes(upstream))
    client, server = await process.begin(upstream, OTHER)
    process.process.send_signal(signal.SIGTERM)
    await process.line("draining 1 exchange for up to 10 s")
    await server.send(chunk(b"more"))
    assert await client.read_chunk() == b"more"
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    assert await process.ended() == 0


async def test_event_streams_that_end_between_events_are_an_end_with_0(
    start: Start, upstream: Upstream
) -> None:
    process = await start(routes=routes(upstream), drain_seconds=600)
    client, server = await process.begin(upstream, EVENTS)
    process.process.send_signal(signal.SIGTERM)
    await process.line("draining 1 exchange for up to 600 s")
    await server.send(chunk(b"data: x\n\n"))
    assert await client.read_body() == b"data: x\n\n"
    assert await process.ended() == 0


async def test_exchanges_that_were_cut_are_an_end_with_3(
    start: Start, upstream: Upstream
) -> None:
    process = await start(routes=routes(upstream), drain_seconds=0.2)
    client, server = await process.begin(upstream, OTHER)
    process.process.send_signal(signal.SIGTERM)
    await process.line("1 exchange cut before the end")
    assert await client.read_rest() == b""
    assert await process.ended() == 3
    await server.closed()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
async def test_a_second_signal_ends_at_once(
    start: Start, upstream: Upstream, number: signal.Signals, status: int
) -> None:
    process = await start(routes=routes(upstream), drain_seconds=1000)
    client, server = await process.begin(upstream, OTHER)
    process.process.send_signal(signal.SIGTERM)
    await process.line("draining 1 exchange")
    process.process.send_signal(number)
    assert await process.ended() == status
    assert await client.read_rest() == b""
    await server.closed()


async def test_a_hangup_reloads(start: Start, upstream: Upstream) -> None:
    process = await start(routes=routes(upstream))
    client, server = await process.begin(upstream, OTHER)
    process.write({"/b": {"target": upstream.url}})
    process.process.send_signal(signal.SIGHUP)
    line = await process.line("configuration reloaded")
    assert line.endswith("reloaded: route /a removed; route /b added\n")
    process.write({"/b": {"target": "no"}})
    process.process.send_signal(signal.SIGHUP)
    assert '[routes."/b"] target: ' in await process.line("ERROR")
    await process.line("configuration rejected; the previous one remains active")
    await server.send(chunk(b"still here"))
    assert await client.read_chunk() == b"still here"
    await server.send(b"0\r\n\r\n")
    assert await client.read_chunk() == b""
    await client.send(GET)
    assert (await client.read_head()).startswith(b"HTTP/1.1 404 ")


async def test_a_watched_file_reloads(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    path = str(tmp_path / "config.toml")
    process = await start("--config", path, "--watch", routes=routes(upstream))
    process.write({"/b": {"target": upstream.url}})
    line = await process.line("configuration reloaded")
    assert line.endswith("reloaded: route /a removed; route /b added\n")


async def test_a_terminal_that_is_closed_is_the_end(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    """To a program in a terminal a hangup says that nobody is there any more."""
    import pty

    (tmp_path / "config.toml").write_text(
        document(routes(upstream), {"server": {"port": 0}}), "utf-8"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        config = str(tmp_path / "config.toml")
        os.execv(sys.executable, [sys.executable, "-m", "proxy", "--config", config])
    received = b""
    while b"Ctrl-C stops.\r\n" not in received:
        received += await asyncio.to_thread(os.read, terminal, 4096)
    os.close(terminal)
    guard = asyncio.get_running_loop().call_later(GUARD, os.kill, child, signal.SIGKILL)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    guard.cancel()
    assert os.waitstatus_to_exitcode(status) == 0


async def test_without_a_file_a_hangup_is_the_end(
    start: Start, upstream: Upstream
) -> None:
    process = await start(
        "--port", "0", "--route", f"/a={upstream.url}", routes=routes(upstream)
    )
    process.process.send_signal(signal.SIGHUP)
    assert await process.ended() == -signal.SIGHUP


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_warning_about_the_configuration_is_told_once_at_each_reading(
    start: Start, upstream: Upstream, workers: int
) -> None:
    resume = {"key": "body:id", "bind": []}
    table = {"target": upstream.url, "resume": resume}
    process = await start(routes={"/a": table}, workers=workers)
    place = rf' WARNING {re.escape(str(process.path))}: line \d+: \[routes."/a"\] '
    warning = re.compile(f"{place}resume.bind: the list is empty")
    assert len(warning.findall(process.told)) == 1
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded: nothing changed")
    assert len(warning.findall(process.told)) == 2


@pytest.mark.parametrize("workers", [1, 2])
async def test_faults_on_purpose_are_announced_at_the_start_and_at_each_reload(
    start: Start, upstream: Upstream, workers: int
) -> None:
    table = {"target": upstream.url, "fault": {"kind": "fin", "after": 3}}
    process = await start(routes={"/a": table}, workers=workers, allow_faults=True)
    words = "FAULTS: /a: fin after 3 events\n"
    assert process.told.count(words) == 1
    process.process.send_signal(signal.SIGHUP)
    await process.line("configuration reloaded: nothing changed")
    assert process.told.count(f" WARNING {words}") == 1
    assert process.told.count(words) == 2


@pytest.mark.parametrize("loop", ["asyncio.SelectorEventLoop", "uvloop.Loop"])
async def test_a_signal_while_the_loop_is_closed_says_nothing(loop: str) -> None:
    module = loop.partition(".")[0]
    pytest.importorskip(module)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", f"import {module}\n" + LATE % loop),
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    async with ending(process), asyncio.timeout(GUARD):
        _, errors = await process.communicate()
    assert (errors, process.returncode) == (b"", 7)
