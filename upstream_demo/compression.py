"""Content coding of a stream, flushed so that each event can be decoded at once.

What a compressing upstream has to do to be readable event by event; the
opposite of the hop in `holding`.
"""

from __future__ import annotations

import sys
import zlib
from typing import Protocol

try:
    import brotli
except ImportError:  # pragma: no cover - PyPy
    import brotlicffi as brotli

if sys.version_info >= (3, 14):  # pragma: no cover - depends on the Python
    from compression import zstd
else:
    from backports import zstd

GZIP_WINDOW = 31  # zlib: largest window, with the member header of RFC 1952
ZLIB_WINDOW = 15  # what HTTP calls deflate is the zlib format (RFC 9110 §8.4.1.2)


class Encoder(Protocol):
    """One coded body: everything given to `encode` can be decoded at once."""

    def encode(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class ZlibEncoder:
    def __init__(self, window: int) -> None:
        self._compressor = zlib.compressobj(wbits=window)

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(
            zlib.Z_SYNC_FLUSH
        )

    def finish(self) -> bytes:
        return self._compressor.flush()


class BrotliEncoder:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor()

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data) + self._compressor.flush())

    def finish(self) -> bytes:
        return bytes(self._compressor.finish())


class ZstdEncoder:
    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor()

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data, mode=zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._compressor.flush()


class Identity:
    def encode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


CODINGS = ("gzip", "deflate", "br", "zstd")


def create_encoder(coding: str) -> Encoder:
    """An encoder for one of CODINGS; any other word means identity."""
    match coding:
        case "gzip":
            return ZlibEncoder(GZIP_WINDOW)
        case "deflate":
            return ZlibEncoder(ZLIB_WINDOW)
        case "br":
            return BrotliEncoder()
        case "zstd":
            return ZstdEncoder()
        case _:
            return Identity()
