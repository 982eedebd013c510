"""The token of a process: where it is told, and where it never is."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.answers import NAVIGATES, answered, ask
from tests.support.process import GUARD, ROOT, Process, ending
from tests.support.raw import Upstream
from tests.support.running import Table

# What is tested has an event loop of its own, in processes of its own.
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

LINK = re.compile(
    r"Inspector: http://localhost:(\d+)/_unbuffered/\?token=([\w-]{32})\n"
)
CONFIGURED = "hunter2/hunter2+hunter2="
WORKERS = [
    1,
    pytest.param(
        2, marks=pytest.mark.skipif(sys.platform != "linux", reason="workers")
    ),
]


async def started(path: Path, stderr: int = asyncio.subprocess.PIPE) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy", "serve", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(path.parent), "TOKEN": CONFIGURED},
    )
    return Process(path, process)


def tables(token: str) -> dict[str, Table]:
    return {"inspector": {"token": token}, "log": {"access": True, "format": "text"}}


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_token_that_is_made_at_the_start_is_printed_once_and_stays(
    upstream: Upstream, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "config.toml"
    routes: dict[str, Table] = {"/a": {"target": upstream.url}}
    Process(path, None).write(routes, tables("auto"), workers=workers)  # type: ignore[arg-type]
    proxy = await started(path)
    async with ending(proxy.process):
        told = LINK.fullmatch(await proxy.line("Inspector: "))
        assert told is not None
        proxy.port, token = int(told[1]), told[2]
        await proxy.line("Ctrl-C stops")
        link = ask(f"?token={token}", NAVIGATES)
        found = await answered(await proxy.client(), link)
        assert found.status == 303
        cookie = f"Cookie: {found.cookie}\r\n"
        # Over a reload it is the same; of a link that is known nothing is told again.
        routes["/b"] = {"target": upstream.url}
        await reload(proxy, routes, "auto", workers)
        for _ in range(2 * workers):
            found = await answered(await proxy.client(), ask("", cookie))
            assert found.status == 200
        await reload(proxy, routes, "", workers)
        await reload(proxy, routes, "auto", workers)
        again = LINK.fullmatch(await proxy.line("Inspector: "))
        assert again is not None
        assert again.groups() == told.groups()
        assert proxy.told.count("Inspector: ") == 2
        for _ in range(2 * workers):
            found = await answered(await proxy.client(), ask("feed"))
            assert found.status == 401
        output = await left(proxy)
        assert token not in proxy.told.replace(told[0], "") + output


async def reload(
    proxy: Process, routes: dict[str, Table], token: str, workers: int
) -> None:
    proxy.write(routes, tables(token), workers=workers)
    proxy.process.send_signal(signal.SIGHUP)
    await proxy.line("configuration reloaded")


async def left(proxy: Process) -> str:
    """End it; the rest of what it has said, standard error in `told`."""
    for client in proxy.clients:
        client.writer.transport.abort()
    proxy.process.terminate()
    async with asyncio.timeout(GUARD):
        output, errors = await proxy.process.communicate()
    proxy.told += (errors or b"").decode()
    return output.decode()


async def test_a_configured_token_is_in_no_log_of_a_service(
    upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    routes = {"/a": {"target": upstream.url}}
    Process(path, None).write(routes, tables("${TOKEN}"))  # type: ignore[arg-type]
    proxy = await started(path)
    async with ending(proxy.process):
        line = await proxy.line("Inspector: ")
        assert line.endswith("/_unbuffered/  (asks for [inspector] token)\n")
        found = re.search(r":(\d+)/", line)
        assert found is not None
        proxy.port = int(found[1])
        await proxy.line("Ctrl-C stops")
        client = await proxy.client()
        bearer = f"Authorization: Bearer {CONFIGURED}\r\n"
        assert (await answered(client, ask("", bearer))).status == 200
        link = ask(f"?token={CONFIGURED}", NAVIGATES)
        assert (await answered(client, link)).status == 303
        for _ in range(12):
            await answered(client, ask("feed", bearer.replace("=", "==")))
        assert (await answered(client, ask("feed", bearer))).status == 429
        output = await left(proxy)
        assert "hunter2" not in proxy.told + output
        assert "127.0.0.1 has sent 10 wrong tokens" in proxy.told


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
async def test_at_a_terminal_the_link_has_it(
    upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    routes = {"/a": {"target": upstream.url}}
    Process(path, None).write(routes, tables("${TOKEN}"))  # type: ignore[arg-type]
    terminal, its_end = os.openpty()
    proxy = await started(path, its_end)
    os.close(its_end)
    async with ending(proxy.process), asyncio.timeout(GUARD):
        told = b""
        while b"Ctrl-C" not in told:
            told += await asyncio.to_thread(os.read, terminal, 65536)
        found = re.search(r"/_unbuffered/\?token=(\S+)", told.decode())
        assert found is not None
        assert found[1] == "hunter2%2Fhunter2%2Bhunter2%3D"
        assert unquote(found[1]) == CONFIGURED
        proxy.process.terminate()
        await proxy.process.communicate()
    os.close(terminal)
