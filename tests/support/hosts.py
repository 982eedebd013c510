"""Servers that host the proxy inside an application, each as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.ports import free_port
from tests.support.raw import GUARD, Peer, Upstream, connect

ROOT = Path(__file__).parent.parent.parent
READY_SECONDS = 20.0  # for Python to start and import, on a machine that is busy


class Host(NamedTuple):
    """A server, and how it is started on a port."""

    name: str
    packages: tuple[str, ...]  # that it needs
    command: tuple[str, ...]  # behind `python -m`
    graceful: str = ""  # what limits its own wait for responses

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [each for each in self.packages if find_spec(each) is None]


APP = "tests.support.hosted_app:app"
UVICORN = ("uvicorn", APP, "--host", "127.0.0.1", "--port", "{port}", "--http")
HYPERCORN = ("hypercorn", APP, "--bind", "127.0.0.1:{port}")
GRANIAN = ("granian", APP, "--interface", "asgi", "--host", "127.0.0.1", "--port")
HOSTS = {
    host.name: host
    for host in (
        Host("aiohttp", ("aiohttp",), ("tests.support.hosted_app", "{port}")),
        Host("uvicorn-h11", ("uvicorn", "h11"), (*UVICORN, "h11")),
        Host("uvicorn-httptools", ("uvicorn", "httptools"), (*UVICORN, "httptools")),
        Host("hypercorn", ("hypercorn",), HYPERCORN),
        Host("granian", ("granian",), (*GRANIAN, "{port}")),
    )
}


def each_host(*names: str) -> list[object]:
    """Hosts as parameters of a test; those that are not installed are skipped."""
    params: list[object] = []
    for name in names or tuple(HOSTS):
        missing = HOSTS[name].missing
        reason = f"{', '.join(missing)} not installed (group hosts)"
        marks = [pytest.mark.skipif(bool(missing), reason=reason)]
        params.append(pytest.param(HOSTS[name], id=name, marks=marks))
    return params


class RunningHost:
    """A server that runs."""

    def __init__(
        self, host: Host, process: asyncio.subprocess.Process, port: int, log: Path
    ) -> None:
        self.host = host
        self.process = process
        self.port = port
        self.log = log
        self.peers: list[Peer] = []

    async def client(self, request: bytes = b"") -> Peer:
        """A raw client, connected, with a request on its way."""
        client = await self.connect()
        if request:
            await client.send(request)
        return client

    async def connect(self, receive_bytes: int = 0) -> Peer:
        self.peers.append(await connect(self.port, receive_bytes=receive_bytes))
        return self.peers[-1]

    def said(self) -> str:
        """What it has logged."""
        return self.log.read_text("utf-8", "replace")

    async def stop(self) -> int:
        """Stop it as an operator does; its status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), READY_SECONDS)


@asynccontextmanager
async def run_host(
    host: Host,
    upstream: Upstream,
    folder: Path,
    environment: Mapping[str, str] = {},
) -> AsyncIterator[RunningHost]:
    """Run a server before an upstream, until it is left."""
    port, log = free_port(), folder / f"{host.name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *(part.format(port=port) for part in host.command),
            cwd=ROOT,
            env={**os.environ, "HOSTED_UPSTREAM": upstream.url, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    running = RunningHost(host, process, port, log)
    try:
        await listens(running)
        yield running
    finally:
        for peer in running.peers:
            peer.writer.transport.abort()
        with contextlib.suppress(ProcessLookupError):  # its workers, too
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait_for(process.wait(), GUARD)


async def listens(running: RunningHost) -> None:
    """Wait until it accepts connections."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            if running.process.returncode is not None:
                raise RuntimeError(f"{running.host.name} ended: {running.said()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
