"""WebSocket frames of a client (RFC 6455 §5), where a host gives and takes messages.

No extension is offered, so none is in use. Pure but for the masks.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import NamedTuple

MOST_BYTES = 16 * 1024 * 1024  # of one message; uvicorn's limit for the other direction

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NOT_UTF8 = 1000, 1001, 1002, 1007
TOO_BIG, BROKEN = 1009, 1011
NO_CODE, ABNORMAL = 1005, 1006  # never on the wire (§7.4.1)


class Opcode(IntEnum):
    """What a frame is (§5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Arrived(NamedTuple):
    """A message, or a control frame. `text` of TEXT and of the reason in CLOSE."""

    opcode: Opcode
    data: bytes = b""
    text: str = ""
    code: int = NO_CODE


class FrameFault(Exception):
    """What came are no frames of a server. `code`: for the close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class ServerFrames:
    """Messages from the frames of a server, as bytes of them come."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.ahead = bytearray()
        self.message = bytearray()  # of the frames so far
        self.kind: Opcode | None = None  # of the message that has begun

    def feed(self, data: bytes) -> list[Arrived]:
        """What is complete with these bytes.

        Raises:
            FrameFault.
        """
        self.ahead += data
        found = []
        while (frame := self.take_frame()) is not None:
            arrived = self.arrived(*frame)
            if arrived is not None:
                found.append(arrived)
        return found

    def take_frame(self) -> tuple[bool, Opcode, bytes] | None:
        """The next frame, if it is complete: is it final, what is it, its payload."""
        ahead = self.ahead
        if len(ahead) < 2:
            return None
        first, second = ahead[0], ahead[1]
        if first & 0x70:
            raise FrameFault(PROTOCOL_ERROR, "a frame of an extension nobody offered")
        if second & 0x80:
            raise FrameFault(PROTOCOL_ERROR, "a masked frame from the server")
        try:
            opcode = Opcode(first & 0x0F)
        except ValueError:
            raise FrameFault(PROTOCOL_ERROR, "unknown opcode") from None
        begin = {126: 4, 127: 10}.get(second, 2)
        if len(ahead) < begin:
            return None
        size = int.from_bytes(ahead[2:begin], "big") if begin > 2 else second
        final = bool(first & 0x80)
        if opcode >= Opcode.CLOSE and (size > 125 or not final):
            raise FrameFault(PROTOCOL_ERROR, "a control frame that is long or in parts")
        if opcode < Opcode.CLOSE and len(self.message) + size > self.most:
            raise FrameFault(TOO_BIG, f"a message of more than {self.most} bytes")
        if len(ahead) < begin + size:
            return None
        payload = bytes(ahead[begin : begin + size])
        del ahead[: begin + size]
        return final, opcode, payload

    def arrived(self, final: bool, opcode: Opcode, payload: bytes) -> Arrived | None:
        """What a frame completes, if anything."""
        if opcode is Opcode.CLOSE:
            return closed(payload)
        if opcode >= Opcode.CLOSE:
            return Arrived(opcode, payload)
        if (opcode is Opcode.CONTINUATION) is (self.kind is None):
            raise FrameFault(PROTOCOL_ERROR, "a continuation that continues nothing")
        kind = self.kind if self.kind is not None else opcode
        self.message += payload
        self.kind = None if final else kind
        if not final:
            return None
        data = bytes(self.message)
        self.message.clear()
        return Arrived(kind, data, decoded(data) if kind is Opcode.TEXT else "")


def decoded(data: bytes) -> str:
    """Text of a server.

    Raises:
        FrameFault: it is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FrameFault(NOT_UTF8, "text that is not UTF-8") from None


def closed(payload: bytes) -> Arrived:
    """A close frame (§5.5.1).

    Raises:
        FrameFault.
    """
    if len(payload) == 1:
        raise FrameFault(PROTOCOL_ERROR, "a close code of one byte")
    if not payload:
        return Arrived(Opcode.CLOSE)
    code = int.from_bytes(payload[:2], "big")
    return Arrived(Opcode.CLOSE, payload, decoded(payload[2:]), code)


def client_frame(opcode: Opcode, payload: bytes) -> bytes:
    """A whole message, or a control frame, masked as a client has to (§5.3)."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    return head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload under a mask; to mask it again gives it back."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return number.to_bytes(size, "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """Our close; without a code where none can be on the wire."""
    if code in (NO_CODE, ABNORMAL):
        return client_frame(Opcode.CLOSE, b"")
    text = reason.encode("utf-8")[:123].decode("utf-8", "ignore")
    return client_frame(Opcode.CLOSE, code.to_bytes(2, "big") + text.encode("utf-8"))
