"""Clients that come back together, to another process than the one they were at.

Starts a Redis server and two proxies that share it. All streams are read at the first
one, and end in one moment; then all of their clients ask the second one for what
follows their last event. Nothing does, which it has to find out from the store: it
answers 204. Where it does not find out in time, the upstream is asked again.

    python -m bench.returns                         300 streams of 300 events
    python -m bench.returns --streams 500 --events 30 --pace 0.2
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

HOST = "127.0.0.1"
TICK = os.sysconf("SC_CLK_TCK")
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Upstream:
    """Streams that are told when they may end."""

    def __init__(self, events: int, pace: float) -> None:
        self.events = events
        self.pace = pace
        self.streams: dict[bytes, Stream] = {}
        self.asked_again = 0

    async def all_sent(self, events: int) -> None:
        while sum(each.sent for each in self.streams.values()) < events:  # noqa: ASYNC110 - a count
            await asyncio.sleep(self.pace)


class Stream(asyncio.Protocol):
    """A connection of a proxy; its first request is a stream."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path in self.upstream.streams:
            self.upstream.asked_again += 1
            self.transport.write(
                b"HTTP/1.1 503 Asked Again\r\nContent-Length: 0\r\n\r\n"
            )
            return
        self.upstream.streams[path] = self
        self.transport.write(HEAD)
        # Not all in step: the proxy would write all of them at once.
        spread = self.upstream.pace * (len(self.upstream.streams) % 50) / 50
        asyncio.get_running_loop().call_later(spread, self.send_next)

    def send_next(self) -> None:
        if self.sent < self.upstream.events:
            self.sent += 1
            event = b"data: %d\n\n" % self.sent
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            loop = asyncio.get_running_loop()
            loop.call_later(self.upstream.pace, self.send_next)

    def end(self) -> None:
        self.transport.write(b"0\r\n\r\n")


class Client:
    """An EventSource."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.last_id = b""

    async def ask(self, port: int) -> tuple[asyncio.StreamReader, bytes]:
        reader, self.writer = await asyncio.open_connection(HOST, port)
        cursor = b"Last-Event-ID: %b\r\n" % self.last_id if self.last_id else b""
        self.writer.write(
            b"GET /%d HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n%b\r\n"
            % (self.number, cursor)
        )
        return reader, await reader.readuntil(b"\r\n\r\n")

    async def read(self, port: int) -> None:
        """The stream up to its end."""
        reader, _ = await self.ask(port)
        while line := (await reader.readline()).rstrip(b"\r\n") or b"-":
            if line.startswith(b"id: "):
                self.last_id = line[4:]
            elif line == b"0":
                self.writer.close()
                return

    async def come_back(self, port: int) -> tuple[bytes, float]:
        """The status, and the seconds until it came."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        _, head = await self.ask(port)
        self.writer.close()
        return head[9:12], loop.time() - began


@contextlib.asynccontextmanager
async def program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One that is ended afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@contextlib.asynccontextmanager
async def proxy(
    folder: Path, target: str, store: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """One of those that share the store."""
    port = free_port()
    config = folder / f"{port}.toml"
    config.write_text(
        f"log.access = false\n[server]\nport = {port}\nmax_connections = 0\n"
        f'[store]\nurl = "{store}"\n[routes."/"]\ntarget = "{target}"\nresume = true\n'
    )
    command = (sys.executable, "-m", "proxy", "--config", str(config))
    async with program(*command) as process:
        assert process.stderr is not None
        while b"Ctrl-C" not in await process.stderr.readline():
            pass
        yield process, port


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def measure(streams: int, events: int, pace: float) -> dict[str, object]:
    """What it took."""
    upstream, loop, store = (
        Upstream(events, pace),
        asyncio.get_running_loop(),
        free_port(),
    )
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if redis is None:
        raise SystemExit("neither redis-server nor valkey-server is on the PATH")
    options = ("--port", str(store), "--bind", HOST, "--save", "")
    server = await loop.create_server(lambda: Stream(upstream), HOST, 0, backlog=4096)
    target = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    url = f"redis://{HOST}:{store}"
    clients = [Client(number) for number in range(streams)]
    with tempfile.TemporaryDirectory() as folder:
        async with (
            program(redis, *options, "--dir", folder),
            proxy(Path(folder), target, url) as (_, first),
            proxy(Path(folder), target, url) as (process, second),
        ):
            reading = asyncio.gather(*(each.read(first) for each in clients))
            await upstream.all_sent(streams * events)
            await asyncio.sleep(1)  # the last ones are written meanwhile
            for each in upstream.streams.values():
                each.end()
            await reading
            before = processor_seconds(process.pid)
            answers = await asyncio.gather(
                *(each.come_back(second) for each in clients)
            )
            used = processor_seconds(process.pid) - before
    server.close()
    seconds = sorted(each for _, each in answers)
    statuses = Counter(status.decode() for status, _ in answers)
    return {
        "statuses": dict(statuses),
        "asked_again": upstream.asked_again,
        "median_seconds": round(seconds[len(seconds) // 2], 2),
        "max_seconds": round(seconds[-1], 2),
        "processor_seconds": round(used, 2),
        "python": platform.python_version(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.returns")
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--pace", type=float, default=0.06, help="seconds")
    asked = parser.parse_args()
    found = asyncio.run(measure(asked.streams, asked.events, asked.pace))
    for name, value in found.items():
        print(f"{name:<20} {value}")
    return int(bool(found["asked_again"]))


if __name__ == "__main__":
    sys.exit(main())
