"""Hops that hold, made up: what becomes of the writes of a sender behind them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

Writes: TypeAlias = Sequence[tuple[float, bytes]]
Hop: TypeAlias = Callable[[Writes], list[tuple[float, bytes]]]
GZIP = zlib.MAX_WBITS + 16


def to_the_end(writes: Writes) -> list[tuple[float, bytes]]:
    """A body that is collected."""
    return [(writes[-1][0], b"".join(data for _, data in writes))]


def in_blocks(size: int, frames: int = 0) -> Hop:
    """A buffer that is handed on when it is full. `frames`: bytes of each write's own.

    They take room in the buffer of a hop that reads chunks, and do not go on.
    """

    def hop(writes: Writes) -> list[tuple[float, bytes]]:
        found: list[tuple[float, bytes]] = []
        kept, room = b"", size
        for at, data in writes:
            room -= frames
            if room <= 0:
                found.append((at, kept))
                kept, room = b"", size + room
            while len(data) >= room:
                found.append((at, kept + data[:room]))
                data, kept, room = data[room:], b"", size
            kept, room = kept + data, room - len(data)
        return [*found, (writes[-1][0], kept)]

    return hop


def by_timer(interval: float) -> Hop:
    """The first write starts a clock; when it is over, all goes on."""

    def hop(writes: Writes) -> list[tuple[float, bytes]]:
        found: list[tuple[float, bytes]] = []
        due = None
        kept = b""
        for at, data in writes:
            if due is not None and at >= due:
                found.append((due, kept))
                kept, due = b"", None
            kept += data
            due = at + interval if due is None else due
        return [*found, (min(due or 0.0, writes[-1][0] + interval), kept)]

    return hop


def by_nagle(delay: float) -> Hop:
    """A small write waits until the one before is acknowledged, which takes a while."""

    def hop(writes: Writes) -> list[tuple[float, bytes]]:
        found: list[tuple[float, bytes]] = []
        acknowledged, kept = 0.0, b""
        for at, data in writes:
            if kept and at >= acknowledged:
                found.append((acknowledged, kept))
                acknowledged, kept = acknowledged + delay, b""
            if at >= acknowledged and not kept:
                found.append((at, data))
                acknowledged = at + delay
            else:
                kept += data
        return [*found, (acknowledged, kept)] if kept else found

    return hop


def until_full(size: int) -> Hop:
    """A buffer that is filled once."""

    def hop(writes: Writes) -> list[tuple[float, bytes]]:
        found: list[tuple[float, bytes]] = []
        kept = b""
        for at, data in writes:
            if found:
                found.append((at, data))
                continue
            kept += data
            if len(kept) >= size:
                found.append((at, kept))
        return found or [(writes[-1][0], kept)]

    return hop


def by_compressor(writes: Writes) -> list[tuple[float, bytes]]:
    """What a reader can decompress, of a compressor that is never flushed."""
    packer, reader = zlib.compressobj(wbits=GZIP), zlib.decompressobj(wbits=GZIP)
    found = []
    for at, data in writes:
        out = reader.decompress(packer.compress(data))
        if out:
            found.append((at, out))
    rest = reader.decompress(packer.flush())
    return [*found, (writes[-1][0], rest)] if rest else found
