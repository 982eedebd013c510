"""The command `unbuffered serve` as a process of its own, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.support.raw import Peer, Upstream, connect
from tests.support.running import Table, document

GUARD = 60  # seconds; a process has to start, on a machine that is busy otherwise
ROOT = Path(__file__).parents[2]
GET = b"GET /a/x HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS, OTHER = STREAM % b"text/event-stream", STREAM % b"application/x-ndjson"
# The command line of a proxy that looks at what it watches 50 times a second.
WATCHFUL = (
    "import sys\n"
    "from proxy.process import reload\n"
    "reload.POLL_SECONDS = 0.02\n"
    "from proxy.cli.main import main\n"
    "sys.exit(main())\n"
)


@contextlib.asynccontextmanager
async def ending(
    process: asyncio.subprocess.Process,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Afterwards it has ended, also where the test failed: uvloop would wait for it."""
    try:
        yield process
    finally:
        if process.returncode is None:
            # Not `process.kill()`: where it has just ended, that would reap it, and
            # asyncio, which waits for it too, complain of an unknown child.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()


class Process:
    """`python -m proxy` with a configuration of the test."""

    def __init__(self, path: Path, process: asyncio.subprocess.Process) -> None:
        self.path = path
        self.process = process
        self.port = 0
        self.told = ""  # all of standard error so far
        self.clients: list[Peer] = []

    async def line(self, part: str) -> str:
        """The next line on standard error that has `part` in it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(GUARD):
            while data := await self.process.stderr.readline():
                line = data.decode()
                self.told += line
                if part in line:
                    return line
        raise AssertionError(f"it ended without {part!r}")

    async def client(self) -> Peer:
        self.clients.append(await connect(self.port))
        return self.clients[-1]

    async def begin(self, upstream: Upstream, head: bytes) -> tuple[Peer, Peer]:
        """A stream whose head the client has."""
        client = await self.client()
        await client.send(GET)
        server = await upstream.request()
        await server.send(head)
        await client.read_head()
        return client, server

    async def ended(self) -> int:
        async with ending(self.process), asyncio.timeout(GUARD):
            return await self.process.wait()

    def write(
        self,
        routes: Mapping[str, Table],
        tables: Mapping[str, Table] = {},
        /,
        **server: object,
    ) -> None:
        table = {"port": 0, **server}
        text = document(routes, {"server": table, "log": {"access": False}, **tables})
        other = self.path.with_suffix(".new")
        other.write_text(text, "utf-8")
        other.replace(self.path)


async def serve(path: Path, stdout: int | None = None) -> Process:
    """Start one with that configuration, and wait until it listens.

    `stdout`: where its access log goes, as asyncio has it; None is that of the tests.
    """
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy", "serve", "--config", str(path)),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(path.parent)},
    )
    process = Process(path, started)
    try:
        banner = await process.line("Unbuffered")
    except BaseException:
        started.kill()
        raise
    process.port = int(banner.partition("127.0.0.1:")[2].partition("/")[0])
    return process


async def said_by(process: Process) -> str:
    """All of its standard error, up to its end.

    Of one that says much it has to be read meanwhile: behind 64 KiB it stands still.
    """
    assert process.process.stderr is not None
    process.told += (await process.process.stderr.read()).decode()
    assert "Traceback" not in process.told, process.told
    return process.told
