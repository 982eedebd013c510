"""A header block, in however many frames it comes (RFC 9113 §4.3, §6.2, §6.10)."""

from __future__ import annotations

from proxy.http2.faults import ConnectionFault
from proxy.http2.frames import (
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    LARGEST_NUMBER,
    NUMBER,
    PADDED,
    PROTOCOL_ERROR,
    WITH_PRIORITY,
)

PRIORITY_BYTES = 5  # a stream, a weight
# Frames of one block. Empty ones cost and bring nothing (CVE-2024-27316); a client
# fills its frames, so one for each KiB is far more than it needs.
FEWEST_FRAMES = 8
BYTES_PER_FRAME = 1024
# What is a little too large shall be told so by 431, and for that it has to be read.
LENIENCE = 4


class HeaderBlock:
    """The fragments of a block, up to the one that ends it."""

    __slots__ = ("ends_stream", "frames", "new", "number", "parts", "selfish", "size")

    def __init__(self, number: int, flags: int, payload: bytes, *, new: bool) -> None:
        """Begin with a HEADERS frame; `new`: it opens a stream.

        Raises:
            ConnectionFault.
        """
        self.number = number
        self.new = new
        self.ends_stream = flags & END_STREAM > 0
        self.selfish = False  # depends on itself
        start, stop = 0, len(payload)
        if flags & PADDED:
            if not payload:
                raise ConnectionFault(FRAME_SIZE_ERROR, "HEADERS without its padding")
            start = 1
            stop -= payload[0]
        if flags & WITH_PRIORITY:
            if len(payload) < start + PRIORITY_BYTES:
                raise ConnectionFault(FRAME_SIZE_ERROR, "HEADERS without its priority")
            self.selfish = depends_on(payload, start) == number
            start += PRIORITY_BYTES
        if stop < start:
            raise ConnectionFault(
                PROTOCOL_ERROR, f"HEADERS of stream {number}: padding too long"
            )
        fragment = payload[start:stop]
        self.parts = [fragment]
        self.size = len(fragment)
        self.frames = 1

    def add(self, fragment: bytes, max_head_bytes: int) -> None:
        """Go on with a CONTINUATION frame.

        Raises:
            ConnectionFault.
        """
        self.parts.append(fragment)
        self.size += len(fragment)
        self.frames += 1
        if self.size > LENIENCE * max_head_bytes:
            raise ConnectionFault(
                ENHANCE_YOUR_CALM,
                f"header block of more than {LENIENCE * max_head_bytes} bytes "
                "(max_head_bytes)",
            )
        if self.frames > max(FEWEST_FRAMES, max_head_bytes // BYTES_PER_FRAME):
            raise ConnectionFault(
                ENHANCE_YOUR_CALM,
                f"header block of {self.frames} frames for {self.size} bytes "
                "(max_head_bytes)",
            )

    @property
    def data(self) -> bytes:
        """The whole block."""
        return self.parts[0] if self.frames == 1 else b"".join(self.parts)


def depends_on(payload: bytes, start: int = 0) -> int:
    """The stream that a priority of RFC 7540 §5.3.1 names."""
    (number,) = NUMBER.unpack_from(payload, start)
    return int(number) & LARGEST_NUMBER
