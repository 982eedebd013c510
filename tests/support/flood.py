"""A flood: a body without end, for readers that are slow on purpose.

Counts and sums what goes in on one side and comes out on the other, so that a
test can tell how much was taken unread, and that each byte arrived.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from tests.support.raw import GUARD, Peer, chunk, settled

PIECE = 64 * 1024  # bytes
# What may be taken of a body that nobody reads: by the kernel, in the buffers
# of four sockets (up to 6 MiB each), and by the proxy. It is not the endless.
BOUND = 32 * 1024 * 1024


class Tally:
    """How many bytes, and which."""

    def __init__(self) -> None:
        self.size = 0
        self.sum = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self.sum = zlib.crc32(data, self.sum)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Tally)
        return (self.size, self.sum) == (other.size, other.sum)

    __hash__ = None  # type: ignore[assignment]  # a tally changes

    def __repr__(self) -> str:
        return f"{self.size} bytes ({self.sum:08x})"


def piece(number: int) -> bytes:
    """The piece of that number: no two are equal."""
    return b"%015d\n" % number * (PIECE // 16)


async def fill(peer: Peer, frame: Callable[[bytes], bytes] = chunk) -> Tally:
    """Send pieces until no more are taken; what was sent.

    The last bytes still wait in the peer, and go when there is room.
    """
    tally = Tally()
    while await settled(lambda: peer.waiting) == 0:
        assert tally.size < BOUND, "a body that nobody reads is taken without end"
        while not peer.waiting and tally.size < BOUND:
            data = piece(tally.size // PIECE)
            peer.writer.write(frame(data))
            tally.add(data)
    return tally


async def drained(peer: Peer, size: int | None = None) -> Tally:
    """Read so many bytes of raw stream, or chunks up to the last one."""
    tally = Tally()
    while size is None or tally.size < size:
        if size is None:
            data = await peer.read_chunk()
        else:
            async with asyncio.timeout(GUARD):
                data = await peer.reader.read(size - tally.size)
        if not data:
            break
        tally.add(data)
    return tally
