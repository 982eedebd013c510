"""Where the events of a stream end, the same however its bytes are cut into pieces.

`EventIndex` answers the same question for those who log events; it may put an end
before or behind the LF of a CRLF, as the pieces have it. Here the place is a matter of
the bytes alone, and it is known as early as can be: behind the blank line (WHATWG HTML
§9.2.5). Behind a CR an LF may still come. It is waited for if the line before ended in
CRLF; where lines end in CR alone, it is not.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from proxy.stream.event_stream import BOM

LF: Final = 0x0A
CR: Final = 0x0D
LINE_END = re.compile(rb"\r\n?|\n")
DATA: Final = b"data:"
# Of the first two bytes of a frame of a WebSocket.
FIN: Final = 0x80
OPCODE: Final = 0x0F
CONTROL: Final = 0x08  # from this one on
MASKED: Final = 0x80
LENGTH: Final = 0x7F
TWO_BYTES: Final = 126  # the length follows in so many
EIGHT_BYTES: Final = 127


class End(NamedTuple):
    """Where a blank line, or a line, ends in a piece. `event`: and an event with it?

    Without data a client dispatches none (§9.2.6).
    """

    at: int
    event: bool


class EventEnds:
    """Finds the ends of the events of one stream from its first byte on."""

    __slots__ = ("after_cr", "crlf", "event", "line", "start", "waits")

    def __init__(self) -> None:
        self.line = b""  # how it begins
        self.event = False  # the lines since the last end have data
        self.crlf = False  # the last line ended in CRLF
        self.after_cr = False  # an LF that comes next belongs to that CR
        self.waits = False  # behind a blank line whose LF is about to come
        self.start: bytes | None = b""  # what may be a part of a byte order mark

    def find(self, piece: bytes) -> list[End]:
        """The ends that become known with a piece; 0 is before its first byte."""
        if not piece:
            return []
        ends: list[End] = []
        at = 0
        if self.start is not None:
            at = self.begin(self.start, piece)
        elif self.after_cr:
            at = int(piece[0] == LF)
            self.crlf = at == 1
            self.after_cr = False
            if self.waits:
                ends.append(self.end(at))
        size = len(piece)
        while at < size:
            match = LINE_END.search(piece, at)
            if match is None:
                self.note(piece, at, size)
                break
            self.note(piece, at, match.start())
            at = self.end_line(piece, match.start(), match.end(), ends)
        return ends

    def finish(self) -> bool | None:
        """The stream has ended: was an event complete whose end was not told?"""
        return self.end(0).event if self.waits else None

    def begin(self, start: bytes, piece: bytes) -> int:
        """The first bytes; returns where the first line begins, or goes on."""
        known = start + piece[: len(BOM)]
        if len(known) < len(BOM) and BOM.startswith(known):
            self.start = known
            return len(piece)
        self.start = None
        if known.startswith(BOM):
            return len(BOM) - len(start)
        self.line = start
        return 0

    def note(self, piece: bytes, start: int, stop: int) -> None:
        """A part of a line."""
        missing = len(DATA) - len(self.line)
        if missing > 0:
            self.line += piece[start : min(start + missing, stop)]

    def end_line(self, piece: bytes, start: int, stop: int, ends: list[End]) -> int:
        """A line ends; returns where the next one begins."""
        line, self.line = self.line, b""
        open_cr = piece[stop - 1] == CR and stop == len(piece)
        before, self.crlf = self.crlf, stop - start == 2
        self.after_cr = open_cr
        if line:
            self.event = self.event or line == DATA or line == b"data"
            return stop
        if open_cr and before:
            self.waits = True
            return stop
        ends.append(self.end(stop if before else start + 1))
        return stop

    def end(self, at: int) -> End:
        """Something ends."""
        event, self.event, self.waits = self.event, False, False
        return End(at, event)


class LineEnds:
    """The same for a stream of lines, such as NDJSON: each LF ends one."""

    __slots__ = ("event",)

    def __init__(self) -> None:
        self.event = False  # the line is not blank

    def find(self, piece: bytes) -> list[End]:
        """The ends in a piece."""
        ends: list[End] = []
        at = 0
        while (stop := piece.find(b"\n", at)) >= 0:
            ends.append(End(stop + 1, self.event or piece[at:stop].strip() != b""))
            self.event = False
            at = stop + 1
        self.event = self.event or piece[at:].strip() != b""
        return ends

    def finish(self) -> bool | None:
        """Many a server leaves out the last line feed."""
        return True if self.event else None


class MessageEnds:
    """The same for what the server of a WebSocket sends (RFC 6455 §5.2): messages.

    Of one in several frames the last one ends it. Control frames end nothing.
    """

    __slots__ = ("header", "left")

    def __init__(self) -> None:
        self.header = bytearray()  # of the frame that has begun
        self.left = 0  # bytes of its payload, once the header is complete

    def find(self, piece: bytes) -> list[End]:
        """The ends in a piece."""
        ends: list[End] = []
        at, size = 0, len(piece)
        while at < size:
            missing = header_size(self.header) - len(self.header)
            if missing:
                self.header += piece[at : at + missing]
                at = min(at + missing, size)
                if len(self.header) < header_size(self.header):
                    continue
                self.left = payload_size(self.header)
            taken = min(self.left, size - at)
            self.left -= taken
            at += taken
            if not self.left:
                if self.header[0] & FIN and self.header[0] & OPCODE < CONTROL:
                    ends.append(End(at, True))
                self.header.clear()
        return ends

    def finish(self) -> bool | None:
        """A message that is not complete is none."""
        return None


def header_size(header: bytearray) -> int:
    """How long the header of a frame is, as far as that is known."""
    if len(header) < 2:
        return 2
    length = header[1] & LENGTH
    extended = 2 if length == TWO_BYTES else 8 if length == EIGHT_BYTES else 0
    return 2 + extended + (4 if header[1] & MASKED else 0)


def payload_size(header: bytearray) -> int:
    """How long the payload is behind a complete header."""
    length = header[1] & LENGTH
    if length == TWO_BYTES:
        return int.from_bytes(header[2:4], "big")
    if length == EIGHT_BYTES:
        return int.from_bytes(header[2:10], "big")
    return length


class PieceEnds:
    """The same for any other body: each piece counts as an event."""

    __slots__ = ()

    def find(self, piece: bytes) -> list[End]:
        """The end of the piece."""
        return [End(len(piece), True)]

    def finish(self) -> bool | None:
        """Nothing is left open."""
        return None
