"""Between client and proxy: cuts connections where a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from tests.clients.tap import Tap

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
GUARD_SECONDS = 20  # until a browser is back


class Scissors(Tap):
    """Each connection with a response gets the next cut, those behind the last none.

    A cut is a number of bytes of the response, counted from the end of its head, chunk
    sizes and all; or LAST_CHUNK, which is then not passed on. `spare_ends`: none
    between the line of an id and the empty one, but one byte later.
    """

    def __init__(
        self, port: int, cuts: Iterable[int | bytes], *, spare_ends: bool = False
    ) -> None:
        super().__init__(port)
        self.cuts = list(cuts)
        self.spare_ends = spare_ends
        self.made = 0  # cuts

    async def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += (writer, there[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pass_on(reader, there[1]))
            group.create_task(self.cut(there[0], writer))

    async def cut(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass responses on, up to the next cut."""
        passed, written = b"", 0
        end: int | None = None
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                passed += data
                end = self.place(passed, end)
                if end is None or len(passed) < end + self.spare_ends:
                    writer.write(passed[written:])
                    written = len(passed)
                    continue
                if self.spare_ends and passed[end - 1 : end + 1] == b"\n\n":
                    end += 1
                writer.write(passed[written:end])
                self.made += 1
                self.moved.set()
                break
        writer.close()

    def place(self, passed: bytes, end: int | None) -> int | None:
        """Where the response is cut, counted from its first byte, if that is known."""
        head = passed.find(HEAD_END)
        if end is not None or head < 0 or self.made >= len(self.cuts):
            return end
        begin = head + len(HEAD_END)
        cut = self.cuts[self.made]
        if isinstance(cut, int):
            return begin + cut
        found = passed.find(cut, begin)
        return None if found < 0 else found

    async def cut_made(self, number: int) -> None:
        """Wait until the cut of that number is made."""
        async with asyncio.timeout(GUARD_SECONDS):
            while self.made <= number:
                self.moved.clear()
                await self.moved.wait()

    def cut_all(self) -> None:
        """Cut all connections that there are."""
        for writer in self.writers:
            writer.transport.abort()
