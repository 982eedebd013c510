"""The event stream format, observed as it passes (WHATWG HTML §9.2.5, §9.2.6).

Two readers, neither of which delays or changes a byte. `Boundary` knows
whether the stream stands between two events, from its last three bytes.
`EventReader` reads the events themselves, in bounded memory. Knows nothing of
sockets, chunks or content codings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"
TAIL = 3  # bytes; the longest tail that tells a boundary is \n\r\n
# A blank line stands at the end. CRLF, LF and CR end a line, in any mixture,
# and a final CR ends it whether or not the LF of a CRLF still comes.
BLANK_LINE = (b"\n\n", b"\r\r", b"\n\r", b"\n\r\n", b"\r\r\n")
# What stands before the first byte of a stream is as good as a blank line.
BEGINNING = b"\n\n"

END_OF_LINE = re.compile(rb"\r\n?|\n")
MAX_LINE_BYTES = 1024 * 1024  # of one line, and of the data of one event
NAME_BYTES = 64  # where a field's name is looked for in a line that is too long
DIGITS = re.compile(r"[0-9]+")


class Boundary:
    """Is the stream between two events?

    Between two events another may be written, or the stream may end, and no
    client is left with half an event. `at_beginning`: the first byte of the
    stream is still to come; otherwise nothing is known until a blank line.
    """

    __slots__ = ("start", "tail")

    def __init__(self, *, at_beginning: bool) -> None:
        self.start: bytes | None = b"" if at_beginning else None
        self.tail = BEGINNING if at_beginning else b""

    def observe(self, piece: bytes) -> None:
        """Take note of a piece that passes; never empty."""
        if self.start is not None:
            self.begin(piece)
        elif len(piece) < TAIL:
            self.tail = (self.tail + piece)[-TAIL:]
        else:
            self.tail = piece[-TAIL:]

    def begin(self, piece: bytes) -> None:
        """The first bytes: a byte order mark is no part of a line."""
        assert self.start is not None
        start = self.start + piece[: len(BOM)]
        if len(start) < len(BOM) and BOM.startswith(start):
            self.start = self.tail = start
            return
        content = (self.start + piece).removeprefix(BOM)
        self.start = None
        self.tail = (BEGINNING + content)[-TAIL:]

    @property
    def reached(self) -> bool:
        """True between two events, and before the first."""
        return self.tail.endswith(BLANK_LINE)

    @property
    def takes_comment(self) -> bool:
        """May a line be written here that adds no blank line?

        Behind LF CR the LF of a CRLF may still come. Where lines end in CR alone,
        it does not.
        """
        return self.reached and not self.tail.endswith(b"\n\r")


class LineBoundary:
    """Is a stream of lines, such as NDJSON, between two of them? As `Boundary`."""

    __slots__ = ("reached", "takes_comment")

    def __init__(self, *, at_beginning: bool) -> None:
        self.reached = at_beginning
        self.takes_comment = False  # there are none

    def observe(self, piece: bytes) -> None:
        """Take note of a piece that passes; never empty."""
        self.reached = piece.endswith(b"\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as a client dispatches it; `id` is the last that was set."""

    type: str
    data: str
    id: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that begins with a colon; a client ignores it."""

    text: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The stream sets the time before a reconnection."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line, or the data of one event, beyond the bound: it was not kept.

    `field` is the name of the field, "" where the line was too long to have one.
    """

    field: str


Item = Event | Comment | Retry | TooLong


class EventReader:
    """Reads the events of a stream from its pieces, however they are cut.

    At most about twice `max_line_bytes` are kept: of a line that is not
    complete, and of an event that is not. A longer line is skipped and told
    of, and so is the event that it belongs to.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.max_line_bytes = max_line_bytes
        self.line = bytearray()  # the line that is not complete
        self.skipping = False  # the line is too long; wait for its end
        self.after_cr = False  # an LF that comes next belongs to that CR
        self.first = True  # no line has been read: a BOM may stand before it
        self.last_event_id = ""
        self.type = ""
        self.data: list[str] = []
        self.size = 0  # of data, in bytes, its line feeds included
        self.spoilt = False  # a part of this event was not kept

    def read(self, piece: bytes) -> Iterator[Item]:
        """What becomes known with a piece; to be exhausted before the next."""
        start = 0
        if self.after_cr and piece:
            self.after_cr = False
            start = piece.startswith(b"\n")
        for end in END_OF_LINE.finditer(piece, start):
            yield from self.rest_of_line(piece[start : end.start()])
            yield from self.end_line()
            start = end.end()
        # A final CR may be half of a CRLF; the line has ended either way.
        self.after_cr = piece.endswith(b"\r") or (self.after_cr and not piece)
        yield from self.rest_of_line(piece[start:])

    def rest_of_line(self, part: bytes) -> Iterator[Item]:
        """Keep a part of a line, if it is not too long."""
        if self.skipping:
            return
        if len(self.line) + len(part) <= self.max_line_bytes:
            self.line += part
            return
        self.skipping = True
        known = min(NAME_BYTES, self.max_line_bytes)
        self.line += part[:known]
        name, colon, _ = bytes(self.line[:known]).partition(b":")
        self.line.clear()
        if name or not colon:  # a comment spoils no event
            self.spoilt = True
        yield TooLong(name.decode("utf-8", "replace") if colon else "")

    def end_line(self) -> Iterator[Item]:
        """A line is complete (§9.2.6: process the line)."""
        first, self.first = self.first, False
        if self.skipping:
            self.skipping = False
            return
        content = bytes(self.line)
        self.line.clear()
        if first:
            content = content.removeprefix(BOM)
        line = content.decode("utf-8", "replace")
        if not line:
            yield from self.dispatch()
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            yield Comment(value)
        else:
            yield from self.field(name, value, len(content))

    def field(self, name: str, value: str, size: int) -> Iterator[Item]:
        """Process a field; its name is compared letter by letter."""
        if name == "data":
            self.size += size
            if self.size <= self.max_line_bytes:
                self.data.append(value)
            elif not self.spoilt:
                self.spoilt = True
                yield TooLong("data")
        elif name == "event":
            self.type = value
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and len(value) < 20 and DIGITS.fullmatch(value):
            yield Retry(int(value))

    def dispatch(self) -> Iterator[Item]:
        """A blank line: the event is complete; without data there is none."""
        if self.data and not self.spoilt:
            yield Event(
                self.type or "message", "\n".join(self.data), self.last_event_id
            )
        self.type = ""
        self.data = []
        self.size = 0
        self.spoilt = False
