"""Frames of a WebSocket (RFC 6455 §5.2), compressed ones too (RFC 7692).

None of it is shared with the proxy, which the doctor may have to find at fault.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from hashlib import sha1

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
OPCODE, FINAL, DEFLATED, MASKED, SHORT = 0x0F, 0x80, 0x40, 0x80, 0x7F
LONGER = {126: 2, 127: 8}  # bytes of the length, where seven bits do not do
SYNC = b"\x00\x00\xff\xff"  # which the sender has taken off
LARGEST = 64 * 1024 * 1024  # bytes of one message
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Message = tuple[int, bytes]  # opcode and payload


def accepted(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that belongs to a key."""
    return base64.b64encode(sha1(key + GUID, usedforsecurity=False).digest())


def frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """A whole message, or a control frame. The mask of the doctor changes nothing."""
    size, flag = len(payload), MASKED if masked else 0
    if size < 126:
        length = bytes([flag | size])
    elif size < 1 << 16:
        length = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([flag | 127]) + size.to_bytes(8, "big")
    return bytes([FINAL | opcode]) + length + bytes(4 if masked else 0) + payload


class WebSocketReader:
    """Reads one side, piece by piece. `broken`: no frames, or too large a message."""

    def __init__(self) -> None:
        self.rest = b""  # of a frame that is not complete
        self.parts = b""  # of a message that is not complete
        self.opcode = TEXT
        self.deflated = False
        self.inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self.broken = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages and control frames that are complete with these bytes."""
        self.rest += data
        while not self.broken and (size := self.frame_size()) <= len(self.rest):
            whole, self.rest = self.rest[:size], self.rest[size:]
            message = self.take(whole)
            if message is not None:
                yield message

    def frame_size(self) -> int:
        """Bytes of the first frame; of one whose head is not here, more than are."""
        if len(self.rest) < 2:
            return 2
        short = self.rest[1] & SHORT
        start = 2 + LONGER.get(short, 0)
        if len(self.rest) < start:
            return start
        length = int.from_bytes(self.rest[2:start], "big") if start > 2 else short
        if length > LARGEST:
            self.broken = True
        return start + (4 if self.rest[1] & MASKED else 0) + length

    def take(self, whole: bytes) -> Message | None:
        """One frame; the message that it completes."""
        first, start = whole[0], 2 + LONGER.get(whole[1] & SHORT, 0)
        if whole[1] & MASKED:
            mask, payload = whole[start : start + 4], whole[start + 4 :]
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        else:
            payload = whole[start:]
        opcode = first & OPCODE
        if opcode >= CLOSE:
            return opcode, payload
        if opcode != CONTINUATION:
            self.opcode, self.parts = opcode, b""
            self.deflated = first & DEFLATED != 0
        self.parts += payload
        if not first & FINAL:
            return None
        return self.inflated() if self.deflated else (self.opcode, self.parts)

    def inflated(self) -> Message | None:
        try:
            text = self.inflater.decompress(self.parts + SYNC, LARGEST)
        except zlib.error:
            self.broken = True
            return None
        return self.opcode, text
