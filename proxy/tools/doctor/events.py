"""The events of a recording: which came when, whatever the format.

An event stream, lines of JSON, or plain lines are read as what they are; of
anything else each arrival counts as one. An event of the test origin carries
its number and the time at which it was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from proxy.stream.event_stream import Comment, Event, EventReader
from proxy.tools.doctor.record import ProbeRecording

JSON_LINES = {
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/stream+json",
    "application/json-seq",
}
# Of these a line is what is written at once.
PLAIN_LINES = {"text/plain", "text/csv", "text/tab-separated-values"}
# What the test origin writes into each event: its number, of how many, and the
# milliseconds from the arrival of the request to the sending of the event.
MARK = re.compile(r'"n": ?(\d+), ?"of": ?(\d+), ?"sent_ms": ?(\d+(?:\.\d+)?)')
LABEL = 60  # characters of an event that are kept to show it


@dataclass(frozen=True, slots=True)
class Unit:
    """One event: when its last byte came, in which arrival, and what it says."""

    at: float
    arrival: int
    size: int
    label: str
    sent: float | None = None  # by the origin's own account
    number: int | None = None
    of: int = 0  # how many the origin sends; 0: it does not say
    comment: bool = False
    id: str = ""  # `id:` of an event stream
    digest: int = 0  # of the whole text; `label` is only its beginning
    type: str = ""  # of an event: its name, "" for the usual one


def units_of(recording: ProbeRecording) -> tuple[Unit, ...]:
    """The events of a recording, in order."""
    kind = format_of(recording)
    if kind == "event stream":
        return tuple(events(recording))
    if kind in ("lines of JSON", "lines", "messages"):
        return tuple(lines(recording))
    return tuple(
        Unit(each.at, index, each.size, shown(each.data.decode("utf-8", "replace")))
        for index, each in enumerate(recording.arrivals)
    )


def format_of(recording: ProbeRecording) -> str:
    """event stream, lines of JSON, lines, messages, or pieces."""
    if recording.websocket and recording.status == 101:
        return "messages"
    if is_coded(recording):
        return "pieces"
    if recording.type == "text/event-stream":
        return "event stream"
    if recording.type in JSON_LINES:
        return "lines of JSON"
    content = recording.content
    if not content:
        return "pieces"
    if content.startswith((b"data:", b"event:", b"id:", b":", b"retry:")):
        return "event stream"
    several = content.count(b"\n") >= 2 and len(content) < 200 * content.count(b"\n")
    if content.lstrip(b"\x1e").startswith(b"{") and content.count(b"}\n") >= 2:
        return "lines of JSON"
    return "lines" if several and recording.type in PLAIN_LINES else "pieces"


def is_coded(recording: ProbeRecording) -> bool:
    """A content coding that nobody here could take off."""
    return bool(recording.coding) and recording.fault.startswith("content coding")


def events(recording: ProbeRecording) -> Iterator[Unit]:
    """The events of an event stream; a comment counts as something that came."""
    # What was recorded is bounded, and is here in any case: no event is too long.
    reader = EventReader(max(len(recording.content), 1))
    for index, each in enumerate(recording.arrivals):
        for item in reader.read(each.data):
            if isinstance(item, Event):
                size = len(item.data.encode())
                yield unit(item.data, item.type, each.at, index, size, item.id)
            elif isinstance(item, Comment):
                label = shown(f": {item.text}")
                yield Unit(each.at, index, len(label), label, comment=True)


def lines(recording: ProbeRecording) -> Iterator[Unit]:
    """Lines that are complete, and a last one that is not."""
    parts: list[bytes] = []  # of a line that is not complete
    for index, each in enumerate(recording.arrivals):
        first, *others = each.data.split(b"\n")
        parts.append(first)
        if not others:
            continue
        *whole, rest = others
        whole.insert(0, b"".join(parts))
        parts = [rest]
        for line in whole:
            if line.strip(b"\r\x1e "):
                text = line.decode("utf-8", "replace").strip("\r\x1e")
                yield unit(text, "", each.at, index, len(line) + 1)
    rest = b"".join(parts)
    if rest.strip() and recording.arrivals:
        last = len(recording.arrivals) - 1
        text = rest.decode("utf-8", "replace")
        yield unit(text, "", recording.arrivals[-1].at, last, len(rest))


def unit(
    text: str, kind: str, at: float, arrival: int, size: int, own_id: str = ""
) -> Unit:
    """One event with what the test origin wrote into it, if it did."""
    mark = MARK.search(text[:200])
    kind = "" if kind == "message" else kind
    label = f"{kind}: {text}" if kind else text
    if mark is None:
        words = shown(spoken(text) or label)
        digest = hash((kind, text))
        return Unit(at, arrival, size, words, id=own_id, digest=digest, type=kind)
    number, sent = int(mark[1]), float(mark[3]) / 1000
    label = f"event {number}"
    return Unit(at, arrival, size, label, sent, number, int(mark[2]), id=own_id)


def spoken(text: str) -> str | None:
    """The words in one piece of a language model's answer, None if it is none."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
        if "choices" in found:
            choice = found["choices"][0] if found["choices"] else {}
            words = choice.get("delta", {}).get("content") or choice.get("text")
        else:
            words = (found.get("delta") or {}).get("text")
    except (ValueError, AttributeError, TypeError, LookupError):
        return None
    return f"“{words}”" if isinstance(words, str) and words else None


def shown(text: str) -> str:
    """An event on one line, short, harmless to a terminal."""
    flat = " ".join(text.split())
    safe = "".join(char if char.isprintable() else "�" for char in flat)
    return safe if len(safe) <= LABEL else safe[: LABEL - 1] + "…"
