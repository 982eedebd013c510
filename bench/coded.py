"""Events that an upstream has compressed, each flushed by itself.

The coder keeps its window over the whole stream, as a real upstream's does, so
each block differs and none can be decoded alone. The origin in bench/load is
handed the blocks as a file; compressing costs it nothing while it is measured.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Flush = Callable[[bytes], bytes]


def event(number: int) -> bytes:
    """64 bytes with the number where plain events have their time."""
    return (b"data: %020d " % number).ljust(62, b".") + b"\n\n"


def coder(coding: str) -> Flush:
    """A function that compresses one event and flushes it out."""
    if coding == "gzip":
        gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
        return lambda data: gzip.compress(data) + gzip.flush(zlib.Z_SYNC_FLUSH)
    if coding == "br":
        br = brotli.Compressor(quality=4)
        return lambda data: br.process(data) + br.flush()
    if coding == "zstd":
        frame = zstd.ZstdCompressor()
        return lambda data: frame.compress(data, frame.FLUSH_BLOCK)
    raise ValueError(f"no such coding: {coding}")


def blocks(coding: str, count: int) -> Iterator[bytes]:
    """The compressed events of one stream, in order."""
    flush = coder(coding)
    return (flush(event(number)) for number in range(count))


def write_blocks(path: Path, coding: str, count: int) -> None:
    """As bench/load/origin.c reads them: a size in 4 bytes, then one chunk."""
    with path.open("wb") as file:
        for block in blocks(coding, count):
            chunk = b"%x\r\n%b\r\n" % (len(block), block)
            file.write(struct.pack("=I", len(chunk)) + chunk)
