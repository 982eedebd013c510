"""Programs that others use as clients of HTTP/2: curl, nghttp, h2load, Node."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import Http2Listener
from tests.support.process import ending

GUARD = 30  # seconds; a program has to start, on a machine that is busy otherwise
DRIVER = Path(__file__).parent / "http2_client.mjs"
PIPE = asyncio.subprocess.PIPE


def program(name: str) -> str:
    """Where a program is; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def curl_of(over: Http2Listener) -> list[str]:
    """curl, made to speak HTTP/2 with such a listener, and to hold nothing itself."""
    path = program("curl")
    about = subprocess.run([path, "--version"], capture_output=True, text=True)
    if "HTTP2" not in about.stdout.split():
        pytest.skip("this curl is built without HTTP/2")
    words = [path, "--silent", "--show-error", "--no-buffer", "--noproxy", "*"]
    if over.authority is None:
        return [*words, "--http2-prior-knowledge"]
    return [*words, "--http2", "--cacert", str(over.authority.root)]


class Started:
    """A program that runs, and what it writes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def read(self, count: int) -> bytes:
        """So many bytes of its output."""
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD):
            return await self.process.stdout.readexactly(count)

    async def until(self, end: bytes) -> bytes:
        """Its output, up to and with `end`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD):
            return await self.process.stdout.readuntil(end)

    async def finished(self) -> bytes:
        """The rest of its output; it must have ended well."""
        async with asyncio.timeout(GUARD):
            out, errors = await self.process.communicate()
        assert self.process.returncode == 0, errors.decode()
        return out


@asynccontextmanager
async def started(*words: str) -> AsyncIterator[Started]:
    """Start a program."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    async with ending(process):
        yield Started(process)


class Node(Started):
    """Node's `http2` on one connection, told what to do line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.kept: deque[dict[str, Any]] = deque()
        self.asked = 0

    async def tell(self, number: int, order: str, value: object = None) -> None:
        assert self.process.stdin is not None
        line = json.dumps({"id": number, "order": order, "value": value})
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def ask(self, path: str, *, end: bool = True, **fields: str) -> int:
        """Begin a request; how it is called from then on."""
        self.asked += 1
        named = {f":{name}": value for name, value in fields.items()}
        await self.tell(
            self.asked, "ask", {"fields": {":path": path, **named}, "end": end}
        )
        return self.asked

    async def next(self, number: int, event: str) -> Any:
        """The next event of a request (0: of the connection), with its value."""
        for each in self.kept:
            if (each["id"], each["event"]) == (number, event):
                self.kept.remove(each)
                return each["value"]
        while True:
            each = json.loads(await self.until(b"\n"))
            if (each["id"], each["event"]) == (number, event):
                return each["value"]
            self.kept.append(each)

    async def piece(self, number: int) -> bytes:
        """The next piece of a body."""
        return str(await self.next(number, "data")).encode("latin-1")


@asynccontextmanager
async def node(over: Http2Listener, port: int) -> AsyncIterator[Node]:
    """Node, connected."""
    words = [program("node"), str(DRIVER), f"{over.scheme}://127.0.0.1:{port}"]
    if over.authority is not None:
        words.append(str(over.authority.root))
    async with started(*words) as running:
        client = Node(running.process)
        await client.next(0, "settings")
        yield client
