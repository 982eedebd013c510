"""Content codings, packed whole: what an upstream sends that compresses."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["PACKERS", "zstd"]


def raw_deflate(data: bytes) -> bytes:
    """Deflate without the zlib format around it, as some send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def zstd_with_checksum(data: bytes) -> bytes:
    """Without its checksum zstd takes most corrupt data for good."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd_with_checksum,
}
