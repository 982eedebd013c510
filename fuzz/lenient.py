"""Lenient reading of an upstream: strict input is read alike, sloppy input as meant.

What the strict readers take comes out unchanged, so that the key makes no response
worse. The result is the same at any cut.
"""

from __future__ import annotations

import re
import sys

from proxy.errors import ProxyError
from proxy.http1.chunked import ChunkedBody
from proxy.http1.grammar import END_OF_HEAD, Fields
from proxy.http1.head import ResponseHead, parse_response_head
from proxy.http1.lenient import Lenient, LenientChunkedBody, strict_head

LONE_LF = re.compile(rb"(?<!\r)\n")
COLON = re.compile(rb"(?m)^([^ \t\r\n:]++):")
Body = tuple[bytes, bool, bool, bytes, Fields]


def check(data: bytes) -> None:
    """Two bytes choose the reader and a cut; the rest is what the upstream sends."""
    if len(data) < 2:
        return
    kind, place, data = data[0], data[1], data[2:]
    if kind % 2:
        check_head(data, place)
    else:
        check_chunks(data, place)
        check_sloppy_chunks(data, place)


def check_head(data: bytes, place: int) -> None:
    lenient = Lenient()
    whole = lenient.head(data, 0)
    if whole is None:
        assert lenient.head(data, min(place, len(data))) is None
        return
    strict, length = whole
    for cut in {min(place, length - 1), *range(max(length - 4, 0), length)}:
        assert lenient.head(data[:cut], 0) is None
        assert lenient.head(data, cut) == whole
    taken = data[:length]
    assert strict.endswith(b"\r\n\r\n")
    assert LONE_LF.search(strict) is None
    assert strict_head(strict) == strict
    # The strict reader is given what ends with an empty line, and no earlier one.
    ends = taken.find(END_OF_HEAD) + 4 == length
    head = read_head(taken) if ends else None
    if head is not None:
        assert strict == taken
        sloppy = COLON.sub(rb"\1 \t:", taken.replace(b"\r\n", b"\n"))
        again = lenient.head(sloppy, 0)
        assert again is not None
        assert again[1] == len(sloppy)
        same = read_head(again[0])
        assert same is not None
        assert (same.status, same.fields) == (head.status, head.fields)


def read_head(text: bytes) -> ResponseHead | None:
    try:
        return parse_response_head(text)
    except ProxyError:
        return None


def check_chunks(data: bytes, place: int) -> None:
    whole = read(LenientChunkedBody(), [data])
    by_byte = [data[n : n + 1] for n in range(min(len(data), 300))]
    assert read(LenientChunkedBody(), [data[:place], data[place:]]) == whole
    assert read(LenientChunkedBody(), [*by_byte, data[300:]]) == whole
    assert read(LenientChunkedBody(), [data], most=1) == whole
    check_between(data, place, whole)
    strict = read(ChunkedBody(), [data])
    assert whole[0].startswith(strict[0])  # a fault comes later, if it comes at all
    if strict[1]:
        assert whole == strict


def check_between(data: bytes, place: int, whole: Body) -> None:
    """Between two chunks nothing is kept: one who begins there reads the same."""
    body = LenientChunkedBody()
    before = body.feed(data[:place]) if place else b""
    if body.between:
        payload, *rest = read(LenientChunkedBody(), [data[place:]])
        assert (before + payload, *rest) == whole


def check_sloppy_chunks(data: bytes, place: int) -> None:
    """Any content comes out of chunks as old servers write them."""
    size = place + 1
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    text = b"".join(b" %x \t\n%b\n" % (len(piece), piece) for piece in pieces)
    text += b"0 \nTrailer : x\n\nmore"
    body = read(LenientChunkedBody(), [text])
    assert body == (data, True, False, b"more", [(b"Trailer", b"x")])
    one, payload = LenientChunkedBody(), b""
    while not one.complete:  # a turn of the loop takes no more than it is given
        piece = one.feed(text, 1)
        assert len(piece) <= size
        payload += piece
        text, one.excess = one.excess, b""
    assert payload == data


def read(body: ChunkedBody, parts: list[bytes], most: int = sys.maxsize) -> Body:
    """Payload, is it complete, is it broken, what follows, trailers."""
    payload = excess = b""
    for part in parts:
        if body.complete:
            excess += part
            continue
        rest = part
        while rest and body.error is None and not body.complete:
            payload += body.feed(rest, most)
            rest, body.excess = body.excess, b""
        excess += rest if body.complete else b""
    broken = body.error is not None
    return payload, body.complete, broken, b"" if broken else excess, body.trailers
