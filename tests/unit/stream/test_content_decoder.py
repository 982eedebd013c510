"""Content codings, decoded: the same text however the bytes are cut."""

from __future__ import annotations

import contextlib
import gzip
import random
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.stream.content_decoder import ContentDecoder, DecodingError
from tests.unit.stream.coding import CODINGS, encoded, zstd

EVENTS = [f"data: event {n} 你好\n\n".encode() for n in range(6)]
TEXT = b"".join(EVENTS)
NOISE = random.Random(1).randbytes(3000)
BODIES = {name: encoded(name, *EVENTS) for name in CODINGS}
SINGLE = ["gzip", "deflate, wrapped", "deflate, raw", "br", "zstd"]


def decoded(codings: Iterable[str], pieces: Iterable[bytes]) -> bytes:
    decoder = ContentDecoder(codings)
    return b"".join([step for piece in pieces for step in decoder.decode(piece)])


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def fault(coding: str, *pieces: bytes) -> str:
    """The message with which the coded data is refused."""
    with pytest.raises(DecodingError) as caught:
        decoded([coding], pieces)
    return str(caught.value)


# -- what is decoded


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT, id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(b"x", id="one byte"),
        pytest.param(NOISE, id="noise"),
    ],
)
def test_a_body_is_decoded_whole_and_byte_by_byte(name: str, text: bytes) -> None:
    codings, body = CODINGS[name][0], encoded(name, text)
    assert decoded(codings, [body]) == text
    assert decoded(codings, single(body)) == text


@pytest.mark.parametrize("name", CODINGS)
@given(data=st.data())
def test_a_body_is_decoded_however_it_is_cut(name: str, data: st.DataObject) -> None:
    body = BODIES[name]
    bounds = sorted(data.draw(st.sets(st.integers(1, len(body) - 1))))
    pieces = [body[a:b] for a, b in pairwise([0, *bounds, len(body)])]
    assert decoded(CODINGS[name][0], pieces) == TEXT


@pytest.mark.parametrize("name", CODINGS)
def test_each_flushed_piece_is_decoded_before_the_next_comes(name: str) -> None:
    codings, make = CODINGS[name]
    encoder, decoder = make(), ContentDecoder(codings)
    for event in EVENTS:
        assert b"".join(decoder.decode(encoder.piece(event))) == event
    assert b"".join(decoder.decode(encoder.end())) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_without_a_byte_is_an_empty_text(coding: str) -> None:
    """Servers label an empty body as they label the others."""
    assert decoded([coding], []) == b""


def test_without_a_coding_pieces_pass_as_they_are() -> None:
    assert list(ContentDecoder([]).decode(b"abc")) == [b"abc"]


# -- gzip


MEMBERS = gzip.compress(b"one, ") + gzip.compress(b"") + gzip.compress(b"two")
GZIP_BODIES = {
    "several members, RFC 1952 2.2": (MEMBERS, b"one, two"),
    "zeros at the end": (MEMBERS + b"\0" * 600, b"one, two"),
    "zeros between members": (
        gzip.compress(b"one, ") + b"\0\0\0" + gzip.compress(b"two"),
        b"one, two",
    ),
    "a file name in the header": (
        gzip.compress(b"x")[:3] + b"\x08" + gzip.compress(b"x")[4:10] + b"name\0"
        + gzip.compress(b"x")[10:],
        b"x",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "text"), GZIP_BODIES.values(), ids=GZIP_BODIES)
def test_gzip_in_all_its_forms_is_decoded(body: bytes, text: bytes) -> None:
    assert decoded(["gzip"], [body]) == text
    assert decoded(["gzip"], single(body)) == text
    for place in range(1, len(body)):
        assert decoded(["gzip"], [body[:place], body[place:]]) == text


# -- deflate


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("wbits", [9, 12, 15, -9, -15])
def test_deflate_of_any_level_and_window_is_told_apart(level: int, wbits: int) -> None:
    """RFC 9110 §8.4.1.2: some send RFC 1951 data without its RFC 1950 wrapper."""
    for text in (TEXT, NOISE, b""):
        stream = zlib.compressobj(level, zlib.DEFLATED, wbits)
        body = stream.compress(text) + stream.flush()
        assert decoded(["deflate"], [body]) == text
        assert decoded(["deflate"], single(body)) == text


# -- zstd


def test_several_zstd_frames_are_one_body() -> None:
    """RFC 8878 §3.1: also with a frame that is skipped between two."""
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    body = zstd.compress(b"one, ") + skipped + zstd.compress(b"two")
    assert decoded(["zstd"], [body]) == b"one, two"
    assert decoded(["zstd"], single(body)) == b"one, two"


