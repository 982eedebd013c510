"""The messages of a WebSocket in what its two sides sent, and frames for messages.

RFC 6455 §5, and RFC 7692 for those that are compressed. For what people look at: where
bytes are not frames, or cannot be inflated, reading stops, and nothing is guessed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE = 0x0, 0x1, 0x2, 0x8
FINAL, COMPRESSED, MASKED = 0x80, 0x40, 0x80
TAIL = b"\x00\x00\xff\xff"  # RFC 7692 §7.2.2 puts it back
LONGEST = 64 * 1024 * 1024  # bytes of one message, inflated
NO_MASK = bytes(4)  # a mask that changes nothing


class WebSocketMessage(NamedTuple):
    """One message, or one control frame, whole."""

    opcode: int
    payload: bytes


def frame(message: WebSocketMessage, *, masked: bool) -> bytes:
    """A message in one frame; what a client sends is masked, by zeros here."""
    size = len(message.payload)
    mask = MASKED if masked else 0
    if size < 126:
        length = bytes([mask | size])
    elif size < 0x10000:
        length = struct.pack("!BH", mask | 126, size)
    else:
        length = struct.pack("!BQ", mask | 127, size)
    head = bytes([FINAL | message.opcode]) + length + (NO_MASK if masked else b"")
    return head + message.payload


class MessageReader:
    """Reads one side. `over`: its bytes could not be read on as frames."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.opcode = TEXT  # of the message that is not complete
        self.compressed = False
        self.parts: list[bytes] = []
        self.inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self.over = False

    def read(self, piece: bytes) -> Iterator[WebSocketMessage]:
        """The messages that become complete with a piece."""
        self.data += piece
        while not self.over and (found := self.take()) is not None:
            first, payload = found
            opcode = first & 0x0F
            if opcode >= CLOSE:
                yield WebSocketMessage(opcode, payload)
                continue
            if opcode != CONTINUATION:
                self.opcode = opcode
                self.compressed = bool(first & COMPRESSED)
                self.parts = []
            self.parts.append(payload)
            if first & FINAL:
                yield from self.finish()

    def take(self) -> tuple[int, bytes] | None:
        """The next frame: its first byte and its payload, unmasked."""
        data = self.data
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        mask = b""
        if data[1] & MASKED:
            mask = bytes(data[start : start + 4])
            start += 4
        if len(data) < start + size:
            return None
        payload = bytes(data[start : start + size])
        first = data[0]
        del data[: start + size]
        return first, unmasked(payload, mask)

    def finish(self) -> Iterator[WebSocketMessage]:
        """A message is complete."""
        payload, self.parts = b"".join(self.parts), []
        if self.compressed:
            try:
                payload = self.inflater.decompress(payload + TAIL, LONGEST)
            except zlib.error:
                self.over = True
                return
            if self.inflater.unconsumed_tail:
                self.over = True
                return
        yield WebSocketMessage(self.opcode, payload)


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """A payload without its mask."""
    if not mask.strip(b"\0"):
        return payload
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
