"""The response of an entry of a HAR as the items of a record, and its end."""

from __future__ import annotations

from proxy.record.format import (
    LATEST,
    Framing,
    RecordedEnd,
    RecordedFields,
    RecordedHead,
    RecordedPiece,
    RecordFault,
    RequestComplete,
    Side,
    Unknown,
    UpstreamEnd,
    value_of,
)
from proxy.record.har_format import HarEntry, HarWebSocketMessage
from proxy.record.har_messages import (
    TimedBytes,
    cut_by_events,
    frame_of,
    has_event,
    made_of_events,
)
from proxy.record.har_values import content_bytes, recorded_pairs, version_of
from proxy.timeline import Ending

EVENT_STREAM = "text/event-stream"
NO_BODY = (204, 205, 304)
# What Chromium says of a response that is not whole; of others: the connection closed.
ABORTED = "ERR_ABORTED"
RESETS = ("RESET", "PROTOCOL_ERROR", "STREAM_ERROR")
CONNECTED = ("EMPTY_RESPONSE", "CONNECTION_CLOSED")

# Chromium has the times of messages in seconds; Playwright has milliseconds, which are
# above this one. Seconds are so in the year 5138.
EPOCH_MILLISECONDS = 1e11


class ResponseItems:
    """Collects the items of an exchange, in order.

    `began`: when its request was sent, in seconds since 1970. `unknown`: takes what
    the HAR does not say.
    """

    def __init__(
        self, entry: HarEntry, began: float, unknown: list[Unknown], websocket: bool
    ) -> None:
        self.entry = entry
        self.response = entry.response
        self.began = began
        self.unknown = unknown
        self.items: list[RecordedHead | RecordedPiece | RequestComplete] = []
        self.latest = 0
        times = entry.timings
        self.sent_at = microseconds(times.send)
        self.head_at = self.sent_at + microseconds(times.wait)
        self.end_at = self.head_at + microseconds(times.receive)
        messages = entry.web_socket_messages is not None
        self.websocket = websocket or messages or self.response.status == 101

    def build(self, request_body: bytes) -> RecordedEnd | None:
        """All of them, and the end."""
        if request_body:
            self.add("client", 0, request_body)
            self.items.append(RequestComplete(self.later(self.sent_at)))
        status = int(self.response.status)
        if status < 100 and not self.entry.web_socket_messages:
            return self.unanswered()
        if self.websocket and (status < 100 or status in (101, 200)):
            return self.tunnel()
        if status < 200:
            raise RecordFault(f"response.status: {status} is not a final status")
        return self.body()

    def add(self, side: Side, at: int, data: bytes) -> None:
        """A piece, not before the one above it."""
        if data:
            self.items.append(RecordedPiece(self.later(at), side, data))

    def later(self, at: int) -> int:
        self.latest = max(self.latest, at)
        return self.latest

    def time(self, seconds: float) -> int:
        """A time of the wall clock as records have it."""
        if seconds > EPOCH_MILLISECONDS:
            seconds /= 1000
        after = (seconds - self.began) * 1_000_000
        if not after <= LATEST:
            raise RecordFault(f"time: {seconds} is not a valid time")
        return max(round(after), 0) if after > 0 else 0

    def head(self, status: int, fields: RecordedFields, framing: Framing) -> None:
        """The final head."""
        reason = self.response.status_text or ""
        if not (reason.isascii() and reason.isprintable()):
            reason = ""
        version = "1.0" if version_of(self.response.http_version) == "1.0" else "1.1"
        self.items.append(
            RecordedHead(
                self.later(self.head_at), status, reason, version, fields, framing
            )
        )

    # -- no answer

    def unanswered(self) -> RecordedEnd | None:
        """No head came."""
        error = self.response.error
        if not error:
            return None
        reached = any(word in error for word in CONNECTED)
        return self.ended("fin" if reached else "unreached", error)

    def ended(self, end: UpstreamEnd, error: str) -> RecordedEnd:
        """An end before the end, by what Chromium says of it."""
        if ABORTED in error:
            end = "open"
        elif any(word in error for word in RESETS):
            end = "reset"
        ending = Ending.CLIENT_LEFT if end == "open" else Ending.UPSTREAM_BROKE
        return RecordedEnd(self.later(self.end_at), end, [], ending.value, error)

    # -- a response

    def body(self) -> RecordedEnd | None:
        """The head, and the body."""
        fields = recorded_pairs(self.response.headers, "response.headers")
        media_type = value_of(fields, "content-type") or ""
        pieces = self.pieces(media_type)
        size = None if pieces is None else sum(len(piece.data) for piece in pieces)
        fields, framing = self.framed(fields, size)
        self.head(int(self.response.status), fields, framing)
        has_body = framing != "none"
        if not has_body:
            pieces = []
        for piece in pieces or []:
            at = self.end_at if piece.time is None else self.time(piece.time)
            self.add("upstream", max(at, self.head_at), piece.data)
        if self.response.error:
            return self.ended("fin", self.response.error)
        if pieces is None:
            self.unknown.append("body")
            return None
        timed = any(piece.time is not None for piece in pieces)
        if timed and self.latest > self.end_at:  # saved while it was open
            return RecordedEnd(self.latest, "open", [], Ending.CLIENT_LEFT.value)
        return RecordedEnd(self.later(self.end_at), "complete")

    def pieces(self, media_type: str) -> list[TimedBytes] | None:
        """The body in pieces; None: it is missing."""
        content, messages = self.response.content, self.entry.event_messages
        if content.text:
            body = content_bytes(
                content.text, content.encoding, "response.content.text", media_type
            )
            if content.encoding != "base64" and "\ufffd" in content.text:
                self.unknown.append("bytes")
            if messages and media_type.lower().startswith(EVENT_STREAM):
                pieces = list(cut_by_events(body, messages))
                self.unknown.append("splits")
                if any(has_event(piece.data) for piece in pieces if piece.time is None):
                    self.unknown.append("times")
                return pieces
            self.unknown.append("times")
            return [TimedBytes(None, body)]
        if messages:
            self.unknown += ["splits", "bytes"]
            return list(made_of_events(messages))
        size = content.size or 0.0
        missing = content.text is None and content.size != 0 and not self.is_empty()
        return None if missing or size > 0 else []

    def is_empty(self) -> bool:
        """Does the head say that there is no body?"""
        fields = recorded_pairs(self.response.headers, "response.headers")
        return (value_of(fields, "content-length") or "").strip() == "0"

    def framed(
        self, fields: RecordedFields, size: int | None
    ) -> tuple[RecordedFields, Framing]:
        """The fields that are true of the body as it is here, and its framing."""
        method, status = self.entry.request.method, int(self.response.status)
        if method == "HEAD" or status in NO_BODY:
            return fields, "none"
        coding = (value_of(fields, "content-encoding") or "").strip().lower()
        length = value_of(fields, "content-length")
        whole = not self.response.error
        if coding not in ("", "identity") and size:
            self.unknown.append("coding")
            fields = without(fields, "content-encoding", "content-length")
        elif size is not None and length not in (None, str(size)) and whole:
            fields = without(fields, "content-length")
            self.unknown.append("bytes")
        if version_of(self.response.http_version) in ("2.0", "3.0", ""):
            self.unknown.append("framing")
            fields = without(fields, "transfer-encoding")
            return fields, "chunked" if length is None else "length"
        transfer = (value_of(fields, "transfer-encoding") or "").lower()
        if "chunked" in transfer:
            return fields, "chunked"
        return fields, "close" if length is None else "length"

    # -- a WebSocket

    def tunnel(self) -> RecordedEnd | None:
        """The handshake, and the messages."""
        fields = without(
            recorded_pairs(self.response.headers, "response.headers"),
            "sec-websocket-extensions",
            "content-length",
            "transfer-encoding",
        )
        if (value_of(fields, "upgrade") or "").lower() != "websocket":
            fields = without(fields, "upgrade", "connection")
            fields += [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        messages = self.entry.web_socket_messages
        if messages:  # Chromium tells of the handshake after the first of them
            self.head_at = min(self.head_at, self.time(messages[0].time))
        self.head(101, fields, "tunnel")
        self.unknown.append("frames")
        if messages is None:
            self.unknown.append("body")
            return None
        error = ""
        for number, message in enumerate(messages):
            error = self.message(number, message) or error
        if error or self.response.error:
            return self.ended("fin", error or self.response.error or "")
        at = self.later(max(self.end_at, self.latest))
        return RecordedEnd(at, "open", [], Ending.CLIENT_LEFT.value)

    def message(self, number: int, message: HarWebSocketMessage) -> str:
        """One message; returns what went wrong, if that is what it says."""
        key = f"_webSocketMessages[{number}]"
        if message.type == "error":
            return message.data or "the WebSocket broke"
        if message.type not in ("send", "receive"):
            raise RecordFault(
                f"{key}.type: {message.type[:40]!r} is not send or receive"
            )
        side: Side = "client" if message.type == "send" else "upstream"
        at = max(self.time(message.time), self.head_at)
        self.add(side, at, frame_of(message, key))
        return ""


def microseconds(milliseconds: float | None) -> int:
    """A phase of a HAR; what is not known took no time.

    Raises:
        RecordFault: it is too long.
    """
    value = max(milliseconds or 0.0, 0.0)
    if value > 1e12:
        raise RecordFault(f"timings: {value:g} ms are too long")
    return round(value * 1000)


def without(fields: RecordedFields, *names: str) -> RecordedFields:
    """Fields but for some."""
    return [(name, value) for name, value in fields if name.lower() not in names]
