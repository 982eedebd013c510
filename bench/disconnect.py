"""How long until the upstream of an idle stream hears that its client has left?

Starts the proxy as a process of its own, opens idle event streams through it,
closes their clients one after the other, by FIN and by reset in turn, and
takes the time from the close to the end-of-file that the upstream reads.

    python -m bench.disconnect            200 streams
    python -m bench.disconnect --count 50
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FIRST_EVENT = b"9\r\ndata: 0\n\n\r\n"
GUARD = 10.0  # seconds, for any one step
TARGET = 0.100  # seconds


class Upstream:
    """Sends one event on each connection, then waits for its end."""

    def __init__(self) -> None:
        self.ended: dict[bytes, asyncio.Future[float]] = {}

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        name = head.split(b" ")[1]
        writer.write(HEAD + FIRST_EVENT)
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        self.ended[name].set_result(time.perf_counter())
        writer.close()


@contextlib.asynccontextmanager
async def proxy(target: str) -> AsyncIterator[int]:
    """The proxy as users run it, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(f'server.port = {port}\n[routes."/"]\ntarget = "{target}"\n')
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "--config", str(config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(GUARD):
                while b"Ctrl-C" not in await process.stderr.readline():
                    pass
            yield port
        finally:
            process.terminate()
            await process.wait()


async def measure(count: int) -> list[float]:
    """Seconds from each client's leaving to the upstream's hearing of it."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop = asyncio.get_running_loop()
    delays = []
    async with server, proxy(target) as port, asyncio.timeout(GUARD + count):
        for number in range(count):
            name = b"/%d" % number
            upstream.ended[name] = loop.create_future()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET %b HTTP/1.1\r\nHost: bench\r\n\r\n" % name)
            await reader.readuntil(b"data: 0\n\n")
            left = time.perf_counter()
            if number % 2:
                sock = writer.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            delays.append(await upstream.ended[name] - left)
    return delays


def main() -> int:
    """Measure, print, and fail when the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="streams (1 to 2000)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    delays = sorted(asyncio.run(measure(max(1, min(options.count, 2000)))))
    result = {
        "measure": "client gone to upstream closed, idle stream",
        "streams": len(delays),
        "median_ms": round(statistics.median(delays) * 1000, 3),
        "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 3),
        "max_ms": round(delays[-1] * 1000, 3),
        "target_ms": TARGET * 1000,
        "python": platform.python_version(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:12} {value}")
    return 0 if delays[-1] < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
