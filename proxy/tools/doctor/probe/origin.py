"""The test origin: plays the programs over HTTP/1.1, each event when it is due.

For the other end of a chain that is to be judged. It writes an event and
hands it to the kernel at once; nothing here waits for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable
from urllib.parse import parse_qsl

from proxy.errors import ProxyError
from proxy.http1.chunked import LAST_CHUNK, chunk
from proxy.http1.framing import request_body
from proxy.http1.head import RequestHead, parse_request_head
from proxy.timeline import Clock, monotonic
from proxy.tools.doctor.probe.origin_websocket import (
    answer_frames,
    is_websocket,
    ping,
    play_messages,
    switching,
)
from proxy.tools.doctor.test_streams import (
    CODINGS,
    PROGRAMS,
    TYPES,
    Program,
    ProgramError,
    chosen,
)

MAX_BODY = 16 * 1024 * 1024  # bytes of a request; the origin throws them away
OWN = {
    "cache-control": "Cache-Control: no-cache",
    "access-control-allow-origin": "Access-Control-Allow-Origin: *",
}
LOOK = 0.1  # seconds between two looks whether the client is still there
Tell = Callable[[str], None]


class OriginServer:
    """A server that plays programs. `tell` hears one line per stream.

    `fields`: lines of its response heads, besides or in place of their own.
    """

    def __init__(
        self,
        tell: Tell | None = None,
        clock: Clock = monotonic,
        fields: tuple[str, ...] = (),
    ) -> None:
        self.fields = fields
        self.tell = tell
        self.clock = clock
        self.server: asyncio.Server | None = None
        self.open: set[asyncio.Task[None]] = set()
        self.asked = 0  # requests

    async def start(self, host: str, port: int) -> int:
        """Listen; the port."""
        self.server = await asyncio.start_server(self.accept, host, port)
        found: int = self.server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close, and cut what is under way."""
        if self.server is not None:
            self.server.close()
        for task in [*self.open]:
            task.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            while await self.answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has left
        except asyncio.CancelledError:
            writer.transport.abort()
        except ProxyError as fault:
            with contextlib.suppress(OSError):
                await say(writer, b"400 Bad Request", f"{fault}\n", keep=False)
        finally:
            self.open.discard(task)
            writer.close()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One exchange; True if the connection serves another."""
        head = parse_request_head(await reader.readuntil(b"\r\n\r\n"))
        asked = self.clock()
        self.asked += 1
        if b"100-continue" in head.members(b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await read_body(head, reader)
        path, _, query = head.target.decode("latin-1").partition("?")
        keep = head.minor == 1 and b"close" not in head.members(b"connection")
        try:
            program = chosen(path, dict(parse_qsl(query, keep_blank_values=True)))
        except ProgramError as fault:
            await say(writer, b"400 Bad Request", f"{fault}\n", keep=keep)
            return keep
        if program is None:
            found = b"200 OK" if path == "/" else b"404 Not Found"
            await say(writer, found, overview(), keep=keep)
            return keep
        if is_websocket(head):
            await self.play_websocket(program, head, asked, reader, writer)
            return False
        return await self.play(program, head, asked, reader, writer) and keep

    async def play(
        self,
        program: Program,
        head: RequestHead,
        asked: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Send the head, and each event when it is due; True if all were sent."""
        chunked = head.minor == 1 and not program.length
        pack = packer(program.coding)
        writer.write(response_head(program, chunked=chunked, more=self.fields))
        await writer.drain()

        def send(text: bytes) -> None:
            data = pack(text, False)
            writer.write(chunk(data) if chunked else data)

        if greeting := program.greeting():
            send(greeting)

        def comment() -> None:
            send(b": ping\n\n")

        beat = self.beat(program.ping if program.comments else 0.0, comment)
        due = asked
        for number in range(1, program.count + 1):
            due += program.pause_before(number)
            if not await self.wait(due, reader, writer, beat):
                left = f"after {self.clock() - asked:.1f} s"
                self.say(head, f"client left before event {number} ({left})")
                return False
            send(program.event(number, self.clock() - asked))
            await writer.drain()
        data = pack(program.end(), True)
        if chunked:
            writer.write((chunk(data) if data else b"") + LAST_CHUNK)
        elif data:
            writer.write(data)
        await writer.drain()
        self.say(head, f"{program.count} events in {self.clock() - asked:.1f} s")
        return True

    async def play_websocket(
        self,
        program: Program,
        head: RequestHead,
        asked: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """The same as messages."""
        writer.write(switching(head))
        answering = asyncio.ensure_future(answer_frames(reader, writer))

        beat = self.beat(program.ping, lambda: writer.write(ping()))

        async def wait(due: float) -> bool:
            return await self.wait(asked + due, reader, writer, beat)

        try:
            sent = await play_messages(
                program, lambda: self.clock() - asked, wait, writer
            )
            after = f"after {self.clock() - asked:.1f} s"
            if sent < program.count:
                self.say(head, f"client left before message {sent + 1} ({after})")
            else:
                self.say(head, f"{sent} messages {after}")
        finally:
            answering.cancel()

    def beat(self, every: float, send: Callable[[], None]) -> Callable[[], None]:
        """What sends at an interval, if it is called often enough; 0: never."""
        last = self.clock()

        def beat() -> None:
            nonlocal last
            if every and self.clock() - last >= every:
                last = self.clock()
                send()

        return beat

    async def wait(
        self,
        due: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        beat: Callable[[], None],
    ) -> bool:
        """Wait until an event is due; False as soon as the client has left."""
        while True:
            if reader.at_eof() or writer.transport.is_closing():
                return False
            rest = due - self.clock()
            if rest <= 0:
                return True
            await asyncio.sleep(min(rest, LOOK))
            beat()

    def say(self, head: RequestHead, text: str) -> None:
        if self.tell is not None:
            request = f"{head.method.decode()} {head.target.decode('latin-1')}"
            self.tell(f"{request}: {text}")


async def read_body(head: RequestHead, reader: asyncio.StreamReader) -> None:
    """Read a request's body to its end and forget it."""
    body = request_body(head)
    size = 0
    while not body.complete and body.error is None and size < MAX_BODY:
        data = await reader.read(64 * 1024)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        size += len(data)
        body.feed(data)


def response_head(
    program: Program, *, chunked: bool, more: tuple[str, ...] = ()
) -> bytes:
    """The head of a stream, as an honest back end sends it.

    `more`: lines besides; one of the same name takes the place of its own.
    """
    given = {line.partition(":")[0].lower() for line in more}
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {TYPES[program.type]}"]
    lines += [line for name, line in OWN.items() if name not in given]
    lines += more
    if program.coding != "identity":
        lines.append(f"Content-Encoding: {program.coding}")
    if program.length:
        lines.append(f"Content-Length: {program.length}")
    else:
        lines.append("Transfer-Encoding: chunked" if chunked else "Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def packer(coding: str) -> Callable[[bytes, bool], bytes]:
    """Applies a content coding, and flushes it after each piece."""
    if coding == "identity":
        return lambda data, _: data
    stream = zlib.compressobj(wbits=zlib.MAX_WBITS + (16 if coding == "gzip" else 0))

    def pack(data: bytes, last: bool) -> bytes:
        flush = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        return stream.compress(data) + stream.flush(flush)

    return pack


async def say(
    writer: asyncio.StreamWriter, status: bytes, text: str, *, keep: bool
) -> None:
    """A short plain answer."""
    body = text.encode()
    writer.write(
        b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n%b\r\n"
        % (status, len(body), b"" if keep else CLOSE)
        + body
    )
    await writer.drain()


CLOSE = b"Connection: close\r\n"


def overview() -> str:
    """What there is, for a person who opens the root."""
    width = max(map(len, PROGRAMS))
    rows = [f"  /{each.name:{width}}  {each.about}" for each in PROGRAMS.values()]
    return "\n".join(
        [
            "A test server with known timing. Streams:",
            "",
            *rows,
            "",
            "Or append ?stream=NAME to any path. Parameters: "
            "?count=20&every=0.5&size=1000",
            "&quiet=2 (before the first event) &silent=30 (in the middle)",
            "&ping=15 (a comment, or a ping frame, at this interval)",
            "&hello=1 (a comment, or an empty line, immediately after the head)",
            f"&type={'|'.join(TYPES)} &coding={'|'.join(CODINGS)} &framing=length",
            "",
        ]
    )
