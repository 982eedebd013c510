"""What decoding costs: each step is bounded, and a piece has no more than it pays for.

Counted in steps and in bytes that a library copies, never in seconds.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from proxy.stream.content_decoder import (
    STEP,
    TAKE,
    ContentDecoder,
    Decoder,
    DecodingError,
    GzipDecoder,
    ZstdDecoder,
)
from tests.unit.stream.coding import CODINGS, Zlib, zstd

READ = 256 * 1024  # bytes; the longest read of a socket
EMPTY_FRAME = b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"  # RFC 8878: one empty block
SKIPPED_FRAME = b"\x50\x2a\x4d\x18\0\0\0\0"
# Codings in which bytes mean nothing: a unit, how it begins, how many there may be.
NOTHING: dict[str, tuple[tuple[str, ...], bytes, bytes]] = {
    "gzip members": (("gzip",), b"", gzip.compress(b"")),
    "gzip padding": (("gzip",), gzip.compress(b""), b"\0"),
    "deflate blocks": (("deflate",), b"\x78\x9c", b"\0\0\0\xff\xff"),
    "raw deflate blocks": (("deflate",), b"", b"\0\0\0\xff\xff"),
    "behind deflate": (("deflate",), zlib.compress(b""), b"x"),
    "br metadata": (("br",), b"\x0c", b"\x06"),
    "zstd frames": (("zstd",), b"", EMPTY_FRAME),
    "zstd frames to skip": (("zstd",), b"", SKIPPED_FRAME),
}


def flood(name: str, size: int) -> tuple[tuple[str, ...], bytes]:
    """Its codings, and about so many bytes."""
    codings, begin, unit = NOTHING[name]
    return codings, begin + unit * (size // len(unit))


@pytest.mark.parametrize("name", NOTHING)
def test_bytes_that_mean_nothing_take_steps_all_the_same(name: str) -> None:
    """Who counts steps to share the loop has to hear of each."""
    codings, data = flood(name, READ)
    decoder = ContentDecoder(codings)
    steps = list(decoder.decode(data))
    assert not any(steps)
    if name != "behind deflate":  # which is not even looked at
        assert len(steps) >= len(data) // TAKE


@pytest.mark.parametrize("name", NOTHING)
def test_twice_the_bytes_take_twice_the_steps_at_most(name: str) -> None:
    def steps(size: int) -> int:
        codings, data = flood(name, size)
        return len(list(ContentDecoder(codings).decode(data)))

    assert steps(READ) <= 2 * steps(READ // 2) + 2


def copied_by_zlib(decoder: Decoder) -> int:
    assert isinstance(decoder, GzipDecoder)
    member = decoder.member
    return 0 if member is None else len(member.unused_data + member.unconsumed_tail)


def copied_by_zstd(decoder: Decoder) -> int:
    assert isinstance(decoder, ZstdDecoder)
    frame = decoder.frame
    return 0 if frame is None or not frame.eof else len(frame.unused_data)


@pytest.mark.parametrize(
    ("name", "copied"),
    [
        pytest.param("gzip members", copied_by_zlib, id="gzip members"),
        pytest.param("zstd frames", copied_by_zstd, id="zstd frames"),
        pytest.param("zstd frames to skip", copied_by_zstd, id="zstd frames to skip"),
    ],
)
def test_what_follows_a_member_is_not_copied_for_each(
    name: str, copied: Callable[[Decoder], int]
) -> None:
    """The libraries keep a copy of all bytes behind an end: quadratic in a read."""
    codings, data = flood(name, READ)
    decoder = ContentDecoder(codings)
    (only,) = decoder.stack
    total = sum(copied(only) for _ in decoder.decode(data))
    assert 0 < total < 32 * len(data)


@pytest.mark.parametrize("sizes", [[0, 1, 300, 70_000, 5, 0, 0, 20_000, 1]])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_of_any_size_follow_each_other(coding: str, sizes: list[int]) -> None:
    """What is given to a library doubles while a member lasts."""
    pack = gzip.compress if coding == "gzip" else zstd.compress
    texts = [b"%07d" % n * (size // 7) for n, size in enumerate(sizes)] * 3
    body = b"".join(map(pack, texts))
    for size in (len(body), 1000, 257):
        decoder = ContentDecoder([coding])
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        steps = [step for piece in pieces for step in decoder.decode(piece)]
        assert b"".join(steps) == b"".join(texts)


@pytest.mark.parametrize("name", CODINGS)
def test_a_step_has_a_bounded_output_whatever_the_piece(name: str) -> None:
    codings, make = CODINGS[name]
    encoder = make()
    text = bytes(range(256)) * 4096
    body = encoder.piece(text) + encoder.end()
    steps = list(ContentDecoder(codings).decode(body))
    assert b"".join(steps) == text
    assert max(map(len, steps)) <= 2 * STEP


# -- stacks


def stacked_padding(levels: int) -> bytes:
    """A member and 4 MiB of padding behind it, packed over and over: a few KB."""
    data = gzip.compress(b"") + bytes(4 << 20)
    for _ in range(levels - 1):
        packer = Zlib(31)
        data = packer.piece(data) + packer.end()
    return data


def test_padding_inside_a_stack_takes_steps_too() -> None:
    body = stacked_padding(3)
    assert len(body) < 16 * 1024
    steps = list(ContentDecoder(["gzip"] * 3).decode(body))
    assert not any(steps)
    assert len(steps) >= (4 << 20) // STEP


def test_the_ratio_is_that_of_the_bytes_that_came() -> None:
    """Otherwise each coding of a stack would multiply what the last one allowed."""
    body = stacked_padding(3)
    steps = ContentDecoder(["gzip"] * 3, 10).decode(body)
    with pytest.raises(DecodingError, match=r"10 times its size"):
        for _ in steps:
            pass
