"""Where the events of a stream end and which ids they have, as its pieces pass.

Holds nothing back. Changes nothing, unless it is asked to number the events of an
upstream that does not (WHATWG HTML §9.2.5, §9.2.6). Knows nothing of logs and clients.

An id of ours stands in a line of its own at the end of its event, before the blank
line. Theory: it may stand anywhere in the event, since a client takes it when the
event is complete. Practice: @microsoft/fetch-event-source takes an id when its line
comes, so a client cut between an id and its data would never ask for that data. At
the end all is known, too: an event that got an id of its upstream gets none of ours,
so ours count 1, 2, 3 … without a gap.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.stream.event_stream import BOM

# `LF in piece` is one search in C. With bytes on its left, `in` first raises and
# catches an error, which takes seven times as long (CPython); there `find` is better.
LF: Final = 0x0A
CR: Final = 0x0D
COLON: Final = 0x3A
MAX_ID_BYTES: Final = 1024  # a longer one is none that a client can come back with
MAX_ID_LINE: Final = MAX_ID_BYTES + len(b"id: ")
NO_EVENT: Final = b""  # in the place of an id: a cut behind comments or blank lines

# What nearly every event begins with; its line is neither a comment nor an id.
PLAIN: Final = (b"data:", b"event:")
SHORTEST: Final = 8  # bytes, of an event that is not looked at by `scan`
PLAIN_LINE: Final = (b"{",)  # of a stream of lines: it is not blank
ID_PREFIXES: Final = (b"i", b"id", b"id:")

# An LF behind a CR belongs to it (possessive: it is never given back).
END_OF_LINE = r"(?:\r\n?+|\n)"
LAST_LINE = re.compile(rf"{END_OF_LINE}(?=[\r\n])".encode())
BLANK_LINES = re.compile(rb"[\r\n]++")
LINE_END = re.compile(rb"[\r\n]")
REST_OF_LINE = re.compile(rf"[^\r\n]*+(?:{END_OF_LINE}|\Z)".encode())
COMMENTS = re.compile(rf"(?::[^\r\n]*+(?:{END_OF_LINE}|\Z))*+".encode())
ID_LINE = re.compile(rb"(?:\A|[\r\n])id(?::([^\r\n]*+))?(?=[\r\n])")

Cut = tuple[int, bytes | None]


class EventIndex:
    """Finds the events of one stream from its first byte on.

    `lines`: a stream of lines such as NDJSON, cut behind each LF. `prefix`: events that
    the upstream gives no id get one: `prefix` and a number from 1 on.

    `cuts`: what the last `scan` has found: where an event ends in the piece that it
    returned, and the id that a client has from there on, if this event has set it;
    `NO_EVENT` if nothing but comments or blank lines ends there. Blank lines in a row
    are cut once. An event ends behind the CR of a CRLF whose LF comes in a later piece.

    `plain`: what comes next is one plain event if it begins with one of `starts`, has
    `ending` at its end only, and neither a CR nor an id. Then who counts it, if it gets
    an id, need not `scan` it; but those below SHORTEST.
    """

    __slots__ = (
        "after_cr",
        "at_line",
        "content",
        "count",
        "cuts",
        "ending",
        "framed_end",
        "id",
        "id_line",
        "lines",
        "numbered",
        "plain",
        "prefix",
        "reached",
        "restarted",
        "start",
        "starts",
        "text_stop",
        "upstream_id",
    )

    def __init__(self, *, lines: bool, prefix: bytes | None) -> None:
        self.lines = lines
        self.starts = PLAIN_LINE if lines else PLAIN
        self.ending = b"\n" if lines else b"\n\n"
        self.framed_end = self.ending + b"\r\n"  # of a chunk
        self.text_stop = -len(self.framed_end)
        # None as soon as the upstream numbers its events; lines have no ids.
        self.prefix = None if lines else prefix
        self.cuts: list[Cut] = []
        self.count = 0  # events that have an id of ours
        self.numbered = False  # the upstream has set an id itself
        # The last one that it set, up to the last cut; empty: none.
        self.upstream_id = b""
        self.reached = True  # between two events, or before the first
        self.restarted = False
        self.start: bytes | None = b""  # what may be a part of a byte order mark
        self.plain = False  # `reached`, and nothing special may come
        # Of the event that has begun:
        self.at_line = True  # its next byte begins a line
        self.after_cr = False  # an LF that comes next belongs to that CR
        self.content = False  # it has a line that is not a comment
        self.id: bytes | None = None  # of the upstream; empty: not a usable one
        self.id_line = b""  # a line that is not complete and may be an id

    def scan(self, piece: bytes) -> bytes:
        """The piece as clients get it: the same object if nothing was put in.

        Never empty. Most pieces are one event, which C functions recognise.
        """
        if (
            self.plain
            and piece.startswith(self.starts)
            and piece.find(self.ending) == len(piece) - len(self.ending)
            and CR not in piece
            and piece.find(b"\nid") < 0
        ):
            if self.prefix is None:
                self.cuts = [(len(piece), None)]
                return piece
            self.count += 1
            id = b"%b%d" % (self.prefix, self.count)
            piece = b"%bid: %b\n\n" % (piece[:-1], id)
            self.cuts = [(len(piece), id)]
            return piece
        self.cuts = []
        if self.lines:
            self.scan_lines(piece)
            return piece
        if self.restarted:
            piece = self.without_mark(piece)
            if not piece:
                return piece
        return self.scan_any(piece)

    def is_one(self, text: bytes) -> bool:
        """Are these lines, with `ending` behind them, one plain event?"""
        return (
            not self.lines
            and text.find(b"\n\n") < 0
            and text.find(b"\nid") < 0
            and text[-1] != LF
        )

    def restart(self) -> None:
        """The next piece begins a further response of the upstream, and an event.

        The event that was not complete is forgotten. The byte order mark of a further
        response would spoil the line that follows, so it is taken away; the piece that
        `scan` returns may then be empty.
        """
        self.reached = self.at_line = True
        self.plain = self.after_cr = self.content = False
        self.id = None
        self.id_line = b""
        self.start = b""
        self.restarted = True

    def begin_later(self, *, between: bool) -> None:
        """The next piece goes on with a stream whose beginning was not seen.

        `between`: it begins an event. Nothing is taken away.
        """
        self.restart()
        self.restarted = False
        self.start = None
        self.reached = self.at_line = between
        self.content = not between

    def without_mark(self, piece: bytes) -> bytes:
        """The first bytes of a further response; a part of a mark is held back."""
        assert self.start is not None
        piece = self.start + piece
        if len(piece) < len(BOM) and BOM.startswith(piece):
            self.start = piece
            return b""
        self.start = None
        self.restarted = False
        return piece.removeprefix(BOM)

    def scan_lines(self, piece: bytes) -> None:
        """NDJSON: each LF ends a line."""
        start = 0
        while True:
            end = piece.find(b"\n", start)
            if end < 0:
                break
            if self.content or piece[start:end].strip():
                self.cuts.append((end + 1, None))
            else:
                self.cuts.append((end + 1, NO_EVENT))
            self.content = False
            start = end + 1
        if start < len(piece):
            self.content = self.content or bool(piece[start:].strip())
        self.reached = self.plain = start == len(piece)

    def scan_any(self, piece: bytes) -> bytes:
        """Any piece: line ends in any mixture, cut anywhere."""
        if (
            not self.at_line
            and not self.id_line
            and LF not in piece
            and CR not in piece
        ):
            return piece  # a part of a long line
        at = 0
        if self.start is not None:
            at = self.begin(piece)
        elif self.after_cr and piece[0] == LF:
            at = 1
        size = len(piece)
        if at < size:
            self.plain = self.after_cr = False
        has_cr = CR in piece
        has_id = self.may_have_id(piece, at, has_cr)
        done: list[bytes] = []  # of what is returned; `taken` bytes of the piece
        taken = added = 0
        while at < size:
            if not self.at_line or (piece[at] != LF and piece[at] != CR):
                end = end_of_lines(piece, at, has_cr)
                self.read_lines(piece, at, end, has_id)
                at = end
                continue
            blank = BLANK_LINES.match(piece, at)
            assert blank is not None
            end = blank.end()
            count = self.count
            id = self.end_event()
            if self.count != count and id is not None:
                line = b"id: %b\n" % id
                done += (piece[taken:at], line)
                taken = at
                added += len(line)
            self.cuts.append((end + added, id))
            at = end
        self.after_cr = piece[-1] == CR
        self.plain = self.reached and not self.after_cr and self.start is None
        if self.reached and not self.cuts:
            self.cuts.append((size, NO_EVENT))  # an LF that belongs to the CR before
        if not added:
            return piece
        done.append(piece[taken:])
        return b"".join(done)

    def begin(self, piece: bytes) -> int:
        """The first bytes; returns where the first line begins, or goes on."""
        assert self.start is not None
        known = len(self.start)
        start = self.start + piece[: len(BOM)]
        if start == BOM[: len(start)]:
            self.reached = len(start) == len(BOM)
            self.start = None if self.reached else start
            return len(piece) if len(start) < len(BOM) else len(BOM) - known
        if start.startswith(BOM):
            self.start = None
            self.reached = True
            return len(BOM) - known
        self.start = None
        if known:  # they begin a field, whatever it is
            self.content = True
            self.at_line = False
        return 0

    def may_have_id(self, piece: bytes, start: int, has_cr: bool) -> bool:
        """May a line of the piece, or the one that it goes on with, set an id?"""
        return (
            piece.find(b"\nid") >= 0
            or bool(self.id_line)
            or (self.at_line and piece.startswith(b"i", start))
            or piece.endswith(b"\ni")
            or (has_cr and (b"\rid" in piece or piece.endswith(b"\ri")))
        )

    def read_lines(self, piece: bytes, start: int, end: int, has_id: bool) -> None:
        """Lines of one event; the last one may be incomplete. None is blank."""
        self.reached = False
        if not self.content:
            self.content = has_field(piece, start, end, self.at_line)
        if has_id and self.content:
            self.find_id(piece, start, end)
        last = piece[end - 1]
        self.at_line = last in (LF, CR)

    def find_id(self, piece: bytes, start: int, end: int) -> None:
        """Take the last id of these lines; keep a line that may become one."""
        begins = self.at_line and piece.startswith(b"i", start, end)
        if not begins and not self.id_line:
            line_end = LINE_END.search(piece, start, end)
            if line_end is None:
                return
            start = line_end.start()
        text = self.id_line + piece[start:end]
        self.id_line = b""
        for line in ID_LINE.finditer(text):
            self.set_id(line[1] or b"")
        rest = text[max(text.rfind(b"\n"), text.rfind(b"\r")) + 1 :]
        if rest in ID_PREFIXES or rest.startswith(b"id:"):
            if len(rest) <= MAX_ID_LINE:
                self.id_line = rest
            else:
                self.set_id(rest)

    def set_id(self, value: bytes) -> None:
        """An id line of the upstream, as a client reads it (§9.2.6)."""
        value = value.removeprefix(b" ")
        if len(value) <= MAX_ID_BYTES:
            if b"\0" in value:
                return
            if not value.isascii():
                value = value.decode("utf-8", "replace").encode()
            if not value and not self.numbered:
                return  # there is nothing to reset
        else:
            value = b""
        self.id = value
        self.numbered = True
        self.prefix = None

    def end_event(self) -> bytes | None:
        """A blank line has come; the id of its cut."""
        self.reached = True
        if not self.content:
            return NO_EVENT
        self.content = False
        id, self.id = self.id, None
        if id is not None:
            self.upstream_id = id
            return id or None
        if self.prefix is None:
            return None
        self.count += 1
        return b"%b%d" % (self.prefix, self.count)


def end_of_lines(piece: bytes, start: int, has_cr: bool) -> int:
    """Where the lines end that a blank line follows, or the piece."""
    if has_cr:
        match = LAST_LINE.search(piece, start)
        return len(piece) if match is None else match.end()
    found = piece.find(b"\n\n", start)
    return len(piece) if found < 0 else found + 1


def has_field(piece: bytes, start: int, end: int, at_line: bool) -> bool:
    """Does a line begin here that is not a comment?

    Where no line begins, a comment goes on.
    """
    if at_line and piece[start] != COLON:
        return True
    if not at_line:
        rest = REST_OF_LINE.match(piece, start, end)
        assert rest is not None
        start = rest.end()
    comments = COMMENTS.match(piece, start, end)
    assert comments is not None
    return comments.end() < end
