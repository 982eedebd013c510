"""Content decoders: only their own error, bounded steps, the same at any cut."""

from __future__ import annotations

from proxy.stream.content_decoder import ContentDecoder, DecodingError

CODINGS = (
    ("gzip",),
    ("deflate",),
    ("br",),
    ("zstd",),
    ("gzip", "gzip"),
    ("br", "gzip"),
)
MAX_STEP = 1024 * 1024  # bytes; whatever the input, one step stays below it
MAX_OUTPUT = 4 * 1024 * 1024  # of a bomb, enough has been seen then


def check(data: bytes) -> None:
    """Two bytes choose the codings and a cut; the rest is coded data."""
    if len(data) < 2:
        return
    codings, place, data = CODINGS[data[0] % len(CODINGS)], data[1], data[2:]
    whole = decode(codings, [data])
    parts = decode(codings, [data[:place], data[place:]])
    if len(whole[0]) < MAX_OUTPUT:
        # Where it is broken is told at once or later, but what is given out
        # before is the beginning of the same.
        # libzstd, though: a frame of no bytes that announces some is a fault to it
        # only if the frame comes whole.
        assert whole[1] == parts[1] or "zstd" in codings
        assert whole[0] == parts[0] or whole[1]
        assert whole[0].startswith(parts[0]) or parts[0].startswith(whole[0])


def decode(codings: tuple[str, ...], parts: list[bytes]) -> tuple[bytes, bool]:
    """What comes out, and whether it was broken."""
    decoder = ContentDecoder(codings)
    out = bytearray()
    try:
        for part in parts:
            for step in decoder.decode(part) if part else ():
                assert len(step) <= MAX_STEP
                out += step
                if len(out) >= MAX_OUTPUT:
                    return bytes(out), False
    except DecodingError:
        return bytes(out), True
    return bytes(out), False
