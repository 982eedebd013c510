"""The format of a record: one exchange in a file of JSON lines.

What was asked, and what the upstream sent in answer, piece by piece, with the time of
each. The first line has the request, each other line one item. Knows no file and no
socket; `record_reader` reads what is written here, docs/records.md describes it.

A piece is text where its bytes are UTF-8, and base64 where they are not: so a person
can read an event stream, and every byte comes back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, json

VERSION = 1
LATEST = 2**53 - 1  # microseconds: the most that each program that reads JSON can hold

Side = Literal["client", "upstream"]
# How a response's length was known; "": of an interim response, which has no body.
# "unread": what follows the head was not read, most often since it contradicts itself.
Framing = Literal["chunked", "length", "close", "none", "tunnel", "unread", ""]
# How the upstream's side ended: as its framing says; by FIN or by a reset before that.
# "malformed": what came then was not HTTP, and is not in the record. "open": it had not
# ended when the exchange did. "unreached": no connection was made.
UpstreamEnd = Literal["complete", "fin", "reset", "malformed", "open", "unreached"]

# What a record of other origin, such as a HAR or the inspector, does not know.
Unknown = Literal[
    "times", "splits", "bytes", "body", "request body", "coding", "framing", "frames",
    "head time", "pieces", "ids",
]  # fmt: skip
UNKNOWN: dict[Unknown, str] = {
    "times": "when each piece came: the body is one piece, at the end",
    "splits": "how the bytes were split: each event is one piece",
    "bytes": "the exact bytes: they are made of what the browser had decoded",
    "body": "the body",
    "request body": "the body of the request",
    "coding": "the body as it was sent: its content coding was removed",
    "framing": "how the length of the body was known",
    "frames": "the frames of the WebSocket, control frames among them: each message "
    "is one frame, not compressed",
    "head time": "when the response head came: at the latest with the first piece",
    "pieces": "some of the pieces: they were dropped, or not looked at",
    "ids": "the events as they were sent: the proxy has given them ids",
}

# `(?![\s\S])` is an end that no line break is before; ECMAScript knows no \Z.
FIELD_TEXT = r"^[\t\x20-\x7e\x80-\xff]*(?![\s\S])"
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?![\s\S])"
TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]00:00)(?![\s\S])"  # of UTC
TARGET = r"^[\x21-\x7e\x80-\xff]+(?![\s\S])"

Microseconds = Annotated[
    int,
    Meta(
        ge=0,
        le=LATEST,
        description="Microseconds since the head of the request was there.",
    ),
]
FieldName = Annotated[str, Meta(pattern=TOKEN)]
FieldText = Annotated[str, Meta(pattern=FIELD_TEXT)]
RecordedFields: TypeAlias = list[tuple[FieldName, FieldText]]


class RecordFault(ValueError):
    """What is read is not a record; the message names the file and the line."""


# -- what a record consists of


class RecordedRequest(Struct, frozen=True):
    """The head of a request. Characters are bytes (ISO 8859-1)."""

    method: Annotated[str, Meta(pattern=TOKEN)]
    target: Annotated[str, Meta(pattern=TARGET)]
    version: Annotated[str, Meta(description="Of HTTP: 1.0, 1.1, 2.0 or 3.0.")]
    scheme: Annotated[str, Meta(description="http or https.")]
    fields: RecordedFields

    def get(self, name: str) -> str | None:
        """The value of a field, its repetitions joined."""
        return value_of(self.fields, name)


class RecordedHead(Struct, frozen=True):
    """A response head of the upstream, interim (1xx) or final."""

    at: int
    status: int
    reason: str
    version: str
    fields: RecordedFields
    framing: Framing = ""

    @property
    def is_final(self) -> bool:
        """Does no other head follow?"""
        return self.status >= 200 or self.status == 101

    def get(self, name: str) -> str | None:
        """The value of a field, its repetitions joined."""
        return value_of(self.fields, name)


class RecordedPiece(Struct, frozen=True):
    """Bytes of a body, or of a tunnel, that came in one read; never empty."""

    at: int
    side: Side
    data: bytes


class RequestComplete(Struct, frozen=True):
    """The body of the request is complete, or the client ended its side of a tunnel."""

    at: int


class RecordedEnd(Struct, frozen=True):
    """How it ended. `ending`: of the exchange, in the words of the access log."""

    at: int
    end: UpstreamEnd
    trailers: RecordedFields = []
    ending: str = "complete"
    error: str = ""


RecordedItem: TypeAlias = RecordedHead | RecordedPiece | RequestComplete | RecordedEnd


class ExchangeRecord(Struct, frozen=True):
    """One exchange. `end` is None if the record was cut off.

    `request` is as the client sent it, `sent` as the upstream got it. `dropped`: so
    many items are missing after the last one, since the disk was full or slow.
    `unknown`: what whoever made it did not know, so that it is not as it was.
    """

    began: str
    by: str
    route: str
    target: str
    request: RecordedRequest
    items: Sequence[RecordedHead | RecordedPiece | RequestComplete]
    end: RecordedEnd | None = None
    sent: RecordedRequest | None = None
    dropped: int = 0
    unknown: tuple[Unknown, ...] = ()

    @property
    def head(self) -> RecordedHead | None:
        """The final response head."""
        for item in self.items:
            if isinstance(item, RecordedHead) and item.is_final:
                return item
        return None

    @property
    def request_body(self) -> bytes:
        """All of the request body, without what the client sent into a tunnel."""
        body = b""
        for item in self.items:
            if isinstance(item, RecordedPiece) and item.side == "client":
                body += item.data
            elif isinstance(item, RecordedHead) and item.framing == "tunnel":
                break
        return body

    @property
    def response_pieces(self) -> list[RecordedPiece]:
        """What the upstream sent after its final head."""
        return [
            item
            for item in self.items
            if isinstance(item, RecordedPiece) and item.side == "upstream"
        ]

    @property
    def is_websocket(self) -> bool:
        """Is it a tunnel of the WebSocket protocol?"""
        head = self.head
        if head is None or head.framing != "tunnel":
            return False
        return (head.get("upgrade") or "").strip().lower() == "websocket"


def value_of(fields: RecordedFields, name: str) -> str | None:
    """The value of a field, its repetitions joined (RFC 9110 §5.3)."""
    found = [value for key, value in fields if key.lower() == name.lower()]
    return ", ".join(found) if found else None


# -- its lines


class FirstLine(Struct, frozen=True, omit_defaults=True):
    """The first line: what was asked, by whom it was written, and when it began."""

    unbuffered: Annotated[int, Meta(description="The version of this format.")]
    began: Annotated[
        str,
        Meta(
            description="When the request came: UTC, RFC 3339.",
            extra_json_schema={"pattern": TIME},
        ),
    ]
    by: Annotated[str, Meta(description="The program that wrote the record.")]
    route: Annotated[str, Meta(description="The prefix of the route; may be empty.")]
    target: Annotated[str, Meta(description="The target that was asked.")]
    request: Annotated[RecordedRequest, Meta(description="As the client sent it.")]
    sent: Annotated[
        RecordedRequest | UnsetType, Meta(description="As the upstream got it.")
    ] = UNSET
    unknown: Annotated[
        tuple[Unknown, ...],
        Meta(description="What whoever made it, of a HAR for example, did not know."),
    ] = ()


class HeadTable(Struct, frozen=True, omit_defaults=True):
    """The head of a response. `framing` says how the length of its body was known."""

    status: Annotated[int, Meta(ge=100, le=999)]
    reason: FieldText
    version: str
    fields: RecordedFields
    framing: Framing = ""


class HeadLine(Struct, frozen=True, rename={"side": "from"}):
    """A response head of the upstream."""

    at: Microseconds
    side: Literal["upstream"]
    head: HeadTable


class PieceLine(Struct, frozen=True, omit_defaults=True, rename={"side": "from"}):
    """A piece: `text` where its bytes are UTF-8, `base64` where they are not."""

    at: Microseconds
    side: Side
    text: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    base64: Annotated[bytes, Meta(min_length=1)] | UnsetType = UNSET


class CompleteLine(Struct, frozen=True, rename={"side": "from"}):
    """The request body is complete, or the client ended its side of a tunnel."""

    at: Microseconds
    side: Literal["client"]
    complete: Annotated[bool, Meta(description="Always true.")] = True


class EndLine(Struct, frozen=True, rename={"side": "from"}):
    """The end of the record."""

    at: Microseconds
    side: Literal["upstream"]
    end: Annotated[
        UpstreamEnd,
        Meta(
            description="complete: as its framing says; fin, reset: before that; "
            "malformed: what came then was not HTTP; open: it had not ended; "
            "unreached: no connection was made."
        ),
    ]
    trailers: RecordedFields = []
    ending: Annotated[
        str, Meta(description="Of the exchange, as in the access log.")
    ] = "complete"
    error: Annotated[str, Meta(description="What went wrong, in words.")] = ""


class DroppedLine(Struct, frozen=True):
    """In place of the end: items that could not be written."""

    dropped: Annotated[int, Meta(ge=1)]


# -- writing them


def encode_first(record: ExchangeRecord) -> bytes:
    """The first line."""
    return encoded(
        FirstLine(
            VERSION,
            record.began,
            record.by,
            record.route,
            record.target,
            record.request,
            UNSET if record.sent is None else record.sent,
            record.unknown,
        )
    )


def encode_item(item: RecordedItem) -> bytes:
    """One line."""
    match item:
        case RecordedPiece(at, side, data):
            return encode_piece(at, side, data)
        case RecordedHead(at, status, reason, version, fields, framing):
            table = HeadTable(status, reason, version, fields, framing)
            return encoded(HeadLine(at, "upstream", table))
        case RequestComplete(at):
            return encoded(CompleteLine(at, "client"))
        case RecordedEnd(at, end, trailers, ending, error):
            return encoded(EndLine(at, "upstream", end, trailers, ending, error))


def encode_piece(at: int, side: Side, data: bytes) -> bytes:
    """The line of a piece."""
    try:
        return encoded(PieceLine(at, side, text=data.decode("utf-8")))
    except UnicodeDecodeError:
        return encoded(PieceLine(at, side, base64=data))


def encode_dropped(count: int) -> bytes:
    """The last line of a record that could not be written to its end."""
    return encoded(DroppedLine(count))


def encode_record(record: ExchangeRecord) -> bytes:
    """A whole record."""
    lines = [encode_first(record), *map(encode_item, record.items)]
    if record.end is not None:
        lines.append(encode_item(record.end))
    elif record.dropped:
        lines.append(encode_dropped(record.dropped))
    return b"".join(lines)


def encoded(line: Struct) -> bytes:
    return json.encode(line) + b"\n"
