"""Raw peers: bytes in, bytes out, each wait under a guard of five seconds.

The guard is no timing assertion: a test in lock-step that holds a byte would
otherwise wait for ever.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import proxy as package

GUARD = 5.0  # seconds
ENDLESS = 256 * 1024 * 1024  # bytes; no test sends as many
# Who is woken when something happens. Compiled, the proxy itself is not seen; the peers
# of a test are, and what it does between two of them takes fewer rounds than these.
WAKES = {
    asyncio.streams.__file__,
    *(str(path) for path in Path(package.__file__).parent.rglob("*.py")),
}
QUIET_ROUNDS = 8


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; of no data, the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """One end of a TCP connection, under the test's control."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""  # the last head read

    async def send(self, data: bytes) -> None:
        """Send bytes and wait until the kernel has them."""
        self.writer.write(data)
        async with asyncio.timeout(GUARD):
            await self.writer.drain()

    async def read_head(self) -> bytes:
        """Read up to and with the next empty line."""
        async with asyncio.timeout(GUARD):
            self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    async def read_until(self, end: bytes) -> bytes:
        """Read up to and with `end`."""
        async with asyncio.timeout(GUARD):
            return await self.reader.readuntil(end)

    async def read(self, count: int) -> bytes:
        """Read exactly so many bytes."""
        async with asyncio.timeout(GUARD):
            return await self.reader.readexactly(count)

    async def read_chunk(self) -> bytes:
        """Read one chunk's data; b"" is the last chunk, read with its end."""
        size = int(await self.read_until(b"\r\n"), 16)
        data = await self.read(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def read_payload(self, count: int) -> bytes:
        """Read chunks until they hold so many bytes of payload."""
        payload = b""
        while len(payload) < count:
            chunk = await self.read_chunk()
            assert chunk, f"the body ended after {payload!r}"
            payload += chunk
        return payload

    async def read_rest(self) -> bytes:
        """Read until the other side closes; a reset counts as a close."""
        received = b""
        async with asyncio.timeout(GUARD):
            try:
                while data := await self.reader.read(65536):
                    received += data
            except ConnectionResetError:
                pass
        return received

    async def read_body(self) -> bytes:
        """Read a chunked body to its last chunk."""
        body = b""
        while piece := await self.read_chunk():
            body += piece
        return body

    async def read_to_close(self) -> tuple[bytes, str]:
        """Read until the other side closes; tells "fin" or "reset".

        The guard is that of one wait: what a small window lets through comes slowly.
        """
        received = bytearray()
        try:
            while True:
                async with asyncio.timeout(GUARD):
                    data = await self.reader.read(65536)
                if not data:
                    return bytes(received), "fin"
                received += data
                assert len(received) < ENDLESS, "the other side sends without end"
        except ConnectionResetError:
            return bytes(received), "reset"

    async def closed(self) -> None:
        """Wait until the other side has closed; more bytes are a fault."""
        rest = await self.read_rest()
        assert rest == b"", f"bytes before the close: {rest!r}"

    @property
    def head_lines(self) -> list[bytes]:
        """The lines of the last head read, without the empty one."""
        return self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")

    @property
    def waiting(self) -> int:
        """How many bytes wait because the other side does not read."""
        return self.writer.transport.get_write_buffer_size()

    def finish(self) -> None:
        """Send FIN, go on reading."""
        self.writer.write_eof()

    def close(self) -> None:
        """Close in both directions."""
        self.writer.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def connect(port: int, host: str = "127.0.0.1", receive_bytes: int = 0) -> Peer:
    """A raw client; `receive_bytes` is how much its kernel takes in unread."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setblocking(False)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    async with asyncio.timeout(GUARD):
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except OSError:
            sock.close()
            raise
        return Peer(*await asyncio.open_connection(sock=sock))


async def turns(count: int) -> None:
    """Let the loop turn so many times. It shows nothing: `idle` does."""
    for _ in range(count):
        await asyncio.sleep(0)


async def idle() -> None:
    """Turn the loop until nothing happens any more: then what did not happen will not.

    In each round the kernel hands a byte of ours to the loop, and so all that was
    there before it. Rounds are counted in which it woke nobody else: no code of the
    proxy ran, and no peer of a test.
    """
    loop, quiet, woken = asyncio.get_running_loop(), 0, 0

    def called(frame: FrameType, event: str, _: object) -> None:
        nonlocal woken
        if event == "call" and frame.f_code.co_filename in WAKES:
            woken += 1

    # By TCP, so that a byte waits in the kernel behind those of others.
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setblocking(False)
        before = sys.getprofile()
        sys.setprofile(called)
        try:
            async with asyncio.timeout(GUARD):
                while quiet < QUIET_ROUNDS:
                    woken = 0
                    loop.call_soon(near.send, b".")  # not before it is waited for
                    await loop.sock_recv(far, 1)
                    await loop.getaddrinfo("127.0.0.1", None)  # so do threads
                    connecting = getattr(loop, "connecting", 0)  # `ConnectingLoop`
                    quiet = 0 if woken or connecting else quiet + 1
        finally:
            sys.setprofile(before)


async def settled(value: Callable[[], int]) -> int:
    """Wait until a value no longer changes while the loop turns."""
    async with asyncio.timeout(GUARD):
        while True:
            before = value()
            await idle()
            if value() == before:
                return before


async def became(claim: Callable[[], bool]) -> None:
    """Turn the loop until a claim is true."""
    async with asyncio.timeout(GUARD):
        while not claim():
            await turns(1)


class Upstream:
    """A raw server; the test takes each connection and scripts it."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        path: str | None = None,
        tls: ssl.SSLContext | None = None,
        bound: socket.socket | None = None,
    ) -> None:
        self.host = host
        self.bound = bound
        self.path = path
        self.tls = tls
        self.arrived: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []
        self.server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        if self.path is not None:
            self.server = await asyncio.start_unix_server(self.accept, self.path)
            return self
        if self.bound is not None:
            self.server = await asyncio.start_server(
                self.accept, sock=self.bound, ssl=self.tls
            )
        else:
            self.server = await asyncio.start_server(
                self.accept, self.host, 0, ssl=self.tls
            )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.server is not None
        self.server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self.arrived.put_nowait(peer)

    async def connection(self, guard: float = GUARD) -> Peer:
        """The next connection that the proxy opens."""
        async with asyncio.timeout(guard):
            return await self.arrived.get()

    async def request(self, guard: float = GUARD) -> Peer:
        """The next connection, with its first request head read."""
        peer = await self.connection(guard)
        await peer.read_head()
        return peer

    @property
    def url(self) -> str:
        """The address for a route's target."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def unexpected(self) -> int:
        """How many connections nobody took."""
        return self.arrived.qsize()
