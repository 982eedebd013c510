"""Encoders for tests: each piece is flushed, as a streaming upstream does it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["CODINGS", "encoded", "zstd"]


class Encoder(Protocol):
    """One content coding, encoded incrementally."""

    def piece(self, data: bytes) -> bytes:
        """Encode a piece so that it can be decoded without the next."""

    def end(self) -> bytes:
        """What is left to write."""


class Zlib:
    """gzip, and deflate in both forms."""

    def __init__(self, wbits: int) -> None:
        self.stream = zlib.compressobj(9, zlib.DEFLATED, wbits)

    def piece(self, data: bytes) -> bytes:
        return self.stream.compress(data) + self.stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self.stream.flush()


class Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        self.stream = brotli.Compressor(quality=5)

    def piece(self, data: bytes) -> bytes:
        encoded: bytes = self.stream.process(data) + self.stream.flush()
        return encoded

    def end(self) -> bytes:
        encoded: bytes = self.stream.finish()
        return encoded


class Zstd:
    """RFC 8878."""

    def __init__(self) -> None:
        self.stream = zstd.ZstdCompressor()

    def piece(self, data: bytes) -> bytes:
        return self.stream.compress(data, zstd.ZstdCompressor.FLUSH_BLOCK)

    def end(self) -> bytes:
        return self.stream.flush()


class Stacked:
    """One coding inside another; the outer one was applied last."""

    def __init__(self, inner: Encoder, outer: Encoder) -> None:
        self.inner = inner
        self.outer = outer

    def piece(self, data: bytes) -> bytes:
        return self.outer.piece(self.inner.piece(data))

    def end(self) -> bytes:
        return self.outer.piece(self.inner.end()) + self.outer.end()


# By a name for the case: the codings, outermost first, and an encoder for them.
CODINGS: dict[str, tuple[tuple[str, ...], Callable[[], Encoder]]] = {
    "gzip": (("gzip",), lambda: Zlib(31)),
    "deflate, wrapped": (("deflate",), lambda: Zlib(15)),
    "deflate, raw": (("deflate",), lambda: Zlib(-15)),
    "br": (("br",), Brotli),
    "zstd": (("zstd",), Zstd),
    "gzip in br": (("br", "gzip"), lambda: Stacked(Zlib(31), Brotli())),
    "zstd in deflate": (("deflate", "zstd"), lambda: Stacked(Zstd(), Zlib(15))),
    "br in gzip in gzip": (
        ("gzip", "gzip", "br"),
        lambda: Stacked(Brotli(), Stacked(Zlib(31), Zlib(31))),
    ),
}


def encoded(name: str, *pieces: bytes) -> bytes:
    """A whole body."""
    encoder = CODINGS[name][1]()
    return b"".join([*map(encoder.piece, pieces), encoder.end()])
