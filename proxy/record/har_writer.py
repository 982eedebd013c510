"""Records as a HAR that the network panels of browsers can import.

What they show is in the entries as HAR 1.2 has it, with what Chromium adds. What a HAR
cannot say, the pieces and their times first of all, is in `_unbuffered`: the lines of
the record as they are, from which `har_reader` has it back whole.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import json

from proxy import __version__
from proxy.record.format import (
    ExchangeRecord,
    RecordedFields,
    RecordedHead,
    RecordedPiece,
    RequestComplete,
    UpstreamEnd,
    encode_record,
)
from proxy.record.websocket_messages import CLOSE, TEXT, MessageReader
from proxy.stream.content_decoder import DECODERS, ContentDecoder, DecodingError
from proxy.stream.event_stream import Event, EventReader

TOLD = 10  # times of pieces in a comment
EVENT_STREAM = "text/event-stream"
ERRORS: dict[UpstreamEnd, str] = {
    "fin": "net::ERR_CONNECTION_CLOSED",
    "reset": "net::ERR_CONNECTION_RESET",
    "malformed": "net::ERR_INVALID_HTTP_RESPONSE",
    "open": "net::ERR_ABORTED",
    "unreached": "net::ERR_CONNECTION_FAILED",
}
Table = dict[str, Any]


def write_har(records: Iterable[ExchangeRecord]) -> bytes:
    """One HAR of them, in the order of their beginning."""
    entries = [entry_of(record) for record in sorted(records, key=began)]
    program = {"name": "unbuffered", "version": __version__}
    log = {"version": "1.2", "creator": program, "pages": [], "entries": entries}
    return json.format(json.encode({"log": log}), indent=1) + b"\n"


def began(record: ExchangeRecord) -> str:
    return record.began


def entry_of(record: ExchangeRecord) -> Table:
    """One exchange."""
    head, end = record.head, record.end
    sent = next((i.at for i in record.items if isinstance(i, RequestComplete)), 0)
    last = record.items[-1].at if record.items else 0
    over = max(end.at if end is not None else last, last)
    answered = over if head is None else head.at
    sent = min(sent, answered)
    entry: Table = {
        "startedDateTime": record.began,
        "time": over / 1000,
        "request": request_of(record),
        "response": response_of(record, head),
        "cache": {},
        "timings": {
            "blocked": -1,
            "dns": -1,
            "connect": -1,
            "ssl": -1,
            "send": sent / 1000,
            "wait": (answered - sent) / 1000,
            "receive": (over - answered) / 1000,
        },
        "comment": comment_of(record),
        "_resourceType": resource_type(record, head),
        **messages_of(record, head),
        "_unbuffered": {"record": list(map(json.decode, lines_of(record)))},
    }
    return entry


def lines_of(record: ExchangeRecord) -> list[bytes]:
    return encode_record(record).splitlines()


def comment_of(record: ExchangeRecord) -> str:
    """What an entry of a HAR has no key for."""
    pieces = record.response_pieces
    times = ", ".join(f"{piece.at / 1000:g}" for piece in pieces[:TOLD])
    more = ", …" if len(pieces) > TOLD else ""
    told = f"; they came after {times}{more} ms" if pieces else ""
    how = "the record was cut off" if record.end is None else f"end: {record.end.end}"
    return f"pieces of the upstream: {len(pieces)}{told}; {how} (_unbuffered has all)"


def resource_type(record: ExchangeRecord, head: RecordedHead | None) -> str:
    """What Chromium calls it."""
    if record.is_websocket:
        return "websocket"
    if head is not None and media_type(head) == EVENT_STREAM:
        return "eventsource" if record.request.method == "GET" else "fetch"
    return "fetch"


def media_type(head: RecordedHead) -> str:
    return (head.get("content-type") or "").partition(";")[0].strip().lower()


# -- the request


def request_of(record: ExchangeRecord) -> Table:
    """What was asked."""
    request = record.request
    url = url_of(record)
    body = record.request_body
    table: Table = {
        "method": request.method,
        "url": url,
        "httpVersion": f"HTTP/{request.version}",
        "cookies": [],
        "headers": pairs(request.fields),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(body),
    }
    if body:
        kind = request.get("content-type") or ""
        table["postData"] = {"mimeType": kind, "text": body.decode("utf-8", "replace")}
    return table


def url_of(record: ExchangeRecord) -> str:
    """The address that the client asked for."""
    request = record.request
    if not request.target.startswith("/"):
        return request.target  # the whole of it, as a proxy is asked; or *
    host = request.get("host") or urlsplit(record.target).netloc
    scheme = request.scheme
    if record.is_websocket:
        scheme = "wss" if scheme == "https" else "ws"
    return f"{scheme}://{host}{request.target}"


def pairs(fields: RecordedFields) -> list[Table]:
    return [{"name": name, "value": value} for name, value in fields]


# -- the response


def response_of(record: ExchangeRecord, head: RecordedHead | None) -> Table:
    """What came in answer; status 0 where nothing did."""
    raw = b"".join(piece.data for piece in record.response_pieces)
    size = 0 if record.is_websocket else len(raw)
    table: Table = {
        "status": 0 if head is None else head.status,
        "statusText": "" if head is None else head.reason,
        "httpVersion": "" if head is None else f"HTTP/{head.version}",
        "cookies": [],
        "headers": [] if head is None else pairs(head.fields),
        "content": content_of(record, head, raw),
        "redirectURL": "" if head is None else head.get("location") or "",
        "headersSize": -1,
        "bodySize": size,
        "_transferSize": size,
        "_error": None,
    }
    if record.end is not None and record.end.end != "complete":
        table["_error"] = ERRORS[record.end.end]
    return table


def content_of(record: ExchangeRecord, head: RecordedHead | None, raw: bytes) -> Table:
    """The body without its content coding, as far as that can be removed."""
    # Chromium shows events of `text/event-stream`, and not if there is a charset.
    kind = "x-unknown" if head is None else media_type(head) or "x-unknown"
    if head is None or head.framing == "tunnel":
        return {"size": 0, "mimeType": kind}
    body = b"".join(data for _, data in decoded(record, head))
    table: Table = {"size": len(body), "mimeType": kind}
    if body != raw:
        table["compression"] = len(body) - len(raw)
    try:
        table["text"] = body.decode("utf-8")
    except UnicodeDecodeError:
        table["text"] = b64encode(body).decode("ascii")
        table["encoding"] = "base64"
    return table


def decoded(record: ExchangeRecord, head: RecordedHead) -> Iterator[tuple[int, bytes]]:
    """The pieces of the body without its content coding; as they came if that fails."""
    value = (head.get("content-encoding") or "").lower()
    codings = [each.strip() for each in value.split(",")]
    codings = [each for each in codings if each not in ("", "identity")]
    if not all(each in DECODERS for each in codings):
        codings = []
    decoder = ContentDecoder(reversed(codings), max_ratio=1000) if codings else None
    for piece in record.response_pieces:
        data = piece.data
        if decoder is not None:
            try:
                data = b"".join(decoder.decode(data))
            except DecodingError:
                decoder = None
        yield piece.at, data


# -- what Chromium adds


def messages_of(record: ExchangeRecord, head: RecordedHead | None) -> Table:
    """Messages of a WebSocket, or events of an event stream, with their times."""
    if record.is_websocket:
        return {"_webSocketMessages": list(websocket_messages(record))}
    if head is not None and media_type(head) == EVENT_STREAM:
        return {"_eventSourceMessages": list(event_messages(record, head))}
    return {}


def websocket_messages(record: ExchangeRecord) -> Iterator[Table]:
    """The data messages of both sides. Chromium has no others."""
    start = seconds_of(record.began)
    readers = {"client": MessageReader(), "upstream": MessageReader()}
    tunnel = False
    for item in record.items:
        if isinstance(item, RecordedHead):
            tunnel = tunnel or item.framing == "tunnel"
        elif tunnel and isinstance(item, RecordedPiece):
            for message in readers[item.side].read(item.data):
                if message.opcode >= CLOSE:
                    continue
                text = message.opcode == TEXT
                payload = message.payload
                yield {
                    "type": "send" if item.side == "client" else "receive",
                    "time": start + item.at / 1_000_000,
                    "opcode": message.opcode,
                    "data": payload.decode("utf-8", "replace")
                    if text
                    else b64encode(payload).decode("ascii"),
                }


def event_messages(record: ExchangeRecord, head: RecordedHead) -> Iterator[Table]:
    """The events that a browser dispatches."""
    start = seconds_of(record.began)
    reader = EventReader()
    for at, data in decoded(record, head):
        for item in reader.read(data):
            if isinstance(item, Event):
                yield {
                    "time": start + at / 1_000_000,
                    "eventName": item.type,
                    "eventId": item.id,
                    "data": item.data,
                }


def seconds_of(text: str) -> float:
    """A time of day in seconds since 1970; 0 for what is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
