"""A record, or an entry of a HAR, as what the doctor would have measured itself.

The one module of the doctor that knows records. It only reads the file: what becomes
of the pieces, and what they show, is the doctor's own, as for a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from proxy.errors import in_words
from proxy.quantities import buffer_size, counted
from proxy.record.capture_reader import CaptureEntry, CaptureFile
from proxy.record.format import (
    UNKNOWN,
    ExchangeRecord,
    RecordedHead,
    RecordFault,
    Unknown,
    value_of,
)
from proxy.record.har_reader import OF_HAR
from proxy.record.har_writer import url_of
from proxy.stream.content_decoder import DECODERS, ContentDecoder, DecodingError
from proxy.tools.doctor.events import JSON_LINES
from proxy.tools.doctor.how_to_ask import websocket_url
from proxy.tools.doctor.probe.request import AskError
from proxy.tools.doctor.probe.websocket_body import WebSocketBody
from proxy.tools.doctor.record import Arrival, Ending, ProbeRecording

SUFFIXES = (".jsonl", ".har")
STREAMS = {"text/event-stream", *JSON_LINES}
LISTED = 10  # entries of a HAR
# Without these nothing can be judged.
NEEDED: dict[Unknown, str] = {
    "times": "when each piece came",
    "body": "what the body was",
}
ONE_REQUEST = (
    "a record has one request: whether the stream is free without compression, or in "
    "another way, only `unbuffered doctor URL` shows"
)


def is_file(word: str) -> bool:
    """Is a file meant, and no address?

    Raises:
        AskError: it is a folder of such files.
    """
    if "://" in word:
        return False
    folder = Path(word)
    if folder.is_dir() and (inside := first_inside(folder)) is not None:
        raise AskError(
            f"{word} is a folder: name one of the files in it, such as {inside}"
        )
    return word.lower().endswith(SUFFIXES) or folder.is_file()


def first_inside(folder: Path) -> Path | None:
    """A record, or a HAR, in a folder."""
    try:
        found = [each for each in folder.iterdir() if each.suffix in SUFFIXES]
    except OSError:
        return None
    return min(found, default=None)


def read_recording(name: str, entry: int) -> ProbeRecording:
    """The recording of a file. `entry`: of a HAR; 0: the stream in it.

    Raises:
        AskError: it cannot be read, or does not say which of several is meant.
    """
    try:
        file = CaptureFile(Path(name).read_bytes(), name)
        left: list[RecordFault] = []
        entries = list(file.captures(entry, left.append))
        if left and not entries:
            raise AskError("\n".join(map(str, left)))
        also = tuple(f"left out: {each}" for each in left[:LISTED])
        chosen = the_stream(entries, name, also)
    except OSError as fault:
        raise AskError(f"cannot read {name}: {in_words(fault)}") from fault
    except RecordFault as fault:
        raise AskError(str(fault)) from fault
    place = f"entry {chosen.number} of {name}" if chosen.number else name
    recording = recording_of(chosen.record, place)
    return replace(recording, account=(*recording.account, *also))


def the_stream(
    entries: list[CaptureEntry], name: str, also: Sequence[str]
) -> CaptureEntry:
    """The one that is a stream.

    Raises:
        AskError: there is none, or there are several.
    """
    if not entries:
        raise AskError(f"{name} has no exchange by HTTP")
    streams = [each for each in entries if is_stream(each.record.head)]
    chosen = streams or entries
    if len(chosen) == 1:
        return chosen[0]
    what = counted(len(chosen), "stream" if streams else "exchange")
    lines = [f"{name} has {what}: choose one with --entry"]
    lines += [line(each) for each in chosen[:LISTED]]
    if len(chosen) > LISTED:
        lines.append(f"  … (unbuffered convert {name} --list shows all)")
    raise AskError("\n".join([*lines, *also]))


def is_stream(head: RecordedHead | None) -> bool:
    """By its type."""
    value = "" if head is None else head.get("content-type") or ""
    return value.partition(";")[0].strip().lower() in STREAMS


def line(each: CaptureEntry) -> str:
    """An entry in a list of them."""
    size = sum(len(piece.data) for piece in each.record.response_pieces)
    asked = f"{each.record.request.method} {url_of(each.record)}"
    return f"  --entry {each.number}: {asked}, {buffer_size(size)}"


def recording_of(record: ExchangeRecord, place: str) -> ProbeRecording:
    """A record as a recording."""
    head, end = record.head, record.end
    url = url_of(record)
    if is_websocket(head):
        url = websocket_url(url)
    last = record.items[-1].at if record.items else 0
    arrivals, fault = arrivals_of(record)
    ending, why = ending_of(record)
    missing = [NEEDED[each] for each in record.unknown if each in NEEDED]
    return ProbeRecording(
        url=url,
        method=record.request.method,
        request=tuple(record.request.fields),
        label="as recorded",
        head=None if head is None else head.at / 1_000_000,
        status=0 if head is None else head.status,
        version="" if head is None else version_of(record, head),
        fields=() if head is None else tuple(head.fields),
        arrivals=arrivals,
        ended=max(last, 0 if end is None else end.at) / 1_000_000,
        ending=ending,
        fault=fault or why,
        interims=tuple(
            item.status
            for item in record.items
            if isinstance(item, RecordedHead) and not item.is_final
        ),
        missing=missing[0] if missing else "",
        account=account(record, place),
    )


def version_of(record: ExchangeRecord, head: RecordedHead) -> str:
    """Of the response. What was HTTP/2 in a HAR is in a record as HTTP/1.1."""
    asked = record.request.version
    if OF_HAR in record.by and asked in ("2.0", "3.0"):
        return f"HTTP/{asked[0]}"
    return f"HTTP/{head.version}"


def account(record: ExchangeRecord, place: str) -> tuple[str, ...]:
    """Where it is from, and what it cannot tell."""
    seen = f"it has what came from {record.target}"
    if OF_HAR in record.by:
        seen = "it has what the browser saw"
    elif record.route:
        seen += ": what is between the proxy and the browser is not in it"
    return (
        f"judged from {place}, which was recorded at {record.began} (by {record.by}): "
        "nothing was measured now",
        seen,
        *(f"not known: {UNKNOWN[each]}" for each in record.unknown),
        ONE_REQUEST,
    )


def is_websocket(head: RecordedHead | None) -> bool:
    """Was it opened?"""
    if head is None or head.status != 101:
        return False
    return (value_of(head.fields, "upgrade") or "").lower() == "websocket"


def ending_of(record: ExchangeRecord) -> tuple[Ending, str]:
    """How it ended, and why."""
    end = record.end
    if record.head is None:
        error = "" if end is None else end.error
        return "no answer", error or "the record has no response head"
    if end is None or end.end == "open":
        return "stopped", ""
    if end.end == "complete":
        return "complete", ""
    how = "the connection was closed before the end of the response"
    if end.end == "reset":
        how = "the connection was reset"
    return "cut", f"{how} ({end.error})" if end.error else how


def arrivals_of(record: ExchangeRecord) -> tuple[tuple[Arrival, ...], str]:
    """The pieces without their content coding, and what is wrong with that."""
    head = record.head
    value = "" if head is None else value_of(head.fields, "content-encoding") or ""
    codings = [each.strip().lower() for each in value.split(",")]
    codings = [each for each in codings if each not in ("", "identity", "none")]
    decoder, fault = None, ""
    if codings and all(each in DECODERS for each in codings):
        decoder = ContentDecoder(reversed(codings), max_ratio=1000)
    elif codings:
        fault = f"content coding {', '.join(codings)} is not supported"
    arrivals = []
    messages = WebSocketBody(lambda _: None) if is_websocket(head) else None
    for piece in record.response_pieces:
        data = piece.data
        if messages is not None:
            data = messages.feed(data)
        if decoder is not None:
            try:
                data = b"".join(decoder.decode(data))
            except DecodingError as broken:
                decoder, fault = None, f"content coding broken: {broken}"
        arrivals.append(Arrival(piece.at / 1_000_000, len(piece.data), data))
    return tuple(arrivals), fault
