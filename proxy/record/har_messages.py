"""What Chromium notes of a stream beside its body: the time of each event or message.

Pure: from the messages of a HAR to the bytes that they were, or may have been.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from proxy.record.har_format import HarEventMessage, HarWebSocketMessage
from proxy.record.har_values import unbase64
from proxy.record.websocket_messages import TEXT, WebSocketMessage, frame
from proxy.stream.event_ends import EventEnds
from proxy.stream.event_stream import Event, EventReader


class TimedBytes(NamedTuple):
    """Bytes, and when they came: seconds since 1970; None: at an unknown time."""

    time: float | None
    data: bytes


def cut_by_events(
    body: bytes, messages: Sequence[HarEventMessage]
) -> Iterator[TimedBytes]:
    """A body, cut behind each event that a message tells the time of.

    Comments and blank lines come with the event behind them. What does not fit the
    messages any more has no time.
    """
    reader = EventReader(len(body) + 1)
    left = iter(messages)
    start = 0
    for end in EventEnds().find(body):
        if not end.event:
            continue
        data = [
            item.data
            for item in reader.read(body[start : end.at])
            if isinstance(item, Event)
        ]
        message = next(left, None)
        if message is None or message.data not in (None, *data):
            break
        yield TimedBytes(message.time, body[start : end.at])
        start = end.at
    if body[start:]:
        yield TimedBytes(None, body[start:])


def has_event(body: bytes) -> bool:
    """Is an event of an event stream complete in it?"""
    return any(end.event for end in EventEnds().find(body))


def made_of_events(messages: Sequence[HarEventMessage]) -> Iterator[TimedBytes]:
    """An event stream that has these events."""
    known = ""
    for message in messages:
        lines = []
        if message.event_name not in (None, "", "message"):
            lines.append(f"event: {message.event_name}")
        if message.event_id and message.event_id != known:
            known = message.event_id
            lines.append(f"id: {known}")
        lines += [f"data: {line}" for line in (message.data or "").split("\n")]
        yield TimedBytes(
            message.time, "\n".join([*lines, "", ""]).encode("utf-8", "replace")
        )


def frame_of(message: HarWebSocketMessage, key: str) -> bytes:
    """A message as a frame.

    Raises:
        RecordFault: its data is not base64.
    """
    opcode = int(message.opcode) & 0x0F
    if opcode == TEXT:
        payload = message.data.encode("utf-8", "replace")
    else:
        payload = unbase64(message.data, f"{key}.data")
    return frame(WebSocketMessage(opcode, payload), masked=message.type == "send")
