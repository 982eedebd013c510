"""What is played of a record, made once: heads as bytes, and where the client is met.

A gate stands where the recorded upstream may have waited for its client; what is
behind it is not played before the client of today has done the same. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from msgspec import ValidationError, convert, to_builtins

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.http1.head import parse_response_head
from proxy.http1.head_text import CHUNKED, head_bytes
from proxy.origin.origin_connection import encoded, framing_of
from proxy.origin.websocket_frames import FrameScanner
from proxy.record.format import (
    ExchangeRecord,
    HeadTable,
    RecordedEnd,
    RecordedFields,
    RecordedHead,
    RecordedPiece,
    RecordedRequest,
    RecordFault,
    RequestComplete,
)
from proxy.record.record_reader import in_order

GateKind: TypeAlias = Literal["request", "message", "close", "fin"]
REQUEST: Final = "request"  # is complete
MESSAGE: Final = "message"  # of a WebSocket
CLOSE: Final = "close"  # of a WebSocket
FIN: Final = "fin"  # of the client, in a tunnel
ACCEPT = b"sec-websocket-accept"


@dataclass(frozen=True, slots=True)
class Gate:
    """What follows waits for the client."""

    at: int
    kind: GateKind
    messages: int = 0  # so many of the client have to be there


Move: TypeAlias = RecordedHead | RecordedPiece | RecordedEnd | Gate


class PlayPlan:
    """The moves of a record, in order; the last one is its end.

    `between` says for each of them, and for what is behind the last one: does it stand
    between two frames of the upstream?
    """

    def __init__(self, record: ExchangeRecord, *, in_step: bool = False) -> None:
        check_values(record)
        self.in_step = in_step  # does the upstream wait for messages, too?
        self.websocket = record.is_websocket
        self.moves: list[Move] = []
        self.between: list[bool] = []
        self.size = sum(len(piece.data) for piece in record.response_pieces)
        end = record.end or cut_off(record)
        self.trailers = encoded(end.trailers)
        steps = list(self.steps(record))
        while steps and isinstance(steps[-1], Gate) and steps[-1].at > end.at:
            steps.pop()  # it had ended before the client did that
        upstream = FrameScanner()
        for move in [*steps, end]:
            self.moves.append(move)
            self.between.append(upstream.between)
            if self.websocket and isinstance(move, RecordedPiece):
                upstream.feed(move.data)
        self.between.append(upstream.between)
        self.has_body = self.check(record)

    def steps(self, record: ExchangeRecord) -> Iterator[Move]:
        """What the upstream sent, and where it may have waited."""
        tunnel, head = False, record.head
        client = FrameScanner()
        for item in record.items:
            if isinstance(item, RequestComplete):
                yield Gate(item.at, FIN if tunnel else REQUEST)
            elif isinstance(item, RecordedHead) or item.side == "upstream":
                tunnel = tunnel or (item == head and item.framing == "tunnel")
                yield item
            elif tunnel and self.websocket and not client.closed:
                before = client.messages
                if client.feed(item.data):
                    yield Gate(item.at, CLOSE)
                elif self.in_step and client.messages > before:
                    yield Gate(item.at, MESSAGE, client.messages)

    def check(self, record: ExchangeRecord) -> bool:
        """Can a client read the response? Has it a body?

        Raises:
            RecordFault: its head contradicts itself.
        """
        head = record.head
        if head is None or head.framing == "unread":
            return False
        line, fields = self.final(head, [])
        try:
            parsed = parse_response_head(head_bytes(line, fields))
            framing, _ = framing_of(parsed, record.request.method.encode("latin-1"))
        except ProxyError as fault:
            raise RecordFault(
                f"the recorded response cannot be sent: {fault}"
            ) from None
        return framing != "none"

    def find(self, kind: GateKind, start: int) -> int | None:
        """Where the next gate of a kind is."""
        for position in range(start, len(self.moves)):
            move = self.moves[position]
            if isinstance(move, Gate) and move.kind == kind:
                return position
        return None

    def final(self, head: RecordedHead, accept: Fields) -> tuple[bytes, Fields]:
        """The final head as it is sent; `accept` answers the key of this handshake.

        A head that does not say how long its body is, since it was converted, or was
        written by hand, says it here.
        """
        fields = encoded(head.fields)
        names = {name.lower() for name, _ in fields}
        if head.framing == "tunnel" and accept:
            fields = [field for field in fields if field[0].lower() != ACCEPT] + accept
        elif head.framing == "chunked" and CHUNKED[0].lower() not in names:
            fields = [*fields, CHUNKED]
        elif head.framing == "length" and b"content-length" not in names:
            fields = [*fields, (b"Content-Length", b"%d" % self.size)]
        return status_line(head), fields


def check_values(record: ExchangeRecord) -> None:
    """Is all of it what a line of a record may have? One made in Python may not be.

    Raises:
        RecordFault: a part of it cannot be sent as it is.
    """
    check_value("request", to_builtins(record.request), RecordedRequest)
    for item in record.items:
        if isinstance(item, RecordedHead):
            check_value("head", item, HeadTable)
        elif isinstance(item, RecordedPiece) and type(item.data) is not bytes:
            raise RecordFault(f"data: expected bytes, got {item.data!r:.60}")
    if record.end is not None:
        check_value("trailers", record.end.trailers, RecordedFields)


def check_value(name: str, value: object, kind: object) -> None:
    """Is it of a kind?

    Raises:
        RecordFault: no.
    """
    try:
        convert(value, kind, from_attributes=True)
    except ValidationError as error:
        raise RecordFault(f"{name}: {in_order(error)}") from None


def interim_bytes(head: RecordedHead) -> bytes:
    """An interim head as it is sent."""
    return head_bytes(status_line(head), encoded(head.fields))


def status_line(head: RecordedHead) -> bytes:
    version = "1.0" if head.version == "1.0" else "1.1"
    return f"HTTP/{version} {head.status} {head.reason}".encode("latin-1")


def cut_off(record: ExchangeRecord) -> RecordedEnd:
    """The end of a record that has none: not one that looks complete."""
    head = record.head
    last = record.items[-1].at if record.items else 0
    until_close = head is not None and head.framing == "close"
    return RecordedEnd(last, "reset" if until_close else "fin")
