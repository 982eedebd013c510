"""Counts what the proxy's own code takes: bytecodes for a request, and for a piece.

`request` is the same request again, `another` one for another path with the same
fields, `connection` a request on a connection of its own, from its accept to its end.

    python -m bench.count
    python -m bench.count --requests 50
    python -m bench.count --inspector 'record = "streams"'

Unlike processor time it is the same on every machine and in every run, so that it
shows what one change costs. It counts the instructions of `proxy/` that the interpreter
runs, and nothing of the event loop or of C. One client asks one upstream on a kept
connection; what the first requests take (names, caches) is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import proxy
from proxy.config.load import load
from proxy.server.server import Server

OURS = str(Path(proxy.__file__).parent)
REQUEST = (
    b"GET /a?b=c HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench\r\n"
    b"Accept: */*\r\nAccept-Language: en\r\nCookie: a=b; c=d\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: x\r\n"
    b"Content-Length: 2\r\n\r\nok"
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = b"d\r\ndata: event\n\n\r\n"
WARM = 5
TURNS = 1000  # of the loop, for a client to be gone


class Counter:
    """Instructions of our own modules, while it counts."""

    def __init__(self) -> None:
        self.count = 0

    def trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.step

    def step(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "opcode":
            self.count += 1
        return self.step

    async def of(self, times: int, once: Callable[[], Any]) -> float:
        """How many one turn takes."""
        for _ in range(WARM):
            await once()
        self.count = 0
        sys.settrace(self.trace)
        try:
            for _ in range(times):
                await once()
        finally:
            sys.settrace(None)
        return self.count / times


async def measure(
    requests: int, text: str = "", inspector: str = ""
) -> dict[str, float]:
    """What a small request takes, another, a connection with one, a piece of a stream.

    `text` and `inspector`: keys of these two tables.
    """
    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    arrived = asyncio.Queue()

    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        arrived.put_nowait((reader, writer))

    upstream = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    target = f'[routes."/"]\ntarget = "http://127.0.0.1:{port}"\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(
            f"[server]\nport = 0\n{text}\n[inspector]\n{inspector}\n{target}"
        )
        server = Server(load(path, {}))
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    from_proxy, to_proxy = await arrived.get()

    async def ask(request: bytes = REQUEST) -> None:
        await from_proxy.readuntil(b"\r\n\r\n")
        to_proxy.write(ANSWER)
        await reader.readuntil(b"\r\n\r\nok")
        writer.write(request)

    paths = itertools.count()

    async def ask_another() -> None:
        await ask(REQUEST.replace(b"/a", b"/%d" % next(paths), 1))

    async def gone() -> None:
        for _ in range(TURNS):
            if not server.clients:
                break
            await asyncio.sleep(0)

    async def come_and_go() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(REQUEST)
        await from_proxy.readuntil(b"\r\n\r\n")
        to_proxy.write(ANSWER)
        await reader.readuntil(b"\r\n\r\nok")
        writer.close()
        await gone()  # so all of its end is counted

    async def piece() -> None:
        to_proxy.write(EVENT)
        await reader.readexactly(len(EVENT))

    counter = Counter()
    told = {"request": await counter.of(requests, ask)}
    told["another"] = await counter.of(requests, ask_another)
    await from_proxy.readuntil(b"\r\n\r\n")
    to_proxy.write(ANSWER)
    await reader.readuntil(b"\r\n\r\nok")
    writer.close()
    await gone()
    told["connection"] = await counter.of(requests, come_and_go)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    await from_proxy.readuntil(b"\r\n\r\n")
    to_proxy.write(STREAM)
    await reader.readuntil(b"\r\n\r\n")
    told["piece"] = await counter.of(requests, piece)
    writer.close()
    to_proxy.close()
    await server.stop(0.0)
    upstream.close()
    return told


def main() -> int:
    """Print all."""
    parser = argparse.ArgumentParser(prog="python -m bench.count")
    parser.add_argument("--requests", type=int, default=20, help="how many to count")
    parser.add_argument(
        "--server", default="", help='keys of [server], such as "a = 1"'
    )
    parser.add_argument(
        "--inspector",
        default='record = "on-look"',
        help="""keys of [inspector], such as 'record = "streams"'""",
    )
    options = parser.parse_args()
    count = max(1, options.requests)
    told = asyncio.run(measure(count, options.server, options.inspector))
    for name, count in told.items():
        print(f"{name:10} {count:8.1f} bytecodes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
