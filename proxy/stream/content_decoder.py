"""Content decoders, flushed at every piece (RFC 9110 §8.4.1, RFC 7932, RFC 8878).

A piece goes in, everything that can be known from it comes out, in steps. A step
is one call of a library: at most about `TAKE` bytes in and `STEP` bytes out, so
its time and its memory are bounded whatever the bytes are, and the relay asks for
the next step only when the client has taken the last one. A step may be empty: it
is work all the same, and who counts steps has to hear of it.

Where a coding ends early, the body ends there: its framing said that it is whole.
Browsers, curl and Node take it so.

Knows nothing of sockets or fields.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

try:
    import brotli
except ImportError:  # pragma: no cover - where CPython's C API is missing
    import brotlicffi as brotli

if sys.version_info >= (3, 14):  # pragma: no cover - one of the two runs
    from compression import zstd
else:
    from backports import zstd

STEP = 64 * 1024  # bytes of output at a time
# Bytes of input at a time. Code tables without any text behind them cost the
# libraries up to 0.3 µs a byte.
TAKE = 16 * 1024
# A member or frame may be followed by thousands of others. The libraries copy what
# they were given behind its end, so the next one begins with few bytes, and twice
# as many each time.
TAKE_FIRST = 256
# Any honest piece may have so many bytes, however small it was: a few bytes of
# br or zstd can stand for a long run of blanks.
GRACE = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
PADDING = re.compile(rb"\0++")
# RFC 9659 §3: a decoder of the zstd content coding needs no window above 8 MiB.
ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}


class DecodingError(Exception):
    """The bytes are not what their content coding says."""


class Decoder(Protocol):
    """One content coding, decoded incrementally."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` makes known, in steps; raise DecodingError."""


class GzipDecoder:
    """RFC 1952: one or more members; what else follows one is ignored."""

    def __init__(self) -> None:
        self.member: zlib._Decompress | None = None
        self.members = 0
        self.head = b""  # a first byte that waits for the second
        self.over = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self.head:
            data, self.head = self.head + data, b""
        start, take, size = 0, TAKE, len(data)
        while start < size and not self.over:
            member = self.member
            if member is None:
                if self.members:
                    padding = PADDING.match(data, start, start + TAKE)
                    if padding is not None:
                        start = padding.end()
                        yield b""
                        continue
                member = self.begin(data, start)
                if member is None:
                    return
            part = data if size <= take and not start else data[start : start + take]
            yield from inflate(member, part, "gzip")
            if member.eof:
                start += len(part) - len(member.unused_data)
                self.member = None
                take = TAKE_FIRST
            else:
                start += take
                if take < TAKE:
                    take *= 2

    def begin(self, data: bytes, start: int) -> zlib._Decompress | None:
        """Begin a member, if one begins there."""
        if len(data) - start < len(GZIP_MAGIC):
            self.head = data[start:]
        elif data.startswith(GZIP_MAGIC, start):
            self.members += 1
            self.member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif self.members:
            self.over = True  # a line end of a script, say: as browsers have it
        else:
            raise DecodingError(
                "gzip: the gzip header at the start of a member is missing"
            )
        return self.member


class DeflateDecoder:
    """`deflate`: the zlib format (RFC 1950), or raw (RFC 1951) as some send it.

    RFC 9110 §8.4.1.2 notes that both are in use; the first two bytes tell. What
    follows its end is ignored.
    """

    def __init__(self) -> None:
        self.stream: zlib._Decompress | None = None
        self.head = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        stream = self.stream
        if stream is None:
            data = self.head + data
            if len(data) < 2:
                self.head = data
                return
            self.head = b""
            wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -15)
            self.stream = stream
        for start in range(0, len(data), TAKE):
            if stream.eof:
                return
            yield from inflate(stream, data[start : start + TAKE], "deflate")


def inflate(stream: zlib._Decompress, data: bytes, name: str) -> Iterator[bytes]:
    """Run zlib in steps until it has nothing more to say about `data`."""
    while True:
        try:
            output = stream.decompress(data, STEP)
        except zlib.error as fault:
            raise DecodingError(f"{name}: {fault}") from fault
        yield output
        data = stream.unconsumed_tail
        # A full step may have left output inside zlib with all input taken.
        if stream.eof or (not data and len(output) < STEP):
            return


class BrotliDecoder:
    """RFC 7932."""

    def __init__(self) -> None:
        self.stream = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), TAKE):
            part = data[start : start + TAKE]
            while True:
                try:
                    output = self.stream.process(part, output_buffer_limit=STEP)
                except brotli.error as fault:
                    raise DecodingError(f"br: {fault}") from fault
                if output or part:
                    yield output
                part = b""
                if self.stream.is_finished() or not output:
                    break


class ZstdDecoder:
    """RFC 8878: one or more frames."""

    def __init__(self) -> None:
        self.frame: zstd.ZstdDecompressor | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        start, take = 0, TAKE
        while start < len(data):
            frame = self.frame
            if frame is None:
                frame = self.frame = zstd.ZstdDecompressor(options=ZSTD_OPTIONS)
            part = data[start : start + take]
            start += len(part)
            while True:
                try:
                    output = frame.decompress(part, max_length=STEP)
                except zstd.ZstdError as fault:
                    raise DecodingError(f"zstd: {fault}") from fault
                yield output
                part = b""
                if frame.eof or frame.needs_input:
                    break
            take = min(2 * take, TAKE)
            if frame.eof:
                start -= len(frame.unused_data)
                self.frame = None
                take = TAKE_FIRST


DECODERS: dict[str, type[Decoder]] = {
    "gzip": GzipDecoder,
    "deflate": DeflateDecoder,
    "br": BrotliDecoder,
    "zstd": ZstdDecoder,
}


class ContentDecoder:
    """A stack of decoders, the outermost coding first.

    `max_ratio`: how many times its size a piece may have when decoded, beyond
    GRACE, by each coding of a stack; 0: as many as it likes.
    """

    __slots__ = ("max_ratio", "stack")

    def __init__(self, codings: Iterable[str], max_ratio: int = 0) -> None:
        self.stack = [DECODERS[coding]() for coding in codings]
        self.max_ratio = max_ratio

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded steps lazily: a step not asked for is not computed."""
        pieces: Iterator[bytes] = iter((data,))
        for decoder in self.stack:
            pieces = decode_each(decoder, pieces, len(data), self.max_ratio)
        return pieces


def decode_each(
    decoder: Decoder, pieces: Iterator[bytes], size: int, max_ratio: int
) -> Iterator[bytes]:
    """One coding of a stack; `size` is what came of the body as it was sent."""
    allowed = GRACE + max_ratio * size
    for piece in pieces:
        if not piece:
            yield piece  # a step of the coding around this one
            continue
        for step in decoder.decode(piece):
            allowed -= len(step)
            if allowed < 0 and max_ratio:
                raise DecodingError(
                    f"a piece of {size} bytes decodes to more than {max_ratio} times "
                    "its size (max_decoding_ratio)"
                )
            yield step
