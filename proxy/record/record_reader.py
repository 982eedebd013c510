"""Reading a record: its lines, what is wrong with one of them, in which line.

Strict in what it takes, so that whatever plays a record need not ask again: times do
not go back, a body has a head before it, nothing follows the end. Keys that it does
not know are ignored; a version that it does not know is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar

from msgspec import UNSET, DecodeError, Struct, ValidationError, convert, json

from proxy.record.format import (
    TIME,
    VERSION,
    CompleteLine,
    DroppedLine,
    EndLine,
    ExchangeRecord,
    FirstLine,
    HeadLine,
    PieceLine,
    RecordedEnd,
    RecordedHead,
    RecordedPiece,
    RecordFault,
    RequestComplete,
)

Line = TypeVar("Line", bound=Struct)

# What a line is, says the key that only such lines have.
KINDS: dict[str, type[Struct]] = {
    "text": PieceLine,
    "base64": PieceLine,
    "head": HeadLine,
    "complete": CompleteLine,
    "end": EndLine,
    "dropped": DroppedLine,
}
BOM = b"\xef\xbb\xbf"  # editors write it where a record was changed by hand
PLACE = " - at `$"  # comes before the key in what msgspec says


def read_record(data: bytes | Iterable[bytes], name: str) -> ExchangeRecord:
    """One record, of its bytes or of its lines; `name` is for what is said of it.

    A last line that is not whole is left out: who wrote it was stopped.

    Raises:
        RecordFault: it is not a record; the message names the line and the reason.
    """
    reader = RecordReader()
    number = 0
    for number, line in enumerate(
        BytesIO(data) if isinstance(data, bytes) else data, 1
    ):
        try:
            reader.read(line.removeprefix(BOM) if number == 1 else line)
        except RecordFault as fault:
            raise RecordFault(f"{name}, line {number}: {fault}") from fault.__cause__
    if reader.first is None:
        what = "is empty" if not number else "has no complete first line"
        raise RecordFault(f"{name} {what}: it is not a record")
    return reader.record(reader.first)


class RecordReader:
    """Takes one line after the other."""

    def __init__(self) -> None:
        self.first: FirstLine | None = None
        self.items: list[RecordedHead | RecordedPiece | RequestComplete] = []
        self.end: RecordedEnd | None = None
        self.dropped = 0
        self.latest = self.latest_of_upstream = 0
        self.has_head = False
        self.request_complete = False

    def read(self, line: bytes) -> None:
        """Take the next line.

        Raises:
            RecordFault: it is not one, or not in this place.
        """
        if not line.strip():
            return
        try:
            table = json.decode(line)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            if line.endswith(b"\n"):
                reason = str(error).removeprefix("JSON is malformed: ")
                raise RecordFault(f"is not valid JSON: {reason}") from error
            return  # the last one, cut off
        if not isinstance(table, dict):
            raise RecordFault("is not a JSON object")
        if self.first is None:
            self.read_first(table)
            return
        if self.end is not None or self.dropped:
            raise RecordFault("follows the end of the record")
        self.read_item(table)

    def read_first(self, table: dict[str, Any]) -> None:
        """The request."""
        version = table.get("unbuffered")
        if version is None:
            raise RecordFault(
                'has no "unbuffered": the file is not a record of unbuffered'
            )
        if version != VERSION or isinstance(version, bool):
            raise RecordFault(
                f"the record has version {version!r} of the format; this program "
                f"reads version {VERSION}"
            )
        self.first = converted(table, FirstLine)
        if not is_time(self.first.began):
            raise RecordFault(
                f"began: {self.first.began[:40]!r} is not a valid time: expected UTC, "
                "such as 2026-11-29T12:00:00.000000Z"
            )

    def read_item(self, table: dict[str, Any]) -> None:
        """Any other line."""
        kinds = {key: KINDS[key] for key in table if key in KINDS}
        if len(kinds) != 1:
            found = " and ".join(kinds) if kinds else "none of them"
            raise RecordFault(f"needs one of {', '.join(KINDS)}, has {found}")
        [kind] = kinds.values()
        line = converted(table, kind)
        if isinstance(line, DroppedLine):
            self.dropped = line.dropped
            return
        self.check_time(line)
        match line:
            case PieceLine():
                self.read_piece(line)
            case HeadLine():
                self.read_head(line)
            case CompleteLine():
                self.read_complete(line)
            case EndLine():
                self.end = RecordedEnd(
                    line.at, line.end, line.trailers, line.ending, line.error
                )

    def check_time(self, line: Any) -> None:
        """Times do not go back; the end is that of the upstream alone."""
        is_end = isinstance(line, EndLine)
        before = self.latest_of_upstream if is_end else self.latest
        if line.at < before:
            whose = "the last line of the upstream" if is_end else "the line above"
            raise RecordFault(f"at {line.at} is before {whose}, which has {before}")
        self.latest = line.at
        if line.side == "upstream":
            self.latest_of_upstream = line.at

    def read_piece(self, line: PieceLine) -> None:
        """A piece of either side."""
        if line.side == "upstream" and not self.has_head:
            raise RecordFault("a piece of the upstream before its final head")
        if line.side == "client" and self.request_complete:
            raise RecordFault("a piece of the client after the end of its body")
        if line.base64 is not UNSET:
            data = line.base64
        else:
            assert line.text is not UNSET
            try:
                data = line.text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise RecordFault("text has half of a surrogate pair") from error
        self.items.append(RecordedPiece(line.at, line.side, data))

    def read_head(self, line: HeadLine) -> None:
        """A head of the upstream."""
        if self.has_head:
            raise RecordFault("a head after the final head")
        it = line.head
        head = RecordedHead(
            line.at, it.status, it.reason, it.version, it.fields, it.framing
        )
        if head.is_final and not head.framing:
            raise RecordFault(
                "head: a final head needs framing: chunked, length, close, none, "
                "tunnel or unread"
            )
        if not head.is_final and head.framing:
            raise RecordFault(f"head: an interim head ({head.status}) has no framing")
        self.has_head = head.is_final
        if head.framing == "tunnel":  # into which its client sends more
            self.request_complete = False
        self.items.append(head)

    def read_complete(self, line: CompleteLine) -> None:
        """The end of the client's side."""
        if not line.complete:
            raise RecordFault("complete: expected true")
        if self.request_complete:
            raise RecordFault("the request body is complete already")
        self.request_complete = True
        self.items.append(RequestComplete(line.at))

    def record(self, first: FirstLine) -> ExchangeRecord:
        """All of it."""
        return ExchangeRecord(
            first.began,
            first.by,
            first.route,
            first.target,
            first.request,
            self.items,
            self.end,
            None if first.sent is UNSET else first.sent,
            self.dropped,
            first.unknown,
        )


def is_time(text: str) -> bool:
    """Is it a time of day in UTC (RFC 3339)?"""
    if re.match(TIME, text, re.ASCII) is None:
        return False
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:  # the 30th of February
        return False


def converted(table: dict[str, Any], kind: type[Line]) -> Line:
    """The line that a table is.

    Raises:
        RecordFault: it lacks something, or has something else.
    """
    try:
        return convert(table, kind)
    except ValidationError as error:
        raise RecordFault(in_order(error)) from error


def in_order(error: Exception) -> str:
    """What is wrong, after the key that it is wrong with."""
    text, place = str(error), ""
    told, mark, key = text.rpartition(PLACE)
    if mark and key.endswith("`"):
        text, place = told, f"{key[:-1].removeprefix('.')}: "
    if "matching regex" in text:
        text = "has a character that is not allowed here, or is empty"
    return f"{place}{text[:1].lower()}{text[1:]}"
