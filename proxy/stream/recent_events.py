"""The last few events of a stream, or lines of an NDJSON stream; a few references.

Neither delays nor changes a byte. Pieces are kept as they came and are read only when
somebody asks, so that noting one costs less than a microsecond. What is kept is
bounded, whatever the stream sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from proxy.stream.event_stream import BLANK_LINE, BOM, TAIL, Event, EventReader

KEPT = 4  # whole pieces, each of one event or more
MOST_BYTES = 64 * 1024  # of one of them; of a longer event, its two ends are kept
BLANK = b"\n\n"  # what most events end with; a line of NDJSON may, too
END_OF_EVENT = re.compile(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)")


class Item(NamedTuple):
    """One event, or one line of NDJSON.

    `type`: of the event, `message` where it names none, and of every line. `id`: the
    last that was set. `value`: of its data as JSON; None where it is none.
    """

    type: str
    data: str
    id: str
    value: object

    @property
    def members(self) -> dict[str, object]:
        """The JSON object that the data is; empty where it is none."""
        return self.value if isinstance(self.value, dict) else {}


class RecentEvents:
    """Keeps the last few events of one stream from its first byte on."""

    __slots__ = ("lines", "open", "open_bytes", "tail", "whole")

    def __init__(self, *, lines: bool) -> None:
        self.lines = lines
        self.whole: list[bytes] = []  # each ends between two events
        self.open: list[bytes] = []  # pieces since then
        self.open_bytes = 0
        self.tail = b""  # of what is open

    def observe(self, piece: bytes) -> bool:
        """Take note of a piece; True if the stream is between two events behind it."""
        if self.open or not piece.endswith(BLANK) or not 8 < len(piece) <= MOST_BYTES:
            if not self.open and not piece.strip(b"\r\n"):
                return True  # a further blank line, or the LF of a CRLF
            whole = self.closed_by(piece)
            if whole is None:
                return False
            piece = whole
        self.whole.append(piece)  # most pieces are one event
        if len(self.whole) > KEPT:
            del self.whole[0]
        return True

    def closed_by(self, piece: bytes) -> bytes | None:
        """All that is open, if it ends with this piece between two events."""
        if self.lines:
            reached = piece.endswith(b"\n")
        else:
            self.tail = ((self.tail if self.open else BLANK) + piece)[-TAIL:]
            reached = self.tail.endswith(BLANK_LINE)
        self.open.append(piece)
        self.open_bytes += len(piece)
        if self.open_bytes > MOST_BYTES:
            self.shorten()
        if not reached:
            return None
        whole = b"".join(self.open)
        self.open.clear()
        self.open_bytes = 0
        return whole

    def shorten(self) -> None:
        """Keep the end of what is open; all of it, if it is one event."""
        kept = shortened(b"".join(self.open), self.lines)
        self.open[:] = [kept]
        self.open_bytes = len(kept)

    def items(self) -> list[Item]:
        """What is kept, oldest first; an event that is not complete is left out."""
        return list(read_items(self.whole, lines=self.lines))


def shortened(data: bytes, lines: bool) -> bytes:
    """The last events of `data`, or the two ends of the last one, if that is long.

    At most half of MOST_BYTES, so that a long event in short pieces is not looked at
    for each of them.
    """
    half = MOST_BYTES // 2
    start = after_boundary(data, len(data) - half, lines)
    if start is not None:
        return data[start:]
    start = last_start(data, lines)
    if len(data) - start <= half:
        return data[start:]
    return data[start : start + half // 2] + data[-(half // 2) :]


def after_boundary(data: bytes, start: int, lines: bool) -> int | None:
    """Where an event begins behind `start`, if one does."""
    if lines:
        found = data.find(b"\n", start)
        end = found + 1 if found >= 0 else 0
    else:
        match = END_OF_EVENT.search(data, start)
        end = match.end() if match is not None else 0
    return end if 0 < end < len(data) else None


def last_start(data: bytes, lines: bool) -> int:
    """Where the last event of `data` begins."""
    if lines:
        return data.rfind(b"\n", 0, len(data) - 1) + 1
    start = 0
    for match in END_OF_EVENT.finditer(data):
        if match.end() < len(data):
            start = match.end()
    return start


def read_items(pieces: Iterable[bytes], *, lines: bool) -> Iterable[Item]:
    """The events in `pieces` that have data, or the lines that are not blank."""
    if lines:
        for line in b"".join(pieces).split(b"\n"):
            if line.strip():
                text = line.removeprefix(BOM).decode("utf-8", "replace")
                yield Item("message", text, "", parsed(text))
        return
    reader = EventReader()
    for piece in pieces:
        for each in reader.read(piece):
            if isinstance(each, Event) and each.data:
                yield Item(each.type, each.data, each.id, parsed(each.data))


def parsed(text: str) -> object:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