def frame(window_log: int) -> bytes:
    parameter = zstd.CompressionParameter
    # A frame that told its content's size would need no more than that.
    stream = zstd.ZstdCompressor(
        options={
            int(parameter.window_log): window_log,
            int(parameter.content_size_flag): 0,
        }
    )
    return stream.compress(TEXT, zstd.ZstdCompressor.FLUSH_BLOCK) + stream.flush()


def test_a_zstd_window_of_8_mib_is_decoded_and_a_larger_one_refused() -> None:
    """RFC 9659 §3: what a sender may ask a recipient to hold in memory."""
    assert decoded(["zstd"], [frame(23)]) == TEXT
    assert "memory" in fault("zstd", frame(24))


# -- what is refused


JUNK = [b"j", b"junk", b"<html>", b"\0\xff"]


@pytest.mark.parametrize("name", ["br", "zstd"])
@pytest.mark.parametrize("junk", JUNK)
def test_bytes_after_the_end_of_br_and_zstd_are_refused(name: str, junk: bytes) -> None:
    (coding,), body = CODINGS[name][0], BODIES[name]
    for pieces in ([body + junk], [body, junk], single(body + junk)):
        assert fault(coding, *pieces, b"more").startswith(f"{coding}: ")


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("coded", [b"<html>not coded at all</html>", b"\xff" * 40])
def test_bytes_that_are_not_coded_are_refused(name: str, coded: bytes) -> None:
    (coding,) = CODINGS[name][0]
    for pieces in ([coded], single(coded)):
        assert fault(coding, *pieces).startswith(f"{coding}: ")


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        pytest.param("gzip", BODIES["br"], "gzip header", id="br as gzip"),
        pytest.param("gzip", b"\0\0\0\0", "the gzip header", id="nothing but padding"),
        pytest.param(
            "gzip", MEMBERS[:-8] + bytes(4) + MEMBERS[-4:], "data check", id="checksum"
        ),
        pytest.param("gzip", MEMBERS[:-4] + bytes(4), "length check", id="length"),
        pytest.param(
            "deflate", zlib.compress(TEXT)[:-4] + bytes(4), "data check", id="adler"
        ),
        pytest.param(
            "deflate", b"\x78\xbb\0\0\0\1\0", "Error 2", id="preset dictionary"
        ),
        pytest.param("br", BODIES["gzip"], "failed", id="gzip as br"),
        pytest.param("zstd", BODIES["gzip"], "Unknown frame", id="gzip as zstd"),
    ],
)
def test_a_corrupt_body_is_refused_and_the_fault_named(
    coding: str, body: bytes, words: str
) -> None:
    for pieces in ([body], single(body)):
        message = fault(coding, *pieces)
        assert message.startswith(f"{coding}: ")
        assert words.lower() in message.lower()


@pytest.mark.parametrize("name", CODINGS)
@given(data=st.data())
def test_bytes_that_were_changed_raise_nothing_but_a_decoding_error(
    name: str, data: st.DataObject
) -> None:
    body = bytearray(BODIES[name])
    for place in data.draw(st.sets(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    with contextlib.suppress(DecodingError):
        decoded(CODINGS[name][0], [bytes(body[:cut]), bytes(body[cut:])])


def test_text_before_the_fault_is_decoded() -> None:
    decoder = ContentDecoder(["zstd"])
    steps = decoder.decode(BODIES["zstd"] + b"junk")
    assert next(steps) == TEXT
    with pytest.raises(DecodingError):
        list(steps)


# -- how it may end, where the framing says that the body is whole


@pytest.mark.parametrize("name", CODINGS)
def test_a_body_that_ends_early_is_what_could_be_known_of_it(name: str) -> None:
    """As curl, Node and browsers have it: one without its checksum is complete."""
    codings, body = CODINGS[name][0], BODIES[name]
    for end in range(len(body)):
        assert TEXT.startswith(decoded(codings, [body[:end]]))


TRAILERS = {"gzip": 8, "deflate, wrapped": 4}


@pytest.mark.parametrize("name", TRAILERS)
def test_a_body_without_its_trailer_is_decoded_whole(name: str) -> None:
    codings, body = CODINGS[name][0], BODIES[name]
    for missing in range(1, TRAILERS[name] + 1):
        assert decoded(codings, [body[:-missing]]) == TEXT
        assert decoded(codings, single(body[:-missing])) == TEXT


@pytest.mark.parametrize("name", ["gzip", "deflate, wrapped", "deflate, raw"])
@pytest.mark.parametrize("junk", [*JUNK, b"\r\n" * 40_000, b"\x1f\x8c\x08"])
def test_what_follows_the_end_of_gzip_and_deflate_is_ignored(
    name: str, junk: bytes
) -> None:
    """A line end behind the script that compressed, say; browsers ignore it."""
    codings, body = CODINGS[name][0], BODIES[name]
    for pieces in ([body + junk], [body, junk], [body, junk[:1], junk[1:], junk]):
        assert decoded(codings, [piece for piece in pieces if piece]) == TEXT
