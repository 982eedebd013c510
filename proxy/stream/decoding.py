"""Content decoders, flushed at every piece (RFC 9110 §8.4.1, RFC 7932, RFC 8878).

A piece goes in, everything that can be known from it comes out, in steps of
at most about `STEP` bytes: a bomb costs one step of memory at a time, and the
relay asks for the next step only when the client has taken the last one.
Knows nothing of sockets or fields.
"""

from __future__ import annotations

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
# Any honest piece may have so many bytes, however small it was: a few bytes of
# br or zstd can stand for a long run of blanks.
GRACE = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
# RFC 9659 §3: a decoder of the zstd content coding needs no window above 8 MiB.
ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}


class DecodingError(Exception):
    """The bytes are not what their content coding says."""


class Decoder(Protocol):
    """One content coding, decoded incrementally."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` makes known, in steps; raise DecodingError."""

    def end(self) -> None:
        """The body is over; raise DecodingError if the coded data is not."""


class GzipDecoder:
    """RFC 1952: one or more members, then nothing but padding."""

    def __init__(self) -> None:
        self.member: zlib._Decompress | None = None
        self.members = 0
        self.head = b""  # a first byte that waits for the second

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self.member is None:
                data = self.head + data
                if self.members:
                    data = data.lstrip(b"\0")
                self.head = data if len(data) < len(GZIP_MAGIC) else b""
                if self.head or not data:
                    return
                if not data.startswith(GZIP_MAGIC):
                    raise DecodingError("gzip: no gzip header where a member begins")
                self.member = zlib.decompressobj(16 + zlib.MAX_WBITS)
                self.members += 1
            yield from inflate(self.member, data, "gzip")
            data = self.member.unused_data
            if self.member.eof:
                self.member = None

    def end(self) -> None:
        if self.member is not None or self.head:
            raise DecodingError("gzip: the data ends inside a member")


class DeflateDecoder:
    """`deflate`: the zlib format (RFC 1950), or raw (RFC 1951) as some send it.

    RFC 9110 §8.4.1.2 notes that both are in use; the first two bytes tell.
    """

    def __init__(self) -> None:
        self.stream: zlib._Decompress | None = None
        self.head = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self.stream is None:
            data = self.head + data
            if len(data) < 2:
                self.head = data
                return
            self.head = b""
            wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self.stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -15)
        elif self.stream.eof and data:
            raise DecodingError("deflate: data goes on after its end")
        yield from inflate(self.stream, data, "deflate")
        if self.stream.unused_data:
            raise DecodingError("deflate: data goes on after its end")

    def end(self) -> None:
        if self.head or (self.stream is not None and not self.stream.eof):
            raise DecodingError("deflate: the data ends too early")


def inflate(stream: zlib._Decompress, data: bytes, name: str) -> Iterator[bytes]:
    """Run zlib in steps until it has nothing more to say about `data`."""
    while True:
        try:
            output = stream.decompress(data, STEP)
        except zlib.error as fault:
            raise DecodingError(f"{name}: {fault}") from fault
        if output:
            yield output
        data = stream.unconsumed_tail
        # A full step may have left output inside zlib with all input taken.
        if stream.eof or (not data and len(output) < STEP):
            return


class BrotliDecoder:
    """RFC 7932."""

    def __init__(self) -> None:
        self.stream = brotli.Decompressor()
        self.begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        self.begun = True
        while True:
            try:
                output = self.stream.process(data, output_buffer_limit=STEP)
            except brotli.error as fault:
                raise DecodingError(f"br: {fault}") from fault
            if output:
                yield output
            data = b""
            if self.stream.is_finished() or not output:
                return

    def end(self) -> None:
        if self.begun and not self.stream.is_finished():
            raise DecodingError("br: the data ends too early")


class ZstdDecoder:
    """RFC 8878: one or more frames."""

    def __init__(self) -> None:
        self.frame: zstd.ZstdDecompressor | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data or (self.frame is not None and not self.frame.needs_input):
            if self.frame is None:
                self.frame = zstd.ZstdDecompressor(options=ZSTD_OPTIONS)
            try:
                output = self.frame.decompress(data, max_length=STEP)
            except zstd.ZstdError as fault:
                raise DecodingError(f"zstd: {fault}") from fault
            if output:
                yield output
            data = b""
            if self.frame.eof:
                data = self.frame.unused_data
                self.frame = None

    def end(self) -> None:
        if self.frame is not None:
            raise DecodingError("zstd: the data ends inside a frame")


DECODERS: dict[str, type[Decoder]] = {
    "gzip": GzipDecoder,
    "deflate": DeflateDecoder,
    "br": BrotliDecoder,
    "zstd": ZstdDecoder,
}


class ContentDecoder:
    """A stack of decoders, the outermost coding first.

    `max_ratio`: how many times its size a piece may have when decoded, beyond
    GRACE, for each coding by itself; 0: as many as it likes.
    """

    __slots__ = ("max_ratio", "stack")

    def __init__(self, codings: Iterable[str], max_ratio: int = 0) -> None:
        self.stack = [DECODERS[coding]() for coding in codings]
        self.max_ratio = max_ratio

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield decoded steps lazily: a step not asked for is not computed."""
        pieces: Iterator[bytes] = iter((data,))
        for decoder in self.stack:
            pieces = decode_each(decoder, pieces, self.max_ratio)
        return pieces

    def end(self) -> None:
        """The body is over; raise DecodingError if any coding is not."""
        for decoder in self.stack:
            decoder.end()


def decode_each(
    decoder: Decoder, pieces: Iterator[bytes], max_ratio: int
) -> Iterator[bytes]:
    for piece in pieces:
        if not max_ratio:
            yield from decoder.decode(piece)
            continue
        allowed = GRACE + max_ratio * len(piece)
        for step in decoder.decode(piece):
            allowed -= len(step)
            if allowed < 0:
                raise DecodingError(
                    f"a piece of {len(piece)} bytes has more than {max_ratio} times "
                    "its size (max_decoding_ratio)"
                )
            yield step
