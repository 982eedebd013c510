"""Two Unbuffereds and a balancer on machines of their own, with clients that come back.

The upstream and the clients are the test's own and in its process; their sockets are on
machines beside the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.deploy.files import DEPLOY, ROOT
from tests.support.netns import Machine
from tests.support.process import ending
from tests.support.raw import Peer
from tests.support.redis_server import PROGRAMS
from tests.support.running import Table, document

GUARD = 60  # seconds; processes have to start, on a machine that is busy otherwise
PORT, REDIS_PORT = 8080, 6379
HAPROXY = DEPLOY / "compose" / "haproxy" / "haproxy.cfg"
NOTHING: Table = {}
MAXCONN = "maxconn 1500"  # of all descriptors that a machine may allow
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT_BYTES = len(b"id: 1\ndata: 1\n\n")  # the first nine
LAST_ID = re.compile(rb"\r\nlast-event-id: (\d+)\r\n", re.IGNORECASE)


def haproxy() -> str | None:
    """Where HAProxy is."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")


class Program:
    """A process on a machine, and what it says on standard error and output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def line(self, part: str) -> str:
        """The next line that has `part` in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(GUARD):
            while data := await self.process.stdout.readline():
                line = data.decode()
                self.said += line
                if part in line:
                    return line
        raise AssertionError(f"it ended without {part!r}:\n{self.said}")

    async def ended(self) -> int:
        async with asyncio.timeout(GUARD):
            assert self.process.stdout is not None
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(machine: Machine, *command: str) -> AsyncIterator[Program]:
    """A program on a machine; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *machine.command(*command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    async with ending(process):
        yield Program(process)


@contextlib.asynccontextmanager
async def unbuffered(
    machine: Machine,
    folder: Path,
    target: str,
    server: Table = NOTHING,
    store: str = "",
) -> AsyncIterator[Program]:
    """Unbuffered on a machine. With the URL of a store, its streams are kept."""
    routes: dict[str, Table] = {"/": {"target": target, "resume": bool(store)}}
    tables: dict[str, Table] = {
        "server": {"host": machine.address, "port": PORT, **server},
        "log": {"access": False},
        "metrics": {"enabled": True},
        "store": {"url": store},
    }
    path = folder / f"{machine.name}.toml"
    path.write_text(document(routes, tables), "utf-8")
    command = (sys.executable, "-m", "proxy", "serve", "--config", str(path))
    async with running(machine, *command) as program:
        await program.line("Ctrl-C stops")
        yield program


@contextlib.asynccontextmanager
async def balancer(
    machine: Machine, folder: Path, servers: dict[str, Machine]
) -> AsyncIterator[Program]:
    """HAProxy as compose has it, with these servers, and more frequent looks."""
    text = HAPROXY.read_text("utf-8")
    for name, server in servers.items():
        text, found = re.subn(
            rf"(server {name}) \S+", rf"\1 {server.address}:{PORT}", text
        )
        assert found == 1, name
    for pattern, value in (
        (r"\binter \w+", "inter 200ms"),
        (r"\bmaxconn \d+", MAXCONN),
    ):
        text, found = re.subn(pattern, value, text)
        assert found == 1, pattern
    path = folder / "haproxy.cfg"
    path.write_text(text, "utf-8")
    program = haproxy()
    assert program is not None
    async with running(machine, program, "-db", "-f", str(path)) as started:
        await listens(machine, started)
        yield started


async def listens(machine: Machine, program: Program) -> None:
    """Wait until something listens on a machine, or the program has ended."""
    async with asyncio.timeout(GUARD):
        while program.process.returncode is None:
            try:
                (await machine.connect(machine, PORT)).close()
                return
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
    await program.line("listening")  # fails, with what it has said


@contextlib.asynccontextmanager
async def redis(machine: Machine) -> AsyncIterator[Program]:
    """A store on a machine."""
    options = ("--bind", machine.address, "--port", str(REDIS_PORT), "--save", "")
    command = (PROGRAMS[0], *options, "--protected-mode", "no")
    async with running(machine, *command) as program:
        await program.line("Ready to accept connections")
        yield program


async def metric(client: Machine, of: Machine, name: str) -> float:
    """The sum of a metric of the Unbuffered on a machine."""
    peer = await client.connect(of, PORT)
    await peer.send(
        b"GET /_unbuffered/metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    found = re.findall(
        rf"^{name}(?:{{.*}})? (\S+)$", (await peer.read_rest()).decode(), re.M
    )
    peer.close()
    assert found, name
    return sum(map(float, found))


class Events:
    """An event stream whose events have numbers, for whoever asks from any of them."""

    def __init__(self) -> None:
        self.published = 0
        self.forgotten = 0  # the last event that nobody can have any more
        self.over = False  # do answers end? The events that have been published are all
        self.news = asyncio.Condition()
        self.sources: list[str] = []  # addresses of those that have asked
        self.server: asyncio.Server | None = None

    @contextlib.asynccontextmanager
    async def serve(self, machine: Machine) -> AsyncIterator[str]:
        """Serve on a machine; yields the URL."""
        sock = machine.listener()
        port = sock.getsockname()[1]
        tasks = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self.answer(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        self.server = await asyncio.start_server(accept, sock=sock)
        try:
            yield f"http://{machine.address}:{port}"
        finally:
            self.server.close()
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                self.sources.append(writer.get_extra_info("peername")[0])
                found = LAST_ID.search(head)
                writer.write(HEAD)
                last = int(found[1]) if found else 0
                await self.send(writer, max(last, self.forgotten))
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            finally:
                writer.transport.abort()

    async def send(self, writer: asyncio.StreamWriter, last: int) -> None:
        while True:
            async with self.news:
                while self.published <= last:
                    if self.over:
                        return
                    await self.news.wait()
            while last < self.published:
                last += 1
                event = b"id: %d\ndata: %d\n\n" % (last, last)
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()

    async def publish(self, count: int) -> None:
        async with self.news:
            self.published += count
            self.news.notify_all()

    async def end(self) -> None:
        async with self.news:
            self.over = True
            self.news.notify_all()


class Client:
    """Reads a stream as an EventSource does: it comes back, with the last id."""

    request = b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"

    def __init__(self, machine: Machine, to: Machine, who: int = 0) -> None:
        self.fields = b"Cookie: who=%d\r\n" % who
        self.machine = machine
        self.to = to
        self.seen: list[int] = []
        self.visits = 0
        self.peer: Peer | None = None
        self.unfinished = b""  # an event whose end is not here

    async def read(self, last: int) -> None:
        """Read until that event is there, over as many connections as it takes."""
        async with asyncio.timeout(GUARD):
            while not self.seen or self.seen[-1] < last:
                if self.peer is None:
                    await self.open()
                await self.next()

    async def open(self) -> None:
        self.peer = await self.machine.connect(self.to, PORT)
        self.visits += 1
        last = b"Last-Event-ID: %d\r\n" % self.seen[-1] if self.seen else b""
        await self.peer.send(self.request + self.fields + last + b"\r\n")
        head = await self.peer.read_head()
        # An EventSource gives up at anything else.
        assert head.startswith(b"HTTP/1.1 200 "), head

    async def next(self) -> None:
        """A piece of the stream, or its end."""
        assert self.peer is not None
        try:
            size = int(await self.peer.reader.readuntil(b"\r\n"), 16)
            piece = (await self.peer.reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            piece = b""
        if not piece:
            self.left()
            return
        *events, self.unfinished = (self.unfinished + piece).split(b"\n\n")
        self.seen += [int(event.partition(b"data: ")[2]) for event in events]

    def left(self) -> None:
        """The stream has ended, or its connection."""
        self.unfinished = b""
        self.close()

    def close(self) -> None:
        if self.peer is not None:
            self.peer.writer.transport.abort()
            self.peer = None


class Answer(Client):
    """Reads the answer to a POST: who breaks it off has lost it."""

    request = b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"

    def left(self) -> None:
        raise AssertionError(f"the answer broke off after event {self.seen[-1]}")

    async def complete(self) -> None:
        """Read its end."""
        assert self.peer is not None
        assert await self.peer.read_chunk() == b""
