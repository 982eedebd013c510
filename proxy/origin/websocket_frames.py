"""Where the frames of a WebSocket begin and end (RFC 6455 §5.2), incrementally.

Enough to know when a client closes, and when nothing may be put between two pieces.
"""

from __future__ import annotations

CLOSE = 0x8
FINAL, MASKED = 0x80, 0x80
LONGEST_HEAD = 14  # bytes


class FrameScanner:
    """Follows one direction of a WebSocket."""

    def __init__(self) -> None:
        self.head = bytearray()  # of a frame, while it is not complete
        self.remaining = 0  # bytes of the present frame's payload
        self.closing: bytearray | None = None  # the payload of a Close, still masked
        self.closed = False  # a Close is there, and whole
        self.status = b""  # its payload
        self.mask = b""
        self.messages = 0  # that are complete
        self.ends_message = False  # does the present frame?

    @property
    def between(self) -> bool:
        """Does the next byte begin a frame?"""
        return not self.head and not self.remaining

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; is it closed now?"""
        position = 0
        while position < len(data) and not self.closed:
            if self.remaining:
                stop = min(position + self.remaining, len(data))
                if self.closing is not None:
                    self.closing += data[position:stop]
                self.remaining -= stop - position
                position = stop
                self.end_frame()
                continue
            self.head.append(data[position])
            position += 1
            if len(self.head) == head_length(self.head):
                self.begin_frame()
        return self.closed

    def begin_frame(self) -> None:
        """The head of a frame is complete."""
        head = bytes(self.head)
        self.head.clear()
        length = head[1] & 0x7F
        masked = bool(head[1] & MASKED)
        self.mask = head[-4:] if masked else b""
        if length >= 126:
            self.remaining = int.from_bytes(head[2 : 4 if length == 126 else 10], "big")
        else:
            self.remaining = length
        opcode = head[0] & 0x0F
        self.closing = bytearray() if opcode == CLOSE else None
        self.ends_message = opcode < CLOSE and bool(head[0] & FINAL)
        self.end_frame()

    def end_frame(self) -> None:
        """All of its payload may be there."""
        if self.remaining:
            return
        self.messages += self.ends_message
        if self.closing is not None:
            payload, mask = self.closing, self.mask or bytes(4)
            self.closed = True
            self.status = bytes(byte ^ mask[at & 3] for at, byte in enumerate(payload))
            self.closing = None


def head_length(begun: bytes | bytearray) -> int:
    """How long the head of a frame is of which this much is there."""
    if len(begun) < 2:
        return 2
    length = begun[1] & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    return 2 + extended + (4 if begun[1] & MASKED else 0)


def close_frame(payload: bytes) -> bytes:
    """A Close as a server sends it: not masked."""
    return bytes([FINAL | CLOSE, len(payload)]) + payload
