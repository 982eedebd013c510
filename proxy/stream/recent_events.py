"""The last few events of a stream, or lines of an NDJSON stream; a few references.

Neither delays nor changes a byte. Pieces are kept as they came and are read only when
somebody asks, so that noting one costs less than a microsecond. What is kept is
bounded, whatever the stream sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from proxy.stream.event_stream import BLANK_LINE, BOM, TAIL, Event, EventReader

KEPT = 4  # whole pieces, each of one event or more
MOST_BYTES = 64 * 1024  # of one of them; of a longer event, its two ends are kept
CUT = b"\0"  # stands for what is missing between them; not valid in JSON
# What is kept of the first event, as long as the stream.
SHORT = 256  # characters
BIG = 2**63
BLANK = b"\n\n"  # what most events end with; a line of NDJSON may, too
SHORTEST = 9  # bytes; a shorter piece may be nothing but blank lines
END_OF_EVENT = re.compile(rb"(?:\r\n|\n|\r)(?:\r\n|\n|\r)")
# Nothing but comments: as many may come as there are pings in a long silence.
COLON = 0x3A
COMMENTS = re.compile(rb"(?::[^\r\n]*[\r\n]+)+")
DECODER = json.JSONDecoder()
MARKS = {mark: re.compile(rf"\s*{re.escape(mark)}\s*") for mark in "{:,"}


class Item(NamedTuple):
    """One event, or one line of NDJSON.

    `type`: of the event, `message` where it names none, and of every line. `id`: the
    last that was set. `value`: of its data as JSON; None where it is none. `whole`:
    is that the value of all of it? Otherwise of the members that it begins with.
    """

    type: str
    data: str
    id: str
    value: Any
    whole: bool = True

    @property
    def members(self) -> dict[str, object]:
        """The JSON object that the data is; empty where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def outline(self) -> Item:
        """What is short in it: all that may be kept of it for as long as a stream."""
        return Item(self.type, "", self.id, outline(self.members), self.whole)


def outline(members: dict[str, object], *, deep: bool = False) -> dict[str, object]:
    """The short members of an object, and those of the objects in it."""
    found: dict[str, object] = {}
    for name, value in members.items():
        if isinstance(value, dict) and not deep:
            found[name] = outline(value, deep=True)
        elif value is None or is_short(value):
            found[name] = value
    return found


def is_short(value: object) -> bool:
    """Is it a short string, or a number that JSON can write?"""
    if isinstance(value, str):
        return len(value) <= SHORT
    return isinstance(value, int | float) and -BIG < value < BIG


class RecentEvents:
    """Keeps the last few events of one stream from its first byte on."""

    __slots__ = ("lines", "open", "tail", "whole")

    def __init__(self, *, lines: bool) -> None:
        self.lines = lines
        self.whole: list[bytes] = []  # each ends between two events
        self.open = bytearray()  # what came since then
        self.tail = b""  # of what is open

    def observe(self, piece: bytes) -> bool:
        """Take note of a piece; True if an event, or a line, ends with it."""
        if (
            self.open
            or not piece.endswith(BLANK)
            or not SHORTEST <= len(piece) <= MOST_BYTES
        ):
            if not self.open and not piece.strip(b"\r\n"):
                return False  # a further blank line, or the LF of a CRLF
            whole = self.closed_by(piece)
            if whole is None:
                return False
            piece = whole
        if piece[0] == COLON and not self.lines and COMMENTS.fullmatch(piece):
            return False
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
        self.open += piece
        if len(self.open) > MOST_BYTES:
            # What is kept is the end of it; all of it, if it is one event.
            self.open = bytearray(shortened(bytes(self.open), self.lines))
        if not reached:
            return None
        whole = bytes(self.open)
        self.open.clear()
        return whole

    def items(self, *, ended: bool = False) -> list[Item]:
        """What is kept, oldest first; an event that is not complete is left out.

        But not if the stream has `ended`: many a server leaves out the last line feed.
        """
        rest = [bytes(self.open), BLANK] if ended else []
        return list(read_items([*self.whole, *rest], lines=self.lines))


def shortened(data: bytes, lines: bool) -> bytes:
    """The last events of `data`, or the two ends of the last one, if that is long.

    About half of MOST_BYTES at most, so that a long event in short pieces is not
    looked at for each of them.
    """
    half = MOST_BYTES // 2
    start = after_boundary(data, len(data) - half, lines)
    if start is not None:
        return data[start:]
    start = last_start(data, lines)
    if len(data) - start <= half:
        return data[start:]
    return data[start : start + half // 2] + CUT + data[-(half // 2) :]


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
                yield item_of("message", text, "")
        return
    reader = EventReader()
    for piece in pieces:
        for each in reader.read(piece):
            if isinstance(each, Event) and each.data:
                yield item_of(each.type, each.data, each.id)


def item_of(kind: str, data: str, id: str) -> Item:
    """An event with the value of its data."""
    try:
        return Item(kind, data, id, json.loads(data))
    except (ValueError, RecursionError):
        return Item(kind, data, id, first_members(data) or None, whole=False)


def first_members(text: str) -> dict[str, object]:
    """The members that a JSON object begins with, where its rest was not kept.

    The value of the last one may be missing: None.
    """
    found: dict[str, object] = {}
    try:
        at = behind("{", text, 0)
        while True:
            name, at = DECODER.raw_decode(text, at)
            if not isinstance(name, str):
                return found
            found[name] = None
            found[name], at = DECODER.raw_decode(text, behind(":", text, at))
            at = behind(",", text, at)
    except (ValueError, RecursionError):
        return found


def behind(mark: str, text: str, at: int) -> int:
    """Where the next name or value begins: behind a mark that stands at `at`.

    Raises:
        ValueError: it does not.
    """
    match = MARKS[mark].match(text, at)
    if match is None:
        raise ValueError(mark)
    return match.end()
