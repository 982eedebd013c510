"""A connection to another worker, on which it is told what it has to know.

All in order, on one connection for as long as both live. When it breaks, what is told
then anew is the state of things, so that nothing that was lost matters.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from proxy.http1.chunked import chunk
from proxy.internal_errors import report

NAMES = b"/_unbuffered/names/"
AGAIN_SECONDS = 0.25  # until a worker that is not there is looked for again
MOST_WAITING = 1024  # messages that are no part of the state, for a worker that is away
MOST_BYTES = 4 * 1024 * 1024  # that wait for a worker that does not read

State = Callable[[], Iterable[bytes]]


class PeerLink:
    """To the worker at `path`, from the worker `number`.

    Opened when there is something to tell, or beforehand if that is `wanted`: a client
    may ask for what it has just got sooner than a connection is made.
    """

    def __init__(self, path: str, number: int, state: State) -> None:
        self.path = path
        self.number = number
        self.state = state
        self.wanted = False
        self.waiting: list[bytes] = []
        self.writer: asyncio.StreamWriter | None = None
        self.task: asyncio.Task[None] | None = None

    def tell(self, message: bytes, *, in_state: bool) -> None:
        """Tell a message. `in_state`: a new connection begins with what it says."""
        writer = self.writer
        if writer is not None:
            writer.write(chunk(message))
            if writer.transport.get_write_buffer_size() > MOST_BYTES:
                writer.transport.abort()
            return
        if not in_state and len(self.waiting) < MOST_WAITING:
            self.waiting.append(message)
        self.begin()

    def want(self, wanted: bool) -> None:
        """Be connected from now on, or no longer without something to tell."""
        self.wanted = wanted
        if wanted:
            self.begin()

    def begin(self) -> None:
        """Connect, unless it is."""
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.contained())

    async def contained(self) -> None:
        """Be connected as long as there is something to tell, or may be at any time."""
        try:
            while self.wanted or self.waiting or any(True for _ in self.state()):
                with contextlib.suppress(OSError):
                    await self.connect()
                self.writer = None
                await asyncio.sleep(AGAIN_SECONDS)
        except Exception as error:
            report("telling another worker of streams", error)
        finally:
            self.writer = self.task = None

    async def connect(self) -> None:
        """Be connected until that worker closes.

        Raises:
            OSError: it is not there.
        """
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            writer.write(
                b"POST %b%d HTTP/1.1\r\nHost: localhost\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" % (NAMES, self.number)
            )
            for message in (*self.state(), *self.waiting):
                writer.write(chunk(message))
            self.waiting.clear()
            self.writer = writer
            await reader.read(1)
        finally:
            writer.transport.abort()

    def close(self) -> None:
        """Tell no more."""
        if self.task is not None:
            self.task.cancel()
