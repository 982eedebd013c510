"""A few bytes that decode to very many cost one step of memory at a time."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest

from proxy.stream.content_decoder import GRACE, STEP, ContentDecoder, DecodingError
from tests.unit.stream.coding import CODINGS, encoded, zstd

BLOCK = bytes(1024 * 1024)
COUNT = 16
SIZE = COUNT * len(BLOCK)
LONGEST_STEP = 2 * STEP  # brotli rounds its limit up
BOUND = 1024 * 1024  # bytes of memory while 16 MiB pass


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    return {name: encoded(name, *[BLOCK] * COUNT) for name in CODINGS}


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("name", CODINGS)
def test_a_bomb_is_decoded_in_steps_of_bounded_memory(
    name: str, bombs: dict[str, bytes]
) -> None:
    """aiohttp 3.13.3 fixed one that was not."""
    decoder, total = ContentDecoder(CODINGS[name][0]), 0
    for step in decoder.decode(bombs[name]):
        assert len(step) <= LONGEST_STEP
        total += len(step)
    assert total == SIZE
    _, peak = tracemalloc.get_traced_memory()
    assert peak < BOUND


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("name", CODINGS)
def test_a_step_that_nobody_asks_for_is_not_computed(
    name: str, bombs: dict[str, bytes]
) -> None:
    """A slow client holds one step, not the whole bomb."""
    unasked, asked = [], []
    # What other threads of the process allocate meanwhile only adds to a peak.
    for _ in range(5):
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        steps = ContentDecoder(CODINGS[name][0]).decode(bombs[name])
        unasked.append(tracemalloc.get_traced_memory()[1] - before)
        assert 0 < len(next(steps)) <= LONGEST_STEP
        asked.append(tracemalloc.get_traced_memory()[1] - before)
        del steps
    assert min(unasked) < STEP
    assert min(asked) < BOUND


def drained(data: bytes) -> bytes:
    """All that brotli knows: one call gives no more than its first 32 KiB of it."""
    stream = brotli.Decompressor()
    pieces = [stream.process(data)]
    while pieces[-1]:
        pieces.append(stream.process(b""))
    return b"".join(pieces)


KNOWN: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: zlib.decompressobj(31).decompress(data),
    "deflate, wrapped": lambda data: zlib.decompressobj(15).decompress(data),
    "deflate, raw": lambda data: zlib.decompressobj(-15).decompress(data),
    "br": drained,
    "zstd": lambda data: zstd.ZstdDecompressor().decompress(data),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("size", [STEP, STEP + 1, STEP + 300, 3 * STEP + 1])
def test_a_full_step_leaves_nothing_behind_in_the_library(name: str, size: int) -> None:
    """What is known of a piece comes out with it, wherever the steps may end."""
    body = encoded(name, bytes(size))
    for end in range(1, len(body) + 1):
        (coding,) = CODINGS[name][0]
        output = b"".join(ContentDecoder([coding]).decode(body[:end]))
        assert output == KNOWN[name](body[:end])


# -- max_decoding_ratio


@pytest.mark.parametrize("name", CODINGS)
def test_a_bomb_is_refused_where_the_ratio_is_limited(
    name: str, bombs: dict[str, bytes]
) -> None:
    lengths: list[int] = []
    steps = ContentDecoder(CODINGS[name][0], 10).decode(bombs[name])
    with pytest.raises(
        DecodingError, match=r"10 times its size \(max_decoding_ratio\)"
    ):
        lengths.extend(map(len, steps))
    # The inner coding of a stack is given more than came from outside.
    if len(CODINGS[name][0]) == 1:
        allowed = GRACE + 10 * len(bombs[name])
        assert allowed - LONGEST_STEP <= sum(lengths) <= allowed


@pytest.mark.parametrize("name", CODINGS)
def test_a_limited_ratio_is_no_hindrance_to_honest_text(name: str) -> None:
    text = random.Random(2).randbytes(2 * GRACE)
    decoder = ContentDecoder(CODINGS[name][0], 2)
    assert b"".join(decoder.decode(encoded(name, text))) == text


def test_a_small_piece_may_become_large_by_grace() -> None:
    body = encoded("br", bytes(GRACE))
    assert len(body) < 100
    assert b"".join(ContentDecoder(["br"], 1).decode(body)) == bytes(GRACE)


def test_the_ratio_is_of_each_piece_alone() -> None:
    """A stream that is long, not dense, never comes to its end by that."""
    decoder, body = ContentDecoder(["gzip"], 1), encoded("gzip", bytes(8 * GRACE))
    for start in range(0, len(body), 500):
        assert len(b"".join(decoder.decode(body[start : start + 500]))) <= GRACE + 500
